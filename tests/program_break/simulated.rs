//! A break that answers what the kernel rarely does (B05), and one that counts.

use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::ptr;

use proptest::prelude::*;
use tagheap::{Break, Corruption, Error, Heap, OutOfMemory, Shortage};

use crate::ground::{Blocks, Foreign, KIB, MIB, MINE, Mine, PAGE, bytes, digest, fences, pointer};

/// What the simulated break answers to a wish to move it.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// As the kernel: it moves.
    Kind,
    /// Somebody else takes so many bytes in the same moment: it stands above what was asked for.
    Overtaken { by: usize, times: usize },
    /// Every call, even a question, answers this number.
    Says(usize),
}

/// The break as the simulation has it.
struct Simulated {
    area: Range<usize>,
    now: usize,
    mood: Mood,
}

thread_local! {
    static SIMULATED: RefCell<Option<Simulated>> = const { RefCell::new(None) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn with<T>(work: impl FnOnce(&mut Simulated) -> T) -> T {
    SIMULATED.with_borrow_mut(|simulated| work(simulated.as_mut().expect("an area")))
}

fn set_mood(mood: Mood) {
    with(|it| it.mood = mood);
}

/// Behaves as the kernel's call does, unless its mood is another.
fn call(to: usize) -> usize {
    CALLS.set(CALLS.get() + 1);
    with(|it| {
        let wanted = to != 0 && it.area.contains(&to);
        match &mut it.mood {
            Mood::Says(number) => return *number,
            Mood::Overtaken { by, times } if wanted && *times > 0 => {
                *times -= 1;
                let by = *by;
                it.move_to(to + by);
            }
            _ if wanted => it.move_to(to),
            _ => {}
        }
        it.now
    })
}

impl Simulated {
    /// Whole pages that the break leaves are gone; they are zero when it comes back.
    fn move_to(&mut self, to: usize) {
        let [from, end] = [to, self.now].map(|at| at.next_multiple_of(PAGE));
        if from < end {
            // SAFETY: these pages lie in the area, and nobody uses memory above the break.
            unsafe { pointer(from).write_bytes(0, end - from) };
        }
        self.now = to;
    }
}

/// A break somewhere in 16 MiB of its own, and the heap over it.
fn simulated_break(odd: usize) -> Break {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping touches nobody's memory. It is never unmapped.
    let area = unsafe { libc::mmap(ptr::null_mut(), 16 * MIB, access, flags, -1, 0) };
    assert_ne!(area, libc::MAP_FAILED, "memory");
    let start = area.expose_provenance();
    SIMULATED.set(Some(Simulated {
        area: start..start + 16 * MIB,
        now: start + odd,
        mood: Mood::Kind,
    }));
    CALLS.set(0);
    // SAFETY: what lies below the simulated break is readable, writable, and nobody else's.
    unsafe { Break::with_call(call) }
}

fn simulated_heap() -> Heap<Break> {
    Heap::new(simulated_break(40)).expect("room")
}

fn refused(answer: &Result<impl Sized, Error>) -> bool {
    matches!(
        answer,
        Err(Error::OutOfMemory(OutOfMemory {
            cause: Shortage::Refused,
            ..
        }))
    )
}

pub(crate) fn b05_an_answer_above_what_was_asked_is_fenced() {
    for by in [1, 16, 100, PAGE, 100 * KIB] {
        let mut heap = simulated_heap();
        let blocks = Blocks::take(&mut heap, 20, 1000);
        let before = with(|it| it.now);
        set_mood(Mood::Overtaken { by, times: 1 });
        let behind = Mine::take(&mut heap, 300 * KIB).expect("room");
        let fences = fences(&heap);
        assert_eq!(fences.len(), 1, "{}", heap.drawing());
        // Which bytes are somebody else's cannot be told: all above the old break may be.
        assert!(fences[0].payload() <= before && fences[0].end() <= behind.address());
        blocks.assert_intact();
        behind.assert_intact();
        heap.check().expect("a whole heap");
    }
}

pub(crate) fn b05_answers_above_for_ever_are_a_refusal() {
    let mut heap = simulated_heap();
    let blocks = Blocks::take(&mut heap, 20, 1000);
    set_mood(Mood::Overtaken {
        by: PAGE,
        times: usize::MAX,
    });
    let before = digest(&heap);
    let calls = CALLS.get();
    let answer = heap.allocate(MINE, bytes(300 * KIB));
    assert!(refused(&answer), "{answer:?}");
    assert!(CALLS.get() - calls <= 16, "it ends");
    assert_eq!(digest(&heap), before);
    blocks.assert_intact();

    set_mood(Mood::Kind);
    Mine::take(&mut heap, 300 * KIB).expect("the next growth succeeds");
    heap.check().expect("a whole heap");
    blocks.assert_intact();
}

/// What a filter answers in the place of the call: an error number, which is no address.
const ERRORS: [usize; 3] = [usize::MAX, usize::MAX - 37, usize::MAX - 11];

pub(crate) fn b05_an_answer_that_is_no_address_is_a_refusal() {
    for number in ERRORS {
        let _ = simulated_break(0);
        set_mood(Mood::Says(number));
        // SAFETY: as above; this break never grants anything.
        let answer = Heap::new(unsafe { Break::with_call(call) });
        assert!(refused(&answer), "{number:#x}: {answer:?}");
    }
}

pub(crate) fn b05_a_filter_installed_later_is_a_refusal() {
    for number in ERRORS {
        let mut heap = simulated_heap();
        let blocks = Blocks::take(&mut heap, 20, 1000);
        set_mood(Mood::Says(number));
        let before = digest(&heap);
        let answer = heap.allocate(MINE, bytes(300 * KIB));
        assert!(refused(&answer), "{number:#x}: {answer:?}");
        assert_eq!(digest(&heap), before);
        assert_eq!(heap.trim(), 0);
        heap.check().expect("nothing is lost");
        blocks.assert_intact();

        set_mood(Mood::Kind);
        Mine::take(&mut heap, 300 * KIB).expect("the next growth succeeds");
        assert_eq!(fences(&heap), []);
        heap.check().expect("a whole heap");
    }
}

pub(crate) fn growth_asks_the_kernel_twice_for_128_kib_at_most() {
    let mut heap = simulated_heap();
    let first = CALLS.get();
    assert!(first <= 3, "{first} calls for the first step");
    let before = with(|it| it.now);
    for _ in 0..4000 {
        heap.allocate(MINE, bytes(1000)).expect("room");
    }
    let (calls, grown) = (CALLS.get() - first, with(|it| it.now) - before);
    assert!(grown > 3 * MIB);
    assert!(
        calls <= 2 * (grown / (128 * KIB)),
        "{calls} calls for {grown} bytes"
    );
    let calls = CALLS.get();
    for _ in 0..100 {
        // SAFETY: nobody uses the blocks.
        unsafe { heap.release(MINE) }.expect("a whole row");
        heap.allocate(MINE, bytes(2 * MIB)).expect("room");
    }
    assert_eq!(
        CALLS.get(),
        calls,
        "memory that was granted is used again without a call"
    );
}

/// A step of a program that shares its break.
#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    AllocateZeroed(usize),
    Free(prop::sample::Index),
    Release,
    Trim,
    Purge,
    ForeignTakes(usize),
    ForeignGivesBack,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1..5000_usize, 1..300 * KIB];
    prop_oneof![
        4 => size.clone().prop_map(Step::Allocate),
        2 => size.prop_map(Step::AllocateZeroed),
        4 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => Just(Step::Release),
        2 => Just(Step::Trim),
        2 => Just(Step::Purge),
        2 => (1..20_000_usize).prop_map(Step::ForeignTakes),
        1 => Just(Step::ForeignGivesBack),
    ]
}

