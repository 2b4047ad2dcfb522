//! The Rust heap as a subject.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;

use tagheap::{Heap, Key, Placement, Rule, Tag};

use crate::{Granting, Ground, Piece, Subject};

/// The Rust heap over memory that grants exactly.
#[derive(Debug)]
pub struct HeapSubject<R: Rule, P: Placement> {
    name: &'static str,
    heap: Heap<Granting, R, P>,
    ground: Rc<Ground>,
    refused: Rc<Cell<bool>>,
}

impl<R: Rule, P: Placement> HeapSubject<R, P> {
    /// A heap with room for `bytes`, under a rule and with a placement.
    ///
    /// # Errors
    ///
    /// If there is no room for the root block.
    pub fn new(
        name: &'static str,
        bytes: usize,
        rule: R,
        placement: P,
    ) -> Result<Self, tagheap::Error> {
        let ground = Rc::new(Ground::new(bytes));
        let refused = Rc::new(Cell::new(false));
        let source = Granting::new(Rc::clone(&ground), Rc::clone(&refused));
        let heap = Heap::with(source, rule, placement, Key::FIXED)?;
        Ok(Self {
            name,
            heap,
            ground,
            refused,
        })
    }

    /// The heap itself.
    pub fn heap(&mut self) -> &mut Heap<Granting, R, P> {
        &mut self.heap
    }

    fn pointer(&self, offset: usize) -> NonNull<u8> {
        self.ground
            .start()
            .map_addr(|start| start.saturating_add(offset))
    }
}

impl<R: Rule, P: Placement> Subject for HeapSubject<R, P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn refuse(&mut self, refused: bool) {
        self.refused.set(refused);
    }

    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize> {
        let layout = Layout::from_size_align(size, align).ok()?;
        let payload = self.heap.allocate(Tag::new(tag), layout).ok()?;
        Some(payload.cast::<u8>().addr().get() - self.ground.address())
    }

    fn deallocate(&mut self, offset: usize) -> bool {
        let payload = self.pointer(offset);
        let Ok(size) = self.heap.requested_size(payload) else {
            return false;
        };
        let Ok(layout) = Layout::from_size_align(size, 1) else {
            return false;
        };
        // SAFETY: a subject's blocks belong to the trace, which uses none after it gave it back.
        unsafe { self.heap.deallocate(payload, layout) }.is_ok()
    }

    fn release(&mut self, tag: u64) -> Option<usize> {
        // SAFETY: as above.
        unsafe { self.heap.release(Tag::new(tag)) }
            .ok()
            .map(|amount| amount.blocks)
    }

    fn pieces(&self, list: &mut Vec<Piece>) {
        list.clear();
        list.extend(self.heap.walk().flatten().skip(1).map(|block| Piece {
            offset: block.at - self.ground.address(),
            size: block.size,
            in_use: u64::from(!block.is_free()),
            tag: block.tag().unwrap_or(Tag::FREE).number(),
        }));
    }

    fn payload(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        Some(self.ground.read(offset, length))
    }

    fn fill(&mut self, offset: usize, length: usize, byte: u8) {
        self.ground.fill(offset, length, byte);
    }

    fn check(&self) -> Result<(), String> {
        self.heap.check().map_err(|damage| damage.to_string())
    }

    fn draw(&self) -> String {
        self.heap.drawing().to_string()
    }
}
