//! One span: a block of the row cut into equal slots, and what each of them is at the moment.
//!
//! What is known of a span stands in a table, not in the span: so nothing that users write, into slots in use or
//! given back, is ever followed, and slots are not touched before they are handed out. A byte for each slot, which
//! only the thread that owns the span changes, says whether somebody has it; any other thread gives a slot back by
//! a bit, which the owner [collects](afar).
//!
//! # Invariants
//!
//! - N1 A slot's state is in use from when it is handed out until its owner has it back: then it is held, or free.
//!   Another gives it back by a bit, which tells so until the owner collects it: by the one in the returned words, or, if
//!   he is the span's [giver](Giver), by the one in which handed and seen words differ. So of two who give the same slot
//!   back one after the other, the second finds the state or the bit.
//! - N2 See [`afar`], as for N4, N6 and N7.
//! - N3 The pointers to states and words lead to one for each start of a slot in 64 KiB, and for each 64 of those, for
//!   good, once there were any. The state of a start that has no slot is absent.
//! - N5 `free` is how many of the states are free, and none before `lowest` is. The owner changes them with the states.
//!
//! # Safety
//!
//! States and words are reached by N3: a slot's number is that of a start.
#![allow(unsafe_code)]

mod afar;

use crate::global::arrays::{Array, GROUP};
use crate::global::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};
use crate::global::classes::Class;
use crate::global::giver::Giver;
use crate::global::link::Link;
use crate::global::shelf::Shelf;
use crate::global::states::{self, ABSENT, FREE};
use crate::global::stock::Stock;
use crate::ground::prefetch::prefetch_to_write;
use crate::words::size::{HEADER, LINE};

/// Bytes from one span to the next, and what divides a span's address.
pub(super) const SPAN: usize = 64 << 10;

/// Bytes that a span has for its slots: the next block's header takes the others.
pub(super) const ROOM: usize = SPAN - HEADER;

/// What is known of a span. All-zero bytes are of none.
#[derive(Debug)]
#[repr(C, align(256))]
pub(super) struct Span {
    // What its owner needs to give a slot back, in one line.
    /// Where its stock has the spans of its class; none where to give a slot back takes more than that, since others
    /// gave some back (N4).
    pub(super) shelf: Link<Shelf>,
    states: AtomicPtr<AtomicU8>,
    pub(super) stock: Link<Stock>,
    start: AtomicPtr<u8>,
    returned: AtomicPtr<AtomicU64>,
    /// None where there is no span.
    slots: AtomicU16,
    class: AtomicU8,
    /// What became of slots in use without the giver is counted here, by an owner who knows of him (N7).
    pub(super) without_giver: AtomicU32,
    /// Who gives slots back without an exchange, if the class has an array.
    pub(super) giver: Giver,
    // What its owner alone needs.
    free: AtomicU16,
    lowest: AtomicU16,
    /// On the list of open ones.
    pub(super) is_listed: AtomicBool,
    /// On the list of those that may be empty.
    pub(super) is_idle: AtomicBool,
    /// Slots that the owner gave back beside the giver since there were some to collect.
    beside: AtomicU16,
    // Its place among open ones, among all of the stock, and among those that may be empty.
    pub(super) next: Link<Span>,
    pub(super) before: Link<Span>,
    pub(super) next_of_all: Link<Span>,
    pub(super) before_of_all: Link<Span>,
    pub(super) next_idle: Link<Span>,
    // Its place among those that have a giver.
    pub(super) next_watched: Link<Span>,
    pub(super) before_watched: Link<Span>,
    near_states: [AtomicU8; GROUP],
    // What others change.
    pub(super) next_changed: Link<Span>,
    changed: AtomicU64,
    near_returned: AtomicU64,
    /// The place of its array and one more, or 0. Seldom looked at.
    array: AtomicU32,
}

const _: () = {
    assert!(size_of::<Span>() == 256);
    assert!(core::mem::offset_of!(Span, free) == 64);
    assert!(core::mem::offset_of!(Span, near_states) == 128);
    assert!(core::mem::offset_of!(Span, next_changed) == 192);
};

/// A slot of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Slot {
    fn group(self) -> usize {
        self.0 / GROUP
    }

    fn bit(self) -> u64 {
        1 << (self.0 % GROUP)
    }
}

