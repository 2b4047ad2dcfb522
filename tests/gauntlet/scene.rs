//! A heap with something of everything, and every operation there is to run on it.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, HEADER, Mark, State, Tag};

use crate::support::{Careless, Config, HeapOf, Live, Rig, Shaken, bytes, layout};

pub(crate) const A: Tag = Tag::named("a");
pub(crate) const B: Tag = Tag::named("b");
pub(crate) const C_TAG: Tag = Tag::named("c");

/// Whose header is damaged, in the order of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Root,
    Previous,
    Own,
    Next,
    /// The hole that the operation `allocate` takes.
    Hole,
    Fence,
}

pub(crate) const TARGETS: [Target; 6] = [
    Target::Root,
    Target::Previous,
    Target::Own,
    Target::Next,
    Target::Hole,
    Target::Fence,
];

/// A heap with something of everything. Only the own block is of tag `a`, and of so many blocks that
/// tag `a` goes by its list, where there is one; tag `b` does so where there is an index.
pub(crate) struct Scene<C: Config> {
    pub(crate) rig: Rig<C>,
    pub(crate) own: Live,
    /// Addresses of the headers, in the order of [`TARGETS`].
    pub(crate) headers: [usize; 6],
    /// Whether both neighbours of the own block are free.
    pub(crate) neighbours_are_free: bool,
    /// Made before the own block was allocated.
    pub(crate) mark: Mark,
}

const OWN: usize = 200;
const HOLE: usize = 500;

pub(crate) fn scene<C: Config<Ground: Shaken>>(neighbours_are_free: bool) -> Scene<C> {
    let mut rig = Rig::<C>::new(1 << 13);
    rig.take(B, 100);
    let previous = rig.take(B, 80);
    let mark = rig.heap.mark();
    let own = rig.take(A, OWN);
    let next = rig.take(C_TAG, 300);
    rig.take(B, 50);
    let hole = rig.take(B, HOLE);
    for size in [60, 1, 20, 17, 0] {
        rig.take(C_TAG, size);
    }
    let room = rig.room();
    rig.ground.stepped().intrude(100);
    rig.take(B, room + 10);
    rig.free(hole);
    if neighbours_are_free {
        rig.free(previous);
        rig.free(next);
    }
    let fence = State::Used(Tag::FOREIGN);
    let fence = rig.blocks().into_iter().find(|block| block.state == fence);
    let [own_at, previous, next, hole] =
        [own, previous, next, hole].map(|ptr| ptr.addr().get() - HEADER);
    let headers = [
        rig.heap.base(),
        previous,
        own_at,
        next,
        hole,
        fence.unwrap().at,
    ];
    assert!(headers.is_sorted());
    assert!(!own.addr().get().is_multiple_of(512));
    let own = rig.live[&own.addr().get()];
    Scene {
        rig,
        own,
        headers,
        neighbours_are_free,
        mark,
    }
}

/// What an operation did, for the note of what is in use.
pub(crate) enum Effect {
    Nothing,
    Came(NonNull<u8>, Layout),
    Went,
    Moved(NonNull<u8>, Layout),
    Tagged(Tag),
    Released(fn(Tag) -> bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Allocate,
    AllocateAtTheEnd,
    AllocateZeroed,
    Deallocate,
    DeallocateIn,
    Grow,
    GrowByMoving,
    GrowZeroed,
    GrowToAlign,
    Shrink,
    Release,
    ReleaseMany,
    ReleaseSince,
    ReleaseWhere,
    Merge,
    Retag,
    TagOf,
    UsableSize,
    RequestedSize,
    Walk,
    Check,
    Stats,
    StatsOf,
    BlocksOf,
    WouldRelease,
    PinnedBy,
    Purge,
}

pub(crate) const OPS: [Op; 27] = [
    Op::Allocate,
    Op::AllocateAtTheEnd,
    Op::AllocateZeroed,
    Op::Deallocate,
    Op::DeallocateIn,
    Op::Grow,
    Op::GrowByMoving,
    Op::GrowZeroed,
    Op::GrowToAlign,
    Op::Shrink,
    Op::Release,
    Op::ReleaseMany,
    Op::ReleaseSince,
    Op::ReleaseWhere,
    Op::Merge,
    Op::Retag,
    Op::TagOf,
    Op::UsableSize,
    Op::RequestedSize,
    Op::Walk,
    Op::Check,
    Op::Stats,
    Op::StatsOf,
    Op::BlocksOf,
    Op::WouldRelease,
    Op::PinnedBy,
    Op::Purge,
];

/// What a heap has beside its row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    pub(crate) splits: bool,
    /// The placement answers from an index, not by a scan.
    pub(crate) is_indexed: bool,
    pub(crate) has_ledger: bool,
}

