//! A variable that each thread has for itself.
//!
//! Stable Rust has thread-locals only in std, so this one is made by the assembler: a variable of the thread-local
//! section, of which the linker and whoever starts threads give each thread its own, as the System V ABI for
//! x86-64 has it (Drepper, "ELF Handling For Thread-Local Storage", initial-exec model).
//!
//! # Safety
//!
//! The address of the variable is asked for only where the thread is known to have such memory.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::mem::offset_of;

use crate::global::local::Local;
use crate::global::stock::Stock;
use crate::sharing::thread;

/// Lends the variable its name, to which `_own` is added: the compiler gives each copy of this crate another. A program
/// may have several, of different versions.
static NAME: u8 = 0;

global_asm!(
    ".pushsection .tbss.{name}_own, \"awT\", @nobits",
    ".globl {name}_own",
    ".hidden {name}_own",
    ".type {name}_own, @object",
    ".size {name}_own, 64",
    ".balign 64",
    "{name}_own:",
    ".zero 64",
    ".popsection",
    name = sym NAME,
);

/// The calling thread's own, by how far it lies from where the thread's memory is said to be.
///
/// What each request does there is one instruction, or two, by the segment of that memory. Good for as long as the
/// thread lives, and in that thread: nobody keeps it.
#[derive(Clone, Copy, Debug)]
pub(in crate::global) struct Own(usize);

/// The calling thread's own, if it is known that threads have such a thing.
#[inline(always)]
pub(in crate::global) fn own() -> Option<Own> {
    if !thread::has_memory() {
        return None;
    }
    let offset: usize;
    // SAFETY: it only loads the offset of the place that the linker gave the variable in a thread's memory.
    unsafe {
        asm!("mov {0}, qword ptr [rip + {name}_own@GOTTPOFF]",
             out(reg) offset, name = sym NAME, options(pure, readonly, nostack, preserves_flags));
    }
    Some(Own(offset))
}

impl Own {
    #[inline(always)]
    pub(in crate::global) fn local<'a>(self) -> &'a Local {
        let at: *const Local;
        // SAFETY: the thread has thread-local memory, which starts with its own address.
        unsafe {
            asm!("add {0}, qword ptr fs:[0]",
                 inlateout(reg) self.0 => at, options(pure, readonly, nostack));
        }
        // SAFETY: zeroed before the thread began, and only seen as this type.
        unsafe { &*at }
    }

    /// As [`Local::begin`].
    #[inline(always)]
    pub(in crate::global) fn begin(self) -> bool {
        // SAFETY: the thread has thread-local memory, and this is its flag. Nothing is moved over it by the compiler:
        // it may change any memory.
        unsafe {
            asm!("cmp byte ptr fs:[{own} + {busy}], 0",
                 "jne {is_busy}",
                 "mov byte ptr fs:[{own} + {busy}], 1",
                 own = in(reg) self.0, busy = const offset_of!(Local, busy),
                 is_busy = label { return false }, options(nostack));
        }
        true
    }

    /// As [`Local::end`].
    #[inline(always)]
    pub(in crate::global) fn end(self) {
        // SAFETY: as for `begin`.
        unsafe {
            asm!("mov byte ptr fs:[{own} + {busy}], 0",
                 own = in(reg) self.0, busy = const offset_of!(Local, busy),
                 options(nostack, preserves_flags));
        }
    }

    /// The stock at hand, or null; in an operation.
    #[inline(always)]
    pub(in crate::global) fn stock(self) -> *const Stock {
        let stock;
        // SAFETY: the thread has thread-local memory, and this is its link.
        unsafe {
            asm!("mov {stock}, qword ptr fs:[{own} + {link}]",
                 stock = out(reg) stock, own = in(reg) self.0, link = const offset_of!(Local, stock),
                 options(readonly, nostack, preserves_flags));
        }
        stock
    }
}
