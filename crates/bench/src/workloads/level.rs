//! A level is loaded behind what stays, and goes at once: `level`.

use crate::contender::{Block, Contender, Outcome, Piece, layout, touch};
use crate::deadline::Deadline;
use crate::job::Job;
use crate::processor;
use crate::turns;
use crate::workloads::release::release;

/// Tags of what stays.
const TAGS: u32 = 16;

/// The level's tag.
const LEVEL: u32 = TAGS + 1;

/// One in so many of what was there before the level is freed: holes for its first objects.
const HOLES: usize = 10;

/// Objects that are loaded and freed in a turn, or more.
const OBJECTS: usize = 50_000;

/// What is there before the level, and the sizes of the level's objects.
#[derive(Debug)]
struct Plan {
    row: Vec<Piece>,
    level: Vec<u32>,
}

impl Plan {
    fn new(job: &Job) -> Self {
        let mut random = job.random();
        let half = job.n / 2;
        let row = (0..half)
            .map(|index| Piece {
                tag: random.u32(1..=TAGS),
                size: random.u32(16..=512),
                freed: index % HOLES == HOLES / 2,
            })
            .collect();
        let level = (0..half).map(|_| random.u32(16..=512)).collect();
        Self { row, level }
    }
}

/// Nanoseconds per object of the level, loaded and freed, turn by turn.
pub(super) fn run<C: Contender>(job: &Job) -> Option<Outcome> {
    let plan = Plan::new(job);
    let mut contender = C::new();
    let kept = contender.arrange(&plan.row, Deadline::to_arrange())?;
    let mut level = Vec::with_capacity(plan.level.len());
    load(&mut contender, &plan.level, &mut level)?;
    assert_apart(&kept, &level);
    release(&mut contender, LEVEL, &level);

    let batch = OBJECTS.div_ceil(plan.level.len());
    let mut times = Vec::with_capacity(turns::count(job));
    for turn in turns::of(job) {
        turn.warm_up(|| round(&mut contender, &plan.level, &mut level))?;
        let start = processor::time();
        for _ in 0..batch {
            round(&mut contender, &plan.level, &mut level)?;
        }
        let objects = batch * plan.level.len();
        times.push((processor::time() - start).as_nanos() as f64 / objects as f64);
    }
    let done = times.len();
    Some(Outcome::of_turns(times, done, done))
}

/// Loads and frees the level.
fn round<C: Contender>(contender: &mut C, sizes: &[u32], level: &mut Vec<Block>) -> Option<()> {
    load(contender, sizes, level)?;
    release(contender, LEVEL, level);
    Some(())
}

/// Loads the level, and writes to each object; `None` where that takes too long.
fn load<C: Contender>(contender: &mut C, sizes: &[u32], level: &mut Vec<Block>) -> Option<()> {
    let deadline = Deadline::to_arrange();
    level.clear();
    for some in sizes.chunks(4096) {
        for size in some {
            let at = contender.allocate(LEVEL, layout(*size))?;
            touch(at);
            level.push(Block {
                at,
                size: *size,
                tag: LEVEL,
            });
        }
        if deadline.is_over() {
            return None;
        }
    }
    Some(())
}

fn assert_apart(kept: &[Block], level: &[Block]) {
    let blocks = kept.iter().chain(level);
    crate::contender::assert_apart(blocks.map(|block| (block.at, block.size)));
}
