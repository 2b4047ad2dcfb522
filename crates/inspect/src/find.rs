//! Where heaps are: each begins with a block that spells so.

use tagheap::{HEADER, Root, UNIT};

use crate::memory::Memory;

/// Bytes that are looked at together.
const STRETCH: usize = 1 << 20;

/// The addresses of all root blocks.
pub(crate) fn roots(memory: &Memory) -> Vec<u64> {
    let mut found = Vec::new();
    let mut bytes = vec![0; STRETCH + Root::BLOCK];
    for piece in memory.pieces() {
        let end = piece.at + piece.bytes;
        let mut at = piece.at.next_multiple_of(UNIT as u64);
        while at < end {
            // What begins here may end in the next piece.
            let wanted = (end - at).saturating_add(Root::BLOCK as u64 - 1);
            let room =
                usize::try_from(wanted).map_or(bytes.len(), |wanted| wanted.min(bytes.len()));
            let there = memory.look(at, bytes.get_mut(..room).unwrap_or_default());
            found.extend(roots_in(at, bytes.get(..there).unwrap_or_default()));
            // Behind a page that cannot be read there may be more.
            at += (there.min(STRETCH) as u64).next_multiple_of(4096).max(4096);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The addresses of root blocks among some bytes, which begin at an address.
fn roots_in(at: u64, bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (units, _) = bytes.as_chunks::<UNIT>();
    let magic = Root::MAGIC.to_le_bytes();
    let spelled = units
        .iter()
        .enumerate()
        .filter(move |(_, unit)| unit.starts_with(&magic));
    spelled.filter_map(move |(number, _)| {
        let offset = (number * UNIT).checked_sub(HEADER)?;
        let place = at + offset as u64;
        Root::decode(place as usize, bytes.get(offset..)?).map(|_| place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(at: u64) -> Vec<u8> {
        let last = at + Root::BLOCK as u64;
        let version = u64::from(Root::VERSION) | 1 << 32;
        let words = [
            1,
            Root::BLOCK as u64,
            u64::MAX,
            0,
            Root::MAGIC,
            version,
            4,
            at,
            last,
            last,
        ];
        let mut bytes: Vec<_> = words
            .iter()
            .flat_map(|word: &u64| word.to_le_bytes())
            .collect();
        bytes.resize(Root::BLOCK, 0);
        bytes
    }

    #[test]
    fn a_root_is_found_where_it_says_that_it_is_and_nowhere_else() {
        for offset in [0, 16, 48, 4096] {
            let mut bytes = vec![0; offset];
            bytes.extend(block(0x7000 + offset as u64));
            let found: Vec<_> = roots_in(0x7000, &bytes).collect();
            assert_eq!(found, [0x7000 + offset as u64]);
            // A copy of it elsewhere, and one that is cut off.
            assert_eq!(roots_in(0x8000, &bytes).count(), 0);
            assert_eq!(roots_in(0x7000, &bytes[..bytes.len() - 1]).count(), 0);
        }
    }

    #[test]
    fn each_word_counts() {
        let whole = block(0x7000);
        for word in [0, 1, 2, 4, 5, 7, 8] {
            let mut bytes = whole.clone();
            bytes[8 * word + 7] ^= 0x80;
            let is_end = word == 8;
            assert_eq!(
                roots_in(0x7000, &bytes).count(),
                usize::from(is_end),
                "{word}"
            );
        }
        let mut bytes = whole;
        bytes[8 * 8..][..8].fill(0);
        assert_eq!(
            roots_in(0x7000, &bytes).count(),
            0,
            "ends in front of itself"
        );
    }
}
