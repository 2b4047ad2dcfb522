//! The next few of many things in their order, without memory for all.

/// The lowest of those that were offered, up to `N`, in order; taken from the front. All of `n` are found in `n / N` looks
/// through them.
#[derive(Debug)]
pub(crate) struct Upcoming<T, const N: usize> {
    noted: [T; N],
    count: usize,
    taken: usize,
}

impl<T: Copy + Ord, const N: usize> Upcoming<T, N> {
    /// None yet. Of `any` nothing is seen.
    pub(crate) const fn none(any: T) -> Self {
        Self {
            noted: [any; N],
            count: 0,
            taken: 0,
        }
    }

    /// Takes the lowest that is left.
    pub(crate) fn take(&mut self) -> Option<T> {
        let noted = self.noted.get(..self.count)?;
        let lowest = *noted.get(self.taken)?;
        self.taken += 1;
        Some(lowest)
    }

    /// Notes the lowest of these above the last that was noted before.
    pub(crate) fn refill(&mut self, last: Option<T>, all: impl Iterator<Item = T>) {
        (self.count, self.taken) = (0, 0);
        for one in all.filter(|one| Some(*one) > last) {
            self.offer(one);
        }
    }

    /// Notes one, if it is among the lowest.
    fn offer(&mut self, one: T) {
        let noted = self.noted.get(..self.count).unwrap_or_default();
        if self.count == N && noted.last() < Some(&one) {
            return;
        }
        let place = noted.partition_point(|noted| *noted < one);
        self.count = N.min(self.count + 1);
        if let Some(behind) = self.noted.get_mut(place..self.count) {
            behind.rotate_right(1);
            if let Some(first) = behind.first_mut() {
                *first = one;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tag::Tag;
    use std::vec::Vec;

    const NOTED: usize = 256;

    /// All tags, by looking through them again and again.
    fn sorted(tags: &[Tag]) -> Vec<Tag> {
        let (mut upcoming, mut found) = (Upcoming::<_, NOTED>::none(Tag::FREE), Vec::new());
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
