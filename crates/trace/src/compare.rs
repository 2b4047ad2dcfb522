//! Runs a trace on several subjects and looks for the first difference.

use std::collections::HashMap;
use std::fmt;

use tagheap::HEADER;

use crate::{Op, Piece, Step, Subject, Trace};

/// The first place where two subjects differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The operation after which it showed, counted from 1.
    pub number: usize,
    /// The operation, as a line of a trace.
    pub step: Option<Step>,
    /// What differs.
    pub what: String,
    /// Each subject's name and picture.
    pub pictures: Vec<(&'static str, String)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after operation {}", self.number)?;
        if let Some(step) = self.step {
            write!(f, ", {step}")?;
        }
        writeln!(f, ": {}", self.what)?;
        for (name, picture) in &self.pictures {
            writeln!(f, "\n{name}:\n{picture}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Difference {}

/// What a subject answered to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Payload(Option<usize>),
    Freed(bool),
    Released(Option<usize>),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(Some(offset)) => write!(f, "offset {offset}"),
            Self::Freed(true) => f.write_str("freed"),
            Self::Released(Some(blocks)) => write!(f, "{blocks} blocks"),
            Self::Payload(None) | Self::Freed(false) | Self::Released(None) => {
                f.write_str("refused")
            }
        }
    }
}

/// Subjects side by side, and the addresses that the trace keeps.
pub struct Comparison {
    subjects: Vec<Box<dyn Subject>>,
    places: Vec<Option<usize>>,
    number: usize,
    /// Bytes asked for by payload's offset, where payloads are filled.
    filled: Option<HashMap<usize, usize>>,
    lists: [Vec<Piece>; 2],
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparison")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Comparison {
    /// A comparison of subjects in their first state. Where it `fills`, each payload is written all over,
    /// so that images show what was overwritten.
    pub fn new(subjects: Vec<Box<dyn Subject>>, fills: bool) -> Self {
        let lists = [Vec::new(), Vec::new()];
        let filled = fills.then(HashMap::new);
        Self {
            subjects,
            places: Vec::new(),
            number: 0,
            filled,
            lists,
        }
    }

    /// Runs one operation on all subjects and compares what they answer.
    ///
    /// # Errors
    ///
    /// The [`Difference`] between the first two that do not agree.
    pub fn step(&mut self, step: Step) -> Result<(), Difference> {
        self.number += 1;
        let place = self.place(step.op);
        let mut first: Option<(&'static str, Answer)> = None;
        let mut differs = None;
        for subject in &mut self.subjects {
            subject.refuse(step.refused);
            let answer = match step.op {
                Op::Allocate {
                    tag, size, align, ..
                } => Answer::Payload(subject.allocate(tag, size, align)),
                Op::Deallocate { .. } => {
                    Answer::Freed(place.is_some_and(|at| subject.deallocate(at)))
                }
                Op::Release { tag } => Answer::Released(subject.release(tag)),
            };
            subject.refuse(false);
            match first {
                None => first = Some((subject.name(), answer)),
                Some((name, other)) if other != answer => {
                    differs = Some(format!("{name}: {other}, {}: {answer}", subject.name()));
                    break;
                }
                Some(_) => {}
            }
        }
        if let Some(what) = differs {
            return Err(self.difference(Some(step), what));
        }
        if let (Op::Allocate { place, size, .. }, Some((_, Answer::Payload(Some(offset))))) =
            (step.op, first)
        {
            self.keep(place, offset, size);
        }
        Ok(())
    }

    /// Compares all rows, block by block and byte by byte of the payloads, and lets each subject check
    /// itself.
    ///
    /// # Errors
    ///
    /// The first [`Difference`].
    pub fn images(&mut self, step: Option<Step>) -> Result<(), Difference> {
        match self.image_difference() {
            Some(what) => Err(self.difference(step, what)),
            None => Ok(()),
        }
    }

    /// Operations run so far.
    pub fn number(&self) -> usize {
        self.number
    }

    fn image_difference(&mut self) -> Option<String> {
        let (first, others) = self.subjects.split_first()?;
        let [list, other_list] = &mut self.lists;
        first.pieces(list);
        if let Err(damage) = first.check() {
            return Some(format!("{}: {damage}", first.name()));
        }
        for other in others {
            if let Err(damage) = other.check() {
                return Some(format!("{}: {damage}", other.name()));
            }
            other.pieces(other_list);
            let names = || format!("{} and {}", first.name(), other.name());
            if let Some((a, b)) = list.iter().zip(&*other_list).find(|(a, b)| a != b) {
                return Some(format!("{} hold {a:?} and {b:?}", names()));
            }
            if list.len() != other_list.len() {
                let (a, b) = (list.len(), other_list.len());
                return Some(format!("{} hold {a} and {b} blocks", names()));
            }
            for piece in list.iter().filter(|piece| piece.in_use == 1) {
                let offset = piece.offset + HEADER;
                let filled = self.filled.as_ref().and_then(|filled| filled.get(&offset));
                let Some(&length) = filled else { continue };
                let payloads = (first.payload(offset, length), other.payload(offset, length));
                if let (Some(a), Some(b)) = payloads
                    && a != b
                {
                    return Some(format!("{} hold other bytes at offset {offset}", names()));
                }
            }
        }
        None
    }

    fn place(&self, op: Op) -> Option<usize> {
        match op {
            Op::Deallocate { place } => self.places.get(place as usize).copied().flatten(),
            _ => None,
        }
    }

    fn keep(&mut self, place: u32, offset: usize, size: usize) {
        let index = place as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        if let Some(kept) = self.places.get_mut(index) {
            *kept = Some(offset);
        }
        if let Some(filled) = &mut self.filled {
            filled.insert(offset, size);
            for subject in &mut self.subjects {
                subject.fill(offset, size, self.number as u8);
            }
        }
    }

    fn difference(&self, step: Option<Step>, what: String) -> Difference {
        let pictures = self
            .subjects
            .iter()
            .map(|subject| (subject.name(), subject.draw()))
            .collect();
        Difference {
            number: self.number,
            step,
            what,
            pictures,
        }
    }
}

/// Runs a whole trace, compares images after every `images_every` operations and at the end, and answers how
/// many operations ran.
///
/// # Errors
///
/// The first [`Difference`].
pub fn compare(
    trace: &Trace,
    subjects: Vec<Box<dyn Subject>>,
    images_every: usize,
) -> Result<usize, Difference> {
    let mut comparison = Comparison::new(subjects, true);
    for &step in &trace.0 {
        comparison.step(step)?;
        if comparison.number().is_multiple_of(images_every) {
            comparison.images(Some(step))?;
        }
    }
    comparison.images(None)?;
    Ok(comparison.number())
}
