//! Random programs against a naive model: who holds what, and how much that is.

use core::ptr::NonNull;
use std::collections::BTreeMap;

use fastrand::Rng;
use tagheap::{Error, Global, Tag, scope};
use tagheap_trace::Held;

use crate::HEAP;
use crate::careless::{face, free_at, resize_at};
use crate::support::{Piece, alone, holding, layout, slot_size};

/// What the model knows of an object, which nobody touches while it is not asked to.
struct Live {
    piece: Held<Piece>,
    tag: Tag,
    /// Bytes of its slot; `None` for a block of the heap's own.
    slot: Option<usize>,
}

/// The program's state, and what the heap should say about it.
struct Program {
    rng: Rng,
    tags: Vec<Tag>,
    live: BTreeMap<usize, Live>,
    steps: usize,
    /// Whether memory given back is written to.
    scribbles: bool,
}

impl Program {
    fn new(seed: u64, scribbles: bool) -> Self {
        let tags = (0..5).map(|number| Tag::new((seed << 8) + 1000 + number));
        Self {
            rng: Rng::with_seed(seed),
            tags: tags.collect(),
            live: BTreeMap::new(),
            steps: 0,
            scribbles,
        }
    }

    /// Log-uniform, and often at an edge.
    fn layout(&mut self) -> core::alloc::Layout {
        let power = self.rng.u32(0..16);
        let size = match self.rng.u8(..8) {
            0 => (1 << power) + self.rng.usize(..3) - 1,
            1 => 8190 + self.rng.usize(..5),
            _ => self.rng.usize(..1 << power),
        };
        let align = 1
            << match self.rng.u8(..4) {
                0 => self.rng.u32(..14),
                _ => self.rng.u32(..5),
            };
        layout(size, align)
    }

    /// Runs so many steps under a tag, some of them in scopes within.
    fn run(&mut self, tag: Tag, steps: usize, depth: usize) {
        for _ in 0..steps {
            if depth < 4 && self.rng.u8(..20) == 0 {
                let inner = self.tags[self.rng.usize(..self.tags.len())];
                scope(inner, || self.run(inner, 10, depth + 1));
            } else {
                self.step(tag);
            }
        }
    }

    fn step(&mut self, tag: Tag) {
        self.steps += 1;
        // Now many more objects, now fewer.
        let grows = (self.steps / 1000).is_multiple_of(2);
        let takes = self.rng.u8(..10) < if grows { 5 } else { 2 };
        let touched = match (takes, self.pick()) {
            (false, Some(address)) if self.rng.u8(..3) > 0 => self.give_back(address),
            (false, Some(address)) => self.resize(address),
            _ => self.take(tag),
        };
        self.compare(touched);
        if self.steps.is_multiple_of(500) {
            self.tags.iter().for_each(|tag| self.compare(*tag));
            self.live
                .values()
                .for_each(|live| live.piece.look(Piece::assert_whole));
            HEAP.check().unwrap();
        }
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.live.len();
        let place = self.rng.usize(..count.max(1));
        self.live.keys().nth(place).copied()
    }

    fn take(&mut self, tag: Tag) -> Tag {
        let layout = self.layout();
        let byte = self.rng.u8(..);
        let start = match self.rng.u8(..3) {
            0 => HEAP.allocate(layout).unwrap().cast(),
            1 => face::alloc(layout).unwrap(),
            _ => {
                let start = face::alloc_zeroed(layout).unwrap();
                crate::support::assert_filled(start, layout.size(), 0);
                start
            }
        };
        let piece = Piece::of(start, layout, byte).hide();
        let slot = slot_size(layout);
        self.enter(Live { piece, tag, slot });
        tag
    }

    /// Notes an object, which must overlap no other.
    fn enter(&mut self, live: Live) {
        let (start, end) = (live.piece.address(), live.piece.end());
        if let Some((_, before)) = self.live.range(..end).next_back() {
            assert!(before.piece.end() <= start, "{:?}", live.piece);
        }
        assert_eq!(HEAP.tag_of(live.piece.start), Ok(live.tag));
        let usable = HEAP.usable_size(live.piece.start).unwrap();
        let requested = HEAP.requested_size(live.piece.start).unwrap();
        match live.slot {
            Some(slot) => assert_eq!((usable, requested), (slot, slot)),
            None => {
                assert_eq!(requested, live.piece.layout.size());
                assert!(usable >= requested);
            }
        }
        // The model's own memory is none of the program's.
        scope(Global::UNTAGGED, || self.live.insert(start, live));
    }