/// Which operations meet which damaged header; all others do as if it were whole.
///
/// - A scan meets every header up to the block that it looks for, an index only that of the block it finds.
/// - Where free blocks are joined, whoever frees a block asks for its free neighbours: the one in front by
///   a scan or from the index; the one behind where it must begin, which without an index tells by
///   its header whether it is free.
/// - A release by a tag's list meets the tag's blocks, and asks for the neighbours of each; a merge meets the blocks alone.
/// - What goes by a walk meets all, and so does what would go by a list if there were one; without an index, a release of
///   many blocks.
pub(crate) fn meets(op: Op, target: Target, means: Means, neighbours_are_free: bool) -> bool {
    let Means {
        splits,
        is_indexed,
        has_ledger,
    } = means;
    let own = target == Target::Own;
    let behind = splits && target == Target::Next && (neighbours_are_free || !is_indexed);
    let before = splits
        && if is_indexed {
            target == Target::Previous && neighbours_are_free
        } else {
            target <= Target::Previous
        };
    let around = before || behind;
    let takes = |found: Target| target == found || (!is_indexed && target < found);
    let takes_the_end = !is_indexed;
    match op {
        Op::Walk | Op::Check | Op::Stats | Op::BlocksOf | Op::WouldRelease | Op::PinnedBy => true,
        Op::ReleaseMany | Op::ReleaseWhere if !is_indexed => true,
        Op::ReleaseWhere if !has_ledger => true,
        // All but the heap's own blocks go, and free ones where none is joined to another.
        Op::ReleaseWhere => match target {
            Target::Previous | Target::Next => splits || !neighbours_are_free,
            Target::Own => true,
            Target::Hole => splits,
            Target::Root | Target::Fence => false,
        },
        Op::ReleaseMany => match target {
            Target::Previous => splits || !neighbours_are_free,
            Target::Next => splits && neighbours_are_free,
            Target::Hole => splits,
            Target::Root | Target::Own | Target::Fence => false,
        },
        Op::StatsOf => !has_ledger,
        // No free block has a page.
        Op::Purge => !is_indexed,
        Op::Release | Op::ReleaseSince => own || around || !has_ledger,
        Op::Merge => own || !has_ledger,
        Op::Allocate => takes(Target::Hole),
        Op::AllocateAtTheEnd => takes_the_end,
        Op::AllocateZeroed if neighbours_are_free => takes(Target::Previous),
        Op::AllocateZeroed => takes(Target::Hole),
        Op::Retag | Op::TagOf | Op::UsableSize | Op::RequestedSize => own,
        Op::Deallocate | Op::DeallocateIn => own || around,
        Op::Grow | Op::GrowZeroed if splits && neighbours_are_free => own || behind,
        Op::Grow | Op::GrowZeroed => own || around || takes(Target::Hole),
        Op::GrowByMoving | Op::GrowToAlign => own || around || takes_the_end,
        Op::Shrink => own || behind,
    }
}

