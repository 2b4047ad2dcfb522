//! Running a program: the time from spawn to exit, and its page faults.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

/// Time from spawn to exit, and page faults served without reading from disk.
pub(crate) fn run(path: &Path) -> io::Result<(Duration, i64)> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let arguments = [path.as_ptr().cast_mut(), ptr::null_mut()];
    let environment = [ptr::null_mut()];
    let mut child = 0;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();

    let start = Instant::now();
    // SAFETY: the path and the two lists end in zeros, and outlive the call.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut child,
            path.as_ptr(),
            ptr::null(),
            ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the child was spawned above; both places are writable.
    let waited = unsafe { libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr()) };
    let time = start.elapsed();

    if waited != child || !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
        return Err(io::Error::other(format!(
            "{path:?} ended with status {status:#x}"
        )));
    }
    // SAFETY: zeroed before, and filled by the call.
    let usage = unsafe { usage.assume_init() };
    Ok((time, usage.ru_minflt))
}
