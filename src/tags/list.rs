//! Which blocks are a tag's: an array of positions for each tag, in chunks of one table.
//!
//! A block's header says where in its tag's array it stands, so taking it out is one store. The place it
//! leaves is chained to others and filled first. Chunks are powers of two; an array that outgrows its
//! chunk moves to one twice as large, and the old one waits for the next array of its size.

use core::ops::Range;

use crate::ground::table::{IndexMemory, Table};
use crate::words::size::UNIT;
use crate::words::slot::Slot;

/// A tag's array: part of the table of [`Lists`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    /// Index of its chunk's first entry.
    start: u32,
    /// Entries used, holes included; the chunk has the next power of two, at least four.
    length: u32,
    /// Place and one of the first hole, or 0.
    hole: u32,
    /// Blocks that no entry could be had for.
    pub(crate) unlisted: u32,
}

/// An entry: the block's offset in units, and the epoch it was allocated in; or a hole.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Entry(u64);

/// The least of the numbers that are holes: they have so many units in front of them, which no block has.
const HOLE: u64 = (u32::MAX as u64) << 32;

/// Smallest chunk.
const LEAST: u32 = 4;

/// Chunk sizes: four entries to 2^26.
const CLASSES: usize = 25;

/// Entries at the start.
const FIRST: usize = 64;

/// All tags' arrays.
#[derive(Debug)]
pub(crate) struct Lists {
    entries: Table<u64>,
    /// Entries that were ever part of a chunk.
    used: usize,
    /// By class, the first entry and one of a chunk that waits, or 0; its first entry leads on.
    waiting: [u32; CLASSES],
}

/// Places that are looked at together.
const PIECE: usize = 64;

/// Whether a block among them was allocated in an epoch or later. Looks at all of them: several at once, without a branch.
fn has_young(entries: &[u64], epoch: u32) -> bool {
    // Of each, bit 32: whether the age's sum reaches it, and the place's, as a hole's does, does not.
    let up_to = (1 << 32) - u64::from(epoch);
    let young = entries.iter().fold(0, |young, entry| {
        let (place, age) = (entry >> 32, entry & u64::from(u32::MAX));
        young | (age + up_to) & !(place + 1)
    });
    young >> 32 & 1 == 1
}

impl Entry {
    #[inline]
    fn new(offset: usize, epoch: u32) -> Option<Self> {
        let units = (offset / UNIT) as u64;
        (units < HOLE >> 32).then_some(Self(units << 32 | u64::from(epoch)))
    }

    /// Bytes from the base to the block.
    pub(crate) fn offset(self) -> usize {
        (self.0 >> 32) as usize * UNIT
    }

    /// The epoch in which the block was allocated.
    pub(crate) fn epoch(self) -> u32 {
        self.0 as u32
    }
}

#[inline]
fn capacity(length: u32) -> u32 {
    if length == 0 {
        0
    } else {
        length.next_power_of_two().max(LEAST)
    }
}

/// Whether so many entries fill their chunk, or are as many as an array may have.
#[inline]
fn is_full(length: u32) -> bool {
    let is_power = length & length.wrapping_sub(1) == 0;
    (is_power && !(1..LEAST).contains(&length)) || length == Slot::UNLISTED
}

fn class(capacity: u32) -> usize {
    (capacity / LEAST).checked_ilog2().unwrap_or(0) as usize
}

impl List {
    /// Entries, holes included.
    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// Index of an entry in the table.
    #[inline]
    fn index(&self, place: u32) -> usize {
        self.start as usize + place as usize
    }
}

impl Lists {
    pub(crate) const fn empty() -> Self {
        Self {
            entries: Table::empty(),
            used: 0,
            waiting: [0; CLASSES],
        }
    }

    /// Enters a block; its place, or [`Slot::UNLISTED`] if there is no memory for it.
    #[inline(always)]
    pub(crate) fn enter(
        &mut self,
        list: &mut List,
        offset: usize,
        epoch: u32,
        memory: &mut IndexMemory,
    ) -> u32 {
        if let Some(entry) = Entry::new(offset, epoch) {
            if let Some(hole) = list.hole.checked_sub(1)
                && let Some(place) = self.entries.get_mut(list.index(hole))
            {
                // A hole leads to the next.
                list.hole = core::mem::replace(place, entry.0) as u32;
                return hole;
            }
            if let Some(place) = self.append(list, entry, memory) {
                return place;
            }
        }
        list.unlisted += 1;
        Slot::UNLISTED
    }

