//! Two pools of one kind on one heap, each against a model of its own.
//!
//! What is in a piece, and the numbers, are known of every kind. Of slots, buddies, stacks and free lists it is known besides
//! who is served, and of the last two where.

mod alarm;
mod forecast;
mod junk;
mod kinds;
mod marks;
mod misuse;
mod requests;
mod rig;
mod side;
mod subject;

use tagheap::{Directory, Heap, Key, LocalHeap, SharedHeap, Whole};
use tagheap_trace::Ground;

use crate::input::Input;
use crate::sources::{self, Bank};

/// Bytes below a heap.
const ROOM: usize = 2 << 20;

/// Runs a program on two pools.
///
/// # Panics
///
/// If a pool does not do what its model says.
pub fn pools(data: &[u8]) {
    let mut input = Input::new(data);
    let input = &mut input;
    sources::refuse(false);
    let ground = Ground::new(ROOM);
    match input.byte() % 3 {
        0 => {
            if let Ok(heap) = Heap::new(sources::buffer(&ground, input)) {
                kinds::run(&LocalHeap::new(heap), input);
            }
        }
        1 => {
            if let Ok(heap) = Heap::new(Bank::new(&ground, input)) {
                let heap: SharedHeap<Bank> = SharedHeap::new(heap);
                kinds::run(&heap, input);
            }
        }
        _ => {
            let bank = Bank::new(&ground, input);
            if let Ok(heap) = Heap::with(bank, Whole, Directory::new(), Key::FIXED) {
                kinds::run(&LocalHeap::new(heap), input);
            }
        }
    }
}
