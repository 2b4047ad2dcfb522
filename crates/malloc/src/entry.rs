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

pub(crate) use entries;
