//! The kernel refuses the memory that an index lacks: at every point where one grows, nothing changes, and the same
//! call succeeds later; beside a heap that is never refused.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::env;
use std::process::Command;

use fastrand::Rng;
use tagheap::{
    Block, Directory, Error, Heap, Key, Reserve, Rule, Shortage, Split, Tag, TagStats, Whole,
};

/// A call, and about which of the blocks.
#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(Tag, Layout),
    Deallocate(usize),
    Resize(usize, Layout),
    Retag(usize, Tag),
    Merge(Tag, Tag),
    Release(Tag),
    Name(Tag),
    Limit(Tag),
}

#[derive(Clone, Copy)]
struct Live {
    ptr: NonNull<u8>,
    layout: Layout,
    tag: Tag,
}

struct Side<R: Rule> {
    heap: Heap<Reserve, R>,
    live: Vec<Live>,
}

impl<R: Rule> Side<R> {
    fn new(rule: R) -> Self {
        let source = Reserve::with_capacity(64 << 20).unwrap();
        let heap = Heap::with(source, rule, Directory::new(), Key::FIXED).unwrap();
        let live = Vec::new();
        Self { heap, live }
    }

    /// The call alone, which allocates nothing but from the heap.
    fn call(&mut self, step: Step) -> Result<Option<NonNull<u8>>, Error> {
        let heap = &mut self.heap;
        match step {
            Step::Allocate(tag, layout) => Ok(Some(heap.allocate(tag, layout)?.cast())),
            Step::Deallocate(index) => {
                let Live { ptr, layout, .. } = self.live[index];
                // SAFETY: the block is the test's.
                unsafe { heap.deallocate(ptr, layout)? };
                Ok(None)
            }
            Step::Resize(index, new) => {
                let Live { ptr, layout, .. } = self.live[index];
                let resized = if new.size() >= layout.size() {
                    // SAFETY: as above.
                    unsafe { heap.grow(ptr, layout, new) }
                } else {
                    // SAFETY: as above.
                    unsafe { heap.shrink(ptr, layout, new) }
                };
                Ok(Some(resized?.cast()))
            }
            Step::Retag(index, tag) => heap.retag(self.live[index].ptr, tag).map(|()| None),
            Step::Merge(from, to) => heap.merge(from, to).map(|_| None),
            // SAFETY: as above.
            Step::Release(tag) => unsafe { heap.release(tag) }.map(|_| None),
            Step::Name(tag) => heap.set_name(tag, "a name").map(|()| None),
            Step::Limit(tag) => heap.set_limit(tag, Some(1 << 30)).map(|()| None),
        }
    }

    /// What the call did; where the block lies that it answered.
    fn note(&mut self, step: Step, answer: Option<NonNull<u8>>) -> Option<usize> {
        match step {
            Step::Allocate(tag, layout) => self.live.push(Live {
                ptr: answer?,
                layout,
                tag,
            }),
            Step::Deallocate(index) => drop(self.live.swap_remove(index)),
            Step::Resize(index, layout) => {
                self.live[index].ptr = answer?;
                self.live[index].layout = layout;
            }
            Step::Retag(index, tag) => self.live[index].tag = tag,
            Step::Merge(from, to) => {
                let given = self.live.iter_mut().filter(|live| live.tag == from);
                given.for_each(|live| live.tag = to);
            }
            Step::Release(tag) => self.live.retain(|live| live.tag != tag),
            Step::Name(_) | Step::Limit(_) => {}
        }
        Some(answer?.addr().get() - self.heap.base())
    }

    /// All blocks, and all that is known of tags but how often they were refused something.
    fn seen(&self) -> (Vec<Block>, Vec<TagStats>) {
        let base = self.heap.base();
        let blocks = self.heap.walk().map(|block| {
            let block = block.unwrap();
            Block {
                at: block.at - base,
                ..block
            }
        });
        let tags = self.heap.tags().map(|stats| TagStats {
            failures: 0,
            ..stats
        });
        // Of one that was only refused nothing else is known; a tag of the heap's own has no account.
        let is_known = |stats: &TagStats| {
            stats.largest > 0
                || stats.peak > 0
                || stats.limit.is_some()
                || !stats.name.as_str().is_empty()
                || stats.tag.is_reserved()
        };
        let mut tags: Vec<_> = tags.filter(is_known).collect();
        tags.sort_by_key(|stats| stats.tag);
        (blocks.collect(), tags)
    }
}

fn draw(random: &mut Rng, live: usize, round: u64) -> Step {
    let tag = |random: &mut Rng| Tag::new(random.u64(1..4 + round / 16));
    let layout = |random: &mut Rng| {
        let size = random.usize(..600);
        Layout::from_size_align(size, 1 << random.u32(..7)).unwrap()
    };
    let one = tag(random);
    match random.u32(..100) {
        0 => Step::Release(one),
        1 => Step::Merge(one, tag(random)),
        2 => Step::Name(one),
        3 => Step::Limit(one),
        4..12 if live > 0 => Step::Retag(random.usize(..live), one),
        12..24 if live > 0 => Step::Resize(random.usize(..live), layout(random)),
        24..45 if live > 0 => Step::Deallocate(random.usize(..live)),
        _ => Step::Allocate(one, layout(random)),
    }
}

/// Does something while the kernel maps nothing more for this process.
fn without_mappings<T>(work: impl FnOnce() -> T) -> T {
    let set = |soft| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: of this process, which is the test's.
        let answer = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
        assert_eq!(answer, 0);
    };
    set(1);
    let answer = work();
    set(libc::RLIM_INFINITY);
    answer
}

fn run<R: Rule>(rule: R, seed: u64, often: u8) {
    let mut random = Rng::with_seed(seed);
    let (mut free, mut refused) = (Side::new(rule), Side::new(rule));
    let mut refusals = 0;
    for round in 0..3000 {
        let step = draw(&mut random, free.live.len(), round);
        let wanted = free.call(step).unwrap();
        let wanted = free.note(step, wanted);
        let mut answer = None;
        if random.u8(..100) < often {
            let before = refused.seen();
            answer = match without_mappings(|| refused.call(step)) {
                Ok(answer) => Some(answer),
                Err(Error::OutOfMemory(error)) => {
                    assert_eq!(error.cause, Shortage::Index, "{error} in {step:?}");
                    assert_eq!(refused.seen(), before, "{step:?} was refused");
                    refusals += 1;
                    None
                }
                Err(error) => panic!("{error} in {step:?}"),
            };
            refused.heap.check().unwrap();
        }
        let answer = answer.unwrap_or_else(|| refused.call(step).unwrap());
        assert_eq!(refused.note(step, answer), wanted, "{step:?}");
    }
    refused.heap.check().unwrap();
    assert_eq!(refused.seen(), free.seen());
    // The leaves, their maxima and what is beside them; accounts, and where they are found.
    assert!(often < 100 || refusals >= 8, "only {refusals} refusals");
}

#[test]
fn an_index_that_may_not_grow_refuses_and_changes_nothing() {
    const ALONE: &str = "TAGHEAP_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        for seed in 0..4 {
            for often in [100, 30] {
                run(Split, seed, often);
                run(Whole, seed, often);
            }
        }
        return;
    }
    // The limit is a whole process's.
    let mut command = Command::new(env::current_exe().unwrap());
    let test = "refused::an_index_that_may_not_grow_refuses_and_changes_nothing";
    command.args([test, "--exact", "--test-threads=1"]);
    let output = command.env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
