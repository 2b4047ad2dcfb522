//! What every kind must do, as functions over any kind on any heap.

use core::alloc::Layout;
use core::fmt::{self, Debug, Display, Formatter};
use core::ptr::{self, NonNull};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use tagheap::{
    Alarm, Bell, Block, Error, HEADER, Kind, Measure, Misuse, Pool, Share, Tag, Typed, Usage,
};
use tagheap_trace::Held;

pub(crate) const TAG: Tag = Tag::named("kind");
const OTHER: Tag = Tag::named("other");

/// Bytes that a pool of the battery may hold: more than any recipe takes at once, less than any rig has.
pub(crate) const BOUND: usize = 24 * 1024;

/// A kind, and how its pools for the battery are made.
pub(crate) trait Recipe {
    type Kind<H: Share>: Kind;
    const HABITS: Habits;

    fn make<H: Share>(pool: Pool<H>) -> Result<Self::Kind<H>, Error>;
}

/// How a kind differs from others, as far as the battery must know.
pub(crate) struct Habits {
    /// Bytes that its pool serves at most in one request.
    pub(crate) most: usize,
    /// Bytes to which it aligns at most.
    pub(crate) align: usize,
    /// Pieces are given back last in, first out.
    pub(crate) last_first: bool,
    /// What was given back can be had again before a reset, whichever piece it was.
    pub(crate) reuses: bool,
    /// It finds that a piece is given back twice.
    pub(crate) finds_double_free: bool,
    /// It finds an address within its memory at which no piece starts.
    pub(crate) finds_interior: bool,
    /// It keeps its bound, and numbers of its own, which are exact.
    pub(crate) exact: bool,
}

/// A piece in use, filled with a byte of its own.
#[derive(Clone, Copy)]
struct Piece {
    start: NonNull<u8>,
    layout: Layout,
    byte: u8,
}

impl Piece {
    /// Filled, and the holder's alone.
    fn held(self) -> Held<Self> {
        // SAFETY: the piece was handed out for this layout and is ours.
        unsafe { self.start.write_bytes(self.byte, self.layout.size()) };
        Held::new(self, self.start, self.layout.size())
    }

    fn assert_whole(self) {
        let length = self.layout.size();
        // SAFETY: the piece was handed out for this layout, is ours, and was filled.
        let bytes = unsafe { NonNull::slice_from_raw_parts(self.start, length).as_ref() };
        let scribbled = bytes.iter().position(|byte| *byte != self.byte);
        assert_eq!(scribbled, None, "{:?} {:?}", self.start, self.layout);
    }
}

/// The pieces that a pool has handed out, which nobody touches, and what its numbers must be.
#[derive(Default)]
struct Model {
    pieces: Vec<Held<Piece>>,
    by_address: BTreeMap<usize, usize>,
    allocations: u64,
    deallocations: u64,
    failures: u64,
    /// The most that was seen in use.
    peak: usize,
}

impl Model {
    fn add(&mut self, answer: NonNull<[u8]>, layout: Layout) {
        self.allocations += 1;
        let (start, at) = (answer.cast::<u8>(), answer.addr().get());
        assert_eq!(answer.len(), layout.size(), "as many bytes as asked for");
        assert!(at.is_multiple_of(layout.align()), "{at:#x} {layout:?}");
        let end = at + layout.size().max(1);
        if let Some((other, length)) = self.by_address.range(..end).next_back() {
            assert!(other + length <= at, "{at:#x} overlaps {other:#x}");
        }
        let byte = fastrand::u8(..);
        self.keep(Piece {
            start,
            layout,
            byte,
        });
    }

    fn keep(&mut self, piece: Piece) {
        let (at, size) = (piece.start.addr().get(), piece.layout.size());
        self.by_address.insert(at, size.max(1));
        self.pieces.push(piece.held());
    }

    /// To be given back.
    fn take(&mut self, place: usize) -> Piece {
        self.deallocations += 1;
        self.lend(place)
    }

    /// To be resized.
    fn lend(&mut self, place: usize) -> Piece {
        let piece = self.pieces.remove(place).show();
        self.by_address.remove(&piece.start.addr().get());
        piece.assert_whole();
        piece
    }

    fn assert_whole(&self) {
        for piece in &self.pieces {
            piece.look(|piece| piece.assert_whole());
        }
    }

    fn assert_counts(&mut self, kind: &impl Kind, habits: &Habits) {
        let usage = self.assert_amounts(kind, habits);
        let counted = (usage.allocations, usage.deallocations, usage.failures);
        let wanted = (self.allocations, self.deallocations, self.failures);
        assert_eq!(counted, wanted, "{usage}");
        self.peak = self.peak.max(usage.used);
        assert!(usage.peak >= self.peak, "{usage}");
        assert!(usage.peak == self.peak || !habits.exact, "{usage}");
    }

