//! Several threads in one heap and in one pool: rows F01 to F03 and F07 of the gauntlet.
//!
//! F04, the ABA fault, is looked for by a model checker in `crates/interleave`. F05 is in `signals`, F06 in
//! `forks`.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
// Compiled here, so that ThreadSanitizer sees what it orders.
use spin::Mutex;
use tagheap::{
    Bump, Error, Heap, Kind, LocalHeap, LockFree, Locked, Misuse, Own, Pool, Reserve, Share,
    SharedHeap, SizeClasses, Tag, Timed, Typed,
};

use tagheap_trace::Held;

use crate::soak;

pub(crate) const TAG: Tag = Tag::named("shared");
const OTHER: Tag = Tag::named("other");
const WORDS: Layout = Layout::new::<[u64; 8]>();

/// How long threads are let loose on each other, unless `TAGHEAP_SOAK` says otherwise.
const TIME: Duration = Duration::from_millis(500);

pub(crate) fn shared() -> SharedHeap<Reserve> {
    SharedHeap::new(Heap::new(Reserve::new().unwrap()).unwrap())
}

/// A piece that goes from thread to thread, each byte of it the same.
struct Piece {
    start: NonNull<u8>,
    layout: Layout,
    byte: u8,
}

// SAFETY: a piece is somebody's alone, wherever he is.
unsafe impl Send for Piece {}

impl Piece {
    fn of(answer: NonNull<[u8]>, layout: Layout, byte: u8) -> Self {
        let start = answer.cast::<u8>();
        // SAFETY: just handed out for this layout.
        unsafe { start.write_bytes(byte, layout.size()) };
        Self {
            start,
            layout,
            byte,
        }
    }

    /// Until somebody takes it from the table nobody touches it.
    fn hide(self) -> Held<Self> {
        let (start, size) = (self.start, self.layout.size());
        Held::new(self, start, size)
    }

    fn assert_whole(&self) {
        let bytes = NonNull::slice_from_raw_parts(self.start, self.layout.size());
        // SAFETY: the piece is ours, and was filled.
        let bytes = unsafe { bytes.as_ref() };
        assert!(
            bytes.iter().all(|byte| *byte == self.byte),
            "{:?}",
            self.start
        );
    }

    fn give_back(self, kind: &impl Kind) {
        self.assert_whole();
        // SAFETY: handed out for this layout.
        unsafe { kind.deallocate(self.start, self.layout) }.unwrap();
    }
}

/// A place on the table for a piece.
type Seat = Mutex<Option<Held<Piece>>>;

/// One thread's life: it takes, resizes and gives back pieces, its own and those it finds on the table.
fn live(kind: &impl Kind, most: usize, table: &[Seat], seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let (start, time, mut steps) = (Instant::now(), soak(TIME), 0);
    while start.elapsed() < time {
        for _ in 0..64 {
            steps += 1;
            let seat = &table[rng.usize(..table.len())];
            let found = seat.lock().take().map(Held::show);
            let size = rng.usize(..=most);
            let layout = Layout::from_size_align(size, 8).unwrap();
            match found {
                None => match kind.allocate(layout) {
                    Ok(answer) => {
                        let piece = Piece::of(answer, layout, rng.u8(..));
                        let before = seat.lock().replace(piece.hide());
                        before
                            .into_iter()
                            .for_each(|piece| piece.show().give_back(kind));
                    }
                    Err(Error::OutOfMemory(_)) => {}
                    Err(other) => panic!("{other}"),
                },
                Some(piece) if rng.bool() && size >= piece.layout.size() => {
                    piece.assert_whole();
                    // SAFETY: handed out for this layout.
                    match unsafe { kind.grow(piece.start, piece.layout, layout) } {
                        Ok(answer) => {
                            let start = answer.cast();
                            Piece { start, ..piece }.assert_whole();
                            Piece::of(answer, layout, rng.u8(..)).give_back(kind);
                        }
                        Err(Error::OutOfMemory(_)) => piece.give_back(kind),
                        Err(other) => panic!("{other}"),
                    }
                }
                Some(piece) => piece.give_back(kind),
            }
        }
    }
    steps
}

