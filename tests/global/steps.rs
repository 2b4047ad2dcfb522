//! F05, to the instruction: a signal handler behind each one of a request, in a run of its own.

use core::arch::asm;
use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use tagheap::{Error, Misuse, Tag, scope};

use crate::HEAP;
use crate::careless::{face, free};
use crate::support::{Piece, alone, assert_filled, bytes, double_free, objects, pieces};

const HERE: Tag = Tag::named("step");
const AFAR: Tag = Tag::named("step afa");
const SMALL: usize = 64;
const LARGE: usize = 8192;

/// Instructions until the handler does something, and whether it did.
static LEFT: AtomicUsize = AtomicUsize::new(0);
static STRUCK: AtomicBool = AtomicBool::new(false);

/// What it does then.
static ACT: AtomicUsize = AtomicUsize::new(0);

/// What handlers hold, each byte of it this.
static KEPT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
const SIZES: [usize; 2] = [SMALL, LARGE];
const BYTE: u8 = 0x77;

/// Tags that handlers used: each time another.
static TAGS: AtomicUsize = AtomicUsize::new(1);

fn served(answer: Result<NonNull<[u8]>, Error>) -> Option<NonNull<u8>> {
    match answer {
        Ok(slice) => Some(slice.cast()),
        Err(Error::Misuse(Misuse::Reentered)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Gives back what handlers hold of a size, if anything, and if the heap is free for it.
fn drop_kept(which: usize) {
    let (kept, size) = (&KEPT[which], SIZES[which]);
    let Some(at) = NonNull::new(ptr::without_provenance_mut(kept.swap(0, Relaxed))) else {
        return;
    };
    assert_filled(at, size, BYTE);
    match free(at, bytes(size)) {
        Ok(()) => {}
        Err(Error::Misuse(Misuse::Reentered)) => kept.store(at.addr().get(), Relaxed),
        Err(error) => panic!("{error}"),
    }
}

/// Gives back what handlers hold, and then what the test does.
fn give_all_back<const COUNT: usize>(held: [Piece; COUNT]) {
    (0..KEPT.len()).for_each(drop_kept);
    held.into_iter().for_each(Piece::give_back);
}

/// Keeps another of a size in place of the one before.
fn keep(which: usize) {
    drop_kept(which);
    if KEPT[which].load(Relaxed) == 0
        && let Some(at) = served(HEAP.allocate(bytes(SIZES[which])))
    {
        Piece::of(at, bytes(SIZES[which]), BYTE);
        KEPT[which].store(at.addr().get(), Relaxed);
    }
}

/// Takes memory under tags that are new, and gives it back.
fn take_under_others() {
    // Each finds another stock that is not in use; the last one's is not looked at again.
    for _ in 0..1 + TAGS.load(Relaxed) % 5 {
        let tag = Tag::new(1 << 33 | TAGS.fetch_add(1, Relaxed) as u64);
        if let Some(at) = served(scope(tag, || HEAP.allocate(bytes(SMALL)))) {
            assert_eq!(HEAP.tag_of(at).unwrap_or(tag), tag);
            free(at, bytes(SMALL)).unwrap();
        }
    }
}

const ACTS: [fn(); 5] = [
    || {
        if let Some(at) = face::alloc(bytes(SMALL)) {
            face::dealloc(at, bytes(SMALL));
        }
    },
    take_under_others,
    || keep(0),
    || keep(1),
    || {
        let trimmed = HEAP.trim();
        assert!(matches!(
            trimmed,
            Ok(_) | Err(Error::Misuse(Misuse::Reentered))
        ));
        take_under_others();
    },
];

/// The processor's flag by which it stops behind each instruction.
const TRAP: libc::greg_t = 1 << 8;

extern "C" fn step(_signal: i32, _why: *mut libc::siginfo_t, context: *mut c_void) {
    let left = LEFT.load(Relaxed);
    if left > 0 {
        LEFT.store(left - 1, Relaxed);
        return;
    }
    // SAFETY: what the kernel restores when this is over.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP;
    STRUCK.store(true, Relaxed);
    ACTS[ACT.load(Relaxed)]();
}

/// Does something with the handler behind an instruction of it; whether there are so many.
#[inline(never)]
fn struck<T>(behind: usize, work: impl FnOnce() -> T) -> (T, bool) {
    LEFT.store(behind, Relaxed);
    STRUCK.store(false, Relaxed);
    // SAFETY: there is a handler, and it sees to what is used here.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 256", "popfq") };
    let answer = work();
    // SAFETY: as it was before.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
    (answer, STRUCK.load(Relaxed))
}

fn handle_steps() {
    // SAFETY: all zeroes are a value of it.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = step as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler uses atomics and what it is here to test.
    let answer = unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()) };
    assert_eq!(answer, 0);
}

/// Has each act done behind each instruction of what `round` does with [`struck`], or behind every so many.
fn behind_each(every: usize, round: impl Fn(usize) -> bool) {
    acted_behind_each(every, ACTS.len(), round);
}

/// As that, with so many acts only.
fn acted_behind_each(every: usize, acts: usize, round: impl Fn(usize) -> bool) {
    handle_steps();
    for act in 0..acts {
        ACT.store(act, Relaxed);
        let mut behind = act % every;
        while round(behind) {
            assert!(behind < 1_000_000);
            behind += every;
        }
        assert!(behind > 8 * every, "{behind} instructions");
        (0..KEPT.len()).for_each(drop_kept);
        assert!(KEPT.iter().all(|kept| kept.load(Relaxed) == 0));
    }
    let others = (1..TAGS.load(Relaxed)).map(|number| Tag::new(1 << 33 | number as u64));
    assert!(others.map(objects).all(|count| count == 0));
    HEAP.check().unwrap();
    // Else an operation were still under way.
    HEAP.trim().unwrap();
}

#[test]
fn f05_behind_each_instruction_with_slots_at_hand() {
    alone(|| {
        scope(HERE, || {
            pieces(HERE, SMALL, 20)
                .into_iter()
                .for_each(Piece::give_back);
            behind_each(1, |behind| {
                let (taken, is_more) = struck(behind, || {
                    let [first, second] = [(); 2].map(|()| face::alloc(bytes(SMALL)).unwrap());
                    face::dealloc(first, bytes(SMALL));
                    [second, face::alloc(bytes(SMALL)).unwrap()]
                });
                let held = taken.map(|at| Piece::of(at, bytes(SMALL), 1));
                assert!(
                    held.iter()
                        .all(|piece| HEAP.tag_of(piece.start) == Ok(HERE))
                );
                give_all_back(held);
                is_more
            });
        });
        assert_eq!(objects(HERE), 0);
    });
}

#[test]
fn f05_behind_each_instruction_of_a_scope() {
    const INNER: Tag = Tag::named("step in");
    alone(|| {
        scope(HERE, || {
            behind_each(1, |behind| {
                let take = || HEAP.allocate(bytes(SMALL)).unwrap().cast();
                let (taken, is_more) = struck(behind, || [scope(INNER, take), take()]);
                assert_eq!(taken.map(|at| HEAP.tag_of(at)), [Ok(INNER), Ok(HERE)]);
                let held = taken.map(|at| Piece::of(at, bytes(SMALL), 1));
                give_all_back(held);
                is_more
            });
        });
        assert_eq!((objects(HERE), objects(INNER)), (0, 0));
    });
}

/// What the thread has under the tags is no span: it may be made another tag's, which the handler does.
#[test]
fn f05_behind_each_instruction_of_a_scope_without_spans() {
    const INNER: Tag = Tag::named("step bar");
    alone(|| {
        scope(HERE, || {
            behind_each(1, |behind| {
                for tag in [INNER, HERE] {
                    Piece::take(tag, bytes(SMALL), 1).give_back();
                }
                HEAP.trim().unwrap();
                let ((), is_more) = struck(behind, || scope(INNER, || ()));
                let at = HEAP.allocate(bytes(SMALL)).unwrap().cast();
                assert_eq!(HEAP.tag_of(at), Ok(HERE), "{behind}");
                (0..KEPT.len()).for_each(drop_kept);
                free(at, bytes(SMALL)).unwrap();
                is_more
            });
        });
        assert_eq!((objects(HERE), objects(INNER)), (0, 0));
    });
}

#[test]
fn f05_behind_each_instruction_of_giving_to_another_thread() {
    alone(|| {
        let theirs = thread::spawn(|| pieces(AFAR, SMALL, 20_000))
            .join()
            .unwrap();
        let left = RefCell::new(theirs.iter());
        let given = Cell::new(0);
        scope(HERE, || {
            behind_each(1, |behind| {
                let Some(piece) = left.borrow_mut().next() else {
                    panic!("{behind}");
                };
                let (answer, is_more) = struck(behind, || free(piece.start, piece.layout));
                answer.unwrap();
                given.set(given.get() + 1);
                assert_eq!(
                    free(piece.start, piece.layout),
                    Err(double_free(piece.start))
                );
                is_more
            });
        });
        assert_eq!(objects(AFAR), theirs.len() - given.get());
        left.into_inner().for_each(|piece| piece.free().unwrap());
        assert_eq!((objects(AFAR), objects(HERE)), (0, 0));
    });
}

/// New spans, and spans that go: with the lock taken, too.
#[test]
fn f05_behind_many_an_instruction_of_spans_that_come_and_go() {
    alone(|| {
        scope(HERE, || {
            behind_each(757, |behind| {
                HEAP.trim().unwrap();
                let (taken, is_more) = struck(behind, || {
                    let taken = [(); 20].map(|()| face::alloc(bytes(LARGE)).unwrap());
                    taken[..18]
                        .iter()
                        .for_each(|at| face::dealloc(*at, bytes(LARGE)));
                    [taken[18], taken[19]]
                });
                let held = taken.map(|at| Piece::of(at, bytes(LARGE), 1));
                give_all_back(held);
                is_more
            });
        });
        assert_eq!(objects(HERE), 0);
    });
}

/// By who promised that nobody uses what is there: a handler does not, but may want memory for as long as it runs.
#[test]
fn f05_behind_many_an_instruction_of_a_release() {
    const GONE: Tag = Tag::named("step go");
    alone(|| {
        scope(GONE, || {
            acted_behind_each(61, 1, |behind| {
                // Spans and a block.
                pieces(GONE, SMALL, 100);
                Piece::take(GONE, bytes(LARGE), 1);
                Piece::take(GONE, bytes(4 * LARGE), 1);
                // SAFETY: nobody uses what is under the tag.
                let (amount, is_more) = struck(behind, || unsafe { HEAP.release(GONE) });
                assert!(amount.unwrap().blocks >= 3);
                assert_eq!(objects(GONE), 0, "{behind}");
                is_more
            });
        });
    });
}

/// A thread that comes, goes, and comes again.
#[test]
fn f05_behind_many_an_instruction_of_a_thread_that_comes_and_goes() {
    alone(|| {
        acted_behind_each(1499, 2, |behind| {
            let come_and_go = move || {
                struck(behind, || {
                    let first = face::alloc(bytes(SMALL)).unwrap();
                    HEAP.leave();
                    let second = scope(HERE, || face::alloc(bytes(SMALL))).unwrap();
                    [first, second].map(|at| at.expose_provenance())
                })
            };
            let (taken, is_more) = thread::spawn(come_and_go).join().unwrap();
            let of = |at| Piece::of(NonNull::with_exposed_provenance(at), bytes(SMALL), 1);
            let held = taken.map(of);
            assert_eq!(HEAP.tag_of(held[1].start), Ok(HERE));
            give_all_back(held);
            is_more
        });
        assert_eq!(objects(HERE), 0);
    });
}
