//! Entries: what a program calls by name. Each hands its arguments on, and the address it was called from.

/// Functions of these names that go on to another, which gets the address that the call comes from behind the arguments,
/// in the register for it.
macro_rules! entries {
    ($($(#[$about:meta])* $name:ident($($argument:ident: $type:ty),*) -> $answer:ty, $caller:literal => $to:path;)*) => {
        $(
            $(#[$about])*
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, reason = "the name in C++ of some")]
            unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
                core::arch::naked_asm!(
                    concat!("mov ", $caller, ", qword ptr [rsp]"),
                    "jmp {to}",
                    to = sym $to,
                )
            }
        )*
    };
}

/// As [`keeping_arguments`], of an entry that has one.
macro_rules! keeping_argument {
    ($($instruction:literal)*) => {
        concat!(
            "push rdi\n.cfi_adjust_cfa_offset 8\n",
            $($instruction, "\n",)*
            "pop rdi\n.cfi_adjust_cfa_offset -8\n",
        )
    };
}

/// Instructions in the middle of an entry, behind which the arguments are in their registers again. The stack is aligned for
/// a call, and whoever walks it finds his way.
macro_rules! keeping_arguments {
    ($($instruction:literal)*) => {
        concat!(
            "push rdi\n.cfi_adjust_cfa_offset 8\n",
            "push rsi\n.cfi_adjust_cfa_offset 8\n",
            "push rdx\n.cfi_adjust_cfa_offset 8\n",
            $($instruction, "\n",)*
            "pop rdx\n.cfi_adjust_cfa_offset -8\n",
            "pop rsi\n.cfi_adjust_cfa_offset -8\n",
            "pop rdi\n.cfi_adjust_cfa_offset -8\n",
        )
    };
}

/// Instructions at the end of an entry: the next function of a name goes on ([`next`](crate::next::next)).
macro_rules! goes_on_to_next {
    ($name:expr) => {
        concat!(
            "mov rax, qword ptr [rip + 4f]\ntest rax, rax\njnz 5f\n",
            $crate::entry::keeping_arguments!(
                "lea rdi, [rip + 3f]"
                "mov rsi, qword ptr [rsp + 24]"
                "lea rdx, [rip + 4f]"
                "call {next}"
            ),
            "5: jmp rax\n",
            ".pushsection .rodata\n3: .asciz \"", $name, "\"\n.popsection\n",
            ".pushsection .bss\n.balign 8\n4: .quad 0\n.popsection",
        )
    };
}

pub(crate) use {entries, goes_on_to_next, keeping_argument, keeping_arguments};
