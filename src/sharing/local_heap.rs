//! A heap shared within one thread.
//!
//! # Safety
//!
//! A cell lends the heap to one borrower at a time, and what it lends is not replaced (see
//! [`Share`](crate::sharing::share)).
#![allow(unsafe_code)]

use core::cell::RefCell;

use crate::ground::source::Source;
use crate::heap::Heap;
use crate::policy::directory::Directory;
use crate::policy::placement::Placement;
use crate::policy::rule::{Rule, Split};
use crate::sharing::share::Share;
use crate::words::error::Misuse;

/// A heap that several pools of one thread share.
///
/// ```
/// use core::alloc::Layout;
/// use tagheap::{Heap, LocalHeap, Reserve, Share, Tag};
///
/// let heap = LocalHeap::new(Heap::new(Reserve::new()?)?);
/// let (one, two) = (&heap, &heap);
/// one.allocate(Tag::new(1), Layout::new::<u64>())?;
/// two.allocate(Tag::new(2), Layout::new::<u64>())?;
/// println!("{}", heap.look(|heap| heap.table().to_string())?);
/// # Ok::<(), tagheap::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalHeap<S: Source, R: Rule = Split, P: Placement = Directory> {
    heap: RefCell<Heap<S, R, P>>,
}

impl<S: Source, R: Rule, P: Placement> LocalHeap<S, R, P> {
    /// Shares a heap.
    pub const fn new(heap: Heap<S, R, P>) -> Self {
        let heap = RefCell::new(heap);
        Self { heap }
    }

    /// The heap, which nobody else holds.
    pub fn get_mut(&mut self) -> &mut Heap<S, R, P> {
        self.heap.get_mut()
    }

    /// The heap, no longer shared.
    pub fn into_inner(self) -> Heap<S, R, P> {
        self.heap.into_inner()
    }
}

// SAFETY: the cell lends its heap to one borrower, and only here; who replaces it holds the cell exclusively.
unsafe impl<S: Source, R: Rule, P: Placement> Share for LocalHeap<S, R, P> {
    type Source = S;
    type Rule = R;
    type Placement = P;

    #[inline(always)]
    unsafe fn with<T>(&self, work: impl FnOnce(&mut Heap<S, R, P>) -> T) -> Result<T, Misuse> {
        match self.heap.try_borrow_mut() {
            Ok(mut heap) => Ok(work(&mut heap)),
            Err(_) => Err(Misuse::Reentered),
        }
    }
}
