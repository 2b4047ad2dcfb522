//! Running a program: the time from spawn to exit, its page faults, and how much of it was resident at most.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

/// A program, what it is told, and its environment; it shares this program's streams.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// What a program took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    /// From spawn to exit.
    pub(crate) time: Duration,
    /// Page faults served without reading from disk.
    pub(crate) faults: i64,
    /// Most bytes resident at once; at least what this program had resident, which a new process starts as.
    pub(crate) resident: u64,
}

impl Launch {
    /// Of a program without arguments and with an empty environment.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let path = text(path.as_os_str())?;
        Ok(Self {
            arguments: vec![path.clone()],
            environment: Vec::new(),
            path,
        })
    }

    /// With one more argument.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> io::Result<Self> {
        self.arguments.push(text(argument.as_ref())?);
        Ok(self)
    }

    /// With one more variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> io::Result<Self> {
        let mut variable = name.as_bytes().to_vec();
        variable.push(b'=');
        variable.extend_from_slice(value.as_ref().as_bytes());
        self.environment.push(CString::new(variable)?);
        Ok(self)
    }

    /// Runs the program to its end, which must be a good one.
    pub(crate) fn run(&self) -> io::Result<Ran> {
        let arguments = pointers(&self.arguments);
        let environment = pointers(&self.environment);
        let mut child = 0;
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();

        let start = Instant::now();
        // SAFETY: the path and the two lists end in zeros, and outlive the call.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut child,
                self.path.as_ptr(),
                ptr::null(),
                ptr::null(),
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        };
        if error != 0 {
            let error = io::Error::from_raw_os_error(error);
            return Err(io::Error::other(format!("{:?}: {error}", self.path)));
        }
        // SAFETY: the child was spawned above; both places are writable.
        let waited = unsafe { libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr()) };
        let time = start.elapsed();

        if waited != child || !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
            return Err(io::Error::other(format!(
                "{:?} ended with status {status:#x}",
                self.path
            )));
        }
        // SAFETY: zeroed before, and filled by the call.
        let usage = unsafe { usage.assume_init() };
        Ok(Ran {
            time,
            faults: usage.ru_minflt,
            resident: usage.ru_maxrss.unsigned_abs() * 1024,
        })
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

/// A list as the kernel takes it: it ends in a null pointer.
fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    let pointers = texts.iter().map(|text| text.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}
