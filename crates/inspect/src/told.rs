//! A heap in plain text.

use std::collections::HashMap;
use std::fmt::{self, Display, Write};

use tagheap::{Block, Drawing, HEADER, State, Tag};

use crate::Wanted;
use crate::heap::{Damage, Heap};
use crate::tally::Amounts;

/// Columns that tags take where no name is longer.
const USUAL: usize = 20;

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
        table(f, &heap.tags)?;
        if self.wanted.drawing {
            writeln!(f, "{}", Drawing(heap))?;
        }
        if self.wanted.blocks {
            each_block(f, heap)?;
        }
        heap.damage
            .as_ref()
            .map_or(Ok(()), |damage| tell(f, damage, heap))
    }
}

fn table(f: &mut fmt::Formatter<'_>, tags: &[Amounts]) -> fmt::Result {
    let named = tags
        .iter()
        .map(Amounts::name)
        .filter(|name| !name.is_empty());
    let widths = named.map(|name| Plain(name).to_string().chars().count());
    let longest = widths.max();
    let width = longest.unwrap_or(0).max(USUAL);
    write!(
        f,
        "{:<width$} {:>8} {:>14} {:>14} {:>14} {:>14}",
        "tag", "blocks", "bytes", "payload", "largest", "peak"
    )?;
    writeln!(f, "{}", longest.map_or("", |_| "  drawn as"))?;
    tags.iter().try_for_each(|amounts| line(f, amounts, width))
}

fn line(f: &mut fmt::Formatter<'_>, amounts: &Amounts, width: usize) -> fmt::Result {
    let tag = match amounts.tag {
        State::Free => "(free)".into(),
        State::Used(_) if !amounts.name().is_empty() => Plain(amounts.name()).to_string(),
        State::Used(tag) => tag.to_string(),
    };
    let (blocks, bytes, largest) = (amounts.amount.blocks, amounts.amount.bytes, amounts.largest);
    let payload = bytes - blocks * HEADER;
    write!(
        f,
        "{tag:<width$} {blocks:>8} {bytes:>14} {payload:>14} {largest:>14}"
    )?;
    match (amounts.peak(), &amounts.account) {
        (Some(peak), _) => write!(f, " {peak:>14}")?,
        (None, Some(_)) => write!(f, " {:>14}", "?")?,
        (None, None) => {}
    }
    // By that it goes in drawings.
    match amounts.tag {
        State::Used(tag) if !amounts.name().is_empty() => writeln!(f, "  {tag}"),
        _ => writeln!(f),
    }
}

fn each_block(f: &mut fmt::Formatter<'_>, heap: &Heap) -> fmt::Result {
    let named = heap
        .tags
        .iter()
        .filter(|amounts| !amounts.name().is_empty());
    let names: HashMap<Tag, &str> = named
        .filter_map(|amounts| match amounts.tag {
            State::Used(tag) => Some((tag, amounts.name())),
            State::Free => None,
        })
        .collect();
    for block in &heap.blocks {
        match block.tag().and_then(|tag| names.get(&tag)) {
            Some(name) => writeln!(f, "{:#x} {} {}", block.at, Plain(name), block.size)?,
            None => writeln!(f, "{:#x} {block}", block.at)?,
        }
    }
    Ok(())
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

/// A name as one line that a terminal takes for nothing but text.
struct Plain<'a>(&'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '"' | '\'' | '\\' => f.write_char(letter),
            _ => write!(f, "{}", letter.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_nothing_to_a_terminal() {
        for (name, told) in [
            ("what's \"left\" \\ 漢字 é", "what's \"left\" \\ 漢字 é"),
            ("\u{9b}31mred", "\\u{9b}31mred"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{1b}[31m\n", "\\u{1b}[31m\\n"),
        ] {
            assert_eq!(Plain(name).to_string(), told);
        }
    }
}
