//! A stack of numbers that threads and signal handlers push and pop at once, without a lock.
//!
//! After R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM Research Report RJ 5118, 1986.
//!
//! # The protocol
//!
//! Two kinds of words, of 24 bits of index and 40 bits of count. The head: the top number, and how many pops
//! there were. A number's link: the number below it, and its depth, how many the stack has from it down; or
//! [`USED`] while it is not in the stack.
//!
//! - *Pop* reads the head, and the link of its number; then swings the head from what it read to the number
//!   below, counting one more pop. Then the number is its own, and its link becomes `USED`.
//! - *Push* first swings the number's own link from `USED`. One of several who push the same number does, and
//!   the others are told so. Then it links the number to the top, and swings the head to it.
//!
//! The head swings only if it is what was read. Between two pops it only climbs to numbers that are pushed,
//! none of them twice; so a head that is what it was says that the stack is what it was, and with it every
//! link in it. That holds until 2^40 pops come between two instructions of one thread. As the count of pops
//! and the depth are in words that are exchanged anyway, how much is in use costs nothing to know.
//!
//! Links lie beside what the numbers stand for, not in it: a pop that comes late reads a link that is not
//! current, but never what somebody wrote who holds the number.

use core::fmt;

use crate::sharing::atomic::{AtomicU64, Ordering, spin_loop};

/// Something that shares no cache line with what others write, nor the line that is fetched with it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// A stack over links that somebody keeps.
pub(crate) struct Stack<L: AsRef<[AtomicU64]>> {
    head: Line<AtomicU64>,
    links: L,
}

/// A number just popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Popped {
    pub(crate) index: usize,
    /// How many are out of the stack now, this one included.
    pub(crate) used: usize,
}

/// Why an attempt to pop got nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Miss {
    /// The head is this one by now.
    Moved(u64),
    Empty,
    /// The number whose link is damaged.
    Damaged(usize),
}

/// What a stack counts, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pops so far, modulo 2^40.
    pub(crate) pops: u64,
    /// How many are out of the stack.
    pub(crate) used: usize,
}

const INDEX_BITS: u32 = 24;
const INDEX: u64 = (1 << INDEX_BITS) - 1;

/// The most numbers that a stack can have.
pub(crate) const MOST: usize = INDEX as usize;

/// In place of an index: no number.
const NONE: usize = MOST;

/// The link of a number that is not in the stack: one deeper than any stack is.
const USED: u64 = u64::MAX;

const fn word(count: u64, index: usize) -> u64 {
    count << INDEX_BITS | index as u64
}

const fn index_of(word: u64) -> usize {
    (word & INDEX) as usize
}

const fn count_of(word: u64) -> u64 {
    word >> INDEX_BITS
}

/// The link of a number when all `length` are in the stack, 0 on top.
pub(crate) const fn fresh(index: usize, length: usize) -> u64 {
    let below = if index + 1 < length { index + 1 } else { NONE };
    word((length - index) as u64, below)
}

impl<L: AsRef<[AtomicU64]>> Stack<L> {
    /// A stack of as many numbers as there are links, at most [`MOST`], each [`fresh`].
    pub(crate) fn new(links: L) -> Self {
        let top = if links.as_ref().is_empty() { NONE } else { 0 };
        Self {
            head: Line(AtomicU64::new(word(0, top))),
            links,
        }
    }

    /// The links.
    pub(crate) fn links(&self) -> &L {
        &self.links
    }

    /// Takes the top number, unless somebody else is faster: one attempt, so that it is short where it is compiled
    /// into.
    ///
    /// # Errors
    ///
    /// What was in the way, for [`pop_after`](Self::pop_after).
    #[inline]
    pub(crate) fn try_pop(&self) -> Result<Popped, Miss> {
        self.pop_from(self.head.0.load(Ordering::Acquire))
    }

    /// Takes the top number after an attempt that got none; nothing if there is none.
    ///
    /// # Errors
    ///
    /// The number whose link is damaged.
    pub(crate) fn pop_after(&self, mut miss: Miss) -> Result<Option<Popped>, usize> {
        let mut patience = Patience::new();
        loop {
            let head = match miss {
                Miss::Moved(head) => head,
                Miss::Empty => return Ok(None),
                Miss::Damaged(index) => return Err(index),
            };
            patience.wait();
            match self.pop_from(head) {
                Ok(popped) => return Ok(Some(popped)),
                Err(again) => miss = again,
            }
        }
    }

    /// Takes the top number if the head is this one.
    #[inline]
    fn pop_from(&self, head: u64) -> Result<Popped, Miss> {
        let links = self.links.as_ref();
        let index = index_of(head);
        let Some(link) = links.get(index) else {
            return Err(match index {
                NONE => Miss::Empty,
                index => Miss::Damaged(index),
            });
        };
        let below = link.load(Ordering::Acquire);
        if below == USED {
            let now = self.moved_from(head).ok_or(Miss::Damaged(index))?;
            return Err(Miss::Moved(now));
        }
        let next = word(count_of(head) + 1, index_of(below));
        let swung = self.swing(head, next, Ordering::AcqRel);
        swung.map_err(Miss::Moved)?;
        link.store(USED, Ordering::Release);
        let used = (links.len() + 1).saturating_sub(count_of(below) as usize);
        Ok(Popped { index, used })
    }

