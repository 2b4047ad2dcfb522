//! A limit: stores to headers whose addresses are known.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::arena;
use crate::contender::{Contender, Role};
use crate::job::Workload;

/// Blocks with headers of 32 bytes one behind the other, and for each tag a list of its headers.
pub(crate) struct HeaderStores {
    end: NonNull<u8>,
    lists: Vec<Vec<NonNull<[u64; 4]>>>,
}

impl Contender for HeaderStores {
    const NAME: &'static str = "limit: header stores";
    const JOINS: &'static [Workload] = &[Workload::Release];
    const ROLE: Role = Role::Limit;

    fn new() -> Self {
        Self {
            end: arena::map().cast(),
            lists: Vec::new(),
        }
    }

    fn allocate(&mut self, tag: u32, layout: Layout) -> Option<NonNull<u8>> {
        let tag = tag as usize;
        if tag >= self.lists.len() {
            self.lists.resize(tag + 1, Vec::new());
        }
        let header = self.end.cast::<[u64; 4]>();
        let bytes = 32 + layout.size().next_multiple_of(16);
        // SAFETY: the arena is longer than all blocks of the workload, and its start is aligned.
        unsafe { header.write([1, bytes as u64, tag as u64, 0]) };
        // SAFETY: as above.
        self.end = unsafe { self.end.add(bytes) };
        self.lists[tag].push(header);
        // SAFETY: as above.
        Some(unsafe { header.add(1) }.cast())
    }

    unsafe fn deallocate(&mut self, _at: NonNull<u8>, _layout: Layout) {}

    unsafe fn grow(&mut self, _at: NonNull<u8>, _old: Layout, _new: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn release(&mut self, tag: u32) -> bool {
        for header in self.lists[tag as usize].drain(..) {
            let in_use = header.cast::<u64>();
            // SAFETY: headers written by `allocate`.
            unsafe { in_use.write(0) };
            // SAFETY: as above.
            let tag = unsafe { in_use.add(2) };
            // SAFETY: as above.
            unsafe { tag.write(0) };
        }
        true
    }
}
