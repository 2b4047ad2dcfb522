//! Pairs of a free and an allocation: `first-fit`, `churn` and `global-churn`.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::time::Instant;

use crate::contender::{Block, Contender, Outcome, Piece, Role, assert_apart, layout, touch};
use crate::deadline::Deadline;
use crate::job::{Job, Workload};
use crate::resident;
use crate::turns;

/// Tags among which the blocks are distributed.
const TAGS: u32 = 16;

/// A block is freed, and one of another size allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    /// Which of the blocks alive.
    victim: u32,
    size: u32,
}

/// What happens, known before anything is timed, the same for every contender.
#[derive(Debug, Clone)]
struct Plan {
    row: Vec<Piece>,
    /// Blocks alive.
    alive: u32,
    workload: Workload,
    random: fastrand::Rng,
    /// The next pairs that are not timed: they bring the contender into its steady state, and the caches to where they
    /// were before others had their turns.
    first: Vec<Pair>,
    /// The pairs after them.
    timed: Vec<Pair>,
}

impl Plan {
    fn new(job: &Job) -> Self {
        let mut random = job.random();
        let workload = job.workload;
        let every_second = workload == Workload::FirstFit;
        let row: Vec<_> = (0..job.n)
            .map(|index| Piece {
                tag: random.u32(1..=TAGS),
                size: size(workload, &mut random),
                // The last one stays.
                freed: every_second && index.is_multiple_of(2),
            })
            .collect();
        let count = job.operations(if every_second { 300_000 } else { 500_000 });
        let none = Pair { victim: 0, size: 0 };
        let mut plan = Self {
            alive: row.iter().filter(|piece| !piece.freed).count() as u32,
            row,
            workload,
            random,
            first: vec![none; count / 6],
            timed: vec![none; count / turns::count(job)],
        };
        plan.go_on();
        plan
    }

    /// Has other pairs from here on, in the same memory: the contender may be what hands out this program's.
    fn go_on(&mut self) {
        for pair in self.first.iter_mut().chain(&mut self.timed) {
            *pair = Pair {
                victim: self.random.u32(0..self.alive),
                size: size(self.workload, &mut self.random),
            };
        }
    }
}

/// The size of a block of the workload, in bytes.
fn size(workload: Workload, random: &mut fastrand::Rng) -> u32 {
    match workload {
        Workload::FirstFit => random.u32(16..=512),
        // Each doubling as often as any other.
        _ => (16.0 * 256_f64.powf(random.f64())) as u32,
    }
}

/// Nanoseconds per pair, turn by turn.
pub(super) fn run<C: Contender>(job: &Job) -> Option<Outcome> {
    let mut plan = Plan::new(job);
    let before = resident::bytes();
    let mut contender = C::new();
    let mut blocks = contender.arrange(&plan.row, Deadline::to_arrange())?;
    let deadline = Deadline::to_repeat(job);
    // As many as are timed later.
    for _ in 0..6 {
        repeat(deadline, &mut contender, &mut blocks, &plan.first)?;
        plan.go_on();
    }

    let mut times = Vec::with_capacity(turns::count(job));
    let mut all_done = 0;
    for _ in turns::of(job) {
        let deadline = Deadline::of_turn(job);
        repeat(deadline, &mut contender, &mut blocks, &plan.first)?;
        let deadline = Deadline::of_turn(job);
        let start = Instant::now();
        let done = repeat(deadline, &mut contender, &mut blocks, &plan.timed)?;
        times.push(start.elapsed().as_nanos() as f64 / done as f64);
        all_done += done;
        plan.go_on();
    }
    let outcome = Outcome::of_turns(times, all_done, plan.timed.len() * turns::count(job));
    let own = blocks.capacity() * size_of::<Block>();
    let gained = resident::bytes().saturating_sub(before + own);
    if C::ROLE != Role::Limit {
        assert_apart(blocks.iter().map(|block| (block.at, block.size)));
    }
    if job.workload == Workload::FirstFit {
        return Some(outcome);
    }
    let alive: f64 = blocks.iter().map(|block| f64::from(block.size)).sum();
    Some(Outcome {
        footprint: contender.footprint().map(|bytes| bytes as f64 / alive),
        resident: Some(gained as f64 / alive),
        ..outcome
    })
}

/// How many of the pairs could be done in time.
fn repeat<C: Contender>(
    deadline: Deadline,
    contender: &mut C,
    blocks: &mut [Block],
    pairs: &[Pair],
) -> Option<usize> {
    let mut done = 0;
    let mut batch = 1;
    while done < pairs.len() && !(done > 0 && deadline.is_over()) {
        let end = pairs.len().min(done + batch);
        for index in done..end {
            // The next victims' entries: the table is ours, its cache misses are nobody's cost.
            if let Some(pair) = pairs.get(index + 8) {
                prefetch(&raw const blocks[pair.victim as usize]);
            }
            pass(contender, blocks, pairs[index])?;
        }
        done = end;
        batch = (batch * 2).min(4096);
    }
    Some(done)
}

#[inline]
fn pass<C: Contender>(contender: &mut C, blocks: &mut [Block], pair: Pair) -> Option<()> {
    let block = &mut blocks[pair.victim as usize];
    // SAFETY: the block is alive; its entry is written anew below.
    unsafe { contender.deallocate(block.at, block.layout()) };
    block.at = contender.allocate(block.tag, layout(pair.size))?;
    block.size = pair.size;
    touch(block.at);
    Some(())
}

#[inline]
fn prefetch(entry: *const Block) {
    // SAFETY: a hint, valid for any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(entry.cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(workload: Workload, seed: u64) -> Job {
        Job {
            workload,
            n: 100,
            seed,
            quick: true,
            huge_pages: false,
        }
    }

    #[test]
    fn a_seed_gives_the_same_operations_each_time() {
        for workload in [Workload::FirstFit, Workload::Churn, Workload::GlobalChurn] {
            let mut plan = Plan::new(&job(workload, 1));
            let mut again = plan.clone();
            let mut same = Plan::new(&job(workload, 1));
            assert_eq!(plan.row, same.row);
            assert_eq!((&plan.first, &plan.timed), (&same.first, &same.timed));
            let other = Plan::new(&job(workload, 2));
            assert_ne!(plan.row, other.row);
            assert_ne!(plan.timed, other.timed);

            plan.go_on();
            same.go_on();
            assert_eq!((&plan.first, &plan.timed), (&same.first, &same.timed));
            assert_ne!(plan.timed, again.timed);
            again.go_on();
            assert_eq!(plan.timed, again.timed);
        }
    }

    #[test]
    fn sizes_lie_within_the_bounds_of_the_workload() {
        for (workload, most) in [(Workload::FirstFit, 512), (Workload::Churn, 4096)] {
            let plan = Plan::new(&job(workload, 3));
            let sizes = plan.timed.iter().map(|pair| pair.size);
            assert!(sizes.clone().all(|size| (16..=most).contains(&size)));
            assert!(sizes.max() > Some(most / 2));
        }
    }
}
