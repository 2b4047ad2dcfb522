//! Runs long random traces on the Rust heap and on its assembly twin, and compares every address.
//!
//! ```text
//! cargo run --release --example parity -- --ops 10000000 --seed 1 --rule whole
//! cargo run --release --example parity -- --rule split --refuse 10
//! cargo run --release --example parity -- --trace FILE
//! ```
//!
//! Every answer is compared; at checkpoints and at the end also the three words of every header. Exits
//! with 0 when there are no differences, with 1 at the first, which it draws and shortens, and with 2 when it cannot
//! say: of a file that is no trace, or where nobody reads what it prints.
#![allow(clippy::print_stderr, reason = "a program")]

use std::error::Error;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tagheap::{Directory, Split, Whole};
use tagheap_trace::{
    Comparison, Difference, Generator, HeapSubject, Mix, Model, Step, Subject, Trace, TwinSubject,
    shorten,
};

/// Compares the Rust heap with its assembly twin, address by address.
#[derive(Debug, Parser)]
struct Options {
    /// How many random operations to run.
    #[arg(long, default_value_t = 1_000_000)]
    ops: usize,
    /// From which the random operations follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What becomes of free blocks.
    #[arg(long, value_enum, default_value_t = RuleName::Split)]
    rule: RuleName,
    /// Of a hundred operations, how many run while memory may not grow.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    refuse: u32,
    /// Run the operations in this file, one a line, instead of random ones.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ops", "seed", "refuse"])]
    trace: Option<PathBuf>,
    /// How many addresses the random operations keep at once.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    places: u32,
    /// Run the naive model beside the two.
    #[arg(long)]
    model: bool,
    /// Run a heap with a planted fault beside the two, to see what a difference looks like: once tag 7 was
    /// released, it misplaces blocks that are aligned to 256 bytes or more.
    #[arg(long)]
    plant: bool,
}

/// The rules by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RuleName {
    /// A block is reused whole, nothing merges.
    Whole,
    /// Blocks are split, free neighbours coalesce.
    Split,
}

/// Bytes of memory for each subject; only what is touched is ever there.
const MEMORY: usize = 1 << 30;

/// Operations between two comparisons of all headers.
const CHECKPOINT: usize = 100_000;

/// For how long a trace is shortened.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    compare().unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn compare() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let (trace, total) = match &options.trace {
        Some(file) => {
            let trace = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let total = trace.0.len();
            (Some(trace), total)
        }
        None => (None, options.ops),
    };
    let steps = || -> Box<dyn Iterator<Item = Step>> {
        match &trace {
            Some(trace) => Box::new(trace.0.clone().into_iter()),
            None => Box::new(random(&options).take(options.ops)),
        }
    };
    match run(&options, steps(), total)? {
        Ok(count) => {
            writeln!(stdout(), "{count} operations, 0 differences")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(difference) => {
            writeln!(stdout(), "{difference}")?;
            let trace = Trace(steps().take(difference.number).collect());
            print_shortened(&options, trace)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(file: &Path) -> Result<Trace, Box<dyn Error>> {
    Ok(std::fs::read_to_string(file)?.parse()?)
}

fn random(options: &Options) -> Generator {
    let mix = Mix {
        places: options.places,
        refused: options.refuse,
        ..Mix::default()
    };
    Generator::new(options.seed, mix)
}

/// The twin and the heap under the rule asked for, and whoever else was.
fn subjects(options: &Options) -> Result<Vec<Box<dyn Subject>>, Box<dyn Error>> {
    let mut subjects: Vec<Box<dyn Subject>> = match options.rule {
        RuleName::Whole => vec![
            Box::new(TwinSubject::new(MEMORY, Whole)?),
            Box::new(HeapSubject::new("heap", MEMORY, Whole, Directory::new())?),
        ],
        RuleName::Split => vec![
            Box::new(TwinSubject::new(MEMORY, Split)?),
            Box::new(HeapSubject::new("heap", MEMORY, Split, Directory::new())?),
        ],
    };
    let model = || Model::new(MEMORY, matches!(options.rule, RuleName::Split));
    if options.model {
        subjects.push(Box::new(model()));
    }
    if options.plant {
        subjects.push(Box::new(Planted {
            model: model(),
            released: false,
        }));
    }
    Ok(subjects)
}

/// Runs the steps; the inner result is how many ran, or the first difference.
fn run(
    options: &Options,
    steps: impl Iterator<Item = Step>,
    total: usize,
) -> Result<Result<usize, Difference>, Box<dyn Error>> {
    let style = "{bar:40} {pos}/{len} operations, {per_sec}, {eta} left";
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(style)?);
    let mut comparison = Comparison::new(subjects(options)?, false);
    for step in steps {
        let mut same = comparison.step(step);
        if comparison.number().is_multiple_of(CHECKPOINT) {
            same = same.and_then(|()| comparison.images(Some(step)));
            bar.set_position(comparison.number() as u64);
        }
        if let Err(difference) = same {
            bar.abandon();
            return Ok(Err(difference));
        }
    }
    bar.finish_and_clear();
    Ok(comparison.images(None).map(|()| comparison.number()))
}

fn print_shortened(options: &Options, trace: Trace) -> Result<(), Box<dyn Error>> {
    let mut out = stdout();
    writeln!(
        out,
        "shortening {} operations, for up to {PATIENCE:?} ...",
        trace.0.len()
    )?;
    let fails = |trace: &Trace| match subjects(options) {
        Ok(subjects) => {
            let mut comparison = Comparison::new(subjects, false);
            let answers = trace.0.iter().try_for_each(|&step| comparison.step(step));
            answers.and_then(|()| comparison.images(None)).is_err()
        }
        Err(_) => false,
    };
    let short = shorten(trace, PATIENCE, fails);
    let count = short.0.len();
    let rule = options.rule.to_possible_value();
    let rule = rule.as_ref().map_or("split", |rule| rule.get_name());
    writeln!(
        out,
        "{count} operations still show it; put into a file, they run with --trace FILE --rule {rule}:\n\n{short}"
    )?;
    if let Ok(Err(difference)) = run(options, short.0.into_iter(), count) {
        writeln!(out, "{difference}")?;
    }
    Ok(())
}

/// The model with a fault, see the option `plant`.
#[derive(Debug)]
struct Planted {
    model: Model,
    released: bool,
}

impl Subject for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn refuse(&mut self, refused: bool) {
        self.model.refuse(refused);
    }

    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize> {
        let offset = self.model.allocate(tag, size, align)?;
        let is_wrong = self.released && align >= 256;
        Some(offset + if is_wrong { 16 } else { 0 })
    }

    fn deallocate(&mut self, offset: usize) -> bool {
        self.model.deallocate(offset)
    }

    fn release(&mut self, tag: u64) -> Option<usize> {
        self.released |= tag == 7;
        self.model.release(tag)
    }

    fn pieces(&self, list: &mut Vec<tagheap_trace::Piece>) {
        self.model.pieces(list);
    }

    fn draw(&self) -> String {
        self.model.draw()
    }
}
