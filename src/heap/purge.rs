//! Giving pages back to the kernel that lie inside free blocks.

use crate::ground::source::Source;
use crate::ground::sys::PAGE;
use crate::heap::Heap;
use crate::policy::placement::Placement;
use crate::policy::rule::Rule;
use crate::words::error::Corruption;
use crate::words::extent::Extent;
use crate::words::size::HEADER;

impl<S: Source, R: Rule, P: Placement> Heap<S, R, P> {
    /// Gives every whole page that no block in use needs back to the kernel: those beyond the end of the row, as
    /// [`trim`](Heap::trim) does, and those inside free blocks, which stay in the row. Answers how many bytes these are,
    /// whether they were resident or not.
    ///
    /// For a program that keeps a few blocks of a phase that is over, scattered among free ones: the memory it occupies
    /// falls to about what it uses. Nothing else changes; who is given such a page later touches it for the first time
    /// again, which costs a page fault. Never happens by itself.
    ///
    /// A system call, and a microsecond or more, for each free block with a whole page in it, and O(log) to find the
    /// block; with [`Scan`](crate::Scan) O(blocks) in all. A [`Reserve`](crate::Reserve) in huge pages gives whole huge
    /// pages. A [`Buffer`](crate::Buffer) has none to give: 0.
    ///
    /// What was known of blocks freed earlier in these pages is lost with them: a late free of one is refused as
    /// [`Misuse::NotABlock`](crate::Misuse), no longer as a double free.
    ///
    /// ```
    /// # use core::alloc::Layout;
    /// # use tagheap::{Heap, Reserve, Tag};
    /// # let mut heap = Heap::new(Reserve::new()?)?;
    /// # let (level, kept) = (Tag::named("level"), Tag::named("kept"));
    /// let large = heap.allocate(level, Layout::new::<[u64; 100_000]>())?;
    /// let small = heap.allocate(kept, Layout::new::<u64>())?;
    /// // SAFETY: just allocated for this layout, and used nowhere.
    /// unsafe { heap.deallocate(large.cast(), Layout::new::<[u64; 100_000]>())? };
    /// assert!(heap.purge()? > 790_000);
    /// # Ok::<(), tagheap::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Corruption`] if the header of such a free block is damaged. Nothing is given back then.
    pub fn purge(&mut self) -> Result<usize, Corruption> {
        let mut at = self.base();
        while let Some(free) = self.with_pages(at)? {
            self.row.verify_free(free)?;
            at = free.end();
        }
        let (mut at, mut purged) = (self.base(), 0);
        // From here on nobody holds anything, in a free block or beyond all.
        let mut rest = self.end();
        while let Some(free) = self.with_pages(at)? {
            at = free.end();
            if at == self.end() {
                rest = free.at + HEADER;
            } else {
                purged += self.discard(free.at + HEADER, at);
            }
        }
        // What cannot be trimmed, for somebody else has memory behind it, still has pages.
        purged += self.trim();
        Ok(purged + self.discard(rest, self.row.limit()))
    }

    /// The first free block, from where one begins on, that may have a page behind its header.
    fn with_pages(&self, at: usize) -> Result<Option<Extent>, Corruption> {
        let least = HEADER + PAGE;
        self.placement.find_from(&self.row, at, least, R::SPLITS)
    }

    #[expect(unsafe_code, reason = "gives memory back to the source")]
    fn discard(&mut self, from: usize, to: usize) -> usize {
        // SAFETY: behind the header of a free block, which was just verified, up to its end, or beyond the row's:
        // nobody holds that, and it is read only where it is taken for a header that may be one or not (H1, H5, H7).
        unsafe { self.source.purge(from, to) }
    }
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;
    use std::vec::Vec;

    use crate::policy::directory::Directory;
    use crate::policy::scan::Scan;
    use crate::words::header::Key;
    use crate::words::tag::Tag;
    use crate::{Reserve, Split, Whole};

    use super::*;

    /// From each block on, for sizes on both sides of what a leaf tells.
    fn finds_what_a_scan_finds<R: Rule>(rule: R) {
        let mut random = fastrand::Rng::with_seed(6);
        let source = Reserve::new().unwrap();
        let mut heap = Heap::with(source, rule, Directory::new(), Key::FIXED).unwrap();
        for _ in 0..300 {
            let most = 1 << random.u32(4..19);
            let layout = Layout::from_size_align(random.usize(..most), 1).unwrap();
            heap.allocate(Tag::new(random.u64(1..4)), layout).unwrap();
        }
        heap.merge(Tag::new(1), Tag::new(2)).unwrap();
        #[expect(unsafe_code, reason = "nobody uses any of it")]
        // SAFETY: no pointer to a block was kept.
        let released = unsafe { heap.release(Tag::new(2)) }.unwrap();
        assert!(released.blocks > 150);
        let mut found = 0;
        let starts: Vec<_> = heap.walk().map(|block| block.unwrap().at).collect();
        for at in starts {
            for size in [1, 48, 4128, 70_000, 131_056, 131_072, 131_088, 300_000] {
                let ours = heap.placement.find_from(&heap.row, at, size, R::SPLITS);
                assert_eq!(ours, Scan.find_from(&heap.row, at, size, R::SPLITS));
                found += usize::from(ours.unwrap().is_some());
            }
        }
        assert!(found > 500, "{found}");
    }

    #[test]
    fn blocks_are_found_as_a_scan_finds_them() {
        finds_what_a_scan_finds(Split);
        finds_what_a_scan_finds(Whole);
    }
}
