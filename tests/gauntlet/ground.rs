//! What heaps under test stand on: dirty buffers, reservations, and a source that is told what to do.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::num::NonZero;
use core::ptr::NonNull;
use std::rc::Rc;

use tagheap::{Buffer, Corruption, HEADER, Refusal, Reserve, Source, UNIT};

/// Memory for a source, which outlives the heap.
pub(crate) trait Ground {
    type Source: Source;

    /// Memory for a row of at least so many bytes, dirty where the source allows that.
    fn new(bytes: usize) -> Self;

    fn source(&self) -> Self::Source;

    /// Address behind what can be read of a row that ends at `end`, memory behind the source's included.
    fn readable(&self, end: usize) -> usize;

    /// Whether there is memory for indexes: a ledger, and what the placement has.
    fn has_indexes(&self) -> bool;
}

/// A ground whose break somebody else may move.
pub(crate) trait Shaken: Ground {
    fn stepped(&self) -> &Stepped;
}

/// Bytes of our own, all 0xff, from an address that is a multiple of 8 only; and some behind them.
#[derive(Debug)]
struct Dirty {
    start: NonNull<u8>,
    layout: Layout,
}

impl Dirty {
    const SKIP: usize = 8;

    /// Bytes behind, which are nobody's.
    const BEHIND: usize = 64;

    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes + 2 * UNIT + Self::BEHIND, 4096).unwrap();
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        // SAFETY: all bytes were just allocated.
        unsafe { start.write_bytes(0xff, layout.size()) };
        Self { start, layout }
    }

    fn slice(&self) -> NonNull<[u8]> {
        // SAFETY: the allocation is larger than that.
        let start = unsafe { self.start.add(Self::SKIP) };
        let length = self.layout.size() - Self::BEHIND - Self::SKIP;
        NonNull::slice_from_raw_parts(start, length)
    }

    fn end(&self) -> usize {
        (self.readable() - Self::BEHIND) & !(UNIT - 1)
    }

    fn readable(&self) -> usize {
        self.start.addr().get() + self.layout.size()
    }
}

impl Drop for Dirty {
    fn drop(&mut self) {
        let behind = self.readable() - Self::BEHIND..self.readable();
        // SAFETY: within the allocation.
        let read = |at| unsafe { self.start.with_addr(at_address(at)).read() };
        let is_untouched = behind.into_iter().all(|at| read(at) == 0xff);
        assert!(is_untouched || std::thread::panicking(), "nobody's bytes");
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
        let small = Self(Dirty::new(bytes));
        if small.has_indexes() {
            // A twelfth of all and a page hold the indexes.
            Self(Dirty::new(bytes + bytes / 11 + 4096 + 2 * UNIT))
        } else {
            small
        }
    }

    fn source(&self) -> Self::Source {
        // SAFETY: the memory outlives the heap, which alone uses it; tests look at it only through the pointer
        // that the source derives from this borrow.
        Buffer::new(unsafe { self.0.slice().as_mut() })
    }

    fn readable(&self, _end: usize) -> usize {
        self.0.readable()
    }

    fn has_indexes(&self) -> bool {
        self.source().index_room() > 0
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
        let index_room = Reserve::with_capacity(1).unwrap().index_room();
        Reserve::with_capacity(self.0 + index_room).unwrap()
    }

    fn readable(&self, end: usize) -> usize {
        end
    }

    fn has_indexes(&self) -> bool {
        true
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
    /// By how many bytes the limit falls short of where it could be.
    pub(crate) short: Cell<usize>,
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

    fn with(bytes: usize) -> Self {
        Self {
            memory: Rc::new(Dirty::new(bytes)),
            knobs: Rc::default(),
        }
    }

    fn steps(&self, maps: bool) -> Steps {
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
            maps,
        }
    }

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
    /// Whether indexes may lie in mappings.
    maps: bool,
}

impl Ground for Stepped {
    type Source = Steps;

    fn new(bytes: usize) -> Self {
        Self::with(bytes + Steps::INDEX_ROOM)
    }

    fn source(&self) -> Self::Source {
        self.steps(true)
    }

    fn readable(&self, _end: usize) -> usize {
        self.memory.readable()
    }

    fn has_indexes(&self) -> bool {
        true
    }
}

impl Shaken for Stepped {
    fn stepped(&self) -> &Stepped {
        self
    }
}

/// As [`Stepped`], without memory for indexes.
#[derive(Debug)]
pub(crate) struct Bare(Stepped);

impl Ground for Bare {
    type Source = Steps;

    fn new(bytes: usize) -> Self {
        Self(Stepped::with(bytes))
    }

    fn source(&self) -> Self::Source {
        self.0.steps(false)
    }

    fn readable(&self, end: usize) -> usize {
        self.0.readable(end)
    }

    fn has_indexes(&self) -> bool {
        false
    }
}

impl Shaken for Bare {
    fn stepped(&self) -> &Stepped {
        &self.0
    }
}

impl Steps {
    pub(crate) const INDEX_ROOM: usize = 4096;
}

// SAFETY: the memory is kept alive by the source, a header's room is kept below the top, and foreign bytes
// lie between an old top and the frontier only.
unsafe impl Source for Steps {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        let kept = HEADER + self.knobs.short.get();
        (self.top - self.base.addr().get()).saturating_sub(kept) + self.base.addr().get()
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
        let kept = HEADER + self.knobs.short.get();
        let exact = to.checked_add(kept).ok_or(Refusal::NoMemory)?;
        if exact > self.memory.end() {
            return Err(Refusal::NoMemory);
        }
        self.top = exact.next_multiple_of(Stepped::STEP).min(self.memory.end());
        self.knobs.top.set(self.top);
        Ok(())
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        let top = to + HEADER + self.knobs.short.get();
        if self.knobs.top.get() == self.top && top < self.top {
            self.top = top;
            self.knobs.top.set(top);
        }
        usize::MAX
    }

    /// As a kernel would whose pages are of no size: no byte that was given away is there any more.
    unsafe fn purge(&mut self, from: usize, to: usize) -> usize {
        assert!(self.base.addr().get() <= from && from <= to && to <= self.limit());
        for at in from..to {
            // SAFETY: within the allocation.
            unsafe { self.memory.start.with_addr(at_address(at)).write(0) };
        }
        to - from
    }

    fn zero_from(&self) -> usize {
        usize::MAX
    }

    fn index_room(&self) -> usize {
        if self.maps { Self::INDEX_ROOM } else { 0 }
    }

    fn may_map(&self) -> bool {
        self.maps
    }
}

pub(crate) fn at_address(at: usize) -> NonZero<usize> {
    NonZero::new(at).unwrap()
}
