//! Memory that a kind took from the heap and divides.
//!
//! # Safety
//!
//! A chunk says that its bytes are a pool's own. Two things are read and written in it here: the note at its
//! start that leads to an older chunk, and, for kinds that keep books inside a chunk, words of its own. No
//! piece that is handed out overlaps either.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::num::NonZero;
use core::ptr::NonNull;

use crate::ground::sys;
use crate::words::header::{Header, Key};
use crate::words::size::UNIT;
use crate::words::tag::Tag;

/// A block of the heap's that a pool divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to a pool, and goes where the pool goes.
unsafe impl Send for Chunk {}
// SAFETY: a shared chunk only tells where it is; what reads and writes it are cells, which are not shared.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// No bytes: holds no address.
    pub(crate) const NOWHERE: Self = Self {
        start: sys::NOWHERE,
        bytes: 0,
    };

    /// # Safety
    ///
    /// The bytes are readable and writable, aligned to 16, and nobody else's until the pool gives them back.
    pub(crate) unsafe fn new(block: NonNull<[u8]>) -> Self {
        Self {
            start: block.cast(),
            bytes: block.len(),
        }
    }

    /// No memory at all, for a pool that takes none.
    pub(crate) fn none() -> Self {
        Self {
            start: sys::NOWHERE,
            bytes: 0,
        }
    }

    #[inline]
    pub(crate) fn start(self) -> NonNull<u8> {
        self.start
    }

    /// Address of its first byte.
    #[inline]
    pub(crate) fn base(self) -> usize {
        self.start.addr().get()
    }

    /// Address behind its last byte.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.base() + self.bytes
    }

    /// How many bytes it has.
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    #[inline]
    pub(crate) fn holds(self, address: usize) -> bool {
        address.wrapping_sub(self.base()) < self.bytes
    }

    /// The pointer to an address in it.
    #[inline]
    pub(crate) fn pointer(self, at: usize) -> NonNull<u8> {
        debug_assert!(
            self.base() <= at && at <= self.end(),
            "a piece lies in its chunk"
        );
        let pointer = self.start.as_ptr().with_addr(at);
        // SAFETY: no address in a chunk is 0, for the chunk starts at none such and does not wrap.
        unsafe { NonNull::new_unchecked(pointer) }
    }

    /// The memory from the lower start to the higher end of this and another chunk of one row.
    pub(crate) fn reach(self, other: Self) -> Self {
        if self.bytes == 0 {
            return other;
        }
        let start = self.start.min(other.start);
        let bytes = self.end().max(other.end()) - start.addr().get();
        Self { start, bytes }
    }

    /// The word at an address in it, whoever wrote it and whatever it is now.
    ///
    /// # Safety
    ///
    /// The chunk, or what several [`reach`](Chunk::reach), holds the eight bytes there, which are aligned.
    #[inline]
    pub(crate) unsafe fn peek(self, at: usize) -> u64 {
        // SAFETY: readable and aligned as the caller says. Volatile, since they may be anybody's.
        unsafe { self.pointer(at).cast::<u64>().read_volatile() }
    }

    /// Words in which a kind keeps its books, at an address in it.
    ///
    /// # Safety
    ///
    /// The chunk, or what several [`reach`](Chunk::reach), holds them; they are aligned, were written, lie in no
    /// piece, and are the pool's for `'a`.
    #[inline]
    pub(crate) unsafe fn books<'a, const WORDS: usize>(self, at: usize) -> &'a [Cell<u64>; WORDS] {
        let words = self.pointer(at).cast();
        // SAFETY: the pool's alone as the caller says, and whoever else in it looks at them has cells too.
        unsafe { words.as_ref() }
    }

    /// The piece of so many bytes at an address in it.
    #[inline]
    pub(crate) fn piece(self, at: usize, bytes: usize) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.pointer(at), bytes)
    }
}

/// Chunks of a pool that grows: each has a note at its start that leads to the one before it.
///
/// The note has a header's form, with a key of the pool's own: where the older chunk is in place of the tag, the
/// chunk's number in place of the slot, and its check word finds damage before it is followed.
#[derive(Debug)]
pub(crate) struct Chunks {
    newest: Cell<Option<Chunk>>,
    /// The number of the one put there last; 0 if none was.
    pushed: Cell<u32>,
    key: Key,
}

