//! The memory of a process that runs, by `/proc`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use crate::memory::{Memory, Piece};

/// Where it cannot be told what is filled, pieces up to this many bytes are looked through. Of larger ones, which are
/// reserved more often than filled, only the start is: a heap that reserves its memory begins there.
const LARGE: u64 = 1 << 30;

/// Bytes at the start of a large piece.
const START: u64 = 64 << 10;

const PAGE: u64 = 4096;

/// Of a page in `/proc/PID/pagemap`: it is in memory, or was put out of it.
const FILLED: u64 = 3 << 62;

/// Pages that are asked about at once.
const PAGES: usize = 8192;

/// What can be written to of the process of a number.
pub(crate) fn open(number: &str) -> io::Result<Memory> {
    let said = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("no such process"),
        io::ErrorKind::PermissionDenied => io::Error::other(
            "not permitted: it is another user's, or guarded; whoever may debug it (CAP_SYS_PTRACE) may read it",
        ),
        // `ESRCH`
        _ if error.raw_os_error() == Some(3) => {
            io::Error::other("it has no memory: it has ended, or is the kernel's")
        }
        _ => error,
    };
    let open = |what: &str| File::open(format!("/proc/{number}/{what}"));
    // First what stays with this memory, whatever the process runs later.
    let memory = open("mem").map_err(said)?;
    let maps = fs::read(format!("/proc/{number}/maps")).map_err(said)?;
    let pages = open("pagemap").ok();
    let mut pieces = Vec::new();
    for (piece, is_shared) in maps.split(|byte| *byte == b'\n').filter_map(writable) {
        match &pages {
            Some(pages) if !is_shared => filled(pages, piece, &mut pieces),
            _ => pieces.push(Piece {
                bytes: start(piece.bytes),
                ..piece
            }),
        }
    }
    Ok(Memory::live(memory, pieces))
}

/// What a line of `/proc/PID/maps` says of memory that can be read and written, and whether others share it.
fn writable(line: &[u8]) -> Option<(Piece, bool)> {
    let mut parts = line.split(|byte| *byte == b' ');
    let range = str::from_utf8(parts.next()?).ok()?;
    let (from, to) = range.split_once('-')?;
    let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).ok());
    let (at, end) = (from?, to?);
    let permissions = parts.next()?;
    let piece = Piece {
        at,
        bytes: end.checked_sub(at)?,
        offset: at,
    };
    let is_mine = permissions.starts_with(b"rw") && piece.is_possible();
    is_mine.then_some((piece, permissions.ends_with(b"s")))
}

fn start(bytes: u64) -> u64 {
    if bytes <= LARGE { bytes } else { START }
}

/// The pages of a piece that are filled: others were never written to. To read these would take time, and memory of the
/// process's page tables.
fn filled(pages: &File, piece: Piece, into: &mut Vec<Piece>) {
    let mut room = vec![0; 8 * PAGES];
    let end = piece.at + piece.bytes;
    let mut at = piece.at;
    while at < end {
        let count =
            usize::try_from((end - at).div_ceil(PAGE)).map_or(PAGES, |left| left.min(PAGES));
        let bytes = room.get_mut(..8 * count).unwrap_or_default();
        if pages.read_exact_at(bytes, at / PAGE * 8).is_err() {
            // Nobody knows.
            let bytes = start(end - at);
            return into.push(Piece {
                at,
                bytes,
                offset: at,
            });
        }
        let (entries, _) = bytes.as_chunks();
        for entry in entries {
            if u64::from_le_bytes(*entry) & FILLED != 0 {
                add_page(at, into);
            }
            at += PAGE;
        }
    }
}

/// A page more, which lengthens the last piece where it lies behind that.
fn add_page(at: u64, into: &mut Vec<Piece>) {
    match into.last_mut() {
        Some(last) if last.at + last.bytes == at => last.bytes += PAGE,
        _ => into.push(Piece {
            at,
            bytes: PAGE,
            offset: at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read_whatever_files_are_called() {
        let read =
            |line: &[u8]| writable(line).map(|(piece, shared)| (piece.at, piece.bytes, shared));
        let line = b"7f00-8f00 rw-p 00001000 fe:00 10019890   /lib/\xff\xfe.so";
        assert_eq!(read(line), Some((0x7f00, 0x1000, false)));
        assert_eq!(
            read(b"7f00-8f00 rw-s 0 0:1 0"),
            Some((0x7f00, 0x1000, true))
        );
        for other in [
            &b"7f00-8f00 r--p 0 0:1 0"[..],
            b"7f00-8f00 ---p 0 0:1 0",
            b"8f00-7f00 rw-p 0 0:1 0",
            b"0-ffffffffffffffff rw-p 0 0:1 0",
            b"7f00 rw-p",
            b"7f00-8f00",
            b"-",
            b"",
        ] {
            assert_eq!(read(other), None);
        }
    }

    #[test]
    fn what_was_never_written_to_is_no_piece() {
        // More than a page table has entries.
        let mut room = vec![0_u8; 64 << 20];
        let start = room.as_ptr().addr() as u64;
        let end = start + room.len() as u64;
        let middle = room.len() / 2;
        room[middle] = 1;
        let memory = open(&std::process::id().to_string()).unwrap();
        let overlap = |piece: &Piece| {
            let to = end.min(piece.at + piece.bytes);
            to.saturating_sub(start.max(piece.at))
        };
        let covers = |at: u64| {
            memory
                .pieces()
                .iter()
                .any(|piece| (piece.at..piece.at + piece.bytes).contains(&at))
        };
        assert!(covers(start + middle as u64));
        assert!(memory.pieces().iter().map(overlap).sum::<u64>() < 32 << 20);
    }
}
