//! The stack: no number is handed out twice, none is lost, and the counts are exact.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::pools::treiber::{Stack, fresh};
use crate::sharing::atomic::{AtomicU64, Fault};
use crate::{check, must_fail};

struct Links(Vec<AtomicU64>);

impl AsRef<[AtomicU64]> for Links {
    fn as_ref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// A stack, and for each number a cell that the checker watches: two who hold a number at once are found, and
/// so is one who does not see what its last holder wrote.
struct Pool {
    stack: Stack<Links>,
    slots: Vec<UnsafeCell<usize>>,
}

// SAFETY: a slot is used by whoever popped its number; that this is one thread at a time is what is checked.
unsafe impl Sync for Pool {}

impl Pool {
    fn new(length: usize) -> Arc<Self> {
        let links = (0..length).map(|index| AtomicU64::new(fresh(index, length)));
        Arc::new(Self {
            stack: Stack::new(Links(links.collect())),
            slots: (0..length).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn take(&self) -> Option<usize> {
        let popped = match self.stack.try_pop() {
            Ok(popped) => popped,
            Err(miss) => self.stack.pop_after(miss).expect("links in order")?,
        };
        assert!((1..=self.slots.len()).contains(&popped.used), "{popped:?}");
        self.touch(popped.index);
        Some(popped.index)
    }

    fn touch(&self, index: usize) {
        // SAFETY: this thread popped the number.
        self.slots[index].with_mut(|slot| unsafe { *slot += 1 });
    }

    fn give(&self, index: usize) {
        self.touch(index);
        assert!(self.stack.push(index), "{index} is in the stack");
    }

    /// All numbers are there, once each, when nobody else is at it.
    fn assert_all_back(&self, pops: u64) {
        assert_eq!(self.stack.counts().pops, pops);
        self.assert_all_there();
    }

    fn assert_all_there(&self) {
        assert_eq!(self.stack.counts().used, 0, "numbers are lost");
        self.stack.check().unwrap();
        let mut all: Vec<_> = self.slots.iter().map(|_| self.take().unwrap()).collect();
        assert_eq!(self.take(), None);
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..self.slots.len()), "{all:?}");
    }
}

fn spawn(pool: &Arc<Pool>, work: impl FnOnce(&Pool) -> u64 + 'static) -> thread::JoinHandle<u64> {
    let pool = Arc::clone(pool);
    thread::spawn(move || work(&pool))
}

/// Takes a number and gives it back, so often; answers how often there was one.
fn rounds(pool: &Pool, times: usize) -> u64 {
    let mut pops = 0;
    for _ in 0..times {
        if let Some(index) = pool.take() {
            pops += 1;
            pool.give(index);
        }
    }
    pops
}

/// One takes a number while another takes two and gives them back in the order that misleads the first.
///
/// Pops are not counted here: without a generation that would be the first thing to go wrong.
fn takes_while_numbers_return() {
    let pool = Pool::new(3);
    let other = spawn(&pool, |pool| {
        let (one, two) = (pool.take(), pool.take());
        one.into_iter().for_each(|index| pool.give(index));
        // The second stays out for a while: whoever is misled hands it out again.
        two.into_iter().for_each(|index| pool.give(index));
        0
    });
    let (one, two) = (pool.take(), pool.take());
    let taken = [one, two].into_iter().flatten();
    taken.for_each(|index| pool.give(index));
    other.join().unwrap();
    pool.assert_all_there();
}

/// Two give the same number back at once: one of them does.
fn two_give_the_same_back() {
    let pool = Pool::new(2);
    let index = pool.take().unwrap();
    let other = spawn(&pool, move |pool| u64::from(pool.stack.push(index)));
    let mine = u64::from(pool.stack.push(index));
    assert_eq!(mine + other.join().unwrap(), 1, "one gives it back");
    pool.assert_all_back(1);
}

#[test]
fn two_threads_share_numbers() {
    for length in 1..=3 {
        check(3, move || {
            let pool = Pool::new(length);
            let other = spawn(&pool, |pool| rounds(pool, 2));
            let mine = rounds(&pool, 2);
            let others = other.join().unwrap();
            pool.assert_all_back(mine + others);
        });
    }
}

#[test]
fn three_threads_share_numbers() {
    check(2, || {
        let pool = Pool::new(2);
        let others = [
            spawn(&pool, |pool| rounds(pool, 1)),
            spawn(&pool, |pool| rounds(pool, 1)),
        ];
        let mine = rounds(&pool, 1);
        let all: u64 = others
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        pool.assert_all_back(mine + all);
    });
}

#[test]
fn numbers_go_from_thread_to_thread() {
    check(3, || {
        let pool = Pool::new(2);
        let one = pool.take().unwrap();
        let two = pool.take().unwrap();
        let other = spawn(&pool, move |pool| {
            pool.give(one);
            rounds(pool, 1)
        });
        pool.give(two);
        let mine = rounds(&pool, 1);
        let others = other.join().unwrap();
        pool.assert_all_back(2 + mine + others);
    });
}

#[test]
fn f04_numbers_that_return_mislead_nobody() {
    check(3, takes_while_numbers_return);
}

#[test]
fn of_two_who_give_a_number_back_one_does() {
    check(4, two_give_the_same_back);
}

#[test]
fn counts_are_of_one_moment() {
    check(3, || {
        let pool = Pool::new(2);
        let other = spawn(&pool, |pool| rounds(pool, 2));
        let counts = pool.stack.counts();
        assert!(
            counts.used as u64 <= counts.pops && counts.used <= 1,
            "{counts:?}"
        );
        pool.stack.check().unwrap();
        let others = other.join().unwrap();
        pool.assert_all_back(others);
    });
}

#[test]
fn f04_without_a_generation_the_aba_fault_is_found() {
    must_fail(
        Fault::NoGeneration,
        &["numbers are lost"],
        takes_while_numbers_return,
    );
}

#[test]
fn without_an_exchange_two_frees_are_found() {
    must_fail(
        Fault::NoClaim,
        &["one gives it back"],
        two_give_the_same_back,
    );
}

#[test]
fn without_orderings_a_race_is_found() {
    must_fail(Fault::NoOrder, &["links in order"], || {
        let pool = Pool::new(1);
        let other = spawn(&pool, |pool| rounds(pool, 1));
        rounds(&pool, 1);
        other.join().unwrap();
    });
}
