//! A source that lends any room for indexes, and lets none be mapped: whichever of them there is memory for.

use core::alloc::Layout;
use core::ptr::NonNull;

use fastrand::Rng;
use tagheap::{Directory, Error, Heap, Key, Refusal, Rule, Source, Split, Whole};

use crate::{A, B, bytes};

/// Bytes, the first of which are for indexes.
#[derive(Debug)]
struct Lending {
    base: NonNull<u8>,
    limit: usize,
    room: usize,
}

// SAFETY: the bytes are leaked, all granted from the start, and one heap at a time has them.
unsafe impl Source for Lending {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn extend(&mut self, _frontier: usize, _to: usize) -> Result<(), Refusal> {
        Err(Refusal::NoMemory)
    }

    unsafe fn trim(&mut self, _to: usize) -> usize {
        usize::MAX
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }

    fn index_room(&self) -> usize {
        self.room
    }

    fn may_map(&self) -> bool {
        false
    }
}

type Lent<R> = Heap<Lending, R>;

/// A block larger than a leaf can tell, beside free ones and others; then blocks of all sizes, at random.
fn work<R: Rule>(heap: &mut Lent<R>, random: &mut Rng) -> Result<(), Error> {
    let large = bytes(200_000);
    let mut live = Vec::new();
    for _ in 0..3 {
        if let Ok(block) = heap.allocate(A, large) {
            live.push((block.cast::<u8>(), large));
        }
        if let Ok(block) = heap.allocate(B, bytes(1)) {
            live.push((block.cast(), bytes(1)));
        }
    }
    for _ in 0..60 {
        if random.bool() && !live.is_empty() {
            let (block, layout) = live.swap_remove(random.usize(..live.len()));
            // SAFETY: the block is the test's.
            unsafe { heap.deallocate(block, layout)? };
        } else {
            let (most, align) = (1 << random.u32(4..19), 1 << random.u32(..8));
            let layout = Layout::from_size_align(random.usize(..most), align).unwrap();
            if let Ok(block) = heap.allocate(A, layout) {
                live.push((block.cast(), layout));
            }
        }
        heap.check()?;
        assert_eq!(heap.stats()?.used.blocks, live.len());
    }
    Ok(())
}

fn run<R: Rule>(rule: R) {
    const LENGTH: usize = 1 << 20;
    let bytes = vec![0_u128; LENGTH / 16].leak();
    for room in (0..80_000).step_by(48) {
        let base = NonNull::from(&mut *bytes).cast::<u8>();
        let limit = base.addr().get() + LENGTH;
        let source = Lending { base, limit, room };
        let mut heap = Heap::with(source, rule, Directory::new(), Key::FIXED).unwrap();
        let answer = work(&mut heap, &mut Rng::with_seed(room as u64));
        assert_eq!(answer, Ok(()), "{room} bytes of room: {}", heap.drawing());
    }
}

#[test]
fn a_heap_is_whole_whatever_its_indexes_have_room_for_under_split() {
    run(Split);
}

#[test]
fn a_heap_is_whole_whatever_its_indexes_have_room_for_under_whole() {
    run(Whole);
}
