//! The memory of a process in the core file that it left.

use std::fs::File;
use std::io;
use std::path::Path;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, ReadCache, elf};

use crate::memory::{Memory, Piece};

type Header = elf::FileHeader64<LittleEndian>;

/// What it keeps of memory that the process could write to.
pub(crate) fn open(path: &Path) -> io::Result<Memory> {
    let no_core = |why: &str| io::Error::other(format!("no core file: {why}"));
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let data = ReadCache::new(File::open(path)?);
    let header = Header::parse(&data).ok();
    let header = header.filter(|header| header.e_ident.data == elf::ELFDATA2LSB);
    let header = header.ok_or_else(|| no_core("no ELF of 64 bits, little-endian"))?;
    let endian = LittleEndian;
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
    let mut pieces: Vec<_> = pieces.filter(Piece::is_possible).collect();
    let ends = pieces.iter().map(|piece| piece.offset + piece.bytes);
    let missing = ends.max().unwrap_or(0).saturating_sub(length);
    for piece in &mut pieces {
        piece.bytes = piece.bytes.min(length.saturating_sub(piece.offset));
    }
    pieces.retain(|piece| piece.bytes > 0);
    let kept = pieces
        .iter()
        .fold(0_u64, |sum, piece| sum.saturating_add(piece.bytes));
    if kept > length {
        return Err(no_core("its segments overlap"));
    }
    Ok(Memory::left_behind(file, pieces, missing))
}
