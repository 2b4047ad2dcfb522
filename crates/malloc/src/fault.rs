//! A fault of the library's own ends the program. None is known.

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    heap::fatal(&info.message())
}
