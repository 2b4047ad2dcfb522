//! Counting a program's system calls and page faults, with ptrace.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;

use libc::{c_int, c_long, pid_t};

/// What a program did between its start and its end.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) memory_calls: usize,
    /// The memory calls' names, in order.
    pub(crate) memory: Vec<&'static str>,
    /// Page faults from the first instruction on, those of the kernel setting it up not counted.
    pub(crate) faults: usize,
}

/// Runs the program under ptrace; `None` where that is forbidden.
pub(crate) fn count(path: &Path) -> Option<Counts> {
    let mut command = Command::new(path);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // SAFETY: a single system call, which allocates nothing.
    unsafe { command.pre_exec(|| request(libc::PTRACE_TRACEME, 0, 0)) };
    let child = command.spawn().ok()?;
    let process = child.id() as pid_t;
    // The stop at the first instruction.
    if !libc::WIFSTOPPED(wait(process)?) {
        return None;
    }
    let counts = follow(process);
    if counts.is_none() {
        // SAFETY: our own child, which was not waited for.
        unsafe { libc::kill(process, libc::SIGKILL) };
        wait(process);
    }
    counts
}

fn follow(process: pid_t) -> Option<Counts> {
    let before = faults(process)?;
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXIT;
    request(libc::PTRACE_SETOPTIONS, process, options.into()).ok()?;
    let mut counts = Counts::default();
    let mut entering = true;
    loop {
        request(libc::PTRACE_SYSCALL, process, 0).ok()?;
        let status = wait(process)?;
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            return Some(counts);
        }
        match status >> 8 {
            stop if stop == libc::SIGTRAP | 0x80 => {
                if entering {
                    counts.add(called(process)?);
                }
                entering = !entering;
            }
            stop if stop == libc::SIGTRAP | (libc::PTRACE_EVENT_EXIT << 8) => {
                counts.faults = faults(process)?.saturating_sub(before);
            }
            _ => return None,
        }
    }
}

impl Counts {
    fn add(&mut self, call: c_long) {
        self.calls += 1;
        let name = match call {
            libc::SYS_brk => "brk",
            libc::SYS_mmap => "mmap",
            libc::SYS_munmap => "munmap",
            libc::SYS_mremap => "mremap",
            libc::SYS_mprotect => "mprotect",
            libc::SYS_madvise => "madvise",
            _ => return,
        };
        self.memory_calls += 1;
        self.memory.push(name);
    }
}

/// The number of the system call that the stopped process is about to make.
fn called(process: pid_t) -> Option<c_long> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::zeroed();
    let place = registers.as_mut_ptr().expose_provenance();
    request(libc::PTRACE_GETREGS, process, place as c_long).ok()?;
    // SAFETY: zeroed before, and filled by the call.
    let registers = unsafe { registers.assume_init() };
    c_long::try_from(registers.orig_rax).ok()
}

/// Page faults served without reading from disk so far: the tenth field of the process's `stat`.
fn faults(process: pid_t) -> Option<usize> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in parentheses.
    let (_, rest) = line.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(7)?.parse().ok()
}

fn request(what: libc::c_uint, process: pid_t, data: c_long) -> io::Result<()> {
    // SAFETY: the requests made here change this process or its stopped child; what GETREGS writes to is
    // as large as it needs.
    match unsafe { libc::ptrace(what, process, ptr::null_mut::<u8>(), data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn wait(process: pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: the place is writable.
    let waited = unsafe { libc::waitpid(process, &raw mut status, 0) };
    (waited == process).then_some(status)
}
