//! Slots of 64 bytes taken and freed by one thread: `fixed-lifo`, `fixed-random`, `fixed-burst`, and the same of
//! allocators for whole programs, `global-lifo`, `global-random`.

use std::arch::asm;
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::time::Instant;

use crate::contender::Outcome;
use crate::contender::slots::{Slots, Value};
use crate::deadline::Deadline;
use crate::job::{Job, Order};
use crate::stats;
use crate::turns;

/// Pairs between two looks at the clock, or a few more.
const BATCH: usize = 4096;

/// What to do, known before anything is timed.
#[derive(Debug)]
pub(super) struct Plan {
    order: Order,
    /// Slots in use at a time.
    alive: usize,
    /// Which of the values, pair by pair; used again from the start at the end.
    victims: Vec<u32>,
    pub(super) warm_up: usize,
    pub(super) timed: usize,
}

impl Plan {
    /// For `alive` slots of one thread, the same for the same number.
    pub(super) fn new(job: &Job, alive: usize, thread: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(job.seed + (thread << 32));
        let most = alive as u32;
        Self {
            order: job.workload.order(),
            alive,
            victims: (0..32 * BATCH).map(|_| random.u32(0..most)).collect(),
            warm_up: job.operations(400_000),
            timed: job.operations(4_000_000),
        }
    }
}

/// Nanoseconds per pair of a take and a free, turn by turn, in each the median of batches: so turns of other processes
/// in between do not count.
pub(crate) fn run<S: Slots>(job: &Job, pool: &mut S) -> Option<Outcome> {
    let plan = Plan::new(job, job.n, 0);
    let mut hand = Hand::new(pool, &plan)?;
    hand.repeat(plan.warm_up, Deadline::to_repeat(job), || false)?;
    let pairs = plan.timed / turns::count(job);
    let mut times = Vec::with_capacity(turns::count(job));
    let mut done = 0;
    for turn in turns::of(job) {
        turn.warm_up(|| hand.batch().map(drop))?;
        let mut turn = hand.repeat(pairs, Deadline::of_turn(job), || false)?;
        times.push(stats::median(&mut turn.each));
        done += turn.pairs;
    }
    hand.check();
    Some(Outcome::of_turns(times, done, plan.timed.max(done)))
}

/// How long batches took.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Nanoseconds per pair of each.
    pub(super) each: Vec<f64>,
    /// Pairs of all together.
    pub(super) pairs: usize,
}

/// Somebody who puts values into slots and takes them out again.
pub(super) struct Hand<'a, S: Slots> {
    pool: &'a mut S,
    plan: &'a Plan,
    held: Vec<S::Held>,
    /// The next value's first word.
    next: u64,
    /// Of the first words of all values taken out.
    sum: u64,
    batches: usize,
}

impl<'a, S: Slots> Hand<'a, S> {
    /// With as many values in slots as the workload has in use.
    pub(super) fn new(pool: &'a mut S, plan: &'a Plan) -> Option<Self> {
        let mut hand = Self {
            pool,
            plan,
            held: Vec::with_capacity(plan.alive),
            next: 1,
            sum: 0,
            batches: 0,
        };
        if plan.order != Order::Burst {
            hand.put(plan.alive)?;
        }
        Some(hand)
    }

    /// At least so many pairs, or as many as can be done before the deadline, or until somebody who is asked after
    /// each batch says stop.
    pub(super) fn repeat(
        &mut self,
        pairs: usize,
        deadline: Deadline,
        stop: impl Fn() -> bool,
    ) -> Option<Times> {
        let mut times = Times::default();
        loop {
            let start = Instant::now();
            let done = self.batch()?;
            let time = start.elapsed();
            times.each.push(time.as_nanos() as f64 / done as f64);
            times.pairs += done;
            if stop() || times.pairs >= pairs || deadline.is_over() {
                return Some(times);
            }
        }
    }

    fn batch(&mut self) -> Option<usize> {
        self.batches += 1;
        match self.plan.order {
            Order::Lifo => {
                for _ in 0..BATCH {
                    self.take(1);
                    self.put(1)?;
                }
                Some(BATCH)
            }
            Order::Random => self.random(),
            Order::Burst => {
                let bursts = BATCH.div_ceil(self.plan.alive);
                for _ in 0..bursts {
                    self.put(self.plan.alive)?;
                    self.take(self.plan.alive);
                }
                Some(bursts * self.plan.alive)
            }
        }
    }

    fn random(&mut self) -> Option<usize> {
        let start = self.batches * BATCH % self.plan.victims.len();
        let victims = &self.plan.victims[start..];
        for index in 0..BATCH {
            // The next victims' entries: the table is ours, its cache misses are nobody's cost.
            if let Some(next) = victims.get(index + 8) {
                prefetch(&raw const self.held[*next as usize]);
            }
            let held = self.held.swap_remove(victims[index] as usize);
            self.free(held);
            self.put(1)?;
        }
        Some(BATCH)
    }

    /// Puts so many values in.
    // The same code around every pool: calls in the way of some would tell.
    #[inline(always)]
    fn put(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let held = self.pool.put(Value::new(self.next))?;
            show(self.pool);
            self.held.push(held);
            self.next += 1;
        }
        Some(())
    }

    /// Takes so many out, the last one first.
    #[inline(always)]
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(held) = self.held.pop() {
                self.free(held);
            }
        }
    }

    #[inline(always)]
    fn free(&mut self, held: S::Held) {
        // SAFETY: put in here, and out of the table.
        self.sum = self.sum.wrapping_add(unsafe { self.pool.take(held) });
        show(self.pool);
    }

    /// Does all of it once more without a pool: what was read out of the slots must be what was put in.
    #[inline(never)]
    pub(super) fn check(&self) {
        let mut words = Words;
        let model = Hand::new(&mut words, self.plan);
        let mut model = model.expect("words have room");
        for _ in 0..self.batches {
            model.batch().expect("words have room");
        }
        assert_eq!(self.sum, model.sum, "values stay what they are");
    }
}

/// Slots that are none: who holds a value's first word has it.
#[derive(Debug)]
struct Words;

impl Slots for Words {
    type Held = u64;

    fn put(&mut self, value: Value) -> Option<u64> {
        Some(value.first())
    }

    unsafe fn take(&mut self, held: u64) -> u64 {
        held
    }
}

/// Lets the compiler think that somebody looks at the pool here: else it would, where it sees both at once, make
/// less than both of a free and the take behind it.
#[inline(always)]
fn show<S>(pool: &mut S) {
    // SAFETY: no instruction.
    unsafe { asm!("/* {} */", in(reg) &raw mut *pool, options(nostack, preserves_flags)) };
}

#[inline]
fn prefetch<T>(entry: *const T) {
    // SAFETY: a hint, valid for any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(entry.cast()) };
}
