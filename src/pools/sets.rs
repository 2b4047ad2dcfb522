//! Several sets of slots in one pool, each of another size.
//!
//! # Safety
//!
//! A piece is a slot that one of the sets says is in use. No chunk is two sets'.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt::{self, Write};
use core::ptr::NonNull;

use crate::pools::kind::{self, Kind};
use crate::pools::meter::{Meter, Watermark};
use crate::pools::pool::Pool;
use crate::pools::shape::Shape;
use crate::pools::slots::{Slots, Tally};
use crate::sharing::share::Share;
use crate::words::error::{Error, Misuse, Shortage};
use crate::words::usage::{Measure, Usage};

/// What becomes of a request when all slots meant for it are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused: [`Shortage::Full`].
    #[default]
    Refuse,
    /// It takes a larger slot than it needs, or one meant for less important requests, if there is one.
    Borrow,
}

/// Bytes to which slots are aligned at most.
const STRICTEST: usize = 4096;

/// One of the sets, with its own numbers.
#[derive(Debug)]
pub(crate) struct Class {
    slots: Slots,
}

impl Class {
    #[inline]
    pub(crate) fn fits(&self, layout: Layout) -> bool {
        self.slots.shape().fits(layout)
    }

    pub(crate) fn size(&self) -> usize {
        self.slots.shape().size()
    }

    pub(crate) fn align(&self) -> usize {
        self.slots.shape().align
    }

    /// What its slots lack for a layout that does not fit.
    pub(crate) fn lack(&self, layout: Layout) -> Shortage {
        self.slots.shape().lack(layout)
    }

    #[inline]
    fn take(&self) -> Result<Option<NonNull<u8>>, usize> {
        match self.slots.take() {
            None => self.slots.take_next(),
            taken => Ok(taken),
        }
    }
}

/// How slots of so many bytes lie: aligned to the largest power of two, up to 4096, that divides their size.
fn layout_of(size: usize) -> Option<Layout> {
    let size = size.max(1);
    let align = STRICTEST.min(1 << size.trailing_zeros());
    Layout::from_size_align(size, align).ok()
}

fn shape_of(size: usize, count: usize) -> Option<Shape> {
    Shape::single(layout_of(size)?, count)
}

/// Sets of slots, in the order in which they were named.
#[derive(Debug)]
pub(crate) struct Sets<H: Share, const N: usize> {
    classes: [Class; N],
    meter: Meter,
    pool: Pool<H>,
}

impl<H: Share, const N: usize> Sets<H, N> {
    /// A set of so many bytes a slot, and so many slots, for each. Takes all memory now, or none.
    pub(crate) fn new(pool: Pool<H>, sizes: [(usize, usize); N]) -> Result<Self, Error> {
        let mut total = 0_usize;
        for (size, count) in sizes {
            if shape_of(size, count).is_none() {
                let layout = layout_of(size).unwrap_or(Layout::new::<u8>());
                return Err(pool.refusal(layout, Shortage::TooLarge));
            }
            total = total.saturating_add(count);
        }
        let classes = sizes.map(|(size, count)| {
            let shape = shape_of(size, count).filter(|_| !pool.passes());
            let tally = Tally::new(pool.tag(), count, Watermark::default());
            Class {
                slots: Slots::new(shape.unwrap_or(Shape::NONE), tally),
            }
        });
        for class in &classes {
            class.slots.lengthen(&pool)?;
        }
        let meter = pool.meter_of(Measure::Slots, total);
        Ok(Self {
            classes,
            meter,
            pool,
        })
    }

    pub(crate) fn pool(&self) -> &Pool<H> {
        &self.pool
    }