    /// What is in use and free is what the pieces make it, whatever was done to get there.
    fn assert_amounts(&self, kind: &impl Kind, habits: &Habits) -> Usage {
        let usage = kind.usage().unwrap();
        assert_eq!(usage.live(), self.pieces.len() as u64, "{usage}");
        if !habits.exact {
            assert!(usage.total >= usage.used, "{usage}");
            return usage;
        }
        assert_eq!(usage.failures, self.failures, "{usage}");
        assert_eq!(usage.used + usage.free(), usage.total, "{usage}");
        let bytes = self.pieces.iter().map(|piece| piece.layout.size()).sum();
        match usage.measure {
            Measure::Slots => assert_eq!(usage.used, self.pieces.len(), "{usage}"),
            Measure::Bytes => assert!(usage.used >= bytes, "{bytes} bytes: {usage}"),
        }
        usage
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn pool<H: Share>(heap: H) -> Pool<H> {
    Pool::new(heap, TAG).bounded(BOUND)
}

/// Sizes log-uniform, now and then the extremes.
fn random_layout(habits: &Habits) -> Layout {
    let size = match fastrand::u8(..16) {
        0 => 0,
        1 => habits.most,
        _ => fastrand::usize(..=habits.most.min(1 << fastrand::u32(..10))),
    };
    let align = 1 << fastrand::u32(..=habits.align.min(256).ilog2());
    layout(size, align)
}

/// A kind answers as the model does, and no piece is ever touched, through random programs with resets.
pub(crate) fn agrees_with_the_model<R: Recipe>(heap: &impl Share) {
    agrees_while::<R>(heap, |_refused| {});
}

/// As [`agrees_with_the_model`], while `weather` is told now and then whether memory may grow.
pub(crate) fn agrees_while<R: Recipe>(heap: &impl Share, weather: impl Fn(bool)) {
    for seed in 0..20 {
        fastrand::seed(seed);
        weather(false);
        let mut kind = R::make(pool(heap)).unwrap();
        let mut model = Model::default();
        for _ in 0..300 {
            weather(fastrand::u8(..3) > 0);
            match fastrand::u8(..32) {
                0 => {
                    kind.reset().unwrap();
                    model.assert_whole();
                    model.deallocations = model.allocations;
                    model.pieces.clear();
                    model.by_address.clear();
                }
                1..=14 if !model.pieces.is_empty() => {
                    let last = model.pieces.len() - 1;
                    let place = if R::HABITS.last_first {
                        last
                    } else {
                        fastrand::usize(..=last)
                    };
                    let piece = model.take(place);
                    // SAFETY: handed out for this layout, and forgotten by the model.
                    unsafe { kind.deallocate(piece.start, piece.layout) }.unwrap();
                }
                _ => {
                    let layout = random_layout(&R::HABITS);
                    match kind.allocate(layout) {
                        Ok(piece) => model.add(piece, layout),
                        Err(Error::OutOfMemory(lacking)) => {
                            model.failures += 1;
                            assert_eq!((lacking.tag, lacking.size), (TAG, layout.size()));
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            kind.check().unwrap();
            model.assert_counts(&kind, &R::HABITS);
        }
        model.assert_whole();
        assert!(
            model
                .pieces
                .iter()
                .all(|piece| kind.contains(piece.start) == Ok(true))
        );
        assert_eq!(kind.contains(NonNull::from(&seed).cast()), Ok(false));
        drop(kind);
        assert_clean(heap);
    }
}

/// No block is left under the pool's tag, and the heap is in order.
pub(crate) fn assert_clean(heap: &impl Share) {
    assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
    heap.look(|heap| heap.check()).unwrap().unwrap();
}

/// Every alignment that the kind serves is kept, for small and large sizes; the next one is refused.
pub(crate) fn aligns<R: Recipe>(heap: &impl Share) {
    for align in (0..=R::HABITS.align.ilog2()).map(|power| 1 << power) {
        for size in [0, 1, 2, 3, 7, 8, 15, 16, 17, 24, 31, R::HABITS.most] {
            let mut kind = R::make(pool(heap)).unwrap();
            let mut model = Model::default();
            let layout = layout(size.min(R::HABITS.most), align);
            while let Ok(piece) = kind.allocate(layout) {
                model.add(piece, layout);
                if model.pieces.len() == 5 {
                    break;
                }
            }
            assert!(!model.pieces.is_empty(), "{layout:?}");
            kind.check().unwrap();
            model.assert_whole();
            kind.reset().unwrap();
        }
    }
    let kind = R::make(pool(heap)).unwrap();
    for power in R::HABITS.align.ilog2() + 1..63 {
        let beyond = layout(1, 1 << power);
        if let Ok(piece) = kind.allocate(beyond) {
            assert!(piece.addr().get().is_multiple_of(1 << power));
        }
    }
    kind.check().unwrap();
}

/// More than the kind serves, and sizes near the end of the address space, are refused and change nothing.
pub(crate) fn refuses_what_is_too_large<R: Recipe>(heap: &impl Share) {
    let kind = R::make(pool(heap)).unwrap();
    kind.allocate(layout(1, 1)).unwrap();
    let before = kind.usage().unwrap();
    let largest = isize::MAX as usize;
    let mut failures = 0;
    for size in [
        BOUND + 1,
        1 << 32,
        1 << 47,
        largest - 4096,
        largest - 15,
        largest,
    ] {
        let Ok(layout) = Layout::from_size_align(size, 1) else {
            continue;
        };
        let refused = kind.allocate(layout);
        failures += 1;
        assert!(matches!(refused, Err(Error::OutOfMemory(error)) if error.size == size));
    }
    kind.check().unwrap();
    let after = kind.usage().unwrap();
    assert_eq!(after, Usage { failures, ..before });
}

/// A pool that is full says so, and serves again when pieces are given back.
pub(crate) fn fills_up<R: Recipe>(heap: &impl Share) {
    let mut kind = R::make(pool(heap)).unwrap();
    for _round in 0..3 {
        let mut model = Model::default();
        let layout = layout(R::HABITS.most.min(64), R::HABITS.align.min(16));
        let refusal = loop {
            match kind.allocate(layout) {
                Ok(piece) => model.add(piece, layout),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, Error::OutOfMemory(_)), "{refusal}");
        assert!(!refusal.to_string().contains('\n'), "one line: {refusal}");
        kind.check().unwrap();
        let full = model.pieces.len();
        while R::HABITS.reuses && model.pieces.len() > full / 2 {
            let place = if R::HABITS.last_first {
                model.pieces.len() - 1
            } else {
                0
            };
            let piece = model.take(place);
            // SAFETY: handed out for this layout, and forgotten by the model.
            unsafe { kind.deallocate(piece.start, layout) }.unwrap();
        }
        while let Ok(piece) = kind.allocate(layout) {
            model.add(piece, layout);
        }
        assert_eq!(model.pieces.len(), full, "as many as before");
        model.assert_whole();
        kind.reset().unwrap();
    }
    drop(kind);
    assert_clean(heap);
}

/// Requests of no size get addresses of their own; values of no size take nothing.
pub(crate) fn serves_nothing<R: Recipe>(heap: &impl Share) {
    let kind = R::make(pool(heap)).unwrap();
    let nothing = layout(0, 1);
    let one = kind.allocate(nothing).unwrap();
    let two = kind.allocate(nothing).unwrap();
    assert_ne!(one.addr(), two.addr());
    // SAFETY: handed out for this layout.
    unsafe { kind.deallocate(two.cast(), nothing) }.unwrap();
    // SAFETY: handed out for this layout.
    unsafe { kind.deallocate(one.cast(), nothing) }.unwrap();
    let before = kind.usage().unwrap();
    kind.alloc(()).unwrap();
    kind.own([0_u64; 0]).unwrap();
    assert_eq!(kind.alloc_str("").unwrap(), "");
    assert_eq!(kind.alloc_slice_copy::<u64>(&[]).unwrap().len(), 0);
    assert_eq!(kind.usage().unwrap(), before);
    holds_values_of_no_size(&kind);
    assert_eq!(kind.usage().unwrap(), before);
    kind.check().unwrap();
}

/// Values without size are aligned as their types are, however strict, and dropped by their owners.
fn holds_values_of_no_size(kind: &impl Kind) {
    #[repr(align(8192))]
    struct Nothing;
    thread_local! {
        static DROPPED: Cell<usize> = const { Cell::new(0) };
    }
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPPED.set(DROPPED.get() + 1);
        }
    }
    let place = ptr::from_ref(kind.alloc(Nothing).unwrap()).addr();
    let slice = kind.alloc_slice_fill_with(3, |_| Nothing).unwrap();
    assert!(place.is_multiple_of(8192) && slice.as_ptr().addr().is_multiple_of(8192));
    assert_eq!((slice.len(), DROPPED.get()), (3, 0));
    let (one, more) = (
        kind.own(Nothing).unwrap(),
        kind.own_slice_fill_with(5, |_| Nothing).unwrap(),
    );
    drop(one);
    assert_eq!(DROPPED.get(), 1);
    drop(more);
    assert_eq!(DROPPED.get(), 6);
    drop(kind.own(Nothing).unwrap().into_inner());
    assert_eq!(DROPPED.take(), 7);
}

/// Addresses that are none of the pool's are refused, and nothing changes.
pub(crate) fn refuses_strangers<R: Recipe>(heap: &impl Share) {
    let kind = R::make(pool(heap)).unwrap();
    let others = Pool::new(heap, OTHER);
    let theirs = others.allocate(layout(16, 8)).unwrap();
    let ours = kind.allocate(layout(8, 8)).unwrap();
    let before = kind.usage().unwrap();
    let local = 0_u64;
    let strangers = [
        theirs.cast(),
        NonNull::from(&local).cast(),
        NonNull::from(&before).cast(),
        NonNull::new(core::ptr::without_provenance_mut::<u8>(16)).unwrap(),
        NonNull::new(core::ptr::without_provenance_mut::<u8>(1 << 63)).unwrap(),
        NonNull::new(core::ptr::without_provenance_mut::<u8>(usize::MAX - 15)).unwrap(),
    ];
    refuses_each(&kind, &strangers);
    if R::HABITS.finds_interior {
        for offset in 1..8 {
            // SAFETY: within the piece.
            let interior = unsafe { ours.cast::<u8>().add(offset) };
            // SAFETY: no piece starts there: the pool must notice, and touch nothing.
            let refused = unsafe { kind.deallocate(interior, layout(1, 1)) };
            assert!(
                matches!(refused, Err(Error::Misuse(_))),
                "{offset}: {refused:?}"
            );
        }
    }
    assert_eq!(kind.usage().unwrap(), before);
    // Nor is a full pool taken for what is wrong then.
    let sizes = [R::HABITS.most.min(48), 1];
    for size in sizes.into_iter().filter(|_| R::HABITS.exact) {
        while kind.allocate(layout(size, 1)).is_ok() {}
    }
    let full = kind.usage().unwrap();
    refuses_each(&kind, &strangers);
    assert_eq!(kind.usage().unwrap(), full);
    kind.check().unwrap();
    others.check().unwrap();
}

fn refuses_each(kind: &impl Kind, strangers: &[NonNull<u8>]) {
    for stranger in strangers.iter().copied() {
        // SAFETY: not the pool's: it must notice, and touch nothing.
        let refused = unsafe { kind.deallocate(stranger, layout(8, 8)) };
        // SAFETY: as above.
        let grown = unsafe { kind.grow(stranger, layout(8, 8), layout(16, 8)) };
        // SAFETY: as above.
        let shrunk = unsafe { kind.shrink(stranger, layout(8, 8), layout(4, 8)) };
        for refused in [refused, grown.map(drop), shrunk.map(drop)] {
            assert!(
                matches!(refused, Err(Error::Misuse(_))),
                "{stranger:?}: {refused:?}"
            );
        }
    }
}

/// A piece that is given back twice is refused the second time, with others in between or none.
pub(crate) fn refuses_to_free_twice<R: Recipe>(heap: &impl Share) {
    if !R::HABITS.finds_double_free {
        return;
    }
    for others in 0..3 {
        let kind = R::make(pool(heap)).unwrap();
        let layout = layout(8, 8);
        let _below = kind.allocate(layout).unwrap();
        let piece = kind.allocate(layout).unwrap().cast();
        let above: Vec<_> = (0..others)
            .map(|_| kind.allocate(layout).unwrap())
            .collect();
        for piece in above.iter().rev() {
            // SAFETY: handed out for this layout.
            unsafe { kind.deallocate(piece.cast(), layout) }.unwrap();
        }
        // SAFETY: handed out for this layout.
        unsafe { kind.deallocate(piece, layout) }.unwrap();
        let before = kind.usage().unwrap();
        // SAFETY: given back already: the pool must notice, and touch nothing.
        let refused = unsafe { kind.deallocate(piece, layout) };
        assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
        assert_eq!(kind.usage().unwrap(), before);
        kind.check().unwrap();
    }
}

thread_local! {
    static RUNG: Cell<Option<(Tag, Usage)>> = const { Cell::new(None) };
    static RINGS: Cell<usize> = const { Cell::new(0) };
}

/// The watermark calls once each time it is reached from below, and with the numbers of that moment.
pub(crate) fn calls_at_the_watermark<R: Recipe>(heap: &impl Share) {
    let ring: Alarm = |tag, usage| {
        RUNG.set(Some((tag, *usage)));
        RINGS.set(RINGS.get() + 1);
    };
    const WHOSE: usize = 17;
    static BELL: Bell = Bell {
        call: |tag, usage, whose| {
            RUNG.set((whose == WHOSE).then_some((tag, *usage)));
            RINGS.set(RINGS.get() + 1);
        },
        context: WHOSE,
    };
    // 90 % too where nobody says otherwise, and where pooling is switched off.
    for (asked, by_bell, passes) in [
        (Some(1), false, false),
        (Some(50), false, false),
        (Some(90), false, false),
        (Some(100), false, false),
        (None, false, false),
        (Some(50), true, false),
        (Some(200), true, false),
        (Some(50), false, true),
        (None, false, true),
    ] {
        RINGS.set(0);
        let mut dues = 0;
        let percent = asked.unwrap_or(90);
        let alarmed = match asked {
            Some(_) if by_bell => pool(heap).alarmed_by(percent, &BELL),
            Some(_) => pool(heap).alarmed_at(percent, ring),
            None => pool(heap).alarmed(ring),
        };
        let percent = percent.min(100);
        let mut kind = R::make(alarmed.pass_through(passes)).unwrap();
        let most = layout(R::HABITS.most.min(48), 1);
        for round in 1..=2 {
            let mut before = kind.usage().unwrap();
            while kind.allocate(most).is_ok() {
                let after = kind.usage().unwrap();
                let reached = |usage: &Usage| {
                    usage.used * 100 >= usage.total * usize::from(percent) && usage.used > 0
                };
                let due = reached(&after) && !reached(&before);
                dues += usize::from(due);
                let rung = RUNG.take();
                assert_eq!(rung.is_some(), due, "{percent} %: {before} -> {after}");
                if let Some((tag, usage)) = rung {
                    assert_eq!((tag, usage), (TAG, after));
                }
                before = after;
            }
            // Where the requests that fit leave a rest, some percents are never reached; the first always is.
            assert_eq!(RINGS.get(), dues, "{percent} %");
            assert!(dues == round || percent > 90, "{percent} %: {dues}");
            kind.reset().unwrap();
        }
    }
}

/// An alarm that panics leaves its pool in order and no lock taken; the piece that made it ring stays in use.
pub(crate) fn outlives_its_alarm<R: Recipe>(heap: &impl Share) {
    let ring: Alarm = |_tag, _usage| panic!("as the test wants it");
    let mut kind = R::make(pool(heap).alarmed(ring)).unwrap();
    let layout = layout(R::HABITS.most.min(48), 1);
    let mut served = 0;
    while let Ok(answer) = catch_unwind(AssertUnwindSafe(|| kind.allocate(layout))) {
        answer.unwrap();
        served += 1;
    }
    let usage = kind.usage().unwrap();
    assert_eq!((usage.live(), usage.failures), (served + 1, 0), "{usage}");
    kind.check().unwrap();
    kind.reset().unwrap();
    kind.allocate(layout).unwrap();
    kind.check().unwrap();
    drop(kind);
    assert_clean(heap);
}

/// A pool of any kind, and what is done to it.
type Caller = (NonNull<()>, fn(NonNull<()>, &Usage));

thread_local! {
    /// The pool that calls, and who uses it then.
    static CALLER: Cell<Option<Caller>> = const { Cell::new(None) };
    /// What was taken then and kept.
    static TAKEN: Cell<Option<NonNull<[u8]>>> = const { Cell::new(None) };
}

/// A pool that calls is in order: it serves whoever comes back to it then, unless it has a lock, which says so.
pub(crate) fn serves_its_alarm<R: Recipe>(heap: &impl Share) {
    const WORD: Layout = Layout::new::<u64>();

    fn visit<K: Kind>(kind: NonNull<()>, told: &Usage) {
        // SAFETY: the test keeps the pool, and only shares it while it calls.
        let kind = unsafe { kind.cast::<K>().as_ref() };
        let [kept, other] = [(); 2].map(|()| kind.allocate(WORD));
        let locked = Err(Misuse::Reentered.into());
        if kind.usage() == locked.map(|()| *told) {
            assert_eq!((kept.map(drop), other.map(drop)), (locked, locked));
            assert_eq!(kind.check(), locked);
            return;
        }
        let (kept, other) = (kept.unwrap(), other.unwrap());
        assert_eq!(kind.usage().unwrap().allocations, told.allocations + 2);
        // SAFETY: handed out for this layout.
        unsafe { kind.deallocate(other.cast(), WORD) }.unwrap();
        kind.check().unwrap();
        TAKEN.set(Some(kept));
    }

    fn caller<K: Kind>(kind: &K) -> Caller {
        (NonNull::from(kind).cast(), visit::<K>)
    }

    let ring: Alarm = |_tag, usage| {
        let (kind, visit) = CALLER.take().unwrap();
        visit(kind, usage);
    };
    for (percent, passes) in [(1, false), (30, false), (60, false), (60, true)] {
        let alarmed = pool(heap).alarmed_at(percent, ring);
        let mut kind = R::make(alarmed.pass_through(passes)).unwrap();
        let mut model = Model::default();
        let layout = layout(R::HABITS.most.min(48), 1);
        for _round in 0..2 {
            CALLER.set(Some(caller(&kind)));
            while let Ok(piece) = kind.allocate(layout) {
                model.add(piece, layout);
                if let Some(kept) = TAKEN.take() {
                    model.add(kept, WORD);
                    // And the one that went back again.
                    model.allocations += 1;
                    model.deallocations += 1;
                }
                let usage = model.assert_amounts(&kind, &R::HABITS);
                let counted = (usage.allocations, usage.deallocations);
                assert_eq!(counted, (model.allocations, model.deallocations), "{usage}");
            }
            model.failures += 1;
            assert!(CALLER.take().is_none(), "it called");
            model.assert_whole();
            kind.check().unwrap();
            kind.reset().unwrap();
            model.pieces.clear();
            model.by_address.clear();
            model.deallocations = model.allocations;
        }
    }
}

/// With pooling switched off each piece is a block of the heap's.
pub(crate) fn passes_through<R: Recipe>(heap: &impl Share) {
    let mut kind = R::make(pool(heap).pass_through(true)).unwrap();
    let mut model = Model::default();
    let of_tag = || heap.stats_of(TAG).unwrap();
    for count in 1..=5 {
        let layout = layout(R::HABITS.most.min(10 * count), 1);
        model.add(kind.allocate(layout).unwrap(), layout);
        assert_eq!(of_tag().blocks, count);
    }
    let requested: usize = model.pieces.iter().map(|piece| piece.layout.size()).sum();
    assert_eq!(of_tag().requested, requested);
    let usage = kind.usage().unwrap();
    let counted = (usage.measure, usage.used, usage.peak, usage.total);
    assert_eq!(counted, (Measure::Bytes, requested, requested, BOUND));
    // As strict as the heap is, whatever the kind is otherwise; and not beyond the pool's bound.
    let strict = layout(R::HABITS.most, 4096);
    model.add(kind.allocate(strict).unwrap(), strict);
    let refused = kind.allocate(layout(BOUND, 1));
    assert!(matches!(refused, Err(Error::OutOfMemory(error)) if error.size == BOUND));
    model.failures += 1;
    model.assert_counts(&kind, &R::HABITS);
    assert_eq!(of_tag().blocks, 6);
    let piece = model.take(5);
    // SAFETY: handed out for this layout.
    unsafe { kind.deallocate(piece.start, piece.layout) }.unwrap();
    let piece = model.take(0);
    // SAFETY: handed out for this layout.
    unsafe { kind.deallocate(piece.start, piece.layout) }.unwrap();
    assert_eq!(of_tag().blocks, 4);
    // SAFETY: given back already: the heap must notice.
    let refused = unsafe { kind.deallocate(piece.start, piece.layout) };
    assert!(matches!(
        refused,
        Err(Error::Misuse(Misuse::DoubleFree { .. }))
    ));
    let piece = model.take(0);
    let larger = layout(piece.layout.size() + 100, 1);
    // SAFETY: handed out for this layout.
    let grown = unsafe { kind.grow(piece.start, piece.layout, larger) }.unwrap();
    assert_eq!(of_tag().blocks, 4);
    assert_eq!(kind.contains(grown.cast()), Ok(true));
    kind.check().unwrap();
    assert_eq!(kind.usage().unwrap().live(), 4);
    kind.reset().unwrap();
    assert_eq!(of_tag().blocks, 0);
    // Of as many bytes as asked for, and a piece of its own.
    let empty = layout(0, 1);
    let [one, other] = [(); 2].map(|()| kind.allocate(empty).unwrap());
    assert_eq!((one.len(), other.len()), (0, 0));
    assert_ne!(one.cast::<u8>(), other.cast());
    assert_eq!(of_tag().requested, 0);
    for piece in [one, other] {
        // SAFETY: handed out for this layout.
        unsafe { kind.deallocate(piece.cast(), empty) }.unwrap();
    }
    drop(kind);
    assert_clean(heap);
}

/// Resized pieces keep their bytes, and others theirs.
pub(crate) fn resizes<R: Recipe>(heap: &impl Share) {
    for seed in 0..10 {
        fastrand::seed(seed);
        let kind = R::make(pool(heap)).unwrap();
        let mut model = Model::default();
        for _ in 0..100 {
            let most = R::HABITS.most.min(200);
            let align = R::HABITS.align.min(32);
            let new = layout(
                fastrand::usize(..=most),
                1 << fastrand::u32(..=align.ilog2()),
            );
            if model.pieces.is_empty() || fastrand::u8(..3) == 0 {
                match kind.allocate(new) {
                    Ok(piece) => model.add(piece, new),
                    Err(_) => model.failures += 1,
                }
                continue;
            }
            let place = if R::HABITS.last_first {
                model.pieces.len() - 1
            } else {
                fastrand::usize(..model.pieces.len())
            };
            let piece = model.lend(place);
            let (start, old) = (piece.start, piece.layout);
            let resized = if new.size() >= old.size() {
                // SAFETY: handed out for this layout.
                unsafe { kind.grow(start, old, new) }
            } else {
                // SAFETY: handed out for this layout.
                unsafe { kind.shrink(start, old, new) }
            };
            let wrong_way = if new.size() > old.size() {
                // SAFETY: must be refused.
                unsafe { kind.shrink(start, old, new) }
            } else if new.size() < old.size() {
                // SAFETY: must be refused.
                unsafe { kind.grow(start, old, new) }
            } else {
                Err(Misuse::WrongWay { old: 0, new: 0 }.into())
            };
            assert!(matches!(wrong_way, Err(Error::Misuse(_))), "{wrong_way:?}");
            match resized {
                Ok(answer) => {
                    let kept = old.size().min(new.size());
                    Piece {
                        start: answer.cast(),
                        layout: layout(kept, 1),
                        byte: piece.byte,
                    }
                    .assert_whole();
                    model.add(answer, new);
                }
                // Out of order, or full: the piece must still be there.
                Err(error @ (Error::OutOfMemory(_) | Error::Misuse(_))) => {
                    model.failures += u64::from(matches!(error, Error::OutOfMemory(_)));
                    piece.assert_whole();
                    model.keep(piece);
                }
                Err(other) => panic!("{other}"),
            }
            kind.check().unwrap();
            model.assert_amounts(&kind, &R::HABITS);
            model.assert_whole();
        }
    }
}

/// A value in a pool, which nobody touches until it is shown.
fn hidden<T: ?Sized>(value: &mut T) -> Held<&mut T> {
    let (start, size) = (NonNull::from(&mut *value).cast(), size_of_val(value));
    Held::new(value, start, size)
}

/// Whatever is asked of the pool, of another on its heap, and of the heap: what somebody holds is not touched.
pub(crate) fn leaves_what_is_held<R: Recipe>(heap: &impl Share) {
    for (seed, passes) in [(1, false), (2, false), (3, true)] {
        fastrand::seed(seed);
        let kind = R::make(pool(heap).pass_through(passes)).unwrap();
        let mut model = Model::default();
        let text = hidden(kind.alloc_str("ciao").unwrap());
        let numbers = hidden(kind.alloc_slice_copy(&[1_u32, 2, 3]).unwrap());
        for _ in 0..24 {
            let layout = layout(fastrand::usize(..=R::HABITS.most.min(200)), 8);
            if let Ok(piece) = kind.allocate(layout) {
                model.add(piece, layout);
            }
        }
        for _ in 0..model.pieces.len() / 3 {
            let last = model.pieces.len() - 1;
            let places = if R::HABITS.last_first { last } else { 0 };
            let piece = model.take(fastrand::usize(places..=last));
            // SAFETY: handed out for this layout, and forgotten by the model.
            unsafe { kind.deallocate(piece.start, piece.layout) }.unwrap();
            if R::HABITS.finds_double_free || passes {
                // SAFETY: given back already: it must be noticed, and nothing touched.
                unsafe { kind.deallocate(piece.start, piece.layout) }.unwrap_err();
            }
        }
        let mut owner = kind.own([5_u64; 2]).unwrap();
        let start = NonNull::from(&mut *owner).cast();
        let owner = Held::new(owner, start, size_of::<[u64; 2]>());
        for piece in &model.pieces {
            assert_eq!(kind.contains(piece.start), Ok(true));
        }
        kind.check().unwrap();
        kind.usage().unwrap();
        look_around(heap);
        model.assert_whole();
        assert_eq!(*owner.show(), [5; 2]);
        assert_eq!((&*text.show(), &*numbers.show()), ("ciao", &[1, 2, 3][..]));
    }
    assert_clean(heap);
}

/// All that only looks at a heap, what is noted of the battery's tag, a pool that comes and goes, and what gives memory
/// back to the kernel.
fn look_around(heap: &impl Share) {
    let mut others = Pool::new(heap, OTHER);
    for size in 0..20 {
        others.allocate(layout(size * 20, 16)).unwrap();
    }
    heap.look(|heap| {
        heap.check().unwrap();
        assert!(heap.walk().all(|block| block.is_ok()));
        assert!(heap.blocks_of(TAG).all(|block| block.is_ok()));
        assert!(!format!("{}{}", heap.drawing(), heap.table()).is_empty());
        heap.stats().unwrap();
        heap.would_release(TAG).unwrap();
        heap.pinned_by().unwrap();
    })
    .unwrap();
    others.reset().unwrap();
    // Where there is no memory for accounts, there are neither limits nor names.
    if heap.set_limit(TAG, Some(1 << 30)).is_ok() {
        heap.set_limit(TAG, None).unwrap();
        heap.set_name(TAG, "battery").unwrap();
    }
    heap.reset_peak(TAG).unwrap();
    heap.mark().unwrap();
    heap.purge().unwrap();
    drop(others);
    heap.trim().unwrap();
}

/// The pool owns its tag: somebody else's blocks under it are neither taken nor released.
pub(crate) fn owns_its_tag<R: Recipe>(heap: &impl Share) {
    let theirs = heap.allocate(TAG, layout(32, 16)).unwrap();
    let refused = R::make(pool(heap)).and_then(|kind| kind.allocate(layout(8, 8)).map(drop));
    assert_eq!(refused, Err(Misuse::TagInUse { tag: TAG }.into()));
    assert_eq!(heap.stats_of(TAG).unwrap().blocks, 1);
    // SAFETY: handed out for this layout.
    unsafe { heap.deallocate(theirs.cast(), layout(32, 16)) }.unwrap();
    let kind = R::make(pool(heap)).unwrap();
    kind.allocate(layout(8, 8)).unwrap();
    let second = R::make(pool(heap)).and_then(|kind| kind.allocate(layout(8, 8)).map(drop));
    assert_eq!(second, Err(Misuse::TagInUse { tag: TAG }.into()));
    kind.check().unwrap();
    drop(kind);
    assert_clean(heap);

    let reserved =
        R::make(Pool::new(heap, Tag::HEAP)).and_then(|kind| kind.allocate(layout(8, 8)).map(drop));
    assert_eq!(reserved, Err(Misuse::ReservedTag { tag: Tag::HEAP }.into()));
}

/// The table's line for the battery's tag: its blocks, their bytes and payload.
fn tabulated(heap: &impl Share) -> Option<[usize; 3]> {
    let table = heap.look(|heap| heap.table().to_string()).unwrap();
    let mut lines = table.lines().map(str::split_whitespace);
    let mut line =
        lines.find_map(|mut words| (words.next()? == TAG.to_string()).then_some(words))?;
    Some([(); 3].map(|()| line.next().unwrap().parse().unwrap()))
}

/// Whatever the kind, all it has are blocks under its tag: one walk meets its pieces in them, one table counts
/// them, and one release by hand frees them all.
pub(crate) fn goes_with_its_tag<R: Recipe>(heap: &impl Share) {
    for passes in [false, true] {
        let theirs = heap.allocate(OTHER, layout(40, 8)).unwrap();
        let kind = R::make(pool(heap).pass_through(passes)).unwrap();
        let layout = layout(R::HABITS.most.min(40), 8);
        let pieces: Vec<_> = (0..20)
            .map_while(|_| kind.allocate(layout).ok())
            .map(|piece| piece.addr().get())
            .collect();
        let blocks: Vec<_> = heap
            .look(|heap| heap.walk().map(Result::unwrap).collect::<Vec<_>>())
            .unwrap()
            .into_iter()
            .filter(|block| block.tag() == Some(TAG))
            .collect();
        assert!(pieces.len() > 1 && !blocks.is_empty());
        for piece in pieces {
            let holds = |block: &&Block| {
                (block.payload()..block.end()).contains(&piece)
                    && piece + layout.size() <= block.end()
            };
            assert_eq!(blocks.iter().filter(holds).count(), 1, "{piece:#x}");
        }
        let bytes = blocks.iter().map(|block| block.size).sum();
        let payload = bytes - blocks.len() * HEADER;
        assert_eq!(tabulated(heap), Some([blocks.len(), bytes, payload]));

        // SAFETY: nobody uses the pieces, and the pool is dropped next.
        let released = unsafe { heap.release(TAG) }.unwrap();
        assert_eq!((released.blocks, released.bytes), (blocks.len(), bytes));
        assert_eq!(tabulated(heap), None);
        assert_eq!(heap.stats_of(TAG).unwrap().blocks, 0);
        drop(kind);
        assert_clean(heap);
        // SAFETY: handed out for this layout.
        unsafe { heap.deallocate(theirs.cast(), self::layout(40, 8)) }.unwrap();
    }
}

/// Values come back as they were put in; owners run destructors once, even one that panics.
pub(crate) fn holds_values<R: Recipe>(heap: &impl Share) {
    struct Counted<'a>(&'a AtomicUsize, bool);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(!self.1, "as the test wants it");
        }
    }
    /// Written once, and no more.
    struct Once(Cell<bool>);
    impl Display for Once {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            assert!(!self.0.replace(true), "as the test wants it");
            f.write_str("once")
        }
    }
    let dropped = AtomicUsize::new(0);
    let kind = R::make(pool(heap)).unwrap();
    let number = kind.alloc(7_u64).unwrap();
    let text = kind.alloc_str("ciao").unwrap();
    let copied = kind.alloc_slice_copy(&[1_u16, 2, 3]).unwrap();
    let made = kind.alloc_slice_fill_with(4, |n| n as u32 * 2).unwrap();
    text.make_ascii_uppercase();
    *number += 1;
    assert_eq!((*number, &*text, &*copied), (8, "CIAO", &[1, 2, 3][..]));
    assert_eq!(made, [0, 2, 4, 6]);

