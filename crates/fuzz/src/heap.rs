//! A heap over each source, rule and placement: every answer, address and number is known beforehand.
//!
//! The model is told where memory starts, how much of it was granted, and nothing else. Headers are damaged, too, and then
//! a heap that answers an error has changed nothing; one in which anything may have been written only has to live on.

mod changes;
mod damage;
mod junk;
mod misuse;
mod model;
mod moves;
mod numbers;
mod release;
mod requests;
mod resize;
mod rig;

use tagheap::{Directory, Heap, Key, Placement, Reserve, Rule, Scan, Source, Split, Whole};
use tagheap_trace::Ground;

use self::rig::Rig;
use crate::input::Input;
use crate::sources::{self, Bank, Growth};

/// Bytes below a heap, but for a reservation's.
const ROOM: usize = 3 << 20;

/// Runs a program on a heap.
///
/// # Panics
///
/// If the heap does not do what the model says.
pub fn heap(data: &[u8]) {
    let mut input = Input::new(data);
    let input = &mut input;
    let (source, policy) = (input.byte(), input.byte());
    sources::refuse(false);
    let ground = Ground::new(ROOM);
    match source % 5 {
        0 => under(
            sources::buffer(&ground, input),
            Growth::Never,
            policy,
            input,
        ),
        1 => {
            let bytes = 1 << (12 + input.byte() % 19);
            let Ok(reserve) = Reserve::with_capacity(bytes) else {
                return;
            };
            let end = reserve.base().addr().get() + bytes;
            under(reserve, Growth::Pages { end }, policy, input);
        }
        2 => {
            let source = sources::program_break(&ground, input);
            under(source, Growth::Break, policy, input);
        }
        _ => under(Bank::new(&ground, input), Growth::Bank, policy, input),
    }
}

fn under<S: Source>(source: S, growth: Growth, policy: u8, input: &mut Input) {
    match policy % 4 {
        0 => run(source, Split, Directory::new(), growth, input),
        1 => run(source, Split, Scan, growth, input),
        2 => run(source, Whole, Directory::new(), growth, input),
        _ => run(source, Whole, Scan, growth, input),
    }
}

fn run<S: Source, R: Rule, P: Placement>(
    source: S,
    rule: R,
    placement: P,
    growth: Growth,
    input: &mut Input,
) {
    let maps = source.may_map() && growth != Growth::Never;
    match Heap::with(source, rule, placement, Key::from_seed(7)) {
        Ok(heap) => Rig::new(heap, growth, maps).run(input),
        Err(error) => rig::assert_out_of_memory(error),
    }
}
