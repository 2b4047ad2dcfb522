//! Objects one behind the other, then a reset: `bump`.

use std::time::Instant;

use crate::contender::arena::Arena;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::place::{Times, place};
use crate::turns;

/// Rounds until all arenas have settled on the memory that they keep.
const WARM_UP: usize = 4;

/// Objects between two looks at the clock, or a few more.
const BATCH: usize = 16_384;

/// Nanoseconds per object, with its share of the reset, turn by turn, in each the median of batches: so turns of other
/// processes in between do not count. Sizes are known at run time; each object's first word is written.
pub(crate) fn run<A: Arena>(job: &Job, arena: &mut A) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..job.n).map(|_| random.u32(16..=512)).collect();
    for _ in 0..WARM_UP {
        round::<A, 0>(arena, &sizes)?;
    }
    let round = [
        round::<A, 0>,
        round::<A, 16>,
        round::<A, 32>,
        round::<A, 48>,
    ];
    let rounds = BATCH.div_ceil(sizes.len());
    let objects = rounds * sizes.len();
    let planned = job.operations(10_000_000) / turns::count(job);
    let mut by_turn = Vec::with_capacity(turns::count(job));
    let mut all_done = 0;
    for turn in turns::of(job) {
        turn.warm_up(|| round[0](arena, &sizes))?;
        let mut times = Times::default();
        let deadline = Deadline::of_turn(job);
        let mut done = 0;
        while times.count() < round.len() || (done < planned && !deadline.is_over()) {
            let round = round[times.next()];
            let start = Instant::now();
            for _ in 0..rounds {
                round(arena, &sizes)?;
            }
            times.push(start.elapsed().as_nanos() as f64 / objects as f64);
            done += objects;
        }
        by_turn.push(times.best()?);
        all_done += done;
    }
    Some(Outcome::of_turns(by_turn, all_done, all_done))
}

/// A function of its own, so that the loop is compiled alike whatever is around it.
#[inline(never)]
fn round<A: Arena, const PLACE: usize>(arena: &mut A, sizes: &[u32]) -> Option<()> {
    place::<PLACE>();
    for size in sizes {
        touch(arena.allocate(layout(*size))?);
    }
    arena.reset();
    Some(())
}
