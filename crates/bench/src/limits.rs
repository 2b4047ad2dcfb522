//! What the machine allows: no allocator can be faster than what it is made of.

use std::arch::asm;
use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Instant;

use crate::contender::{Entry, Outcome, Role};
use crate::contenders::arena;
use crate::job::{Job, Workload};
use crate::workloads::evict;

/// The limits, each as an entry of its own workload.
pub(crate) const ALL: &[Entry] = &[
    limit("bump pointer", bump_pointer),
    limit("brk call, a page up or down", brk_call),
    limit("first touch of a page", first_touch),
    limit("walk over known headers", |job| {
        let row = Row::new(job);
        Some(cold(row.known.len(), || row.known().map(read).sum()))
    }),
    limit("walk from header to header", |job| {
        let row = Row::new(job);
        Some(cold(row.blocks, || row.chase()))
    }),
    limit("stores to known headers", |job| {
        let row = Row::new(job);
        Some(cold(row.known.len(), || row.known().map(clear).sum()))
    }),
];

const fn limit(name: &'static str, run: fn(&Job) -> Option<Outcome>) -> Entry {
    Entry {
        name,
        joins: &[Workload::Limits],
        role: Role::Limit,
        run,
    }
}

fn timed(count: usize, work: impl FnOnce()) -> Outcome {
    let start = Instant::now();
    work();
    let nanoseconds = start.elapsed().as_nanos() as f64 / count as f64;
    Outcome::new(nanoseconds, count, count)
}

/// Align, add, compare, store: per allocation.
fn bump_pointer(job: &Job) -> Option<Outcome> {
    let count = job.operations(10_000_000);
    let mut next = 0_usize;
    Some(timed(count, || {
        for _ in 0..count {
            let start = black_box(next).next_multiple_of(16);
            next = if start > 1 << 20 { 0 } else { start + 64 };
        }
    }))
}

fn brk_call(job: &Job) -> Option<Outcome> {
    let count = job.operations(100_000);
    let start = brk(0);
    if start == 0 || brk(start + 4096) != start + 4096 {
        return None;
    }
    // No allocation happens until the break stands where it stood.
    let outcome = timed(count, || {
        for index in 0..count {
            brk(start + (index % 2) * 4096);
        }
    });
    brk(start);
    Some(outcome)
}

fn brk(to: usize) -> usize {
    let answer;
    // SAFETY: the kernel preserves all other registers; the memory that comes and goes is a page above
    // the break, which nobody uses.
    unsafe {
        asm!("syscall", inlateout("rax") 12_usize => answer, in("rdi") to,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

fn first_touch(job: &Job) -> Option<Outcome> {
    let pages = job.operations(16384);
    let memory = arena::map().cast::<u8>();
    Some(timed(pages, || {
        for page in 0..pages {
            // SAFETY: within the arena.
            let byte = unsafe { memory.add(page * 4096) };
            // SAFETY: as above.
            unsafe { byte.write_volatile(1) };
        }
    }))
}

/// A row of blocks with headers of 32 bytes, cold in the caches.
struct Row {
    /// A thousand headers in equal distances.
    known: Vec<NonNull<u64>>,
    first: NonNull<u64>,
    blocks: usize,
}

impl Row {
    fn new(job: &Job) -> Self {
        let mut random = job.random();
        let first = arena::map().cast::<u64>();
        let blocks = job.operations(1_000_000);
        let every = blocks / 1000;
        let mut known = Vec::new();
        let mut at = first;
        for index in 0..blocks {
            let bytes = 32 + random.usize(16..=128).next_multiple_of(16);
            // SAFETY: the blocks end long before the arena does.
            unsafe { at.write(bytes as u64) };
            if index.is_multiple_of(every) {
                known.push(at);
            }
            // SAFETY: as above.
            at = unsafe { at.byte_add(bytes) };
        }
        Self {
            known,
            first,
            blocks,
        }
    }

    fn known(&self) -> impl Iterator<Item = NonNull<u64>> {
        self.known.iter().copied()
    }

    /// From each header to the next by the size.
    fn chase(&self) -> u64 {
        let mut at = self.first;
        let mut sum = 0;
        for _ in 0..self.blocks {
            let size = read(at);
            sum += size;
            // SAFETY: the size leads to the next header or the end of the row, which is in the arena.
            at = unsafe { at.byte_add(size as usize) };
        }
        sum
    }
}

fn read(header: NonNull<u64>) -> u64 {
    // SAFETY: a header in the arena.
    unsafe { header.read() }
}

fn clear(header: NonNull<u64>) -> u64 {
    // SAFETY: a header in the arena.
    unsafe { header.write(0) };
    0
}

/// Nanoseconds per header of a pass over headers that are in no cache nearby.
fn cold(count: usize, pass: impl FnOnce() -> u64) -> Outcome {
    evict(&mut vec![0; 8 << 20]);
    timed(count, || {
        black_box(pass());
    })
}
