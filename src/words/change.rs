//! What became of the numbers about tags between two moments.

use core::cmp::Reverse;
use core::fmt::{self, Display};

use crate::words::columns::{Cell, line};
use crate::words::error::{OutOfMemory, Shortage};
use crate::words::stats::{Name, TagStats};
use crate::words::tag::Tag;
use crate::words::upcoming::Upcoming;

/// Numbers about a tag at a moment, which later ones can be compared with: [`TagStats`] of a heap, a
/// [`Holding`](crate::Holding) of a program's, or whatever is made of these.
pub trait Numbers: Copy {
    /// What becomes of them.
    type Change: Change;

    /// Whose they are.
    fn tag(&self) -> Tag;

    /// Those of a tag that was never used.
    fn none(tag: Tag) -> Self;

    /// How they changed since they were `earlier`.
    fn since(&self, earlier: &Self) -> Self::Change;
}

/// How the numbers about a tag changed, as [`Changes`] put it in a line.
pub trait Change: Copy {
    /// What [`growth`](Change::growth) is called.
    const TITLES: [&'static str; 3];

    /// Whose numbers they are.
    fn tag(&self) -> Tag;

    /// What the tag is called besides.
    fn name(&self) -> Name;

    /// How much more it holds, or less: pieces, their bytes, by which changes are sorted, and something besides.
    fn growth(&self) -> [i64; 3];

    /// Allocations, deallocations and failures since.
    fn counts(&self) -> [u64; 3];
}

/// How the numbers about a tag changed between two moments, see [`TagStats::since`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagChange {
    /// The tag.
    pub tag: Tag,
    /// What it is called besides, or was called earlier.
    pub name: Name,
    /// Blocks that it holds more, or fewer.
    pub blocks: isize,
    /// Their bytes, headers included.
    pub bytes: isize,
    /// Bytes asked for in them.
    pub requested: isize,
    /// Blocks handed out.
    pub allocations: u64,
    /// Blocks given back, one by one or by a release.
    pub deallocations: u64,
    /// Requests for which there was no memory.
    pub failures: u64,
}

impl TagStats {
    /// The numbers of a tag that was never used.
    pub const fn none(tag: Tag) -> Self {
        Self {
            tag,
            name: Name::NONE,
            blocks: 0,
            bytes: 0,
            requested: 0,
            peak: 0,
            allocations: 0,
            deallocations: 0,
            failures: 0,
            largest: 0,
            limit: None,
        }
    }

    /// How the tag's numbers changed since they were `earlier`.
    ///
    /// - Blocks that were [retagged](crate::Heap::retag) or [merged](crate::Heap::merge) in between are fewer of one tag
    ///   and more of another, and count as neither allocations nor deallocations.
    /// - A tag that was [forgotten](crate::Heap::forget) in between counted anew from there on. Where one of its counters is
    ///   lower than it was, this tells what was counted since then; where all have passed what they were, what they passed
    ///   it by. Both are less than what happened; what is held is exact.
    /// - Peaks and limits are no part of it.
    ///
    /// ```
    /// # use core::alloc::Layout;
    /// # use tagheap::{Heap, Reserve, Tag};
    /// # let mut heap = Heap::new(Reserve::new()?)?;
    /// let tag = Tag::named("request");
    /// let before = heap.stats_of(tag)?;
    /// heap.allocate(tag, Layout::new::<[u8; 100]>())?;
    /// let cost = heap.stats_of(tag)?.since(&before);
    /// assert_eq!((cost.blocks, cost.bytes, cost.requested), (1, 144, 100));
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    pub fn since(&self, earlier: &Self) -> TagChange {
        let is_forgotten = self.allocations < earlier.allocations
            || self.deallocations < earlier.deallocations
            || self.failures < earlier.failures
            || self.largest < earlier.largest;
        let counted = |now: u64, then: u64| if is_forgotten { now } else { now - then };
        let more = |now: usize, then: usize| now.wrapping_sub(then).cast_signed();
        TagChange {
            tag: self.tag,
            name: [self.name, earlier.name]
                .into_iter()
                .find(|name| !name.as_str().is_empty())
                .unwrap_or_default(),
            blocks: more(self.blocks, earlier.blocks),
            bytes: more(self.bytes, earlier.bytes),
            requested: more(self.requested, earlier.requested),
            allocations: counted(self.allocations, earlier.allocations),
            deallocations: counted(self.deallocations, earlier.deallocations),
            failures: counted(self.failures, earlier.failures),
        }
    }
}

