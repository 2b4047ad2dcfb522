//! How a request gets its block: its account, the place, the claim.

use core::alloc::Layout;
use core::hint::select_unpredictable;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::growth::Room;
use crate::heap::{Heap, out_of_memory, refuse_reserved};
use crate::memory::block::{FreeBlock, UsedBlock};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::{AccountId, Entered};
use crate::words::error::{Corruption, Error, Shortage};
use crate::words::extent::Extent;
use crate::words::size::{Fit, HEADER, SMALLEST, UNIT};
use crate::words::slot::Slot;
use crate::words::tag::Tag;

/// How far beyond the row's end memory is fetched: who takes a block there mostly takes more, a level for example, and
/// they will lie there.
const AHEAD: usize = 256;

/// A request, and on whose account.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) tag: Tag,
    pub(super) layout: Layout,
    pub(super) fit: Fit,
    pub(super) account: AccountId,
    pub(super) epoch: u32,
    /// Whether the account counts it as an allocation.
    pub(super) counts: bool,
}

/// Where a request's block comes from.
pub(super) enum Place {
    /// The start of a free block of the row, of which so many bytes are left behind it.
    Start { free: FreeBlock, left: usize },
    /// The inside of a free block of the row, behind so many bytes of it.
    Inside { free: FreeBlock, in_front: usize },
    /// The end of the row.
    End(Room),
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// What a request needs, and whose account it goes to, which is opened.
    #[inline(always)]
    pub(super) fn request(&mut self, tag: Tag, layout: Layout) -> Result<Request, Error> {
        refuse_reserved(tag)?;
        let epoch = self.ledger.epoch();
        let account = self.ledger.open(tag, &mut self.memory);
        let account = account.map_err(|cause| out_of_memory(tag, layout, cause))?;
        match Fit::of(layout) {
            Some(fit) => Ok(Request {
                tag,
                layout,
                fit,
                account,
                epoch,
                counts: true,
            }),
            None => Err(self.failed(account, tag, layout, Shortage::TooLarge)),
        }
    }

    /// The free block that a request takes, if there is one.
    #[inline(always)]
    pub(super) fn look(&self, fit: Fit) -> Result<Option<Extent>, Corruption> {
        match self.placement.count() {
            Some(0) => Ok(None),
            _ => self.placement.find(&self.row, fit, R::SPLITS),
        }
    }

    /// Claims a request's block: of the free one that was found for it, if one was.
    #[inline(always)]
    pub(super) fn serve(
        &mut self,
        request: &Request,
        found: Option<Extent>,
    ) -> Result<NonNull<[u8]>, Error> {
        let Some(found) = found else {
            return self.serve_at_end(request);
        };
        match self.seek_in(found, request.fit, request.account)? {
            Ok(place) => {
                let block = self.take(place, request);
                Ok(self.payload(&block, request.layout))
            }
            Err(shortage) => Err(self.lacks(*request, shortage)),
        }
    }

    /// Serves a request for which there is no free block. At once where nothing is to be asked for or left in front.
    ///
    /// The lines where the next header will stand, and some beyond, are fetched meanwhile.
    #[inline(always)]
    fn serve_at_end(&mut self, request: &Request) -> Result<NonNull<[u8]>, Error> {
        let fit = request.fit;
        let allowed = self.ledger.allows(request.account, fit.size());
        if allowed.is_ok()
            && fit.align() == UNIT
            && let Some(to) = self.granted(fit)
        {
            self.root.begin();
            self.row.prefetch(to);
            self.row.prefetch(to.wrapping_add(AHEAD));
            let free = self.lengthen_to(to);
            let block = self.claim(free, request);
            self.root.finish();
            return Ok(self.payload(&block, request.layout));
        }
        self.serve_anywhere(*request)
    }

    /// As [`serve`](Heap::serve), by way of a [`Place`].
    #[cold]
    #[inline(never)]
    fn serve_anywhere(&mut self, request: Request) -> Result<NonNull<[u8]>, Error> {
        let place = self.find(&request)?;
        let block = self.take(place, &request);
        Ok(self.payload(&block, request.layout))
    }

