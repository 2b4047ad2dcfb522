//! Forks while other threads are in the heap: row F06 of the gauntlet.
//!
//! A child has one thread and must not rely on anything of libc's that takes a lock: it allocates from the heap
//! alone, and says by its exit code how that went.

use core::alloc::Layout;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tagheap::{Bump, Error, Kind, LockFree, Locked, Pool, Reserve, Share, SharedHeap, Tag, Typed};

use crate::soak;
use crate::threads::{TAG, shared};

const WORDS: Layout = Layout::new::<[u64; 8]>();

/// For how long each test forks unless `TAGHEAP_SOAK` says otherwise, and how often at most.
const TIME: Duration = Duration::from_secs(2);
const MOST: usize = 10_000;

/// Forks again and again while another thread works; a child does its own work and ends.
fn fork_while(
    work: impl Fn() + Sync,
    fork: impl Fn() -> i32,
    child: impl Fn() -> Result<(), Error>,
) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                work();
            }
        });
        let (start, mut forks) = (Instant::now(), 0);
        let time = soak(TIME);
        while forks < MOST && (start.elapsed() < time || forks < 10) {
            let process = fork();
            let (ended, status) = see_through(process, 20, &child);
            if ended != process || status != 0 {
                over.store(true, Ordering::Relaxed);
                panic!("fork {forks}: child {process} ended {ended} with status {status:#x}");
            }
            forks += 1;
        }
        over.store(true, Ordering::Relaxed);
        println!("{forks} forks in {:?}", start.elapsed());
    });
}

/// Has the child of a fork work, and waits for it in the parent: who ended, and how. Work of more seconds kills it.
fn see_through(process: i32, seconds: u32, work: impl FnOnce() -> Result<(), Error>) -> (i32, i32) {
    assert!(process >= 0);
    if process == 0 {
        // SAFETY: deadly, if the child hangs; nothing of the parent's.
        unsafe { libc::alarm(seconds) };
        let code = i32::from(work().is_err());
        // SAFETY: ends the child, and runs nothing of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: our own child.
    let ended = unsafe { libc::waitpid(process, &raw mut status, 0) };
    (ended, status)
}

/// Takes a block and gives it back.
fn visit(heap: &impl Share) -> Result<(), Error> {
    let block = heap.allocate(TAG, WORDS)?;
    // SAFETY: handed out for this layout.
    unsafe { heap.deallocate(block.cast(), WORDS) }
}

#[test]
fn f06_the_child_of_a_fork_uses_the_heap() {
    let heap = shared();
    fork_while(
        || visit(&heap).unwrap(),
        || {
            heap.before_fork().unwrap();
            // SAFETY: the child calls what it may.
            let process = unsafe { libc::fork() };
            // SAFETY: in the parent and in the child, once each.
            unsafe { heap.after_fork() };
            process
        },
        || {
            let pool = Pool::new(&heap, Tag::named("child"));
            pool.alloc_slice_copy(&[1, 2, 3])?;
            heap.look(|heap| heap.check())??;
            drop(pool);
            visit(&heap)
        },
    );
    heap.look(|heap| heap.check()).unwrap().unwrap();
    assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
}

/// Forks; answers how the child ended, which does its work and is killed if that takes a second.
fn status_of_a_child(work: impl FnOnce() -> Result<(), Error>) -> i32 {
    // SAFETY: the child does its work, which calls what it may, and ends.
    let process = unsafe { libc::fork() };
    let (ended, status) = see_through(process, 1, work);
    assert_eq!(ended, process);
    status
}

/// A fork waits for the thread that holds the lock. One that does not has a child in which nobody gives it back.
#[test]
fn f06_a_fork_while_another_thread_holds_the_lock() {
    let heap = shared();
    let [holds, may_go, has_gone] = [const { AtomicBool::new(false) }; 3];
    let wait_for = |word: &AtomicBool| {
        while !word.load(Ordering::Acquire) {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let inside = heap.look(|_heap| {
                holds.store(true, Ordering::Release);
                wait_for(&may_go);
                // Whoever asks for the lock meanwhile waits.
                thread::sleep(Duration::from_millis(20));
                has_gone.store(true, Ordering::Release);
            });
            inside.unwrap();
        });
        wait_for(&holds);
        let status = status_of_a_child(|| visit(&heap));
        let held = !has_gone.load(Ordering::Acquire);
        may_go.store(true, Ordering::Release);
        assert!(held && libc::WIFSIGNALED(status), "{status:#x}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGALRM);

        heap.before_fork().unwrap();
        assert!(has_gone.load(Ordering::Acquire), "it waited");
        let status = status_of_a_child(|| {
            // SAFETY: in the child, once.
            unsafe { heap.after_fork() };
            visit(&heap)
        });
        // SAFETY: in the parent, once.
        unsafe { heap.after_fork() };
        assert_eq!(status, 0);
    });
    visit(&heap).unwrap();
    heap.look(|heap| heap.check()).unwrap().unwrap();
}

#[test]
fn f06_the_child_of_a_fork_uses_its_pools() {
    let heap = shared();
    let locked = Locked::new(Bump::new(Pool::new(&heap, Tag::new(1))));
    let slots = LockFree::new(Pool::new(&heap, Tag::new(2)), WORDS, 10).unwrap();
    fork_while(
        || {
            drop(locked.own([0_u64; 8]).unwrap());
            drop(slots.own([0_u64; 8]).unwrap());
            slots.check().unwrap();
            visit(&heap).unwrap();
        },
        || {
            locked.before_fork().unwrap();
            slots.before_fork().unwrap();
            heap.before_fork().unwrap();
            // SAFETY: the child calls what it may.
            let process = unsafe { libc::fork() };
            // SAFETY: in the parent and in the child, once each.
            unsafe { heap.after_fork() };
            // SAFETY: as above.
            unsafe { slots.after_fork() };
            // SAFETY: as above.
            unsafe { locked.after_fork() };
            process
        },
        || {
            locked.alloc([1_u64; 4000])?;
            // One slot may be in the hands of the thread that is not here.
            for _ in 0..9 {
                slots.alloc([2_u64; 8])?;
            }
            locked.check()?;
            slots.check()?;
            visit(&heap)
        },
    );
    assert_eq!(
        (
            locked.usage().unwrap().live(),
            slots.usage().unwrap().live()
        ),
        (0, 0)
    );
}

static HEAP: OnceLock<SharedHeap<Reserve>> = OnceLock::new();
static TAKEN: AtomicBool = AtomicBool::new(false);

extern "C" fn prepare() {
    if let Some(heap) = HEAP.get() {
        TAKEN.store(heap.before_fork().is_ok(), Ordering::Relaxed);
    }
}

extern "C" fn resume() {
    if let Some(heap) = HEAP.get()
        && TAKEN.load(Ordering::Relaxed)
    {
        // SAFETY: taken by `prepare` in this thread, or the one it is the copy of.
        unsafe { heap.after_fork() };
    }
}

#[test]
fn f06_pthread_atfork_takes_the_three() {
    unsafe extern "C" fn before() {
        prepare();
    }
    unsafe extern "C" fn after() {
        resume();
    }
    let heap = HEAP.get_or_init(shared);
    // SAFETY: the functions may be called at any fork.
    let set = unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    assert_eq!(set, 0);
    fork_while(
        || visit(heap).unwrap(),
        // SAFETY: the child calls what it may.
        || unsafe { libc::fork() },
        || {
            heap.look(|heap| heap.check())??;
            visit(heap)
        },
    );
    heap.look(|heap| heap.check()).unwrap().unwrap();
}
