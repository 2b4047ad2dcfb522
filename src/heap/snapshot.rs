//! Numbers about all tags at one moment.

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::change::{Numbers, in_order, no_room};
use crate::words::error::Error;
use crate::words::stats::TagStats;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Numbers about every tag that was used and not forgotten, in the order of tags: into `room`, of which it answers what
    /// they fill. For [`Changes`](crate::Changes) from this moment to another. O(tags × log tags).
    ///
    /// The room is the caller's, such as `[TagStats::default(); 64]`, so nothing is allocated, and no number changes.
    /// [`tags`](Heap::tags)`().count()` says how much is needed, once tags are no longer added.
    ///
    /// In a [`Buffer`](crate::Buffer) too small for a ledger these are the tags that hold blocks, told as by
    /// [`stats_of`](Heap::stats_of), O(tags × blocks).
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) by [`Shortage::Tags`](crate::Shortage::Tags) if they are more than there is room
    /// for, and [`Corruption`](crate::Corruption) if a header is damaged, where they are counted by walks. Of the room
    /// nothing is told then.
    pub fn snapshot<'a, T>(&self, room: &'a mut [T]) -> Result<&'a [T], Error>
    where
        T: Numbers + From<TagStats>,
    {
        if self.ledger.is_on() {
            return Ok(in_order(room, self.tags().map(T::from))?);
        }
        self.snapshot_by_walks(room)
    }

    /// Where no tag has an account: first which there are, then each one's numbers.
    fn snapshot_by_walks<'a, T>(&self, room: &'a mut [T]) -> Result<&'a [T], Error>
    where
        T: Numbers + From<TagStats>,
    {
        let mut count = 0;
        for block in self.walk() {
            let Some(tag) = block?.tag().filter(|tag| !tag.is_reserved()) else {
                continue;
            };
            let noted = room.get(..count).unwrap_or_default();
            if let Err(place) = noted.binary_search_by_key(&tag, T::tag) {
                let length = room.len();
                let behind = room.get_mut(place..=count);
                let behind = behind.ok_or(no_room::<T>(length, count + 1))?;
                behind.rotate_right(1);
                if let Some(first) = behind.first_mut() {
                    *first = T::none(tag);
                }
                count += 1;
            }
        }
        let noted = room.get_mut(..count).unwrap_or_default();
        for numbers in noted.iter_mut() {
            *numbers = self.stats_of(numbers.tag())?.into();
        }
        Ok(noted)
    }
}
