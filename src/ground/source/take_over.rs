//! Taking the program break over from glibc.
//!
//! glibc remembers the break in its variable `__curbrk` and computes each move from there. Stored into
//! it, the last page-aligned address of the address space makes every later growth overflow: glibc's
//! `sbrk` fails with ENOMEM for good, and its `malloc` maps its memory elsewhere from then on, as it does
//! wherever the break is blocked. What it has taken so far stays its own, below our base.
//!
//! # Safety
//!
//! One store to a variable of glibc's while no other thread runs that could read it.
#![allow(unsafe_code)]

use core::fmt;

use crate::ground::source::program_break::Break;

/// Why the break was not taken over. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOverError {
    /// The program does not run on glibc.
    NotGlibc,
    /// Other threads run already: one of them may be inside `malloc`.
    Threads {
        /// How many threads the process has.
        count: usize,
    },
    /// `/proc/self/stat` cannot be read, so other threads cannot be ruled out.
    ThreadsUnknown,
    /// The break was taken over before.
    Taken,
    /// Somebody besides glibc has moved the break.
    Shared,
}

impl fmt::Display for TakeOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot take the program break over: ")?;
        match self {
            Self::NotGlibc => f.write_str("the program does not run on glibc"),
            Self::Threads { count } => {
                write!(f, "{count} threads run already, take it over earlier")
            }
            Self::ThreadsUnknown => {
                f.write_str("/proc/self/stat does not tell how many threads run")
            }
            Self::Taken => f.write_str("it was taken over before"),
            Self::Shared => f.write_str("somebody besides glibc has moved it"),
        }
    }
}

impl core::error::Error for TakeOverError {}

impl Break {
    /// Takes the program break over from glibc, once and for good: afterwards glibc's `malloc` uses
    /// mappings, and the break belongs to the returned value.
    ///
    /// Call it early in `main`, before any thread is started. Whoever moves the break by calls of their own
    /// afterwards (`sbrk` by less than a page, or the system call) breaks the contract of
    /// [`Break::new`] just as before.
    ///
    /// # Errors
    ///
    /// A [`TakeOverError`] where it cannot work: not on glibc, with other threads running, a second time, or
    /// when the break is not where glibc thinks it is.
    #[cfg(target_env = "gnu")]
    pub fn take_over() -> Result<Self, TakeOverError> {
        unsafe extern "C" {
            static mut __curbrk: *mut libc::c_void;
        }

        /// From here every growth by a page or more wraps, which glibc refuses.
        const NO_GROWTH: usize = 4096_usize.wrapping_neg();

        match threads() {
            None => return Err(TakeOverError::ThreadsUnknown),
            Some(1) => {}
            Some(count) => return Err(TakeOverError::Threads { count }),
        }
        let word = (&raw mut __curbrk).cast::<usize>();
        // SAFETY: `__curbrk` is an aligned pointer that glibc exports; no other thread runs.
        let remembered = unsafe { word.read() };
        if remembered == NO_GROWTH {
            return Err(TakeOverError::Taken);
        }
        // SAFETY: an address of 0 only asks.
        if remembered != 0 && remembered != unsafe { crate::ground::sys::brk(0) } {
            return Err(TakeOverError::Shared);
        }
        // SAFETY: as above; the value is one that glibc only does arithmetic with.
        unsafe { word.write(NO_GROWTH) };
        // SAFETY: no other thread runs, and glibc, which owned the break, moves it no more.
        Ok(unsafe { Self::new() })
    }

    /// Refuses: the break can be taken over from glibc only.
    ///
    /// # Errors
    ///
    /// Always [`TakeOverError::NotGlibc`].
    #[cfg(not(target_env = "gnu"))]
    pub fn take_over() -> Result<Self, TakeOverError> {
        Err(TakeOverError::NotGlibc)
    }
}

/// How many threads the process has, by the twentieth field of `/proc/self/stat`.
#[cfg(target_env = "gnu")]
fn threads() -> Option<usize> {
    let mut bytes = [0; 1024];
    let line = read(c"/proc/self/stat", &mut bytes)?;
    // The second field is the program's name in parentheses, and may hold blanks and parentheses.
    let behind_name = line.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = str::from_utf8(line.get(behind_name..)?).ok()?;
    rest.split_ascii_whitespace().nth(17)?.parse().ok()
}

#[cfg(target_env = "gnu")]
fn read<'a>(path: &core::ffi::CStr, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: the path ends in a zero byte.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return None;
    }
    // SAFETY: the buffer is as long as said.
    let length = unsafe { libc::read(file, bytes.as_mut_ptr().cast(), bytes.len()) };
    // SAFETY: the file was opened above and is used no more.
    unsafe { libc::close(file) };
    bytes.get(..usize::try_from(length).ok()?)
}
