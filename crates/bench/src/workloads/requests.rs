//! A pool for each request: `requests`.

use crate::contender::regions::Regions;
use crate::contender::{Outcome, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::processor;
use crate::stats;

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
    let mut times = Vec::new();
    while times.len() < 3 || (!deadline.is_over() && times.len() < 10_000) {
        let start = processor::time();
        for request in sizes.chunks(job.n) {
            serve::<R>(pool.as_mut()?, request, &mut objects)?;
            number += 1;
            // SAFETY: all that came from the pool since it was made or renewed.
            unsafe { regions.renew(&mut pool, &objects, number) }?;
            objects.clear();
        }
        times.push((processor::time() - start).as_nanos() as f64 / BATCH as f64);
    }
    let done = times.len();
    Some(Outcome::new(stats::median(&mut times), done, done))
}

/// The objects of a request. A function of its own, so that the loop is compiled alike whatever is around it.
#[inline(never)]
fn serve<R: Regions>(
    pool: &mut R::Region<'_>,
    sizes: &[u32],
    objects: &mut Vec<(std::ptr::NonNull<u8>, u32)>,
) -> Option<()> {
    for size in sizes {
        let at = R::allocate(pool, layout(*size))?;
        touch(at);
        objects.push((at, *size));
    }
    Some(())
}
