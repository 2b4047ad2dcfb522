//! A heap in plain text.

use std::fmt::{self, Display};

use tagheap::{Block, Drawing, HEADER, State};

use crate::Wanted;
use crate::heap::{Damage, Heap};
use crate::tally::Amounts;

/// A heap, told.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) heap: &'a Heap,
    pub(crate) wanted: Wanted,
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heap = self.heap;
        let (bytes, granted) = (
            heap.end - heap.base,
            heap.limit.saturating_sub(heap.end as u64),
        );
        writeln!(
            f,
            "heap at {:#x}: rule {}, bytes {bytes}, blocks {}, bytes granted beyond {granted}, changes {}",
            heap.base, heap.rule, heap.count, heap.changes
        )?;
        if heap.is_torn {
            writeln!(
                f,
                "it changed while it was read: stop the process (kill -STOP) for one moment's picture"
            )?;
        } else if heap.is_in_change {
            writeln!(f, "in the middle of a change")?;
        }
        if heap.damage.is_some() {
            let (to, told) = (heap.told_to(), heap.told_to() - heap.base);
            writeln!(
                f,
                "told up to {to:#x}, {told} bytes: the last line says why"
            )?;
        }
        if heap.strange > 0 {
            writeln!(
                f,
                "accounts of tags that say otherwise than the row, and are not told: {}",
                heap.strange
            )?;
        }
        writeln!(
            f,
            "{:<20} {:>8} {:>14} {:>14} {:>14} {:>14}",
            "tag", "blocks", "bytes", "payload", "largest", "peak"
        )?;
        for amounts in &heap.tags {
            line(f, amounts)?;
        }
        if self.wanted.drawing {
            writeln!(f, "{}", Drawing(heap))?;
        }
        if self.wanted.blocks {
            for block in &heap.blocks {
                writeln!(f, "{:#x} {block}", block.at)?;
            }
        }
        heap.damage
            .as_ref()
            .map_or(Ok(()), |damage| tell(f, damage, heap))
    }
}

fn line(f: &mut fmt::Formatter<'_>, amounts: &Amounts) -> fmt::Result {
    let tag = match amounts.tag {
        State::Free => "(free)".into(),
        State::Used(_) if !amounts.name().is_empty() => amounts.name().into(),
        State::Used(tag) => tag.to_string(),
    };
    let (blocks, bytes, largest) = (amounts.amount.blocks, amounts.amount.bytes, amounts.largest);
    let payload = bytes - blocks * HEADER;
    write!(
        f,
        "{tag:<20} {blocks:>8} {bytes:>14} {payload:>14} {largest:>14}"
    )?;
    match (amounts.peak(), &amounts.account) {
        (Some(peak), _) => writeln!(f, " {peak:>14}"),
        (None, Some(_)) => writeln!(f, " {:>14}", "?"),
        (None, None) => writeln!(f),
    }
}

fn tell(f: &mut fmt::Formatter<'_>, damage: &Damage, heap: &Heap) -> fmt::Result {
    let Damage { at, words, behind } = damage;
    match words {
        Some([a, b, c, d]) => write!(f, "damaged header at {at:#x}: {a:#x} {b:#x} {c:#x} {d:#x}")?,
        None => write!(
            f,
            "row cut off at {at:#x}, {} bytes before its end: not in this memory",
            heap.end.saturating_sub(*at)
        )?,
    }
    if let Some(block) = behind {
        write!(
            f,
            ", behind the block at {:#x}, {}",
            block.at,
            Block::to_string(block)
        )?;
    }
    writeln!(f)
}
