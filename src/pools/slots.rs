//! Equal slots in one chunk or several.
//!
//! # Where they are
//!
//! A chunk starts with its note, a seal, and two words for every group of 64 slots; the slots follow. They hold
//! nothing but what users put there, and are not touched before. Where there are several chunks, each starts
//! at a multiple of a power of two as large as itself, so that the chunk of a slot is found by cutting the
//! slot's address off; its seal tells whether there is one.
//!
//! Of the two words one says which slots of the group are free, and one links groups with free slots, the one
//! opened last first. Slots are taken from that one only, and it leaves the list when it is found full, so
//! the first in the list may be full and no other.
//!
//! # Safety
//!
//! The words in front of the slots are read and written as cells, and a word at a place where a seal would be.
//! A slot is handed out only if its number is one that chunks have, whatever the words say.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::ground::sys;
use crate::pools::chunk::{Chunk, Chunks, NOTE};
use crate::pools::pool::Pool;
use crate::pools::stride::Stride;
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::size::{HEADER, UNIT, align_up};

/// Equal slots, of which some are in use.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Address of the first group in the list of those with free slots, or 0.
    open: Cell<usize>,
    /// Where the slots of that group start, and those of its chunk end.
    from: Cell<usize>,
    to: Cell<usize>,
    /// From the lowest chunk to the end of the highest.
    range: Cell<Chunk>,
    /// Where the slots of the only chunk start, and how many they are; none if there may be several chunks.
    only: Cell<usize>,
    alone: Cell<usize>,
    /// Cuts a distance from the lowest chunk off to that of a chunk.
    mask: usize,
    key: usize,
    /// Bytes from a chunk's start to its first slot, and to the end of its last.
    first: usize,
    last: usize,
    stride: Stride,
    /// Slots that a chunk has.
    each: usize,
    /// What the slots are aligned to.
    align: usize,
    /// How chunks lie in memory.
    chunk: Layout,
    chunks: Chunks,
}

/// Which slots of a group are free, and the next group that has any.
#[derive(Clone, Copy)]
struct Group<'a> {
    /// Bit n: slot n of the group is free.
    free: &'a Cell<u64>,
    /// Address of the next group in the list, or 0.
    next: &'a Cell<u64>,
}

/// Slots of a group.
const GROUP: usize = u64::BITS as usize;

/// Bytes of a group's words.
const WORDS: usize = 2 * size_of::<u64>();

/// Bytes from a chunk's start to its first group: note, seal, and what keeps a group's words in one line.
const GROUPS: usize = NOTE + UNIT;

/// Bytes of a line of the processor's caches.
const LINE: usize = 64;

/// Where the slots of a chunk with so many of them start, and how many bytes it has.
fn extent(slot: Layout, align: usize, count: usize) -> Option<(usize, usize)> {
    let first = align_up(GROUPS + WORDS * count.div_ceil(GROUP), align)?;
    let bytes = first.checked_add(slot.size().checked_mul(count)?)?;
    Some((first, align_up(bytes, UNIT)?))
}

