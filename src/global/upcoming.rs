//! The next few of many tags in their order, without memory for all.

use crate::words::tag::Tag;

/// How many tags are noted at once. All of `n` tags are found in `n / NOTED` looks through them.
const NOTED: usize = 256;

/// The lowest tags of those that were offered, in order; taken from the front.
#[derive(Debug)]
pub(super) struct Upcoming {
    tags: [Tag; NOTED],
    count: usize,
    taken: usize,
}

impl Upcoming {
    pub(super) const fn none() -> Self {
        Self {
            tags: [Tag::FREE; NOTED],
            count: 0,
            taken: 0,
        }
    }

    /// Takes the lowest that is left.
    pub(super) fn take(&mut self) -> Option<Tag> {
        let tags = self.tags.get(..self.count)?;
        let tag = *tags.get(self.taken)?;
        self.taken += 1;
        Some(tag)
    }

    /// Notes the lowest of these tags above the last that was noted before.
    pub(super) fn refill(&mut self, last: Option<Tag>, tags: impl Iterator<Item = Tag>) {
        (self.count, self.taken) = (0, 0);
        for tag in tags.filter(|tag| Some(*tag) > last) {
            self.offer(tag);
        }
    }

    /// Notes a tag, if it is among the lowest.
    fn offer(&mut self, tag: Tag) {
        let noted = self.tags.get(..self.count).unwrap_or_default();
        if self.count == NOTED && noted.last() < Some(&tag) {
            return;
        }
        let place = noted.partition_point(|noted| *noted < tag);
        self.count = NOTED.min(self.count + 1);
        if let Some(behind) = self.tags.get_mut(place..self.count) {
            behind.rotate_right(1);
            if let Some(first) = behind.first_mut() {
                *first = tag;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// All tags, by looking through them again and again.
    fn sorted(tags: &[Tag]) -> Vec<Tag> {
        let (mut upcoming, mut found) = (Upcoming::none(), Vec::new());
        loop {
            upcoming.refill(found.last().copied(), tags.iter().copied());
            let before = found.len();
            found.extend(core::iter::from_fn(|| upcoming.take()));
            if found.len() == before {
                return found;
            }
        }
    }

    #[test]
    fn any_number_of_tags_comes_in_order() {
        for count in [
            0,
            1,
            2,
            NOTED - 1,
            NOTED,
            NOTED + 1,
            2 * NOTED,
            10 * NOTED + 3,
        ] {
            let mut rng = fastrand::Rng::with_seed(count as u64);
            let mut tags: Vec<Tag> = (0..count)
                .map(|number| Tag::new((number as u64 * 2 + 1).rotate_right(rng.u32(..2) * 7)))
                .collect();
            rng.shuffle(&mut tags);
            let found = sorted(&tags);
            tags.sort();
            assert_eq!(found, tags, "{count}");
        }
    }
}
