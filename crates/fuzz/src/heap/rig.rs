//! A heap and its model, and one step after the other on both.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::ops::ControlFlow;

use tagheap::{
    Error, HEADER, Heap, Mark, OutOfMemory, Placement, Root, Rule, Shortage, Source, Tag, TagStats,
};

use super::damage::Flip;
use super::model::{Block, Model};
use super::numbers::Numbers;
use crate::input::Input;
use crate::memory;
use crate::piece::Piece;
use crate::sources::{self, Growth};
use crate::tell::tell;

/// The tags of all programs: small numbers, names, and the largest that is nobody's own.
pub(super) const TAGS: [Tag; 9] = [
    Tag::new(1),
    Tag::new(2),
    Tag::new(3),
    Tag::new(4),
    Tag::new(5),
    SIXTH,
    Tag::new(1 << 56),
    Tag::named("level"),
    Tag::new(u64::MAX - 16),
];

/// The tag whose account says whether there is a ledger.
const SIXTH: Tag = Tag::new(6);

/// Steps after which a program ends.
const STEPS: usize = 400;

/// Bytes of a row up to which it is looked at before and after a step.
const VISIBLE: usize = 1 << 17;

/// A heap, the model, and what a program has of both.
pub(super) struct Rig<S: Source, R: Rule, P: Placement> {
    pub(super) heap: Heap<S, R, P>,
    pub(super) model: Model,
    /// Whether the kernel maps memory for indexes that outgrow their room.
    pub(super) maps: bool,
    pub(super) marks: Vec<Mark>,
    /// What was given back.
    pub(super) gone: Vec<Piece>,
    /// What was done to headers and not undone.
    pub(super) damage: Vec<Flip>,
    /// The numbers noted last, by the heap and by the model; none once an account was forgotten.
    pub(super) noted: Option<(Vec<TagStats>, BTreeMap<Tag, Numbers>)>,
}

/// The bytes of a row, if it is not too long to look at all.
pub(super) struct Row(Option<(usize, Vec<u8>)>);

impl Row {
    pub(super) fn is_visible(&self) -> bool {
        self.0.is_some()
    }
}

impl<S: Source, R: Rule, P: Placement> Rig<S, R, P> {
    pub(super) fn new(mut heap: Heap<S, R, P>, growth: Growth, maps: bool) -> Self {
        // Without a ledger no name is kept.
        let _ = heap.set_limit(SIXTH, None);
        let has_ledger = heap.tags().count() == 1;
        let mut model = Model::new(heap.base(), R::SPLITS, growth, has_ledger);
        model.open(SIXTH);
        Self {
            heap,
            model,
            maps,
            marks: Vec::new(),
            gone: Vec::new(),
            damage: Vec::new(),
            noted: Some((Vec::new(), BTreeMap::new())),
        }
    }

    pub(super) fn run(mut self, input: &mut Input) {
        let empty = self.numbers();
        self.noted = self.noted.map(|(stats, _)| (stats, empty));
        self.compare();
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            if self.step(input).is_break() {
                return;
            }
            self.compare();
        }
        self.mend();
        self.compare();
    }

    /// One operation. What breaks leaves the model behind.
    fn step(&mut self, input: &mut Input) -> ControlFlow<()> {
        let op = input.byte() % 40;
        let tag = input.pick(&TAGS);
        tell!(
            "op {op} {tag}, {} bytes",
            self.heap.end() - self.heap.base()
        );
        if !self.damage.is_empty() {
            return self.step_in_damage(op, tag, input);
        }
        match op {
            0..9 => self.allocate(tag, 10, input),
            9..12 => self.allocate(tag, self.most(), input),
            12..19 => self.deallocate(input),
            19..25 => self.resize(input),
            25 => self.release(tag),
            26 => self.release_some(input),
            27 => self.marks.push(self.heap.mark()),
            28 => self.release_since(tag, input),
            29 => self.retag(tag, input),
            30 => self.merge(tag, input),
            31 => self.limit(tag, input),
            32 => self.name(tag, input),
            33 => self.reset_peak(tag),
            34 => self.forget(tag),
            35 => self.give_back(input),
            36 => self.misuse(tag, input),
            37 => weather(input),
            38 => self.snapshot(),
            _ if input.byte() < 12 => return self.live_on_junk(input),
            _ => self.strike(input),
        }
        ControlFlow::Continue(())
    }

    /// The power of two up to which a program asks for memory.
    fn most(&self) -> u32 {
        match self.model.growth {
            Growth::Pages { .. } => 29,
            _ => 21,
        }
    }

    /// Address behind the memory granted so far.
    pub(super) fn limit_of_row(&self) -> usize {
        self.heap.base() + self.heap.stats().unwrap().granted
    }

    /// A block in use, and its place in the row.
    pub(super) fn pick(&self, input: &mut Input) -> Option<(usize, Block)> {
        let count = self.model.in_use().count();
        let place = input.below(count);
        let (index, block) = self.model.in_use().nth(place)?;
        Some((index, *block))
    }

    pub(super) fn row(&self) -> Row {
        let (base, end) = (self.heap.base(), self.heap.end());
        let is_visible = end - base < VISIBLE;
        Row(is_visible.then(|| (end, copy_of_row(base, end))))
    }

    /// The row is as it was.
    pub(super) fn assert_row(&self, row: &Row) {
        let Some((end, bytes)) = &row.0 else { return };
        assert_eq!(*end, self.heap.end());
        let now = copy_of_row(self.heap.base(), *end);
        let changed = now.iter().zip(bytes).position(|(now, then)| now != then);
        assert_eq!(changed, None, "the row was changed at this offset");
    }

    /// Whether a request was refused for want of memory for indexes, which the model does not know of.
    pub(super) fn is_index(&self, error: Error) -> bool {
        !self.maps
            && matches!(error, Error::OutOfMemory(lacking) if lacking.cause == Shortage::Index)
    }

    /// A request that was refused so: nothing changed, but the tag may have an account from now on.
    pub(super) fn lacked_index(&mut self, row: &Row) {
        self.assert_row(row);
        if !self.model.has_ledger {
            return;
        }
        for stats in self.heap.tags() {
            let account = self.model.account(stats.tag);
            let more = stats.failures - account.failures;
            assert!(more <= 1, "{}", stats.tag);
            account.failures = stats.failures;
        }
    }

    /// A request was refused, and says why.
    pub(super) fn assert_refused(&self, error: Error, refused: OutOfMemory, row: &Row) {
        assert_eq!(error, Error::OutOfMemory(refused));
        assert!(!error.to_string().contains('\n'), "{error}");
        self.assert_row(row);
    }
}

/// A row's bytes, but for where its accounts are: whoever asks for a tag opens one, be he refused or not.
fn copy_of_row(base: usize, end: usize) -> Vec<u8> {
    const ACCOUNTS: usize = HEADER + offset_of!(Root, accounts);
    const BEHIND: usize = HEADER + offset_of!(Root, reserved);
    let mut bytes = memory::copy(base, end - base);
    bytes[ACCOUNTS..BEHIND].fill(0);
    bytes
}

pub(super) fn assert_out_of_memory(error: Error) {
    assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
}

/// What others do: memory is refused, granted, or taken behind the row.
fn weather(input: &mut Input) {
    match input.byte() % 3 {
        0 => sources::refuse(true),
        1 => sources::refuse(false),
        _ => sources::overtake(input.word() % 6000),
    }
}
