//! A pool for each request: `requests`.

use std::ptr::NonNull;

use crate::contender::regions::Regions;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::place::{Times, place};
use crate::processor;

/// Requests that are timed together.
const BATCH: usize = 64;

/// Nanoseconds per request of n objects of 16 to 1024 bytes: the median of batches. Each object's first word is
/// written.
pub(crate) fn run<R: Regions>(job: &Job, regions: &R) -> Option<Outcome> {
    let mut random = job.random();
    let sizes: Vec<_> = (0..BATCH * job.n).map(|_| random.u32(16..=1024)).collect();
    let mut objects = Vec::with_capacity(job.n);
    let deadline = Deadline::to_repeat(job);
    let mut number = 1;
    let mut pool = Some(regions.open(number));
    let serve = [
        serve::<R, 0>,
        serve::<R, 16>,
        serve::<R, 32>,
        serve::<R, 48>,
    ];
    let mut times = Times::default();
    while times.count() < 3 * serve.len() || (!deadline.is_over() && times.count() < 10_000) {
        let serve = serve[times.next()];
        let start = processor::time();
        for request in sizes.chunks(job.n) {
            serve(pool.as_mut()?, request, &mut objects)?;
            number += 1;
            // SAFETY: all that came from the pool since it was made or renewed.
            unsafe { regions.renew(&mut pool, &objects, number) }?;
            objects.clear();
        }
        times.push((processor::time() - start).as_nanos() as f64 / BATCH as f64);
    }
    let done = times.count();
    Some(Outcome::new(times.best()?, done, done))
}

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
