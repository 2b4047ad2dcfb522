//! Operations, and traces of them, one operation a line.
//!
//! ```text
//! allocate #3 tag 1 size 400 align 16
//! deallocate #3
//! release tag 1
//! refused allocate #4 tag 1 size 100000 align 16
//! ```
//!
//! `#3` is the place in which the address is kept. `refused` says that memory may not grow meanwhile.
//! Empty lines and what follows `//` are passed over. An alignment is a power of two below 65536: so far subjects' memory
//! lies alike.

use std::fmt;
use std::str::FromStr;

use crate::ground::Ground;

/// What a trace asks a heap to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Allocate bytes under a tag, and keep the address in a place.
    Allocate {
        /// Where the address is kept.
        place: u32,
        /// The tag's number.
        tag: u64,
        /// Bytes of payload.
        size: usize,
        /// Alignment in bytes, a power of two below [`Ground::ALIGN`].
        align: usize,
    },
    /// Deallocate what is kept in a place. The address stays there: a second time is a double free.
    Deallocate {
        /// Where the address is kept.
        place: u32,
    },
    /// Release a tag.
    Release {
        /// The tag's number.
        tag: u64,
    },
}

/// An operation, and whether growth is refused while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub op: Op,
    /// Whether memory may not grow meanwhile.
    pub refused: bool,
}

impl From<Op> for Step {
    fn from(op: Op) -> Self {
        Self { op, refused: false }
    }
}

/// A list of operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<Step>);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.refused {
            f.write_str("refused ")?;
        }
        match self.op {
            Op::Allocate {
                place,
                tag,
                size,
                align,
            } => {
                write!(f, "allocate #{place} tag {tag} size {size} align {align}")
            }
            Op::Deallocate { place } => write!(f, "deallocate #{place}"),
            Op::Release { tag } => write!(f, "release tag {tag}"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// A line that is no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    line: usize,
    text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not an operation: {}", self.line, self.text)
    }
}

impl std::error::Error for ParseError {}

impl FromStr for Trace {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line
                .split("//")
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            if words.is_empty() {
                continue;
            }
            let error = ParseError {
                line: index + 1,
                text: line.trim().to_owned(),
            };
            steps.push(step(&words).ok_or(error)?);
        }
        Ok(Self(steps))
    }
}

fn step(words: &[&str]) -> Option<Step> {
    match words {
        ["refused", words @ ..] => Some(Step {
            op: op(words)?,
            refused: true,
        }),
        words => Some(op(words)?.into()),
    }
}

fn op(words: &[&str]) -> Option<Op> {
    match *words {
        ["allocate", place, "tag", tag, "size", size, "align", align] => {
            let align = align
                .parse()
                .ok()
                .filter(|align: &usize| align.is_power_of_two() && *align < Ground::ALIGN)?;
            let (tag, size) = (tag.parse().ok()?, size.parse().ok()?);
            Some(Op::Allocate {
                place: place_of(place)?,
                tag,
                size,
                align,
            })
        }
        ["deallocate", place] => Some(Op::Deallocate {
            place: place_of(place)?,
        }),
        ["release", "tag", tag] => Some(Op::Release {
            tag: tag.parse().ok()?,
        }),
        _ => None,
    }
}

fn place_of(word: &str) -> Option<u32> {
    word.strip_prefix('#')?
        .parse()
        .ok()
        .filter(|place| *place < 1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_reads_what_it_prints() {
        let trace = Trace(vec![
            Op::Allocate {
                place: 3,
                tag: u64::MAX,
                size: 400,
                align: 4096,
            }
            .into(),
            Op::Deallocate { place: 3 }.into(),
            Step {
                op: Op::Release { tag: 7 },
                refused: true,
            },
        ]);
        assert_eq!(trace.to_string().parse(), Ok(trace));
    }

    #[test]
    fn a_line_that_is_no_operation_is_named() {
        let error = "// ok\nrelease tag 1\nallocate #1 tag 1 size 8 align 3".parse::<Trace>();
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "line 3: not an operation: allocate #1 tag 1 size 8 align 3"
        );
    }

    /// Where memory lies otherwise for each subject, they would differ with nothing wrong.
    #[test]
    fn no_alignment_is_as_large_as_that_of_all_memory() {
        let parses = |align: usize| {
            let line = format!("allocate #1 tag 1 size 8 align {align}");
            line.parse::<Trace>().is_ok()
        };
        assert!(parses(Ground::ALIGN / 2));
        assert!(!parses(Ground::ALIGN) && !parses(1 << 63));
    }
}