impl Default for TagStats {
    /// Of no tag: for the room of a [`snapshot`](crate::Heap::snapshot).
    fn default() -> Self {
        Self::none(Tag::FREE)
    }
}

impl Numbers for TagStats {
    type Change = TagChange;

    fn tag(&self) -> Tag {
        self.tag
    }

    fn none(tag: Tag) -> Self {
        Self::none(tag)
    }

    fn since(&self, earlier: &Self) -> TagChange {
        self.since(earlier)
    }
}

impl Change for TagChange {
    const TITLES: [&'static str; 3] = ["blocks", "bytes", "requested"];

    fn tag(&self) -> Tag {
        self.tag
    }

    fn name(&self) -> Name {
        self.name
    }

    fn growth(&self) -> [i64; 3] {
        [self.blocks, self.bytes, self.requested].map(|more| more as i64)
    }

    fn counts(&self) -> [u64; 3] {
        [self.allocations, self.deallocations, self.failures]
    }
}

impl Display for TagChange {
    /// A line of the table that [`Changes`] print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Row::of(self).fmt(f)
    }
}

/// What became of the numbers about tags between two moments, tag by tag: all that were told of at either.
///
/// ```
/// # use core::alloc::Layout;
/// # use tagheap::{Changes, Heap, Reserve, Tag, TagStats};
/// # let mut heap = Heap::new(Reserve::new()?)?;
/// # heap.allocate(Tag::named("player"), Layout::new::<[u8; 96]>())?;
/// # let old = heap.allocate(Tag::named("request"), Layout::new::<[u8; 16]>())?;
/// let mut room = [[TagStats::default(); 64]; 2];
/// let [before, after] = &mut room;
/// let before = heap.snapshot(before)?;
///
/// heap.allocate(Tag::named("request"), Layout::new::<[u8; 400]>())?;
/// heap.allocate(Tag::named("cache"), Layout::new::<[u8; 4000]>())?;
/// # // SAFETY: nobody uses the block.
/// # unsafe { heap.deallocate(old.cast(), Layout::new::<[u8; 16]>())? };
///
/// let after = heap.snapshot(after)?;
/// let table = [
///     "tag                      blocks          bytes      requested  allocations deallocations failures",
///     "cache                        +1          +4032          +4000            1             0        0",
///     "request                      +0           +384           +384            1             1        0",
///     "(all)                        +1          +4416          +4384            2             1        0",
/// ];
/// assert_eq!(Changes::between(before, after).to_string(), table.join("\n"));
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "changes that nobody looks at"]
pub struct Changes<'a, T> {
    earlier: &'a [T],
    later: &'a [T],
}

/// How many tags are noted at once in the order of their growth.
const NOTED: usize = 64;

/// What is sorted by: what grew most comes first, then the lowest tag.
type Rank = (Reverse<i64>, Tag);

impl<'a, T: Numbers> Changes<'a, T> {
    /// The changes from earlier numbers to later ones, both in the order of tags, as
    /// [`Heap::snapshot`](crate::Heap::snapshot), [`Global::snapshot`](crate::Global::snapshot) and
    /// [`Global::holdings`](crate::Global::holdings) tell them. In another order, tags are missed, or told of twice.
    pub const fn between(earlier: &'a [T], later: &'a [T]) -> Self {
        Self { earlier, later }
    }

    /// How the numbers of a tag changed. O(log tags).
    pub fn of(&self, tag: Tag) -> T::Change {
        let numbers = |moment: &[T]| {
            let place = moment.binary_search_by_key(&tag, T::tag);
            let numbers = place.ok().and_then(|place| moment.get(place).copied());
            numbers.unwrap_or(T::none(tag))
        };
        numbers(self.later).since(&numbers(self.earlier))
    }