    /// Enters at the end of an array.
    #[inline(never)]
    fn append(&mut self, list: &mut List, entry: Entry, memory: &mut IndexMemory) -> Option<u32> {
        if is_full(list.length) {
            return self.append_to_larger(list, entry, memory);
        }
        self.put_last(list, entry)
    }

    #[cold]
    #[inline(never)]
    fn append_to_larger(
        &mut self,
        list: &mut List,
        entry: Entry,
        memory: &mut IndexMemory,
    ) -> Option<u32> {
        if list.length == Slot::UNLISTED {
            return None;
        }
        self.enlarge(list, memory)?;
        self.put_last(list, entry)
    }

    /// Enters behind the last, where the chunk has room.
    #[inline(always)]
    fn put_last(&mut self, list: &mut List, entry: Entry) -> Option<u32> {
        let place = list.length;
        *self.entries.get_mut(list.index(place))? = entry.0;
        list.length += 1;
        Some(place)
    }

    fn enlarge(&mut self, list: &mut List, memory: &mut IndexMemory) -> Option<()> {
        let length = list.length();
        let wanted = list.length.checked_mul(2)?.max(LEAST);
        let start = self.chunk(wanted, memory)?;
        let old = list.start as usize;
        self.entries.copy_within(old..old + length, start as usize);
        self.give_back(*list);
        list.start = start;
        Some(())
    }

    /// A chunk of `capacity` entries, a power of two.
    fn chunk(&mut self, capacity: u32, memory: &mut IndexMemory) -> Option<u32> {
        let waiting = self.waiting.get_mut(class(capacity))?;
        if let Some(start) = waiting.checked_sub(1) {
            *waiting = *self.entries.get(start as usize)? as u32;
            return Some(start);
        }
        let start = u32::try_from(self.used).ok()?;
        let end = self.used + capacity as usize;
        if end > self.entries.len() {
            // Once beyond what was lent, a table doubles, so it is not asked for more than is needed.
            self.entries.grow(end.max(FIRST), memory).ok()?;
        }
        self.used = end;
        Some(start)
    }

    fn give_back(&mut self, list: List) {
        let capacity = capacity(list.length);
        let first = self.entries.get_mut(list.start as usize);
        let waiting = self.waiting.get_mut(class(capacity));
        if let (1.., Some(first), Some(waiting)) = (capacity, first, waiting) {
            *first = u64::from(core::mem::replace(waiting, list.start + 1));
        }
    }

    /// Takes the block at a place out.
    #[inline]
    pub(crate) fn leave(&mut self, list: &mut List, place: u32) {
        if place == Slot::UNLISTED {
            list.unlisted -= 1;
        } else if let Some(entry) = self.entries.get_mut(list.index(place)) {
            *entry = HOLE | u64::from(core::mem::replace(&mut list.hole, place + 1));
        }
    }

    /// Takes those between some places out that were allocated in an epoch or later. The first is filled first.
    pub(crate) fn leave_since(&mut self, list: &mut List, epoch: u32, places: Range<usize>) {
        for place in places.rev() {
            if self
                .get(list, place)
                .is_some_and(|entry| entry.epoch() >= epoch)
            {
                self.leave(list, place as u32);
            }
        }
    }

    /// Empties an array.
    pub(crate) fn clear(&mut self, list: &mut List) {
        self.give_back(*list);
        *list = List::default();
    }

    /// The block at a place; `None` for a hole or beyond the end.
    #[inline]
    pub(crate) fn get(&self, list: &List, place: usize) -> Option<Entry> {
        let entry = *self.entries.get(list.start as usize + place)?;
        (place < list.length() && entry < HOLE).then_some(Entry(entry))
    }

    /// What stands at some places, but for those beyond the end.
    #[inline]
    fn slice(&self, list: &List, places: Range<usize>) -> &[u64] {
        let from = list.start as usize;
        let places = from + places.start..from + places.end.min(list.length());
        self.entries.get(places).unwrap_or_default()
    }

    /// The blocks at some places, without the holes among them and what is beyond the end.
    #[inline]
    pub(crate) fn range(&self, list: &List, places: Range<usize>) -> impl Iterator<Item = Entry> {
        let entries = self.slice(list, places).iter();
        entries
            .filter(|entry| **entry < HOLE)
            .map(|entry| Entry(*entry))
    }