    /// Where a request will get its block; nothing has changed in the row.
    #[inline(always)]
    pub(super) fn find(&mut self, request: &Request) -> Result<Place, Error> {
        match self.seek(request.fit, request.account)? {
            Ok(place) => Ok(place),
            Err(shortage) => Err(self.lacks(*request, shortage)),
        }
    }

    /// The inner error is what lacks for the request, the outer one what is wrong with the memory.
    #[inline(always)]
    fn seek(
        &mut self,
        fit: Fit,
        account: AccountId,
    ) -> Result<Result<Place, Shortage>, Corruption> {
        if let Some(found) = self.look(fit)? {
            return self.seek_in(found, fit, account);
        }
        if let Err(shortage) = self.ledger.allows(account, fit.size()) {
            return Ok(Err(shortage));
        }
        Ok(self.make_room(fit)?.map(Place::End))
    }

    /// As [`seek`](Heap::seek), in the free block that was found.
    #[inline(always)]
    fn seek_in(
        &self,
        found: Extent,
        fit: Fit,
        account: AccountId,
    ) -> Result<Result<Place, Shortage>, Corruption> {
        let free = self.row.free_block(found)?;
        let in_front = fit.in_front(found.at);
        let whole = found.size - in_front;
        let left = if R::SPLITS { rest(whole, fit) } else { 0 };
        let allowed = self.ledger.allows(account, whole - left);
        Ok(allowed.map(|()| match in_front {
            0 => Place::Start { free, left },
            _ => Place::Inside { free, in_front },
        }))
    }

    /// Counts and names what lacks for a request.
    #[cold]
    fn lacks(&mut self, request: Request, shortage: Shortage) -> Error {
        self.failed(request.account, request.tag, request.layout, shortage)
    }

    #[cold]
    pub(super) fn failed(
        &mut self,
        account: AccountId,
        tag: Tag,
        layout: Layout,
        cause: Shortage,
    ) -> Error {
        if let Some(account) = self.ledger.by_id(account) {
            account.failures += 1;
        }
        out_of_memory(tag, layout, cause)
    }

    /// Takes the block from its place, and claims it under the request's tag.
    #[inline(always)]
    pub(super) fn take(&mut self, place: Place, request: &Request) -> UsedBlock {
        match place {
            Place::Start { free, left } => {
                // A closure for `commit` would be one function for all who take, and a call.
                self.root.begin();
                let old = free.extent();
                let free = free.leave(left, &mut self.row);
                let block = self.claim(free, request);
                // The last, for the request and its account need not be kept over it.
                self.placement.shorten(old, left, R::SPLITS);
                self.root.finish();
                block
            }
            Place::Inside { free, in_front } => self.take_inside(free, in_front, *request),
            Place::End(room) => self.take_end(room, *request),
        }
    }

    /// Takes a block from the end of the row; what is in front of it becomes one.
    #[cold]
    fn take_end(&mut self, room: Room, request: Request) -> UsedBlock {
        self.commit(|heap| {
            let free = heap.lengthen(&room);
            let in_front = request.fit.in_front(free.at());
            let (front, free) = free.split_front(in_front);
            if let Some(front) = front {
                heap.put_in_place_of(None, &front);
            }
            heap.claim(free, &request)
        })
    }

    /// Takes a block from inside a free one: what is in front of it remains one, and what is behind it becomes one.
    #[cold]
    fn take_inside(&mut self, free: FreeBlock, in_front: usize, request: Request) -> UsedBlock {
        self.commit(|heap| {
            let old = free.extent();
            let (front, free) = free.split_front(in_front);
            if let Some(front) = front {
                heap.put_in_place_of(Some(old), &front);
            }
            let (free, rest) = free.split_back(request.fit.size());
            if let Some(rest) = rest {
                heap.put_in_place_of(None, &rest);
            }
            heap.claim(free, &request)
        })
    }

    /// Gives a free block to the request's tag.
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

/// What `fit` leaves of so many bytes, if it can be a block; else 0. Whether it can is as good as random.
#[inline(always)]
fn rest(bytes: usize, fit: Fit) -> usize {
    let rest = bytes - fit.size();
    select_unpredictable(rest >= SMALLEST, rest, 0)
}
