//! All traces of up to five operations over a small heap.

use tagheap::Rule;
use tagheap_trace::{Op, Step, Trace, compare};

use crate::{subjects, under_both_rules};

under_both_rules!(t02_all_traces_of_up_to_five_operations);

/// What may come next when so many addresses are kept: an allocation into the next place, under one of
/// two tags, of one of three sizes, or aligned; a deallocation of any place, for the first or second time;
/// a release.
fn choices(kept: u32) -> Vec<Step> {
    let place = kept;
    let allocate = |tag, size, align| Op::Allocate {
        place,
        tag,
        size,
        align,
    };
    let mut ops = vec![
        allocate(1, 16, 16),
        allocate(1, 64, 16),
        allocate(1, 144, 16),
        allocate(2, 16, 16),
        allocate(2, 64, 64),
        Op::Release { tag: 1 },
        Op::Release { tag: 2 },
    ];
    ops.extend((0..kept).map(|place| Op::Deallocate { place }));
    ops.into_iter().map(Step::from).collect()
}

fn extend<R: Rule + 'static>(rule: R, trace: &mut Trace, kept: u32, left: usize, runs: &mut usize) {
    if left == 0 {
        *runs += 1;
        if let Err(difference) = compare(trace, subjects(4096, rule), 1) {
            panic!("{trace}{difference}");
        }
        return;
    }
    for step in choices(kept) {
        trace.0.push(step);
        let keeps = matches!(step.op, Op::Allocate { .. });
        extend(rule, trace, kept + u32::from(keeps), left - 1, runs);
        trace.0.pop();
    }
}

/// A trace of five operations, compared after each, covers the shorter ones that it begins with.
fn t02_all_traces_of_up_to_five_operations<R: Rule + 'static>(rule: R) {
    let mut runs = 0;
    extend(rule, &mut Trace::default(), 0, 5, &mut runs);
    assert!(runs > 30_000, "{runs} traces");
}