    let texts = ["ships", "harbour"].map(String::from);
    let cloned = kind.own_slice_clone(&texts).unwrap();
    assert_eq!(
        (
            &cloned[..],
            kind.alloc_slice_clone(&[Some(3)]).unwrap().len()
        ),
        (&texts[..], 1)
    );
    let listed = kind
        .alloc_slice_fill_iter([1_u32, 2].map(u64::from))
        .unwrap();
    let (written, number) = (
        kind.alloc_fmt(format_args!("{listed:?}")).unwrap(),
        &*number,
    );
    assert_eq!(
        (&*written, *kind.alloc_with(|| number + 1).unwrap()),
        ("[1, 2]", 9)
    );
    let owners = ["a", "b"].map(|text| kind.own_fmt(format_args!("{text}{number}")).unwrap());
    assert!(owners[0] < owners[1] && owners[0] == kind.own_str("a8").unwrap());
    drop((cloned, owners));

    let live = kind.usage().unwrap().live();
    kind.alloc(Counted(&dropped, false)).unwrap();
    assert_eq!(
        dropped.load(Ordering::Relaxed),
        0,
        "alloc runs no destructor"
    );
    drop(kind.own(Counted(&dropped, false)).unwrap());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let kept = kind.own(Counted(&dropped, false)).unwrap().into_inner();
    assert_eq!(
        dropped.load(Ordering::Relaxed),
        1,
        "out of the pool, not dropped"
    );
    drop(kept);
    let fatal = kind.own(Counted(&dropped, true)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(fatal))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
    assert_eq!(
        kind.usage().unwrap().live(),
        live + 1,
        "owners gave theirs back"
    );
    kind.own(Counted(&dropped, false)).unwrap().leak().1 = true;
    assert_eq!(dropped.load(Ordering::Relaxed), 3, "leaked values stay");

