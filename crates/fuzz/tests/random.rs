//! Every harness on random inputs of fixed seeds, and on those in `inputs`, which other runs found.
//!
//! An input that fails is written to a file, which the test names: `scripts/fuzz.sh` can run that one, too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tagheap_fuzz::HARNESSES;
use tagheap_trace::soak;

/// Bytes of a random input at most.
const LONGEST: usize = if cfg!(miri) { 1 << 8 } else { 1 << 12 };

/// By how much fewer inputs there are where Miri interprets the program.
const FEWER: u64 = if cfg!(miri) { 50 } else { 1 };

fn harness(name: &str) -> fn(&[u8]) {
    let found = HARNESSES.iter().find(|(other, _)| *other == name);
    found.unwrap().1
}

/// Runs a harness; where it panics, keeps the input.
fn run(name: &str, data: &[u8], case: &str) {
    let harness = harness(name);
    if std::env::var_os("TAGHEAP_TELL").is_some() {
        // Whoever ends the process leaves at least this.
        eprintln!("{name}-{case}");
    }
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| harness(data))) else {
        return;
    };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{case}"));
    fs::write(&kept, data).unwrap();
    eprintln!(
        "the input is kept: scripts/fuzz.sh {name} {}",
        kept.display()
    );
    resume_unwind(panic);
}

/// Bytes of many lengths: any, or few different ones as well, so that what they say comes again.
fn input(seed: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let longest = LONGEST >> random.u32(..8);
    let length = random.usize(..=longest);
    let few: [u8; 12] = std::array::from_fn(|_| random.u8(..));
    let part = if random.bool() { 0 } else { random.u8(1..8) };
    let byte = |_| {
        if random.u8(..8) < part {
            few[random.usize(..few.len())]
        } else {
            random.u8(..)
        }
    };
    (0..length).map(byte).collect()
}

/// So many inputs; with `TAGHEAP_SOAK`, others behind them for so long.
fn on_random_inputs(name: &str, count: u64) {
    let started = Instant::now();
    let time = soak().map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds.into())
    });
    for seed in (0..).take_while(|seed| *seed < count / FEWER || started.elapsed() < time) {
        run(name, &input(seed), &format!("seed-{seed}"));
    }
}

#[test]
fn a_heap_does_what_its_model_says() {
    on_random_inputs("heap", 6000);
}

#[test]
fn pools_do_what_their_models_say() {
    on_random_inputs("pools", 12_000);
}

#[test]
fn words_say_what_they_should() {
    on_random_inputs("words", 4000);
}

#[test]
fn global_does_what_its_model_says() {
    on_random_inputs("global", 500);
}

#[test]
fn inputs_that_found_something_find_nothing_more() {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs");
    for (name, _) in HARNESSES {
        for file in fs::read_dir(inputs.join(name)).unwrap() {
            let file = file.unwrap();
            let case = file.file_name().into_string().unwrap();
            let data = fs::read(file.path()).unwrap();
            if !cfg!(miri) || data.len() <= LONGEST {
                run(name, &data, &case);
            }
        }
    }
}
