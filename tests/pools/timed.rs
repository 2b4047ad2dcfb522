//! The times that a pool takes.

use core::alloc::Layout;
use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use tagheap::{Error, Kind, Operation, Pool, Timed, Usage};

use crate::in_reserve;
use crate::threads::TAG;

/// A kind whose every operation takes as long as it was told, and fails.
struct Slow(Cell<Duration>);

fn slow(time: Duration) -> Slow {
    Slow(Cell::new(time))
}

impl Slow {
    fn wait(&self) -> Error {
        let start = Instant::now();
        while start.elapsed() < self.0.get() {}
        tagheap::Misuse::Reentered.into()
    }
}

// SAFETY: hands nothing out.
unsafe impl Kind for Slow {
    fn allocate(&self, _layout: Layout) -> Result<core::ptr::NonNull<[u8]>, Error> {
        Err(self.wait())
    }

    unsafe fn deallocate(
        &self,
        _ptr: core::ptr::NonNull<u8>,
        _layout: Layout,
    ) -> Result<(), Error> {
        Err(self.wait())
    }

    fn reset(&mut self) -> Result<(), Error> {
        Err(self.wait())
    }

    fn contains(&self, _ptr: core::ptr::NonNull<u8>) -> Result<bool, Error> {
        Err(self.wait())
    }

    fn check(&self) -> Result<(), Error> {
        Err(self.wait())
    }

    fn usage(&self) -> Result<Usage, Error> {
        Err(self.wait())
    }
}

#[test]
fn the_last_and_the_longest_are_kept() {
    const SHORT: Duration = Duration::from_micros(50);
    const LONG: Duration = Duration::from_millis(5);
    let layout = Layout::new::<u64>();
    let mut timed = Timed::new(slow(SHORT))
        .limited(Operation::Allocate, Duration::from_millis(1))
        .limited(Operation::Reset, Duration::from_secs(3600));
    assert_eq!(timed.to_string(), "");
    // A short one may be interrupted by the kernel: one of many is not.
    let mut least = u64::MAX;
    for _ in 0..100 {
        timed.allocate(layout).unwrap_err();
        least = least.min(timed.timing(Operation::Allocate).last.nanoseconds);
    }
    assert!((50_000..1_000_000).contains(&least), "{least} ns");
    let before = timed.timing(Operation::Allocate);
    assert!(before.longest >= before.last && before.longest.nanoseconds >= 50_000);

    let mut timed_long =
        Timed::new(slow(LONG)).limited(Operation::Allocate, Duration::from_millis(1));
    timed_long.allocate(layout).unwrap_err();
    timed_long.reset().unwrap_err();
    let timing = timed_long.timing(Operation::Allocate);
    assert!(timing.last.nanoseconds >= 4_990_000, "{timing}");
    assert_eq!((timing.exceeded, timing.last), (1, timing.longest));
    let limit = timing.limit.unwrap();
    assert!(limit.nanoseconds.abs_diff(1_000_000) < 10, "{limit}");
    let reset = timed_long.timing(Operation::Reset);
    assert!(reset.last.nanoseconds >= 4_990_000 && reset.limit.is_none());
    assert_eq!(
        timed_long.timing(Operation::Grow).longest.cycles,
        0,
        "others are apart"
    );
    let shown = timed_long.to_string();
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.starts_with("allocate: last ") && shown.contains(" exceeded 1 times\nreset: "));

    timed.reset().unwrap_err();
    assert_eq!(timed.timing(Operation::Reset).exceeded, 0, "within an hour");
    timed.clear();
    assert_eq!(timed.to_string(), "");
    assert!(timed.timing(Operation::Reset).limit.is_some());
}

/// Long ones and short ones by turns: the last is the last, the longest stays, and each that exceeds is counted.
#[test]
fn a_longest_is_kept_through_shorter_ones() {
    const SHORT: Duration = Duration::from_micros(50);
    const LONG: Duration = Duration::from_millis(20);
    let timed = Timed::new(slow(SHORT)).limited(Operation::Allocate, LONG / 2);
    let limit = timed.timing(Operation::Allocate).limit.unwrap();
    let (mut longest, mut exceeded, mut shortest) = (0, 0, u64::MAX);
    for step in 0..12 {
        let is_long = step % 6 == 1;
        timed.kind().0.set(if is_long { LONG } else { SHORT });
        timed.allocate(Layout::new::<u64>()).unwrap_err();
        let timing = timed.timing(Operation::Allocate);
        let last = timing.last.cycles;
        assert!(
            !is_long || timing.last.nanoseconds >= 19_900_000,
            "{timing}"
        );
        longest = longest.max(last);
        shortest = shortest.min(last);
        exceeded += u64::from(last > limit.cycles);
        let noted = (timing.longest.cycles, timing.exceeded, timing.limit);
        assert_eq!(noted, (longest, exceeded, Some(limit)), "{timing}");
    }
    assert!(exceeded >= 2 && shortest < limit.cycles, "{timed}");
}

/// What a kind does besides counts as the operation it is said to be, and by the limit that is set then.
#[test]
fn limits_change_and_other_work_is_timed() {
    const LONG: Duration = Duration::from_millis(2);
    let timed = Timed::new(slow(LONG));
    let wait = |is_limited: bool| {
        let limit = is_limited.then_some(LONG / 2);
        timed.set_limit(Operation::Shrink, limit);
        let answer = timed.time(Operation::Shrink, |slow| slow.wait());
        assert_eq!(answer, tagheap::Misuse::Reentered.into());
        let timing = timed.timing(Operation::Shrink);
        assert_eq!(timing.limit.is_some(), is_limited);
        assert!(timing.last.nanoseconds >= 1_990_000, "{timing}");
        timing.exceeded
    };
    assert_eq!([false, true, true, false].map(wait), [0, 1, 2, 2]);
    assert_eq!(timed.to_string().lines().count(), 1);
}

#[test]
fn every_operation_has_a_watch_of_its_own() {
    in_reserve(|heap| {
        let mut timed = Timed::new(Pool::new(heap, TAG)).limited_to_cycles(Operation::Grow, 0);
        let [small, large] = [8, 800].map(|size| Layout::from_size_align(size, 8).unwrap());
        let mut taken = 0;
        let mut taken_now = |timed: &Timed<_>| {
            taken += 1;
            let all = Operation::ALL.map(|operation| timed.timing(operation));
            let some = all.iter().filter(|timing| timing.last.cycles > 0).count();
            assert_eq!(some, taken, "{timed}");
        };
        let piece = timed.allocate(small).unwrap().cast();
        taken_now(&timed);
        // SAFETY: handed out for this layout.
        let piece = unsafe { timed.grow(piece, small, large) }.unwrap().cast();
        taken_now(&timed);
        // SAFETY: handed out for this layout.
        let piece = unsafe { timed.shrink(piece, large, small) }.unwrap().cast();
        taken_now(&timed);
        // SAFETY: handed out for this layout.
        unsafe { timed.deallocate(piece, small) }.unwrap();
        taken_now(&timed);
        timed.reset().unwrap();
        taken_now(&timed);
        assert_eq!(timed.timing(Operation::Grow).exceeded, 1);
        assert_eq!(timed.timing(Operation::Shrink).limit, None);
        timed.kind().check().unwrap();
        assert_eq!(timed.into_inner().usage().unwrap().allocations, 1);
    });
}
