//! Two pools on one heap, and what others have there.

use std::ops::ControlFlow;

use tagheap::{Error, Pool, Share, Tag};

use super::alarm;
use super::side::{Side, Terms};
use super::subject::{Habit, Subject};
use crate::input::Input;
use crate::piece::{Piece, assert_apart};
use crate::tell::tell;

/// Steps after which a program ends.
const STEPS: usize = 300;

/// The tag of blocks that are no pool's.
const OTHERS: Tag = Tag::new(99);

/// Two pools, or one, if there was memory for no more.
pub(super) struct Rig<H: Share + Copy, K: Subject> {
    pub(super) heap: H,
    pub(super) sides: Vec<Side<K>>,
    /// Blocks that are no pool's.
    pub(super) blocks: Vec<Piece>,
    /// The power of two up to which pools are asked for memory.
    pub(super) power: u32,
    /// Steps after which junk is written.
    junk_after: usize,
}

/// Makes pools of a kind, and runs a program on them.
pub(super) fn drive<H: Share + Copy, K: Subject>(
    heap: H,
    habit: Habit,
    power: u32,
    input: &mut Input,
    mut make: impl FnMut(Pool<H>) -> Result<K, Error>,
) {
    let how = input.byte();
    let terms = Terms {
        percent: match how & 8 {
            0 => 0,
            _ => input.pick(&[1, 30, 50, 90, 100]),
        },
        is_bounded: how & 1 == 1,
        passes_through: how & 0x60 == 0x60,
    };
    let junk_after = match how & 0x80 {
        0 => usize::MAX,
        _ => 1 + usize::from(input.byte()) % 40,
    };
    let mut sides = Vec::new();
    for number in 0..2 {
        let tag = Tag::new(10 + number);
        let mut pool = Pool::new(heap, tag).pass_through(terms.passes_through);
        if terms.is_bounded {
            pool = pool.bounded(input.size(16));
        }
        if terms.percent > 0 {
            pool = pool.alarmed_at(terms.percent, alarm::ring);
        }
        match make(pool) {
            Ok(kind) => sides.push(Side::new(kind, tag, habit, terms)),
            Err(Error::OutOfMemory(_)) => assert_eq!(heap.stats_of(tag).unwrap().blocks, 0),
            Err(error) => panic!("{error}"),
        }
    }
    let rig = Rig {
        heap,
        sides,
        blocks: Vec::new(),
        power,
        junk_after,
    };
    rig.check_heap();
    if !rig.sides.is_empty() {
        rig.run(input);
    }
}

impl<H: Share + Copy, K: Subject> Rig<H, K> {
    fn run(mut self, input: &mut Input) {
        let passes_through = self.sides[0].terms.passes_through;
        for number in 0..STEPS {
            if input.is_empty() {
                break;
            }
            let is_due = number >= self.junk_after && !passes_through;
            if is_due || self.step(input).is_break() {
                return self.live_on_junk(input);
            }
            self.compare();
            if number % 16 == 0 {
                self.sides.iter().for_each(|side| drop(side.kind.text()));
            }
        }
        self.end();
    }

    /// One operation; it breaks where junk shall be written.
    fn step(&mut self, input: &mut Input) -> ControlFlow<()> {
        let op = input.byte();
        let which = usize::from(op >> 7) % self.sides.len();
        let power = self.power;
        let side = &mut self.sides[which];
        tell!("op {} {} {}", (op & 0x7f) % 24, side.tag, side.usage());
        let _ = alarm::rung();
        match (op & 0x7f) % 24 {
            0..6 => side.allocate(power.min(8), input),
            6 | 7 => side.allocate(power, input),
            8..14 => side.deallocate(input),
            14 | 15 => side.resize(power, input),
            16 => self.stranger(which, input),
            17 if input.flag() => self.twice(which, input),
            17 => side.interior(input),
            18 => self.scribble(which, input),
            19 => side.mark_or_rewind(input),
            20 => side.trim_or_reset(input),
            21 if input.byte() > 20 => crate::sources::refuse(input.flag()),
            21 if !side.terms.passes_through => return ControlFlow::Break(()),
            21 => {}
            22 => self.others(input),
            _ => self.of_the_other(which),
        }
        ControlFlow::Continue(())
    }

    /// Others take blocks of the heap, and give them back.
    fn others(&mut self, input: &mut Input) {
        if input.flag() && !self.blocks.is_empty() {
            let piece = self.blocks.remove(input.below(self.blocks.len()));
            piece.assert_whole();
            // SAFETY: handed out for this layout below, and forgotten.
            #[expect(unsafe_code, reason = "gives a block back")]
            let answer = unsafe { self.heap.deallocate(piece.ptr(), piece.layout) };
            return answer.unwrap();
        }
        let layout = input.layout(12);
        let id = self.blocks.len() as u32;
        if let Ok(answer) = self.heap.allocate(OTHERS, layout) {
            let piece = Piece::new(answer, layout, id);
            for side in &mut self.sides {
                side.gone.retain(|gone| !gone.overlaps(&piece));
            }
            self.blocks.push(piece);
        }
    }

    pub(super) fn check_heap(&self) {
        self.heap.look(|heap| heap.check()).unwrap().unwrap();
    }

    fn compare(&mut self) {
        self.sides.iter_mut().for_each(Side::compare);
        let pieces = self.sides.iter().flat_map(Side::pieces);
        assert_apart(pieces.chain(&self.blocks));
        self.check_heap();
    }

    fn end(self) {
        let Self {
            heap,
            sides,
            blocks,
            ..
        } = self;
        blocks.iter().for_each(Piece::assert_whole);
        for side in sides {
            side.assert_whole();
            let tag = side.tag;
            drop(side);
            let stats = heap.stats_of(tag).unwrap();
            assert_eq!((stats.blocks, stats.bytes, stats.requested), (0, 0, 0));
        }
        heap.look(|heap| heap.check()).unwrap().unwrap();
    }
}
