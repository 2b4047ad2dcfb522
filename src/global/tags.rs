//! What a program asks and says of its tags.

use core::fmt;

use crate::global::Global;
use crate::global::center;
use crate::global::changes;
use crate::global::is_ours;
use crate::global::numbers::{self, Holding, Holdings};
use crate::words::error::{Error, Misuse};
use crate::words::tag::Tag;

impl Global {
    /// What is held under a tag. O(threads and the tag's spans); exact while no other thread changes it.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from a signal handler that came into the heap.
    pub fn holding(&self, tag: Tag) -> Result<Holding, Error> {
        self.prepare();
        numbers::holding(tag)
    }

    /// What is held under each tag, in the order of tags. O(tags / 256) for each.
    pub fn holdings(&self) -> Holdings {
        self.prepare();
        Holdings::new()
    }

    /// What is held under each tag that holds or held anything, in the order of tags: into `room`, of which it answers
    /// what they fill. For [`Changes`](crate::Changes) from this moment to another: what a request cost, or a minute.
    /// Behind the lock, O(tags × (log tags + threads) + spans).
    ///
    /// Nothing is allocated. The room is the caller's, such as `[Holding::default(); 64]`; a vector as room is memory of
    /// this heap too, so have both rooms before the first snapshot, or in a [`scope`](crate::scope) of their own.
    ///
    /// ```
    /// use tagheap::{Changes, Global, Holding, Tag, scope};
    ///
    /// #[global_allocator]
    /// static HEAP: Global = Global::new();
    /// # const REQUEST: Tag = Tag::named("request");
    /// # fn serve() -> Vec<Box<[u8; 100]>> { scope(REQUEST, || vec![Box::new([1; 100])]) }
    ///
    /// let mut room = [[Holding::default(); 64]; 2];
    /// let [before, after] = &mut room;
    /// let before = HEAP.snapshot(before)?;
    /// let answer = serve();
    /// let cost = Changes::between(before, HEAP.snapshot(after)?);
    /// println!("{cost}");
    /// assert_eq!(cost.of(REQUEST).objects, 2);
    /// # drop(answer);
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) by [`Shortage::Tags`](crate::Shortage::Tags) if the tags are more than there is
    /// room for, and [`Misuse::Reentered`] from a signal handler that came into the heap. Of the
    /// room nothing is told then.
    pub fn snapshot<'a>(&self, room: &'a mut [Holding]) -> Result<&'a [Holding], Error> {
        self.prepare();
        changes::snapshot(room)
    }

    /// A table in text: objects, bytes and blocks by tag. It allocates nothing itself.
    /// [`print_report`](Global::print_report) prints it.
    #[must_use = "a table that nobody prints"]
    pub fn report(&self) -> impl fmt::Display + use<> {
        self.prepare();
        numbers::Report
    }

    /// Writes that table to standard error, without allocating.
    pub fn print_report(&self) {
        self.prepare();
        numbers::print_report();
    }

    /// Calls a tag by a name besides: up to [31](crate::Name::CAPACITY) bytes, what is longer is cut. O(1).
    ///
    /// # Errors
    ///
    /// As for [`Heap::set_name`](crate::Heap::set_name), and [`Misuse::Reentered`] from a
    /// signal handler that came into the heap.
    pub fn set_name(&self, tag: Tag, name: &str) -> Result<(), Error> {
        self.prepare();
        center::with(|center| center.heap.set_name(tag, name))?
    }

    /// Bounds the bytes of blocks that a tag may hold: spans and large blocks, headers included. O(1).
    ///
    /// A request beyond is refused: [`allocate`](Global::allocate) answers an error, and the language's own requests get
    /// a null pointer, which `try_reserve` and the like answer as an error of theirs. All other collections end the program
    /// then, as they do where there is no memory.
    ///
    /// # Errors
    ///
    /// As for [`set_name`](Global::set_name), and [`Misuse::ReservedTag`] for that of the
    /// heap's own books, without which nobody else is served.
    pub fn set_limit(&self, tag: Tag, limit: Option<usize>) -> Result<(), Error> {
        if is_ours(tag) {
            return Err(Misuse::ReservedTag { tag }.into());
        }
        self.prepare();
        center::with(|center| center.heap.set_limit(tag, limit))?
    }

    /// Lets a tag's peak begin anew, at what its blocks hold now. O(1).
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from a signal handler that came into the heap.
    pub fn reset_peak(&self, tag: Tag) -> Result<(), Error> {
        self.prepare();
        center::with(|center| center.heap.reset_peak(tag))
    }

    /// Forgets a tag's numbers, name and limit, if it has no blocks: neither objects, nor spans that a thread keeps
    /// warm (see [`release`](Global::release) and [`trim`](Global::trim)). O(1).
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from a signal handler that came into the heap.
    pub fn forget(&self, tag: Tag) -> Result<(), Error> {
        self.prepare();
        center::with(|center| center.heap.forget(tag))
    }
}
