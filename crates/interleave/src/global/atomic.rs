//! Atomics that lie where the library has them and are as large as there, and that the checker knows by their addresses.
//!
//! A test begins alone, and the checker does not watch: that takes no time. From when it says so ([`go_live`]) the checker
//! sees each access, and each word begins with what it was then. Memory is not changed, so each run finds it as it was.
//!
//! The checker takes sequentially consistent loads, stores and exchanges for such that acquire and release; only of its
//! fences there is one order. So an exchange or a store in that order is followed here by such a fence, put off until the
//! thread's next load in that order: which is what the library relies on, and no more. A load alone gets none.
//!
//! What one thread stores at a time without an exchange is found if two do: each word has a cell beside it, written with
//! each store, that the checker watches. Words that anybody may store to are named; these are stored to by exchanges here,
//! for of stores without one that race the checker forgets that their order is the same for all.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use loom::sync::atomic::AtomicU64 as Watched;

use crate::global::faults::{Fault, is_broken};
use crate::global::memory;

pub(crate) use loom::sync::atomic::Ordering;

/// What a word is for, where a test has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Shelf,
    Giver,
    Returned,
    Changed,
    Handed,
    Seen,
    State,
    /// What its owner counts beside the giver.
    Beside,
    /// Whatever else others than its owner may reach.
    Other,
    /// What anybody stores to.
    Anybodys,
}

/// A word that the checker knows.
struct Word {
    value: Watched,
    stored: loom::cell::UnsafeCell<()>,
    /// One for each thread, where others may be: see [`touch`](Word::touch).
    touched: Vec<Watched>,
    role: Option<Role>,
}

/// Threads of a model at most.
const THREADS: usize = 3;

/// All that there is in a run.
#[derive(Default)]
struct Words {
    is_live: bool,
    /// What was used before the checker watched, and what it was last.
    before: BTreeMap<usize, u64>,
    known: BTreeMap<usize, Rc<Word>>,
    roles: Vec<(Range<usize>, Role)>,
    /// A thread for whose stores another waits.
    awaited: Option<Rc<Awaited>>,
}

struct Awaited {
    asked: Watched,
    answered: Watched,
}

thread_local! {
    static WORDS: RefCell<Words> = RefCell::default();
}

loom::thread_local! {
    /// A fence is put off.
    static OWES: Cell<bool> = Cell::new(false);
    /// The thread's number.
    static ME: Cell<usize> = Cell::new(0);
    /// Is waited for.
    static IS_AWAITED: Cell<bool> = Cell::new(false);
    /// For what is broken: the last that was stored was a fence; who claims late.
    static FENCED: Cell<bool> = Cell::new(false);
    static CLAIM: Cell<Option<(usize, u64)>> = Cell::new(None);
}

/// A run begins.
pub(crate) fn begin() {
    WORDS.take();
}

/// Names the words of a range of addresses.
pub(crate) fn name(range: Range<usize>, role: Role) {
    WORDS.with_borrow_mut(|words| words.roles.push((range, role)));
}

/// The checker watches from here on.
pub(crate) fn go_live() {
    let before = WORDS.with_borrow_mut(|words| {
        words.is_live = true;
        std::mem::take(&mut words.before)
    });
    for (at, value) in before {
        know(at, || value);
    }
    let awaited = Awaited {
        asked: Watched::new(0),
        answered: Watched::new(0),
    };
    WORDS.with_borrow_mut(|words| words.awaited = Some(Rc::new(awaited)));
}

impl Words {
    fn role(&self, at: usize) -> Option<Role> {
        let mut roles = self.roles.iter();
        roles
            .find(|(range, _)| range.contains(&at))
            .map(|(_, role)| *role)
    }
}

/// The word at an address, made known by the calling thread if it is not; `None` before the checker watches.
fn know(at: usize, value: impl FnOnce() -> u64) -> Option<Rc<Word>> {
    let (is_live, known, role) = WORDS.with_borrow(|words| {
        let known = words.known.get(&at).map(Rc::clone);
        (words.is_live, known, words.role(at))
    });
    if !is_live || known.is_some() {
        return known;
    }
    // What a thread alone reaches has nothing to be told apart.
    let is_shared = role.is_some() || !memory::contains(at);
    // Statics are not of one thread.
    let role = role.or((!memory::contains(at)).then_some(Role::Anybodys));
    let word = Rc::new(Word {
        value: Watched::new(value()),
        stored: loom::cell::UnsafeCell::new(()),
        touched: match is_shared {
            true => (0..THREADS).map(|_| Watched::new(0)).collect(),
            false => Vec::new(),
        },
        role,
    });
    WORDS.with_borrow_mut(|words| words.known.insert(at, Rc::clone(&word)));
    Some(word)
}

/// Waits so long that all stores which the awaited thread made until some moment have arrived, and all that it loads after
/// that moment is new, wherever it is then: as time does, which the checker does not know.
pub(crate) fn wait_long() {
    let awaited = WORDS.with_borrow(|words| Rc::clone(words.awaited.as_ref().unwrap()));
    fence(Ordering::SeqCst);
    awaited.asked.fetch_add(1, Ordering::Relaxed);
    while awaited.answered.load(Ordering::Acquire) == 0 {
        loom::thread::yield_now();
    }
    fence(Ordering::SeqCst);
}

