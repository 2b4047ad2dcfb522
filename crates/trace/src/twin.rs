//! The assembly twin as a subject.
//!
//! # Safety
//!
//! The twin's break routine is a plain function, so the ground it hands out stands in statics. There is
//! one twin at a time in a process, and its subject keeps the ground alive.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tagheap::twin::{Deallocation, Twin};
use tagheap::{Drawing, Image, Rule, Tag, Walk};

use crate::{Ground, Piece, Subject, checked_call};

static BREAK: AtomicUsize = AtomicUsize::new(0);
static FIRST: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicBool = AtomicBool::new(false);

/// A break over the ground in the statics: grants what lies within it, unless told to refuse.
extern "C" fn ground_break(to: usize) -> usize {
    let within = (FIRST.load(Ordering::Relaxed)..=LAST.load(Ordering::Relaxed)).contains(&to);
    if within && !REFUSED.load(Ordering::Relaxed) {
        BREAK.store(to, Ordering::Relaxed);
    }
    BREAK.load(Ordering::Relaxed)
}

/// Another twin lives in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwinBusy;

impl fmt::Display for TwinBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another assembly twin lives in this process")
    }
}

impl std::error::Error for TwinBusy {}

/// The assembly heap over memory that grants exactly, called with junk in every free register.
#[derive(Debug)]
pub struct TwinSubject<R: Rule> {
    twin: Twin<R>,
    ground: Ground,
}

impl<R: Rule> TwinSubject<R> {
    /// The twin with room for `bytes`.
    ///
    /// # Errors
    ///
    /// [`TwinBusy`] while another one lives.
    pub fn new(bytes: usize, _rule: R) -> Result<Self, TwinBusy> {
        let ground = Ground::new(bytes);
        // SAFETY: from the first answer on, all answers of `ground_break` lie in the ground, which this
        // subject owns; `checked_call` calls what it is given.
        let twin = unsafe { Twin::start(ground_break, checked_call) }.ok_or(TwinBusy)?;
        // No routine was called yet, so the break was not asked for.
        let first = ground.address() + Ground::LEAD;
        FIRST.store(first, Ordering::Relaxed);
        BREAK.store(first, Ordering::Relaxed);
        LAST.store(ground.end(), Ordering::Relaxed);
        REFUSED.store(false, Ordering::Relaxed);
        Ok(Self { twin, ground })
    }

    /// As [`new`](Self::new), waiting for another twin of this process to end.
    pub fn wait(bytes: usize, rule: R) -> Self {
        loop {
            match Self::new(bytes, rule) {
                Ok(subject) => return subject,
                Err(TwinBusy) => std::thread::yield_now(),
            }
        }
    }
}

impl<R: Rule> Subject for TwinSubject<R> {
    fn name(&self) -> &'static str {
        "twin"
    }

    fn refuse(&mut self, refused: bool) {
        REFUSED.store(refused, Ordering::Relaxed);
    }

    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize> {
        let payload = self.twin.allocate(Tag::new(tag), size, align)?;
        Some(payload - self.ground.address())
    }

    fn deallocate(&mut self, offset: usize) -> bool {
        self.twin.deallocate(self.ground.address() + offset) == Deallocation::Done
    }

    fn release(&mut self, tag: u64) -> Option<usize> {
        self.twin.release(Tag::new(tag))
    }

    fn pieces(&self, list: &mut Vec<Piece>) {
        list.clear();
        for block in Walk::new(&self.twin).flatten() {
            let header = self.twin.header(block.at);
            list.push(Piece {
                offset: block.at - self.ground.address(),
                size: block.size,
                in_use: header.map_or(u64::MAX, |header| header.in_use),
                tag: header.map_or(u64::MAX, |header| header.tag.number()),
            });
        }
    }

    fn payload(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        Some(self.ground.read(offset, length))
    }

    fn fill(&mut self, offset: usize, length: usize, byte: u8) {
        self.ground.fill(offset, length, byte);
    }

    fn check(&self) -> Result<(), String> {
        Walk::new(&self.twin)
            .try_for_each(|block| block.map(|_| ()).map_err(|error| error.to_string()))
    }

    fn draw(&self) -> String {
        Drawing(&self.twin).to_string()
    }
}
