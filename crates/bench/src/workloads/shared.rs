//! The same by two threads on one pool or allocator: `fixed-lifo-shared`, `fixed-random-shared`,
//! `fixed-burst-shared`, `global-lifo-shared`, `global-random-shared`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::fixed::{Hand, Plan};
use crate::contender::Outcome;
use crate::contender::slots::SharedSlots;
use crate::deadline::Deadline;
use crate::job::Job;

/// Threads on one pool.
const THREADS: usize = 2;

/// Nanoseconds per pair of each thread, on average: as long as for one thread, if none is in the other's way.
///
/// All the time counts, waits for a processor too: the batches without them would be those in which one thread
/// was alone, on a machine that others use. So this needs two processors of its own.
pub(crate) fn run<S: SharedSlots>(job: &Job, pool: &S) -> Option<Outcome> {
    let barrier = Barrier::new(THREADS);
    let ended = AtomicBool::new(false);
    let work = &|thread: usize| {
        let plan = Plan::new(job, job.n / THREADS, thread as u64);
        let mut pool = pool;
        let mut hand = Hand::new(&mut pool, &plan)?;
        hand.repeat(plan.warm_up, Deadline::to_repeat(job), || false)?;
        barrier.wait();
        // Nobody goes on alone.
        let stop = || ended.load(Ordering::Relaxed);
        let start = Instant::now();
        let times = hand.repeat(plan.timed, Deadline::to_repeat(job), stop)?;
        let time = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        hand.check();
        Some((time.as_nanos() as f64, times.pairs))
    };
    let each: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || work(thread).expect("slots for both threads")))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|answer| answer.expect("no panic")).collect()
    });
    let nanoseconds: f64 = each.iter().map(|(time, pairs)| time / *pairs as f64).sum();
    let done = each.iter().map(|(_, pairs)| pairs).sum();
    Some(Outcome::new(nanoseconds / THREADS as f64, done, done))
}
