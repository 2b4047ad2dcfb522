//! The row: the heap's memory from base to end, where headers stand.
//!
//! # Safety
//!
//! All reads and writes of headers are the two functions [`Row::read`] and [`Row::write`]. Both stay
//! between the base and the limit, memory that by [`Source`](crate::Source)'s contract is the
//! heap's; payloads between the headers belong to their holders (H7), and are written here only while
//! they belong to nobody. They are read only where a caller takes an address inside one for a block's: the
//! 32 bytes in front of it are then looked at as a header. All pointers come from the base's.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::ground::prefetch::prefetch;
use crate::memory::block::{Around, FreeBlock, UsedBlock};
use crate::words::error::{Corruption, Misuse};
use crate::words::extent::Extent;
use crate::words::header::{Freed, Header, Key};
use crate::words::size::{HEADER, UNIT};
use crate::words::slot::Slot;
use crate::words::tag::Tag;
use crate::words::walk::{Image, Walk};

/// The heap's memory: blocks from `base` to `end`, room for more up to `limit`.
#[derive(Debug)]
pub(crate) struct Row {
    base: NonNull<u8>,
    end: usize,
    limit: usize,
    /// Bytes behind the base in which a header may start.
    headers: usize,
    /// Address behind the highest byte ever in the row since the memory beyond was last zero.
    touched: usize,
    key: Key,
}

// SAFETY: the memory belongs to the heap alone, and payloads are reached through its holders' pointers.
unsafe impl Send for Row {}
// SAFETY: a shared row only reads headers; writing takes it exclusively.
unsafe impl Sync for Row {}

/// A block of the row in one of its two states.
#[derive(Debug)]
pub(crate) enum Held {
    Free(FreeBlock),
    Used(UsedBlock),
}