pub(crate) fn b06_any_mix_of_operations_and_foreign_moves() {
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec(step(), 1..60);
    proptest!(config, |(odd in 0..100_usize, steps in steps)| { share_the_break(odd, steps) });
}

fn share_the_break(odd: usize, steps: Vec<Step>) {
    let mut heap = Heap::new(simulated_break(odd)).expect("room");
    let mut mine: Vec<Mine> = Vec::new();
    let mut foreign: Vec<Foreign> = Vec::new();
    for step in steps {
        match step {
            Step::Allocate(size) => mine.extend(Mine::take(&mut heap, size)),
            Step::AllocateZeroed(size) => mine.extend(Mine::take_zeroed(&mut heap, size)),
            Step::Free(index) if !mine.is_empty() => {
                mine.swap_remove(index.index(mine.len()))
                    .give_back(&mut heap);
            }
            Step::Free(_) => {}
            Step::Release => {
                // SAFETY: the blocks are forgotten.
                let released = unsafe { heap.release(MINE) }.expect("a whole row");
                assert_eq!(released.blocks, mine.len());
                mine.clear();
            }
            Step::Trim => {
                heap.trim();
            }
            Step::Purge => {
                heap.purge().expect("a whole row");
            }
            Step::ForeignTakes(bytes) => {
                let start = with(|it| it.now);
                if call(start + bytes) == start + bytes {
                    foreign.push(Foreign::fill(start..start + bytes));
                }
            }
            Step::ForeignGivesBack => {
                // Only what lies at the break can be given back.
                let top = with(|it| it.now);
                if foreign.last().is_some_and(|last| last.range.end == top) {
                    let last = foreign.pop().expect("the last one");
                    assert_eq!(call(last.range.start), last.range.start);
                }
            }
        }
        heap.check().expect("a whole heap");
        mine.iter().for_each(Mine::assert_intact);
        foreign.iter().for_each(Foreign::assert_intact);
    }
    // A move below what the heap was granted is found, whatever went before.
    Mine::take(&mut heap, 1).ok();
    let last = with(|it| it.now) - PAGE / 2;
    if foreign
        .last()
        .is_none_or(|foreign| foreign.range.end < last)
    {
        assert_eq!(call(last), last);
        let found = heap.check();
        assert!(
            matches!(found, Err(Corruption::BreakMoved { .. })),
            "{:?}",
            found
        );
    }
}
