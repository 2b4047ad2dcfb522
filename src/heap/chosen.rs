//! Releasing sets of tags: all of them verified, and then all of them freed.

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::heap::listed::Part;
use crate::heap::release::SWEEP_FROM;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::tags::account::Account;
use crate::words::error::Error;
use crate::words::stats::Amount;
use crate::words::tag::Tag;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Frees every block whose tag `pick` picks: sets and ranges of tags.
    ///
    /// `pick` is asked once for each tag that holds blocks, before any is freed, and never for the heap's own. If it
    /// panics, nothing is freed. O(tags with numbers, and blocks of those picked), by their lists; O(blocks of the
    /// heap), by a walk, under the conditions of [`release`](Heap::release).
    ///
    /// Where there is no ledger, no memory to note what was picked, or four times as many tags as blocks, `pick` is
    /// asked for each block instead, in the order of the row; if it panics then, what it picked before is freed.
    ///
    /// # Errors
    ///
    /// [`Corruption`](crate::Corruption) if a header of the picked tags' blocks or of a free neighbour's is damaged, or
    /// where it walks any header. Nothing is freed then.
    ///
    /// # Safety
    ///
    /// Nobody uses memory under the picked tags afterwards.
    #[expect(unsafe_code, reason = "takes memory from whoever may still use it")]
    pub unsafe fn release_where(
        &mut self,
        mut pick: impl FnMut(Tag) -> bool,
    ) -> Result<Amount, Error> {
        let ledger = &mut self.ledger;
        let has_many_tags = ledger.count() / SWEEP_FROM > ledger.blocks();
        if !ledger.is_on() || has_many_tags {
            return self.sweep(|_, tag| pick(tag));
        }
        match ledger.choose(&mut pick, &mut self.memory) {
            Ok(chosen) if chosen.blocks == 0 => Ok(Amount::default()),
            Ok(chosen) if self.goes_by_list(chosen) => self.release_chosen(),
            Ok(_) => {
                let amount = self.sweep(|ledger, tag| ledger.is_chosen(tag))?;
                self.for_each_chosen(|heap, account| heap.ledger.clear(account.tag));
                Ok(amount)
            }
            Err(_) => self.sweep(|_, tag| pick(tag)),
        }
    }

    /// Frees the blocks of the chosen tags, by their lists.
    fn release_chosen(&mut self) -> Result<Amount, Error> {
        let mut next = 0;
        while let Some((account, behind)) = self.ledger.chosen_from(next) {
            self.verify_listed(Part::all(account))?;
            next = behind;
        }
        let mut amount = Amount::default();
        self.commit(|heap| {
            heap.for_each_chosen(|heap, account| {
                let freed = heap.release_verified(account);
                amount.blocks += freed.blocks;
                amount.bytes += freed.bytes;
            });
        });
        self.relax();
        Ok(amount)
    }

    /// Does something for each of the chosen accounts, as it was before.
    fn for_each_chosen(&mut self, mut action: impl FnMut(&mut Self, &Account)) {
        let mut next = 0;
        while let Some((account, behind)) = self.ledger.chosen_from(next) {
            let account = *account;
            action(self, &account);
            next = behind;
        }
    }
}
