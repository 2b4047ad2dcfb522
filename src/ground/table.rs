//! Tables for indexes: zeroed arrays outside the row that grow, in lent memory or mappings of their own.
//!
//! # Safety
//!
//! A table owns its elements' memory: a part of what was lent, which is handed out once, or a mapping.
//! All of it is zero at first, and all-zero bytes are a valid element ([`Plain`]).
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::ground::lanes::Line;
use crate::ground::sys::{self, HUGE_PAGE, PAGE};
use crate::words::error::Shortage;
use crate::words::size::{LINE, align_up};

/// Values that all-zero bytes are a valid one of.
///
/// # Safety
///
/// All-zero bytes are a valid value, and the alignment is at most a cache line's 64 bytes.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: a number.
unsafe impl Plain for u8 {}
// SAFETY: a number.
unsafe impl Plain for i16 {}
// SAFETY: a number.
unsafe impl Plain for u32 {}
// SAFETY: a number.
unsafe impl Plain for u64 {}

/// Where a heap's indexes get memory: first what its source lends, then mappings of the kernel's, if it
/// may map.
#[derive(Debug)]
pub struct IndexMemory {
    next: NonNull<u8>,
    left: usize,
    maps: bool,
    /// Bytes of the pages in which large tables lie.
    page: usize,
}

// SAFETY: the lent memory belongs to this value alone.
unsafe impl Send for IndexMemory {}
// SAFETY: handing memory out takes it exclusively.
unsafe impl Sync for IndexMemory {}

impl IndexMemory {
    /// The `length` bytes at `start`, then mappings if it `maps`. Zeroes the bytes.
    ///
    /// # Safety
    ///
    /// The bytes are readable and writable and nobody else's for as long as a table made from this lives.
    pub(crate) unsafe fn new(start: NonNull<u8>, length: usize, maps: bool) -> Self {
        // SAFETY: the caller's promise.
        unsafe { start.write_bytes(0, length) };
        Self {
            next: start,
            left: length,
            maps,
            page: PAGE,
        }
    }

    /// Lets tables of two mebibytes and more lie in huge pages: who comes here and there in one, as a release does, touches a
    /// new page each time at first, and one that is not translated later.
    pub(crate) fn prefer_huge_pages(&mut self) {
        self.page = HUGE_PAGE;
    }

    /// Bytes of the pages in which a table of so many lies.
    fn page(&self, bytes: usize) -> usize {
        if bytes < HUGE_PAGE { PAGE } else { self.page }
    }

    /// As of a source that lends nothing, and may map.
    #[cfg(test)]
    pub(crate) fn unlent() -> Self {
        // SAFETY: nothing is lent.
        unsafe { Self::new(NonNull::dangling(), 0, true) }
    }

    /// As of a source that lends so many bytes, and may not map.
    #[cfg(test)]
    pub(crate) fn bounded(bytes: usize) -> Self {
        let lent = std::vec![0_u64; bytes / 8].leak();
        // SAFETY: leaked.
        unsafe { Self::new(NonNull::from(lent).cast(), bytes / 8 * 8, false) }
    }

    /// Whether no more than what was lent is to be had.
    pub(crate) fn is_bounded(&self) -> bool {
        !self.maps
    }

    /// Cuts zeroed bytes on a cache line from what was lent.
    fn cut(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let skip = self.next.align_offset(LINE);
        let length = skip.checked_add(align_up(bytes, LINE)?)?;
        self.left = self.left.checked_sub(length)?;
        // Skipped bytes and cut ones lie within what was lent.
        let start = self.next.map_addr(|next| next.saturating_add(skip));
        self.next = self.next.map_addr(|next| next.saturating_add(length));
        Some(start)
    }
}

/// A zeroed array that grows.
#[derive(Debug)]
pub(crate) struct Table<T: Plain> {
    base: NonNull<T>,
    length: usize,
    /// Whole cache lines that the elements fill.
    lines: usize,
    /// Bytes of the table's own mapping; 0 where it lies in lent memory or nowhere.
    mapped: usize,
    elements: PhantomData<T>,
}

