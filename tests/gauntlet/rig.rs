//! A heap, with a note of every block in use and of what is written in it.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use tagheap::{Amount, Block, Error, HEADER, SMALLEST, Source, Tag, UNIT};
use tagheap_trace::Hidden;

use crate::ground::{Ground, at_address};
use crate::support::{Careless, Config, HeapOf, bytes, heap_over};

/// Bytes nobody asked for, as far as a header tells them.
pub(crate) const MOST_SLACK: usize = 63;

/// A block in use, as the test knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) ptr: NonNull<u8>,
    pub(crate) layout: Layout,
    pub(crate) tag: Tag,
    /// Says what is written in it.
    pub(crate) seed: u8,
}

/// A heap and what must be true of it. Each operation is checked before and after; a test that
/// fails leaves a picture.
pub(crate) struct Rig<C: Config> {
    pub(crate) heap: HeapOf<C>,
    pub(crate) live: BTreeMap<usize, Live>,
    pub(crate) ground: C::Ground,
    base: NonNull<u8>,
    next_seed: u8,
}

impl<C: Config> Rig<C> {
    pub(crate) fn new(bytes: usize) -> Self {
        let ground = C::Ground::new(bytes);
        let source = ground.source();
        let base = source.base();
        let heap = heap_over::<C>(source).unwrap();
        Self {
            heap,
            live: BTreeMap::new(),
            ground,
            base,
            next_seed: 1,
        }
    }

    /// A pointer to any address, derived from the memory's own.
    pub(crate) fn pointer(&self, at: usize) -> NonNull<u8> {
        self.base.with_addr(at_address(at))
    }

    /// All bytes of the row, and those behind it where they can be read.
    pub(crate) fn image(&self) -> Vec<u8> {
        let (base, end) = (self.heap.base(), self.heap.end());
        self.read(base, self.ground.readable(end).max(end) - base)
    }

    pub(crate) fn read(&self, at: usize, count: usize) -> Vec<u8> {
        let mut copy = vec![0; count];
        // SAFETY: the test asks for memory of the ground only.
        unsafe {
            self.pointer(at)
                .copy_to(NonNull::from(&mut copy[..]).cast(), count)
        };
        copy
    }

