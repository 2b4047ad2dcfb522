//! A thread with a span, all of whose slots are in use, and other threads that give them back.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::thread::{self, JoinHandle};

use crate::global::atomic::{self, Role};
use crate::global::classes::class_of;
use crate::global::local::{self, Local};
use crate::global::span::{SPAN, Span};
use crate::global::stock::Stock;
use crate::global::thread::{Thread, admit};
use crate::global::{UNTAGGED, center, giving, memory, spans};
use crate::words::error::{Error, Misuse};

pub(super) type Pointer = NonNull<u8>;

/// Of the class with the fewest slots: seven.
const LARGE: usize = 8192;

/// So many returned bits make who comes next the giver.
const MANY: usize = 1;

pub(super) struct World {
    pub(super) stock: &'static Stock,
    pub(super) span: &'static Span,
    pub(super) thread: &'static Thread,
    /// A cell for each slot that the checker watches: two who hold it at once are found, and so is one who does not see
    /// what its last holder wrote.
    cells: Vec<UnsafeCell<usize>>,
    layout: Layout,
}

/// What a thread has for itself.
pub(super) fn own() -> &'static Local {
    memory::zeroed()
}

impl World {
    /// A span of whose slots all are in use, or so many, and these; the calling thread owns it.
    pub(super) fn new(count: usize) -> (Rc<Self>, Vec<Pointer>) {
        Self::sized(LARGE, count)
    }

    /// As [`new`](World::new), with slots of so many bytes.
    pub(super) fn sized(bytes: usize, count: usize) -> (Rc<Self>, Vec<Pointer>) {
        let layout = Layout::from_size_align(bytes, 1).unwrap();
        memory::begin();
        atomic::begin();
        center::begin();
        let class = class_of(layout).unwrap();
        spans::begin(class);
        let array = spans::array_of(0);
        let words = |first: usize, count: usize| first..first + count * 8;
        atomic::name(words(array.returned.addr(), 2), Role::Returned);
        atomic::name(words(array.handed.addr(), 8), Role::Handed);
        atomic::name(words(array.handed.addr() + 64, 8), Role::Seen);
        for number in 0..2 {
            let states = spans::array_of(number).states.addr();
            atomic::name(states..states + class.starts(), Role::State);
        }
        let owner = own();
        local::be(owner);
        let thread = admit(owner).unwrap();
        let stock = thread.stock_for(UNTAGGED, &owner.stock).unwrap();
        owner.stock.set(Some(stock));
        let mut all = Vec::new();
        while all.len() < count
            && let Ok(at) = stock.allocate(class)
        {
            all.push(at);
        }
        let span = spans::holding(all[0].addr().get()).unwrap();
        let shelf = (&raw const span.shelf).addr();
        atomic::name(words(shelf, 1), Role::Shelf);
        let giver = (&raw const span.giver).addr();
        atomic::name(words(giver, 1), Role::Giver);
        let beside = (&raw const span.without_giver).addr();
        atomic::name(beside..beside + 4, Role::Beside);
        let changed = (&raw const span.next_changed).addr() + 8;
        atomic::name(words(changed, 1), Role::Changed);
        let all_of = |at: usize, bytes: usize| atomic::name(at..at + bytes, Role::Other);
        all_of((&raw const *span).addr(), size_of::<Span>());
        all_of((&raw const *thread).addr(), size_of::<Thread>());
        // The list of changed ones, behind the shelves.
        all_of((&raw const *stock).addr() + size_of::<Stock>() - 64, 64);
        let cells = (0..class.starts()).map(|_| UnsafeCell::new(0)).collect();
        let world = Self {
            stock,
            span,
            thread,
            cells,
            layout,
        };
        (Rc::new(world), all)
    }