/// Four threads in one pool: nothing overlaps, nothing is lost, and the numbers agree.
fn share(kind: &(impl Kind + Sync), most: usize) {
    let table: Vec<_> = (0..40).map(|_| Mutex::new(None)).collect();
    let steps: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn({
                    let table = &table;
                    move || live(kind, most, table, seed)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let left: Vec<_> = table.into_iter().filter_map(Mutex::into_inner).collect();
    let usage = kind.usage().unwrap();
    println!("{steps} steps, {usage}");
    assert_eq!(usage.live(), left.len() as u64, "{usage}");
    left.into_iter()
        .for_each(|piece| piece.show().give_back(kind));
    assert_eq!(kind.usage().unwrap().live(), 0);
    kind.check().unwrap();
}

fn assert_empty(heap: &SharedHeap<Reserve>) {
    let left = heap.look(|heap| {
        heap.check()
            .map(|()| heap.tags().filter(|tag| tag.blocks > 0).count())
    });
    assert_eq!(left.unwrap(), Ok(0));
}

#[test]
fn f01_a_pool_for_each_thread_on_one_heap() {
    let heap = shared();
    thread::scope(|scope| {
        for number in 1..=4 {
            let heap = &heap;
            scope.spawn(move || {
                let pool = Pool::new(heap, Tag::new(number));
                let table: Vec<_> = (0..40).map(|_| Mutex::new(None)).collect();
                live(&pool, 500, &table, number);
                let left = table.iter().filter(|seat| seat.lock().is_some());
                assert_eq!(pool.usage().unwrap().live(), left.count() as u64);
            });
        }
    });
    assert_empty(&heap);
}

#[test]
fn f01_threads_share_a_locked_pool() {
    let heap = shared();
    share(&Locked::new(Pool::new(&heap, TAG)), 500);
    assert_empty(&heap);
}

#[test]
fn f01_threads_share_a_locked_bump() {
    let heap = shared();
    share(
        &Locked::new(Bump::new(Pool::new(&heap, TAG).bounded(64 << 20))),
        500,
    );
    assert_empty(&heap);
}

#[test]
fn f01_threads_share_locked_size_classes() {
    let heap = shared();
    share(&Locked::new(SizeClasses::new(Pool::new(&heap, TAG))), 500);
    assert_empty(&heap);
}

#[test]
fn f01_threads_share_slots_without_a_lock() {
    let heap = shared();
    let kind = LockFree::new(Pool::new(&heap, TAG), WORDS, 30).unwrap();
    share(&kind, 64);
    let usage = kind.usage().unwrap();
    assert!(usage.peak <= 30 && usage.failures > 0, "{usage}");
    drop(kind);
    assert_empty(&heap);
}

#[test]
fn f01_threads_share_a_timed_pool() {
    let heap = shared();
    let kind = Timed::new(Locked::new(Timed::new(Pool::new(&heap, TAG))));
    share(&kind, 500);
    println!("{kind}");
    drop(kind);
    assert_empty(&heap);
}

/// Two do something at the same moment, again and again; what they answered is looked at.
fn race<T: Sync, A: Send>(
    prepare: impl Fn() -> T,
    act: impl Fn(&T, bool) -> A + Sync,
    judge: impl Fn(T, [A; 2]),
) {
    let (start, time, mut rounds) = (Instant::now(), soak(TIME), 0);
    while start.elapsed() < time || rounds < 100 {
        rounds += 1;
        let subject = prepare();
        let ready = AtomicUsize::new(0);
        let run = |second| {
            ready.fetch_add(1, Ordering::AcqRel);
            while ready.load(Ordering::Acquire) < 2 {
                thread::yield_now();
            }
            act(&subject, second)
        };
        let answers = thread::scope(|scope| {
            let other = scope.spawn(|| run(true));
            let mine = run(false);
            [mine, other.join().unwrap()]
        });
        judge(subject, answers);
    }
    println!("{rounds} rounds");
}

/// The address of a piece, for two to give back.
fn expose(piece: NonNull<[u8]>) -> usize {
    piece.cast::<u8>().as_ptr().expose_provenance()
}

fn exposed(address: usize) -> NonNull<u8> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap()
}

#[test]
fn f02_a_free_and_a_release_of_its_tag_at_once() {
    let heap = shared();
    let freed = AtomicUsize::new(0);
    race(
        || expose(heap.allocate(TAG, WORDS).unwrap()),
        |address, second| {
            if second {
                // SAFETY: nobody uses the block.
                return unsafe { heap.release(TAG) }.map(|amount| amount.blocks);
            }
            let ptr = exposed(*address);
            // SAFETY: if it went with its tag, the heap must notice.
            unsafe { heap.deallocate(ptr, WORDS) }.map(|()| 1)
        },
        |address, [freeing, releasing]| {
            match freeing {
                Ok(_) => assert_eq!(releasing, Ok(0)),
                Err(error) => {
                    assert_eq!(error, Misuse::Released { address }.into());
                    assert_eq!(releasing, Ok(1));
                }
            }
            freed.fetch_add(usize::from(freeing.is_ok()), Ordering::Relaxed);
            heap.look(|heap| heap.check()).unwrap().unwrap();
            assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
        },
    );
    println!("the free came first {} times", freed.into_inner());
}

/// Exactly one of two who give the same piece back does, and the other is told that it was given back before.
fn freed_once(kind: &(impl Kind + Sync)) {
    race(
        || expose(kind.allocate(WORDS).unwrap()),
        |address, _second| {
            let ptr = exposed(*address);
            // SAFETY: of two who give it back the pool must notice one.
            unsafe { kind.deallocate(ptr, WORDS) }
        },
        |address, answers| {
            let twice = Err(Misuse::DoubleFree { address }.into());
            assert!(
                answers == [Ok(()), twice] || answers == [twice, Ok(())],
                "{answers:?}"
            );
            let usage = kind.usage().unwrap();
            assert_eq!(usage.live(), 0, "{usage}");
            kind.check().unwrap();
        },
    );
}

#[test]
fn f03_two_free_a_block_at_once() {
    let heap = shared();
    race(
        || expose(heap.allocate(TAG, WORDS).unwrap()),
        |address, _second| {
            let ptr = exposed(*address);
            // SAFETY: of two who give it back the heap must notice one.
            unsafe { heap.deallocate(ptr, WORDS) }
        },
        |address, answers| {
            let twice = Err(Misuse::DoubleFree { address }.into());
            assert!(
                answers == [Ok(()), twice] || answers == [twice, Ok(())],
                "{answers:?}"
            );
            heap.look(|heap| heap.check()).unwrap().unwrap();
        },
    );
}

#[test]
fn f03_two_free_a_piece_of_a_locked_pool_at_once() {
    let heap = shared();
    freed_once(&Locked::new(Pool::new(&heap, TAG)));
}

#[test]
fn f03_two_free_a_slot_at_once() {
    let heap = shared();
    freed_once(&LockFree::new(Pool::new(&heap, TAG), WORDS, 3).unwrap());
    freed_once(&Locked::new(
        LockFree::new(Pool::new(&heap, OTHER), WORDS, 1).unwrap(),
    ));
}

/// Threads end while what they took is in use: it is there, and its numbers are.
fn outlives(kind: &(impl Kind + Sync)) {
    let left: Vec<Piece> = thread::scope(|scope| {
        let take = |number: u8| {
            let piece = move |_| Piece::of(kind.allocate(WORDS).unwrap(), WORDS, number);
            (0..10).map(piece).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4)
            .map(|number| scope.spawn(move || take(number)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let usage = kind.usage().unwrap();
    assert_eq!((usage.live(), usage.peak), (40, usage.used), "{usage}");
    left.into_iter().for_each(|piece| piece.give_back(kind));
    let after = kind.usage().unwrap();
    assert_eq!(
        (after.allocations, after.live()),
        (usage.allocations, 0),
        "{after}"
    );
    kind.check().unwrap();
}

#[test]
fn f07_threads_end_while_their_pieces_live() {
    let heap = shared();
    outlives(&Locked::new(Pool::new(&heap, TAG)));
    outlives(&Locked::new(Bump::new(Pool::new(&heap, TAG))));
    outlives(&LockFree::new(Pool::new(&heap, TAG), WORDS, 40).unwrap());
    assert_empty(&heap);
}

#[test]
fn what_can_be_sent_and_shared() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    type Local = LocalHeap<Reserve>;
    type Shared = SharedHeap<Reserve>;
    send::<Local>();
    send::<Shared>();
    sync::<Shared>();
    // Heaps held by value, or shared by a reference that other threads may have.
    send::<Pool<Local>>();
    send::<Pool<&Shared>>();
    send::<Bump<Local>>();
    send::<Bump<&Shared>>();
    send::<SizeClasses<Local>>();
    send::<SizeClasses<&Shared>>();
    send::<LockFree<Local>>();
    sync::<LockFree<Local>>();
    send::<LockFree<&Shared>>();
    sync::<LockFree<&Shared>>();
    send::<Locked<Bump<&Shared>>>();
    sync::<Locked<Bump<&Shared>>>();
    sync::<Locked<Pool<Local>>>();
    sync::<Locked<SizeClasses<&Shared>>>();
    send::<Timed<Bump<&Shared>>>();
    sync::<Timed<Locked<Bump<&Shared>>>>();
    sync::<Timed<LockFree<&Shared>>>();
    sync::<Locked<Timed<Bump<&Shared>>>>();
    send::<Own<'_, u64, LockFree<&Shared>>>();
    sync::<Own<'_, u64, LockFree<&Shared>>>();
    send::<Own<'_, [u8], Locked<Bump<&Shared>>>>();
    sync::<Own<'_, str, Locked<Bump<&Shared>>>>();
}

#[test]
fn values_go_from_thread_to_thread() {
    let heap = shared();
    let kind = Locked::new(Bump::new(Pool::new(&heap, TAG)));
    thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        for number in 0..4_u64 {
            let (send, kind) = (send.clone(), &kind);
            scope.spawn(move || {
                for _ in 0..10 {
                    send.send(kind.own([number; 8]).unwrap()).unwrap();
                }
            });
        }
        drop(send);
        assert_eq!(receive.iter().map(|words| words[7]).sum::<u64>(), 60);
    });
    assert_eq!(kind.usage().unwrap().live(), 0);
    let bump = kind.into_inner();
    assert_eq!(bump.usage().unwrap().allocations, 40);
}

#[test]
fn a_look_uses_the_kind_alone() {
    let heap = shared();
    let mut kind = Locked::new(Bump::new(Pool::new(&heap, TAG)));
    let mark = kind.look(|bump| {
        let inside = bump.alloc(1).unwrap();
        assert_eq!(kind.allocate(WORDS), Err(Misuse::Reentered.into()));
        *inside += 1;
        bump.mark()
    });
    kind.alloc([0; 100]).unwrap();
    kind.get_mut().rewind(mark.unwrap()).unwrap();
    assert_eq!(kind.usage().unwrap().used, 4);
    let spin = Locked::<_, tagheap::Futex>::with_lock(Pool::new(&heap, OTHER));
    assert_eq!(spin.look(|pool| pool.tag()), Ok(OTHER));
}