pub(crate) fn run<C: Config>(
    op: Op,
    heap: &mut HeapOf<C>,
    own: Live,
    mark: Mark,
) -> Result<Effect, Error> {
    let (ptr, old) = (own.ptr, own.layout);
    let came = |size, block: NonNull<[u8]>| Effect::Came(block.cast(), bytes(size));
    let every = |_: Tag| true;
    Ok(match op {
        Op::Allocate => came(HOLE, heap.allocate(B, bytes(HOLE))?),
        Op::AllocateAtTheEnd => came(900, heap.allocate(B, bytes(900))?),
        Op::AllocateZeroed => came(30, heap.allocate_zeroed(B, bytes(30))?),
        Op::Deallocate => {
            heap.free(ptr, old)?;
            Effect::Went
        }
        Op::DeallocateIn => {
            heap.free_in(A, ptr, old)?;
            Effect::Went
        }
        Op::Grow => Effect::Moved(heap.enlarge(ptr, old, bytes(400))?, bytes(400)),
        Op::GrowByMoving => Effect::Moved(heap.enlarge(ptr, old, bytes(900))?, bytes(900)),
        Op::GrowZeroed => Effect::Moved(heap.enlarge_zeroed(ptr, old, bytes(390))?, bytes(390)),
        Op::GrowToAlign => {
            let new = layout(OWN, 512);
            Effect::Moved(heap.enlarge(ptr, old, new)?, new)
        }
        Op::Shrink => Effect::Moved(heap.reduce(ptr, old, bytes(50))?, bytes(50)),
        Op::Release => {
            heap.release_tag(A)?;
            Effect::Released(|tag| tag == A)
        }
        Op::ReleaseMany => {
            heap.release_tag(B)?;
            Effect::Released(|tag| tag == B)
        }
        Op::ReleaseSince => {
            heap.release_after(A, mark)?;
            Effect::Released(|tag| tag == A)
        }
        Op::Merge => {
            heap.merge(A, B)?;
            Effect::Tagged(B)
        }
        Op::ReleaseWhere => {
            heap.release_if(every)?;
            Effect::Released(every)
        }
        Op::Retag => {
            heap.retag(ptr, B)?;
            Effect::Tagged(B)
        }
        Op::TagOf => {
            assert_eq!(heap.tag_of(ptr)?, A);
            Effect::Nothing
        }
        Op::UsableSize => {
            assert_eq!(heap.usable_size(ptr)?, OWN.next_multiple_of(16));
            Effect::Nothing
        }
        Op::RequestedSize => {
            assert_eq!(heap.requested_size(ptr)?, OWN);
            Effect::Nothing
        }
        Op::WouldRelease => {
            heap.would_release(A)?;
            Effect::Nothing
        }
        Op::PinnedBy => {
            assert_eq!(heap.pinned_by()?, Some(B));
            Effect::Nothing
        }
        Op::Purge => {
            heap.purge()?;
            Effect::Nothing
        }
        Op::Walk => {
            for block in heap.walk() {
                block?;
            }
            Effect::Nothing
        }
        Op::Check => {
            heap.check()?;
            Effect::Nothing
        }
        Op::Stats => {
            heap.stats()?;
            Effect::Nothing
        }
        Op::StatsOf => {
            heap.stats_of(A)?;
            Effect::Nothing
        }
        Op::BlocksOf => {
            for block in heap.blocks_of(A) {
                block?;
            }
            Effect::Nothing
        }
    })
}

impl<C: Config> Scene<C> {
    /// Every operation that this heap has.
    pub(crate) fn ops(&self) -> Vec<Op> {
        // Without a list nobody knows what is younger than a mark.
        let has_marks = self.rig.has_ledger();
        let ops = OPS.into_iter();
        ops.filter(|op| has_marks || *op != Op::ReleaseSince)
            .collect()
    }

    pub(crate) fn meets(&self, op: Op, target: Target) -> bool {
        let means = Means {
            splits: C::SPLITS,
            is_indexed: self.rig.is_indexed(),
            has_ledger: self.rig.has_ledger(),
        };
        meets(op, target, means, self.neighbours_are_free)
    }

    pub(crate) fn header(&self, target: Target) -> usize {
        let index = TARGETS.iter().position(|other| *other == target).unwrap();
        self.headers[index]
    }

    /// Notes what an operation did, and that nothing else happened.
    pub(crate) fn note(&mut self, effect: Effect) {
        let own = self.own;
        match effect {
            Effect::Nothing => {}
            Effect::Came(ptr, layout) => self.rig.adopt(ptr, layout, B),
            Effect::Went => {
                self.rig.live.remove(&own.ptr.addr().get()).unwrap();
            }
            Effect::Moved(ptr, layout) => {
                let kept = layout.size().min(OWN);
                self.rig.content(&Live { ptr, ..own }, kept);
                self.rig.live.remove(&own.ptr.addr().get()).unwrap();
                self.rig.adopt(ptr, layout, A);
            }
            Effect::Tagged(tag) => {
                self.rig.live.get_mut(&own.ptr.addr().get()).unwrap().tag = tag;
            }
            Effect::Released(pick) => {
                self.rig.forget(pick);
            }
        }
        self.rig.check();
        self.rig.contents();
    }
}
