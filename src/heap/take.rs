//! How a request gets its block: out of a free one, or at the end of the row.

use crate::ground::source::Source;
use crate::heap::growth::Room;
use crate::heap::{Heap, Hole, Place, Request};
use crate::memory::block::{FreeBlock, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::Entered;
use crate::words::extent::Extent;
use crate::words::size::HEADER;
use crate::words::slot::Slot;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Takes the place from the free blocks or the end, and claims it under the tag.
    #[inline(always)]
    pub(super) fn take(&mut self, place: Place, request: &Request) -> UsedBlock {
        match place {
            Place::Inside(hole) if hole.in_front == 0 => {
                self.commit(|heap| heap.take_front(hole, request))
            }
            Place::Inside(hole) => self.take_aligned(hole.free, request),
            Place::End(room) => self.take_end(&room, request),
        }
    }

    /// Takes a free block from its front on.
    ///
    /// Whether something is left of it is anybody's guess, so that is computed with and not asked: where
    /// nothing is, the block's own header is written as that of the rest, and then as that of the block.
    #[inline(always)]
    fn take_front(&mut self, hole: Hole, request: &Request) -> UsedBlock {
        let Hole { free, taken, .. } = hole;
        let old = free.extent();
        let rest = free.behind(taken);
        rest.settle(&mut self.row);
        self.placement.cut(old, taken);
        self.claim(free.cut(taken), request)
    }

    /// Takes a part of a free block, before which another part stays free.
    #[cold]
    fn take_aligned(&mut self, free: FreeBlock, request: &Request) -> UsedBlock {
        self.commit(|heap| {
            let old = free.extent();
            heap.split(free, Some(old), request)
        })
    }

    /// Takes room at the end of the row.
    #[inline(never)]
    fn take_end(&mut self, room: &Room, request: &Request) -> UsedBlock {
        self.commit(|heap| {
            let free = heap.lengthen(room);
            heap.split(free, None, request)
        })
    }

    /// Takes what a request needs of a free block in hand, which the placement knows as `old`, if it does.
    #[inline]
    fn split(&mut self, free: FreeBlock, old: Option<Extent>, request: &Request) -> UsedBlock {
        let (fit, mut old) = (request.fit, old);
        let in_front = fit.in_front(free.at());
        let (front, free) = free.split_front(in_front);
        let (free, rest) = if R::SPLITS {
            free.split_back(fit.size())
        } else {
            (free, None)
        };
        if let Some(front) = front {
            self.put_in_place_of(old.take(), &front);
        }
        match (rest, old) {
            (Some(rest), old) => self.put_in_place_of(old, &rest),
            (None, Some(old)) => self.placement.remove(old),
            (None, None) => {}
        }
        self.claim(free, request)
    }

    /// Gives a free block in hand to the request's tag.
    #[inline(always)]
    fn claim(&mut self, free: FreeBlock, request: &Request) -> UsedBlock {
        let slot = self.sign_up(free.at(), free.size(), request);
        free.claim(&mut self.row, request.tag, slot)
    }

    /// Enters a block into its tag's account and list.
    #[inline(always)]
    fn sign_up(&mut self, at: usize, size: usize, request: &Request) -> Slot {
        let unlisted = Slot::new(Slot::UNLISTED, size - HEADER, request.layout.size());
        let requested = unlisted.requested(size - HEADER);
        let (offset, epoch) = (at - self.base(), request.epoch);
        let block = Entered {
            offset,
            size,
            requested,
            epoch,
            allocated: request.counts.then_some(request.layout.size()),
        };
        let place = self.ledger.enter(request.account, block, &mut self.memory);
        Slot { place, ..unlisted }
    }
}
