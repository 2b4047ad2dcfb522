//! Releasing tags: every block of theirs is freed.

use crate::ground::source::Source;
use crate::heap::free::Around;
use crate::heap::{Heap, refuse_reserved};
use crate::memory::block::FreeBlock;
use crate::memory::row::Held;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::Error;
use crate::words::header::Freed;
use crate::words::stats::Amount;
use crate::words::tag::Tag;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Frees every block under `tag`, and answers how many blocks and bytes (headers included) they were.
    ///
    /// A tag without blocks is no error: nothing is freed. O(blocks of the heap).
    ///
    /// # Errors
    ///
    /// [`Misuse::ReservedTag`](crate::Misuse::ReservedTag) for a tag of the heap's own,
    /// [`Corruption`](crate::Corruption) if any header of the row is damaged. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// Nobody uses memory under this tag afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release(&mut self, tag: Tag) -> Result<Amount, Error> {
        refuse_reserved(tag)?;
        self.sweep(|other| other == tag)
    }

    /// Frees every block whose tag `pick` picks, in one pass over the row: sets and ranges of tags.
    ///
    /// Blocks of the heap's own are never offered. If `pick` panics, what it picked before is freed and
    /// the heap is whole. O(blocks of the heap).
    ///
    /// # Errors
    ///
    /// [`Corruption`](crate::Corruption) if any header of the row is damaged. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// Nobody uses memory under the picked tags afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release_where(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        self.sweep(pick)
    }

    fn sweep(&mut self, mut pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        self.verify_headers()?;
        let mut released = Amount::default();
        let mut before = None;
        let mut at = self.base();
        while at < self.end() {
            match self.row.block(at)? {
                Held::Free(block) => {
                    at = block.end();
                    before = Some(block);
                }
                Held::Used(block) if block.tag().is_reserved() || !pick(block.tag()) => {
                    at = block.end();
                    before = None;
                }
                Held::Used(block) => {
                    released.blocks += 1;
                    released.bytes += block.size();
                    let around = match before.take() {
                        _ if !R::SPLITS => Around::default(),
                        before => Around {
                            before,
                            behind: self.row.free_at(block.end())?,
                        },
                    };
                    // The block that results, or the end of the row, stands here: go on with that.
                    at = around.before.as_ref().map_or(block.at(), FreeBlock::at);
                    self.commit(|heap| heap.free(block, around, Freed::WithItsTag));
                }
            }
        }
        self.relax();
        Ok(released)
    }
}
