//! G05: every way a block can grow or shrink, and fail to.

use core::ptr::NonNull;

use tagheap::{Error, HEADER, SMALLEST, Tag, UNIT};

use crate::ground::Ground;
use crate::support::{Careless, Config, Rig, block_size, bytes, layout};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    g05_every_resize_keeps_what_fits,
    g05_a_resize_that_fails_leaves_the_block,
    g05_a_move_copies_no_more_than_the_block_had,
    g05_a_shrink_gives_the_rest_to_whoever_is_behind,
    g05_a_shrink_at_the_end_writes_nothing_behind_it,
    g05_growth_takes_of_a_free_neighbour_what_it_needs,
);

/// In memory that it fills, whatever is cut off, a header's worth or less; what comes next is as zero as it should be.
fn g05_a_shrink_at_the_end_writes_nothing_behind_it<C: Config>() {
    for cut in (0..=10 * UNIT).step_by(UNIT / 2) {
        let mut rig = Rig::<C>::new(3000);
        rig.take(B, 100);
        let stats = rig.heap.stats().unwrap();
        let whole = (stats.granted - stats.row - HEADER) & !(UNIT - 1);
        let block = rig.take(A, whole);
        let end = rig.heap.end();
        let stats = rig.heap.stats().unwrap();
        assert!(stats.granted - stats.row < UNIT, "it is full");
        let behind = |rig: &Rig<C>| rig.read(end, rig.ground.readable(end) - end);
        let before = behind(&rig);
        let block = rig.resize(block, bytes(whole - cut), false).unwrap();
        assert_eq!(behind(&rig), before, "{cut} bytes less");
        rig.free(block);
        assert_eq!(behind(&rig), before, "{cut} bytes less");
    }
    // Where there is memory behind, which nobody has written to.
    for cut in (0..=10 * UNIT).step_by(UNIT / 2) {
        let mut rig = Rig::<C>::new(30_000);
        let block = rig.take(A, 1000);
        let block = rig.resize(block, bytes(1000 - cut), false).unwrap();
        rig.free(block);
        rig.allocate_zeroed(A, bytes(5000)).unwrap();
    }
}

/// What stands behind the block to resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    End,
    Used,
    /// So many bytes free, header included, and then a block in use.
    Free(usize),
}

const BEHIND: [Behind; 6] = [
    Behind::End,
    Behind::Used,
    Behind::Free(48),
    Behind::Free(80),
    Behind::Free(400),
    Behind::Free(9008),
];

/// A block of `size` bytes with that behind it.
fn scene<C: Config>(size: usize, align: usize, behind: Behind) -> (Rig<C>, NonNull<u8>) {
    let mut rig = Rig::<C>::new(1 << 16);
    // The block comes behind this one without a gap.
    let mut front = (3..).map(|units| 16 * units);
    let next = rig.heap.end() + HEADER;
    let front = front.find(|front| (next + front).is_multiple_of(align));
    rig.take(B, front.unwrap() - HEADER);
    let block = rig.allocate(A, layout(size, align)).unwrap();
    assert_eq!(rig.blocks().len(), 3);
    match behind {
        Behind::End => {}
        Behind::Used => {
            rig.take(B, 30);
        }
        Behind::Free(room) => {
            let hole = rig.take(B, room - HEADER);
            rig.take(B, 30);
            rig.free(hole);
        }
    }
    (rig, block)
}

fn g05_every_resize_keeps_what_fits<C: Config>() {
    let sizes = [0, 1, 16, 17, 48, 100, 512, 1000, 5000];
    for behind in BEHIND {
        for old in sizes {
            for new in sizes {
                for (before, align) in [(1, 1), (16, 16), (64, 16), (1, 64), (64, 64), (1, 4096)] {
                    for zeroed in [false, true] {
                        let (mut rig, block) = scene::<C>(old, before, behind);
                        let had = rig.block(block);
                        let moved = rig.resize(block, layout(new, align), zeroed).unwrap();
                        rig.contents();
                        assert_eq!(rig.heap.tag_of(moved), Ok(A));
                        let wanted = block_size(new);
                        let room = match behind {
                            _ if wanted <= had.size => true,
                            Behind::End => true,
                            Behind::Free(room) => C::SPLITS && had.size + room >= wanted,
                            Behind::Used => false,
                        };
                        let in_place = room && block.addr().get().is_multiple_of(align);
                        assert_eq!(moved == block, in_place, "{old} to {new}, {behind:?}");
                        // A moved block's place is free, and told so.
                        if !in_place {
                            rig.refuses(|heap| heap.tag_of(block));
                        }
                    }
                }
            }
        }
    }
}

