//! The end of the row: how it begins, moves up, is fenced, and gives memory back.

use core::marker::PhantomData;

use crate::ground::source::{Refusal, Source};
use crate::ground::table::IndexMemory;
use crate::heap::Heap;
use crate::memory::block::FreeBlock;
use crate::memory::root::RootWriter;
use crate::memory::row::Row;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::Ledger;
use crate::words::error::{Corruption, Error, OutOfMemory, Shortage};
use crate::words::header::Key;
use crate::words::root::Root;
use crate::words::size::{Fit, SMALLEST, UNIT, align_down};
use crate::words::slot::Slot;
use crate::words::tag::Tag;
use crate::words::walk::Image;

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

/// A fence stands in no list.
const FENCE_SLOT: Slot = Slot {
    place: Slot::UNLISTED,
    slack: 0,
};

/// How often somebody else may overtake us before we call it a refusal.
const ATTEMPTS: usize = 8;

/// Bytes beyond the end that are given back unasked at first, once they are more than the row itself.
const MUCH: usize = 128 << 20;

/// How much may lie unused beyond the end.
///
/// Where what was given back unasked was needed again, so much is kept from then on, as glibc's threshold
/// grows (`mallopt(3)`): programs that work in phases would touch all their pages anew in each.
#[derive(Debug)]
pub(super) struct Spare {
    /// Bytes that are kept.
    kept: usize,
    /// Bytes from base to limit before the last time that some were given back unasked.
    reached: usize,
}

impl Spare {
    const fn new() -> Self {
        Self {
            kept: MUCH,
            reached: usize::MAX,
        }
    }

    /// Whether so many unused bytes of `granted` are to go back.
    fn is_too_much(&mut self, unused: usize, granted: usize) -> bool {
        // Grown back to where it was, or near: growth goes in steps.
        if unused > self.kept && granted >= self.reached / 8 * 7 {
            self.kept = self.kept.max(self.reached / 8 * 9);
        }
        if unused <= self.kept {
            return false;
        }
        self.reached = granted;
        true
    }
}

/// Begins a row behind the room for indexes at the source's base: the root block and nothing else.
pub(super) fn found<S: Source, R: Rule, P: Placement>(
    mut source: S,
    mut placement: P,
    key: Key,
) -> Result<Heap<S, R, P>, Error> {
    let size = source.index_room().saturating_add(Root::BLOCK);
    let lacking = |cause| OutOfMemory {
        tag: Tag::HEAP,
        size,
        align: UNIT,
        cause,
    };
    if !grant_first(&mut source, size)? {
        return Err(lacking(Shortage::Refused).into());
    }
    let (mut row, mut memory) = ground(&source, key);
    placement.begin(row.base());
    // What is bounded is asked for all it will ever have to hold, in one piece.
    let reach = if source.may_map() {
        row.base() + Root::BLOCK
    } else {
        source.limit()
    };
    placement
        .reserve(reach, R::SPLITS, &mut memory)
        .map_err(lacking)?;
    let mut ledger = Ledger::new(&mut memory).map_err(lacking)?;
    let root = RootWriter::plant(&mut row, R::SPLITS);
    ledger.tell_at(root.accounts());
    Ok(Heap {
        row,
        root,
        placement,
        ledger,
        memory,
        spare: Spare::new(),
        source,
        rule: PhantomData,
    })
}

/// Has the source grant its first bytes; whether it did.
fn grant_first(source: &mut impl Source, bytes: usize) -> Result<bool, Corruption> {
    for _ in 0..ATTEMPTS {
        if source.limit().saturating_sub(source.base().addr().get()) >= bytes {
            return Ok(true);
        }
        let (limit, frontier) = (source.limit(), source.frontier()?);
        let Some(to) = frontier.checked_add(bytes) else {
            break;
        };
        match source.extend(frontier, to) {
            Err(Refusal::NoMemory) => break,
            Err(Refusal::Overtaken) => {}
            // Somebody else's bytes lie in between, and a base that did not follow has no place for a row.
            Ok(()) if frontier != limit && source.base().addr().get() < frontier => break,
            Ok(()) => {}
        }
    }
    Ok(false)
}

