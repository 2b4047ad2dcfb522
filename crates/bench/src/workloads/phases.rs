//! Eight pools fill up side by side and go one after the other: `phases`.

use std::ptr::NonNull;

use crate::contender::regions::Regions;
use crate::contender::{Outcome, assert_apart, layout, touch};
use crate::job::Job;
use crate::processor;
use crate::turns;

/// How many pools there are at a time.
const POOLS: usize = 8;

/// Nanoseconds per object, with its share of its pool's making and release, turn by turn. Sizes are known at run time;
/// each object's first word is written.
pub(crate) fn run<R: Regions>(job: &Job, regions: &R) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..job.n).map(|_| random.u32(16..=512)).collect();
    let mut objects: [Vec<_>; POOLS] = [const { Vec::new() }; POOLS];
    for list in &mut objects {
        list.reserve_exact(job.n.div_ceil(POOLS));
    }
    let pools = fill(regions, &sizes, &mut objects, 0)?;
    assert_apart(objects.iter().flatten().copied());
    end::<R>(pools, &mut objects);
    // Rounds are timed in batches of 100,000 objects or more.
    let batch = (100_000 / job.n).max(1);
    let mut times = Vec::with_capacity(turns::count(job));
    for turn in turns::of(job) {
        turn.warm_up(|| round(regions, &sizes, &mut objects, 0))?;
        let start = processor::time();
        for number in 0..batch {
            round(regions, &sizes, &mut objects, number)?;
        }
        times.push((processor::time() - start).as_nanos() as f64 / (batch * job.n) as f64);
    }
    let done = times.len();
    Some(Outcome::of_turns(times, done, done))
}

/// Pools of a round that has this number: opened, filled, and released.
fn round<R: Regions>(regions: &R, sizes: &[u32], objects: &mut Lists, number: usize) -> Option<()> {
    let pools = fill(regions, sizes, objects, number as u64 + 1)?;
    end::<R>(pools, objects);
    Some(())
}

/// The objects of each pool.
type Lists = [Vec<(NonNull<u8>, u32)>; POOLS];

/// Opens the pools and fills them.
fn fill<'a, R: Regions>(
    regions: &'a R,
    sizes: &[u32],
    objects: &mut Lists,
    number: u64,
) -> Option<[R::Region<'a>; POOLS]> {
    let first = number * POOLS as u64;
    let mut pools = [0, 1, 2, 3, 4, 5, 6, 7].map(|pool| regions.open(first + pool));
    for some in sizes.chunks(POOLS) {
        for ((size, pool), list) in some.iter().zip(&mut pools).zip(&mut *objects) {
            let at = R::allocate(pool, layout(*size))?;
            touch(at);
            list.push((at, *size));
        }
    }
    Some(pools)
}

/// Releases them, one after the other.
fn end<R: Regions>(pools: [R::Region<'_>; POOLS], objects: &mut Lists) {
    for (mut pool, list) in pools.into_iter().zip(objects) {
        // SAFETY: all that came from the pool.
        unsafe { R::release(&mut pool, list) };
        drop(pool);
        list.clear();
    }
}
