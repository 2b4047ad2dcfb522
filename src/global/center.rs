//! The centre: the heap and the table of spans, behind the lock that all threads share.
//!
//! # Safety
//!
//! Memory for the books, threads and stocks, is taken once and never given back; all-zero bytes are valid ones of
//! these. The break is moved only by a heap whose maker promised that it is the program's own.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::global::classes::{Class, LARGEST};
use crate::global::giving::not_a_block;
use crate::global::ground::Ground;
use crate::global::idle;
use crate::global::magazine::Entry;
use crate::global::shelf::{self, Shelf};
use crate::global::span::{ROOM, SPAN, Span};
use crate::global::spans::{Roll, RollRoom};
use crate::global::stock::Stock;
use crate::global::thread::{self, Thread};
use crate::ground::source::program_break::Break;
use crate::ground::source::reserve::Reserve;
use crate::heap::Heap;
use crate::sharing::lock::Guarded;
use crate::sharing::shared_heap::Futex;
use crate::words::error::{Error, OutOfMemory, Shortage};
use crate::words::stats::Amount;
use crate::words::tag::Tag;

/// The tag of the books: what is known of threads and their stocks.
pub(super) const BOOKS: Tag = Tag::named("tagheap");

/// The heap and the table of its spans.
#[derive(Debug)]
pub(super) struct Center {
    pub(super) heap: GroundHeap,
    roll: Roll,
}

/// The heap of the centre.
pub(super) type GroundHeap = Heap<Ground>;

static CENTER: Guarded<Option<Center>, Futex> = Guarded::new(None);

/// The program break is the program's own, as whoever said so promised.
static OWNS_BREAK: AtomicBool = AtomicBool::new(false);

/// The heap is to lie in huge pages.
static IS_HUGE: AtomicBool = AtomicBool::new(false);

/// What a span's block is to be: it starts at a multiple of 64 KiB, and the next one's header behind it.
const BLOCK: Layout = match Layout::from_size_align(ROOM, SPAN) {
    Ok(layout) => layout,
    Err(_) => Layout::new::<()>(),
};

/// Notes that the break is the program's own, for a heap that is not made yet.
///
/// # Safety
///
/// As for [`Break::new`].
pub(super) unsafe fn own_break() {
    OWNS_BREAK.store(true, Ordering::Relaxed);
}

/// Notes that a heap that is not made yet is to lie in huge pages.
pub(super) fn prefer_huge_pages() {
    IS_HUGE.store(true, Ordering::Relaxed);
}

/// Uses the centre, alone; the first to do so makes it.
///
/// # Errors
///
/// [`Misuse::Reentered`](crate::Misuse::Reentered) if this thread uses it already, and those of making it.
pub(super) fn with<T>(work: impl FnOnce(&mut Center) -> T) -> Result<T, Error> {
    let mut is_new = false;
    let answer = CENTER.with(|center| match center {
        Some(center) => Ok(work(center)),
        None => {
            is_new = true;
            Ok(work(center.insert(Center::new()?)))
        }
    })?;
    if is_new && answer.is_ok() {
        super::exit::prepare();
    }
    answer
}

/// Takes the lock ahead of a fork.
///
/// # Errors
///
/// [`Misuse::Reentered`](crate::Misuse::Reentered) if this thread has it.
pub(super) fn before_fork() -> Result<(), Error> {
    Ok(CENTER.before_fork()?)
}

/// Gives the lock back after a fork.
///
/// # Safety
///
/// This thread took it by [`before_fork`], and calls this once in each process.
pub(super) unsafe fn after_fork() {
    // SAFETY: the caller's promise.
    unsafe { CENTER.after_fork() };
}

/// Whoever names more bytes than that names no book.
const _: () = assert!(size_of::<Thread>() <= LARGEST && size_of::<Stock>() <= LARGEST);
const _: () = assert!((shelf::room(Class::numbered(0)) + 1) * size_of::<Entry>() <= LARGEST);

impl Center {
    fn new() -> Result<Self, Error> {
        let ground = if OWNS_BREAK.load(Ordering::Relaxed) {
            // SAFETY: promised when the flag was set; the centre is made once.
            Ground::Break(unsafe { Break::new() })
        } else {
            let reserve = Reserve::new()?;
            Ground::Reserve(match IS_HUGE.load(Ordering::Relaxed) {
                true => reserve.in_huge_pages(),
                false => reserve,
            })
        };
        let lacking = OutOfMemory {
            tag: Tag::HEAP,
            size: SPAN,
            align: SPAN,
            cause: Shortage::Index,
        };
        // First, as it leaves nothing behind if the rest is refused: of a heap the break would stay where it is.
        let room = RollRoom::new().ok_or(lacking)?;
        let heap = Heap::new(ground)?;
        let roll = room.begin(heap.base());
        Ok(Self { heap, roll })
    }

