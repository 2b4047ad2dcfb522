//! One span: a block of the row cut into equal slots, and which of them are free.
//!
//! What is known of a span stands in a table, not in the span: so nothing that users write, into slots in use or
//! given back, is ever followed, and slots are not touched before they are handed out. A bit for each slot says
//! whether it is free, and only the thread that owns the span changes those. Any other gives a slot back by a
//! second set of bits, which the owner collects.
//!
//! # Invariants
//!
//! - N1 A slot is in use until its bit is set, among the free ones or the returned ones. Of two who give the same
//!   slot back one after the other, the second finds it set.
//! - N2 A word of returned bits that is not 0 has its bit in `changed`, or somebody is about to set that; whoever
//!   makes `changed` other than 0 puts the span on its stock's list. Only what is taken off that list is
//!   collected. So no span is empty, and none goes, while somebody is still to put it on a list.
//! - N3 The pointers to words lead to as many as the span's slots have groups of 64, for good, once there were
//!   any. Bits beyond the last slot are set among the free ones.
//! - N4 A span that names its shelf is neither full nor shared.
//!
//! # Safety
//!
//! Words are reached by N3: a slot's number is checked against its address, and slots beyond the last are in the
//! last group.
#![allow(unsafe_code)]

use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};

use crate::global::classes::{CLASSES, Numbers};
use crate::global::link::Link;
use crate::global::shelf::Shelf;
use crate::global::stock::Stock;
use crate::global::thread::Thread;
use crate::pools::size_classes::class::Class;
use crate::words::error::Misuse;
use crate::words::size::HEADER;

/// Bytes from one span to the next, and what divides a span's address.
pub(super) const SPAN: usize = 64 << 10;

/// Bytes that a span has for its slots: the next block's header takes the others.
pub(super) const ROOM: usize = SPAN - HEADER;

/// Words of bits beside a span's numbers; a span of more slots has others.
const NEAR: usize = 6;

/// Words of bits for a span of the smallest slots.
const FAR: usize = 64;

/// Slots for which a word has the bits.
pub(super) const GROUP: usize = 64;

/// Words for spans of many slots: free and returned ones.
pub(super) type FarWords = [[AtomicU64; FAR]; 2];

/// What is known of a span. All-zero bytes are of none.
#[derive(Debug)]
#[repr(C, align(256))]
pub(super) struct Span {
    // All that its owner needs to give a slot back, in one line.
    /// Where its stock has the spans of its class; none where to give a slot back takes more than that, since it is
    /// full, or shared.
    pub(super) shelf: Link<Shelf>,
    free: AtomicPtr<AtomicU64>,
    near_free: [AtomicU64; NEAR],
    // What stays as it is until the span goes, and its place among open ones.
    pub(super) owner: Link<Thread>,
    pub(super) stock: Link<Stock>,
    start: AtomicPtr<u8>,
    returned: AtomicPtr<AtomicU64>,
    size: AtomicU32,
    slots: AtomicU16,
    class: AtomicU8,
    /// Others gave slots back: so the returned bits count too.
    shared: AtomicBool,
    /// No slot was free when the owner last looked, so it is on no list.
    pub(super) full: AtomicBool,
    pub(super) next: Link<Span>,
    pub(super) before: Link<Span>,
    // Its place among all of the stock.
    pub(super) next_of_all: Link<Span>,
    pub(super) before_of_all: Link<Span>,
    _line: [u64; 6],
    // What others change.
    pub(super) next_changed: Link<Span>,
    changed: AtomicU64,
    near_returned: [AtomicU64; NEAR],
}

const _: () = {
    assert!(size_of::<Span>() == 256);
    assert!(core::mem::offset_of!(Span, owner) == 64);
    assert!(core::mem::offset_of!(Span, next_of_all) == 128);
    assert!(core::mem::offset_of!(Span, next_changed) == 192);
    // What lies beyond the last slot is of its group.
    let mut number = 0;
    while number < CLASSES {
        let bytes = Class::numbered(number).bytes();
        assert!((ROOM / bytes - 1) / GROUP == (SPAN - 1) / bytes / GROUP);
        number += 1;
    }
};

/// A slot of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Slot {
    #[inline]
    fn group(self) -> usize {
        self.0 / GROUP
    }

    #[inline]
    fn bit(self) -> u64 {
        1 << (self.0 % GROUP)
    }
}

/// A slot that its owner gave back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) at: *mut u8,
    /// Where its bit is.
    pub(super) word: &'static AtomicU64,
    pub(super) bit: u64,
    /// No slot of its group is in use.
    pub(super) last: bool,
}