// SAFETY: the elements belong to the table, and plain values may go to any thread.
unsafe impl<T: Plain + Send> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for Table<T> {}

impl<T: Plain> Table<T> {
    /// A table without elements.
    pub(crate) const fn empty() -> Self {
        Self {
            base: NonNull::dangling(),
            length: 0,
            lines: 0,
            mapped: 0,
            elements: PhantomData,
        }
    }

    /// Has at least `length` elements; the new ones are zero. Grows by doubling where it can.
    ///
    /// # Errors
    ///
    /// [`Shortage::Index`] without memory; the table stays as it was.
    pub(crate) fn grow(&mut self, length: usize, memory: &mut IndexMemory) -> Result<(), Shortage> {
        if length <= self.length {
            return Ok(());
        }
        let exact = length.checked_mul(size_of::<T>()).ok_or(Shortage::Index)?;
        let doubled = exact.max(self.length.saturating_mul(2 * size_of::<T>()));
        if self.mapped == 0 {
            for bytes in [doubled, exact] {
                if let Some(base) = memory.cut(bytes) {
                    self.move_to(base.cast(), bytes);
                    return Ok(());
                }
            }
        }
        if memory.is_bounded() {
            return Err(Shortage::Index);
        }
        let page = memory.page(doubled);
        let bytes = align_up(doubled, page).ok_or(Shortage::Index)?;
        let was = memory.page(self.mapped);
        self.map(bytes, page, was).ok_or(Shortage::Index)
    }

    /// Moves to a larger mapping of its own, of pages of so many bytes, or makes that larger, if its pages have as many.
    fn map(&mut self, bytes: usize, page: usize, was: usize) -> Option<()> {
        let (old, mapped) = (self.base.cast(), self.mapped);
        if mapped == 0 || page != was {
            let map = if page == PAGE {
                sys::map
            } else {
                sys::map_huge
            };
            self.move_to(map(bytes)?.cast(), bytes);
            if mapped > 0 {
                // SAFETY: the mapping was this table's own, and its elements have left it.
                unsafe { sys::unmap(old, mapped) };
            }
        } else {
            let remap = if page == PAGE {
                sys::remap
            } else {
                sys::remap_huge
            };
            // SAFETY: the mapping is this table's own, and its elements are borrowed from it.
            self.base = unsafe { remap(old, mapped, bytes)? }.cast();
            self.measure(bytes);
        }
        self.mapped = bytes;
        Some(())
    }

    /// Moves the elements to larger zeroed memory of its own.
    fn move_to(&mut self, base: NonNull<T>, bytes: usize) {
        // SAFETY: both places are this table's, apart, and the new one is larger.
        unsafe { self.base.copy_to_nonoverlapping(base, self.length) };
        self.base = base;
        self.measure(bytes);
    }

    /// So many bytes belong to the elements.
    fn measure(&mut self, bytes: usize) {
        self.length = bytes / size_of::<T>();
        self.lines = self.length * size_of::<T>() / LINE;
    }
}

/// Each 32 of a table's numbers, from the first on, are a cache line: it starts on one where it has any.
impl Table<i16> {
    #[inline]
    pub(crate) fn line(&self, index: usize) -> Option<&Line> {
        if index >= self.lines {
            return None;
        }
        // SAFETY: the table has more whole lines than that.
        let line = unsafe { self.base.cast::<Line>().add(index) };
        // SAFETY: on a cache line, initialised, and borrowed with the table.
        Some(unsafe { line.as_ref() })
    }

    #[inline]
    pub(crate) fn line_mut(&mut self, index: usize) -> Option<&mut Line> {
        if index >= self.lines {
            return None;
        }
        // SAFETY: the table has more whole lines than that.
        let mut line = unsafe { self.base.cast::<Line>().add(index) };
        // SAFETY: on a cache line, initialised, and borrowed with the table, exclusively.
        Some(unsafe { line.as_mut() })
    }
}

impl<T: Plain> Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let elements = NonNull::slice_from_raw_parts(self.base, self.length);
        // SAFETY: the table owns so many initialised elements, and is borrowed.
        unsafe { elements.as_ref() }
    }
}

