//! A filter in the kernel that lets a program make some system calls only, and a limit to its memory.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What becomes of a system call that is not allowed.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// It kills the process.
    Kill,
    /// It fails with this error.
    Errno(i32),
}

pub(crate) trait Filtered {
    /// The same command, whose program can make the `allowed` system calls only.
    fn filtered(self, allowed: &[libc::c_long], otherwise: Answer) -> Self;

    /// The same command, whose program has so many bytes of address space at most.
    #[allow(
        dead_code,
        reason = "another crate's tests include this file, and bound nothing"
    )]
    fn bounded(self, bytes: u64) -> Self;
}

impl Filtered for Command {
    fn filtered(mut self, allowed: &[libc::c_long], otherwise: Answer) -> Self {
        let mut filter = filter(allowed, otherwise);
        // SAFETY: between fork and exec, the closure makes two system calls and allocates nothing.
        unsafe { self.pre_exec(move || install(&mut filter)) };
        self
    }

    fn bounded(mut self, bytes: u64) -> Self {
        let limit = move || {
            let limit = libc::rlimit {
                rlim_cur: bytes,
                rlim_max: bytes,
            };
            // SAFETY: the kernel reads the two numbers.
            match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: between fork and exec, the closure makes one system call and allocates nothing.
        unsafe { self.pre_exec(limit) };
        self
    }
}

/// The filter as a program for the kernel: load the call's number, return at the first that is equal.
fn filter(allowed: &[libc::c_long], otherwise: Answer) -> Vec<libc::sock_filter> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jf| libc::sock_filter { code, jt: 0, jf, k };
    let number = 0; // Offset of the number in what the kernel shows the filter.
    let mut steps = vec![step(load, number, 0)];
    for call in allowed {
        let call = u32::try_from(*call).expect("a system call");
        steps.push(step(equal, call, 1));
        steps.push(step(give, libc::SECCOMP_RET_ALLOW, 0));
    }
    let last = match otherwise {
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        Answer::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
    };
    steps.push(step(give, last, 0));
    steps
}

fn install(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: plain numbers; without this, only root may install a filter.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its steps outlive the call, which copies them.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
