//! The word of a used block's header that is neither the source's nor the check: where the block stands
//! in the list of its tag, and how much of it nobody asked for.

/// Bits for the place; the others are the slack's.
const PLACE_BITS: u32 = 26;

/// A used block's place in the list of its tag, and its slack: bytes of payload beyond those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Index into the tag's list, or [`Slot::UNLISTED`].
    pub(crate) place: u32,
    /// Bytes beyond those asked for, at most [`Slot::MOST_SLACK`], which stands for itself and more.
    pub(crate) slack: u32,
}

impl Slot {
    /// The place of a block that no list holds.
    pub(crate) const UNLISTED: u32 = (1 << PLACE_BITS) - 1;

    /// The largest slack that can be told.
    pub(crate) const MOST_SLACK: u32 = u32::MAX >> PLACE_BITS;

    /// The slot of a block with so much payload, of which so much was asked for.
    #[inline]
    pub(crate) fn new(place: u32, usable: usize, requested: usize) -> Self {
        let slack = usable
            .saturating_sub(requested)
            .min(Self::MOST_SLACK as usize) as u32;
        Self { place, slack }
    }

    #[inline]
    pub(crate) const fn word(self) -> u32 {
        self.place | self.slack << PLACE_BITS
    }

    #[inline]
    pub(crate) const fn from_word(word: u32) -> Self {
        Self {
            place: word & Self::UNLISTED,
            slack: word >> PLACE_BITS,
        }
    }

    /// Bytes asked for of so much payload: exact unless the slack cannot be told.
    #[inline]
    pub(crate) const fn requested(self, usable: usize) -> usize {
        usable - self.slack as usize
    }

    /// Whether so many bytes can be what was asked for.
    #[inline]
    pub(crate) const fn allows(self, usable: usize, claimed: usize) -> bool {
        let requested = self.requested(usable);
        claimed == requested || (self.slack == Self::MOST_SLACK && claimed < requested)
    }
}
