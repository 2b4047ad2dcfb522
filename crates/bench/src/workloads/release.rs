//! Freeing one pool of many at once: `release`.

use std::hint::black_box;
use std::ops::RangeFrom;
use std::time::Instant;

use crate::contender::{Block, Contender, Outcome, Piece};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::resident;
use crate::stats;
use crate::turns;

/// Bytes that are written between two releases, so that each meets cold caches.
const EVICTING: usize = 8 << 20;

/// The blocks of all pools in the order of their allocation, and the tags in the order of their release.
struct Plan {
    row: Vec<Piece>,
    released: Vec<u32>,
}

impl Plan {
    fn new(job: &Job) -> Self {
        let mut random = job.random();
        let pools = job.n as u32;
        let blocks_per_pool = if job.quick { 100 } else { 1000 };
        let mut row: Vec<_> = (0..pools * blocks_per_pool)
            .map(|index| Piece {
                tag: 1 + index % pools,
                size: random.u32(16..=128),
                freed: false,
            })
            .collect();
        random.shuffle(&mut row);
        let mut released: Vec<_> = (1..=pools).collect();
        random.shuffle(&mut released);
        released.truncate(32.min(job.n / 2));
        Self { row, released }
    }
}

/// Nanoseconds per pool; the median of some pools. All in one turn: where others had theirs in between, the row would lie
/// in no cache at all.
pub(super) fn run<C: Contender>(job: &Job) -> Option<Outcome> {
    let plan = Plan::new(job);
    let before = resident::bytes();
    let mut contender = C::new();
    let blocks = contender.arrange(&plan.row, Deadline::to_arrange())?;
    let own = blocks.capacity() * size_of::<Block>();
    let gained = resident::bytes().saturating_sub(before + own);
    let alive: f64 = blocks.iter().map(|block| f64::from(block.size)).sum();
    let pools = by_tag(&blocks, job.n);
    let mut evicting = vec![0_u8; EVICTING];

    let mut times = Vec::new();
    for tag in &plan.released {
        evict(&mut evicting);
        let start = Instant::now();
        release(&mut contender, *tag, &pools[*tag as usize]);
        times.push(start.elapsed().as_nanos() as f64);
    }
    let done = times.len();
    Some(Outcome {
        resident: Some(gained as f64 / alive),
        ..Outcome::new(stats::median(&mut times), done, done)
    })
}

/// Nanoseconds per release of a tag that has no blocks, each time another one, turn by turn.
pub(super) fn run_empty<C: Contender>(job: &Job) -> Option<Outcome> {
    let plan = Plan::new(job);
    let mut contender = C::new();
    contender.arrange(&plan.row, Deadline::to_arrange())?;

    let planned = job.operations(1_000_000) / turns::count(job);
    let mut times = Vec::with_capacity(turns::count(job));
    let mut tags = 1_000_000..;
    let mut all_done = 0;
    for turn in turns::of(job) {
        let mut more = || repeat_empty(&mut contender, &mut tags, 1000, job);
        turn.warm_up(|| more().map(drop))?;
        let start = Instant::now();
        let done = repeat_empty(&mut contender, &mut tags, planned, job)?;
        times.push(start.elapsed().as_nanos() as f64 / done as f64);
        all_done += done;
    }
    Some(Outcome::of_turns(
        times,
        all_done,
        planned * turns::count(job),
    ))
}

/// Releases tags that have no blocks: `planned` ones, or a few more, or as many as the time of a turn allows.
fn repeat_empty<C: Contender>(
    contender: &mut C,
    tags: &mut RangeFrom<u32>,
    planned: usize,
    job: &Job,
) -> Option<usize> {
    let deadline = Deadline::of_turn(job);
    let mut batch = 1;
    let mut done = 0;
    while done < planned && !(done > 0 && deadline.is_over()) {
        for tag in tags.take(batch) {
            // SAFETY: nothing was allocated under this tag.
            if !unsafe { contender.release(black_box(tag)) } {
                return None;
            }
        }
        done += batch;
        batch = (batch * 2).min(4096);
    }
    Some(done)
}

/// Releases the pool, or frees its blocks one by one where there is no such call.
pub(super) fn release<C: Contender>(contender: &mut C, tag: u32, blocks: &[Block]) {
    // SAFETY: the pool's blocks are used no more.
    if unsafe { contender.release(tag) } {
        return;
    }
    for block in blocks {
        // SAFETY: allocated here; each pool is released once.
        unsafe { contender.deallocate(block.at, block.layout()) };
    }
}

/// The blocks of each tag in the order of their allocation.
fn by_tag(blocks: &[Block], pools: usize) -> Vec<Vec<Block>> {
    let mut lists = vec![Vec::new(); pools + 1];
    for block in blocks {
        lists[block.tag as usize].push(*block);
    }
    lists
}

/// Writes to every cache line.
pub(crate) fn evict(bytes: &mut [u8]) {
    for line in bytes.iter_mut().step_by(64) {
        *line = line.wrapping_add(1);
    }
    black_box(bytes);
}
