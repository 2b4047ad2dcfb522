//! Slots taken by one thread and freed by another, on two processors: `fixed-passed`, `global-passed`.
//!
//! Threads that wait for each other are often put on one processor, where the queue is filled and emptied by turns: now
//! the one is measured and now the other. So each stays on one of its own, if there are two.

use std::hint::{black_box, spin_loop};
use std::thread;
use std::time::Instant;

use rtrb::{PushError, RingBuffer};

use crate::contender::Outcome;
use crate::contender::slots::{SharedSlots, Value};
use crate::job::Job;
use crate::processor;
use crate::stats;

/// Values between two looks at the clock.
const BATCH: u64 = 4096;

/// Nanoseconds per value that comes out: the median of batches, as for one thread.
pub(crate) fn run<S: SharedSlots>(job: &Job, pool: &S) -> Option<Outcome> {
    let count = job.operations(2_000_000) as u64;
    // Two more are in the threads' hands.
    let (mut send, mut receive) = RingBuffer::new(job.n - 2);
    let mut times = Vec::new();
    let sum = thread::scope(|scope| {
        scope.spawn(move || {
            processor::stay_on(1);
            for number in 1..=count {
                let value = Value::new(black_box(number));
                let mut held = pool.put(value).expect("a slot more than the queue has");
                let mut pause = Pause::default();
                while let Err(PushError::Full(back)) = send.push(held) {
                    held = back;
                    pause.wait();
                }
            }
        });
        processor::stay_on(0);
        let mut sum = 0;
        let mut start = Instant::now();
        for number in 1..=count {
            let mut pause = Pause::default();
            let held = loop {
                match receive.pop() {
                    Ok(held) => break held,
                    Err(_) => pause.wait(),
                }
            };
            // SAFETY: put in by the other thread, and popped once.
            sum += unsafe { pool.take(held) };
            if number.is_multiple_of(BATCH) {
                times.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
                start = Instant::now();
            }
        }
        sum
    });
    assert_eq!(sum, count * (count + 1) / 2, "values stay what they are");
    let median = stats::median(&mut times);
    Some(Outcome::new(median, count as usize, count as usize))
}

/// What a thread does that finds the queue full or empty: it spins, and lets others run now and then.
#[derive(Debug, Default)]
struct Pause(u32);

impl Pause {
    fn wait(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(64) {
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
}
