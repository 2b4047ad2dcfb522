//! A program: objects of several tags, in several threads, and what it knows of them.

use std::collections::BTreeMap;

use tagheap::{Global, Tag};

use super::HEAP;
use super::workers::Workers;
use crate::class::class_size;
use crate::input::Input;
use crate::piece::{Piece, assert_apart};
use crate::tell::tell;

/// Steps after which a program ends.
const STEPS: usize = 400;

/// Bytes of the largest slot; what is larger, or aligned to more, is a block of the heap's own.
const LARGEST: usize = 8192;

/// Bytes up to which the slot of a request is known.
const KNOWN: usize = 1024;

/// The tags of all programs. What has none is others', too, and is not counted.
pub(super) const TAGS: [Tag; 4] = [
    Tag::new(501),
    Tag::new(502),
    Tag::new(503),
    Tag::named("named"),
];

/// An object in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) piece: Piece,
    pub(super) tag: Tag,
    pub(super) usable: usize,
    /// Bytes that are counted for it.
    pub(super) requested: usize,
    pub(super) home: Home,
}

/// Where an object lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In a span, among others of its class.
    Slot,
    /// In a block of the heap's own. A large object that is made small stays one.
    Block,
    /// Where its tag has a limit, there may be room for a block and none for a span.
    Either,
}

impl Live {
    fn assert_sizes(&self) {
        let size = self.piece.layout.size();
        assert!(self.usable >= self.requested, "{self:x?}");
        if self.home != Home::Slot {
            return assert_eq!(self.requested, size, "{self:x?}");
        }
        assert_eq!(self.usable, self.requested, "{self:x?}");
        let class = class_size(self.piece.layout, 8, LARGEST);
        if class <= KNOWN || self.piece.layout.align() > 16 {
            assert_eq!(self.usable, class, "{self:x?}");
        } else {
            assert!((size..=LARGEST).contains(&self.usable), "{self:x?}");
        }
    }
}

/// The program's state.
pub(super) struct Program {
    pub(super) workers: Workers,
    pub(super) live: Vec<Live>,
    /// What was given back, and not handed out again since.
    pub(super) gone: Vec<Live>,
    pub(super) limits: BTreeMap<Tag, usize>,
    last_id: u32,
    /// Whether some objects are given back by threads that live no longer than that.
    pub(super) has_short_threads: bool,
    has_workers: bool,
    /// Whether workers end while there are objects.
    ends_early: bool,
}

impl Program {
    pub(super) fn new(input: &mut Input) -> Self {
        let how = input.byte();
        let has_workers = how & 8 != 0;
        let count = if has_workers {
            1 + usize::from(how >> 4 & 1)
        } else {
            0
        };
        Self {
            workers: Workers::new(count),
            live: Vec::new(),
            gone: Vec::new(),
            limits: BTreeMap::new(),
            last_id: 0,
            has_short_threads: how & 7 == 7,
            has_workers,
            ends_early: how & 32 != 0,
        }
    }

    pub(super) fn run(mut self, input: &mut Input) {
        for number in 1..=STEPS {
            if input.is_empty() {
                break;
            }
            self.step(input);
            if number % 4 == 0 || input.is_empty() {
                self.compare();
            }
        }
        self.end();
    }

    fn step(&mut self, input: &mut Input) {
        let (op, who) = (input.byte(), input.byte());
        // What has no tag now and then is under the heap's own name for that.
        let tag = match usize::from(who >> 2) % 5 {
            0 => Global::UNTAGGED,
            number => TAGS[number - 1],
        };
        tell!("op {} {tag}", op % 20);
        match op % 20 {
            0..7 => self.allocate(op, who, tag, input),
            7..12 => self.deallocate(op, who, input),
            12 | 13 => self.resize(op, who, input),
            14 => self.misuse(who, input),
            15 => self.scribble(input.byte()),
            16 => self.tidy(who, input),
            19 if self.has_workers => self.workers.replace(who, op & 32 == 0),
            19 => HEAP
                .set_name(tag, input.pick(&["", "a", "a long name"]))
                .unwrap(),
            _ if tag == Global::UNTAGGED => {}
            17 => self.limit(tag, input),
            _ => self.release(tag),
        }
    }

    /// Notes an object that was handed out, or resized, and then where it was before.
    pub(super) fn hold(&mut self, piece: Piece, tag: Tag, before: Home) {
        let requested = HEAP.requested_size(piece.ptr()).unwrap();
        let layout = piece.layout;
        let home = match before {
            _ if layout.size().max(layout.align()) > LARGEST => Home::Block,
            // What is counted for a block is what was asked for.
            _ if requested != layout.size() => Home::Slot,
            Home::Slot if self.limits.contains_key(&tag) => Home::Either,
            before => before,
        };
        let live = Live {
            piece,
            tag,
            usable: HEAP.usable_size(piece.ptr()).unwrap(),
            requested,
            home,
        };
        live.assert_sizes();
        assert_eq!(HEAP.tag_of(piece.ptr()), Ok(tag));
        self.gone.retain(|gone| !gone.piece.overlaps(&piece));
        self.live.push(live);
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn compare(&self) {
        self.compare_numbers();
        let pieces = || self.live.iter().map(|live| &live.piece);
        pieces().for_each(Piece::assert_edges);
        assert_apart(pieces());
        HEAP.check().unwrap();
    }

    fn end(mut self) {
        for (number, live) in std::mem::take(&mut self.live).into_iter().enumerate() {
            if self.ends_early && number == 10 {
                self.workers.end();
            }
            self.give_back(live, number as u8);
        }
        self.workers.end();
        for tag in self.limits.keys() {
            HEAP.set_limit(*tag, None).unwrap();
        }
        HEAP.trim().unwrap();
        self.assert_nothing_held(&TAGS);
        HEAP.check().unwrap();
    }
}
