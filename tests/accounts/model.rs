//! Random operations of every sort against books kept by hand.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use fastrand::Rng;
use tagheap::{
    Break, Buffer, Directory, Error, Heap, Key, Mark, Placement, Reserve, Rule, Scan, Shortage,
    Source, Split, Tag, Whole,
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

/// What is known of a tag but its blocks, counted by hand.
#[derive(Clone, Copy, Default)]
struct Counts {
    allocations: u64,
    deallocations: u64,
    failures: u64,
    largest: usize,
    peak: usize,
    limit: Option<usize>,
}

struct Books<S: Source, R: Rule, P: Placement> {
    heap: Heap<S, R, P>,
    random: Rng,
    live: Vec<Live>,
    counts: BTreeMap<Tag, Counts>,
    marks: Vec<Mark>,
    has_ledger: bool,
    /// Whether somebody else takes memory behind the heap's, too.
    has_company: bool,
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
            has_company: false,
        }
    }

    /// Somebody else takes memory behind the heap's, now and then.
    fn in_company(mut self) -> Self {
        self.has_company = true;
        self
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

    /// Bytes of the block at an address, header included.
    fn size(&self, ptr: NonNull<u8>) -> usize {
        self.heap.usable_size(ptr).unwrap() + 32
    }

    /// Bytes that a tag holds.
    fn held(&self, tag: Tag) -> usize {
        let blocks = self.live.iter().filter(|live| live.tag == tag);
        blocks.map(|live| self.size(live.ptr)).sum()
    }

    /// A tag held so many bytes more than it does now, for a moment.
    fn rises(&mut self, tag: Tag, more: usize) {
        let held = self.held(tag) + more;
        let counts = self.counts(tag);
        counts.peak = counts.peak.max(held);
    }

    /// A request was refused: by the tag's limit, or because the memory was full.
    fn fails(&mut self, tag: Tag, layout: Layout, error: Error) {
        let Error::OutOfMemory(error) = error else {
            panic!("{error}")
        };
        assert_eq!(
            (error.tag, error.size, error.align),
            (tag, layout.size(), layout.align())
        );
        if let Shortage::Limit { limit, held } = error.cause {
            assert_eq!(self.held(tag), held);
            assert_eq!(self.counts(tag).limit, Some(limit));
            // What it holds, a block of the size, and what cannot be split off it.
            let would_hold = self.held(tag) + layout.size() + 32 + 16 + 32;
            assert!(!R::SPLITS || would_hold > limit);
        } else {
            assert_eq!(error.cause, Shortage::Refused);
        }
        self.counts(tag).failures += 1;
    }

    /// What a release would do, which it then does.
    fn release(&mut self, tag: Tag) {
        let forecast = self.heap.would_release(tag).unwrap();
        let gone = self.gone(|live| live.tag == tag);
        // SAFETY: the books use the blocks no more.
        let released = unsafe { self.heap.release(tag) }.unwrap();
        assert_eq!(released.blocks, gone);
        assert_eq!((forecast.amount, forecast.end), (released, self.heap.end()));
    }

    /// A limit, mostly near what the tag holds; or none.
    fn limit(&mut self, tag: Tag) {
        let held = self.held(tag);
        let limit = match self.random.u8(..4) {
            0 => Some(self.random.usize(..=held)),
            1 => Some(held + self.random.usize(..2000)),
            _ => None,
        };
        match self.heap.set_limit(tag, limit) {
            Ok(()) => self.counts(tag).limit = limit,
            Err(error) => assert!(!self.has_ledger, "{error}"),
        }
    }

    /// A tag's peak begins anew, or everything that is known of it.
    fn begin_anew(&mut self, tag: Tag) {
        let held = self.held(tag);
        self.heap.reset_peak(tag);
        self.counts(tag).peak = held;
        self.heap.forget(tag);
        if held == 0 {
            self.counts.remove(&tag);
        }
    }

    /// Whether a tag may get so many bytes more; if not, that is what the error says.
    fn moves(&mut self, answer: Result<(), Error>, to: Tag, more: usize) -> bool {
        let limit = self.counts(to).limit;
        let goes_beyond = limit.is_some_and(|limit| self.held(to) + more > limit);
        match answer {
            Ok(()) => assert!(!goes_beyond || more == 0),
            Err(error) => assert!(
                goes_beyond && matches!(error, Error::OutOfMemory(error) if error.tag == to),
                "{error}"
            ),
        }
        answer.is_ok()
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
        if self.has_company && self.random.u8(..) == 0 {
            foreign(self.random.usize(1..5000));
        }
        let (tag, layout) = (self.tag(), self.layout());
        let some = (!self.live.is_empty()).then(|| self.random.usize(..self.live.len()));
        match (self.random.u32(..100), some) {
            (0, _) => self.release(tag),
            (1, _) => {
                let odd = |tag: Tag| tag.number() % 4 == 1;
                let gone = self.gone(|live| odd(live.tag));
                // SAFETY: the books use the blocks no more.
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
                let more = if from == tag { 0 } else { self.held(from) };
                let merged = self.heap.merge(from, tag);
                if self.moves(merged.map(drop), tag, more) {
                    let given = self.live.iter_mut().filter(|live| live.tag == from);
                    given.for_each(|live| live.tag = tag);
                    self.rises(tag, 0);
                }
            }
            (6, _) => self.limit(tag),
            (7, _) => self.begin_anew(tag),
            (8..15, Some(index)) => {
                let Live { ptr, tag: from, .. } = self.live[index];
                let more = if from == tag { 0 } else { self.size(ptr) };
                let retagged = self.heap.retag(ptr, tag);
                if self.moves(retagged, tag, more) {
                    self.live[index].tag = tag;
                    self.rises(tag, 0);
                }
            }
            (15..30, Some(index)) => self.resize(index, layout),
            (30..60, Some(index)) => {
                let live = self.live.swap_remove(index);
                self.counts(live.tag).deallocations += 1;
                // SAFETY: as above.
                unsafe { self.heap.deallocate(live.ptr, live.layout) }.unwrap();
            }
            _ => {
                let block = match self.heap.allocate(tag, layout) {
                    Ok(block) => block,
                    Err(error) => return self.fails(tag, layout, error),
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
                self.rises(tag, 0);
            }
        }
    }

    fn resize(&mut self, index: usize, layout: Layout) {
        let Live {
            ptr,
            layout: old,
            tag,
            ..
        } = self.live[index];
        let before = self.size(ptr);
        let resized = if layout.size() >= old.size() {
            // SAFETY: the books own the block.
            unsafe { self.heap.grow(ptr, old, layout) }
        } else {
            // SAFETY: as above.
            unsafe { self.heap.shrink(ptr, old, layout) }
        };
        match resized {
            Ok(block) => {
                let new = block.cast();
                self.live[index].ptr = new;
                self.live[index].layout = layout;
                // Until it was moved, it was there twice.
                self.rises(tag, if new == ptr { 0 } else { before });
            }
            Err(error) => self.fails(tag, layout, error),
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
                assert_eq!(stats.failures, counts.failures);
                assert_eq!((stats.peak, stats.limit), (counts.peak, counts.limit));
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
        let last = self.live.iter().max_by_key(|live| live.ptr);
        let fence = self.heap.blocks_of(Tag::FOREIGN).last();
        let fence = fence.map_or(0, |fence| fence.unwrap().at);
        // Behind a fence at the end nobody's block keeps the end from falling.
        let last = last.filter(|live| live.ptr.addr().get() > fence);
        assert_eq!(self.heap.pinned_by(), Ok(last.map(|live| live.tag)));
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

/// Bytes over which a break may move.
const AREA: usize = 4 << 20;

thread_local! {
    static BREAK: Cell<usize> = const { Cell::new(0) };
    static END: Cell<usize> = const { Cell::new(0) };
}

fn move_break(to: usize) -> usize {
    if to != 0 && to <= END.get() {
        BREAK.set(to);
    }
    BREAK.get()
}

/// Somebody else moves the break up.
fn foreign(bytes: usize) {
    move_break(BREAK.get() + bytes);
}

/// A break over memory of the test's.
fn simulated() -> Break {
    let area = vec![0_u8; AREA].leak().as_ptr().expose_provenance();
    BREAK.set(area);
    END.set(area + AREA);
    // SAFETY: the memory is leaked, and the test's.
    unsafe { Break::with_call(move_break) }
}

fn run<R: Rule>(rule: R) {
    for seed in 0..12 {
        let reserve = || Reserve::new().unwrap();
        Books::new(reserve(), rule, Directory::new(), true, seed).run(4_000);
        Books::new(reserve(), rule, Scan, true, seed).run(2_000);
        Books::new(buffer(200 << 10), rule, Directory::new(), true, seed).run(4_000);
        Books::new(buffer(60 << 10), rule, Directory::new(), false, seed).run(2_000);
        Books::new(buffer(200 << 10), rule, Scan, true, seed).run(2_000);
        Books::new(simulated(), rule, Directory::new(), true, seed).run(2_000);
        let beside = Books::new(simulated(), rule, Directory::new(), true, seed).in_company();
        beside.run(4_000);
        let beside = Books::new(simulated(), rule, Scan, true, seed).in_company();
        beside.run(2_000);
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
