//! The memory of a process: a running one's, or what a core file keeps of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, elf};

/// Memory by its addresses in the process.
#[derive(Debug)]
pub(crate) struct Memory {
    file: File,
    pieces: Vec<Piece>,
    /// Whether it changes meanwhile.
    pub(crate) is_live: bool,
}

/// A stretch of it that the process could write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first address.
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    /// Where that stands in the file.
    offset: u64,
}

impl Piece {
    /// Whether a process may have it and a file hold it: both end before 2^63.
    fn is_possible(&self) -> bool {
        let ends = [self.at, self.offset].map(|start| start.checked_add(self.bytes));
        ends.into_iter()
            .all(|end| end.is_some_and(|end| end < 1 << 63))
    }
}

impl Memory {
    /// That of the process of a number, or of a core file.
    pub(crate) fn of(from: &Path) -> io::Result<Self> {
        let number = from.to_str().and_then(|text| text.parse().ok());
        match number {
            Some(number) => Self::of_process(number),
            None => Self::of_core(from),
        }
    }

    fn of_process(number: proc_maps::Pid) -> io::Result<Self> {
        let maps = proc_maps::get_process_maps(number)?;
        let mine = maps.iter().filter(|map| map.is_read() && map.is_write());
        let pieces = mine.map(|map| Piece {
            at: map.start() as u64,
            bytes: map.size() as u64,
            offset: map.start() as u64,
        });
        Ok(Self {
            pieces: pieces.collect(),
            file: File::open(format!("/proc/{number}/mem"))?,
            is_live: true,
        })
    }

    fn of_core(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let fault = |fault: object::Error| io::Error::other(format!("no core file: {fault}"));
        let data = ReadCache::new(File::open(path)?);
        let header = elf::FileHeader64::<Endianness>::parse(&data).map_err(fault)?;
        let endian = header.endian().map_err(fault)?;
        if header.e_type(endian) != elf::ET_CORE {
            return Err(io::Error::other("no core file: a program or a library"));
        }
        let segments = header.program_headers(endian, &data).map_err(fault)?;
        let writable = segments.iter().filter(|segment| {
            segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian).contains(elf::PF_W)
        });
        let pieces = writable.map(|segment| Piece {
            at: segment.p_vaddr(endian),
            bytes: segment.p_filesz(endian),
            offset: segment.p_offset(endian),
        });
        Ok(Self {
            pieces: pieces.filter(Piece::is_possible).collect(),
            file,
            is_live: false,
        })
    }

    /// All that the process could write to.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Reads what there is from an address on, up to the first byte that is not: how many bytes that are.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(left) = into.get_mut(done..).filter(|left| !left.is_empty()) {
            match self.read_some(at + done as u64, left) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Gone meanwhile, or a page that nobody can read.
                Err(_) => break,
            }
        }
        done
    }

    /// As [`read`](Memory::read), within one piece: what is behind it may be another. A process that runs may have got more
    /// since it was asked for its pieces: there, an address is where it says.
    fn read_some(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.is_live {
            return self.file.read_at(into, at);
        }
        let found = self.pieces.iter().find_map(|piece| {
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