/// Whether so many slots need words of their own.
pub(super) fn is_far(class: Class) -> bool {
    ROOM / class.bytes() > NEAR * GROUP
}

#[inline(always)]
fn set_free(word: &'static AtomicU64, free: u64, bit: u64, at: *mut u8) -> Given {
    let free = free | bit;
    word.store(free, Ordering::Relaxed);
    let last = free == u64::MAX;
    Given {
        at,
        word,
        bit,
        last,
    }
}

impl Span {
    /// Makes it one of a class, all slots free, whose slots start there; [`is_far`] tells whether it needs words.
    pub(super) fn open(
        &'static self,
        class: Class,
        start: *mut u8,
        far: Option<&'static FarWords>,
    ) {
        let slots = ROOM / class.bytes();
        let (free, returned) = match far {
            Some([free, returned]) => (free.as_slice(), returned.as_slice()),
            None => (self.near_free.as_slice(), self.near_returned.as_slice()),
        };
        for (free, returned) in free.iter().zip(returned).take(slots.div_ceil(GROUP)) {
            free.store(u64::MAX, Ordering::Relaxed);
            returned.store(0, Ordering::Relaxed);
        }
        let number = |word: &'static [AtomicU64]| word.as_ptr().cast_mut();
        self.free.store(number(free), Ordering::Relaxed);
        self.returned.store(number(returned), Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        self.slots.store(slots as u16, Ordering::Relaxed);
        self.class.store(class.number() as u8, Ordering::Relaxed);
        self.shared.store(false, Ordering::Relaxed);
        self.changed.store(0, Ordering::Relaxed);
        self.size.store(class.bytes() as u32, Ordering::Release);
    }

    /// Makes it none. Nobody uses its slots.
    pub(super) fn close(&self) {
        self.owner.set(None);
        self.stock.set(None);
        self.shelf.set(None);
        self.size.store(0, Ordering::Relaxed);
    }

    /// Whether there is a span.
    pub(super) fn is_open(&self) -> bool {
        self.size() != 0
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed) as usize
    }

    #[inline(always)]
    pub(super) fn class(&self) -> Class {
        Class::numbered(self.class.load(Ordering::Relaxed).into())
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.load(Ordering::Relaxed)
    }

    fn slots(&self) -> usize {
        self.slots.load(Ordering::Relaxed).into()
    }

    /// Groups of slots.
    pub(super) fn groups(&self) -> usize {
        self.slots().div_ceil(GROUP)
    }

    /// The slot that starts at an address in the span.
    pub(super) fn slot_at(&self, address: usize) -> Option<Slot> {
        let (offset, size) = (address % SPAN, self.size());
        let number = offset.checked_div(size)?;
        (number < self.slots() && number * size == offset).then_some(Slot(number))
    }

    /// The address at which a slot starts.
    fn address_of(&self, slot: Slot) -> usize {
        self.start().addr() + slot.0 * self.size()
    }

