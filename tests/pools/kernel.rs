//! Pools in a buffer make no system call: they run where the kernel ends whoever makes one.

use core::alloc::Layout;

use tagheap::{
    Buddy, Buffer, Bump, Classes, Error, Fixed, FreeList, Heap, Kind, LocalHeap, LockFree, Pool,
    Priority, Reserve, Share, SharedHeap, SizeClasses, Stack, Tag, Typed, WhenFull,
};

/// Each kind made, used, and dropped; no memory of the process but this.
fn use_every_kind(bytes: &mut [u8]) -> Result<(), Error> {
    let heap = LocalHeap::new(Heap::new(Buffer::new(bytes))?);
    let pool = |number| Pool::new(&heap, Tag::new(number));
    try_out(&mut pool(1))?;
    try_out(&mut Bump::new(pool(2)))?;
    try_out(&mut SizeClasses::new(pool(10)))?;
    try_out(&mut Stack::small(pool(3))?)?;
    try_out(&mut FreeList::small(pool(4))?)?;
    try_out(&mut Fixed::growing(pool(5), Layout::new::<[u64; 4]>(), 8)?)?;
    try_out(&mut Classes::new(
        pool(6),
        [(16, 8), (64, 8)],
        WhenFull::Borrow,
    )?)?;
    try_out(&mut Buddy::new(pool(7), 2048, 16)?)?;
    try_out(&mut Priority::new(pool(8), WhenFull::Borrow)?)?;
    try_out(&mut LockFree::new(pool(9), Layout::new::<[u64; 4]>(), 16)?)
}

fn try_out(kind: &mut impl Kind) -> Result<(), Error> {
    let number = kind.own(7_u64)?;
    let word = kind.own_str("ciao")?;
    drop((word, number));
    kind.alloc([1_u64; 2])?;
    kind.check()?;
    kind.usage()?;
    kind.reset()
}

/// Has the kernel end this process at any system call but its exit.
fn confine() -> bool {
    let only_exit = [
        // The call's number,
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        // if it is the exit's, goes on to what allows it, else skips that.
        filter(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_exit as u32,
            1,
        ),
        filter(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        filter(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_KILL_PROCESS,
            0,
        ),
    ];
    let program = libc::sock_fprog {
        len: only_exit.len() as u16,
        filter: only_exit.as_ptr().cast_mut(),
    };
    // SAFETY: gives up privileges that this process does not use.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: confines this process, which has one thread; the kernel copies the program.
    let confined = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    given_up == 0 && confined == 0
}

/// An instruction of the filter: its code, its operand, and how many to skip where a comparison fails.
fn filter(code: u32, operand: u32, skip: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: skip,
        k: operand,
    }
}

/// Runs the work in a child that may only exit, and answers how it ended.
fn confined(work: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child only runs the work, which allocates nothing, and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = if confine() { i32::from(!work()) } else { 77 };
        // SAFETY: ends the process; `exit_group` is not allowed, `exit` is.
        unsafe { libc::syscall(libc::SYS_exit, status) };
    }
    let mut status = 0;
    // SAFETY: waits for the child and writes its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

#[test]
fn every_kind_works_without_a_system_call() {
    // What tells threads apart asks the kernel once in a process's life: locks do, as in a `LockFree`'s check.
    let heap = SharedHeap::<Reserve>::new(Heap::new(Reserve::new().unwrap()).unwrap());
    heap.look(|heap| heap.check()).unwrap().unwrap();
    let mut bytes = vec![0_u8; 48 * 1024];
    let status = confined(|| use_every_kind(&mut bytes).is_ok());
    assert!(
        libc::WIFEXITED(status),
        "ended by signal {}",
        libc::WTERMSIG(status)
    );
    assert_eq!(libc::WEXITSTATUS(status), 0);
}

#[test]
fn a_system_call_would_be_noticed() {
    // SAFETY: asks for the process's number.
    let status = confined(|| unsafe { libc::syscall(libc::SYS_getpid) } > 0);
    assert!(libc::WIFSIGNALED(status), "the filter works");
}