/// Whether so many slots need an array of their own.
pub(super) const fn is_far(class: Class) -> bool {
    class.starts() > GROUP
}

impl Span {
    /// Makes it one of a class, all slots free, whose slots start there, with an array if [`is_far`] says so.
    pub(super) fn open(&'static self, class: Class, start: *mut u8, array: Option<Array>) {
        let (states, returned, place) = match array {
            Some(array) => (array.states, array.returned, array.place + 1),
            None => (self.near_states.as_ptr(), &raw const self.near_returned, 0),
        };
        self.states.store(states.cast_mut(), Ordering::Relaxed);
        self.returned.store(returned.cast_mut(), Ordering::Relaxed);
        self.array.store(place, Ordering::Relaxed);
        self.class.store(class.number() as u8, Ordering::Relaxed);
        let slots = ROOM / class.bytes();
        for number in 0..class.starts().next_multiple_of(size_of::<u64>()) {
            let state = if number < slots { FREE } else { ABSENT };
            self.state(number).store(state, Ordering::Relaxed);
        }
        let groups = self.groups(class);
        self.giver
            .begin(array.map(|array| array.handed), groups.len());
        for group in groups {
            self.returned_in(group).store(0, Ordering::Relaxed);
        }
        // A slot's holder may have a pointer to what he asked for alone: others are made from the address.
        start.expose_provenance();
        self.start.store(start, Ordering::Relaxed);
        self.free.store(slots as u16, Ordering::Relaxed);
        self.lowest.store(0, Ordering::Relaxed);
        self.is_listed.store(false, Ordering::Relaxed);
        self.is_idle.store(false, Ordering::Relaxed);
        self.beside.store(0, Ordering::Relaxed);
        self.stop_counting();
        self.next_watched.set(None);
        self.before_watched.set(None);
        self.changed.store(0, Ordering::Relaxed);
        self.slots.store(slots as u16, Ordering::Release);
    }