/// Gives the calling thread a number that no other has; the first has 0.
pub(crate) fn set_number(number: usize) {
    assert!(number < THREADS);
    ME.with(|me| me.set(number));
}

/// Makes the calling thread the awaited one.
pub(crate) fn be_awaited() {
    IS_AWAITED.with(|is| is.set(true));
}

/// The awaited thread does no more.
pub(crate) fn answer_for_good() {
    answer(true);
}

/// Between two accesses of the awaited thread: that moment, or not.
fn answer(is_last: bool) {
    if !IS_AWAITED.with(Cell::get) {
        return;
    }
    let awaited = WORDS.with_borrow(|words| Rc::clone(words.awaited.as_ref().unwrap()));
    if is_last || awaited.asked.fetch_add(0, Ordering::Relaxed) > 0 {
        IS_AWAITED.with(|is| is.set(false));
        fence(Ordering::SeqCst);
        awaited.answered.store(1, Ordering::Release);
    }
}

pub(crate) fn fence(order: Ordering) {
    if !WORDS.with_borrow(|words| words.is_live) {
        return;
    }
    OWES.with(|owes| owes.set(false));
    FENCED.with(|fenced| fenced.set(true));
    if !is_broken(Fault::NoSequence) {
        loom::sync::atomic::fence(order);
    }
}

/// Notes that the calling thread stored something in sequentially consistent order.
fn owe(order: Ordering) {
    if order == Ordering::SeqCst {
        OWES.with(|owes| owes.set(true));
    }
}

/// What an exchange does.
#[derive(Clone, Copy)]
enum Change {
    To(u64),
    Or(u64),
}

impl Change {
    fn of(self, value: u64) -> u64 {
        match self {
            Change::To(value) => value,
            Change::Or(bits) => value | bits,
        }
    }
}

impl Word {
    /// Says to the checker that a thread reads the word, or changes it.
    ///
    /// It notes the last access to each of its own words only, so a thread that reads one and then changes it would hide
    /// who read it before: no run in which that one comes later would follow. Here who reads touches one of a thread's,
    /// and who changes touches those of all.
    fn touch(&self, is_change: bool) {
        let me = ME.with(Cell::get);
        for (thread, touched) in self.touched.iter().enumerate() {
            if is_change || thread == me {
                touched.store(0, Ordering::Relaxed);
            }
        }
    }

    /// The order that the checker is told.
    fn order(&self, order: Ordering, sequential: Ordering) -> Ordering {
        match order {
            _ if self
                .role
                .is_some_and(|role| is_broken(Fault::NoOrder(role))) =>
            {
                Ordering::Relaxed
            }
            Ordering::SeqCst => sequential,
            order => order,
        }
    }

    fn load(&self, order: Ordering) -> u64 {
        if order == Ordering::SeqCst {
            if OWES.with(|owes| owes.replace(false)) && !is_broken(Fault::NoSequence) {
                loom::sync::atomic::fence(order);
            }
            let is_again = FENCED.with(Cell::get) && is_broken(Fault::NoLookAgain);
            match self.role {
                Some(Role::Shelf) if is_broken(Fault::NoLook) => return 0,
                Some(Role::Giver | Role::Returned) if is_again => return 0,
                _ => {}
            }
        }
        answer(false);
        self.touch(false);
        self.value.load(self.order(order, Ordering::Acquire))
    }

    fn store(&self, value: u64, order: Ordering) {
        let value = match self.role {
            Some(Role::Giver) if value == 1 && is_broken(Fault::PartsAtOnce) => 2,
            // It goes from odd to odd.
            Some(Role::Beside)
                if is_broken(Fault::NoCount)
                    && value % 2 == 1
                    && self.value.load(Ordering::Relaxed) % 2 == 1 =>
            {
                return;
            }
            _ => value,
        };
        FENCED.with(|fenced| fenced.set(false));
        answer(false);
        self.touch(true);
        let told = self.order(order, Ordering::Release);
        if matches!(self.role, Some(Role::Shelf | Role::Anybodys)) {
            self.value.swap(value, told);
        } else {
            self.stored.with_mut(|_| ());
            self.value.store(value, told);
        }
        owe(order);
    }

    /// An exchange of what there is.
    fn change(&self, order: Ordering, by: Change) -> u64 {
        answer(false);
        self.touch(true);
        let told = self.order(order, Ordering::AcqRel);
        let before = match by {
            _ if self
                .role
                .is_some_and(|role| is_broken(Fault::NoExchange(role))) =>
            {
                let before = self.value.load(Ordering::Acquire);
                self.value.store(by.of(before), Ordering::Release);
                before
            }
            Change::To(value) => self.value.swap(value, told),
            Change::Or(bits) => self.value.fetch_or(bits, told),
        };
        owe(order);
        if self.role == Some(Role::Returned)
            && let Some((at, me)) = CLAIM.with(Cell::take)
        {
            let giver = know(at, || 0).unwrap();
            let done = self.order(Ordering::SeqCst, Ordering::AcqRel);
            let _ = giver.value.compare_exchange(0, me, done, Ordering::Relaxed);
        }
        before
    }

