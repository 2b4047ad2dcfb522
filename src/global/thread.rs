//! What is known of a thread: its stocks, one a tag, and whether it still lives.
//!
//! Records stay when their threads go. A thread that makes its first request takes over one that was left, or
//! whose thread the kernel does not know any more, with all the spans in it: so nothing is lost with a thread,
//! whether it says that it goes or not.

use crate::global::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};
use crate::global::center::{self, Center};
use crate::global::link::Link;
use crate::global::local::Local;
use crate::global::stock::Stock;
use crate::sharing::thread;
use crate::words::error::Error;
use crate::words::tag::Tag;

/// How many lists a thread's stocks are spread over.
const LISTS: usize = 64;

/// How many threads are asked for whether they live when another one comes.
const ASKED: usize = 16;

/// How many stocks are looked at for one that is not in use when another is wanted.
const LOOKS: usize = 4;

/// A thread, or what one left. All-zero bytes are one without stocks.
#[derive(Debug)]
pub(super) struct Thread {
    /// The kernel's numbers for the thread and its process.
    number: AtomicU32,
    process: AtomicU32,
    /// Whose it is: [`TAKEN`], [`LEFT`] or [`TIDIED`].
    state: AtomicU8,
    /// The next of all.
    next: Link<Thread>,
    /// All its stocks.
    stocks: Link<Stock>,
    /// Where to look next for one that is not in use.
    looked: Link<Stock>,
    by_tag: [Link<Stock>; LISTS],
}

/// It is a thread's, which may be gone without a word.
const TAKEN: u8 = 0;

/// Its thread said that it goes: it is whoever's that makes it his first.
const LEFT: u8 = 1;

/// Its thread said so, and another gives back what is not in use: it is nobody else's meanwhile.
const TIDIED: u8 = 2;

/// All threads.
static ALL: Link<Thread> = Link::none();

/// Something was given back into spans whose thread is gone.
static LEFT_CHANGED: AtomicBool = AtomicBool::new(false);

/// Where to ask next whether a thread lives.
static ASK_NEXT: Link<Thread> = Link::none();

/// All threads that ever were, or what is left of them.
pub(super) fn all() -> impl Iterator<Item = &'static Thread> {
    core::iter::successors(ALL.get(), |thread| thread.next.get())
}

/// Makes the calling thread one of those that have stocks.
///
/// # Errors
///
/// Those of a request to the heap.
#[cold]
pub(super) fn admit(local: &Local) -> Result<&'static Thread, Error> {
    let (number, process) = thread::numbers();
    let record = center::with(|center| -> Result<_, Error> {
        if let Some(left) = take_over(number, process) {
            return Ok(left);
        }
        let new = center.make_thread()?;
        new.be(number, process);
        new.next.set(ALL.get());
        ALL.set(Some(new));
        Ok(new)
    })??;
    local.thread.set(Some(record));
    super::exit::expect();
    Ok(record)
}

/// A record that its thread left, or of a thread that is gone; under the lock.
fn take_over(number: u32, process: u32) -> Option<&'static Thread> {
    let found = all().find(|thread| thread.claim(TAKEN)).or_else(|| {
        // Ask a few, beginning where the last one who came left off.
        let from = ASK_NEXT.get().or(ALL.get());
        let behind = core::iter::successors(from, |thread| thread.next.get());
        { behind.chain(all()).take(ASKED) }.find(|thread| {
            ASK_NEXT.set(thread.next.get());
            thread.is_gone(number, process)
        })
    })?;
    found.be(number, process);
    Some(found)
}

/// Gives back what is not in use any more of what gone threads left; by whoever needs memory.
///
/// # Errors
///
/// As for [`Stock::collect`].
pub(super) fn tidy_left() -> Result<(), Error> {
    if !LEFT_CHANGED.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    let mut answer = Ok(());
    for thread in all().filter(|thread| thread.claim(TIDIED)) {
        let trimmed = thread.trim();
        thread.leave();
        answer = answer.and(trimmed);
    }
    answer
}

impl Thread {
    /// Makes it the caller's, if its thread left it and nobody else was faster.
    fn claim(&self, state: u8) -> bool {
        let (done, not) = (Ordering::Acquire, Ordering::Relaxed);
        self.state.compare_exchange(LEFT, state, done, not).is_ok()
    }

    /// Notes that something was given back into its spans: it is for others to see to that, if it is gone. Asked after
    /// all that this thread did in sequentially consistent order.
    pub(super) fn note_changed(&self) {
        if self.state.load(Ordering::SeqCst) != TAKEN {
            LEFT_CHANGED.store(true, Ordering::Release);
        }
    }

    /// Makes it this thread's.
    fn be(&self, number: u32, process: u32) {
        self.number.store(number, Ordering::Relaxed);
        self.process.store(process, Ordering::Relaxed);
        self.state.store(TAKEN, Ordering::Relaxed);
    }

    /// Whether its thread is gone, and did not say so. Of what a fork copied from other threads of the parent that is
    /// never said: they may have been in the middle of a change.
    fn is_gone(&self, asking: u32, process: u32) -> bool {
        let number = self.number.load(Ordering::Relaxed);
        self.process.load(Ordering::Relaxed) == process
            && (number == asking || thread::is_gone(number, process))
            // Asked last: what it was when its thread went, for who tidies it does not change the number.
            && self.state.load(Ordering::Acquire) == TAKEN
    }

