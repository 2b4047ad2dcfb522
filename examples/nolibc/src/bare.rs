//! What a libc and its start files would bring: the start, the end, output, and five routines on memory.
//!
//! # Safety
//!
//! The system calls are `write` and `exit_group`, which change no memory of ours.

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::panic::PanicInfo;

// The kernel jumps to `_start` with a stack aligned to 16, and nothing to return to.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "call {start}",
    "ud2",
    start = sym start,
);

extern "C" fn start() -> ! {
    exit(crate::main())
}

// The compiler calls these five by name. String instructions cannot be mistaken for loops and turned into
// calls of themselves. The direction flag is clear, as the ABI has it.
global_asm!(
    ".globl memcpy, memmove, memset, memcmp, bcmp",
    "memmove:",
    "mov rax, rdi",
    "sub rax, rsi",
    // Forwards, unless the target begins within the source.
    "cmp rax, rdx",
    "jae memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memcmp:",
    "bcmp:",
    "xor eax, eax",
    "mov rcx, rdx",
    // Equal from the start where there is nothing to compare: `repe` leaves the flags alone then.
    "cmp eax, eax",
    "repe cmpsb",
    "je 2f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub eax, ecx",
    "2:",
    "ret",
);

// `alloc` comes compiled for programs that unwind. This one aborts, so nobody gets here.
global_asm!(
    ".globl rust_eh_personality, _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "ud2",
);

/// Standard output or standard error, written to line by line.
pub struct Output {
    descriptor: u32,
    line: [u8; 120],
    used: usize,
}

impl Output {
    pub const fn standard() -> Self {
        Self::to(1)
    }

    const fn to(descriptor: u32) -> Self {
        Self {
            descriptor,
            line: [0; 120],
            used: 0,
        }
    }

    fn push(&mut self, byte: u8) -> fmt::Result {
        if let Some(place) = self.line.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
        if byte == b'\n' || self.used == self.line.len() {
            let line = self.line.get(..self.used).unwrap_or_default();
            self.used = 0;
            return write(self.descriptor, line);
        }
        Ok(())
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.push(byte))
    }
}

fn write(descriptor: u32, mut bytes: &[u8]) -> fmt::Result {
    const WRITE: isize = 1;
    while !bytes.is_empty() {
        let mut answer = WRITE;
        // SAFETY: the kernel reads the bytes, and changes rax, rcx and r11 only.
        unsafe {
            asm!("syscall", inlateout("rax") answer, in("edi") descriptor, in("rsi") bytes.as_ptr(),
                 in("rdx") bytes.len(), lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        let written = usize::try_from(answer).map_err(|_| fmt::Error)?;
        bytes = bytes.get(written..).ok_or(fmt::Error)?;
    }
    Ok(())
}

fn exit(status: u8) -> ! {
    const EXIT_GROUP: u32 = 231;
    // SAFETY: the program ends here.
    unsafe {
        asm!("syscall", in("eax") EXIT_GROUP, in("edi") u32::from(status), options(noreturn, nostack));
    }
}

/// Ends the program with a line on standard error.
pub fn die(why: &dyn fmt::Display) -> ! {
    // If even that cannot be written, the status must do.
    let _ = writeln!(Output::to(2), "nolibc: {why}");
    exit(101)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(&info.message())
}