    /// As [`new`](World::new), with so many given back that who gives the next back becomes the giver.
    pub(super) fn with_many(count: usize) -> (Rc<Self>, Vec<Pointer>) {
        let (world, mut all) = Self::new(count);
        let rest = all.split_off(MANY);
        world.as_other(own(), || {
            all.iter().for_each(|at| world.give(*at).unwrap());
        });
        (world, rest)
    }

    /// As [`with_many`](World::with_many), with a giver, whom the owner knows. What was given back is taken again.
    pub(super) fn with_giver(count: usize) -> (Rc<Self>, Vec<Pointer>, &'static Local) {
        let (world, mut rest) = Self::with_many(count);
        let (giver, next) = (own(), rest.remove(0));
        world.as_other(giver, || world.give(next).unwrap());
        assert!(world.span.giver.is(giver));
        rest.extend(std::iter::from_fn(|| world.take().unwrap()).take(MANY + 1));
        (world, rest, giver)
    }

    /// Does something as another thread would, while there is none.
    pub(super) fn as_other(&self, other: &'static Local, work: impl FnOnce()) {
        let owner = local::own().unwrap().local();
        local::be(other);
        work();
        local::be(owner);
    }

    fn touch(&self, at: Pointer) {
        let number = at.addr().get() % SPAN / self.span.class().bytes();
        // SAFETY: this thread holds the slot, which is what is checked.
        self.cells[number].with_mut(|cell| unsafe { *cell += 1 });
    }

    /// Gives a slot back that the calling thread holds.
    pub(super) fn give(&self, at: Pointer) -> Result<(), Error> {
        self.touch(at);
        self.give_again(at)
    }

    /// Gives a slot back that somebody else did before.
    pub(super) fn give_again(&self, at: Pointer) -> Result<(), Error> {
        // SAFETY: nobody uses it, as is checked.
        unsafe { giving::deallocate(at, self.layout) }
    }

    /// Takes a slot, by the owner, if one was given back.
    pub(super) fn take(&self) -> Result<Option<Pointer>, Misuse> {
        let inside = local::enter().unwrap();
        let class = class_of(self.layout).unwrap();
        let answer = self.stock.allocate(class);
        drop(inside);
        match answer {
            Ok(at) => {
                self.touch(at);
                Ok(Some(at))
            }
            Err(Error::OutOfMemory(_)) => Ok(None),
            Err(Error::Misuse(misuse)) => Err(misuse),
            Err(error) => panic!("{error}"),
        }
    }

    /// Collects what was given back, by the owner, who gives nothing back and takes nothing.
    pub(super) fn collect(&self) -> Result<(), Error> {
        self.thread.trim()
    }

    /// The owner goes, as a thread does.
    pub(super) fn leave(&self) {
        self.collect().unwrap();
        self.thread.leave();
    }

    /// After all others are gone: collects what was given back, and finds so many in use, all others free.
    pub(super) fn assert_used(&self, used: usize) {
        self.collect().unwrap();
        self.assert_taken(used);
    }

    /// So many are in use, all others free.
    pub(super) fn assert_taken(&self, used: usize) {
        if !self.span.is_open() {
            assert_eq!(used, 0, "slots in use are lost");
            return;
        }
        assert_eq!(self.span.used(), used, "slots are lost, or there twice");
        assert_eq!(self.span.taken(), used, "slots are not counted");
    }
}

/// A thread of this number that has this for its own.
pub(super) fn spawn<T: 'static>(
    world: &Rc<World>,
    number: usize,
    own: &'static Local,
    work: impl FnOnce(&World) -> T + 'static,
) -> JoinHandle<T> {
    let world = Rc::clone(world);
    thread::spawn(move || {
        atomic::set_number(number);
        local::be(own);
        work(&world)
    })
}

/// Whether it was said that a slot was given back twice.
pub(super) fn is_told<T>(answer: Result<T, impl Into<Error>>) -> bool {
    match answer.map_err(Into::into) {
        Ok(_) => false,
        Err(Error::Misuse(Misuse::DoubleFree { .. })) => true,
        Err(error) => panic!("{error}"),
    }
}
