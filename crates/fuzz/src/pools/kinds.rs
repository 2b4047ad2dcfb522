//! Which kind a program runs on, and how its pools are made.

use std::alloc::Layout;

use tagheap::{
    Buddy, Bump, Classes, Fixed, FreeList, Futex, LockFree, Locked, Priority, Share, SizeClasses,
    Stack, Timed, WhenFull,
};

use super::rig::drive;
use super::subject::Habit;
use crate::input::{Input, layout};
use crate::tell::tell;

/// Alignment of a slot at most.
const MOST_ALIGNED: usize = 4096;

pub(super) fn run<H: Share + Copy>(heap: H, input: &mut Input) {
    let kind = input.byte() % 18;
    tell!("kind {kind}");
    match kind {
        0 => drive(heap, Habit::Blocks, 15, input, Ok),
        1 | 2 => drive(heap, Habit::Bump, 15, input, |pool| Ok(Bump::new(pool))),
        3 | 4 => drive(heap, Habit::Rounded, 17, input, |pool| {
            Ok(SizeClasses::new(pool))
        }),
        5 => {
            let bytes = input.size(16);
            drive(heap, Habit::Rounded, 17, input, |pool| {
                Ok(SizeClasses::with_chunk(pool, bytes))
            });
        }
        6 => {
            let bytes = input.size(14);
            let habit = Habit::Stack { is_limited: false };
            drive(heap, habit, 12, input, |pool| Stack::new(pool, bytes));
        }
        7 => {
            let (bytes, limit) = (input.size(14), input.size(10));
            let habit = Habit::Stack { is_limited: true };
            drive(heap, habit, 12, input, |pool| {
                Ok(Stack::new(pool, bytes)?.with_limit(limit))
            });
        }
        8 | 9 => {
            let bytes = input.size(14);
            drive(heap, Habit::FreeList, 12, input, |pool| {
                FreeList::new(pool, bytes)
            });
        }
        13 | 14 => {
            let (bytes, smallest) = (input.size(15), input.size(7));
            let habit = Habit::Buddy {
                smallest: smallest.max(16).next_power_of_two(),
            };
            drive(heap, habit, 13, input, |pool| {
                Buddy::new(pool, bytes, smallest)
            });
        }
        17 => wrapped(heap, input),
        _ => slots(kind, heap, input),
    }
}

/// A slot's layout.
fn slot(input: &mut Input) -> Layout {
    let size = input.size(9);
    layout(size, input.align().min(MOST_ALIGNED))
}

/// Sizes of slots, and how many of each.
fn sizes<const N: usize>(input: &mut Input) -> [(usize, usize); N] {
    [(); N].map(|()| (input.size(9), input.below(90)))
}

fn when_full(input: &mut Input) -> WhenFull {
    if input.flag() {
        WhenFull::Refuse
    } else {
        WhenFull::Borrow
    }
}

/// The kinds that have slots.
fn slots<H: Share + Copy>(kind: u8, heap: H, input: &mut Input) {
    match kind {
        10 => {
            let (slot, count) = (slot(input), input.below(300));
            let habit = Habit::Slots {
                size: slot.pad_to_align().size().max(slot.align()),
                align: slot.align(),
                count,
            };
            drive(heap, habit, 10, input, |pool| Fixed::new(pool, slot, count));
        }
        11 => {
            let (slot, count) = (slot(input), input.below(100));
            drive(heap, Habit::ManySlots, 10, input, |pool| {
                Fixed::growing(pool, slot, count)
            });
        }
        12 => {
            let (sizes, when_full) = (sizes::<3>(input), when_full(input));
            drive(heap, Habit::ManySlots, 10, input, |pool| {
                Classes::new(pool, sizes, when_full)
            });
        }
        15 => {
            let (sizes, when_full) = (sizes::<4>(input), when_full(input));
            drive(heap, Habit::ManySlots, 10, input, |pool| {
                Priority::with_sizes(pool, sizes, when_full)
            });
        }
        _ => {
            let (slot, count) = (slot(input), input.below(300));
            let habit = Habit::Slots {
                size: slot.size().max(1),
                align: slot.align(),
                count,
            };
            drive(heap, habit, 10, input, |pool| {
                LockFree::new(pool, slot, count)
            });
        }
    }
}

/// Kinds behind a lock, and with a clock.
fn wrapped<H: Share + Copy>(heap: H, input: &mut Input) {
    match input.byte() % 4 {
        0 => drive(heap, Habit::Rounded, 17, input, |pool| {
            Ok(Locked::<_, Futex>::new(SizeClasses::new(pool)))
        }),
        1 => drive(heap, Habit::Bump, 17, input, |pool| {
            Ok(Locked::<_, Futex>::new(Bump::new(pool)))
        }),
        2 => {
            let bytes = input.size(14);
            drive(heap, Habit::FreeList, 12, input, |pool| {
                Ok(Timed::new(FreeList::new(pool, bytes)?))
            });
        }
        _ => drive(heap, Habit::Blocks, 12, input, |pool| Ok(Timed::new(pool))),
    }
}
