//! A refused growth changes nothing, at whichever operation it comes.

use tagheap::{Rule, Split};
use tagheap_trace::{Comparison, Generator, Mix, Op, Step, Trace};

use crate::{subjects, under_both_rules};

under_both_rules!(
    b04_growth_refused_at_every_operation,
    b04_growth_refused_from_an_operation_on
);

const OPERATIONS: usize = 1_000;

fn trace() -> Trace {
    let mix = Mix {
        places: 24,
        largest: 1024,
        ..Mix::default()
    };
    Trace(Generator::new(4, mix).take(OPERATIONS).collect())
}

fn run<R: Rule + 'static>(rule: R, trace: &Trace, is_refused: impl Fn(usize) -> bool) {
    let mut comparison = Comparison::new(subjects(1 << 20, rule), true);
    for (index, &step) in trace.0.iter().enumerate() {
        let refused = is_refused(index);
        let step = Step { refused, ..step };
        comparison.step(step).unwrap();
        if refused || index + 1 == trace.0.len() {
            comparison.images(Some(step)).unwrap();
        }
    }
}

fn b04_growth_refused_at_every_operation<R: Rule + 'static>(rule: R) {
    let trace = trace();
    for refused in 0..OPERATIONS {
        run(rule, &trace, |index| index == refused);
    }
}

fn b04_growth_refused_from_an_operation_on<R: Rule + 'static>(rule: R) {
    let trace = trace();
    for first in (0..OPERATIONS).step_by(50) {
        run(rule, &trace, |index| index >= first);
    }
}

#[test]
fn b03_what_was_refused_succeeds_later() {
    let allocate = |place| Op::Allocate {
        place,
        tag: 1,
        size: 1000,
        align: 16,
    };
    let mut comparison = Comparison::new(subjects(1 << 20, Split), true);
    comparison
        .step(Step {
            op: allocate(0),
            refused: true,
        })
        .unwrap();
    comparison.step(allocate(1).into()).unwrap();
    let trace: Trace = "deallocate #0\ndeallocate #1".parse().unwrap();
    for step in trace.0 {
        comparison.step(step).unwrap();
    }
    comparison.images(None).unwrap();
}