    // What there is no room for is dropped.
    if R::HABITS.exact {
        let large = (Counted(&dropped, false), [0_u8; BOUND]);
        assert!(matches!(kind.alloc(large), Err(Error::OutOfMemory(_))));
        assert_eq!(dropped.swap(3, Ordering::Relaxed), 4);
    }
    // What a slice that is not finished has is dropped, and its piece goes back.
    let before = kind.usage().unwrap().live();
    let unfinished = || {
        let value = |n| {
            assert!(n < 2, "as the test wants it");
            Counted(&dropped, false)
        };
        kind.alloc_slice_fill_with(3, value)
            .map(|slice| slice.len())
    };
    assert!(catch_unwind(AssertUnwindSafe(unfinished)).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 5);
    let unfinished = || {
        let mut left = 3;
        let values = [0; 3].map(|_| Counted(&dropped, false)).into_iter();
        let values = values.inspect(|_| {
            left -= 1;
            assert!(left > 0, "as the test wants it");
        });
        kind.own_slice_fill_iter(values).map(drop)
    };
    assert!(catch_unwind(AssertUnwindSafe(unfinished)).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 8);
    assert_eq!(kind.usage().unwrap().live(), before);

    // What is not made leaves no piece.
    let unmade = || {
        kind.alloc_with(|| panic!("as the test wants it"))
            .map(|(): &mut _| ())
    };
    assert!(catch_unwind(AssertUnwindSafe(unmade)).is_err());
    let unmade = || {
        kind.own_with::<u64>(|| panic!("as the test wants it"))
            .map(drop)
    };
    assert!(catch_unwind(AssertUnwindSafe(unmade)).is_err());
    let unwritten = || {
        let once = Once(Cell::new(false));
        kind.own_fmt(format_args!("{once}")).map(drop)
    };
    assert!(catch_unwind(AssertUnwindSafe(unwritten)).is_err());
    assert_eq!(kind.usage().unwrap().live(), before);

