//! A heap with something of everything, and every operation there is to run on it.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, HEADER, State, Tag};

use crate::support::{Careless, Config, HeapOf, Live, Rig, Stepped, bytes, layout};

pub(crate) const A: Tag = Tag::named("a");
pub(crate) const B: Tag = Tag::named("b");
pub(crate) const C_TAG: Tag = Tag::named("c");

/// Whose header is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Own,
    Previous,
    Next,
    /// The hole that the operation `allocate` takes.
    Hole,
    Fence,
    Root,
}

pub(crate) const TARGETS: [Target; 6] = [
    Target::Own,
    Target::Previous,
    Target::Next,
    Target::Hole,
    Target::Fence,
    Target::Root,
];

/// A heap with something of everything.
pub(crate) struct Scene<C: Config> {
    pub(crate) rig: Rig<C>,
    pub(crate) own: Live,
    /// Addresses of the headers, in the order of [`TARGETS`].
    pub(crate) headers: [usize; 6],
    /// Whether both neighbours of the own block are free.
    pub(crate) neighbours_are_free: bool,
}

const OWN: usize = 200;
const HOLE: usize = 500;

pub(crate) fn scene<C: Config<Ground = Stepped>>(neighbours_are_free: bool) -> Scene<C> {
    let mut rig = Rig::<C>::new(1 << 13);
    rig.take(B, 100);
    let previous = rig.take(B, 80);
    let own = rig.take(A, OWN);
    let next = rig.take(C_TAG, 300);
    rig.take(B, 50);
    let hole = rig.take(B, HOLE);
    rig.take(A, 60);
    let room = rig.room();
    rig.ground.intrude(100);
    rig.take(A, room + 10);
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
        own_at,
        previous,
        next,
        hole,
        fence.unwrap().at,
        rig.heap.base(),
    ];
    assert!(!own.addr().get().is_multiple_of(512));
    let own = rig.live[&own.addr().get()];
    Scene {
        rig,
        own,
        headers,
        neighbours_are_free,
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
    ReleaseWhere,
    Retag,
    TagOf,
    UsableSize,
    Walk,
    Check,
    Stats,
    StatsOf,
    BlocksOf,
}

pub(crate) const OPS: [Op; 20] = [
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
    Op::ReleaseWhere,
    Op::Retag,
    Op::TagOf,
    Op::UsableSize,
    Op::Walk,
    Op::Check,
    Op::Stats,
    Op::StatsOf,
    Op::BlocksOf,
];

/// Which operations have to find which damaged header, whatever the placement. What a placement meets
/// beyond that, as the scan does on its way, is found too, or not met.
pub(crate) fn must_meet(op: Op, target: Target, splits: bool, neighbours_are_free: bool) -> bool {
    let neighbour = match target {
        Target::Next => splits,
        Target::Previous => splits && neighbours_are_free,
        _ => false,
    };
    match op {
        Op::Walk | Op::Check | Op::Stats | Op::StatsOf | Op::BlocksOf => true,
        Op::Release | Op::ReleaseWhere => true,
        Op::Allocate => target == Target::Hole,
        Op::AllocateAtTheEnd | Op::AllocateZeroed => false,
        Op::Retag | Op::TagOf | Op::UsableSize => target == Target::Own,
        Op::Deallocate | Op::DeallocateIn | Op::GrowByMoving | Op::GrowToAlign => {
            target == Target::Own || neighbour
        }
        Op::Grow | Op::GrowZeroed | Op::Shrink => {
            target == Target::Own || (splits && target == Target::Next)
        }
    }
}

pub(crate) fn run<C: Config>(op: Op, heap: &mut HeapOf<C>, own: Live) -> Result<Effect, Error> {
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