/// As many slots as fit in a chunk of so many bytes.
fn most(slot: Layout, align: usize, bytes: usize) -> usize {
    let fits = |count| extent(slot, align, count).is_some_and(|(_, needed)| needed <= bytes);
    let (mut low, mut high) = (0, bytes / slot.size() + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The bit of a slot in its group.
#[inline]
const fn bit(slot: usize) -> u64 {
    1 << (slot % GROUP)
}

/// Whether a group's bits say nothing of slots beyond the last.
fn within(free: u64, count: usize) -> bool {
    count >= GROUP || free >> count == 0
}

/// So many slots, all free, of a group.
fn all_free(count: usize) -> u64 {
    match count {
        0 => 0,
        _ => u64::MAX >> GROUP.saturating_sub(count),
    }
}

impl Slots {
    /// No slots, and never any: requests go elsewhere.
    pub(crate) fn none() -> Self {
        let byte = Layout::new::<u8>();
        Self::shaped(byte, 1, (0, byte), 0)
    }

    /// A set that has one chunk of so many slots. `None` where no address space holds them.
    pub(crate) fn single(slot: Layout, count: usize) -> Option<Self> {
        let slot = slot.pad_to_align();
        let (_, bytes) = extent(slot, slot.align(), count)?;
        let chunk = Layout::from_size_align(bytes, slot.align().max(UNIT)).ok()?;
        Some(Self::shaped(slot, slot.align(), (count, chunk), 0))
    }

    /// A set that grows by chunks of so many slots or more, that together with their blocks' headers have a
    /// power of two of bytes. `None` where no address space holds one.
    pub(crate) fn growing(slot: Layout, count: usize) -> Option<Self> {
        let slot = slot.pad_to_align();
        let natural = 1 << slot.size().trailing_zeros();
        let align = slot.align().max(LINE.min(natural));
        let (_, bytes) = extent(slot, align, count.max(1))?;
        let power = bytes.checked_add(HEADER)?.checked_next_power_of_two()?;
        let chunk = Layout::from_size_align(power - HEADER, power).ok()?;
        let each = most(slot, align, chunk.size());
        Some(Self::shaped(slot, align, (each, chunk), !(power - 1)))
    }

    fn shaped(slot: Layout, align: usize, (each, chunk): (usize, Layout), mask: usize) -> Self {
        let first = extent(slot, align, each).map_or(0, |(first, _)| first);
        Self {
            open: Cell::new(0),
            from: Cell::new(0),
            to: Cell::new(0),
            range: Cell::new(Chunk::NOWHERE),
            only: Cell::new(0),
            alone: Cell::new(0),
            mask,
            key: sys::noise() as usize,
            first,
            last: first + each * slot.size(),
            stride: Stride::new(slot.size()),
            each,
            align: slot.align(),
            chunk,
            chunks: Chunks::new(),
        }
    }

    /// Bytes of a slot.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.stride.bytes()
    }

    /// What slots are aligned to.
    pub(crate) fn align(&self) -> usize {
        self.align
    }

    /// How many slots chunks of so many bytes together have.
    pub(crate) fn count_in(&self, bytes: usize) -> usize {
        (bytes / self.chunk.size()).saturating_mul(self.each)
    }

    /// Whether a slot is large enough and aligned for a layout.
    #[inline]
    pub(crate) fn fits(&self, layout: Layout) -> bool {
        layout.size() <= self.size() && layout.align() <= self.align
    }

    /// What a slot lacks for a layout that does not fit.
    pub(crate) fn lack(&self, layout: Layout) -> Shortage {
        if layout.size() > self.size() {
            return Shortage::Oversized { most: self.size() };
        }
        Shortage::Overaligned { most: self.align }
    }

    /// Takes a chunk, if one has any slots. There is no free slot yet.
    pub(crate) fn lengthen<H: Share>(&self, pool: &Pool<H>) -> Result<(), Error> {
        if self.each == 0 {
            return Ok(());
        }
        let chunk = pool.take_chunk(self.chunk)?;
        let base = chunk.base();
        let words = [(self.key ^ base) as u64, 0];
        // SAFETY: in front of the groups of a chunk that is new.
        unsafe { chunk.pointer(base + NOTE).cast().write(words) };
        for number in 0..self.groups() {
            let at = base + GROUPS + WORDS * number;
            // SAFETY: in front of the slots of a chunk that is new.
            unsafe { chunk.pointer(at).cast().write([0_u64; 2]) };
        }
        self.chunks.push(chunk);
        self.range.set(self.range.get().reach(chunk));
        if self.mask == 0 {
            self.only.set(base + self.first);
            self.alone.set(self.each);
        }
        self.open.set(0);
        self.free_all(base);
        self.link(base);
        Ok(())
    }

    /// Groups in a chunk.
    fn groups(&self) -> usize {
        self.each.div_ceil(GROUP)
    }

    /// Slots in a chunk's group.
    fn slots_of(&self, group: usize) -> usize {
        self.each.saturating_sub(group * GROUP).min(GROUP)
    }

    /// Makes all slots of a chunk free.
    fn free_all(&self, base: usize) {
        for number in 0..self.groups() {
            let group = self.group(base + GROUPS + WORDS * number);
            group.free.set(all_free(self.slots_of(number)));
        }
    }

    /// Puts a chunk's groups that have free slots in front of the others.
    fn link(&self, base: usize) {
        for number in (0..self.groups()).rev() {
            let at = base + GROUPS + WORDS * number;
            let group = self.group(at);
            if group.free.get() != 0 {
                group.next.set(self.open.get() as u64);
                self.open(at);
            }
        }
    }

    /// Whether the chunk that would be at this address is there.
    #[inline]
    fn is_sealed(&self, base: usize) -> bool {
        // SAFETY: the address is a chunk's, or as far from the lowest one as a chunk could be and below the
        // end of the highest. Chunks start with a note and a seal, and what lies between two blocks of a row
        // is the row.
        let seal = unsafe { self.range.get().peek(base + NOTE) };
        seal as usize == self.key ^ base
    }

    /// A group of this set's, by the address of its words.
    #[inline]
    fn group(&self, at: usize) -> Group<'_> {
        // SAFETY: the chunk is this set's and stays while that is borrowed, unless it goes by `trim`, which
        // looks at none of its groups after that; the words were written when it was taken, and lie in front
        // of its slots.
        let [free, next] = unsafe { self.range.get().books(at) };
        Group { free, next }
    }

    /// Where the chunk that holds an address would start.
    #[inline]
    fn base_of(&self, address: usize) -> usize {
        let lowest = self.range.get().base();
        lowest + (address.wrapping_sub(lowest) & self.mask)
    }

    /// The chunk and number of the slot that starts at an address.
    #[inline]
    fn find(&self, address: usize) -> Option<(usize, usize)> {
        let slot = self.stride.index(address.wrapping_sub(self.only.get()));
        if slot < self.alone.get() {
            return Some((self.only.get() - self.first, slot));
        }
        self.find_among(address)
    }

    #[inline]
    fn find_among(&self, address: usize) -> Option<(usize, usize)> {
        if !self.range.get().holds(address) {
            return None;
        }
        let base = self.base_of(address);
        let slot = self.stride.index(address.wrapping_sub(base + self.first));
        (slot < self.each && self.is_sealed(base)).then_some((base, slot))
    }

    /// Takes the lowest free slot of the group opened last. `None` if [`take_next`](Slots::take_next) is to be
    /// asked.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        let at = self.open.get();
        if at == 0 {
            return None;
        }
        let free = self.group(at).free;
        let slots = free.get();
        let slot = self.from.get() + slots.trailing_zeros() as usize * self.size();
        if slots == 0 || slot >= self.to.get() {
            return None;
        }
        free.set(slots & (slots - 1));
        Some(self.range.get().pointer(slot))
    }

    /// Takes a slot of another group after [`take`](Slots::take) found none. `None` if all are in use.
    ///
    /// # Errors
    ///
    /// The address of a group whose words are damaged.
    #[cold]
    pub(crate) fn take_next(&self) -> Result<Option<NonNull<u8>>, usize> {
        let at = self.open.get();
        if at == 0 {
            return Ok(None);
        }
        let group = self.group(at);
        let next = group.next.get() as usize;
        if group.free.get() != 0 || (next != 0 && !self.is_group(next)) {
            return Err(at);
        }
        if next == 0 {
            return Ok(None);
        }
        self.open(next);
        self.take().ok_or(next).map(Some)
    }

    /// Takes slots from this group from now on.
    fn open(&self, at: usize) {
        let base = self.base_of(at);
        let slots = (at - base - GROUPS) / WORDS * GROUP;
        self.open_in(base, at, base + self.first + slots * self.size());
    }

    #[inline]
    fn open_in(&self, base: usize, at: usize, from: usize) {
        self.open.set(at);
        self.from.set(from);
        self.to.set(base + self.last);
    }

    /// Whether the words of a group of this set are at an address.
    fn is_group(&self, at: usize) -> bool {
        if !self.range.get().holds(at) {
            return false;
        }
        let base = self.base_of(at);
        let from = (at - base).wrapping_sub(GROUPS);
        from.is_multiple_of(WORDS) && from / WORDS < self.groups() && self.is_sealed(base)
    }

    /// Takes a slot back. False if there is nothing to take back: [`misuse`](Slots::misuse) says why.
    #[inline]
    pub(crate) fn give(&self, ptr: NonNull<u8>) -> bool {
        let Some((base, slot)) = self.find(ptr.addr().get()) else {
            return false;
        };
        let at = base + GROUPS + WORDS * (slot / GROUP);
        let group = self.group(at);
        let before = group.free.get();
        let after = before | bit(slot);
        if after == before {
            return false;
        }
        group.free.set(after);
        if before == 0 {
            self.reopen(base, at, ptr.addr().get() - slot % GROUP * self.size());
        }
        true
    }

    /// Puts a group in front of the others with free slots.
    #[inline]
    fn reopen(&self, base: usize, at: usize, from: usize) {
        let first = self.open.get();
        if first == at {
            return;
        }
        let mut rest = first as u64;
        if first != 0 {
            let first = self.group(first);
            if first.free.get() == 0 {
                rest = first.next.get();
            }
        }
        self.group(at).next.set(rest);
        self.open_in(base, at, from);
    }

    /// Whether a slot that is in use starts at an address, and is as large and aligned as the layout.
    ///
    /// # Errors
    ///
    /// As [`misuse`](Slots::misuse) says.
    pub(crate) fn has(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Misuse> {
        let in_use = |(base, slot)| {
            let group = self.group(base + GROUPS + WORDS * (slot / GROUP));
            group.free.get() & bit(slot) == 0
        };
        if self.find(ptr.addr().get()).is_some_and(in_use) && self.fits(layout) {
            return Ok(());
        }
        Err(self.misuse(ptr, layout))
    }

    /// Why a slot cannot be taken back.
    #[cold]
    pub(crate) fn misuse(&self, ptr: NonNull<u8>, layout: Layout) -> Misuse {
        let address = ptr.addr().get();
        if self.find(address).is_none() {
            return match self.spans(address) {
                true => Misuse::NotABlock { address },
                false => Misuse::NotFromHere { address },
            };
        }
        let (claimed, usable) = (layout.size(), self.size());
        if claimed > usable {
            return Misuse::SizeMismatch {
                address,
                claimed,
                usable,
            };
        }
        if layout.align() > self.align {
            let claimed = layout.align();
            return Misuse::AlignMismatch { address, claimed };
        }
        Misuse::DoubleFree { address }
    }

    /// The chunk that holds an address.
    fn chunk_of(&self, address: usize) -> Option<usize> {
        if !self.range.get().holds(address) {
            return None;
        }
        let base = self.base_of(address);
        (address - base < self.chunk.size() && self.is_sealed(base)).then_some(base)
    }

    /// Whether an address lies in a chunk.
    pub(crate) fn spans(&self, address: usize) -> bool {
        self.chunk_of(address).is_some()
    }

    /// Whether an address lies in a slot.
    pub(crate) fn holds(&self, address: usize) -> bool {
        let from = self.chunk_of(address);
        let from = from.map(|base| (address - base).wrapping_sub(self.first));
        from.is_some_and(|from| from / self.size() < self.each)
    }

    /// Takes all slots back. Nobody uses one any more.
    ///
    /// # Errors
    ///
    /// The address of a chunk whose note or seal is damaged.
    pub(crate) fn reset(&mut self) -> Result<(), usize> {
        self.sealed()?;
        for chunk in self.chunks.iter() {
            self.free_all(chunk?.base());
        }
        self.relink()
    }

    /// Where the lowest chunk starts.
    pub(crate) fn base(&self) -> usize {
        self.range.get().base()
    }

    /// Whether all chunks have sound notes and seals.
    ///
    /// # Errors
    ///
    /// The address of a chunk that has not.
    pub(crate) fn sealed(&self) -> Result<(), usize> {
        self.chunks.iter().try_for_each(|chunk| {
            let base = chunk?.base();
            self.is_sealed(base).then_some(()).ok_or(base)
        })
    }

    /// Looks anew where chunks are, and which groups have free slots.
    fn relink(&self) -> Result<(), usize> {
        let mut range = Chunk::NOWHERE;
        self.open.set(0);
        for chunk in self.chunks.iter() {
            let chunk = chunk?;
            range = range.reach(chunk);
            self.link(chunk.base());
        }
        self.range.set(range);
        Ok(())
    }

    /// How many slots of a chunk are free. `Err` if the words of a group, at this address, say more.
    fn free_in(&self, base: usize) -> Result<usize, usize> {
        let mut count = 0;
        for number in 0..self.groups() {
            let at = base + GROUPS + WORDS * number;
            let free = self.group(at).free.get();
            if !within(free, self.slots_of(number)) {
                return Err(at);
            }
            count += free.count_ones() as usize;
        }
        Ok(count)
    }

    /// Gives chunks without a slot in use back to the heap, and answers how many bytes they had.
    pub(crate) fn trim<H: Share>(&self, pool: &Pool<H>) -> Result<usize, Error> {
        self.sealed().map_err(|at| pool.damage(at))?;
        let mut bytes = 0;
        let mut given = Ok(());
        let keep = |chunk: Chunk| {
            let base = chunk.base();
            if given.is_err() || self.free_in(base) != Ok(self.each) {
                return true;
            }
            let [seal] = {
                // SAFETY: the seal of a chunk of this set's, which is borrowed.
                unsafe { chunk.books(base + NOTE) }
            };
            // Whoever has the memory next must not be taken for a chunk.
            seal.set(!seal.get());
            // SAFETY: no slot of it is in use, and the set forgets it.
            given = unsafe { pool.put_chunk(chunk, self.chunk) };
            match given {
                Ok(()) => bytes += chunk.bytes(),
                Err(_) => seal.set(!seal.get()),
            }
            given.is_err()
        };
        let whole = self.chunks.retain(keep).and_then(|()| self.relink());
        whole.map_err(|at| pool.damage(at))?;
        given.map(|()| bytes)
    }

    /// Checks all chunks, and answers how many slots are in use and how many bytes the chunks have.
    ///
    /// # Errors
    ///
    /// The address of a chunk, or of a group's words, that is damaged.
    pub(crate) fn check(&self) -> Result<(usize, usize), usize> {
        self.sealed()?;
        let (mut range, mut used, mut bytes) = (Chunk::NOWHERE, 0, 0);
        let mut open = 0;
        for chunk in self.chunks.iter() {
            let chunk = chunk?;
            range = range.reach(chunk);
            bytes += chunk.bytes();
            used += self.each - self.free_in(chunk.base())?;
            let groups = (0..self.groups()).map(|n| chunk.base() + GROUPS + WORDS * n);
            open += groups.filter(|at| self.group(*at).free.get() != 0).count();
        }
        if range != self.range.get() {
            return Err(range.base());
        }
        self.check_list(open)?;
        Ok((used, bytes))
    }

    /// Checks that so many groups are linked, which all have free slots but for the first.
    fn check_list(&self, open: usize) -> Result<(), usize> {
        let first = self.open.get();
        let (mut at, mut left) = (first, open);
        while at != 0 {
            if !self.is_group(at) {
                return Err(at);
            }
            let group = self.group(at);
            let next = group.next.get() as usize;
            match group.free.get() {
                0 if at == first && next != first => {}
                0 => return Err(at),
                _ => left = left.checked_sub(1).ok_or(at)?,
            }
            at = next;
        }
        if left > 0 { Err(first) } else { Ok(()) }
    }
}
