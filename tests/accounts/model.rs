//! Random operations of every sort against books kept by hand.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use fastrand::Rng;
use tagheap::{
    Buffer, Directory, Heap, Key, Mark, Placement, Reserve, Rule, Scan, Source, Split, Tag, Whole,
};

/// A block as the books know it.
#[derive(Clone, Copy)]
struct Live {
    ptr: NonNull<u8>,
    layout: Layout,
    tag: Tag,
    /// How many marks were made before it was allocated.
    age: usize,
}

/// Blocks, allocations and deallocations of a tag that were counted by hand.
#[derive(Clone, Copy, Default)]
struct Counts {
    allocations: u64,
    deallocations: u64,
    largest: usize,
}

struct Books<S: Source, R: Rule, P: Placement> {
    heap: Heap<S, R, P>,
    random: Rng,
    live: Vec<Live>,
    counts: BTreeMap<Tag, Counts>,
    marks: Vec<Mark>,
    has_ledger: bool,
}

const TAGS: u64 = 7;

impl<S: Source, R: Rule, P: Placement> Books<S, R, P> {
    fn new(source: S, rule: R, placement: P, has_ledger: bool, seed: u64) -> Self {
        let heap = Heap::with(source, rule, placement, Key::FIXED).unwrap();
        let random = Rng::with_seed(seed);
        let (live, counts, marks) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            heap,
            random,
            live,
            counts,
            marks,
            has_ledger,
        }
    }

    fn tag(&mut self) -> Tag {
        Tag::new(self.random.u64(1..=TAGS))
    }

    fn layout(&mut self) -> Layout {
        let most = 1 << self.random.u32(1..10);
        let size = self.random.usize(..most);
        Layout::from_size_align(size, 1 << self.random.u32(..8)).unwrap()
    }

    fn counts(&mut self, tag: Tag) -> &mut Counts {
        self.counts.entry(tag).or_default()
    }

    /// Takes the blocks that a release freed out of the books.
    fn gone(&mut self, goes: impl Fn(&Live) -> bool) -> usize {
        let (gone, stay): (Vec<_>, Vec<_>) = self.live.iter().partition(|live| goes(live));
        self.live = stay;
        for live in &gone {
            self.counts(live.tag).deallocations += 1;
        }
        gone.len()
    }

    fn step(&mut self) {
        let (tag, layout) = (self.tag(), self.layout());
        let some = (!self.live.is_empty()).then(|| self.random.usize(..self.live.len()));
        match (self.random.u32(..100), some) {
            (0, _) => {
                let gone = self.gone(|live| live.tag == tag);
                // SAFETY: the books use the blocks no more.
                assert_eq!(unsafe { self.heap.release(tag) }.unwrap().blocks, gone);
            }
            (1, _) => {
                let odd = |tag: Tag| tag.number() % 4 == 1;
                let gone = self.gone(|live| odd(live.tag));
                // SAFETY: as above.
                let released = unsafe { self.heap.release_where(odd) };
                assert_eq!(released.unwrap().blocks, gone);
            }
            (2 | 3, _) => self.marks.push(self.heap.mark()),
            (4, _) if !self.marks.is_empty() && self.has_ledger => {
                let age = self.random.usize(..self.marks.len());
                let gone = self.gone(|live| live.tag == tag && live.age > age);
                let mark = self.marks[age];
                // SAFETY: as above.
                let released = unsafe { self.heap.release_since(tag, mark) };
                assert_eq!(released.unwrap().blocks, gone);
            }
            (5, _) => {
                let from = self.tag();
                self.heap.merge(from, tag).unwrap();
                self.live
                    .iter_mut()
                    .filter(|live| live.tag == from)
                    .for_each(|live| live.tag = tag);
            }
            (6..15, Some(index)) => {
                self.heap.retag(self.live[index].ptr, tag).unwrap();
                self.live[index].tag = tag;
            }
            (15..30, Some(index)) => self.resize(index, layout),
            (30..60, Some(index)) => {
                let live = self.live.swap_remove(index);
                self.counts(live.tag).deallocations += 1;
                // SAFETY: as above.
                unsafe { self.heap.deallocate(live.ptr, live.layout) }.unwrap();
            }
            _ => {
                let Ok(block) = self.heap.allocate(tag, layout) else {
                    return;
                };
                let counts = self.counts(tag);
                counts.allocations += 1;
                counts.largest = counts.largest.max(layout.size());
                let age = self.marks.len();
                self.live.push(Live {
                    ptr: block.cast(),
                    layout,
                    tag,
                    age,
                });
            }
        }
    }

    fn resize(&mut self, index: usize, layout: Layout) {
        let Live {
            ptr, layout: old, ..
        } = self.live[index];
        let resized = if layout.size() >= old.size() {
            // SAFETY: the books own the block.
            unsafe { self.heap.grow(ptr, old, layout) }
        } else {
            // SAFETY: as above.
            unsafe { self.heap.shrink(ptr, old, layout) }
        };
        if let Ok(block) = resized {
            self.live[index].ptr = block.cast();
            self.live[index].layout = layout;
        }
    }

    fn compare(&self) {
        if let Err(damage) = self.heap.check() {
            panic!("{damage}\n{}", self.heap.drawing());
        }
        for number in 1..=TAGS {
            let tag = Tag::new(number);
            let stats = self.heap.stats_of(tag).unwrap();
            let mine: Vec<_> = self.live.iter().filter(|live| live.tag == tag).collect();
            assert_eq!(stats.blocks, mine.len(), "{tag}: {}", self.heap.drawing());
            let usable = |live: &&Live| self.heap.usable_size(live.ptr).unwrap() + 32;
            assert_eq!(stats.bytes, mine.iter().map(usable).sum::<usize>());
            if R::SPLITS {
                let asked: usize = mine.iter().map(|live| live.layout.size()).sum();
                assert_eq!(stats.requested, asked);
            }
            if self.has_ledger {
                let counts = self.counts.get(&tag).copied().unwrap_or_default();
                assert_eq!(stats.allocations, counts.allocations);
                assert_eq!(stats.deallocations, counts.deallocations);
                assert_eq!(stats.largest, counts.largest);
                assert!(stats.peak >= stats.bytes);
            }
            let walked = self.heap.blocks_of(tag).count();
            assert_eq!(walked, mine.len());
        }
        let stats = self.heap.stats().unwrap();
        assert_eq!(
            stats.used.bytes + stats.free.bytes + stats.own.bytes,
            stats.row
        );
        assert_eq!(stats.used.blocks, self.live.len());
    }

    fn run(mut self, steps: usize) {
        for step in 0..steps {
            self.step();
            if step % 16 == 0 {
                self.compare();
            }
        }
        self.compare();
    }
}

fn buffer(length: usize) -> Buffer<'static> {
    Buffer::new(vec![0; length].leak())
}

fn run<R: Rule>(rule: R) {
    for seed in 0..6 {
        let reserve = || Reserve::new().unwrap();
        Books::new(reserve(), rule, Directory::new(), true, seed).run(4_000);
        Books::new(reserve(), rule, Scan, true, seed).run(2_000);
        Books::new(buffer(200 << 10), rule, Directory::new(), true, seed).run(4_000);
        Books::new(buffer(60 << 10), rule, Directory::new(), false, seed).run(2_000);
    }
}

#[test]
fn books_under_split() {
    run(Split);
}

#[test]
fn books_under_whole() {
    run(Whole);
}
