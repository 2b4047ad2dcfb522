//! Pairs of a free and an allocation: `first-fit`, `churn` and `global-churn`.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::time::Instant;

use crate::contender::{Block, Contender, Outcome, Piece, Role, assert_apart, layout, touch};
use crate::deadline::Deadline;
use crate::job::{Job, Workload};
use crate::resident;

/// Tags among which the blocks are distributed.
const TAGS: u32 = 16;

/// A block is freed, and one of another size allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    /// Which of the blocks alive.
    victim: u32,
    size: u32,
}

/// All that happens, known before anything is timed.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    row: Vec<Piece>,
    /// To bring the contender into its steady state, and its memory into the process.
    warm_up: Vec<Pair>,
    timed: Vec<Pair>,
}

impl Plan {
    fn new(job: &Job) -> Self {
        let mut random = job.random();
        let every_second = job.workload == Workload::FirstFit;
        let size = |random: &mut fastrand::Rng| match job.workload {
            Workload::FirstFit => random.u32(16..=512),
            // Each doubling as often as any other.
            _ => (16.0 * 256_f64.powf(random.f64())) as u32,
        };
        let row: Vec<_> = (0..job.n)
            .map(|index| Piece {
                tag: random.u32(1..=TAGS),
                size: size(&mut random),
                // The last one stays.
                freed: every_second && index.is_multiple_of(2),
            })
            .collect();
        let alive = row.iter().filter(|piece| !piece.freed).count() as u32;
        let mut pairs = |count| -> Vec<_> {
            (0..job.operations(count))
                .map(|_| Pair {
                    victim: random.u32(0..alive),
                    size: size(&mut random),
                })
                .collect()
        };
        let count = if every_second { 300_000 } else { 500_000 };
        Self {
            row,
            warm_up: pairs(count),
            timed: pairs(count),
        }
    }
}

/// Nanoseconds per pair.
pub(super) fn run<C: Contender>(job: &Job) -> Option<Outcome> {
    let plan = Plan::new(job);
    let before = resident::bytes();
    let mut contender = C::new();
    let mut blocks = contender.arrange(&plan.row, Deadline::to_arrange())?;
    repeat(job, &mut contender, &mut blocks, &plan.warm_up)?;

    let start = Instant::now();
    let done = repeat(job, &mut contender, &mut blocks, &plan.timed)?;
    let time = start.elapsed();

    let nanoseconds = time.as_nanos() as f64 / done as f64;
    let outcome = Outcome::new(nanoseconds, done, plan.timed.len());
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
    job: &Job,
    contender: &mut C,
    blocks: &mut [Block],
    pairs: &[Pair],
) -> Option<usize> {
    let deadline = Deadline::to_repeat(job);
    let mut done = 0;
    let mut batch = 16;
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
            let plan = Plan::new(&job(workload, 1));
            assert_eq!(plan, Plan::new(&job(workload, 1)));
            assert_ne!(plan, Plan::new(&job(workload, 2)));
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
