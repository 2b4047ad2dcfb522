//! The unsafe operations without their promises.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Amount, Error, Heap, Mark, Placement, Rule, Source, Tag};

/// What a careless caller does: every call without its promise. The memory is a test's own, and
/// nothing refers to it but pointers.
pub(crate) trait Careless {
    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error>;
    fn free_in(&mut self, tag: Tag, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error>;
    fn enlarge(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout)
    -> Result<NonNull<u8>, Error>;
    fn enlarge_zeroed(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error>;
    fn reduce(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error>;
    fn release_tag(&mut self, tag: Tag) -> Result<Amount, Error>;
    fn release_after(&mut self, tag: Tag, mark: Mark) -> Result<Amount, Error>;
    fn release_if(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error>;
}

impl<S: Source, R: Rule, P: Placement> Careless for Heap<S, R, P> {
    fn free(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.deallocate(ptr, layout) }
    }

    fn free_in(&mut self, tag: Tag, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.deallocate_in(tag, ptr, layout) }
    }

    fn enlarge(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let grown = unsafe { self.grow(ptr, old, new) }?;
        assert_eq!(grown.len(), new.size());
        Ok(grown.cast())
    }

    fn enlarge_zeroed(
        &mut self,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let grown = unsafe { self.grow_zeroed(ptr, old, new) }?;
        assert_eq!(grown.len(), new.size());
        Ok(grown.cast())
    }

    fn reduce(&mut self, ptr: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<u8>, Error> {
        // SAFETY: broken on purpose, see the trait.
        let shrunk = unsafe { self.shrink(ptr, old, new) }?;
        assert_eq!(shrunk.len(), new.size());
        Ok(shrunk.cast())
    }

    fn release_tag(&mut self, tag: Tag) -> Result<Amount, Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.release(tag) }
    }

    fn release_after(&mut self, tag: Tag, mark: Mark) -> Result<Amount, Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.release_since(tag, mark) }
    }

    fn release_if(&mut self, pick: impl FnMut(Tag) -> bool) -> Result<Amount, Error> {
        // SAFETY: broken on purpose, see the trait.
        unsafe { self.release_where(pick) }
    }
}
