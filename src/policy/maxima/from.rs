//! Searches in the tree of maxima that begin at a leaf.

use crate::ground::lanes::{Each, LANES};
use crate::policy::maxima::{Maxima, lowest};

impl Maxima {
    /// The first leaf at `index` or behind it whose number is greater than `bound`.
    #[cold]
    pub(in crate::policy) fn first_from(&self, index: usize, bound: i16) -> Option<usize> {
        let (mut level, mut index) = (0, index);
        loop {
            let (node, lane) = (index / LANES, index % LANES);
            let lanes = self.above(level, node, bound) & (u32::MAX << lane);
            if lanes != 0 {
                index = node * LANES + lowest(lanes);
                break;
            }
            if level < self.top {
                index = node + 1;
                level += 1;
            } else if node + 1 < self.width {
                index = (node + 1) * LANES;
            } else {
                return None;
            }
        }
        for level in (0..level).rev() {
            index = index * LANES + lowest(self.above(level, index, bound));
        }
        Some(index)
    }

    /// A bit for each lane of a node whose number is greater than `bound`.
    fn above(&self, level: usize, node: usize, bound: i16) -> u32 {
        let line = self.levels.get(level).and_then(|level| level.line(node));
        line.map_or(0, |line| line.above(Each::new(bound)))
    }
}