    fn give_back(&mut self, address: usize) -> Tag {
        let Live { piece, tag, slot } = self.live.remove(&address).unwrap();
        let piece = piece.show();
        piece.assert_whole();
        match self.rng.u8(..3) {
            0 => piece.free().unwrap(),
            1 => free_at(piece.start).unwrap(),
            _ => face::dealloc(piece.start, piece.layout),
        }
        // In a span that is there yet.
        if let Some(slot) = slot
            && self.scribbles
            && HEAP.tag_of(piece.start) == Err(crate::support::double_free(piece.start))
        {
            self.scribble(piece.start, slot);
        }
        tag
    }

    /// Writes what may look like something: zeroes, ones, addresses.
    fn scribble(&mut self, start: NonNull<u8>, size: usize) {
        let addresses = [0, usize::MAX, start.addr().get(), self.rng.usize(..)];
        let value = addresses[self.rng.usize(..4)];
        for place in 0..size / size_of::<usize>() {
            // SAFETY: within the slot.
            let word = unsafe { start.cast::<usize>().add(place) };
            // SAFETY: misuse, in memory that only this thread's stock has.
            unsafe { word.write(value) };
        }
    }

    fn resize(&mut self, address: usize) -> Tag {
        let Live {
            piece,
            tag,
            mut slot,
        } = self.live.remove(&address).unwrap();
        let mut piece = piece.show();
        let (mut new, old) = (self.layout(), piece.layout);
        let way = self.rng.u8(..3);
        if way == 0 {
            new = layout(new.size(), old.align());
        }
        slot = slot.and(slot_size(new));
        if way == 1 {
            piece.resize(new).unwrap();
        } else {
            piece.assert_whole();
            let start = match way {
                0 => face::realloc(piece.start, old, new.size()).unwrap(),
                _ => resize_at(piece.start, new).unwrap(),
            };
            let kept = old.size().min(new.size());
            piece.assert_moved(start, kept);
            piece = Piece::of(start, new, self.rng.u8(..));
        }
        let piece = piece.hide();
        self.enter(Live { piece, tag, slot });
        tag
    }

    /// What the heap says of a tag is what the model knows.
    fn compare(&self, tag: Tag) {
        let of_it = || self.live.values().filter(|live| live.tag == tag);
        let sizes = of_it().map(|live| live.slot.unwrap_or(live.piece.layout.size()));
        let held = holding(tag);
        assert_eq!(
            (held.objects, held.bytes),
            (of_it().count(), sizes.sum()),
            "{held}"
        );
    }

    fn end(mut self) {
        while let Some(address) = self.pick() {
            self.give_back(address);
        }
        self.tags.iter().for_each(|tag| self.compare(*tag));
        HEAP.trim().unwrap();
        for tag in &self.tags {
            assert_eq!(holding(*tag).held.blocks, 0);
        }
        HEAP.check().unwrap();
    }
}

fn agrees(seeds: core::ops::Range<u64>, steps: usize, scribbles: bool) {
    for seed in seeds {
        let mut program = Program::new(seed, scribbles);
        let tag = program.tags[0];
        scope(tag, || program.run(tag, steps, 0));
        program.end();
    }
}

#[test]
fn a_random_program_agrees_with_the_model() {
    agrees(1..5, 4000, false);
}

#[test]
fn e07_whatever_is_written_into_free_slots() {
    alone(|| agrees(5..9, 4000, true));
}

#[test]
fn the_model_sees_a_leak() {
    const TAG: Tag = Tag::named("leak");
    let leaked = Piece::take(TAG, layout(100, 8), 1);
    assert_eq!(holding(TAG).objects, 1);
    leaked.give_back();
    let refused = scope(TAG, || HEAP.allocate(layout(1 << 60, 1)));
    assert!(matches!(refused, Err(Error::OutOfMemory(_))));
}
