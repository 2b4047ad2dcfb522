//! A vector that grows: `grow`.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::time::Instant;

use crate::contender::{Contender, Outcome};
use crate::job::{Job, Workload};
use crate::turns::Turn;

const PAGE: usize = 4096;

/// Nanoseconds for the whole growth, the freeing not counted; `again`: after the same was done and freed.
pub(super) fn run<C: Contender>(job: &Job, again: bool) -> Option<Outcome> {
    let sizes = sizes(job);
    let mut contender = C::new();
    if again {
        let (at, last) = grow(&mut contender, &sizes)?;
        // SAFETY: allocated with this layout, and used no more.
        unsafe { contender.deallocate(at, last) };
    }
    Turn::wait(job);
    let start = Instant::now();
    grow(&mut contender, &sizes)?;
    let time = start.elapsed();
    Some(Outcome::new(time.as_nanos() as f64, 1, 1))
}

/// The vector's sizes, one after the other.
fn sizes(job: &Job) -> Vec<usize> {
    let doubling = matches!(
        job.workload,
        Workload::GrowDouble | Workload::GrowDoubleAgain
    );
    let most = match (doubling, job.quick) {
        (true, false) => 64 << 20,
        (false, false) => 16 << 20,
        (_, true) => 1 << 20,
    };
    if doubling {
        (6..)
            .map(|power| 1 << power)
            .take_while(|size| *size <= most)
            .collect()
    } else {
        (1..=most >> 14).map(|steps| steps << 14).collect()
    }
}

fn grow<C: Contender>(contender: &mut C, sizes: &[usize]) -> Option<(NonNull<u8>, Layout)> {
    let layout = |size: usize| Layout::from_size_align(size, 8).ok();
    let (first, more) = sizes.split_first()?;
    let mut held = layout(*first)?;
    let mut at = contender.allocate(1, held)?;
    touch(at, 0, held.size());
    for size in more {
        let new = layout(*size)?;
        // SAFETY: allocated with this layout; the old address is forgotten.
        at = unsafe { contender.grow(at, held, new)? };
        touch(at, held.size(), new.size());
        held = new;
    }
    Some((at, held))
}

/// Writes to each page from offset `from` to `to`.
fn touch(at: NonNull<u8>, from: usize, to: usize) {
    for offset in (from..to).step_by(PAGE) {
        // SAFETY: within the allocation.
        let byte = unsafe { at.add(offset) };
        // SAFETY: as above.
        unsafe { byte.write_volatile(1) };
    }
}