    /// Draws a line for each class.
    pub(crate) fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, class) in self.classes.iter().enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            class.slots.draw(f)?;
        }
        Ok(())
    }

    pub(crate) fn classes(&self) -> &[Class; N] {
        &self.classes
    }

    /// A slot of the first of these classes that has one free. The layout fits them all.
    #[inline]
    pub(crate) fn allocate<'a>(
        &'a self,
        classes: impl Iterator<Item = &'a Class> + Clone,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        for class in classes.clone() {
            let taken = class.take();
            if let Some(start) = taken.map_err(|at| self.damaged(class, at))? {
                self.meter.take_slot();
                return Ok(NonNull::slice_from_raw_parts(start, layout.size()));
            }
        }
        let first = classes.clone().next();
        let (mut total, mut used) = (0, 0);
        for class in classes {
            total += class.slots.total();
            used += class.slots.used();
        }
        Err(self.refuse(first, layout, Shortage::Full { total, used }))
    }

    /// A refusal, counted in all and by the class that should have served.
    #[cold]
    pub(crate) fn refuse(&self, class: Option<&Class>, layout: Layout, cause: Shortage) -> Error {
        self.meter.fail();
        if let Some(class) = class {
            class.slots.fail();
        }
        self.pool.refusal(layout, cause)
    }

    #[cold]
    fn damaged(&self, class: &Class, at: usize) -> Error {
        self.meter.fail();
        class.slots.fail();
        self.pool.damage(at)
    }

    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[inline]
    pub(crate) unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        for class in &self.classes {
            if class.fits(layout) && class.slots.give(ptr) {
                self.meter.give_slot();
                return Ok(());
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_slowly(ptr, layout) }
    }

    /// # Safety
    ///
    /// As for [`Kind::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_slowly(&self, ptr: NonNull<u8>, layout: Layout) -> Result<(), Error> {
        if self.pool.passes() {
            // SAFETY: the caller's promise.
            return unsafe { self.pool.deallocate(ptr, layout) };
        }
        Err(match self.class_of(ptr) {
            Ok(class) => class.slots.misuse(ptr, layout).into(),
            Err(stranger) => stranger,
        })
    }

    fn class_of(&self, ptr: NonNull<u8>) -> Result<&Class, Error> {
        let address = ptr.addr().get();
        let mut classes = self.classes.iter();
        let found = classes.find(|class| class.slots.spans(address));
        found.ok_or(Misuse::NotFromHere { address }.into())
    }

    /// Resizes a piece of `kind`, whose sets these are: in its slot, if it fits there; else in another.
    ///
    /// # Safety
    ///
    /// As for [`Kind::grow`].
    pub(crate) unsafe fn resize<K: Kind>(
        &self,
        kind: &K,
        ptr: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, Error> {
        let class = self.class_of(ptr)?;
        let slot = class.slots.in_use(ptr, old)?;
        if class.fits(new) {
            return Ok(NonNull::slice_from_raw_parts(slot, new.size()));
        }
        // SAFETY: the caller's promise.
        unsafe { kind::relocate(kind, ptr, old, new) }
    }

    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.reset();
        }
        for class in &self.classes {
            class.slots.sealed().map_err(|at| self.pool.damage(at))?;
        }
        for class in &mut self.classes {
            class.slots.reset().map_err(|at| self.pool.damage(at))?;
        }
        self.meter.reset();
        Ok(())
    }

    pub(crate) fn contains(&self, ptr: NonNull<u8>) -> Result<bool, Error> {
        if self.pool.passes() {
            return self.pool.contains(ptr);
        }
        let address = ptr.addr().get();
        let mut classes = self.classes.iter();
        Ok(classes.any(|class| class.slots.holds(address)))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.pool.passes() {
            return self.pool.check();
        }
        let (mut used, mut bytes) = (0, 0);
        for class in &self.classes {
            bytes += class.slots.check().map_err(|at| self.pool.damage(at))?;
            used += class.slots.used();
        }
        if used != self.meter.used() || bytes != self.pool.in_chunks() {
            return Err(self.pool.damage(0));
        }
        self.pool.check()
    }

    /// Numbers about all sets together.
    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        if self.pool.passes() {
            return self.pool.usage();
        }
        Ok(self.meter.usage())
    }

    /// Numbers about one of the sets.
    pub(crate) fn usage_of(&self, class: usize) -> Option<Usage> {
        Some(self.classes.get(class)?.slots.usage())
    }
}
