//! The memory of a process in the core file that it left.

use std::fs::File;
use std::io;
use std::path::Path;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, elf};

use crate::memory::{Memory, Piece};

type Header = elf::FileHeader64<Endianness>;

/// What it keeps of memory that the process could write to.
pub(crate) fn open(path: &Path) -> io::Result<Memory> {
    let no_core = |why: &str| io::Error::other(format!("no core file: {why}"));
    let file = File::open(path)?;
    let data = ReadCache::new(File::open(path)?);
    let header = Header::parse(&data).map_err(|fault| no_core(&fault.to_string()))?;
    let endian = header
        .endian()
        .map_err(|fault| no_core(&fault.to_string()))?;
    if header.e_type(endian) != elf::ET_CORE {
        return Err(no_core("a program or a library"));
    }
    let segments = header.program_headers(endian, &data);
    let segments = segments.map_err(|fault| no_core(&fault.to_string()))?;
    let writable = segments.iter().filter(|segment| {
        segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian).contains(elf::PF_W)
    });
    let pieces = writable.map(|segment| Piece {
        at: segment.p_vaddr(endian),
        bytes: segment.p_filesz(endian),
        offset: segment.p_offset(endian),
    });
    Ok(Memory::left_behind(
        file,
        pieces.filter(Piece::is_possible).collect(),
    ))
}
