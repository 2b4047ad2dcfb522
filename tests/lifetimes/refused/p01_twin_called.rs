use tagheap::twin::{Routine, call, kernel_break};

unsafe extern "C" fn somebodys(at: usize, _: usize, _: usize) -> usize {
    // SAFETY: whoever calls it has such an address.
    unsafe { *core::ptr::with_exposed_provenance(at) }
}

fn main() {
    let read = call(somebodys as Routine, [8, 0, 0]); //~ E0133
    kernel_break(read); //~ E0133
}
