//! What is held by tag.

use std::collections::BTreeMap;

use tagheap::{Holding, Tag};

use super::HEAP;
use super::program::{Program, TAGS};

/// Tags that a snapshot has room for: more than all programs have.
const ROOM: usize = 32;

/// What is held under each tag.
pub(super) fn held() -> BTreeMap<Tag, Holding> {
    let mut room = [Holding::default(); ROOM];
    let holdings = HEAP.snapshot(&mut room).unwrap();
    holdings
        .iter()
        .map(|holding| (holding.tag, *holding))
        .collect()
}

impl Program {
    /// Objects and their bytes are those that the program knows.
    pub(super) fn compare_numbers(&self) {
        let held = held();
        for tag in TAGS {
            let of_it = self.live.iter().filter(|live| live.tag == tag);
            let sizes = of_it.map(|live| live.requested);
            let wanted = (sizes.clone().count(), sizes.sum());
            let found = held.get(&tag).copied().unwrap_or_default();
            assert_eq!((found.objects, found.bytes), wanted, "{found}");
        }
    }

    pub(super) fn assert_nothing_held(&self, tags: &[Tag]) {
        for tag in tags {
            let held = HEAP.holding(*tag).unwrap();
            let found = (held.objects, held.bytes, held.held.blocks);
            assert_eq!(found, (0, 0, 0), "{held}");
        }
    }
}
