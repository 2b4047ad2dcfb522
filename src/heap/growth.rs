//! The end of the row: how it begins, moves up, is fenced, and gives memory back.

use core::marker::PhantomData;

use crate::ground::source::{Refusal, Source};
use crate::heap::Heap;
use crate::memory::block::FreeBlock;
use crate::memory::root::RootWriter;
use crate::memory::row::Row;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Corruption, Error, OutOfMemory, Shortage};
use crate::words::header::Key;
use crate::words::root::Root;
use crate::words::size::{Fit, SMALLEST};
use crate::words::tag::Tag;

/// Room at the end of the row, granted but not yet part of it.
pub(super) struct Room {
    /// Address behind what the row will hold.
    pub(super) to: usize,
    /// Bytes of somebody else's in front of it.
    foreign: Option<Foreign>,
}

/// Somebody else's bytes, between an old limit of ours and the memory granted behind them.
struct Foreign {
    from: usize,
    to: usize,
}

/// How often somebody else may overtake us before we call it a refusal.
const ATTEMPTS: usize = 8;

/// Bytes beyond the end that are given back unasked, once they are more than the row itself.
const MUCH: usize = 32 << 20;

/// Begins a row at the source's base: the root block and nothing else.
pub(super) fn found<S: Source, R: Rule, P: Placement>(
    mut source: S,
    mut placement: P,
    key: Key,
) -> Result<Heap<S, R, P>, Error> {
    let refused = OutOfMemory {
        tag: Tag::HEAP,
        size: Root::BLOCK,
        align: 16,
        cause: Shortage::Refused,
    };
    let mut start = source.base().addr().get();
    for attempt in 1.. {
        if source.limit().saturating_sub(start) >= Root::BLOCK {
            break;
        }
        let limit = source.limit();
        let frontier = source.frontier()?;
        let granted = match frontier.checked_add(Root::BLOCK) {
            Some(to) => source.extend(frontier, to),
            None => Err(Refusal::NoMemory),
        };
        if granted == Err(Refusal::NoMemory) || attempt > ATTEMPTS {
            return Err(refused.into());
        }
        start = source.base().addr().get();
        // Somebody else's bytes lie in between; a base that did not follow leaves the root block no place.
        if granted.is_ok() && frontier != limit && start < frontier {
            return Err(refused.into());
        }
    }
    placement
        .reserve(start, start + Root::BLOCK)
        .map_err(|cause| OutOfMemory { cause, ..refused })?;
    let mut row = row_over(&source, key);
    let root = RootWriter::plant(&mut row, R::SPLITS);
    let touched = start + Root::BLOCK;
    Ok(Heap {
        row,
        root,
        placement,
        touched,
        source,
        rule: PhantomData,
    })
}

#[expect(unsafe_code, reason = "the source's contract becomes the row's")]
fn row_over(source: &impl Source, key: Key) -> Row {
    // SAFETY: by its contract, the source's base is aligned, and its memory up to each limit is the heap's
    // for as long as the heap owns the source; foreign memory lies behind an old limit only, where
    // `Heap::fence` puts a fence before the row passes it.
    unsafe { Row::new(source.base(), source.limit(), key) }
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Has room at the end for `fit`, from the source if need be. The row itself does not change.
    ///
    /// The inner error is what lacks for the request, the outer one what is wrong with the memory.
    pub(super) fn make_room(&mut self, fit: Fit) -> Result<Result<Room, Shortage>, Corruption> {
        let end = self.end();
        let limit = self.row.limit();
        let Some(to) = fit.end(end) else {
            return Ok(Err(Shortage::TooLarge));
        };
        if to <= limit {
            return Ok(self.prepare(to).map(|()| Room { to, foreign: None }));
        }
        for _ in 0..ATTEMPTS {
            let frontier = self.source.frontier()?;
            let foreign = (frontier != limit).then_some(Foreign {
                from: limit,
                to: frontier,
            });
            let start = foreign.as_ref().map_or(end, |foreign| foreign.to);
            let Some(to) = fit.end(start) else {
                return Ok(Err(Shortage::TooLarge));
            };
            if let Err(shortage) = self.prepare(to) {
                return Ok(Err(shortage));
            }
            match self.source.extend(frontier, to) {
                Ok(()) => {
                    self.row.grant(self.source.limit());
                    return Ok(Ok(Room { to, foreign }));
                }
                Err(Refusal::NoMemory) => break,
                Err(Refusal::Overtaken) => {}
            }
        }
        Ok(Err(Shortage::Refused))
    }

    /// Moves the row's end up to `to`, from where it is, if memory for it adjoins.
    pub(super) fn make_room_behind(&mut self, to: usize) -> Result<bool, Corruption> {
        if to <= self.row.limit() {
            return Ok(self.prepare(to).is_ok());
        }
        let frontier = self.source.frontier()?;
        let adjoins = frontier == self.row.limit();
        let granted =
            adjoins && self.prepare(to).is_ok() && self.source.extend(frontier, to).is_ok();
        self.row.grant(self.source.limit());
        Ok(granted)
    }

    fn prepare(&mut self, to: usize) -> Result<(), Shortage> {
        self.placement.reserve(self.base(), to)
    }

    /// Makes the room part of the row: a free block in hand at its end.
    pub(super) fn lengthen(&mut self, room: &Room) -> FreeBlock {
        if let Some(foreign) = &room.foreign {
            self.fence(foreign);
        }
        self.row.lengthen(room.to)
    }

    /// Puts a block in use for ever around somebody else's bytes, which are not touched. Its header
    /// stands in the room a source keeps for it in front of them; what is between that and the
    /// row's end becomes a free block, if it can be one.
    fn fence(&mut self, foreign: &Foreign) {
        if foreign.from - self.end() >= SMALLEST {
            let rest = self.row.lengthen(foreign.from);
            self.offer(&rest);
        }
        self.row
            .lengthen(foreign.to)
            .claim(&mut self.row, Tag::FOREIGN, 0);
    }

    /// Gives memory beyond the end of the row back to the source, in whole pages, and answers how many
    /// bytes that was.
    ///
    /// One or two system calls. Happens by itself when more than 32 MiB and more than the row's own length
    /// are unused.
    pub fn trim(&mut self) -> usize {
        self.trim_beyond(self.end())
    }

    pub(super) fn relax(&mut self) {
        let end = self.end();
        let unused = self.row.limit() - end;
        if unused > MUCH && unused > end - self.base() {
            self.trim_beyond(end + MUCH / 4);
        }
    }

    #[expect(unsafe_code, reason = "gives memory back to the source")]
    fn trim_beyond(&mut self, to: usize) -> usize {
        let before = self.row.limit();
        // SAFETY: blocks end where the row does (H1), so nobody holds what lies beyond.
        let zero_from = unsafe { self.source.trim(to) };
        self.commit(|heap| heap.row.grant(heap.source.limit()));
        self.touched = self.touched.min(zero_from);
        before - self.row.limit()
    }
}