    let owned = kind.own_str("ciao").unwrap();
    let slice = kind.own_slice_copy(&[1, 2]).unwrap();
    assert_eq!(format!("{owned} {slice:?}"), "ciao [1, 2]");
    drop((slice, owned));
    kind.check().unwrap();
}

/// Types stricter than the heap's own alignment lie where they must, as values, in slices and with owners.
pub(crate) fn holds_strict_values<R: Recipe>(heap: &impl Share) {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(32))]
    struct Lane(u8);
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(256))]
    struct Sector(u8);

    fn hold<T: Copy + PartialEq + Debug>(kind: &impl Kind, habits: &Habits, make: fn(u8) -> T) {
        let one = match kind.alloc(make(1)) {
            Ok(one) => one,
            Err(refused) => {
                assert!(habits.align < align_of::<T>(), "{refused}");
                assert!(matches!(refused, Error::OutOfMemory(_)), "{refused}");
                return;
            }
        };
        let mut at = vec![ptr::from_ref(one).addr()];
        if habits.align < align_of::<T>() {
            // A few of its pieces are stricter than all must be.
            assert!(at[0].is_multiple_of(align_of::<T>()), "{at:x?}");
            return;
        }
        // Something small in between.
        kind.alloc(2_u8).unwrap();
        let owned = kind.own(make(3)).unwrap();
        at.push(ptr::from_ref(&*owned).addr());
        if habits.most >= 3 * size_of::<T>() {
            let copied = kind.alloc_slice_copy(&[make(4), make(5), make(6)]).unwrap();
            let slice = kind.own_slice_copy(&[make(7), make(8)]).unwrap();
            at.extend(copied.iter().map(|value| ptr::from_ref(value).addr()));
            at.extend(slice.iter().map(|value| ptr::from_ref(value).addr()));
            assert_eq!(copied, [make(4), make(5), make(6)]);
            assert_eq!(*slice, [make(7), make(8)]);
        }
        assert!(
            at.iter().all(|at| at.is_multiple_of(align_of::<T>())),
            "{at:x?}"
        );
        assert_eq!((*one, *owned), (make(1), make(3)));
    }

    let mut kind = R::make(pool(heap)).unwrap();
    hold(&kind, &R::HABITS, Lane);
    kind.check().unwrap();
    kind.reset().unwrap();
    hold(&kind, &R::HABITS, Line);
    kind.check().unwrap();
    kind.reset().unwrap();
    hold(&kind, &R::HABITS, Sector);
    kind.check().unwrap();
}

