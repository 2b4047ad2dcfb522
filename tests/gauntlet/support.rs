//! A heap under test, with a note of every block in use and of what is written in it.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::num::NonZero;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::rc::Rc;

use tagheap::{
    Amount, Block, Buffer, Corruption, Error, HEADER, Heap, Key, Placement, Refusal, Reserve, Rule,
    SMALLEST, Source, Tag, UNIT,
};

/// Stamps generic tests onto configurations: `buffer_and_reserve` for what holds over every source, `reserve` for what needs
/// address space, `stepped` for what needs a source that can be told to refuse, to be overtaken, or to shrink.
///
/// **The placements under test are the lines marked so**: module, type, and how many blocks are many.
macro_rules! stamp {
    ($sources:ident: $($test:ident),* $(,)?) => {
        mod $sources {
            stamp!(@placement $sources, scan, tagheap::Scan, 1 << 12; $($test),*); // a placement
        }
    };
    (@placement buffer_and_reserve, $name:ident, $placement:ty, $many:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule buffer_split, Buffered, Split, $placement, $many; $($test),*);
            stamp!(@rule buffer_whole, Buffered, Whole, $placement, $many; $($test),*);
            stamp!(@rule reserve_split, Reserved, Split, $placement, $many; $($test),*);
            stamp!(@rule reserve_whole, Reserved, Whole, $placement, $many; $($test),*);
        }
    };
    (@placement reserve, $name:ident, $placement:ty, $many:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule reserve_split, Reserved, Split, $placement, $many; $($test),*);
            stamp!(@rule reserve_whole, Reserved, Whole, $placement, $many; $($test),*);
        }
    };
    (@placement stepped, $name:ident, $placement:ty, $many:expr; $($test:ident),*) => {
        mod $name {
            stamp!(@rule stepped_split, Stepped, Split, $placement, $many; $($test),*);
            stamp!(@rule stepped_whole, Stepped, Whole, $placement, $many; $($test),*);
        }
    };
    (@rule $name:ident, $ground:ident, $rule:ident, $placement:ty, $many:expr; $($test:ident),*) => {
        mod $name {
            use crate::support::{On, $ground};
            type Here = On<$ground, tagheap::$rule, $placement, { $many }>;
            $(
                #[test]
                fn $test() {
                    super::super::super::$test::<Here>();
                }
            )*
        }
    };
}

/// One configuration of a heap.
pub(crate) trait Config {
    type Ground: Ground;
    type Rule: Rule + Default;
    type Placement: Placement + Default;
    /// How many blocks this configuration handles in a test's time, one by one.
    const MANY: usize;
    const SPLITS: bool = Self::Rule::SPLITS;
}

#[derive(Debug)]
pub(crate) struct On<G, R, P, const MANY: usize>(PhantomData<(G, R, P)>);

impl<G, R, P, const MANY: usize> Config for On<G, R, P, MANY>
where
    G: Ground,
    R: Rule + Default,
    P: Placement + Default,
{
    type Ground = G;
    type Rule = R;
    type Placement = P;
    const MANY: usize = MANY;
}

pub(crate) type SourceOf<C> = <<C as Config>::Ground as Ground>::Source;
pub(crate) type HeapOf<C> = Heap<SourceOf<C>, <C as Config>::Rule, <C as Config>::Placement>;

pub(crate) fn heap_over<C: Config>(source: SourceOf<C>) -> Result<HeapOf<C>, Error> {
    let (rule, placement) = (C::Rule::default(), C::Placement::default());
    Heap::with(source, rule, placement, Key::FIXED)
}

/// Memory for a source, which outlives the heap.
pub(crate) trait Ground {
    type Source: Source;

    /// Memory of at least so many bytes, dirty where the source allows that.
    fn new(bytes: usize) -> Self;

    fn source(&self) -> Self::Source;

    /// Address behind what can be read of a row that ends at `end`.
    fn readable(&self, end: usize) -> usize;
}

/// Bytes of our own, all 0xff, from an address that is a multiple of 8 only.
#[derive(Debug)]
struct Dirty {
    start: NonNull<u8>,
    layout: Layout,
}

impl Dirty {
    const SKIP: usize = 8;

    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes + 2 * UNIT, 4096).unwrap();
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        // SAFETY: all bytes were just allocated.
        unsafe { start.write_bytes(0xff, layout.size()) };
        Self { start, layout }
    }

    fn slice(&self) -> NonNull<[u8]> {
        // SAFETY: the allocation is larger than that.
        let start = unsafe { self.start.add(Self::SKIP) };
        NonNull::slice_from_raw_parts(start, self.layout.size() - Self::SKIP)
    }

    fn end(&self) -> usize {
        (self.start.addr().get() + self.layout.size()) & !(UNIT - 1)
    }
}

impl Drop for Dirty {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the heap over it is gone.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A [`Buffer`] over dirty bytes.
#[derive(Debug)]
pub(crate) struct Buffered(Dirty);

impl Ground for Buffered {
    type Source = Buffer<'static>;

    fn new(bytes: usize) -> Self {
        Self(Dirty::new(bytes))
    }

