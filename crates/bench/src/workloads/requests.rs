//! A pool for each request: `requests`.

use std::arch::asm;
use std::ptr::NonNull;

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
///
/// Where the loop's code comes to lie in the cache lines is chance, and makes up to two fifths of a contender's time:
/// so each has it at four places by turns, and the best counts.
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
    let mut times = serve.map(|_| Vec::new());
    let mut done = 0;
    while done < 3 * serve.len() || (!deadline.is_over() && done < 10_000) {
        let place = done % serve.len();
        let start = processor::time();
        for request in sizes.chunks(job.n) {
            serve[place](pool.as_mut()?, request, &mut objects)?;
            number += 1;
            // SAFETY: all that came from the pool since it was made or renewed.
            unsafe { regions.renew(&mut pool, &objects, number) }?;
            objects.clear();
        }
        times[place].push((processor::time() - start).as_nanos() as f64 / BATCH as f64);
        done += 1;
    }
    let best = times.iter_mut().map(|times| stats::median(times));
    let best = best.min_by(f64::total_cmp)?;
    Some(Outcome::new(best, done, done))
}

/// The objects of a request. A function of its own, so that the loop is compiled alike whatever is around it, and so
/// many bytes behind a multiple of 64.
#[inline(never)]
fn serve<R: Regions, const PLACE: usize>(
    pool: &mut R::Region<'_>,
    sizes: &[u32],
    objects: &mut Vec<(NonNull<u8>, u32)>,
) -> Option<()> {
    // SAFETY: jumps over bytes that are no code.
    unsafe {
        asm!("jmp 2f", ".p2align 6", ".skip {place}, 0xcc", "2:", place = const PLACE, options(nomem, nostack, preserves_flags));
    }
    for size in sizes {
        let at = R::allocate(pool, layout(*size))?;
        touch(at);
        objects.push((at, *size));
    }
    Some(())
}