/// Pools on two heaps, and two on one, do not meet.
pub(crate) fn keeps_apart<R: Recipe>(heap: &impl Share, other: &impl Share) {
    let one = R::make(pool(heap)).unwrap();
    let two = R::make(Pool::new(heap, OTHER).bounded(BOUND)).unwrap();
    let three = R::make(pool(other)).unwrap();
    let layout = layout(8, 8);
    let (a, b) = (one.allocate(layout).unwrap(), two.allocate(layout).unwrap());
    let c = three.allocate(layout).unwrap();
    let refused = [
        // SAFETY: another pool's piece: it must be refused.
        unsafe { one.deallocate(b.cast(), layout) },
        // SAFETY: another pool's piece: it must be refused.
        unsafe { two.deallocate(a.cast(), layout) },
        // SAFETY: another heap's piece: it must be refused.
        unsafe { one.deallocate(c.cast(), layout) },
        // SAFETY: another heap's piece: it must be refused.
        unsafe { three.deallocate(a.cast(), layout) },
    ];
    assert!(
        refused
            .iter()
            .all(|answer| matches!(answer, Err(Error::Misuse(_)))),
        "{refused:?}"
    );
    assert_eq!(one.contains(b.cast()), Ok(false));
    drop(one);
    // SAFETY: handed out for this layout.
    unsafe { two.deallocate(b.cast(), layout) }.unwrap();
    // SAFETY: handed out for this layout.
    unsafe { three.deallocate(c.cast(), layout) }.unwrap();
    two.check().unwrap();
    three.check().unwrap();
    drop(two);
    assert_clean(heap);
}

/// In heaps of every size from none on: a pool is made or refused, serves or refuses, and leaves nothing.
pub(crate) fn is_made_or_not<R: Recipe, H: Share>(heap_of: impl Fn(usize) -> Option<H>) {
    let mut made = 0;
    // Wherever the buffer lies, the largest has room for the alignment that a kind asks for.
    for bytes in (0..12 * 1024).step_by(112) {
        let Some(heap) = heap_of(bytes) else {
            continue;
        };
        match R::make(pool(&heap)) {
            Ok(kind) => {
                made += 1;
                let mut model = Model::default();
                while let Ok(piece) = kind.allocate(layout(8, 8)) {
                    model.add(piece, layout(8, 8));
                }
                model.assert_whole();
                kind.check().unwrap();
            }
            Err(refusal) => assert!(matches!(refusal, Error::OutOfMemory(_)), "{refusal}"),
        }
        assert_clean(&heap);
    }
    assert!(made > 0, "the largest heaps have room");
}
