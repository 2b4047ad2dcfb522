//! Which part of a program holds the memory: numbers by tag, to the object.

use core::fmt::{self, Write};

use crate::global::center;
use crate::global::span::{ROOM, Span};
use crate::global::stock::Stock;
use crate::global::thread;
use crate::ground::fatal::Lines;
use crate::words::columns::{Cell, line};
use crate::words::error::Error;
use crate::words::stats::TagStats;
use crate::words::tag::Tag;
use crate::words::upcoming::Upcoming;

/// What is held under a tag in the program's heap.
///
/// Objects count one by one; what the heap itself counts, `held`, are blocks: spans, each full of slots, and large
/// objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The tag.
    pub tag: Tag,
    /// Objects that somebody holds.
    pub objects: usize,
    /// Their bytes: of a small one those of its slot, of a large one those asked for.
    pub bytes: usize,
    /// The spans and blocks that the tag has, as the heap counts them: bytes, their peak, the limit, the name. A
    /// request that is served at last counts each time the heap had no block for it.
    pub held: TagStats,
}

/// What is held under a tag. O(threads and the tag's spans).
///
/// # Errors
///
/// [`Misuse::Reentered`](crate::Misuse::Reentered) from a signal handler that came into the heap.
pub(super) fn holding(tag: Tag) -> Result<Holding, Error> {
    center::with(|center| Ok(count(tag, center.heap.stats_of(tag)?)))?
}

pub(super) fn count(tag: Tag, held: TagStats) -> Holding {
    let stocks = thread::all().filter_map(|thread| thread.stock_of(tag));
    let spans = stocks.flat_map(Stock::all);
    let (mut small, mut slots, mut bytes) = (0, 0, 0);
    for span in spans {
        let used = Span::used(span);
        small += 1;
        slots += used;
        bytes += used * span.class().bytes();
    }
    Holding {
        tag,
        objects: held.blocks.saturating_sub(small) + slots,
        bytes: held.requested.saturating_sub(small * ROOM) + bytes,
        held,
    }
}

/// How many tags are noted at once.
const NOTED: usize = 256;

/// What is held under each tag that holds or held anything, in the order of tags.
///
/// O(tags / 256), for what the next 256 are is asked at once.
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are asked"]
pub struct Holdings {
    upcoming: Upcoming<Tag, NOTED>,
    last: Option<Tag>,
}

impl Holdings {
    pub(super) const fn new() -> Self {
        Self {
            upcoming: Upcoming::none(Tag::FREE),
            last: None,
        }
    }
}

impl Iterator for Holdings {
    type Item = Holding;

    /// Takes the lock for each tag anew, so that whoever looks may allocate.
    fn next(&mut self) -> Option<Holding> {
        let Self { upcoming, last } = self;
        let next = center::with(|center| {
            loop {
                let tag = match upcoming.take() {
                    Some(tag) => tag,
                    None => {
                        let tags = center.heap.tags().map(|stats| stats.tag);
                        upcoming.refill(*last, tags.filter(|tag| *tag != center::BOOKS));
                        upcoming.take()?
                    }
                };
                *last = Some(tag);
                // Else forgotten since it was noted.
                if center.heap.has_account(tag) {
                    return Some(count(tag, center.heap.stats_of(tag).ok()?));
                }
            }
        });
        next.ok().flatten()
    }
}

/// A table in text: objects, bytes, blocks and peaks by tag.
#[derive(Debug)]
pub(super) struct Report;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["objects", "bytes", "held", "peak held"].map(Cell::Title);
        lined_up(f, &"tag", titles)?;
        let (mut objects, mut bytes, mut held) = (0, 0, 0);
        for holding in Holdings::new() {
            write!(f, "\n{holding}")?;
            objects += holding.objects;
            bytes += holding.bytes;
            held += holding.held.bytes;
        }
        f.write_char('\n')?;
        lined_up(f, &"(all)", [objects, bytes, held].map(Cell::from))
    }
}

impl fmt::Display for Holding {
    /// The tag or its name, objects, their bytes, and the bytes of its blocks now and at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            objects,
            bytes,
            held,
        } = self;
        let about: &dyn fmt::Display = match held.name.as_str() {
            "" => tag,
            _ => &held.name,
        };
        let numbers = [*objects, *bytes, held.bytes, held.peak];
        lined_up(f, about, numbers.map(Cell::from))
    }
}

/// Writes a line of the table.
fn lined_up<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    about: &dyn fmt::Display,
    cells: [Cell; N],
) -> fmt::Result {
    let mut ends = [31, 46, 61, 76].into_iter();
    line(f, about, cells.map(|cell| (cell, ends.next().unwrap_or(0))))
}

/// Writes the table, without allocating; or why there is none, as in the middle of a request, from a debugger or a signal
/// handler.
pub(super) fn report(to: &mut Lines) {
    let _ = match center::with(|_| ()) {
        Ok(()) => writeln!(to, "what is held by tag, in bytes\n{Report}"),
        Err(error) => writeln!(to, "no report: {error}"),
    };
}

/// Writes it to standard error.
pub(super) fn print_report() {
    let mut lines = Lines::new();
    let _ = lines.write_str("tagheap: ");
    report(&mut lines);
}