    /// The places from the first block to the last of those allocated in an epoch or later. O(places).
    pub(crate) fn since(&self, list: &List, epoch: u32) -> Range<usize> {
        let mut pieces = self.slice(list, 0..list.length()).chunks(PIECE);
        let nothing = list.length()..list.length();
        let Some(first) = pieces.position(|piece| has_young(piece, epoch)) else {
            return nothing;
        };
        let behind = pieces.rposition(|piece| has_young(piece, epoch));
        let end = behind.map_or(first + 1, |nth| first + 1 + nth + 1);
        first * PIECE..list.length().min(end * PIECE)
    }

    /// Lowers all epochs by `by`; those that lie further back become 0.
    pub(crate) fn age(&mut self, list: &List, by: u32) {
        let from = list.start as usize;
        let entries = self
            .entries
            .get_mut(from..from + list.length())
            .unwrap_or_default();
        for entry in entries.iter_mut().filter(|entry| **entry < HOLE) {
            let epoch = (*entry as u32).saturating_sub(by);
            *entry = *entry >> 32 << 32 | u64::from(epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn chunks_are_full_at_their_capacities() {
        for length in (0..70_000).chain(Slot::UNLISTED - 70_000..Slot::UNLISTED) {
            assert_eq!(is_full(length), length == capacity(length), "{length}");
        }
        assert!(is_full(Slot::UNLISTED), "no more have a place");
    }

    #[test]
    fn what_lies_64_gib_behind_the_base_has_no_place() {
        let (mut lists, mut memory) = (Lists::empty(), IndexMemory::unlent());
        let mut list = List::default();
        for (nth, offset) in [0, 1 << 35, (1 << 36) - 2 * UNIT].into_iter().enumerate() {
            let place = lists.enter(&mut list, offset, u32::MAX, &mut memory);
            let entry = lists.get(&list, place as usize).unwrap();
            assert_eq!((entry.offset(), entry.epoch()), (offset, u32::MAX));
            assert_eq!((place, lists.since(&list, 1)), (nth as u32, 0..nth + 1));
        }
        for offset in [(1 << 36) - UNIT, 1 << 36, 1 << 46] {
            let place = lists.enter(&mut list, offset, 0, &mut memory);
            assert_eq!(place, Slot::UNLISTED);
        }
        assert_eq!((list.unlisted, list.length()), (3, 3));
    }

    /// Blocks come, go and fill holes, as epochs pass, up to the last there is.
    #[test]
    fn those_since_an_epoch_are_found_and_leave_and_no_others() {
        let mut random = fastrand::Rng::with_seed(1);
        for (run, first) in [0, 1, u32::MAX - 40]
            .into_iter()
            .cycle()
            .take(60)
            .enumerate()
        {
            let (mut lists, mut memory) = (Lists::empty(), IndexMemory::unlent());
            let mut list = List::default();
            let mut live = BTreeMap::new();
            for step in 0..random.u32(0..600 + 30 * run as u32) {
                let epoch = first + step * 40 / 3000;
                if random.u8(..) < 80 && !live.is_empty() {
                    let nth = random.usize(..live.len());
                    let place = *live.keys().nth(nth).unwrap();
                    live.remove(&place);
                    lists.leave(&mut list, place);
                } else {
                    let offset = step as usize * UNIT;
                    let place = lists.enter(&mut list, offset, epoch, &mut memory);
                    assert_eq!(live.insert(place, epoch), None);
                }
            }
            let epoch = first + random.u32(0..=40).min(u32::MAX - first);
            let places = lists.since(&list, epoch);
            let (young, old): (Vec<_>, Vec<_>) =
                live.into_iter().partition(|(_, age)| *age >= epoch);
            let live = BTreeMap::from_iter(old);
            for (place, _) in &young {
                assert!(places.contains(&(*place as usize)));
            }
            if let (Some((first, _)), Some((last, _))) = (young.first(), young.last()) {
                assert!(places.start + PIECE > *first as usize);
                assert!(places.end <= *last as usize + PIECE);
            } else {
                assert!(places.is_empty());
            }
            lists.leave_since(&mut list, epoch, places);
            for place in 0..list.length() {
                let age = lists.get(&list, place).map(Entry::epoch);
                assert_eq!(age, live.get(&(place as u32)).copied());
            }
            for (place, _) in young {
                let filled = lists.enter(&mut list, 0, epoch, &mut memory);
                assert_eq!(filled, place, "the first is filled first");
            }
        }
    }
}
