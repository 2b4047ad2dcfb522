//! The naive model: a list of intervals, no headers, no memory; so simple that it is unlikely to be wrong.

use crate::{Ground, Piece, Subject};

/// A heap that only keeps the books.
#[derive(Clone, Debug)]
pub struct Model {
    splits: bool,
    capacity: usize,
    granted: usize,
    refused: bool,
    /// Blocks in the order of their offsets, without gaps; tag 0 is free.
    blocks: Vec<(usize, u64)>,
}

const HEADER: usize = 32;
const SMALLEST: usize = 48;

impl Model {
    /// A model with room for `bytes`, which splits and coalesces, or not.
    pub fn new(bytes: usize, splits: bool) -> Self {
        Self {
            splits,
            capacity: bytes,
            granted: 0,
            refused: false,
            blocks: Vec::new(),
        }
    }

    /// Every block's index, offset, size and tag.
    fn rows(&self) -> impl Iterator<Item = (usize, usize, usize, u64)> + '_ {
        let mut offset = Ground::LEAD;
        self.blocks
            .iter()
            .enumerate()
            .map(move |(index, &(size, tag))| {
                let start = offset;
                offset += size;
                (index, start, size, tag)
            })
    }

    fn end(&self) -> usize {
        Ground::LEAD + self.blocks.iter().map(|(size, _)| size).sum::<usize>()
    }

    /// Bytes left free in front of a block with this alignment in memory that starts at `start`.
    fn front(start: usize, align: usize) -> usize {
        let mut at = start;
        while !(at + HEADER).is_multiple_of(align) || (at != start && at - start < SMALLEST) {
            at += 16;
        }
        at - start
    }

    /// Puts a block of `wanted` bytes into block `index`, `front` bytes behind its start.
    fn cut(&mut self, index: usize, front: usize, wanted: usize, tag: u64) {
        let (size, _) = self.blocks.remove(index);
        let rest = size - front - wanted;
        let splits = self.splits && rest >= SMALLEST;
        let kept = if splits { wanted } else { wanted + rest };
        let parts = [(front, 0), (kept, tag), (if splits { rest } else { 0 }, 0)];
        let parts = parts.into_iter().filter(|(size, _)| *size > 0);
        self.blocks.splice(index..index, parts);
    }

    fn coalesce(&mut self) {
        if !self.splits {
            return;
        }
        let mut merged: Vec<(usize, u64)> = Vec::new();
        for &(size, tag) in &self.blocks {
            match merged.last_mut() {
                Some((before, 0)) if tag == 0 => *before += size,
                _ => merged.push((size, tag)),
            }
        }
        if let Some((_, 0)) = merged.last() {
            merged.pop();
        }
        self.blocks = merged;
    }
}

fn is_reserved(tag: u64) -> bool {
    tag == 0 || tag > u64::MAX - 16
}

impl Subject for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn refuse(&mut self, refused: bool) {
        self.refused = refused;
    }

    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize> {
        let align = align.max(16);
        if is_reserved(tag) || size > self.capacity {
            return None;
        }
        let wanted = size.max(1).div_ceil(16) * 16 + HEADER;
        let found = self.rows().find(|&(_, start, size, tag)| {
            let front = Self::front(start, align);
            tag == 0 && front + wanted <= size && (self.splits || front == 0)
        });
        if let Some((index, start, ..)) = found {
            let front = Self::front(start, align);
            self.cut(index, front, wanted, tag);
            return Some(start + front + HEADER);
        }
        let start = self.end();
        let front = Self::front(start, align);
        let end = start + front + wanted;
        if end > self.granted {
            if self.refused || end > self.capacity {
                return None;
            }
            self.granted = end;
        }
        self.blocks.push((front + wanted, 0));
        self.cut(self.blocks.len() - 1, front, wanted, tag);
        Some(start + front + HEADER)
    }

    fn deallocate(&mut self, offset: usize) -> bool {
        let found = self
            .rows()
            .find(|&(_, start, _, tag)| start + HEADER == offset && tag != 0);
        let Some((index, ..)) = found else {
            return false;
        };
        if let Some((_, tag)) = self.blocks.get_mut(index) {
            *tag = 0;
        }
        self.coalesce();
        true
    }

    fn release(&mut self, tag: u64) -> Option<usize> {
        if is_reserved(tag) {
            return None;
        }
        let mut count = 0;
        for (_, other) in self.blocks.iter_mut().filter(|(_, other)| *other == tag) {
            *other = 0;
            count += 1;
        }
        self.coalesce();
        Some(count)
    }

    fn pieces(&self, list: &mut Vec<Piece>) {
        list.clear();
        list.extend(self.rows().map(|(_, offset, size, tag)| Piece {
            offset,
            size,
            in_use: u64::from(tag != 0),
            tag,
        }));
    }

    fn draw(&self) -> String {
        let blocks = self.rows().map(|(_, _, size, tag)| match tag {
            0 => format!("[{size}]"),
            tag => format!("{tag} {size}"),
        });
        format!("|{}|", blocks.collect::<Vec<_>>().join("|"))
    }
}
