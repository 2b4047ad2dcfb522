//! The heap's table by tag, from its books; where it keeps none, from the row.

use core::fmt;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::draw::{FREE, Table, line, title};
use crate::words::stats::{Amount, TagStats};
use crate::words::tag::Tag;

/// What a heap's tags hold, a line each, as it is printed.
pub(super) struct Tabulated<'a, S: Source, R: Rule, P: Placement>(pub(super) &'a Heap<S, R, P>);

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// What is free, and what the heap's own tags hold: these have no accounts.
    fn beside_accounts(&self) -> (Amount, [(Tag, Amount); 2]) {
        let mut free = Amount::default();
        let mut own = [Tag::HEAP, Tag::FOREIGN].map(|tag| (tag, Amount::default()));
        for block in self.walk().flatten() {
            if block.is_free() {
                free.add(&block);
            }
            let its = own.iter_mut().find(|(tag, _)| block.tag() == Some(*tag));
            if let Some((_, amount)) = its {
                amount.add(&block);
            }
        }
        (free, own)
    }
}

impl<S: Source, R: Rule, P: Placement> fmt::Display for Tabulated<'_, S, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heap = self.0;
        if !heap.ledger.is_on() {
            return Table(&heap.row).fmt(f);
        }
        let holders = || heap.tags().filter(|tag| tag.blocks > 0);
        let is_named = |tag: &TagStats| !tag.name.as_str().is_empty();
        title(f)?;
        if holders().any(|tag| is_named(&tag)) {
            f.write_str("  name")?;
        }
        let (free, own) = heap.beside_accounts();
        for (tag, amount) in own.into_iter().filter(|(_, amount)| amount.blocks > 0) {
            line(f, tag, amount)?;
        }
        for tag in holders() {
            line(f, tag.tag, tag.amount())?;
            if is_named(&tag) {
                write!(f, "  {}", tag.name)?;
            }
        }
        line(f, FREE, free)
    }
}
