//! Classes of sizes, computed anew.

use std::alloc::Layout;

/// Bytes up to where classes are 16 bytes apart.
const LINEAR: usize = 128;

/// Bytes of the class that a request is of, where there are so many `steps` to a doubling; beyond the `largest` class,
/// what was asked for.
pub(crate) fn class_size(layout: Layout, steps: usize, largest: usize) -> usize {
    let size = layout.size().max(1);
    let is_strict = layout.align() > 16;
    let needed = if is_strict {
        size.max(layout.align())
    } else {
        size
    };
    if needed > largest {
        size
    } else if is_strict {
        needed.next_power_of_two()
    } else if needed <= LINEAR {
        needed.next_multiple_of(16)
    } else {
        needed.next_multiple_of(needed.next_power_of_two() / (2 * steps))
    }
}
