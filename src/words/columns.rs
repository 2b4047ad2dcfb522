//! Lines of a table, in plain text.

use core::fmt::{self, Display, Write};

/// Where what a line is about ends, and the numbers behind it begin.
const LABEL: usize = 20;

/// What stands in a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    /// A title.
    Title(&'static str),
    /// How many.
    Count(u64),
    /// How many more, or fewer: with a sign.
    Change(i64),
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Title(title) => f.write_str(title),
            Self::Count(count) => write!(f, "{count}"),
            Self::Change(change) => write!(f, "{change:+}"),
        }
    }
}

/// Counts characters instead of writing them.
struct Width(usize);

impl Write for Width {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.chars().count();
        Ok(())
    }
}

/// Columns that a text takes.
fn width(text: &dyn Display) -> usize {
    let mut width = Width(0);
    // It has room for any text.
    let _ = write!(width, "{text}");
    width.0
}

/// Writes a line: what it is about, then cells, each with the column at which it ends. What is longer than its column
/// takes from the next ones, which have room to spare.
pub(crate) fn line<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    about: &dyn Display,
    cells: [(Cell, usize); N],
) -> fmt::Result {
    let mut at = width(about);
    write!(f, "{about}{:gap$}", "", gap = LABEL.saturating_sub(at))?;
    at = at.max(LABEL);
    for (cell, end) in cells {
        let room = width(&cell);
        let gap = end.saturating_sub(at + room).max(1);
        write!(f, "{:gap$}{cell}", "")?;
        at += gap + room;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use super::*;

    struct Line<'a>(&'a str, [(Cell, usize); 3]);

    impl Display for Line<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            line(f, &self.0, self.1)
        }
    }

    fn told(about: &str, cells: [Cell; 3]) -> String {
        let [a, b, c] = cells;
        Line(about, [(a, 26), (b, 32), (c, 40)]).to_string()
    }

    #[test]
    fn cells_end_at_their_columns_where_there_is_room() {
        let titles = ["one", "two", "three"].map(Cell::Title);
        let lines = [
            told("about", titles),
            told("about", [Cell::Count(0), Cell::Change(0), Cell::Change(-7)]),
            told(
                "K\u{fc}hlt\u{fc}rme, au\u{df}en",
                [5_usize, 12, 345].map(Cell::from),
            ),
            told("a text of 23 characters", [1_usize, 2, 3].map(Cell::from)),
            told(
                "a text of 30 characters indeed",
                [1_usize, 22, 3].map(Cell::from),
            ),
        ];
        let wanted = [
            "about                  one   two   three",
            "about                    0    +0      -7",
            "K\u{fc}hlt\u{fc}rme, au\u{df}en         5    12     345",
            "a text of 23 characters  1     2       3",
            "a text of 30 characters indeed 1 22    3",
        ];
        assert_eq!(lines, wanted);
    }
}
