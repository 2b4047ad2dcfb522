//! The same by two threads on one pool: `fixed-lifo-shared`, `fixed-random-shared`, `fixed-burst-shared`.

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

/// Nanoseconds per pair of each thread, on average: as long as for one thread, if none is in another's way.
pub(crate) fn run<S: SharedSlots>(job: &Job, pool: &S) -> Option<Outcome> {
    let barrier = Barrier::new(THREADS);
    let ended = AtomicBool::new(false);
    let work = &|thread: usize| {
        let plan = Plan::new(job, job.n / THREADS, thread as u64);
        let mut pool = pool;
        let mut hand = Hand::new(&mut pool, &plan).expect("slots for both threads");
        let one = hand.repeat(plan.warm_up, Deadline::to_repeat(job), || false);
        one.expect("slots for both threads");
        barrier.wait();
        let start = Instant::now();
        // Nobody goes on alone.
        let stop = || ended.load(Ordering::Relaxed);
        let done = hand.repeat(plan.timed, Deadline::to_repeat(job), stop);
        let time = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        hand.check();
        (
            time.as_nanos() as f64,
            done.expect("slots for both threads"),
        )
    };
    let each: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|answer| answer.expect("no panic")).collect()
    });
    let nanoseconds: f64 = each.iter().map(|(time, done)| time / *done as f64).sum();
    let done = each.iter().map(|(_, done)| done).sum();
    Some(Outcome::new(nanoseconds / THREADS as f64, done, done))
}
