//! Objects one behind the other, then a reset: `bump`.

use std::time::Instant;

use crate::contender::arena::Arena;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::stats;

/// Rounds until all arenas have settled on the memory that they keep.
const WARM_UP: usize = 4;

/// Objects between two looks at the clock, or a few more.
const BATCH: usize = 16_384;

/// Nanoseconds per object, with its share of the reset: the median of batches, so that turns of other processes
/// in between do not count. Sizes are known at run time; each object's first word is written.
pub(crate) fn run<A: Arena>(job: &Job, arena: &mut A) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..job.n).map(|_| random.u32(16..=512)).collect();
    for _ in 0..WARM_UP {
        round(arena, &sizes)?;
    }
    let rounds = BATCH.div_ceil(sizes.len());
    let planned = job.operations(10_000_000);
    let deadline = Deadline::to_repeat(job);
    let mut times = Vec::new();
    let mut done = 0;
    while done < planned && !(done > 0 && deadline.is_over()) {
        let start = Instant::now();
        for _ in 0..rounds {
            round(arena, &sizes)?;
        }
        let objects = rounds * sizes.len();
        times.push(start.elapsed().as_nanos() as f64 / objects as f64);
        done += objects;
    }
    let median = stats::median(&mut times);
    Some(Outcome::new(median, done, planned.max(done)))
}

fn round<A: Arena>(arena: &mut A, sizes: &[u32]) -> Option<()> {
    for size in sizes {
        touch(arena.allocate(layout(*size))?);
    }
    arena.reset();
    Some(())
}
