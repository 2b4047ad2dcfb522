//! Forks of programs with threads: the C library takes the lock on its list of files first, and only then those of its
//! `malloc`, for whoever has a file may ask for memory (`getline`), and whoever has the list may wait for a file
//! (`fflush`). So the list is locked here, too, before the heap is.
//!
//! # Safety
//!
//! The functions of the C library are called in the order in which its own `fork` does.

unsafe extern "C" {
    fn _IO_list_lock();
    fn _IO_list_unlock();
    fn _IO_list_resetlock();
}

/// Asks for that, behind what the heap has asked for: who asks last is called first.
pub(crate) fn prepare() {
    // SAFETY: as POSIX has it. Where it is refused, a fork may wait for one who waits for it.
    unsafe {
        libc::pthread_atfork(
            Some(_IO_list_lock),
            Some(_IO_list_unlock),
            Some(_IO_list_resetlock),
        );
    }
}