    /// Writes past the heap's back.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        let source = NonNull::from(bytes).cast();
        // SAFETY: the test writes to memory of the ground only.
        unsafe { self.pointer(at).copy_from(source, bytes.len()) };
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.heap.walk().map(Result::unwrap).collect()
    }

    /// The block of a payload.
    pub(crate) fn block(&self, ptr: NonNull<u8>) -> Block {
        let at = ptr.addr().get() - HEADER;
        self.blocks()
            .into_iter()
            .find(|block| block.at == at)
            .unwrap()
    }

    /// Hides blocks in use from the heap: their bytes are none of its business.
    pub(crate) fn hide(&self, which: impl Fn(&Live) -> bool) -> Vec<Hidden> {
        let hidden = self.live.values().filter(|live| which(live));
        hidden
            .map(|live| Hidden::new(live.ptr, live.layout.size()))
            .collect()
    }

    /// An operation to which no block in use is given.
    pub(crate) fn unseen<T>(&mut self, op: impl FnOnce(&mut HeapOf<C>) -> T) -> T {
        let _held = self.hide(|_| true);
        op(&mut self.heap)
    }

    /// The heap's own check; and that the blocks tile the row, that those in use are the ones we know, and
    /// that no free ones touch where the rule joins them.
    pub(crate) fn check(&self) {
        let _held = self.hide(|_| true);
        self.heap.check().unwrap();
        let mut at = self.heap.base();
        let mut live = self.live.values();
        let mut before_is_free = false;
        for block in self.heap.walk() {
            let block = block.unwrap();
            assert_eq!(block.at, at, "tiles the row");
            assert!(block.size >= SMALLEST && block.size.is_multiple_of(UNIT));
            at = block.end();
            let joined = !C::SPLITS || !(before_is_free || at == self.heap.end());
            assert!(!block.is_free() || joined, "free and not joined: {block:?}");
            before_is_free = block.is_free();
            if let Some(tag) = block.tag().filter(|tag| !tag.is_reserved()) {
                let known = live.next().expect("a block in use that nobody holds");
                assert_eq!((block.payload(), tag), (known.ptr.addr().get(), known.tag));
                assert!(block.usable() >= known.layout.size());
            }
        }
        assert_eq!(at, self.heap.end(), "tiles the row");
        assert_eq!(live.next(), None, "a block that the row has lost");
    }

    /// What is written in every block in use is what its holder wrote.
    pub(crate) fn contents(&self) {
        self.payloads();
        self.accounts();
    }

    /// The first half of [`Rig::contents`], for a heap that has blocks besides.
    pub(crate) fn payloads(&self) {
        for live in self.live.values() {
            self.content(live, live.layout.size());
        }
    }

    /// Every tag's account has the tag's blocks and what was asked for in them.
    fn accounts(&self) {
        let _held = self.hide(|_| true);
        let mut known = BTreeMap::<Tag, (usize, usize)>::new();
        for live in self.live.values() {
            let (blocks, requested) = known.entry(live.tag).or_default();
            *blocks += 1;
            *requested += self.heap.requested_size(live.ptr).unwrap();
        }
        for (tag, account) in known {
            let stats = self.heap.stats_of(tag).unwrap();
            assert_eq!((stats.blocks, stats.requested), account, "{tag:?}");
        }
    }

    pub(crate) fn content(&self, live: &Live, size: usize) {
        let found = self.read(live.ptr.addr().get(), size);
        let wrong = (0..size).find(|&index| found[index] != pattern(live.seed, index));
        assert_eq!(wrong, None, "first wrong byte of {live:?}");
    }

    /// As [`Rig::adopt`], in a row that may be damaged.
    pub(crate) fn write_down(&mut self, ptr: NonNull<u8>, layout: Layout, tag: Tag) {
        let at = ptr.addr().get();
        assert!(at.is_multiple_of(layout.align().max(UNIT)), "aligned");
        assert!(at >= self.heap.base() && at + layout.size() <= self.heap.end());
        let seed = self.next_seed;
        self.next_seed = self.next_seed.wrapping_add(1);
        let content: Vec<_> = (0..layout.size())
            .map(|index| pattern(seed, index))
            .collect();
        self.write(at, &content);
        let live = Live {
            ptr,
            layout,
            tag,
            seed,
        };
        assert_eq!(self.live.insert(at, live), None, "given out twice");
        self.is_apart(at);
        let usable = self.heap.usable_size(ptr).unwrap();
        let told = usable - (usable - layout.size()).min(MOST_SLACK);
        assert_eq!(self.heap.requested_size(ptr), Ok(told));
    }

    /// A block in use has no byte in common with another.
    fn is_apart(&self, at: usize) {
        let end = |live: &Live| {
            let at = live.ptr.addr().get();
            at + self.heap.usable_size(live.ptr).unwrap()
        };
        let before = self.live.range(..at).next_back();
        assert!(before.is_none_or(|(_, before)| end(before) <= at - HEADER));
        let behind = self.live.range(at + 1..).next();
        let own_end = end(&self.live[&at]);
        assert!(behind.is_none_or(|(behind, _)| own_end <= behind - HEADER));
    }

    /// Notes a block that was given out.
    pub(crate) fn adopt(&mut self, ptr: NonNull<u8>, layout: Layout, tag: Tag) {
        self.write_down(ptr, layout, tag);
        self.check();
    }

    pub(crate) fn allocate(&mut self, tag: Tag, layout: Layout) -> Result<NonNull<u8>, Error> {
        self.check();
        let block = self.unseen(|heap| heap.allocate(tag, layout))?;
        assert_eq!(block.len(), layout.size());
        self.adopt(block.cast(), layout, tag);
        Ok(block.cast())
    }

    pub(crate) fn allocate_zeroed(
        &mut self,
        tag: Tag,
        layout: Layout,
    ) -> Result<NonNull<u8>, Error> {
        self.check();
        let block = self.unseen(|heap| heap.allocate_zeroed(tag, layout))?;
        let block = block.cast::<u8>();
        let found = self.read(block.addr().get(), layout.size());
        assert_eq!(found.iter().position(|byte| *byte != 0), None, "all zero");
        self.adopt(block, layout, tag);
        Ok(block)
    }

    /// A block that there must be memory for.
    pub(crate) fn take(&mut self, tag: Tag, size: usize) -> NonNull<u8> {
        self.allocate(tag, bytes(size)).unwrap()
    }

    pub(crate) fn layout_of(&self, ptr: NonNull<u8>) -> Layout {
        self.live[&ptr.addr().get()].layout
    }

    /// Frees a block in use, and answers the layout it had.
    pub(crate) fn free(&mut self, ptr: NonNull<u8>) -> Layout {
        self.check();
        let live = self.live.remove(&ptr.addr().get()).unwrap();
        self.content(&live, live.layout.size());
        self.unseen(|heap| heap.free(ptr, live.layout)).unwrap();
        self.check();
        live.layout
    }

    /// Grows or shrinks a block in use, as the sizes say; in a failure it stays.
    pub(crate) fn resize(
        &mut self,
        ptr: NonNull<u8>,
        new: Layout,
        zeroed: bool,
    ) -> Result<NonNull<u8>, Error> {
        self.check();
        let live = self.live[&ptr.addr().get()];
        let old = live.layout;
        let others = self.hide(|other| other.ptr != ptr);
        let moved = match zeroed {
            _ if new.size() < old.size() => self.heap.reduce(ptr, old, new)?,
            true => self.heap.enlarge_zeroed(ptr, old, new)?,
            false => self.heap.enlarge(ptr, old, new)?,
        };
        drop(others);
        let at = moved.addr().get();
        self.content(&Live { ptr: moved, ..live }, old.size().min(new.size()));
        if let (true, Some(more @ 1..)) = (zeroed, new.size().checked_sub(old.size())) {
            let found = self.read(at + old.size(), more);
            assert_eq!(found.iter().position(|byte| *byte != 0), None, "all zero");
        }
        self.live.remove(&ptr.addr().get());
        self.adopt(moved, new, live.tag);
        Ok(moved)
    }

    pub(crate) fn retag(&mut self, ptr: NonNull<u8>, tag: Tag) {
        self.check();
        self.unseen(|heap| heap.retag(ptr, tag)).unwrap();
        self.live.get_mut(&ptr.addr().get()).unwrap().tag = tag;
        self.check();
    }

    /// Releases the tags picked, and answers the blocks that went.
    pub(crate) fn release(&mut self, pick: impl Fn(Tag) -> bool) -> Vec<Live> {
        let amount = self.amount(&pick);
        let kept = self.hide(|live| !pick(live.tag));
        let released = self.heap.release_if(&pick).unwrap();
        drop(kept);
        assert_eq!(released, amount);
        self.forget(pick)
    }

    pub(crate) fn release_one(&mut self, tag: Tag) -> Vec<Live> {
        let amount = self.amount(|other| other == tag);
        assert_eq!(
            self.heap.stats_of(tag).map(|stats| stats.amount()),
            Ok(amount)
        );
        let kept = self.hide(|live| live.tag != tag);
        assert_eq!(self.heap.release_tag(tag), Ok(amount));
        drop(kept);
        self.forget(|other| other == tag)
    }

    /// Notes that the blocks under the tags picked are gone.
    pub(crate) fn forget(&mut self, pick: impl Fn(Tag) -> bool) -> Vec<Live> {
        let (gone, kept) = self.live.values().partition(|live| pick(live.tag));
        self.live = kept_by_address(kept);
        self.check();
        self.contents();
        gone
    }

    fn amount(&self, pick: impl Fn(Tag) -> bool) -> Amount {
        self.check();
        let mut amount = Amount::default();
        for block in self.blocks() {
            if block
                .tag()
                .is_some_and(|tag| !tag.is_reserved() && pick(tag))
            {
                amount.blocks += 1;
                amount.bytes += block.size;
            }
        }
        amount
    }

    /// An operation that must be refused, and leave every bit of the heap as it was.
    #[track_caller]
    pub(crate) fn refuses<T: core::fmt::Debug>(
        &mut self,
        op: impl FnOnce(&mut HeapOf<C>) -> Result<T, Error>,
    ) -> Error {
        self.check();
        let error = self.leaves(op).expect_err("refused");
        self.check();
        self.contents();
        error
    }

    /// As [`Rig::refuses`], for a heap that may be damaged and an operation that may succeed.
    #[track_caller]
    pub(crate) fn leaves<T>(
        &mut self,
        op: impl FnOnce(&mut HeapOf<C>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.attempt(|rig| op(&mut rig.heap))
    }

    /// An operation that changes no bit of the heap if it answers an error.
    #[track_caller]
    pub(crate) fn attempt<T>(
        &mut self,
        op: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (before, end) = (self.image(), self.heap.end());
        let answer = op(self);
        if let Err(error) = &answer {
            assert_eq!(self.heap.end(), end, "{error}: the end stays");
            let after = self.image();
            if after != before {
                let first = before.iter().zip(&after).position(|(a, b)| a != b);
                panic!("{error}, but bytes of the heap changed, the first at {first:?}");
            }
        }
        answer
    }

    /// Whether the placement answers from an index.
    pub(crate) fn is_indexed(&self) -> bool {
        C::INDEXED && self.has_ledger()
    }

    pub(crate) fn has_ledger(&self) -> bool {
        self.ground.has_indexes()
    }

    /// Free bytes behind the row that the source has granted.
    pub(crate) fn room(&self) -> usize {
        let stats = self.heap.stats().unwrap();
        stats.granted - stats.row
    }
}

fn kept_by_address(kept: Vec<Live>) -> BTreeMap<usize, Live> {
    kept.into_iter()
        .map(|live| (live.ptr.addr().get(), live))
        .collect()
}

fn pattern(seed: u8, index: usize) -> u8 {
    seed.wrapping_mul(29)
        .wrapping_add((index as u8).wrapping_mul(7))
}

impl<C: Config> Drop for Rig<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let drawing = self.heap.drawing().to_string();
            let start = drawing.get(..4000).unwrap_or(&drawing);
            eprintln!("the heap:\n{start}");
        }
    }
}