    fn source(&self) -> Self::Source {
        // SAFETY: the memory outlives the heap, which alone uses it; tests look at it only through the pointer
        // that the source derives from this borrow.
        Buffer::new(unsafe { self.0.slice().as_mut() })
    }

    fn readable(&self, _end: usize) -> usize {
        self.0.end()
    }
}

/// A [`Reserve`].
#[derive(Debug)]
pub(crate) struct Reserved(usize);

impl Ground for Reserved {
    type Source = Reserve;

    fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    fn source(&self) -> Self::Source {
        Reserve::with_capacity(self.0).unwrap()
    }

    fn readable(&self, end: usize) -> usize {
        end
    }
}

/// Dirty bytes granted step by step, as a program break is: somebody else may move it too.
#[derive(Debug)]
pub(crate) struct Stepped {
    memory: Rc<Dirty>,
    pub(crate) knobs: Rc<Knobs>,
}

/// What a [`Stepped`] source shall do, and what it did.
#[derive(Debug, Default)]
pub(crate) struct Knobs {
    /// Growths it was asked for.
    pub(crate) asked: Cell<usize>,
    /// The growth to refuse, counted from 0 by `asked`, and how many after it.
    pub(crate) refuse: Cell<(usize, usize)>,
    /// How often somebody else comes first, with so many bytes each time.
    pub(crate) overtake: Cell<(usize, usize)>,
    /// Where the break stands, whoever moved it.
    pub(crate) top: Cell<usize>,
    /// Bytes that belong to somebody else.
    foreign: RefCell<Vec<(usize, usize)>>,
}

impl Knobs {
    const FOREIGN: u8 = 0x5a;

    /// Never refuses again.
    pub(crate) fn allow(&self) {
        self.refuse.set((0, 0));
    }

    /// Refuses from now on.
    pub(crate) fn forbid(&self) {
        self.refuse.set((self.asked.get(), usize::MAX));
    }
}

impl Stepped {
    pub(crate) const STEP: usize = 256;

    /// Somebody else moves the break up and writes to what he got.
    pub(crate) fn intrude(&self, bytes: usize) {
        intrude(&self.memory, &self.knobs, bytes);
    }

    /// All bytes of somebody else's are as he wrote them.
    pub(crate) fn foreign_is_untouched(&self) -> bool {
        self.knobs.foreign.borrow().iter().all(|&(from, to)| {
            (from..to).all(|at| {
                // SAFETY: within the allocation.
                let byte = unsafe { self.memory.start.with_addr(at_address(at)).read() };
                byte == Knobs::FOREIGN
            })
        })
    }

    pub(crate) fn foreign(&self) -> Vec<(usize, usize)> {
        self.knobs.foreign.borrow().clone()
    }
}

fn intrude(memory: &Dirty, knobs: &Knobs, bytes: usize) {
    let from = knobs.top.get();
    let to = (from + bytes).min(memory.end());
    for at in from..to {
        // SAFETY: within the allocation.
        unsafe { memory.start.with_addr(at_address(at)).write(Knobs::FOREIGN) };
    }
    knobs.top.set(to);
    knobs.foreign.borrow_mut().push((from, to));
}

/// The source over a [`Stepped`] ground.
#[derive(Debug)]
pub(crate) struct Steps {
    memory: Rc<Dirty>,
    knobs: Rc<Knobs>,
    base: NonNull<u8>,
    /// The break as the source knows it; a fence's header fits between its limit and here.
    top: usize,
}

impl Ground for Stepped {
    type Source = Steps;

    fn new(bytes: usize) -> Self {
        let memory = Rc::new(Dirty::new(bytes));
        Self {
            memory,
            knobs: Rc::default(),
        }
    }

    fn source(&self) -> Self::Source {
        let base = self.memory.slice().cast::<u8>();
        // SAFETY: the allocation is longer than that, and its start is a multiple of 4096.
        let base = unsafe { base.add(UNIT - Dirty::SKIP) };
        let top = base.addr().get();
        self.knobs.top.set(top);
        Steps {
            memory: Rc::clone(&self.memory),
            knobs: Rc::clone(&self.knobs),
            base,
            top,
        }
    }

    fn readable(&self, _end: usize) -> usize {
        self.memory.end()
    }
}

// SAFETY: the memory is kept alive by the source, a header's room is kept below the top, and foreign bytes
// lie between an old top and the frontier only.
unsafe impl Source for Steps {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        (self.top - self.base.addr().get()).saturating_sub(HEADER) + self.base.addr().get()
    }