/// Bytes at the start of a chunk that are its note.
pub(crate) const NOTE: usize = size_of::<Header>();

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            newest: Cell::new(None),
            pushed: Cell::new(0),
            key: Key::from_seed(sys::noise()),
        }
    }

    #[inline]
    pub(crate) fn newest(&self) -> Option<Chunk> {
        self.newest.get()
    }

    /// Puts a chunk in front of the others. It has a multiple of 16 bytes, more than its note has.
    pub(crate) fn push(&self, chunk: Chunk) {
        let number = self.pushed.get().wrapping_add(1).max(1);
        self.pushed.set(number);
        self.push_numbered(chunk, number);
    }

    fn push_numbered(&self, chunk: Chunk, number: u32) {
        debug_assert!(
            chunk.bytes > NOTE && chunk.bytes.is_multiple_of(UNIT),
            "a chunk has room for its note"
        );
        let older = self.newest.get().map_or(0, Chunk::base);
        let tag = Tag::new(older as u64);
        let note = Header::used(chunk.base(), chunk.bytes, tag, number, self.key);
        // SAFETY: the chunk is the pool's own, aligned to 16, and has room for the note; nobody holds a piece
        // of a chunk that is new.
        unsafe { chunk.start.cast::<Header>().write(note) };
        self.newest.set(Some(chunk));
    }

    /// A number that others' chunks have by chance alone, once in 2^32.
    pub(crate) fn name(&self) -> usize {
        // What guards a note, of a chunk that there is not.
        Header::used(0, 0, Tag::FREE, 0, self.key).check as usize
    }

    /// The number of a chunk of these, not 0. No other has it before 2^32 were put there.
    ///
    /// # Errors
    ///
    /// Its address, if its note is damaged.
    pub(crate) fn number(&self, chunk: Chunk) -> Result<u64, usize> {
        Ok(self.note(chunk)?.slot.into())
    }

    /// The chunk of a number.
    pub(crate) fn numbered(&self, number: u64) -> Result<Option<Chunk>, usize> {
        for chunk in self.iter() {
            let chunk = chunk?;
            if self.number(chunk)? == number {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Whether there is no chunk behind the newest, if that.
    ///
    /// # Errors
    ///
    /// The address of a note that is damaged.
    #[inline]
    pub(crate) fn is_single(&self) -> Result<bool, usize> {
        match self.newest.get() {
            Some(newest) => Ok(self.older(newest)?.is_none()),
            None => Ok(true),
        }
    }

    /// Takes the newest chunk from the others.
    ///
    /// # Errors
    ///
    /// The address of a note that is damaged.
    pub(crate) fn pop(&self) -> Result<Option<Chunk>, usize> {
        let Some(newest) = self.newest.get() else {
            return Ok(None);
        };
        self.newest.set(self.older(newest)?);
        Ok(Some(newest))
    }

    /// Undoes a [`pop`](Chunks::pop): puts a chunk, whose note nobody wrote to since, in front of the others, under the
    /// number it had.
    pub(crate) fn put_back(&self, popped: Chunk) {
        match self.note(popped) {
            Ok(note) => self.push_numbered(popped, note.slot),
            Err(_) => self.push(popped),
        }
    }

    /// Takes those chunks from the others that are not to be kept. Each is asked for once.
    ///
    /// # Errors
    ///
    /// The address of a note that is damaged; the chunks from there on are kept.
    pub(crate) fn retain(&self, mut keep: impl FnMut(Chunk) -> bool) -> Result<(), usize> {
        let kept = Self {
            newest: Cell::new(None),
            pushed: Cell::new(0),
            key: self.key,
        };
        let whole = loop {
            match self.pop() {
                Ok(Some(chunk)) if keep(chunk) => kept.push(chunk),
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(at) => break Err(at),
            }
        };
        while let Ok(Some(chunk)) = kept.pop() {
            self.push(chunk);
        }
        whole
    }

    /// All chunks, newest first; ends with the address of a note that is damaged.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Chunk, usize>> + '_ {
        let mut next = Ok(self.newest.get());
        core::iter::from_fn(move || match next {
            Ok(None) => None,
            Ok(Some(chunk)) => {
                next = self.older(chunk);
                Some(Ok(chunk))
            }
            Err(at) => {
                next = Ok(None);
                Some(Err(at))
            }
        })
    }

    /// The chunk that holds an address.
    pub(crate) fn holding(&self, address: usize) -> Result<Option<Chunk>, usize> {
        for chunk in self.iter() {
            let chunk = chunk?;
            if chunk.holds(address) {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    #[inline]
    fn older(&self, chunk: Chunk) -> Result<Option<Chunk>, usize> {
        let note = self.note(chunk)?;
        let Some(at) = NonZero::new(note.tag.number() as usize) else {
            return Ok(None);
        };
        // All chunks are parts of one row, so a pointer into one reaches the others.
        let start = chunk.start.map_addr(|_| at);
        let bytes = NOTE;
        let bytes = self.note(Chunk { start, bytes })?.size as usize;
        Ok(Some(Chunk { start, bytes }))
    }

    /// The note of a chunk, verified.
    #[inline]
    fn note(&self, chunk: Chunk) -> Result<Header, usize> {
        let at = chunk.base();
        // SAFETY: a chunk was given in by `push`, or stands in a note that was found undamaged, so it is the
        // pool's and starts with a note, which no piece overlaps.
        let note = unsafe { chunk.start.cast::<Header>().read() };
        match note.verify(at, usize::MAX, Some(self.key)) {
            Ok(()) => Ok(note),
            Err(_) => Err(at),
        }
    }
}
