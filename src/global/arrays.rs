//! Arrays for the states of slots, and words for those that others gave back, of spans with too many for the table.
//!
//! They lie side by side in a reservation of their own, each as large as its class takes, so that they cost what they
//! hold and not a page for each span. One whose span is gone serves the next span of its class.
//!
//! # Safety
//!
//! What was committed of the reservation stays for the rest of the program, zero at first, and is only seen as atomics.
//! An array is one span's at a time.
#![allow(unsafe_code)]

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::global::classes::{CLASSES, Class};
use crate::global::giver;
use crate::ground::sys::Mapping;
use crate::words::size::{LINE, align_up};

/// Bytes committed at once.
const STEP: usize = 64 << 10;

/// Slots for which a word has the bits.
pub(super) const GROUP: usize = 64;

/// An array of a class, aligned to a cache line, so that what different threads change shares none: words of returned bits, and one more that names the next unused array; then, each from a line on,
/// the words between the span's [`Giver`](giver::Giver) and its owner, and the states.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    pub(super) returned: *const AtomicU64,
    pub(super) handed: *const AtomicU64,
    pub(super) states: *const AtomicU8,
    /// Its place, in lines.
    pub(super) place: u32,
}

/// The reservation.
#[derive(Debug)]
pub(super) struct Arrays {
    /// Never given back: others may be looking.
    mapping: ManuallyDrop<Mapping>,
    committed: usize,
    used: usize,
    /// For each class the place of an unused one and one more, or 0.
    unused: [u32; CLASSES],
}

/// Groups of a class.
const fn groups(class: Class) -> usize {
    class.starts().div_ceil(GROUP)
}

/// Bytes in front of the handed words, which start a line.
const fn front(class: Class) -> usize {
    let words = groups(class) + 1;
    (words * size_of::<u64>()).next_multiple_of(LINE)
}

/// Bytes in front of the states, which start a line.
const fn words(class: Class) -> usize {
    front(class) + giver::words(groups(class)) * size_of::<u64>()
}

/// Bytes of an array.
const fn bytes(class: Class) -> usize {
    words(class) + class.starts().next_multiple_of(LINE)
}

/// Bytes of the largest.
pub(super) const MOST: usize = bytes(Class::numbered(0));

impl Arrays {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self {
            mapping: ManuallyDrop::new(mapping),
            committed: 0,
            used: 0,
            unused: [0; CLASSES],
        }
    }

    /// An array for the slots of a span; `None` if there is no room for another.
    pub(super) fn take(&mut self, class: Class) -> Option<Array> {
        if let Some(place) = class.of(&self.unused).checked_sub(1) {
            let array = self.at(class, place as usize * LINE)?;
            // SAFETY: an array of this class, where nobody else is now.
            let next = unsafe { link(class, &array) }.load(Ordering::Relaxed);
            *class.of_mut(&mut self.unused) = next as u32;
            return Some(array);
        }
        let (start, base) = (self.used, self.mapping.base().addr().get());
        let end = start + bytes(class);
        if end > self.committed {
            let to = align_up(end, STEP)?.min(self.mapping.end() - base);
            let is_room = end <= to && self.mapping.commit(base + self.committed, base + to);
            self.committed = is_room.then_some(to)?;
        }
        self.used = end;
        self.at(class, start)
    }

    /// Keeps an array for the next span of its class.
    pub(super) fn give(&mut self, class: Class, place: u32) {
        let unused = class.of_mut(&mut self.unused);
        let next = core::mem::replace(unused, place + 1);
        if let Some(array) = self.at(class, place as usize * LINE) {
            // SAFETY: an array of this class, whose span is gone.
            unsafe { link(class, &array) }.store(next.into(), Ordering::Relaxed);
        }
    }

    /// The array that starts so far into the reservation, within what is used of it.
    fn at(&self, class: Class, start: usize) -> Option<Array> {
        let states = start + words(class);
        if start + bytes(class) > self.used {
            return None;
        }
        let base = self.mapping.base().as_ptr();
        // SAFETY: within what was committed.
        let returned = unsafe { base.add(start) };
        // SAFETY: as above.
        let handed = unsafe { returned.add(front(class)) };
        // SAFETY: as above.
        let states = unsafe { base.add(states) };
        Some(Array {
            returned: returned.cast_const().cast(),
            handed: handed.cast_const().cast(),
            states: states.cast_const().cast(),
            place: (start / LINE) as u32,
        })
    }
}

/// The word that names the next array when this one is unused.
///
/// # Safety
///
/// The array is of this class.
unsafe fn link(class: Class, array: &Array) -> &'static AtomicU64 {
    // SAFETY: the word behind the bits.
    let word = unsafe { array.returned.add(groups(class)) };
    // SAFETY: committed for good.
    unsafe { &*word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    /// Where an array begins and ends.
    fn range(class: Class, array: &Array) -> (usize, usize) {
        let start = array.returned.addr();
        let end = array.states.addr() + class.starts();
        assert!(start.is_multiple_of(LINE) && array.states.addr().is_multiple_of(LINE));
        let handed = array.handed.addr();
        assert!(handed.is_multiple_of(LINE) && start + groups(class) * 8 + 8 <= handed);
        assert!(handed + groups(class) * 16 <= array.states.addr());
        (start, end)
    }

    #[test]
    fn arrays_lie_side_by_side_and_serve_again() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut arrays = Arrays::new(Mapping::reserve(256 << 10).unwrap());
        let classes: Vec<_> = Class::all().collect();
        let mut taken = BTreeMap::new();
        let mut refused = 0;
        for step in 0..5000_u64 {
            let class = classes[rng.usize(..classes.len())];
            if rng.u8(..5) < 3 || taken.is_empty() {
                let Some(array) = arrays.take(class) else {
                    refused += 1;
                    continue;
                };
                let (start, end) = range(class, &array);
                let before: Option<(_, &(_, usize, _))> = taken.range(..end).next_back();
                assert!(
                    before.is_none_or(|(_, (_, end, _))| *end <= start),
                    "{step}"
                );
                // All of it is its own.
                for at in (start..end).step_by(8) {
                    let word = array.returned.with_addr(at);
                    // SAFETY: within the array.
                    unsafe { &*word }.store(u64::MAX, Ordering::Relaxed);
                }
                taken.insert(start, (class, end, array.place));
            } else {
                let start = *taken.keys().nth(rng.usize(..taken.len())).unwrap();
                let (class, _, place) = taken.remove(&start).unwrap();
                let used = arrays.used;
                arrays.give(class, place);
                let again = arrays.take(class).unwrap();
                assert_eq!((again.place, arrays.used), (place, used));
                arrays.give(class, place);
            }
        }
        assert!(refused > 0 && arrays.used <= 256 << 10);
    }

    #[test]
    fn they_take_little_of_what_they_are_for() {
        use crate::global::span::{SPAN, is_far};
        for class in Class::all().filter(|class| is_far(*class)) {
            // A byte a slot, three bits more, and lines that are not full.
            let most = class.starts() + class.starts() * 3 / 8 + 5 * LINE;
            assert!(
                bytes(class) <= most && bytes(class) < SPAN / 11,
                "{class:?}"
            );
        }
        assert_eq!(bytes(Class::numbered(0)), MOST);
    }
}
