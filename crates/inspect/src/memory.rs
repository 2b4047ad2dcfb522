//! The memory of a process: a running one's, or what a core file keeps of it.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::{core_file, process};

/// How many times the bytes of all pieces are read at most, for what lies in them: rows of heaps lie apart, or one in a
/// block of another.
const TIMES: u64 = 4;

/// And so many bytes more of a process that runs, for what it got meanwhile.
const SPARE: u64 = 64 << 20;

/// Memory by its addresses in the process.
#[derive(Debug)]
pub(crate) struct Memory {
    file: File,
    pieces: Vec<Piece>,
    /// Whether it changes meanwhile.
    pub(crate) is_live: bool,
    /// Bytes that the file should have behind its end.
    pub(crate) missing: u64,
    /// Bytes that may be read yet.
    left: Cell<u64>,
}

/// A stretch of it that the process could write to, and as far as can be told did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first address.
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    /// Where that stands in the file.
    pub(crate) offset: u64,
}

impl Piece {
    /// Whether a process may have it and a file hold it: both end before 2^63.
    pub(crate) fn is_possible(&self) -> bool {
        let ends = [self.at, self.offset].map(|start| start.checked_add(self.bytes));
        ends.into_iter()
            .all(|end| end.is_some_and(|end| end < 1 << 63))
    }
}

impl Memory {
    /// That of the process of a number, or of a core file.
    pub(crate) fn of(from: &Path) -> io::Result<Self> {
        let number = from.to_str().filter(|text| {
            let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            are_digits && !text.is_empty()
        });
        match number {
            Some(number) => process::open(number),
            None => core_file::open(from),
        }
    }

    /// Of a process that runs.
    pub(crate) fn live(file: File, pieces: Vec<Piece>) -> Self {
        Self::new(file, pieces, true, 0)
    }

    /// Of one that left a file, which should have so many bytes more.
    pub(crate) fn left_behind(file: File, pieces: Vec<Piece>, missing: u64) -> Self {
        Self::new(file, pieces, false, missing)
    }

    fn new(file: File, mut pieces: Vec<Piece>, is_live: bool, missing: u64) -> Self {
        pieces.sort_unstable_by_key(|piece| piece.at);
        let all: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        let spare = if is_live { SPARE } else { 0 };
        Self {
            file,
            pieces,
            is_live,
            missing,
            left: Cell::new(
                all.saturating_mul(TIMES)
                    .saturating_add(spare + TIMES * 4096),
            ),
        }
    }

    /// All that is looked through, in the order of addresses.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether it was of a process that is no more.
    pub(crate) fn is_gone(&self) -> bool {
        let first = self.pieces.first().map_or(0, |piece| piece.at);
        // Where memory is missing that is an error.
        self.is_live && matches!(self.file.read_at(&mut [0], first), Ok(0))
    }

    /// How many bytes may be read yet. Memory of which more is read than there is was forged to loop.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    /// What was read since so many were left is read once more, and does not count.
    pub(crate) fn read_again(&self, left: u64) {
        self.left.set(left);
    }

    /// As [`look`](Memory::look), of what may be read in all; nothing when that is used up.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> usize {
        let left = self.left.get();
        if left == 0 {
            return 0;
        }
        let done = self.look(at, into);
        // To find nothing takes time, too.
        self.left.set(left.saturating_sub(done.max(64) as u64));
        done
    }

    /// Reads what there is from an address on, up to the first byte that is not: how many bytes that are.
    pub(crate) fn look(&self, at: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(left) = into.get_mut(done..).filter(|left| !left.is_empty()) {
            match self.read_some(at.saturating_add(done as u64), left) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Gone meanwhile, or a page that nobody can read.
                Err(_) => break,
            }
        }
        done
    }

    /// As [`look`](Memory::look), within one piece: what is behind it may be another. A process that runs may have got more
    /// since it was asked for its pieces: there, an address is where it says.
    fn read_some(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.is_live {
            return self.file.read_at(into, at);
        }
        let behind = self.pieces.partition_point(|piece| piece.at <= at);
        let found = self.pieces.get(..behind).unwrap_or_default().last();
        let found = found.and_then(|piece| {
            let inside = at.checked_sub(piece.at)?;
            let left = piece.bytes.checked_sub(inside)?;
            Some((piece.offset + inside, left)).filter(|(_, left)| *left > 0)
        });
        let Some((offset, left)) = found else {
            return Ok(0);
        };
        let bytes = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        let into = into.get_mut(..bytes).unwrap_or_default();
        self.file.read_at(into, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_gets_later_is_read_too() {
        let me = std::process::id().to_string();
        let memory = Memory::of(Path::new(&me)).unwrap();
        let later = vec![7_u8; 100 << 20];
        let end = later.as_ptr_range().end.addr() as u64;
        let mut bytes = [0; 5000];
        assert_eq!(memory.read(end - 5000, &mut bytes), 5000);
        assert_eq!(bytes, [7; 5000]);
    }

    #[test]
    fn pieces_end_where_addresses_and_files_do() {
        let is_possible = |at, bytes, offset| Piece { at, bytes, offset }.is_possible();
        assert!(is_possible(0x7000, 4096, 0));
        assert!(is_possible((1 << 63) - 2, 1, (1 << 63) - 2));
        assert!(!is_possible((1 << 63) - 1, 1, 0));
        assert!(!is_possible(0, 1, (1 << 63) - 1));
        assert!(!is_possible(u64::MAX, 2, 0));
        assert!(!is_possible(0x7000, 4096, u64::MAX));
    }
}
