//! Objects one behind the other, then a reset: `bump`.

use std::time::Instant;

use crate::contender::arena::Arena;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;

/// Rounds until all arenas have settled on the memory that they keep.
const WARM_UP: usize = 4;

/// Nanoseconds per object, with its share of the reset. Sizes are known at run time; each object's first
/// word is written.
pub(crate) fn run<A: Arena>(job: &Job, arena: &mut A) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..job.n).map(|_| random.u32(16..=512)).collect();
    for _ in 0..WARM_UP {
        round(arena, &sizes)?;
    }
    let planned = job.operations(10_000_000);
    let deadline = Deadline::to_repeat(job);
    let mut done = 0;
    let start = Instant::now();
    while done < planned && !(done > 0 && deadline.is_over()) {
        round(arena, &sizes)?;
        done += sizes.len();
    }
    let time = start.elapsed();
    let nanoseconds = time.as_nanos() as f64 / done as f64;
    Some(Outcome::new(nanoseconds, done, planned.max(done)))
}

fn round<A: Arena>(arena: &mut A, sizes: &[u32]) -> Option<()> {
    for size in sizes {
        touch(arena.allocate(layout(*size))?);
    }
    arena.reset();
    Some(())
}
