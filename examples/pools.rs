//! What a release does, seen on the program break itself.
//!
//! Two pools take three blocks; one pool is released, then the last block is freed, then all three
//! requests are made again. After each step: a drawing of the heap, and who holds how much of it.
//!
//! ```text
//! cargo run --example pools
//! ```

use core::alloc::{Layout, LayoutError};
use core::error::Error;
use core::ptr::NonNull;
use std::fs;

use tagheap::{Break, Heap, Reserve, Source, Tag};

const POOL_1: Tag = Tag::new(1);
const POOL_2: Tag = Tag::new(2);

fn main() -> Result<(), Box<dyn Error>> {
    // The program break has one owner, and glibc thinks that it is glibc. Early in `main`, while no other
    // thread runs, the break can be taken over; glibc's `malloc` maps its memory elsewhere from then on.
    match Break::take_over() {
        Ok(program_break) => play(Heap::new(program_break)?),
        Err(refusal) => {
            println!("{refusal}: this heap lies in a reservation, not at the break.");
            play(Heap::new(Reserve::new()?)?)
        }
    }
}

fn play<S: Source>(mut heap: Heap<S>) -> Result<(), Box<dyn Error>> {
    println!("The heap begins at {:#x}. Its line in", heap.base());
    println!("/proc/self/maps: {}", mapping_at(heap.base())?);

    show(&heap, "A new heap is one block, its own.");

    let first = heap.allocate(POOL_1, bytes(400)?)?.cast();
    show(&heap, "Pool 1 takes 400 bytes: 432 with their header.");

    let second = heap.allocate(POOL_2, bytes(32)?)?.cast();
    let third = heap.allocate(POOL_2, bytes(80)?)?.cast();
    show(&heap, "Pool 2 takes 32 bytes, and 80.");

    // SAFETY: nobody uses memory of pool 2 from here on; its addresses are only printed.
    unsafe { heap.release(POOL_2)? };
    show(&heap, "Pool 2 is released, all of it in one call.");
    print_addresses("Allocations:", [first, second, third]);

    // SAFETY: the block was allocated with this layout, and nobody uses it from here on.
    unsafe { heap.deallocate(first, bytes(400)?)? };
    show(&heap, "The block of pool 1 is freed.");
    print_addresses("Allocations:", [first, second, third]);

    let first_again = heap.allocate(POOL_1, bytes(400)?)?.cast();
    let second_again = heap.allocate(POOL_2, bytes(32)?)?.cast();
    let third_again = heap.allocate(POOL_2, bytes(80)?)?.cast();
    show(&heap, "The same requests find the same memory.");
    print_addresses("Once more:", [first_again, second_again, third_again]);

    heap.check()?;
    Ok(())
}

fn bytes(size: usize) -> Result<Layout, LayoutError> {
    Layout::array::<u8>(size)
}

fn show<S: Source>(heap: &Heap<S>, caption: &str) {
    println!("\n{caption}\n");
    println!("{}\n", heap.drawing());
    println!("{}", heap.table());
}

fn print_addresses(caption: &str, addresses: [NonNull<u8>; 3]) {
    let [first, second, third] = addresses;
    println!("\n{caption:<12} {first:p}, {second:p}, {third:p}");
}

/// The kernel's own word for what lies at an address: the break's memory is called `[heap]`.
fn mapping_at(address: usize) -> Result<String, Box<dyn Error>> {
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let (start, rest) = line.split_once('-').ok_or("a range")?;
        let (end, _) = rest.split_once(' ').ok_or("the end of a range")?;
        let range = usize::from_str_radix(start, 16)?..usize::from_str_radix(end, 16)?;
        if range.contains(&address) {
            return Ok(line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    Err("no mapping at the heap's base".into())
}
