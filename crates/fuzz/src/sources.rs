//! Where a heap's memory comes from, and what its model knows of that.
//!
//! # Safety
//!
//! Each source is over a ground of its own, which outlives the heap and is reached through raw pointers only.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;
use std::slice;

use tagheap::{Break, Buffer, HEADER, Refusal, Source, UNIT};
use tagheap_trace::Ground;

use crate::input::Input;
use crate::memory;

const PAGE: usize = 4096;

/// What a program break, or a bank, does for whoever asks. One a thread: a break's call is a function.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Where the break stands.
    top: Cell<usize>,
    /// Where memory ends.
    end: Cell<usize>,
    refuses: Cell<bool>,
}

thread_local! {
    static OUTSIDE: Outside = const {
        Outside {
            top: Cell::new(0),
            end: Cell::new(0),
            refuses: Cell::new(false),
        }
    };
}

/// From now on, more memory is refused or granted.
pub(crate) fn refuse(refuses: bool) {
    OUTSIDE.with(|outside| outside.refuses.set(refuses));
}

/// Somebody else moves the break up, as far as there is room.
pub(crate) fn overtake(bytes: usize) {
    OUTSIDE.with(|outside| {
        let to = outside.top.get() + bytes;
        if to < outside.end.get() {
            outside.top.set(to);
        }
    });
}

/// How a source grows: what the model must know to say what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// All is granted at once.
    Never,
    /// In whole pages, up to an address.
    Pages { end: usize },
    /// As a break, which others move, too.
    Break,
    /// To the byte.
    Bank,
}

impl Growth {
    /// Whether memory is granted up to an address, which is beyond the limit.
    pub(crate) fn grants(self, to: usize) -> bool {
        OUTSIDE.with(|outside| match self {
            Self::Never => false,
            Self::Pages { end } => to.next_multiple_of(PAGE) <= end,
            // A fence's header has room behind the limit.
            Self::Break => {
                let top = (to + HEADER).next_multiple_of(PAGE);
                !outside.refuses.get() && top <= outside.end.get()
            }
            Self::Bank => !outside.refuses.get() && to <= outside.end.get(),
        })
    }

    /// Where the row goes on if others' memory is behind the limit.
    pub(crate) fn overtaken(self, limit: usize) -> Option<usize> {
        let top = OUTSIDE.with(|outside| outside.top.get());
        (self == Self::Break && top > limit + HEADER).then(|| top.next_multiple_of(UNIT))
    }
}

/// A buffer of dirty bytes, anywhere in the ground.
pub(crate) fn buffer<'a>(ground: &'a Ground, input: &mut Input) -> Buffer<'a> {
    let base = 1 << (6 + input.byte() % 15);
    let length = base + input.word() % base;
    let skip = usize::from(input.byte());
    ground.fill(0, skip + length, 0xa5);
    let start = memory::pointer(ground.address() + skip).as_ptr();
    // SAFETY: within the ground, which is larger than both at most; it outlives the buffer.
    Buffer::new(unsafe { slice::from_raw_parts_mut(start, length) })
}

/// A break over zeroed ground, now and then with little room.
pub(crate) fn program_break(ground: &Ground, input: &mut Input) -> Break {
    let room = input.word() % 5000;
    let few = usize::from(input.byte());
    let end = match few % 2 {
        0 => ground.end(),
        _ => ground.address() + 200_000 + few * 1000,
    };
    OUTSIDE.with(|outside| {
        outside.top.set(ground.address() + room);
        outside.end.set(end);
    });
    // SAFETY: below the break of this thread's is the ground, which is the heap's alone.
    unsafe { Break::with_call(break_call) }
}

/// Moves the break as a kernel does: whole pages beyond it are zero when it comes there again.
fn break_call(to: usize) -> usize {
    OUTSIDE.with(|outside| {
        let top = outside.top.get();
        let is_granted = to <= outside.end.get() && !(outside.refuses.get() && to > top);
        if to != 0 && is_granted {
            let from = to.next_multiple_of(PAGE);
            if from < top {
                memory::change(from, top - from, |bytes| bytes.fill(0));
            }
            outside.top.set(to);
        }
        outside.top.get()
    })
}

/// Memory granted to the byte; what is taken back has zeros in it, or some junk first.
#[derive(Debug)]
pub(crate) struct Bank {
    base: NonNull<u8>,
    limit: usize,
    end: usize,
    index_room: usize,
    maps: bool,
    zero_from: usize,
}

impl Bank {
    /// A bank of some length in the ground, zeroed or dirty, with room for indexes or kernel's mappings, or neither.
    pub(crate) fn new(ground: &Ground, input: &mut Input) -> Self {
        let habits = input.byte();
        let start = ground.address() + usize::from(habits % 16) * UNIT;
        let end = start + 200 + input.word() * UNIT + usize::from(habits);
        OUTSIDE.with(|outside| outside.end.set(end));
        let zero_from = if habits & 64 == 0 {
            ground.address()
        } else {
            ground.fill(0, end - ground.address(), 0x33);
            usize::MAX
        };
        let index_room = match habits & 32 {
            0 => 0,
            _ => usize::from(input.byte()) * 32,
        };
        Self {
            base: memory::pointer(start),
            limit: start,
            end,
            index_room,
            maps: habits & 128 == 0,
            zero_from,
        }
    }
}

// SAFETY: the ground's memory is the bank's alone, whichever thread has it.
unsafe impl Send for Bank {}

// SAFETY: the ground's memory is nobody else's, and is granted from the base up to the limit, at most to the end.
unsafe impl Source for Bank {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn extend(&mut self, frontier: usize, to: usize) -> Result<(), Refusal> {
        assert_eq!(frontier, self.limit);
        if to > self.end || OUTSIDE.with(|outside| outside.refuses.get()) {
            return Err(Refusal::NoMemory);
        }
        // Up to seven bytes more than were asked for: a limit need be no multiple of anything.
        self.limit = self.limit.max((to + 7).min(self.end));
        Ok(())
    }

    unsafe fn trim(&mut self, to: usize) -> usize {
        if to >= self.limit {
            return self.zero_from.max(self.limit);
        }
        let limit = std::mem::replace(&mut self.limit, to);
        let taken = limit - to;
        let junk = if limit & 32 == 0 { taken.min(PAGE) } else { 0 };
        memory::change(to, taken, |bytes| {
            bytes[..junk].fill(0x5a);
            bytes[junk..].fill(0);
        });
        if junk > 0 {
            self.zero_from = self.zero_from.max(to + junk);
        }
        self.zero_from.max(to)
    }

    fn zero_from(&self) -> usize {
        self.zero_from
    }

    fn index_room(&self) -> usize {
        self.index_room
    }

    fn may_reach(&self, to: usize) -> bool {
        to <= self.end
    }

    fn may_map(&self) -> bool {
        self.maps
    }
}
