//! Blocks for whoever owns a tag, and goes by what it held.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::heap::place::Request;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Error, Misuse};
use crate::words::size::{Fit, HEADER, UNIT, align_down};
use crate::words::tag::Tag;

/// What an owner of a tag asks for besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owning {
    /// That the block is the tag's only one.
    pub(crate) first: bool,
    /// That it has as many bytes, header and all, as the tag ever held, but so many at most; 0 for no more than are
    /// asked for.
    pub(crate) most: usize,
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
        owning: Owning,
    ) -> Result<NonNull<[u8]>, Error> {
        let mut request = self.request(tag, layout)?;
        let (blocks, peak) = match self.ledger.known(request.account) {
            Some(account) => (account.blocks, account.peak),
            None if owning.first => (self.stats_of(tag)?.blocks, 0),
            None => (0, 0),
        };
        if owning.first && blocks > 0 {
            return Err(Misuse::TagInUse { tag }.into());
        }
        // In a buffer, others need what a tag does not.
        if !self.memory.is_bounded() {
            request.enlarge(peak.min(owning.most));
        }
        let found = self.look(request.fit)?;
        self.serve(&request, found)
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
