//! What became of what is held, between two moments.

use core::fmt;

use crate::global::center;
use crate::global::numbers::{Holding, count};
use crate::words::change::{Change, Numbers, Row, TagChange, in_order};
use crate::words::error::Error;
use crate::words::stats::{Name, TagStats};
use crate::words::tag::Tag;

/// How what is held under a tag changed between two moments, see [`Holding::since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldingChange {
    /// The tag.
    pub tag: Tag,
    /// Objects more, or fewer, that somebody holds.
    pub objects: isize,
    /// Their bytes, as a [`Holding`] counts them.
    pub bytes: isize,
    /// The spans and blocks that the tag has, as the heap counts them.
    pub held: TagChange,
}

impl Holding {
    /// What is held under a tag that was never used.
    pub const fn none(tag: Tag) -> Self {
        Self {
            tag,
            objects: 0,
            bytes: 0,
            held: TagStats::none(tag),
        }
    }

    /// How what the tag holds changed since it was `earlier`; what is counted, as by [`TagStats::since`].
    pub fn since(&self, earlier: &Self) -> HoldingChange {
        let more = |now: usize, then: usize| now.wrapping_sub(then).cast_signed();
        HoldingChange {
            tag: self.tag,
            objects: more(self.objects, earlier.objects),
            bytes: more(self.bytes, earlier.bytes),
            held: self.held.since(&earlier.held),
        }
    }
}

impl Default for Holding {
    /// Of no tag: for the room of a [`snapshot`](crate::Global::snapshot).
    fn default() -> Self {
        Self::none(Tag::FREE)
    }
}

impl Numbers for Holding {
    type Change = HoldingChange;

    fn tag(&self) -> Tag {
        self.tag
    }

    fn none(tag: Tag) -> Self {
        Self::none(tag)
    }

    fn since(&self, earlier: &Self) -> HoldingChange {
        self.since(earlier)
    }
}

impl Change for HoldingChange {
    const TITLES: [&'static str; 3] = ["objects", "bytes", "held"];

    fn tag(&self) -> Tag {
        self.tag
    }

    fn name(&self) -> Name {
        self.held.name
    }

    fn growth(&self) -> [i64; 3] {
        [self.objects, self.bytes, self.held.bytes].map(|more| more as i64)
    }

    fn counts(&self) -> [u64; 3] {
        self.held.counts()
    }
}

impl fmt::Display for HoldingChange {
    /// A line of the table that [`Changes`](crate::Changes) print: objects, their bytes and those of blocks; then blocks
    /// handed out, given back, and refused.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Row::of(self).fmt(f)
    }
}

/// Fills a room with what is held under each tag, in the order of tags, and answers what that fills of it.
pub(super) fn snapshot(room: &mut [Holding]) -> Result<&[Holding], Error> {
    let filled = center::with(|center| {
        let tags = center.heap.tags().filter(|held| held.tag != center::BOOKS);
        in_order(room, tags.map(|held| count(held.tag, held)))
    });
    Ok(filled??)
}