    /// The free bits of a group that there is.
    #[inline]
    fn free_in(&self, group: usize) -> &'static AtomicU64 {
        let first = self.free.load(Ordering::Relaxed);
        // SAFETY: N3.
        let at = unsafe { first.add(group) };
        // SAFETY: N3; words are only reached as atomics.
        unsafe { &*at }
    }

    /// The returned bits of a group that there is.
    fn returned_in(&self, group: usize) -> &'static AtomicU64 {
        let first = self.returned.load(Ordering::Relaxed);
        // SAFETY: N3.
        let at = unsafe { first.add(group) };
        // SAFETY: N3; words are only reached as atomics.
        unsafe { &*at }
    }

    /// The bits of a group for slots that there are not.
    pub(super) fn absent_in(&self, group: usize) -> u64 {
        match self.slots().saturating_sub(group * GROUP) {
            there @ 0..GROUP => u64::MAX << there,
            _ => 0,
        }
    }

    /// The next group, from this one on and around, in which a slot is free, and its word. By its owner.
    pub(super) fn group_with_free(&self, from: usize) -> Option<(usize, &'static AtomicU64)> {
        let groups = self.groups();
        (from..groups).chain(0..from).find_map(|group| {
            let word = self.free_in(group);
            (word.load(Ordering::Relaxed) != self.absent_in(group)).then_some((group, word))
        })
    }

    /// Gives the slot back that starts at an address in the span, which names this shelf, by its owner; `None` for
    /// whoever has to find out what it is about.
    #[inline(always)]
    pub(super) fn give(&self, at: *mut u8, numbers: &Numbers) -> Option<Given> {
        let slot = Slot(numbers.slot_at(at.addr() % SPAN)?);
        let word = self.free_in(slot.group());
        let free = word.load(Ordering::Relaxed);
        (free & slot.bit() == 0).then(|| set_free(word, free, slot.bit(), at))
    }

    /// Gives a slot back, by its owner.
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if somebody did before.
    pub(super) fn give_slot(&self, slot: Slot, at: *mut u8) -> Result<Given, Misuse> {
        self.in_use(slot)?;
        let word = self.free_in(slot.group());
        let free = word.load(Ordering::Relaxed);
        Ok(set_free(word, free, slot.bit(), at))
    }

    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if nobody holds the slot.
    pub(super) fn in_use(&self, slot: Slot) -> Result<(), Misuse> {
        let free = self.free_in(slot.group()).load(Ordering::Relaxed);
        let shared = self.shared.load(Ordering::Relaxed);
        let returned = if shared {
            self.returned_in(slot.group()).load(Ordering::Relaxed)
        } else {
            0
        };
        if (free | returned) & slot.bit() != 0 {
            return Err(self.double_free(slot));
        }
        Ok(())
    }

    /// Gives a slot back, by anybody; whether the caller has to put the span on its stock's list of changed
    /// ones (N2).
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] if somebody did before.
    pub(super) fn give_from_afar(&self, slot: Slot) -> Result<bool, Misuse> {
        let group = slot.group();
        if self.free_in(group).load(Ordering::Relaxed) & slot.bit() != 0 {
            return Err(self.double_free(slot));
        }
        if !self.shared.load(Ordering::Relaxed) {
            self.shared.store(true, Ordering::SeqCst);
            self.shelf.set(None);
        }
        let before = self
            .returned_in(group)
            .fetch_or(slot.bit(), Ordering::AcqRel);
        if before & slot.bit() != 0 {
            return Err(self.double_free(slot));
        }
        Ok(before == 0 && self.changed.fetch_or(1 << group, Ordering::AcqRel) == 0)
    }

    /// Notes that no slot is free, by its owner.
    pub(super) fn be_full(&self) {
        self.shelf.set(None);
        self.full.store(true, Ordering::Relaxed);
    }

    /// Notes that slots may be free, by its owner.
    pub(super) fn be_open(&self, shelf: &'static Shelf) {
        self.full.store(false, Ordering::Relaxed);
        self.shelf.set(Some(shelf));
        // Whoever makes it shared says so first: then one of the two takes the shelf away.
        fence(Ordering::SeqCst);
        if self.shared.load(Ordering::Relaxed) {
            self.shelf.set(None);
        }
    }

    /// Makes the returned slots free, by the owner who took the span off the list (N2).
    ///
    /// # Errors
    ///
    /// [`Misuse::DoubleFree`] for a slot that its owner had free already.
    pub(super) fn collect(&self) -> Result<(), Misuse> {
        let mut groups = self.changed.swap(0, Ordering::AcqRel);
        while groups != 0 {
            let group = groups.trailing_zeros() as usize;
            groups &= groups - 1;
            let returned = self.returned_in(group).swap(0, Ordering::AcqRel);
            let word = self.free_in(group);
            let free = word.load(Ordering::Relaxed);
            word.store(free | returned, Ordering::Relaxed);
            if free & returned != 0 {
                let bit = (free & returned).trailing_zeros() as usize;
                return Err(self.double_free(Slot(group * GROUP + bit)));
            }
        }
        Ok(())
    }

    fn double_free(&self, slot: Slot) -> Misuse {
        let address = self.address_of(slot);
        Misuse::DoubleFree { address }
    }

    /// Whether no slot is in use, and nobody gave one back that its owner has to look at.
    pub(super) fn is_empty(&self) -> bool {
        if self.changed.load(Ordering::Acquire) != 0 {
            return false;
        }
        (0..self.groups()).all(|group| self.free_in(group).load(Ordering::Relaxed) == u64::MAX)
    }

    /// How many slots are in use.
    pub(super) fn used(&self) -> usize {
        let used = |group| {
            let free = self.free_in(group).load(Ordering::Relaxed);
            let returned = self.returned_in(group).load(Ordering::Relaxed);
            (free | returned).count_zeros() as usize
        };
        (0..self.groups()).map(used).sum()
    }
}
