//! Anything written over a pool's own memory, notes and pieces, and then anything asked: nothing crashes, the heap stays
//! whole, and nobody else's bytes are touched.

use tagheap::{Error, Share};

use super::rig::Rig;
use super::side::Side;
use super::subject::Subject;
use crate::input::Input;
use crate::memory;
use crate::piece::Piece;
use crate::pieces::{give, resize};
use crate::tell::tell;

/// Steps after which a program ends.
const STEPS: usize = 120;

/// What was handed out: pieces that are resized must be in use, others may have been given back.
struct Known {
    held: Vec<Piece>,
    gone: Vec<Piece>,
}

impl Known {
    /// One of those in use, and its place.
    fn held(&self, input: &mut Input) -> Option<(usize, Piece)> {
        let place = input.below(self.held.len());
        Some((place, *self.held.get(place)?))
    }

    fn give_up(&mut self, place: usize) {
        let piece = self.held.remove(place);
        self.gone.push(piece);
    }

    /// All that were in use may be no more.
    fn give_up_all(&mut self) {
        self.gone.append(&mut self.held);
    }
}

impl<H: Share + Copy, K: Subject> Rig<H, K> {
    pub(super) fn live_on_junk(mut self, input: &mut Input) {
        if self.chunks().is_empty() {
            return;
        }
        let others = self.sides.iter().skip(1).flat_map(Side::pieces);
        let others: Vec<Piece> = others.chain(&self.blocks).copied().collect();
        let mut known = Known {
            held: self.sides[0].pieces().copied().collect(),
            gone: self.sides[0].gone.clone(),
        };
        for number in 0..STEPS {
            if input.is_empty() {
                break;
            }
            let op = input.byte();
            if op.is_multiple_of(8) || number == 0 {
                self.write_junk(op & 64 == 0, input);
            }
            if let Err(error) = self.ask_anything(op, &mut known, input) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
            self.check_heap();
            others.iter().for_each(Piece::assert_whole);
        }
        let heap = self.heap;
        drop(self);
        heap.look(|heap| heap.check()).unwrap().unwrap();
    }

    /// The memory of the first pool: where it starts, and how many bytes.
    fn chunks(&self) -> Vec<(usize, usize)> {
        let tag = self.sides[0].tag;
        let blocks = self.heap.look(|heap| {
            let blocks = heap.blocks_of(tag).map(Result::unwrap);
            blocks
                .map(|block| (block.payload(), block.usable()))
                .collect()
        });
        blocks.unwrap()
    }

    fn write_junk(&self, is_aligned: bool, input: &mut Input) {
        for _ in 0..1 + input.byte() % 4 {
            let chunks = self.chunks();
            if chunks.is_empty() {
                return;
            }
            let (start, size) = input.pick(&chunks);
            // Notes are mostly at the ends.
            let offset = match input.byte() % 4 {
                0 => input.word() % size,
                1 => input.word() % size.min(128),
                2 => size - 1 - input.word() % size.min(256),
                _ => input.word() * 8 % size,
            };
            let offset = if is_aligned { offset & !7 } else { offset };
            let length = (1 + input.below(24)).min(size - offset);
            tell!("junk at {:#x} for {length} bytes", start + offset);
            memory::change(start + offset, length, |bytes| {
                junk(bytes, start, size, input);
            });
        }
    }

    fn ask_anything(&mut self, op: u8, known: &mut Known, input: &mut Input) -> Result<(), Error> {
        let held = known.held(input);
        let layout = crate::input::layout(input.size(10), input.align().min(1 << 12));
        let chunks = self.chunks();
        let kind = &mut self.sides[0].kind;
        tell!("op {} {held:x?} {layout:?}", op % 12);
        let hold = |at: usize| Piece { at, layout, id: 0 };
        match (op % 12, held) {
            (0..4, _) => {
                let answer = kind.allocate_in(op, layout)?;
                known
                    .held
                    .push(hold(memory::address(answer, layout.size())));
            }
            (4 | 5, Some((place, piece))) => {
                known.give_up(place);
                give(kind, piece.place(), piece.layout)?;
            }
            (6, _) if !known.gone.is_empty() => {
                let piece = input.pick(&known.gone);
                give(kind, piece.place(), piece.layout)?;
            }
            (7, Some((place, piece))) => {
                let answer = resize(kind, piece.place(), piece.layout, layout)?;
                known.give_up(place);
                known
                    .held
                    .push(hold(memory::address(answer, layout.size())));
            }
            (8, _) => kind.check()?,
            (9, _) => drop((kind.text(), kind.usage()?.to_string())),
            (10, _) => {
                known.give_up_all();
                self.take_back(op >> 6)?;
            }
            (11, _) => {
                if let Some((start, size)) = chunks.first() {
                    let ptr = memory::pointer(start + input.word() % size);
                    let _ = kind.contains(ptr);
                    give(kind, ptr, layout)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes everything back, or what is younger than a mark, or what nobody has.
    fn take_back(&mut self, how: u8) -> Result<(), Error> {
        let side = &mut self.sides[0];
        match how {
            0 => side.kind.reset(),
            1 => side.kind.trim().map(drop),
            2 => {
                let turn = side.turn;
                side.marks.extend(side.kind.mark().map(|mark| (mark, turn)));
                Ok(())
            }
            _ => match side.marks.first() {
                Some((mark, _)) => side.kind.rewind(mark.clone()),
                None => Ok(()),
            },
        }
    }
}

/// Zeros, ones, other bits, an address of the chunk's, or a single bit.
fn junk(bytes: &mut [u8], start: usize, size: usize, input: &mut Input) {
    let how = input.byte();
    match how % 5 {
        0 => bytes.fill(0),
        1 => bytes.fill(0xff),
        2 => bytes.iter_mut().for_each(|byte| *byte ^= input.byte()),
        3 => {
            let word = (start + input.word() % size) & !7;
            for (byte, of_word) in bytes.iter_mut().zip(word.to_le_bytes()) {
                *byte = of_word;
            }
        }
        _ => bytes[0] ^= 1 << (how >> 5),
    }
}
