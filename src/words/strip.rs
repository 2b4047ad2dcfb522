//! Pictures in plain text of memory that is divided: its parts in a row.

use core::fmt::{self, Write};

/// A part of divided memory, and how it is drawn.
pub(crate) trait Part: fmt::Display + Copy {
    /// Bytes from its start to the next part's.
    fn bytes(&self) -> usize;

    /// Whether both look alike, so that one is drawn for both.
    fn is_like(&self, other: &Self) -> bool;
}

/// A part in use or free: its bytes bare, or in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes in use.
    Used(usize),
    /// So many bytes free.
    Free(usize),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used(bytes) => write!(f, "{bytes}"),
            Self::Free(bytes) => write!(f, "[{bytes}]"),
        }
    }
}

impl Part for Piece {
    fn bytes(&self) -> usize {
        let (Self::Used(bytes) | Self::Free(bytes)) = *self;
        bytes
    }

    fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

/// Columns after which a strip goes on in a new line.
const WIDTH: usize = 92;

/// Parts written one behind the other, each line behind its first part's address.
pub(crate) struct Strip<'a, 'f, P> {
    out: &'a mut fmt::Formatter<'f>,
    /// Columns written in this line.
    columns: usize,
    /// Where the first of the equal neighbours stands that are not written yet.
    at: usize,
    run: Option<(P, usize)>,
}

impl<'a, 'f, P: Part> Strip<'a, 'f, P> {
    /// An empty strip whose first part stands at this address.
    pub(crate) fn new(out: &'a mut fmt::Formatter<'f>, at: usize) -> Self {
        Self {
            out,
            columns: 0,
            at,
            run: None,
        }
    }

    /// Draws the next part.
    pub(crate) fn push(&mut self, part: P) -> fmt::Result {
        match &mut self.run {
            Some((first, count)) if first.is_like(&part) => *count += 1,
            _ => {
                self.flush()?;
                self.run = Some((part, 1));
            }
        }
        Ok(())
    }

    /// Draws what is not written yet.
    pub(crate) fn finish(mut self) -> fmt::Result {
        self.flush()
    }

    /// Ends with what is wrong with the next part.
    pub(crate) fn fail(mut self, damage: impl fmt::Display) -> fmt::Result {
        self.flush()?;
        write!(self, " {damage}")
    }

    fn flush(&mut self) -> fmt::Result {
        let Some((part, count)) = self.run.take() else {
            return Ok(());
        };
        if self.columns >= WIDTH {
            self.out.write_char('\n')?;
            self.columns = 0;
        }
        if self.columns == 0 {
            let at = self.at;
            write!(self, "{at:#x} |")?;
        }
        write!(self, "{part}")?;
        if count > 1 {
            write!(self, " x{count}")?;
        }
        self.at += part.bytes() * count;
        self.write_char('|')
    }
}

impl<P> Write for Strip<'_, '_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.columns += text.len();
        self.out.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    struct Drawn<'a>(&'a [Piece]);

    impl fmt::Display for Drawn<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut strip = Strip::new(f, 0x1000);
            self.0.iter().try_for_each(|part| strip.push(*part))?;
            strip.finish()
        }
    }

    #[test]
    fn equal_neighbours_are_counted_and_free_parts_in_brackets() {
        use Piece::{Free, Used};
        let parts = [Used(16), Used(16), Free(16), Used(200), Free(1)];
        assert_eq!(Drawn(&parts).to_string(), "0x1000 |16 x2|[16]|200|[1]|");
        assert_eq!(Drawn(&[]).to_string(), "");
    }

    #[test]
    fn a_new_line_begins_with_its_first_parts_address() {
        let parts: std::vec::Vec<_> = (1..=40).map(Piece::Used).collect();
        let drawn = Drawn(&parts).to_string();
        let lines: std::vec::Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), 2, "{drawn}");
        let before: usize = lines[0]
            .split('|')
            .filter_map(|n| n.parse::<usize>().ok())
            .sum();
        let start = std::format!("{:#x} |", 0x1000 + before);
        assert!(lines[1].starts_with(&start), "{drawn}");
    }
}
