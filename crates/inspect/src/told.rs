//! A heap in plain text.

use std::fmt::{self, Display};

use tagheap::{Drawing, State};

use crate::heap::{Amounts, Damage, Heap};

/// What is told of a heap besides the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) drawing: bool,
    pub(crate) blocks: bool,
}

/// A heap, told.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) heap: &'a Heap,
    pub(crate) wanted: Wanted,
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heap = self.heap;
        let (bytes, granted) = (heap.end - heap.base, heap.limit.saturating_sub(heap.end));
        writeln!(
            f,
            "heap at {:#x}: rule {}, bytes {bytes}, blocks {}, bytes granted beyond {granted}, changes {}",
            heap.base,
            heap.rule,
            heap.blocks.len(),
            heap.changes
        )?;
        if heap.is_torn {
            writeln!(
                f,
                "it changed while it was read: stop the process (kill -STOP) for one moment's picture"
            )?;
        } else if heap.is_in_change {
            writeln!(f, "in the middle of a change")?;
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
            .map_or(Ok(()), |damage| tell(f, damage))
    }
}

fn line(f: &mut fmt::Formatter<'_>, amounts: &Amounts) -> fmt::Result {
    let account = amounts.account.as_ref();
    let tag = match (amounts.tag, account) {
        (State::Free, _) => "(free)".into(),
        (State::Used(_), Some(account)) if !account.name.is_empty() => account.name.clone(),
        (State::Used(tag), _) => tag.to_string(),
    };
    let Amounts {
        blocks,
        bytes,
        payload,
        largest,
        ..
    } = amounts;
    write!(
        f,
        "{tag:<20} {blocks:>8} {bytes:>14} {payload:>14} {largest:>14}"
    )?;
    match account {
        Some(account) => writeln!(f, " {:>14}", account.peak),
        None => writeln!(f),
    }
}

fn tell(f: &mut fmt::Formatter<'_>, damage: &Damage) -> fmt::Result {
    write!(f, "damaged header at {:#x}", damage.at)?;
    match damage.words {
        Some([a, b, c, d]) => write!(f, ": {a:#x} {b:#x} {c:#x} {d:#x}")?,
        None => f.write_str(": not in this memory")?,
    }
    if let Some(block) = damage.behind {
        write!(f, ", behind the block at {:#x}, {block}", block.at)?;
    }
    writeln!(f)
}
