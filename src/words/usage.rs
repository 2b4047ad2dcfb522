//! Numbers about a pool.

use core::fmt;

use crate::words::tag::Tag;

/// What a pool counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Bytes, as taken from the pool: with what alignment and rounding cost.
    #[default]
    Bytes,
    /// Equal parts of a chunk, one a request.
    Slots,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bytes => "bytes",
            Self::Slots => "slots",
        })
    }
}

/// Numbers about a pool, in bytes or slots as `measure` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What the pool counts.
    pub measure: Measure,
    /// What it can have in use at most: its bound; without one, what it has taken from the heap so far.
    pub total: usize,
    /// What is in use.
    pub used: usize,
    /// The most that was ever in use.
    pub peak: usize,
    /// Requests served.
    pub allocations: u64,
    /// Pieces given back, one by one or by a reset.
    pub deallocations: u64,
    /// Requests refused.
    pub failures: u64,
}

impl Usage {
    /// What is not in use.
    pub const fn free(&self) -> usize {
        self.total.saturating_sub(self.used)
    }

    /// Pieces in use. 0 if more were given back than handed out, which a kind may not notice and says so.
    pub const fn live(&self) -> u64 {
        self.allocations.saturating_sub(self.deallocations)
    }

    /// How much of the total is in use, in percent, rounded down.
    pub const fn percent(&self) -> usize {
        match (self.used as u128 * 100).checked_div(self.total as u128) {
            Some(percent) => percent as usize,
            None => 0,
        }
    }
}

impl fmt::Display for Usage {
    /// One line, such as `7 of 10 slots used (peak 9), 12 allocated, 5 given back, 1 refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            measure,
            total,
            used,
            peak,
            ..
        } = self;
        write!(f, "{used} of {total} {measure} used (peak {peak}), ")?;
        write!(f, "{} allocated, ", self.allocations)?;
        write!(f, "{} given back, ", self.deallocations)?;
        write!(f, "{} refused", self.failures)
    }
}

/// What a pool calls when it fills up: with its tag and numbers, each time what is in use reaches the
/// watermark from below.
///
/// It may use other pools and heaps. The pool that calls is in order but busy: behind a lock it answers
/// [`Misuse::Reentered`](crate::Misuse::Reentered).
pub type Alarm = fn(Tag, &Usage);

/// An [`Alarm`] that is told whose it is, for several pools with one function; see
/// [`Pool::alarmed_by`](crate::Pool::alarmed_by).
#[derive(Clone, Copy, Debug)]
pub struct Bell {
    /// What is called as an [`Alarm`] is, with the bell's context besides.
    pub call: fn(Tag, &Usage, usize),
    /// For the function, and nobody else's to read: an index, or an address.
    pub context: usize,
}
