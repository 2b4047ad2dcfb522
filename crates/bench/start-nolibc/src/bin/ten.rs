//! Allocates ten blocks, writes to each, and ends.
#![no_std]
#![no_main]

use core::alloc::Layout;
use core::mem::ManuallyDrop;

use start_nolibc::exit;
use tagheap::{Break, Error, Heap, Tag};

const SIZES: [usize; 10] = [16, 40, 100, 24, 512, 64, 1000, 200, 4096, 48];

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    exit(ten().is_err().into())
}

fn ten() -> Result<(), Error> {
    // SAFETY: without libc, nobody else moves the program break.
    let source = unsafe { Break::new() };
    // The end of the program takes the heap with it, as it does in the C programs.
    let mut heap = ManuallyDrop::new(Heap::new(source)?);
    for size in SIZES {
        let layout = Layout::from_size_align(size, 16).unwrap_or(Layout::new::<u64>());
        let block = heap.allocate(Tag::new(1), layout)?;
        // SAFETY: a block of `size` bytes, just allocated.
        unsafe { block.cast::<u8>().write_volatile(1) };
    }
    Ok(())
}
