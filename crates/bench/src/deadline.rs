//! How long a contender may take: some need hours for what others do in a blink.

use std::time::{Duration, Instant};

use crate::job::Job;

/// A point in time after which a phase is given up or cut short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// For bringing a contender to the state at which a workload starts.
    pub(crate) fn to_arrange() -> Self {
        Self::after(Duration::from_secs(4))
    }

    /// For repeating an operation.
    pub(crate) fn to_repeat(job: &Job) -> Self {
        Self::after(Duration::from_millis(if job.quick { 50 } else { 600 }))
    }

    /// For repeating it within one turn.
    pub(crate) fn of_turn(job: &Job) -> Self {
        Self::after(Duration::from_millis(if job.quick { 4 } else { 50 }))
    }

    fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}