    /// Gives a number back that was popped; `false` if it is in the stack, or is none of its numbers.
    #[inline]
    pub(crate) fn push(&self, index: usize) -> bool {
        let Some(link) = self.links.as_ref().get(index) else {
            return false;
        };
        let head = self.head.0.load(Ordering::Acquire);
        let onto = self.onto(head);
        let claim = link.compare_exchange(USED, onto, Ordering::AcqRel, Ordering::Relaxed);
        if claim.is_err() {
            return false;
        }
        if let Err(now) = self.push_onto(head, index) {
            self.insist_on_push(now, index, link);
        }
        true
    }

    /// Puts a number, which is linked to it already, on top of this head.
    #[inline]
    fn push_onto(&self, head: u64, index: usize) -> Result<u64, u64> {
        self.swing(head, word(count_of(head), index), Ordering::Release)
    }

    /// As [`push`](Self::push) of a number that is the caller's, after somebody else was faster.
    #[cold]
    #[inline(never)]
    fn insist_on_push(&self, mut head: u64, index: usize, link: &AtomicU64) {
        let mut patience = Patience::new();
        loop {
            patience.wait();
            link.store(self.onto(head), Ordering::Release);
            match self.push_onto(head, index) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    fn swing(&self, head: u64, next: u64, success: Ordering) -> Result<u64, u64> {
        let head_word = &self.head.0;
        head_word.compare_exchange_weak(head, next, success, Ordering::Acquire)
    }

    /// The link of a number that is pushed onto this head.
    #[inline]
    fn onto(&self, head: u64) -> u64 {
        let top = index_of(head);
        // Of a top that others have popped since: then the head does not swing.
        let depth = self.depth(top);
        word(depth + 1, top)
    }

    /// How many the stack has from a number in it down.
    #[inline]
    fn depth(&self, top: usize) -> u64 {
        let link = self.links.as_ref().get(top);
        link.map_or(0, |link| count_of(link.load(Ordering::Acquire)))
    }

    /// The head, if it is another than before.
    #[cold]
    fn moved_from(&self, before: u64) -> Option<u64> {
        let head = self.head.0.load(Ordering::Acquire);
        (head != before).then_some(head)
    }

    /// Whether a number is out of the stack.
    pub(crate) fn is_used(&self, index: usize) -> bool {
        let link = self.links.as_ref().get(index);
        link.is_some_and(|link| link.load(Ordering::Acquire) == USED)
    }

    /// What it counts, all at one moment.
    pub(crate) fn counts(&self) -> Counts {
        let mut head = self.head.0.load(Ordering::Acquire);
        loop {
            let depth = self.depth(index_of(head)) as usize;
            match self.moved_from(head) {
                Some(now) => head = now,
                None => {
                    return Counts {
                        pops: count_of(head),
                        used: self.links.as_ref().len().saturating_sub(depth),
                    };
                }
            }
        }
    }

    /// Follows all links. O(numbers in the stack). While others push and pop it starts anew, a few times.
    ///
    /// # Errors
    ///
    /// The number whose link is damaged.
    pub(crate) fn check(&self) -> Result<(), usize> {
        const TIMES: usize = 16;
        let mut head = self.head.0.load(Ordering::Acquire);
        for _ in 0..TIMES {
            let walked = self.walk(index_of(head));
            match self.moved_from(head) {
                Some(now) => head = now,
                None => return walked,
            }
        }
        Ok(())
    }

    /// Whether depths fall by one from the top to the bottom.
    fn walk(&self, top: usize) -> Result<(), usize> {
        let links = self.links.as_ref();
        let mut depth = self.depth(top);
        if depth > links.len() as u64 {
            return Err(top);
        }
        let mut index = top;
        while let Some(link) = links.get(index) {
            let link = link.load(Ordering::Acquire);
            if count_of(link) != depth || depth == 0 {
                return Err(index);
            }
            depth -= 1;
            index = index_of(link);
        }
        if index == NONE && depth == 0 {
            Ok(())
        } else {
            Err(index)
        }
    }

    /// Puts all numbers back, 0 on top. Pops go on being counted.
    pub(crate) fn refill(&mut self) {
        let links = self.links.as_ref();
        for (index, link) in links.iter().enumerate() {
            link.store(fresh(index, links.len()), Ordering::Relaxed);
        }
        let top = if links.is_empty() { NONE } else { 0 };
        let pops = count_of(self.head.0.load(Ordering::Relaxed));
        self.head.0.store(word(pops, top), Ordering::Relaxed);
    }
}

impl<L: AsRef<[AtomicU64]>> fmt::Debug for Stack<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// Waits longer after each time that somebody else was faster.
struct Patience {
    spins: u32,
}

impl Patience {
    const LONGEST: u32 = 16;

    const fn new() -> Self {
        Self { spins: 1 }
    }

    fn wait(&mut self) {
        for _ in 0..self.spins {
            spin_loop();
        }
        self.spins = (self.spins * 2).min(Self::LONGEST);
    }
}
