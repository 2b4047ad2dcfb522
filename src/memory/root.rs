//! The root block: the heap's word to the outside, kept true at every change.
//!
//! # Safety
//!
//! The root block is the first of the row and in use from the heap's first moment on (H3), so its
//! payload is the heap's own; nothing else reads or writes it in this process.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

use memoffset::offset_of;

use crate::memory::row::Row;
use crate::words::error::Corruption;
use crate::words::header::Header;
use crate::words::root::Root;
use crate::words::size::HEADER;
use crate::words::slot::Slot;
use crate::words::tag::Tag;
use crate::words::walk::Image;

/// The root block stands in no list, and all of it is asked for.
const ROOT_SLOT: Slot = Slot {
    place: Slot::UNLISTED,
    slack: 0,
};

/// Where the root block tells of the accounts; in the hands of whoever has these, who goes with the heap.
#[derive(Debug)]
pub(crate) struct AccountsPlace(NonNull<[u64; 2]>);

// SAFETY: the root block belongs to the heap alone, as its accounts do.
unsafe impl Send for AccountsPlace {}
// SAFETY: a shared place tells nothing.
unsafe impl Sync for AccountsPlace {}

impl AccountsPlace {
    /// Tells where they lie, and how many entries there are.
    pub(crate) fn tell(&mut self, accounts: [u64; 2]) {
        // SAFETY: two words of the root block's payload, which stays while there is a heap; volatile, as somebody outside
        // reads them.
        unsafe { self.0.write_volatile(accounts) };
    }
}

/// Writes the root block's words.
#[derive(Debug)]
pub(crate) struct RootWriter {
    place: NonNull<Root>,
    coalesces: bool,
    /// The limit that is written there.
    limit: usize,
    /// Twice the number of changes; while one is under way, what is written is one more.
    epoch: u64,
}

// SAFETY: the root block belongs to the heap alone, as its row does.
unsafe impl Send for RootWriter {}
// SAFETY: a shared writer only reads; writing takes it exclusively.
unsafe impl Sync for RootWriter {}

impl RootWriter {
    /// Makes the root block, the first of an empty row that holds at least [`Root::BLOCK`] bytes.
    pub(crate) fn plant(row: &mut Row, coalesces: bool) -> Self {
        let place = row.pointer(row.base() + HEADER).cast();
        let this = Self {
            place,
            coalesces,
            limit: row.limit(),
            epoch: 0,
        };
        row.lengthen(row.base() + Root::BLOCK)
            .claim(row, Tag::HEAP, ROOT_SLOT);
        this.write(row);
        this
    }

    /// A change to the row begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.write_word(offset_of!(Root, epoch), self.epoch + 1);
        compiler_fence(Ordering::SeqCst);
    }

    /// The row's end or its limit has moved.
    #[inline]
    pub(crate) fn resize(&mut self, row: &Row) {
        self.write_word(offset_of!(Root, end), row.end() as u64);
        if self.limit != row.limit() {
            self.limit = row.limit();
            self.write_word(offset_of!(Root, limit), self.limit as u64);
        }
    }

    /// The change is done.
    #[inline]
    pub(crate) fn finish(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.epoch += 2;
        self.write_word(offset_of!(Root, epoch), self.epoch);
    }

    /// Where the heap's accounts are told of.
    pub(crate) fn accounts(&self) -> AccountsPlace {
        let word = self.place.cast::<u8>();
        // SAFETY: within the root block's payload.
        let word = unsafe { word.add(offset_of!(Root, accounts)) };
        AccountsPlace(word.cast())
    }

    /// Compares the root block with what the heap knows: where its accounts lie, and how many there are, too.
    pub(crate) fn check(&self, row: &Row, accounts: [u64; 2]) -> Result<(), Corruption> {
        let at = row.base();
        let header = row.header(at);
        let wanted = Header::used(at, Root::BLOCK, Tag::HEAP, ROOT_SLOT.word(), row.secret());
        // SAFETY: the root block's payload, initialised by `write`.
        let root = unsafe { self.place.read_volatile() };
        if header == Some(wanted) && root == self.words(row, accounts) {
            Ok(())
        } else {
            Err(Corruption::Root { at })
        }
    }

    fn words(&self, row: &Row, [accounts, entries]: [u64; 2]) -> Root {
        Root {
            magic: Root::MAGIC,
            version: Root::VERSION,
            coalesces: self.coalesces.into(),
            epoch: self.epoch,
            base: row.base() as u64,
            end: row.end() as u64,
            limit: row.limit() as u64,
            accounts,
            entries,
            reserved: [0; 4],
        }
    }

    fn write(&self, row: &Row) {
        // SAFETY: the root block's payload holds a `Root` and is aligned to 16.
        unsafe { self.place.write_volatile(self.words(row, [0; 2])) };
    }

    #[inline]
    fn write_word(&self, offset: usize, value: u64) {
        let word = self.place.as_ptr().cast::<u64>().wrapping_byte_add(offset);
        // SAFETY: a word of the root block's payload; volatile, as somebody outside reads it.
        unsafe { word.write_volatile(value) };
    }
}
