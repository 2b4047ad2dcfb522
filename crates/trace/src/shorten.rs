//! Shorter traces that still show a difference.

use std::time::{Duration, Instant};

use crate::Trace;

/// Leaves out of a trace whatever it can without `fails` becoming false: halves first, then ever smaller
/// parts, down to single operations (Zeller and Hildebrandt's delta debugging, without the complements). Stops
/// when nothing more can go, or the time is up.
pub fn shorten(trace: Trace, time: Duration, mut fails: impl FnMut(&Trace) -> bool) -> Trace {
    let start = Instant::now();
    let mut steps = trace.0;
    let mut part = steps.len().div_ceil(2);
    while part > 0 {
        let before = steps.len();
        let mut from = 0;
        while from < steps.len() {
            if start.elapsed() > time {
                return Trace(steps);
            }
            let to = (from + part).min(steps.len());
            let shorter: Vec<_> = steps
                .iter()
                .take(from)
                .chain(steps.iter().skip(to))
                .copied()
                .collect();
            let shorter = Trace(shorter);
            if fails(&shorter) {
                steps = shorter.0;
            } else {
                from = to;
            }
        }
        if part > 1 || steps.len() == before {
            part /= 2;
        }
    }
    Trace(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;

    #[test]
    fn what_does_not_matter_goes() {
        let step = |tag| Op::Release { tag }.into();
        let trace = Trace((0..1000).map(step).collect());
        let short = shorten(trace, Duration::from_secs(60), |trace| {
            let has = |tag| trace.0.contains(&step(tag));
            has(17) && has(640) && has(999)
        });
        assert_eq!(short, Trace([17, 640, 999].map(step).into()));
    }
}
