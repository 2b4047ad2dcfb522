//! A source that lends any room for indexes, and lets none be mapped: whichever of them there is memory for.

use core::alloc::Layout;
use core::ptr::NonNull;

use fastrand::Rng;
use tagheap::{Buffer, Directory, Error, Heap, Key, Refusal, Rule, Source, Split, Whole};

use crate::{A, B, bytes};

/// A buffer, so many bytes of which are for indexes.
#[derive(Debug)]
struct Lending<'a> {
    buffer: Buffer<'a>,
    room: usize,
}

// SAFETY: as the buffer, which does all but say how much is lent.
unsafe impl Source for Lending<'_> {
    fn base(&self) -> NonNull<u8> {
        self.buffer.base()
    }

    fn limit(&self) -> usize {
        self.buffer.limit()
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        self.buffer.extend(frontier, to)
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.buffer.trim(to) }
    }

    fn zero_from(&self) -> usize {
        self.buffer.zero_from()
    }

    fn index_room(&self) -> usize {
        self.room
    }

    fn may_map(&self) -> bool {
        self.buffer.may_map()
    }
}

type Lent<'a, R> = Heap<Lending<'a>, R>;

/// A block larger than a leaf can tell, beside free ones and others; then blocks of all sizes, at random.
fn work<R: Rule>(heap: &mut Lent<'_, R>, random: &mut Rng) -> Result<(), Error> {
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
    let mut bytes = vec![0_u8; 1 << 20];
    for room in (0..80_000).step_by(48) {
        let buffer = Buffer::new(&mut bytes);
        let source = Lending { buffer, room };
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