fn g05_a_resize_that_fails_leaves_the_block<C: Config>() {
    for behind in BEHIND {
        for old in [0, 100, 1000] {
            let (mut rig, block) = scene::<C>(old, 1, behind);
            for new in [1 << 17, 1 << 30, isize::MAX as usize / 2] {
                for align in [1, 64, 4096] {
                    let (old, new) = (bytes(old), layout(new, align));
                    let error = rig.refuses(|heap| heap.enlarge(block, old, new));
                    assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
                    rig.refuses(|heap| heap.enlarge_zeroed(block, old, new));
                }
            }
            // A shrink that has to move, with no room left to move to.
            let align = 1 << (block.addr().get().trailing_zeros() + 1);
            while rig.heap.allocate(B, layout(1, align)).is_ok() {}
            while rig.heap.allocate(B, bytes(1)).is_ok() {}
            let (old, new) = (bytes(old), layout(0, align));
            let before = rig.image();
            let error = rig.heap.reduce(block, old, new).unwrap_err();
            assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
            assert!(rig.image() == before);
            rig.payloads();
            rig.heap.check().unwrap();
            rig.heap.release_tag(B).unwrap();
            rig.forget(|tag| tag == B);
            rig.resize(block, bytes(old.size() + 1), false).unwrap();
        }
    }
}

fn g05_a_move_copies_no_more_than_the_block_had<C: Config>() {
    for (old, new, align) in [
        (100, 1000, 1),
        (10, 3000, 1),
        (200, 201, 512),
        (200, 200, 512),
        (200, 40, 512),
        (16, 0, 512),
    ] {
        let mut rig = Rig::<C>::new(1 << 16);
        // Under `Whole` only a hole that is aligned already takes an aligned block.
        let of_hole = if C::SPLITS { 1 } else { 512 };
        let hole = rig.allocate(B, layout(4000, of_hole)).unwrap();
        let block = rig.take(A, old);
        rig.take(B, 4000);
        assert!(!block.addr().get().is_multiple_of(512), "has to move");
        rig.free(hole);
        let (base, end) = (rig.heap.base(), rig.heap.end());
        let before = rig.read(base, end - base);
        let moved = rig.heap.enlarge_or_reduce(block, old, layout(new, align));
        assert!(moved != block && moved.addr().get() < end, "into the hole");
        let after = rig.read(base, end - base);
        let kept = old.min(new);
        let payload = moved.addr().get() - base;
        let behind = payload + kept..payload + rig.heap.usable_size(moved).unwrap();
        let changed = behind.clone().find(|&at| before[at] != after[at]);
        assert_eq!(
            changed, None,
            "{old} to {new}: behind the {kept} bytes kept, {behind:?}"
        );
        rig.heap.check().unwrap();
    }
}

trait EitherWay {
    fn enlarge_or_reduce(
        &mut self,
        ptr: NonNull<u8>,
        old: usize,
        new: core::alloc::Layout,
    ) -> NonNull<u8>;
}

impl<H: Careless> EitherWay for H {
    fn enlarge_or_reduce(
        &mut self,
        ptr: NonNull<u8>,
        old: usize,
        new: core::alloc::Layout,
    ) -> NonNull<u8> {
        if new.size() < old {
            self.reduce(ptr, bytes(old), new).unwrap()
        } else {
            self.enlarge(ptr, bytes(old), new).unwrap()
        }
    }
}

fn g05_a_shrink_gives_the_rest_to_whoever_is_behind<C: Config>() {
    for behind in BEHIND {
        for new in 0..=200 {
            let (mut rig, block) = scene::<C>(200, 1, behind);
            let had = rig.block(block).size;
            let end = rig.heap.end();
            let same = rig.resize(block, bytes(new), false).unwrap();
            assert_eq!(same, block);
            let rest = had - block_size(new);
            let given = match behind {
                _ if !C::SPLITS => false,
                Behind::Used => rest >= SMALLEST,
                Behind::End | Behind::Free(_) => true,
            };
            let kept = if given { had - rest } else { had };
            assert_eq!(rig.block(block).size, kept, "{new}, {behind:?}");
            let stats = rig.heap.stats().unwrap();
            let free = match behind {
                Behind::End => 0,
                Behind::Used => had - kept,
                Behind::Free(room) => room + had - kept,
            };
            assert_eq!(stats.free.bytes, free);
            let fallen = if behind == Behind::End { had - kept } else { 0 };
            assert_eq!(rig.heap.end(), end - fallen);
            rig.contents();
        }
    }
}

fn g05_growth_takes_of_a_free_neighbour_what_it_needs<C: Config>() {
    for room in [48, 64, 96, 400] {
        for more in 1..=room + 20 {
            let (mut rig, block) = scene::<C>(96, 1, Behind::Free(room));
            let lacking = block_size(96 + more) - block_size(96);
            let grown = rig.resize(block, bytes(96 + more), false).unwrap();
            let in_place = C::SPLITS && lacking <= room;
            assert_eq!(grown == block, in_place);
            if in_place {
                let left = if room - lacking < SMALLEST {
                    0
                } else {
                    room - lacking
                };
                assert_eq!(rig.heap.stats().unwrap().free.bytes, left);
            }
            rig.contents();
        }
    }
}
