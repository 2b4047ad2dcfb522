//! A pool for each request: `requests`.

use std::ptr::NonNull;

use crate::contender::regions::Regions;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::place::{Times, place};
use crate::processor;
use crate::turns;

/// Requests that are timed together.
const BATCH: usize = 64;

/// Nanoseconds per request of n objects of 16 to 1024 bytes, turn by turn, in each the median of batches. Each object's
/// first word is written.
pub(crate) fn run<R: Regions>(job: &Job, regions: &R) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..BATCH * job.n).map(|_| random.u32(16..=1024)).collect();
    let mut objects = Vec::with_capacity(job.n);
    let mut number = 1;
    let mut pool = Some(regions.open(number));
    let serve: [Serve<R>; 4] = [
        serve::<R, 0>,
        serve::<R, 16>,
        serve::<R, 32>,
        serve::<R, 48>,
    ];
    let mut batch = |serve: Serve<R>| -> Option<f64> {
        let start = processor::time();
        for request in sizes.chunks(job.n) {
            serve(pool.as_mut()?, request, &mut objects)?;
            number += 1;
            // SAFETY: all that came from the pool since it was made or renewed.
            unsafe { regions.renew(&mut pool, &objects, number) }?;
            objects.clear();
        }
        Some((processor::time() - start).as_nanos() as f64 / BATCH as f64)
    };
    let mut by_turn = Vec::with_capacity(turns::count(job));
    let mut done = 0;
    for turn in turns::of(job) {
        turn.warm_up(|| batch(serve[0]).map(drop))?;
        let mut times = Times::default();
        let deadline = Deadline::of_turn(job);
        while times.count() < 3 * serve.len() || (!deadline.is_over() && times.count() < 200) {
            times.push(batch(serve[times.next()])?);
        }
        done += times.count();
        by_turn.push(times.best()?);
    }
    Some(Outcome::of_turns(by_turn, done, done))
}

/// What puts the objects of a request into a pool.
type Serve<R> =
    fn(&mut <R as Regions>::Region<'_>, &[u32], &mut Vec<(NonNull<u8>, u32)>) -> Option<()>;

/// The objects of a request. A function of its own, so that the loop is compiled alike whatever is around it.
#[inline(never)]
fn serve<R: Regions, const PLACE: usize>(
    pool: &mut R::Region<'_>,
    sizes: &[u32],
    objects: &mut Vec<(NonNull<u8>, u32)>,
) -> Option<()> {
    place::<PLACE>();
    for size in sizes {
        let at = R::allocate(pool, layout(*size))?;
        touch(at);
        objects.push((at, *size));
    }
    Some(())
}