    fn frontier(&self) -> Result<usize, Corruption> {
        let (expected, found) = (self.top, self.knobs.top.get());
        if found < expected {
            return Err(Corruption::BreakMoved { expected, found });
        }
        Ok(if found == expected {
            self.limit()
        } else {
            found.next_multiple_of(UNIT)
        })
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        assert_eq!(
            self.frontier(),
            Ok(frontier),
            "grown from where it was told"
        );
        assert!(to > self.limit(), "asked for more than is there");
        let asked = self.knobs.asked.replace(self.knobs.asked.get() + 1);
        let (first, count) = self.knobs.refuse.get();
        if asked >= first && asked - first < count {
            return Err(Refusal::NoMemory);
        }
        if let (times @ 1.., bytes) = self.knobs.overtake.get() {
            self.knobs.overtake.set((times - 1, bytes));
            intrude(&self.memory, &self.knobs, bytes);
            return Err(Refusal::Overtaken);
        }
        let exact = to.checked_add(HEADER).ok_or(Refusal::NoMemory)?;
        if exact > self.memory.end() {
            return Err(Refusal::NoMemory);
        }
        self.top = exact.next_multiple_of(Stepped::STEP).min(self.memory.end());
        self.knobs.top.set(self.top);
        Ok(())
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        let top = to + HEADER;
        if self.knobs.top.get() == self.top && top < self.top {
            self.top = top;
            self.knobs.top.set(top);
        }
        usize::MAX
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }
}

fn at_address(at: usize) -> NonZero<usize> {
    NonZero::new(at).unwrap()
}

/// What a careless caller does: every call without its promise. The memory is a test's own, and
/// nothing refers to it but pointers.
pub(crate) trait Careless {
    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error>;
    fn free_in(&mut self, tag: Tag, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error>;
    fn enlarge(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout)
    -> Result<NonNull<u8>, Error>;
    fn enlarge_zeroed(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error>;
    fn reduce(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error>;
    fn release_tag(&mut self, tag: Tag) -> Result<Amount, Error>;
    fn release_if(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error>;
}

impl<S: Source, R: Rule, P: Placement> Careless for Heap<S, R, P> {
    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.deallocate(ptr, layout) }
    }

    fn free_in(&mut self, tag: Tag, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.deallocate_in(tag, ptr, layout) }
    }

    fn enlarge(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let grown = unsafe { self.grow(ptr, old, new) }?;
        assert_eq!(grown.len(), new.size());
        Ok(grown.cast())
    }

    fn enlarge_zeroed(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let grown = unsafe { self.grow_zeroed(ptr, old, new) }?;
        assert_eq!(grown.len(), new.size());
        Ok(grown.cast())
    }

    fn reduce(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let shrunk = unsafe { self.shrink(ptr, old, new) }?;
        assert_eq!(shrunk.len(), new.size());
        Ok(shrunk.cast())
    }

    fn release_tag(&mut self, tag: Tag) -> Result<Amount, Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.release(tag) }
    }

    fn release_if(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.release_where(pick) }
    }
}

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

pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub(crate) fn bytes(size: usize) -> Layout {
    layout(size, 1)
}

/// Bytes of the block that a request for `size` bytes needs: written anew, to compare with.
pub(crate) fn block_size(size: usize) -> usize {
    HEADER + size.max(1).div_ceil(UNIT) * UNIT
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

    /// The heap's own check; and that the blocks tile the row, that those in use are the ones we know, and
    /// that no free ones touch where the rule joins them.
    pub(crate) fn check(&self) {
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
        for live in self.live.values() {
            self.content(live, live.layout.size());
        }
    }

    pub(crate) fn content(&self, live: &Live, size: usize) {
        let found = self.read(live.ptr.addr().get(), size);
        let wrong = (0..size).find(|&index| found[index] != pattern(live.seed, index));
        assert_eq!(wrong, None, "first wrong byte of {live:?}");
    }

    pub(crate) fn adopt(&mut self, ptr: NonNull<u8>, layout: Layout, tag: Tag) {
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
        self.check();
    }

    pub(crate) fn allocate(&mut self, tag: Tag, layout: Layout) -> Result<NonNull<u8>, Error> {
        self.check();
        let block = self.heap.allocate(tag, layout)?;
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
        let block = self.heap.allocate_zeroed(tag, layout)?.cast::<u8>();
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
        self.heap.free(ptr, live.layout).unwrap();
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
        let moved = match zeroed {
            _ if new.size() < old.size() => self.heap.reduce(ptr, old, new)?,
            true => self.heap.enlarge_zeroed(ptr, old, new)?,
            false => self.heap.enlarge(ptr, old, new)?,
        };
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
        self.heap.retag(ptr, tag).unwrap();
        self.live.get_mut(&ptr.addr().get()).unwrap().tag = tag;
        self.check();
    }

    /// Releases the tags picked, and answers the blocks that went.
    pub(crate) fn release(&mut self, pick: impl Fn(Tag) -> bool) -> Vec<Live> {
        let amount = self.amount(&pick);
        let released = self.heap.release_if(&pick).unwrap();
        assert_eq!(released, amount);
        self.forget(pick)
    }

    pub(crate) fn release_one(&mut self, tag: Tag) -> Vec<Live> {
        let amount = self.amount(|other| other == tag);
        assert_eq!(self.heap.stats_of(tag), Ok(amount));
        assert_eq!(self.heap.release_tag(tag), Ok(amount));
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
            let end = drawing.floor_char_boundary(4000);
            eprintln!("the heap:\n{}", &drawing[..end]);
        }
    }
}
