//! Signal handlers that allocate: row F05 of the gauntlet.

use core::alloc::Layout;
use core::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tagheap::{
    Bump, Error, Kind, LockFree, Locked, Misuse, Pool, Reserve, Share, SharedHeap, Tag, Typed,
};

use crate::storm::{Storm, handle};
use crate::threads::{TAG, shared};

const INSIDE: Tag = Tag::named("handler");
const WORD: Layout = Layout::new::<u64>();

type Heap = SharedHeap<Reserve>;

/// Sends this thread a signal, whose handler has run when this is over.
fn raise(signal: i32) {
    // SAFETY: there is a handler.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// What a handler met, counted.
#[derive(Default)]
struct Met {
    served: AtomicUsize,
    reentered: AtomicUsize,
    other: AtomicUsize,
}

impl Met {
    const fn nothing() -> Self {
        Self {
            served: AtomicUsize::new(0),
            reentered: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
        }
    }

    fn note<T>(&self, answer: &Result<T, Error>) {
        let met = match answer {
            Ok(_) => &self.served,
            Err(Error::Misuse(Misuse::Reentered)) => &self.reentered,
            Err(_) => &self.other,
        };
        met.fetch_add(1, Relaxed);
    }

    fn all(&self) -> [usize; 3] {
        [&self.served, &self.reentered, &self.other].map(|count| count.load(Relaxed))
    }
}

/// Takes a block and gives it back.
fn visit(heap: &Heap) -> Result<(), Error> {
    let block = heap.allocate(INSIDE, WORD)?;
    // SAFETY: handed out for this layout.
    unsafe { heap.deallocate(block.cast(), WORD) }
}

#[test]
fn f05_a_handler_inside_the_lock_is_told_so() {
    static HEAP: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
    static MET: Met = Met::nothing();
    extern "C" fn handler(_signal: i32) {
        // SAFETY: the test keeps the heap while it raises signals.
        let heap = unsafe { &*HEAP.load(Relaxed) };
        MET.note(&visit(heap));
    }
    let heap = shared();
    HEAP.store(ptr::from_ref(&heap).cast_mut(), Relaxed);
    handle(libc::SIGUSR1, handler);
    raise(libc::SIGUSR1);
    assert_eq!(MET.all(), [1, 0, 0], "nobody has the lock");
    heap.look(|_heap| raise(libc::SIGUSR1)).unwrap();
    assert_eq!(MET.all(), [1, 1, 0]);
    assert_eq!(
        heap.stats_of(INSIDE).unwrap().blocks,
        0,
        "the lock was given back"
    );
    raise(libc::SIGUSR1);
    assert_eq!(MET.all(), [2, 1, 0]);
}

#[test]
fn f05_a_handler_inside_an_alarm_is_told_so() {
    type Shared = Locked<Bump<&'static Heap>>;
    static POOL: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
    static MET: Met = Met::nothing();
    extern "C" fn handler(_signal: i32) {
        // SAFETY: the test keeps the pool while it raises signals.
        let pool = unsafe { &*POOL.load(Relaxed) };
        MET.note(&pool.allocate(WORD));
        MET.note(&pool.usage());
        MET.note(&pool.contains(ptr::NonNull::dangling()));
        MET.note(&pool.before_fork().map_err(Error::from));
    }
    let heap: &'static Heap = Box::leak(Box::new(shared()));
    let alarmed = Pool::new(heap, TAG).bounded(1000);
    let alarmed = alarmed.alarmed_at(50, |_tag, _usage| raise(libc::SIGUSR2));
    let pool = Locked::new(Bump::new(alarmed));
    POOL.store(ptr::from_ref(&pool).cast_mut(), Relaxed);
    handle(libc::SIGUSR2, handler);
    pool.alloc([0_u8; 100]).unwrap();
    assert_eq!(MET.all(), [0; 3]);
    pool.alloc([0_u8; 500]).unwrap();
    assert_eq!(MET.all(), [0, 4, 0]);
    assert_eq!(pool.usage().unwrap().live(), 2);
    pool.check().unwrap();
}

/// What the storm's handler uses.
struct Field {
    heap: Heap,
    slots: LockFree<&'static Heap>,
    in_heap: Met,
    in_slots: Met,
}

static FIELD: AtomicPtr<Field> = AtomicPtr::new(ptr::null_mut());

extern "C" fn strike(_signal: i32) {
    // SAFETY: the field is leaked.
    let field = unsafe { &*FIELD.load(Relaxed) };
    field.in_heap.note(&visit(&field.heap));
    let [one, two] = [(); 2].map(|()| field.slots.allocate(WORD));
    for answer in [one, two] {
        field.in_slots.note(&answer);
        if let Ok(slot) = answer {
            // SAFETY: handed out for this layout.
            field
                .in_slots
                .note(&unsafe { field.slots.deallocate(slot.cast(), WORD) });
        }
    }
}

/// Takes and gives back, in the heap and in slots, for a while; answers how often.
fn work(field: &Field, tag: Tag) -> usize {
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(1) {
        for _ in 0..100 {
            rounds += 1;
            let block = field.heap.allocate(tag, WORD).unwrap();
            let slot = field.slots.allocate(WORD).unwrap();
            // SAFETY: handed out for this layout.
            unsafe { slot.cast::<usize>().write(rounds) };
            // SAFETY: handed out for this layout.
            unsafe { field.heap.deallocate(block.cast(), WORD) }.unwrap();
            // SAFETY: written above, and nobody else's.
            assert_eq!(unsafe { slot.cast::<usize>().read() }, rounds);
            // SAFETY: handed out for this layout.
            unsafe { field.slots.deallocate(slot.cast(), WORD) }.unwrap();
        }
    }
    rounds
}

#[test]
fn f05_a_storm_of_signals_over_two_threads() {
    let own: &'static Heap = Box::leak(Box::new(shared()));
    let field: &'static Field = Box::leak(Box::new(Field {
        heap: shared(),
        slots: LockFree::new(Pool::new(own, TAG), WORD, 20).unwrap(),
        in_heap: Met::nothing(),
        in_slots: Met::nothing(),
    }));
    FIELD.store(ptr::from_ref(field).cast_mut(), Relaxed);
    let signal = libc::SIGRTMIN();
    handle(signal, strike);
    thread::scope(|scope| {
        for number in 1..=2 {
            scope.spawn(move || {
                let _storm = Storm::over_this_thread(signal, Duration::from_micros(300));
                work(field, Tag::new(number))
            });
        }
    });
    let (in_heap, in_slots) = (field.in_heap.all(), field.in_slots.all());
    println!("heap {in_heap:?}, slots {in_slots:?}: served, re-entered, other");
    assert!(
        in_heap[0] > 0 && in_heap[1] > 0 && in_heap[2] == 0,
        "{in_heap:?}"
    );
    assert!(in_slots[0] > 0, "{in_slots:?}");
    assert_eq!(in_slots[1..], [0, 0], "never refused");
    let usage = field.slots.usage().unwrap();
    assert_eq!((usage.live(), usage.failures), (0, 0), "{usage}");
    field.slots.check().unwrap();
    field.heap.look(|heap| heap.check()).unwrap().unwrap();
    assert_eq!(field.heap.stats_of(INSIDE).unwrap().blocks, 0);
}
