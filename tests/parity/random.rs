//! Long random traces, whole images compared after each operation.

use tagheap::Rule;
use tagheap_trace::{Comparison, Generator, Mix, Step};

use crate::{subjects, under_both_rules};

under_both_rules!(
    t01_two_hundred_thousand_operations,
    t01_refused_growth_now_and_then,
    t01_few_small_blocks,
    t01_many_tags_and_large_blocks,
    t01_great_blocks_in_a_long_row,
);

fn run<R: Rule + 'static>(rule: R, seed: u64, operations: usize, mix: Mix) {
    let mut comparison = Comparison::new(subjects(8 << 20, rule), true);
    let mut trace: Vec<Step> = Vec::new();
    for step in Generator::new(seed, mix).take(operations) {
        trace.push(step);
        let same = comparison
            .step(step)
            .and_then(|()| comparison.images(Some(step)));
        if let Err(difference) = same {
            panic!("seed {seed}: {difference}");
        }
    }
}

fn t01_two_hundred_thousand_operations<R: Rule + 'static>(rule: R) {
    let mix = Mix {
        places: 48,
        largest: 512,
        ..Mix::default()
    };
    run(rule, 1, 200_000, mix);
}

fn t01_refused_growth_now_and_then<R: Rule + 'static>(rule: R) {
    let mix = Mix {
        places: 32,
        largest: 2048,
        refused: 30,
        ..Mix::default()
    };
    run(rule, 2, 30_000, mix);
}

fn t01_few_small_blocks<R: Rule + 'static>(rule: R) {
    let mix = Mix {
        places: 6,
        tags: 2,
        largest: 64,
        refused: 5,
    };
    for seed in 0..30 {
        run(rule, seed, 1_000, mix);
    }
}

fn t01_many_tags_and_large_blocks<R: Rule + 'static>(rule: R) {
    let mix = Mix {
        places: 64,
        tags: 1000,
        largest: 1 << 16,
        refused: 0,
    };
    run(rule, 3, 10_000, mix);
}

/// A row of hundreds of megabytes: indexes grow several times and get new levels, and many blocks are
/// larger than a leaf of the directory can tell. Images are compared now and then, payloads are not
/// touched.
fn t01_great_blocks_in_a_long_row<R: Rule + 'static>(rule: R) {
    let mix = Mix {
        places: 2_000,
        tags: 50,
        largest: 1 << 20,
        refused: 2,
    };
    let mut comparison = Comparison::new(subjects(4 << 30, rule), false);
    for step in Generator::new(6, mix).take(12_000) {
        comparison.step(step).unwrap();
        if comparison.number().is_multiple_of(500) {
            comparison.images(Some(step)).unwrap();
        }
    }
    comparison.images(None).unwrap();
}