    pub(super) fn make_thread(&mut self) -> Result<&'static Thread, Error> {
        let at = self.books(Layout::new::<Thread>())?;
        // SAFETY: zero, as large and aligned as that, and never given back.
        Ok(unsafe { at.cast().as_ref() })
    }

    pub(super) fn make_stock(&mut self) -> Result<&'static Stock, Error> {
        let at = self.books(Layout::new::<Stock>())?;
        // SAFETY: zero, as large and aligned as that, and never given back.
        Ok(unsafe { at.cast().as_ref() })
    }

    /// Whether one of the books starts at an address, of which somebody names so many bytes: a block that is no
    /// caller's. No question to the heap where there are more than any has.
    pub(super) fn is_book(&self, ptr: NonNull<u8>, bytes: usize) -> bool {
        bytes <= LARGEST && self.heap.tag_of(ptr) == Ok(BOOKS)
    }

    /// Takes a block back that is a caller's.
    ///
    /// # Errors
    ///
    /// Those of giving a block back to the heap.
    ///
    /// # Safety
    ///
    /// The caller holds it, and nobody uses it afterwards.
    pub(super) unsafe fn give_block(
        &mut self,
        ptr: NonNull<u8>,
        layout: Layout,
    ) -> Result<(), Error> {
        if self.is_book(ptr, layout.size()) {
            return Err(not_a_block(ptr));
        }
        // SAFETY: the caller's promise.
        unsafe { self.heap.deallocate(ptr, layout)? };
        idle::count(layout.size());
        Ok(())
    }

    fn books(&mut self, layout: Layout) -> Result<NonNull<u8>, Error> {
        // Lines of their own: what one thread writes, others do not wait for.
        let layout = layout.align_to(64).unwrap_or(layout).pad_to_align();
        Ok(self.heap.allocate_zeroed(BOOKS, layout)?.cast())
    }

    /// Gives the magazine of a class room.
    fn furnish(&mut self, shelf: &Shelf, class: Class) -> Result<(), Error> {
        // One more lies in front of the others.
        let count = shelf::room(class) + 1;
        let layout = Layout::array::<Entry>(count).unwrap_or(Layout::new::<Entry>());
        let at = self.books(layout)?.cast::<Entry>();
        // SAFETY: zero, so many, as aligned as that, and never given back.
        let entries = unsafe { core::slice::from_raw_parts(at.as_ptr(), count) };
        shelf.magazine.furnish(entries);
        Ok(())
    }

    fn open_span(&mut self, stock: &'static Stock, class: Class) -> Result<&'static Span, Error> {
        let shelf = stock.shelf(class);
        if shelf.magazine.room() == 0 {
            self.furnish(shelf, class)?;
        }
        let block = self.heap.allocate(stock.tag(), BLOCK)?.cast::<u8>();
        let Some(span) = self.roll.open(block, class) else {
            // SAFETY: a block that nobody knows of.
            unsafe { self.heap.deallocate(block, BLOCK)? };
            return Err(OutOfMemory {
                tag: stock.tag(),
                size: ROOM,
                align: SPAN,
                cause: Shortage::Index,
            }
            .into());
        };
        span.stock.set(Some(stock));
        span.be_quick(shelf);
        stock.add(span);
        Ok(span)
    }

    /// Takes a span in which nothing is in use from its stock, and gives its block back.
    ///
    /// # Errors
    ///
    /// Those of giving a block back to the heap.
    pub(super) fn close_span(
        &mut self,
        stock: &'static Stock,
        span: &'static Span,
    ) -> Result<(), Error> {
        let Some(block) = NonNull::new(span.start()) else {
            return Ok(());
        };
        // SAFETY: nobody holds a slot of it, and who comes late with one finds no span there.
        unsafe { self.heap.deallocate(block, BLOCK)? };
        stock.remove(span);
        self.roll.close(span);
        idle::count(SPAN);
        Ok(())
    }

    /// Releases a tag: its spans and blocks, in all threads' stocks.
    ///
    /// # Safety
    ///
    /// Nobody uses what was allocated under it, and no other thread allocates or gives back under it meanwhile.
    pub(super) unsafe fn release(&mut self, tag: Tag) -> Result<Amount, Error> {
        // SAFETY: the caller's promise. An error has changed nothing.
        let amount = unsafe { self.heap.release(tag)? };
        let stocks = thread::all().flat_map(Thread::stocks);
        for stock in stocks.filter(|stock| stock.tag() == tag) {
            stock.all().for_each(|span| self.roll.close(span));
            stock.clear();
        }
        idle::count(amount.bytes);
        Ok(amount)
    }
}

/// A new span for a stock.
///
/// # Errors
///
/// Those of a request to the heap.
pub(super) fn open_span(stock: &'static Stock, class: Class) -> Result<&'static Span, Error> {
    with(|center| center.open_span(stock, class))?
}

/// Gives a span back in which nothing is in use.
///
/// # Errors
///
/// Those of giving a block back to the heap.
pub(super) fn close_span(stock: &'static Stock, span: &'static Span) -> Result<(), Error> {
    with(|center| center.close_span(stock, span))?
}