/// The empty row over a source's memory, and the room for indexes in front of it.
#[expect(unsafe_code, reason = "the source's contract becomes the row's")]
fn ground(source: &impl Source, key: Key) -> (Row, IndexMemory) {
    let (base, room) = (source.base(), source.index_room());
    // SAFETY: the source has granted these bytes, and the row begins behind them; tables are dropped
    // before the source (see the order of the heap's fields).
    let mut memory = unsafe { IndexMemory::new(base, room, source.may_map()) };
    if source.prefers_huge_pages() {
        memory.prefer_huge_pages();
    }
    let start = base.map_addr(|base| base.saturating_add(room));
    // SAFETY: by its contract, the source's base is aligned, and its memory up to each limit is the heap's
    // for as long as the heap owns the source; foreign memory lies behind an old limit only, where
    // `Heap::fence` puts a fence before the row passes it.
    let row = unsafe { Row::new(start, source.limit(), key) };
    (row, memory)
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Has room at the end for `fit`, from the source if need be. The row itself does not change.
    ///
    /// The inner error is what lacks for the request, the outer one what is wrong with the memory.
    #[inline(always)]
    pub(super) fn make_room(&mut self, fit: Fit) -> Result<Result<Room, Shortage>, Corruption> {
        match fit.end(self.end()) {
            None => Ok(Err(Shortage::TooLarge)),
            Some(to) if to <= self.row.limit() => {
                Ok(self.prepare(to).map(|()| Room { to, foreign: None }))
            }
            Some(_) => self.ask_for_room(fit),
        }
    }

    /// Where the row will end behind `fit`, which has the alignment of all blocks, if that was granted already and is
    /// prepared for.
    #[inline(always)]
    pub(super) fn granted(&mut self, fit: Fit) -> Option<usize> {
        let to = self.end().checked_add(fit.size())?;
        (to <= self.row.limit() && self.prepare(to).is_ok()).then_some(to)
    }

    /// As [`make_room`](Heap::make_room), where the source has granted too little so far.
    #[cold]
    fn ask_for_room(&mut self, fit: Fit) -> Result<Result<Room, Shortage>, Corruption> {
        let (end, limit) = (self.end(), self.row.limit());
        for _ in 0..ATTEMPTS {
            let frontier = self.source.frontier()?;
            let foreign = (frontier != limit).then_some(Foreign {
                // A fence is whole units.
                from: align_down(limit, UNIT),
                to: frontier,
            });
            let start = foreign.as_ref().map_or(end, |foreign| foreign.to);
            let Some(to) = fit.end(start) else {
                return Ok(Err(Shortage::TooLarge));
            };
            if !self.source.may_reach(to) {
                break;
            }
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
        let granted = adjoins
            && self.source.may_reach(to)
            && self.prepare(to).is_ok()
            && self.source.extend(frontier, to).is_ok();
        self.row.grant(self.source.limit());
        Ok(granted)
    }

    fn prepare(&mut self, to: usize) -> Result<(), Shortage> {
        self.placement.reserve(to, R::SPLITS, &mut self.memory)
    }

    /// Makes the room part of the row: a free block in hand at its end.
    #[inline(always)]
    pub(super) fn lengthen(&mut self, room: &Room) -> FreeBlock {
        if let Some(foreign) = &room.foreign {
            self.fence(foreign);
        }
        self.lengthen_to(room.to)
    }

    /// The end of the row moves up to `to`; what it passed is a free block in hand.
    #[inline]
    pub(super) fn lengthen_to(&mut self, to: usize) -> FreeBlock {
        let passed = self.row.lengthen(to);
        self.root.resize(&self.row);
        passed
    }

    /// Puts a block in use for ever around somebody else's bytes, which are not touched. Its header
    /// stands in the room a source keeps for it in front of them; what is between that and the
    /// row's end becomes a free block, if it can be one.
    #[cold]
    fn fence(&mut self, foreign: &Foreign) {
        if foreign.from - self.end() >= SMALLEST {
            let rest = self.row.lengthen(foreign.from);
            self.put_in_place_of(None, &rest);
        }
        self.row
            .lengthen(foreign.to)
            .claim(&mut self.row, Tag::FOREIGN, FENCE_SLOT);
    }

    /// Gives memory beyond the end of the row back to the source, in whole pages, and answers how many
    /// bytes that was. [`purge`](Heap::purge) gives pages inside free blocks, too.
    ///
    /// One or two system calls. Happens by itself when more than 128 MiB and more than the row's own length
    /// are unused, unless as much was given back so before and then needed again.
    pub fn trim(&mut self) -> usize {
        self.trim_beyond(self.end())
    }

    /// Gives memory beyond the end back, where it is much.
    #[inline]
    pub(super) fn relax(&mut self) {
        let unused = self.row.limit() - self.end();
        if unused > MUCH {
            self.relax_by(unused);
        }
    }

    #[cold]
    fn relax_by(&mut self, unused: usize) {
        let end = self.end();
        let granted = self.row.limit() - self.base();
        if unused > end - self.base() && self.spare.is_too_much(unused, granted) {
            self.trim_beyond(end + MUCH / 4);
        }
    }

    #[expect(unsafe_code, reason = "gives memory back to the source")]
    fn trim_beyond(&mut self, to: usize) -> usize {
        let before = self.row.limit();
        // SAFETY: blocks end where the row does (H1), so nobody holds what lies beyond.
        let zero_from = unsafe { self.source.trim(to) };
        self.commit(|heap| {
            heap.row.grant(heap.source.limit());
            heap.root.resize(&heap.row);
        });
        // What is granted still was not granted anew, and keeps its bytes.
        self.row.zeroed(zero_from.max(self.row.limit()));
        before - self.row.limit()
    }
}
