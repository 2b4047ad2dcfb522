//! What the environment asks for: by `TAGHEAP_REPORT`, the table of what is held, when the program ends; by
//! `TAGHEAP_PURGE`, that the kernel gets what nobody uses.
//!
//! # Safety
//!
//! The functions of the C library are called as POSIX has them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_int};
use core::fmt::Write;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;

use crate::global::{idle, numbers, refusal};
use crate::ground::fatal::Lines;

/// Bytes of the longest path, with the zero behind it.
const PATH: usize = libc::PATH_MAX as usize;

/// The file that the table goes to, with a zero behind it. Programs write over their environment.
static FILE: [AtomicU8; PATH] = [const { AtomicU8::new(0) }; PATH];

/// The heap was made: looks at what is asked for.
pub(super) fn prepare() {
    if let Some(asked) = asked_for(c"TAGHEAP_PURGE") {
        prepare_purge(asked);
    }
    if let Some(asked) = asked_for(c"TAGHEAP_REPORT") {
        prepare_report(asked.to_bytes());
    }
}

/// What is in the environment under a name.
fn asked_for<'a>(name: &CStr) -> Option<&'a CStr> {
    // SAFETY: as POSIX has it.
    let asked = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: null, or a string of the environment's, looked at before anybody can have changed it.
    (!asked.is_null()).then(|| unsafe { CStr::from_ptr(asked) })
}

/// So many seconds after much was given back, the kernel gets what nobody uses.
fn prepare_purge(asked: &CStr) {
    let seconds = asked.to_str().ok().and_then(|asked| asked.parse().ok());
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(wait) => idle::set_wait(Some(wait)),
        None if asked.is_empty() => {}
        None => {
            let _ = Lines::new().write_str("tagheap: TAGHEAP_PURGE is no number of seconds\n");
        }
    }
}

/// Refusals are printed, too.
fn prepare_report(asked: &[u8]) {
    // A program with more rights than whoever started it writes no file for him.
    // SAFETY: as the manual has it.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    let is_file = asked.contains(&b'/');
    match asked {
        b"" | b"0" => return,
        b"1" => {}
        path if is_file => note(path),
        _ => {
            let complaint = "tagheap: TAGHEAP_REPORT is 1, or a path with a slash in it\n";
            let _ = Lines::new().write_str(complaint);
            return;
        }
    }
    let print = if is_file { write_to_file } else { print };
    // SAFETY: as POSIX has it. Where it is refused there is no report.
    unsafe { libc::atexit(print) };
    refusal::print();
}

/// Notes the file, from here: programs go to other folders.
fn note(path: &[u8]) {
    let mut here = [0; PATH];
    // SAFETY: as POSIX has it: no more bytes than there are.
    let is_known = unsafe { !libc::getcwd(here.as_mut_ptr().cast(), PATH).is_null() };
    let folder = match CStr::from_bytes_until_nul(&here) {
        Ok(here) if is_known && !path.starts_with(b"/") => here.to_bytes(),
        _ => b"",
    };
    let between = if folder.is_empty() { &b""[..] } else { b"/" };
    let all = folder.iter().chain(between).chain(path);
    for (place, byte) in FILE.iter().zip(all) {
        place.store(*byte, Ordering::Relaxed);
    }
}

extern "C" fn print() {
    numbers::print_report();
}

/// Writes the table behind what is in the file already, each process's in one piece, under a line that names the program.
extern "C" fn write_to_file() {
    let mut path = [0; PATH];
    for (byte, place) in path.iter_mut().zip(&FILE) {
        *byte = place.load(Ordering::Relaxed);
    }
    let Ok(path) = CStr::from_bytes_until_nul(&path) else {
        return complain(c"a path of 4096 bytes or more");
    };
    let how = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC | libc::O_NOCTTY;
    // Nobody waits for somebody who reads a pipe.
    // SAFETY: as POSIX has it.
    let file = unsafe { libc::open(path.as_ptr(), how | libc::O_NONBLOCK, 0o666) };
    if file < 0 {
        return complain(path);
    }
    // But for one who does, to read on.
    // SAFETY: as POSIX has it.
    unsafe { libc::fcntl(file, libc::F_SETFL, libc::O_APPEND) };
    // SAFETY: as the kernel's manual has it. Where it is refused, lines of several processes may come between one another.
    unsafe { libc::flock(file, libc::LOCK_EX) };
    write_table(file);
    // A child that another thread has just made may have the file, too, and the lock with it.
    // SAFETY: as the kernel's manual has it.
    unsafe { libc::flock(file, libc::LOCK_UN) };
    // SAFETY: opened above.
    unsafe { libc::close(file) };
}

fn write_table(file: c_int) {
    let mut program = [0; 256];
    // SAFETY: as POSIX has it: no more bytes than there are.
    let length = unsafe {
        libc::readlink(
            c"/proc/self/exe".as_ptr(),
            program.as_mut_ptr().cast(),
            program.len(),
        )
    };
    let program = usize::try_from(length)
        .ok()
        .and_then(|length| program.get(..length));
    // SAFETY: as POSIX has it.
    let process = unsafe { libc::getpid() };
    let mut lines = Lines::to(file);
    let _ = lines.write_str("tagheap: ");
    write_lossily(&mut lines, program.unwrap_or_default());
    let _ = write!(lines, " (process {process}): ");
    numbers::report(&mut lines);
}

fn complain(path: &CStr) {
    let mut lines = Lines::new();
    let _ = lines.write_str("tagheap: no report, for this cannot be written: ");
    write_lossily(&mut lines, path.to_bytes());
    let _ = lines.write_str("\n");
}

/// Writes a path without what is no text.
fn write_lossily(lines: &mut Lines, path: &[u8]) {
    for chunk in path.utf8_chunks() {
        let _ = lines.write_str(chunk.valid());
    }
}