    fn compare_exchange(
        &self,
        at: usize,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if self.role == Some(Role::Giver) && is_broken(Fault::LateClaim) {
            CLAIM.with(|claim| claim.set(Some((at, new))));
            return Ok(current);
        }
        answer(false);
        self.touch(true);
        if self
            .role
            .is_some_and(|role| is_broken(Fault::NoExchange(role)))
        {
            let found = self.value.load(Ordering::Acquire);
            if found != current {
                return Err(found);
            }
            self.value.store(new, Ordering::Release);
            owe(success);
            return Ok(found);
        }
        let done = self.order(success, Ordering::AcqRel);
        let answer = self.value.compare_exchange(current, new, done, failure);
        owe(success);
        answer
    }
}

macro_rules! atomic {
    ($name:ident $(<$of:ident>)?, $value:ty, $to:expr, $from:expr) => {
        #[repr(transparent)]
        pub(crate) struct $name $(<$of>)? {
            /// What it is at first. It is changed elsewhere.
            first: $value,
        }

        // SAFETY: it is not changed.
        unsafe impl $(<$of>)? Sync for $name $(<$of>)? {}
        // SAFETY: as above.
        unsafe impl $(<$of>)? Send for $name $(<$of>)? {}

        impl $(<$of>)? std::fmt::Debug for $name $(<$of>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) const fn new(first: $value) -> Self {
                Self { first }
            }

            fn at(&self) -> Place {
                Place {
                    at: (&raw const self.first).addr(),
                    first: ($to)(self.first),
                }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                let place = self.at();
                let is_word = size_of::<$value>() == size_of::<u64>();
                let states = if is_word { together(place.at, order) } else { None };
                ($from)(states.unwrap_or_else(|| place.load(order)))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.at().store(($to)(value), order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                ($from)(self.at().change(order, Change::To(($to)(value))))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let (current, new) = (($to)(current), ($to)(new));
                let done = self.at().compare_exchange(current, new, success, failure);
                done.map($from).map_err($from)
            }
        }
    };
}

/// Where an atomic lies, and what it is at first.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    first: u64,
}

impl Place {
    fn word(self) -> Option<Rc<Word>> {
        know(self.at, || self.first)
    }

    /// What it is before the checker watches.
    fn alone(self) -> u64 {
        WORDS.with_borrow_mut(|words| *words.before.entry(self.at).or_insert(self.first))
    }

    fn set_alone(self, value: u64) {
        WORDS.with_borrow_mut(|words| words.before.insert(self.at, value));
    }

    fn load(self, order: Ordering) -> u64 {
        match self.word() {
            Some(word) => word.load(order),
            None => self.alone(),
        }
    }

    fn store(self, value: u64, order: Ordering) {
        match self.word() {
            Some(word) => word.store(value, order),
            None => self.set_alone(value),
        }
    }

    fn change(self, order: Ordering, by: Change) -> u64 {
        match self.word() {
            Some(word) => word.change(order, by),
            None => {
                let before = self.alone();
                self.set_alone(by.of(before));
                before
            }
        }
    }

    fn compare_exchange(
        self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        match self.word() {
            Some(word) => word.compare_exchange(self.at, current, new, success, failure),
            None => {
                let found = self.alone();
                if found != current {
                    return Err(found);
                }
                self.set_alone(new);
                Ok(found)
            }
        }
    }
}

/// Eight states, each of which is a word for the checker: their owner looks at them together.
fn together(at: usize, order: Ordering) -> Option<u64> {
    WORDS.with_borrow(|words| words.role(at).filter(|role| *role == Role::State))?;
    let state = |place: usize| {
        let state = std::ptr::with_exposed_provenance::<AtomicU8>(at + place);
        // SAFETY: states are there for the run.
        u64::from(unsafe { &*state }.load(order)) << (8 * place)
    };
    Some((0..8).map(state).sum())
}

atomic!(AtomicU8, u8, u64::from, |bits: u64| bits as u8);
atomic!(AtomicU16, u16, u64::from, |bits: u64| bits as u16);
atomic!(AtomicU32, u32, u64::from, |bits: u64| bits as u32);
atomic!(AtomicU64, u64, |value: u64| value, |bits: u64| bits);
atomic!(
    AtomicUsize,
    usize,
    |value: usize| value as u64,
    |bits: u64| { bits as usize }
);
atomic!(AtomicBool, bool, u64::from, |bits: u64| bits != 0);
atomic!(
    AtomicPtr<T>,
    *mut T,
    |value: *mut T| value.expose_provenance() as u64,
    |bits: u64| std::ptr::with_exposed_provenance_mut(bits as usize)
);

impl AtomicU64 {
    pub(crate) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.at().change(order, Change::Or(bits))
    }
}
