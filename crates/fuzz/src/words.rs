//! Pure values: what they say against a plainer way to say it, and that they say it of anything.

mod changes;
mod images;
mod names;
mod numbers;
mod traces;

use crate::input::Input;

/// Reads anything as a word of one sort.
///
/// # Panics
///
/// If the word says something else than it should.
pub fn words(data: &[u8]) {
    let mut input = Input::new(data);
    let input = &mut input;
    match input.byte() % 10 {
        0 => images::of_bytes(input),
        1 => images::of_anything(input),
        2 => names::tag(input),
        3 => names::account(input),
        4 => traces::text(input),
        5 => traces::mutated(input),
        6 | 7 => traces::compared(input),
        8 => changes::between_two(input),
        _ => {
            numbers::usage(input);
            numbers::fit(input);
        }
    }
}