impl<T: Plain> DerefMut for Table<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let mut elements = NonNull::slice_from_raw_parts(self.base, self.length);
        // SAFETY: the table owns so many initialised elements, and is borrowed exclusively.
        unsafe { elements.as_mut() }
    }
}

impl<T: Plain> Drop for Table<T> {
    fn drop(&mut self) {
        if self.mapped > 0 {
            // SAFETY: the mapping is this table's own.
            unsafe { sys::unmap(self.base.cast(), self.mapped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of a huge page.
    const HUGE: usize = HUGE_PAGE / size_of::<u64>();

    fn marked(table: &mut Table<u64>, from: usize) {
        for (index, element) in table.iter_mut().enumerate().skip(from) {
            assert_eq!(*element, 0, "new ones are zero");
            *element = index as u64 + 1;
        }
    }

    #[test]
    fn a_table_keeps_its_elements_wherever_it_goes() {
        let lengths = [1, 600, HUGE / 2 + 1, HUGE, HUGE + 1, 3 * HUGE, 9 * HUGE];
        for (first, page) in (0..2 * lengths.len()).map(|run| (run / 2, [PAGE, HUGE_PAGE][run % 2]))
        {
            let (mut table, mut memory) = (Table::<u64>::empty(), IndexMemory::bounded(4096));
            (memory.maps, memory.page) = (true, page);
            for length in lengths.into_iter().skip(first) {
                let before = table.len();
                table.grow(length, &mut memory).unwrap();
                assert!(table.len() >= length.max(before));
                marked(&mut table, before);
                let wrong = table
                    .iter()
                    .zip(1_u64..)
                    .filter(|(is, should)| *is != should);
                assert_eq!(wrong.count(), 0, "{length} after {before}");
                let at = table.base.addr().get();
                assert!(table.mapped < HUGE_PAGE || at.is_multiple_of(page));
            }
        }
    }

    /// Set in the process that has no other tests.
    const ALONE: &str = "TAGHEAP_TABLES_ALONE";

    /// Bytes of address space that this process has.
    fn mapped() -> usize {
        let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
        sizes.split(' ').next().unwrap().parse::<usize>().unwrap() * PAGE
    }

    #[test]
    fn a_table_gives_all_its_mappings_back() {
        if std::env::var_os(ALONE).is_none() {
            let mut this = std::process::Command::new(std::env::current_exe().unwrap());
            let name = "ground::table::tests::a_table_gives_all_its_mappings_back";
            let run = this.args([name, "--exact"]).env(ALONE, "1").output();
            let told = run.unwrap();
            let said = std::string::String::from_utf8_lossy(&told.stdout);
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
        let mut memory = IndexMemory::unlent();
        let before = mapped();
        for run in 0..500 {
            memory.page = [PAGE, HUGE_PAGE][run % 2];
            let mut table = Table::<u64>::empty();
            for length in [HUGE / 2, 3 * HUGE, 1 << 60, 7 * HUGE] {
                let grown = table.grow(length, &mut memory);
                assert_eq!(grown.is_ok(), length < 1 << 60);
            }
        }
        assert!(mapped() < before + 16 * HUGE_PAGE);
    }

    /// Pages of the usual size do, or the table stays as it was.
    #[test]
    fn a_table_that_cannot_grow_stays_whole() {
        let (mut table, mut memory) = (Table::<u64>::empty(), IndexMemory::unlent());
        memory.prefer_huge_pages();
        table.grow(HUGE, &mut memory).unwrap();
        marked(&mut table, 0);
        let (at, length) = (table.base, table.len());
        for impossible in [1 << 45, 1 << 60, usize::MAX / 8, usize::MAX] {
            assert_eq!(table.grow(impossible, &mut memory), Err(Shortage::Index));
            assert_eq!((table.base, table.len()), (at, length));
            let sum: u64 = table.iter().sum();
            assert_eq!(sum, (1..=length as u64).sum());
        }
        table.grow(2 * HUGE, &mut memory).unwrap();
        assert_eq!(table.get(HUGE - 1), Some(&(HUGE as u64)));
    }
}