    /// Makes it none. Nobody uses its slots. Answers its array's place, if it had one.
    pub(super) fn close(&self) -> Option<u32> {
        self.stock.set(None);
        self.shelf.set(None);
        self.giver.end();
        self.slots.store(0, Ordering::Relaxed);
        self.array.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Whether there is a span.
    pub(super) fn is_open(&self) -> bool {
        self.slots() != 0
    }

    pub(super) fn class(&self) -> Class {
        let number = self.class.load(Ordering::Relaxed);
        // SAFETY: that of a class is all that is ever stored there, and there is one of number 0.
        unsafe { Class::numbered_as_stored(number) }
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.load(Ordering::Relaxed)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.load(Ordering::Relaxed).into()
    }

    /// How many slots are free; by its owner.
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed).into()
    }

    /// How many slots are in use or held; by its owner.
    pub(super) fn taken(&self) -> usize {
        self.slots() - self.free()
    }

    /// Whether an address is one of its 64 KiB.
    pub(super) fn contains(&self, at: *const u8) -> bool {
        at.addr() / SPAN == self.start().addr() / SPAN
    }

    fn groups(&self, class: Class) -> core::ops::Range<usize> {
        0..class.starts().div_ceil(GROUP)
    }

    /// The slot that starts at an address in the span.
    pub(super) fn slot_at(&self, address: usize) -> Option<Slot> {
        let number = self.class().slot_at(address % SPAN)?;
        (number < self.slots()).then_some(Slot(number))
    }

    /// The states of all starts, by a pointer that leads to each.
    #[inline(always)]
    fn states(&self) -> *const AtomicU8 {
        self.states.load(Ordering::Relaxed)
    }

    /// The state of the start of this number in its class.
    #[inline(always)]
    pub(super) fn state(&self, number: usize) -> &'static AtomicU8 {
        // SAFETY: N3.
        let at = unsafe { self.states().add(number) };
        // SAFETY: N3.
        unsafe { &*at }
    }

    /// The state of a slot.
    pub(super) fn state_of(&self, slot: Slot) -> &'static AtomicU8 {
        self.state(slot.0)
    }

    /// The returned bits of a group.
    fn returned_in(&self, group: usize) -> &'static AtomicU64 {
        let first = self.returned.load(Ordering::Relaxed);
        // SAFETY: N3.
        let at = unsafe { first.add(group) };
        // SAFETY: N3.
        unsafe { &*at }
    }

    /// Which slots have a state that says in use, of this one's group, a bit each; of a span with an array.
    #[cfg(not(loom))]
    fn in_use_beside(&self, slot: Slot) -> u64 {
        // SAFETY: N3: in an array each group's states have a line, and what is no start's is never in use.
        let group = unsafe { self.states().add(slot.group() * GROUP) };
        // SAFETY: as above.
        unsafe { states::in_use(group) }
    }

    /// As above, of this slot and the one behind it: to the model checker each takes as long as all else.
    #[cfg(loom)]
    fn in_use_beside(&self, slot: Slot) -> u64 {
        let next = Slot((slot.0 + 1) % self.slots());
        let both = [
            slot,
            if next.group() == slot.group() {
                next
            } else {
                slot
            },
        ];
        let is_in_use =
            |slot: &Slot| self.state_of(*slot).load(Ordering::Relaxed) == states::IN_USE;
        both.iter()
            .filter(|slot| is_in_use(slot))
            .fold(0, |bits, slot| bits | slot.bit())
    }

    /// Takes so many free slots, of which there are as many, the lowest: shows where each starts and its state, which is
    /// made another then; by its owner.
    #[inline(always)]
    pub(super) fn take(&self, count: usize, mut show: impl FnMut(*mut u8, &'static AtomicU8)) {
        let (start, class) = (self.start(), self.class());
        let lowest = self.lowest.load(Ordering::Relaxed).into();
        let to = class.starts().next_multiple_of(size_of::<u64>());
        let bytes = class.bytes();
        let show = |number| {
            // SAFETY: the slot lies in the span.
            let slot = unsafe { start.add(number * bytes) };
            show(slot, self.state(number));
        };
        // SAFETY: N3: made so long, of whole words, in an array's line or the table's.
        let next = unsafe { states::free_from(self.states(), lowest, to, count, show) };
        self.lowest.store(next as u16, Ordering::Relaxed);
        self.count_free(-(count as i16));
    }

    /// Says early that so many slots behind those that were taken will be, where the giver's processor has their lines.
    pub(super) fn prefetch_next(&self, count: usize) {
        let next = usize::from(self.lowest.load(Ordering::Relaxed));
        let bytes = self.class().bytes();
        let to = self.slots().min(next + count) * bytes;
        let lines = (next * bytes..to).step_by(bytes.max(LINE));
        prefetch_to_write(lines.map(|at| self.start().wrapping_add(at).cast_const()));
    }

    fn count_free(&self, more: i16) {
        let free = self.free.load(Ordering::Relaxed);
        self.free
            .store(free.wrapping_add_signed(more), Ordering::Relaxed);
    }

    /// The slot of a state of this span's.
    pub(super) fn slot_of_state(&self, state: *const AtomicU8) -> Slot {
        Slot(state.addr() - self.states().addr())
    }

    /// Makes a slot free that its owner gives back, unless that is a matter of more than a few instructions: since it is
    /// the first that is free, or nothing may be in use any more but what a magazine of so many has.
    #[inline(always)]
    pub(super) fn put_quickly(&self, slot: Slot, held: usize) -> bool {
        let free = self.free() + 1;
        let is_quick = free > 1 && self.slots() - free > held;
        if is_quick {
            self.put(slot);
        }
        is_quick
    }

    /// Makes a slot free that nobody has, by its owner.
    pub(super) fn put(&self, slot: Slot) {
        self.state_of(slot).store(FREE, Ordering::Relaxed);
        self.count_free(1);
        if slot.0 < self.lowest.load(Ordering::Relaxed).into() {
            self.lowest.store(slot.0 as u16, Ordering::Relaxed);
        }
    }

    /// Whether no slot is in use or held, and nobody gave one back that its owner has to look at; by its owner.
    pub(super) fn is_empty(&self) -> bool {
        self.taken() == 0 && !self.is_changed()
    }

    /// How many slots are in use.
    pub(super) fn used(&self) -> usize {
        let slots = (0..self.slots()).map(Slot);
        slots.filter(|slot| self.has_owner(*slot)).count()
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use super::*;
    use crate::global::states::{HELD, IN_USE};
    use std::vec::Vec;

    /// Something of which all-zero bytes are one, as all here that says so.
    pub(in crate::global) fn zeroed<T: Sync>() -> &'static T {
        let layout = core::alloc::Layout::new::<T>();
        // SAFETY: not of size 0.
        let at = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<T>();
        // SAFETY: zeroed, and never given back.
        unsafe { &*at }
    }

    /// All classes; where Miri interprets the tests, one in four of those that have no more than two groups of slots.
    pub(in crate::global) fn classes() -> impl Iterator<Item = Class> {
        let classes = Class::all().filter(|class| !cfg!(miri) || class.starts() <= 2 * GROUP);
        classes.step_by(if cfg!(miri) { 4 } else { 1 })
    }

    /// What a span hands out.
    #[repr(C, align(0x1_0000))]
    struct Memory([AtomicU8; SPAN]);

    const _: () = assert!(align_of::<Memory>() == SPAN);

    /// A span of a class.
    pub(in crate::global) fn opened(class: Class) -> &'static Span {
        let span: &'static Span = zeroed();
        open(span, class);
        span
    }

    /// Makes a span one of a class.
    pub(in crate::global) fn open(span: &'static Span, class: Class) {
        let words: Vec<_> = (0..GROUP).map(|_| AtomicU64::new(7)).collect();
        let handed: Vec<_> = (0..2 * GROUP).map(|_| AtomicU64::new(7)).collect();
        let states: Vec<_> = (0..8 * 512).map(|_| AtomicU64::new(7)).collect();
        let array = Array {
            returned: words.leak().as_ptr(),
            handed: handed.leak().as_ptr(),
            states: states.leak().as_ptr().cast(),
            place: 4,
        };
        let memory: &'static Memory = zeroed();
        let start = memory.0.as_ptr().cast_mut().cast();
        span.open(class, start, is_far(class).then_some(array));
    }

    pub(in crate::global) fn held(span: &Span, count: usize) -> Vec<Slot> {
        let mut taken = Vec::new();
        span.take(count, |_, state| {
            state.store(HELD, Ordering::Relaxed);
            taken.push(span.slot_of_state(state));
        });
        taken
    }

    pub(in crate::global) fn in_use(span: &Span, count: usize) -> Vec<Slot> {
        let taken = held(span, count);
        for slot in &taken {
            span.state_of(*slot).store(IN_USE, Ordering::Relaxed);
        }
        taken
    }

    #[test]
    fn slots_are_taken_and_put_lowest_first() {
        for class in classes() {
            let span = opened(class);
            assert!(span.is_open() && span.is_empty() && span.used() == 0);
            let slots = ROOM / class.bytes();
            assert_eq!((span.slots(), span.free(), span.taken()), (slots, slots, 0));
            let all = in_use(span, slots);
            assert!(all.iter().map(|slot| slot.0).eq(0..slots));
            assert_eq!((span.free(), span.used()), (0, slots));
            for slot in [slots - 1, 0, slots / 2] {
                span.put(Slot(slot));
                assert_eq!(span.free(), 1);
                assert_eq!(held(span, 1), [Slot(slot)]);
                assert_eq!(span.used(), slots - 1, "what is held is not in use");
                span.state(slot).store(IN_USE, Ordering::Relaxed);
            }
            // Behind the last there may be the start of another, which is not one.
            for number in slots..class.starts() {
                assert_eq!(span.state(number).load(Ordering::Relaxed), ABSENT);
                assert_eq!(span.slot_at(SPAN + number * class.bytes()), None);
            }
            assert!(all.iter().all(|slot| !span.put_quickly(*slot, slots)));
            all.iter().for_each(|slot| span.put(*slot));
            assert!(span.is_empty());
            span.close();
            assert!(!span.is_open() && span.slot_at(SPAN).is_none());
        }
    }

    #[test]
    fn what_is_put_quickly_is_neither_the_first_nor_maybe_the_last() {
        let span = opened(Class::numbered(7));
        let all = in_use(span, span.slots());
        assert!(!span.put_quickly(all[0], 3), "the first");
        span.put(all[0]);
        let quick = all[1..].iter().filter(|slot| span.put_quickly(**slot, 3));
        assert_eq!(quick.count(), all.len() - 1 - 4);
        assert_eq!(span.taken(), 4, "one more than may be held");
    }
}