    /// All tags of which any number changed: which holds the most bytes more comes first, which holds the most bytes less
    /// last, and those that changed alike in the order of tags. O(tags / 64) for each.
    pub fn by_growth(self) -> impl Iterator<Item = T::Change> + use<'a, T> {
        let mut upcoming = Upcoming::<Rank, NOTED>::none((Reverse(0), Tag::FREE));
        let mut last = None;
        core::iter::from_fn(move || {
            let next = upcoming.take().or_else(|| {
                upcoming.refill(last, self.by_tag().map(|change| rank(&change)));
                upcoming.take()
            })?;
            last = Some(next);
            Some(self.of(next.1))
        })
    }

    /// All tags of which any number changed, in the order of tags.
    pub fn by_tag(self) -> impl Iterator<Item = T::Change> + use<'a, T> {
        let Self {
            mut earlier,
            mut later,
        } = self;
        let all = core::iter::from_fn(move || {
            let tags = [earlier, later].map(|moment| moment.first().map(T::tag));
            let lowest = tags.into_iter().flatten().min()?;
            let take = |moment: &mut &'a [T]| match moment.split_first() {
                Some((numbers, rest)) if numbers.tag() == lowest => {
                    *moment = rest;
                    *numbers
                }
                _ => T::none(lowest),
            };
            Some(take(&mut later).since(&take(&mut earlier)))
        });
        all.filter(|change| change.growth() != [0; 3] || change.counts() != [0; 3])
    }
}

fn rank<C: Change>(change: &C) -> Rank {
    let [_, bytes, _] = change.growth();
    (Reverse(bytes), change.tag())
}

impl<T: Numbers> Display for Changes<'_, T> {
    /// A table, a line each in the order of growth, and one for all together.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = T::Change::TITLES;
        let titles = [a, b, c, "allocations", "deallocations", "failures"];
        lined_up(f, &"tag", titles.map(Cell::Title))?;
        let mut all = Row::none();
        for change in self.by_growth() {
            let row = Row::of(&change);
            write!(f, "\n{row}")?;
            all.add(&row);
        }
        write!(f, "\n{all}")
    }
}

/// Where the columns end.
const ENDS: [usize; 6] = [31, 46, 61, 74, 88, 97];

fn lined_up(f: &mut fmt::Formatter<'_>, about: &dyn Display, cells: [Cell; 6]) -> fmt::Result {
    let mut ends = ENDS.into_iter();
    line(f, about, cells.map(|cell| (cell, ends.next().unwrap_or(0))))
}

/// A line of the table: one tag's, or that of all.
pub(crate) struct Row {
    about: Option<(Tag, Name)>,
    growth: [i64; 3],
    counts: [u64; 3],
}

impl Row {
    pub(crate) fn of<C: Change>(change: &C) -> Self {
        Self {
            about: Some((change.tag(), change.name())),
            growth: change.growth(),
            counts: change.counts(),
        }
    }

    /// Of all, as long as there are none.
    const fn none() -> Self {
        Self {
            about: None,
            growth: [0; 3],
            counts: [0; 3],
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.growth.iter_mut().zip(other.growth) {
            *sum = sum.wrapping_add(more);
        }
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.wrapping_add(more);
        }
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.growth.map(Cell::Change);
        let [d, e, g] = self.counts.map(Cell::Count);
        let about: &dyn Display = match &self.about {
            None => &"(all)",
            Some((tag, name)) if name.as_str().is_empty() => tag,
            Some((_, name)) => name,
        };
        lined_up(f, about, [a, b, c, d, e, g])
    }
}

/// Fills a room with numbers, in the order of their tags, and answers what it fills of it.
///
/// # Errors
///
/// [`Shortage::Tags`] if they are more than there is room for.
pub(crate) fn in_order<T: Numbers>(
    room: &mut [T],
    numbers: impl Iterator<Item = T>,
) -> Result<&[T], OutOfMemory> {
    let mut tags = 0;
    let mut places = room.iter_mut();
    for one in numbers {
        tags += 1;
        if let Some(place) = places.next() {
            *place = one;
        }
    }
    if tags > room.len() {
        return Err(no_room::<T>(room.len(), tags));
    }
    let filled = room.get_mut(..tags).unwrap_or_default();
    filled.sort_unstable_by_key(T::tag);
    Ok(filled)
}

/// So many tags have no room.
pub(crate) fn no_room<T>(room: usize, tags: usize) -> OutOfMemory {
    OutOfMemory {
        tag: Tag::HEAP,
        size: tags.saturating_mul(size_of::<T>()),
        align: align_of::<T>(),
        cause: Shortage::Tags { room, tags },
    }
}
