//! Anything written anywhere in the row, and then anything asked: a heap may answer what it likes, but it lives on, and an
//! error has changed nothing.

use std::ops::ControlFlow;

use tagheap::{Error, Placement, Rule, Source, TagStats};

use super::model::Block;
use super::rig::{Rig, TAGS};
use crate::careless::Careless;
use crate::input::Input;
use crate::memory;
use crate::tell::tell;

/// Operations after which a program ends.
const STEPS: usize = 200;

/// Bytes of memory and of the row up to which junk is written there.
const MOST_MEMORY: usize = 1 << 20;
const MOST_ROW: usize = 1 << 18;

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn live_on_junk(&mut self, input: &mut Input) -> ControlFlow<()> {
        let base = self.heap.base();
        let memory = self.limit_of_row() - base;
        if memory > MOST_MEMORY || self.heap.end() - base > MOST_ROW {
            return ControlFlow::Break(());
        }
        let blocks: Vec<Block> = self.model.in_use().map(|(_, block)| *block).collect();
        for _ in 0..1 + input.below(6) {
            scribble(base, memory, input);
        }
        tell!("junk is everywhere");
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            let row = self.row();
            if let Err(error) = self.ask_anything(&blocks, memory, input) {
                assert!(!error.to_string().contains('\n'), "{error}");
                self.assert_row(&row);
            }
            assert!(self.heap.end() >= self.heap.base());
        }
        ControlFlow::Break(())
    }

    fn ask_anything(
        &mut self,
        blocks: &[Block],
        memory: usize,
        input: &mut Input,
    ) -> Result<(), Error> {
        let op = input.byte() % 24;
        let tag = input.pick(&TAGS);
        let base = self.heap.base();
        let piece = match blocks.len() {
            0 => None,
            count => blocks[input.below(count)].piece(),
        };
        let at = match (input.byte() % 3, piece) {
            (0, _) => base + input.word() % (memory + 64),
            (1, _) => (base + input.word() * 16 % memory) & !15,
            (_, Some(piece)) => piece.at,
            (_, None) => 16,
        };
        let ptr = memory::pointer(at);
        let new = input.layout(11);
        let old = piece.map_or(new, |piece| piece.layout);
        let grows = new.size() >= old.size();
        tell!("op {op} {tag} {at:#x} {new:?}");
        match op {
            0..4 => self.heap.allocate(tag, new).map(drop),
            4 => self.heap.allocate_zeroed(tag, new).map(drop),
            5..8 => self.heap.free(ptr, old),
            8 => self.heap.free(ptr, new),
            9..12 if !grows => self.heap.reduce(ptr, old, new).map(drop),
            9 | 10 => self.heap.enlarge(ptr, old, new).map(drop),
            11 => self.heap.enlarge_zeroed(ptr, old, new).map(drop),
            12 => self.heap.release_tag(tag).map(drop),
            13 => self.heap.release_if(|tag| tag.number() % 2 == 1).map(drop),
            14 => match self.marks.first() {
                Some(mark) => self.heap.release_after(tag, *mark).map(drop),
                None => Ok(()),
            },
            15 => self.heap.retag(ptr, tag),
            16 => self.heap.merge(input.pick(&TAGS), tag).map(drop),
            17 => self.heap.purge().map(drop).map_err(Error::Corruption),
            18 => {
                self.heap.trim();
                Ok(())
            }
            19 => self.heap.set_limit(tag, Some(input.word())),
            20 => {
                self.heap.forget(tag);
                self.heap.reset_peak(tag);
                Ok(())
            }
            21 => {
                let heap = &self.heap;
                let _ = (heap.stats(), heap.stats_of(tag), heap.pinned_by());
                let _ = (
                    heap.would_release(tag),
                    heap.contains(ptr),
                    heap.tag_of(ptr),
                );
                let _ = (heap.usable_size(ptr), heap.requested_size(ptr));
                Ok(())
            }
            22 => {
                let _ = format!("{}\n{}", self.heap.drawing(), self.heap.table());
                let mut room = [TagStats::none(tag); 16];
                self.heap.snapshot(&mut room).map(drop)
            }
            _ => self.heap.check().map_err(Error::Corruption),
        }
    }
}

/// Writes somewhere in memory: a copy of what is elsewhere, one byte, flipped bits, or words that look like a header's.
fn scribble(base: usize, memory: usize, input: &mut Input) {
    let from = input.word() * 8 % memory;
    let length = (1 + input.below(300)).min(memory - from);
    let how = input.byte();
    let source = input.word() * 16 % memory;
    match how % 4 {
        0 => {
            let copy = memory::copy(base + source, length.min(memory - source));
            memory::change(base + from, copy.len(), |bytes| {
                bytes.copy_from_slice(&copy)
            });
        }
        1 => memory::change(base + from, length, |bytes| bytes.fill(how)),
        2 => memory::change(base + from, length, |bytes| {
            for (offset, byte) in bytes.iter_mut().enumerate() {
                *byte ^= (offset as u8).wrapping_mul(how);
            }
        }),
        _ => memory::change(base + from, length, |bytes| {
            for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
                let value = match place % 2 {
                    0 => usize::from(input.byte()) * 16,
                    _ => base + input.word() * 16,
                };
                word.copy_from_slice(&value.to_le_bytes());
            }
        }),
    }
}
