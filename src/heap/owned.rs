//! Blocks for whoever owns a tag, and goes by what it held.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::ground::source::Source;
use crate::heap::{Heap, Request};
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::{Corruption, Error, Misuse};
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
    #[inline]
    pub(crate) fn allocate_owned(
        &mut self,
        tag: Tag,
        layout: Layout,
        owning: Owning,
    ) -> Result<NonNull<[u8]>, Error> {
        let mut request = self.request(tag, layout)?;
        if owning.first || owning.most > 0 {
            let (blocks, peak) = self.held_by(&request)?;
            if owning.first && blocks > 0 {
                return Err(Misuse::TagInUse { tag }.into());
            }
            request.enlarge(peak.min(owning.most));
        }
        self.serve(&request)
    }

    /// How many blocks the request's tag holds, and how many bytes it held at most, as
    /// [`stats_of`](Heap::stats_of) tells; 0 for the latter in a buffer, where others need what a tag does not.
    #[inline]
    fn held_by(&self, request: &Request) -> Result<(usize, usize), Corruption> {
        match self.ledger.known(request.account) {
            Some(account) if self.memory.is_bounded() => Ok((account.blocks, 0)),
            Some(account) => Ok((account.blocks, account.peak)),
            None => Ok((self.stats_of(request.tag)?.blocks, 0)),
        }
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