impl Row {
    /// The empty row at `base`.
    ///
    /// # Safety
    ///
    /// - `base` is a multiple of 16.
    /// - Memory from `base` to `limit`, and to each later one given to [`Row::grant`], is readable,
    ///   writable and the row's own, but for foreign memory behind a fence.
    #[inline]
    pub(crate) unsafe fn new(base: NonNull<u8>, limit: usize, key: Key) -> Self {
        let mut row = Self {
            base,
            end: base.addr().get(),
            limit,
            headers: 0,
            touched: base.addr().get(),
            key,
        };
        row.grant(limit);
        row
    }

    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Bytes from base to end.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.end - self.base.addr().get()
    }

    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Address from which on no byte was in the row since the memory there was last zero.
    #[inline]
    pub(crate) fn touched(&self) -> usize {
        self.touched
    }

    /// Notes that memory from an address on, beyond the end, is zero again.
    pub(crate) fn zeroed(&mut self, from: usize) {
        self.touched = self.touched.min(from);
    }

    #[inline]
    pub(crate) fn secret(&self) -> Key {
        self.key
    }

    /// Notes a new limit, as the source answers it.
    #[inline]
    pub(crate) fn grant(&mut self, limit: usize) {
        self.limit = limit;
        let length = limit.saturating_sub(self.base.addr().get());
        self.headers = length.saturating_sub(HEADER - 1);
    }

    /// The pointer to address `at`, in a block in hand.
    #[inline]
    pub(crate) fn pointer(&self, at: usize) -> NonNull<u8> {
        debug_assert!(at >= self.base(), "of a block in hand");
        let pointer = self.base.as_ptr().with_addr(at);
        // SAFETY: whoever asks has a block in hand, and no address in the row is 0 (H1).
        unsafe { NonNull::new_unchecked(pointer) }
    }

    /// The 32 bytes at `at`, if the row holds them; they need not be a header.
    #[inline]
    fn read(&self, at: usize) -> Option<Header> {
        let offset = at.wrapping_sub(self.base());
        if offset >= self.headers || !offset.is_multiple_of(UNIT) {
            return None;
        }
        let place = self.base.as_ptr().wrapping_add(offset).cast::<Header>();
        // SAFETY: aligned, as the base is, and within the row's memory; any bits are a header's.
        Some(unsafe { place.read() })
    }

    /// Writes a header at `at`, which a block in hand vouches for.
    #[inline]
    pub(super) fn write(&mut self, at: usize, header: Header) {
        debug_assert!(
            at >= self.base() && at.is_multiple_of(UNIT),
            "a block stands in the row"
        );
        debug_assert!(at + HEADER <= self.end, "and all of its header");
        let place = self.base.as_ptr().with_addr(at).cast::<[u64; 4]>();
        // SAFETY: `at` comes from a block in hand of a header's size or more, so it is aligned and its header lies in
        // the row's memory (H1); nobody holds these bytes (H7).
        unsafe { place.write(header.words()) };
    }

    /// Writes those words of a header that tell a block's size and what follows from that; the others stand there.
    #[inline]
    pub(super) fn write_size(&mut self, at: usize, header: Header) {
        debug_assert!(
            self.read(at)
                .is_some_and(|old| (old.in_use, old.tag) == (header.in_use, header.tag)),
            "the block stands there in another size"
        );
        let [_, size, _, last] = header.words();
        let place = self.base.as_ptr().with_addr(at).cast::<u64>();
        for (word, value) in [(1, size), (3, last)] {
            let word = place.wrapping_add(word);
            // SAFETY: as for `write`.
            unsafe { word.write(value) };
        }
    }

    /// The verified header at `at`.
    #[inline(always)]
    fn verified(&self, at: usize) -> Result<Header, Corruption> {
        let header = self.read(at).ok_or(Corruption::Header { at })?;
        header.verify(at, self.end, Some(self.key))?;
        Ok(header)
    }

    /// The block that starts at `at`, verified.
    #[inline]
    pub(crate) fn block(&self, at: usize) -> Result<Held, Corruption> {
        let header = self.verified(at)?;
        let size = header.size as usize;
        Ok(if header.is_used() {
            Held::Used(UsedBlock::new(
                at,
                size,
                header.tag,
                Slot::from_word(header.slot),
            ))
        } else {
            Held::Free(FreeBlock::new(at, size, Freed::from_slot(header.slot)))
        })
    }

    /// The block of `tag` that starts at `at`, as the tag's list knows it at `place`.
    #[inline(always)]
    pub(crate) fn listed(
        &self,
        at: usize,
        tag: Tag,
        place: usize,
    ) -> Result<UsedBlock, Corruption> {
        if let Some(header) = self.read(at)
            && header.in_use == 1
            && header.tag == tag
            && header.verify(at, self.end, Some(self.key)).is_ok()
        {
            let slot = Slot::from_word(header.slot);
            if slot.place as usize == place {
                return Ok(UsedBlock::new(at, header.size as usize, tag, slot));
            }
        }
        Err(self.unlisted(at))
    }

    /// As [`listed`](Row::listed), of a block that it has just answered: nobody has written to its header since (H7), so it is
    /// not verified again.
    #[inline(always)]
    pub(crate) fn verified_before(&self, at: usize, tag: Tag, place: usize) -> Option<UsedBlock> {
        debug_assert!(self.listed(at, tag, place).is_ok(), "nobody wrote to it");
        let header = self.read(at)?;
        let slot = Slot::from_word(header.slot);
        Some(UsedBlock::new(at, header.size as usize, tag, slot))
    }

    /// What is wrong with an address at which no block stands as a list says.
    #[cold]
    fn unlisted(&self, at: usize) -> Corruption {
        let header = self.verified(at);
        header.err().unwrap_or(Corruption::Index { at })
    }

    /// Says that the header at `at` will be looked at soon. Every fourth lies across two cache lines.
    #[inline]
    pub(crate) fn prefetch(&self, at: usize) {
        let header = self.base.as_ptr().with_addr(at);
        prefetch(header);
        prefetch(header.wrapping_add(HEADER - 1));
    }

    /// The free block that the placement knows here; its header must say the same.
    ///
    /// The size is the placement's: whoever goes on with it need not wait for the header.
    #[inline]
    pub(crate) fn free_block(&self, block: Extent) -> Result<FreeBlock, Corruption> {
        let freed = self.freed(block)?;
        Ok(FreeBlock::new(block.at, block.size, freed))
    }

    /// Refuses a free block that the placement knows here, if its header says something else.
    pub(crate) fn verify_free(&self, block: Extent) -> Result<(), Corruption> {
        self.freed(block).map(drop)
    }

    /// The free blocks that the placement knows around a block, so many bytes in front of it and behind it, or 0; their
    /// headers must say the same.
    #[inline(always)]
    pub(crate) fn around(
        &self,
        block: &UsedBlock,
        (before, behind): (usize, usize),
    ) -> Result<Around, Corruption> {
        let mut freed = Freed::Alone;
        if before > 0 {
            let at = block.at() - before;
            freed = self.freed(Extent { at, size: before })?;
        }
        if behind > 0 {
            let at = block.end();
            self.freed(Extent { at, size: behind })?;
        }
        Ok(Around::new(before, behind, freed))
    }

    /// How the free block that the placement knows here became free; its header must say the same.
    #[inline(always)]
    fn freed(&self, block: Extent) -> Result<Freed, Corruption> {
        let Extent { at, size } = block;
        let header = self.read(at).ok_or(Corruption::Header { at })?;
        if header.is_free(at, size, self.key) {
            Ok(Freed::from_slot(header.slot))
        } else {
            Err(Corruption::Header { at })
        }
    }

    /// The block whose payload starts at `address`, or what is wrong with that address.
    ///
    /// O(1) for a block's payload; a walk finds out what is wrong with another address.
    #[inline(always)]
    pub(crate) fn holder(&self, address: usize) -> Result<UsedBlock, crate::Error> {
        let at = address.wrapping_sub(HEADER);
        match self.read(at) {
            Some(header)
                if header.in_use == 1
                    && !header.tag.is_reserved()
                    && header.verify(at, self.end, Some(self.key)).is_ok() =>
            {
                let size = header.size as usize;
                let slot = Slot::from_word(header.slot);
                Ok(UsedBlock::new(at, size, header.tag, slot))
            }
            header => Err(self.diagnose(address, header)),
        }
    }

    /// What is wrong with an address that no header of a holder's block stands in front of, but this, if
    /// any.
    #[cold]
    fn diagnose(&self, address: usize, header: Option<Header>) -> crate::Error {
        let at = address.wrapping_sub(HEADER);
        match header.filter(|header| header.is_sealed(at, self.key)) {
            Some(header) if !header.is_used() => {
                return match Freed::from_slot(header.slot) {
                    Freed::Alone => Misuse::DoubleFree { address }.into(),
                    Freed::WithItsTag => Misuse::Released { address }.into(),
                };
            }
            Some(header) if at < self.end && !header.tag.is_reserved() => {
                return Corruption::Header { at }.into();
            }
            _ => {}
        }
        let inside = address >= self.base() && address < self.end;
        if !inside {
            return Misuse::NotFromHere { address }.into();
        }
        for block in Walk::new(self) {
            match block {
                Err(damage) => return damage.into(),
                Ok(block) if block.tag() == Some(Tag::FOREIGN) && address < block.end() => {
                    return Misuse::NotFromHere { address }.into();
                }
                Ok(block) if address < block.end() => break,
                Ok(_) => {}
            }
        }
        Misuse::NotABlock { address }.into()
    }

    /// The end of the row moves up to `to`; what it passed is a free block in hand.
    #[inline]
    pub(crate) fn lengthen(&mut self, to: usize) -> FreeBlock {
        let at = core::mem::replace(&mut self.end, to);
        if to > self.touched {
            self.touched = to;
        }
        FreeBlock::new(at, to - at, Freed::Alone)
    }

    /// The end of the row falls to where `last`, the last block, starts.
    ///
    /// Its header stays behind as it is, so that a late free of it is recognised.
    #[inline]
    pub(crate) fn shorten(&mut self, last: FreeBlock) {
        debug_assert_eq!(
            last.end(),
            self.end,
            "the last block ends where the row does"
        );
        self.end = last.at();
    }

    /// Zeroes a block's payload from byte `from` to byte `to`.
    #[inline]
    pub(crate) fn zero(&mut self, block: &UsedBlock, from: usize, to: usize) {
        debug_assert!(from <= to && to <= block.usable(), "within the payload");
        let start = self.pointer(block.payload() + from);
        // SAFETY: the bytes are within the row (H1), and their holder does not have them yet (H7).
        unsafe { start.write_bytes(0, to - from) };
    }

    /// Copies the first `size` bytes of one block's payload to another's.
    #[inline]
    pub(crate) fn copy(&mut self, from: &UsedBlock, to: &UsedBlock, size: usize) {
        debug_assert!(
            size <= from.usable() && size <= to.usable(),
            "within both payloads"
        );
        let source = self.pointer(from.payload());
        let target = self.pointer(to.payload());
        // SAFETY: both payloads are within the row and apart (H1); the caller of the resize vouches that
        // nobody writes to the old one meanwhile, and nobody has the new one yet (H7).
        unsafe { source.copy_to_nonoverlapping(target, size) };
    }
}

impl Image for Row {
    #[inline]
    fn base(&self) -> usize {
        self.base.addr().get()
    }

    #[inline]
    fn end(&self) -> usize {
        self.end
    }

    #[inline]
    fn header(&self, at: usize) -> Option<Header> {
        self.read(at)
    }

    #[inline]
    fn key(&self) -> Option<Key> {
        Some(self.key)
    }
}