    /// Gives the record up, with all that is in it.
    pub(super) fn leave(&self) {
        let is_first = self.state.load(Ordering::Relaxed) == TAKEN;
        self.state.store(TIDIED, Ordering::Release);
        // Who gave something back before that did not say so; who does later, does.
        fence(Ordering::SeqCst);
        // But for a giver: what he hands over is in no order with that. Whoever tidies next sees it.
        let is_left = |stock: &Stock| stock.is_changed() || (is_first && stock.is_watched());
        // Under the lock, as a release changes stocks of all threads.
        let is_changed = center::with(|_| self.stocks().any(is_left));
        self.state.store(LEFT, Ordering::Release);
        if is_changed.unwrap_or(true) {
            LEFT_CHANGED.store(true, Ordering::Release);
        }
    }

    /// Notes that the thread is another one for the kernel, after a fork.
    pub(super) fn renumber(&self) {
        let (number, process) = thread::numbers();
        self.be(number, process);
    }

    /// Its stock under a tag, if it has one.
    pub(super) fn stock_of(&self, tag: Tag) -> Option<&'static Stock> {
        let first = self.list(tag).get();
        core::iter::successors(first, |stock| stock.alike.get()).find(|stock| stock.tag() == tag)
    }

    /// Its stock under a tag, made if it has none, of one that is not in use and not at hand if there is one.
    ///
    /// # Errors
    ///
    /// Those of a request to the heap.
    pub(super) fn stock_for(
        &'static self,
        tag: Tag,
        at_hand: &Link<Stock>,
    ) -> Result<&'static Stock, Error> {
        if let Some(stock) = self.stock_of(tag) {
            return Ok(stock);
        }
        center::with(|center| {
            // Else one who goes from tag to tag would keep a span warm for each.
            self.looked_at()
                .filter(|stock| !at_hand.is(Some(stock)))
                .try_for_each(|stock| stock.trim(center))?;
            let stock = match self.unused(at_hand) {
                Some(stock) => stock,
                None => self.new_stock(center)?,
            };
            stock.set_tag(tag);
            let list = self.list(tag);
            stock.alike.set(list.get());
            list.set(Some(stock));
            Ok(stock)
        })?
    }

    fn new_stock(&'static self, center: &mut Center) -> Result<&'static Stock, Error> {
        let stock = center.make_stock()?;
        stock.begin(self);
        stock.next.set(self.stocks.get());
        self.stocks.set(Some(stock));
        Ok(stock)
    }

    /// The stocks that are looked at next for one that is not in use.
    fn looked_at(&self) -> impl Iterator<Item = &'static Stock> + use<> {
        let from = self.looked.get().or(self.stocks.get());
        let behind = core::iter::successors(from, |stock| stock.next.get());
        behind.chain(self.stocks()).take(LOOKS)
    }

    /// A stock without spans that is not at hand, taken from its tag's list.
    fn unused(&self, at_hand: &Link<Stock>) -> Option<&'static Stock> {
        let found = self.looked_at().find(|stock| {
            self.looked.set(stock.next.get());
            stock.spans.is(None) && !at_hand.is(Some(stock))
        })?;
        let mut place = self.list(found.tag());
        while let Some(stock) = place.get() {
            if core::ptr::eq(stock, found) {
                place.set(found.alike.get());
                return Some(found);
            }
            place = &stock.alike;
        }
        None
    }

    fn list(&self, tag: Tag) -> &Link<Stock> {
        // Names differ in their high bytes, numbers in their low ones.
        let mixed = tag.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = (mixed >> (u64::BITS - LISTS.ilog2())) as usize;
        self.by_tag.get(number).unwrap_or(&self.stocks)
    }

    /// Its stocks.
    pub(super) fn stocks(&self) -> impl Iterator<Item = &'static Stock> + use<> {
        core::iter::successors(self.stocks.get(), |stock| stock.next.get())
    }

    /// Gives back what is not in use, by the thread itself.
    ///
    /// # Errors
    ///
    /// As for [`Stock::collect`].
    pub(super) fn trim(&self) -> Result<(), Error> {
        center::with(|center| self.stocks().try_for_each(|stock| stock.trim(center)))?
    }

    /// Gives back what is not in use under a tag, by the thread itself.
    ///
    /// # Errors
    ///
    /// As for [`Stock::collect`].
    pub(super) fn trim_under(&self, tag: Tag) -> Result<(), Error> {
        match self.stock_of(tag) {
            Some(stock) => center::with(|center| stock.trim(center))?,
            None => Ok(()),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    static RECORD: Thread = Thread {
        number: AtomicU32::new(0),
        process: AtomicU32::new(0),
        state: AtomicU8::new(TAKEN),
        next: Link::none(),
        stocks: Link::none(),
        looked: Link::none(),
        by_tag: [const { Link::none() }; LISTS],
    };

    #[test]
    #[cfg_attr(miri, ignore = "it asks the kernel which threads there are")]
    fn a_record_that_is_tidied_is_nobody_elses() {
        let (me, process) = thread::numbers();
        let gone = std::thread::spawn(|| thread::numbers().0).join().unwrap();
        while !thread::is_gone(gone, process) {
            thread::give_way();
        }
        RECORD.be(gone, process);
        assert!(RECORD.is_gone(me, process), "without a word");
        assert!(!RECORD.is_gone(me, process + 1), "a parent's");
        RECORD.leave();
        assert!(!RECORD.is_gone(me, process), "it said so");
        assert!(RECORD.claim(TIDIED));
        assert!(!RECORD.claim(TAKEN) && !RECORD.claim(TIDIED));
        assert!(!RECORD.is_gone(me, process), "being tidied");
        RECORD.leave();
        assert!(RECORD.claim(TAKEN));
        assert!(!RECORD.claim(TIDIED));
    }
}
