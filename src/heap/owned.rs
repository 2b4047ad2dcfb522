//! Blocks for whoever owns a tag, and goes by what it held.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::heap::place::Request;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::ledger::AccountId;
use crate::words::error::{Error, Misuse};
use crate::words::size::{Fit, HEADER, UNIT, align_down};
use crate::words::tag::Tag;

/// What an owner of a tag asks for besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owning<'a> {
    /// That the block is the tag's only one.
    pub(crate) first: bool,
    /// That it has as many bytes, header and all, as the tag ever held, but so many at most, and no more than the tag
    /// may; 0 for no more than are asked for.
    pub(crate) most: usize,
    /// Where the tag's account is kept, for the next time.
    pub(crate) account: &'a Cell<AccountId>,
}

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// As [`allocate`](Heap::allocate), for the owner of a tag. Looks the tag up once for all.
    ///
    /// # Errors
    ///
    /// As there, and [`Misuse::TagInUse`] if the tag holds blocks where it should have none.
    #[inline(always)]
    pub(crate) fn allocate_owned(
        &mut self,
        tag: Tag,
        layout: Layout,
        owning: Owning<'_>,
    ) -> Result<NonNull<[u8]>, Error> {
        let id = self.ledger.find(tag);
        let (Some(account), Some(fit)) = (self.ledger.known(id), Fit::of(layout)) else {
            return self.allocate_unknown(tag, layout, owning.first);
        };
        owning.account.set(id);
        if owning.first && account.blocks > 0 {
            return Err(Misuse::TagInUse { tag }.into());
        }
        let mut request = Request {
            tag,
            layout,
            fit,
            account: id,
            epoch: self.ledger.epoch(),
            counts: true,
        };
        // In a buffer, others need what a tag does not.
        if !self.memory.is_bounded() {
            request.enlarge(account.as_before().min(owning.most));
        }
        let found = self.look(request.fit)?;
        self.serve(&request, found)
    }

    /// As [`allocate_owned`](Heap::allocate_owned), where the tag has no account yet, or none has.
    #[cold]
    #[inline(never)]
    fn allocate_unknown(
        &mut self,
        tag: Tag,
        layout: Layout,
        first: bool,
    ) -> Result<NonNull<[u8]>, Error> {
        let request = self.request(tag, layout)?;
        if first && self.stats_of(tag)?.blocks > 0 {
            return Err(Misuse::TagInUse { tag }.into());
        }
        let found = self.look(request.fit)?;
        self.serve(&request, found)
    }

    /// Frees every block of a tag's owner, whose account is known; whether that could be done.
    ///
    /// # Safety
    ///
    /// As for [`release`](Heap::release).
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    #[inline(never)]
    pub(crate) unsafe fn release_owned(&mut self, tag: Tag, known: AccountId) -> bool {
        let id = self.ledger.find_again(known, tag);
        if let Some(account) = self.ledger.known(id)
            && account.has_one()
            && let Ok(Some(block)) = self.listed(account, 0)
            && self.release_last(id, block).is_ok()
        {
            return true;
        }
        self.release_by_call(tag)
    }

    #[cold]
    #[inline(never)]
    #[expect(unsafe_code, reason = "as its caller is")]
    fn release_by_call(&mut self, tag: Tag) -> bool {
        // SAFETY: the caller's caller's promise.
        unsafe { self.release(tag) }.is_ok()
    }
}

impl Request {
    /// Asks for a block of so many bytes, in whole units, if that is more.
    #[inline]
    fn enlarge(&mut self, bytes: usize) {
        let payload = align_down(bytes.saturating_sub(HEADER), UNIT);
        if payload > self.layout.size()
            && let Ok(layout) = Layout::from_size_align(payload, self.layout.align())
            && let Some(fit) = Fit::of(layout)
        {
            (self.layout, self.fit) = (layout, fit);
        }
    }
}
