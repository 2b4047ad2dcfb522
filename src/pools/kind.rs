//! What every kind of pool does.
//!
//! # Safety
//!
//! The trait is unsafe to implement: values live in what a kind hands out. The provided operations copy
//! between a piece that the caller holds and one that was just handed out.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::words::error::{Error, Misuse};
use crate::words::usage::Usage;

/// A pool that hands out pieces of its memory: what all kinds have in common.
///
/// Values go in by [`Typed`](crate::Typed), which every kind has; collections by the `Allocator` traits of
/// `allocator-api2`, which a reference to any kind implements (features `api2-02` and `api2-04`).
///
/// ```
/// use hashbrown::HashMap; // uses allocator-api2 0.2, so feature `api2-02`
/// use tagheap::{Bump, Heap, Kind, LocalHeap, Pool, Reserve, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let request = Bump::new(Pool::new(&heap, Tag::named("request")));
/// let mut counts = HashMap::new_in(&request);
/// for word in "the ships in the harbour".split(' ') {
///     *counts.entry(word).or_insert(0) += 1;
/// }
/// assert_eq!((counts["the"], request.usage()?.live()), (2, 1));
/// # Ok::<(), tagheap::Error>(())
/// ```
///
/// # Safety
///
/// - A piece is as large and aligned as its layout says, overlaps no other that is in use, and stays where it
///   is and untouched until it is given back, [`reset`](Kind::reset) is called, or the pool is dropped.
/// - Moving the pool does not move its pieces.
pub unsafe trait Kind {
    /// Hands out a piece for `layout`: as many bytes as asked for. A layout of size 0 gets a piece of its own.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::OutOfMemory) saying what was lacking, [`Misuse::Reentered`] from inside a lock,
    /// [`Corruption`](crate::Corruption) if the pool's own notes are damaged. Nothing has changed then.
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, Error>;

    /// Takes a piece back.
    ///
    /// # Errors
    ///
    /// [`Misuse`] if the piece is none of this pool's or was given back before, as far as the kind can tell
    /// and says; [`Corruption`](crate::Corruption) if the pool's own notes are damaged. Nothing has changed
    /// then.
    ///
    /// # Safety
    ///
    /// The caller holds the piece, which was handed out for this layout, and nobody uses it afterwards.
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error>;

    /// Makes a piece larger, in place where the kind can; else in a new piece, to which `old.size()` bytes
    /// are copied.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Kind::allocate) and [`deallocate`](Kind::deallocate), and [`Misuse::WrongWay`] if
    /// `new` is smaller; the piece stays as it was.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Kind::deallocate), with `old`, unless the answer is the old address too.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() < old.size() {
            return Err(wrong_way(old, new));
        }
        refuse_foreign(self, ptr)?;
        // SAFETY: the caller's promise.
        unsafe { relocate(self, ptr, old, new) }
    }

    /// Makes a piece smaller, in place where the kind can; else in a new piece, to which `new.size()` bytes
    /// are copied.
    ///
    /// # Errors
    ///
    /// As for [`grow`](Kind::grow), the other way.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Kind::grow).
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        if new.size() > old.size() {
            return Err(wrong_way(old, new));
        }
        refuse_foreign(self, ptr)?;
        // SAFETY: the caller's promise.
        unsafe { relocate(self, ptr, old, new) }
    }

    /// Takes all pieces back, which nobody can use any more, and is as new but for its numbers. No destructor
    /// runs. What memory the pool keeps, each kind says.
    ///
    /// # Errors
    ///
    /// [`Corruption`](crate::Corruption) if the pool's own notes or the heap's headers are damaged.
    fn reset(&mut self) -> Result<(), Error>;

    /// Whether the address lies in memory from which this pool hands out pieces; where each piece is a block of the
    /// heap's own, in a [`Pool`](crate::Pool) and with pooling switched off, whether one in use starts there.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from inside a lock, [`Corruption`](crate::Corruption) if the pool's own notes are
    /// damaged.
    fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error>;

    /// Checks what the pool notes about its memory.
    ///
    /// # Errors
    ///
    /// [`Corruption`](crate::Corruption) for damage, [`Misuse::Reentered`] from inside a lock.
    fn check(&self) -> Result<(), Error>;

    /// Numbers about the pool.
    ///
    /// # Errors
    ///
    /// [`Misuse::Reentered`] from inside a lock.
    fn usage(&self) -> Result<Usage, Error>;
}

/// The layout of a piece that can have an address of its own: one byte at least.
#[inline]
pub(crate) fn at_least_one(layout: Layout) -> Layout {
    if layout.size() > 0 {
        return layout;
    }
    // One byte, aligned to any power of two, is a layout unless the alignment is 2^63.
    Layout::from_size_align(1, layout.align()).unwrap_or(layout)
}

#[cold]
pub(crate) fn wrong_way(old: Layout, new: Layout) -> Error {
    let (old, new) = (old.size(), new.size());
    Misuse::WrongWay { old, new }.into()
}

/// Refuses what a kind does not contain, before anybody reads there.
pub(crate) fn refuse_foreign<K: Kind + ?Sized>(kind: &K, ptr: NonNull<u8>) -> Result<(), Error> {
    if kind.contains(ptr)? {
        return Ok(());
    }
    let address = ptr.addr().get();
    Err(Misuse::NotFromHere { address }.into())
}

/// Moves a piece to a new one, of which the kind has seen that it may be one of its own.
///
/// # Safety
///
/// As for [`Kind::grow`].
pub(crate) unsafe fn relocate<K: Kind + ?Sized>(
    kind: &K,
    ptr: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, Error> {
    let piece = kind.allocate(new)?;
    let bytes = old.size().min(new.size());
    // They may overlap where the pool's notes are damaged.
    // SAFETY: both pieces have as many bytes.
    unsafe { piece.cast::<u8>().copy_from(ptr, bytes) };
    // SAFETY: the caller's promise.
    if let Err(error) = unsafe { kind.deallocate(ptr, old) } {
        // The old piece is not what the caller thinks: the new one goes again, if it still can.
        // SAFETY: handed out above, and nobody has seen it.
        let _ = unsafe { kind.deallocate(piece.cast(), new) };
        return Err(error);
    }
    Ok(piece)
}
