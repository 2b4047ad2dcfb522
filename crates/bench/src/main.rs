//! tagheap beside other allocators: the same operations, in the same run, round by round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on stops"
)]

mod contender;
mod contenders;
mod deadline;
mod goal;
mod huge_pages;
mod job;
mod limits;
mod measure;
mod place;
mod plot;
mod processor;
mod programs;
mod report;
mod resident;
mod spawn;
mod start;
mod stats;
mod tools;
mod turns;
mod workloads;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use crate::goal::goals;
use crate::job::{Job, Workload};
use crate::measure::Settings;
use crate::report::Style;

/// Measures tagheap beside other allocators.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    name: Name,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// How often everything is measured.
    #[arg(long, global = true, default_value_t = 7, value_parser = value_parser!(u16).range(5..))]
    rounds: u16,
    /// Small sizes and few operations, to see whether everything runs.
    #[arg(long, global = true)]
    quick: bool,
    /// Where the random sizes and victims come from.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Memory in huge pages, for every contender that can be told to.
    #[arg(long, global = true)]
    huge_pages: bool,
    /// Tables as Markdown.
    #[arg(long, global = true)]
    markdown: bool,
    /// All outcomes as one line of JSON at the end.
    #[arg(long, global = true)]
    json: bool,
    /// Draws time against n as SVG into this directory, for workloads of several sizes.
    #[arg(long, global = true, value_name = "DIR")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Name {
    /// Every second of n blocks is freed; then pairs of a free and an allocation.
    FirstFit,
    /// Random frees and allocations with 100,000 blocks alive; through `GlobalAlloc`, too.
    Churn,
    /// One of 1000 pools is freed at once.
    Release,
    /// A level is loaded behind what stays, and goes at once.
    Level,
    /// A vector grows.
    Grow,
    /// Slots of 64 bytes, by one thread and by two; through `GlobalAlloc`, too.
    Fixed,
    /// Objects one behind the other, then a reset.
    Bump,
    /// Eight pools fill up side by side and go one after the other.
    Phases,
    /// A pool for each request.
    Requests,
    /// A program starts, allocates ten times, and ends.
    Start,
    /// Whole programs with one allocator or another in the place of malloc.
    Programs(Preloaded),
    /// What the machine allows.
    Limits,
    /// All of these.
    All,
    /// One measurement, in the process that is started for it.
    #[command(hide = true)]
    Worker(Worker),
}

#[derive(Clone, Debug, Args)]
struct Worker {
    #[arg(long)]
    contender: String,
    #[command(flatten)]
    job: Job,
}

#[derive(Clone, Debug, Default, Args)]
struct Preloaded {
    /// One more peer: a library that LD_PRELOAD puts in the place of malloc. Those that the system's loader
    /// knows are found without.
    #[arg(long, value_name = "PATH")]
    library: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { name, options }: Cli) -> Result<(), Box<dyn Error>> {
    match name {
        Name::Worker(worker) => Ok(measure::work(&worker.contender, &worker.job)?),
        name => Run::new(&options).run(&name),
    }
}

/// One run of this program.
struct Run<'a> {
    options: &'a Options,
    settings: Settings,
    style: Style,
    bar: ProgressBar,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options) -> Self {
        let settings = Settings {
            rounds: options.rounds.into(),
            seed: options.seed,
            quick: options.quick,
            huge_pages: options.huge_pages,
        };
        let style = match options.markdown {
            true => Style::Markdown,
            false => Style::Terminal,
        };
        let look = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg:40}");
        let bar = ProgressBar::new(0).with_style(look.expect("a template"));
        Self {
            options,
            settings,
            style,
            bar,
        }
    }

    fn run(&self, name: &Name) -> Result<(), Box<dyn Error>> {
        let tools = tools::Tools::find();
        println!("{tools}");
        let workloads = workloads(name);
        let starts = matches!(name, Name::Start | Name::All);
        let preloaded = match name {
            Name::Programs(preloaded) => Some(preloaded.clone()),
            Name::All => Some(Preloaded::default()),
            _ => None,
        };
        // First of all: if they cannot be built, that is not to come out after half an hour.
        let starting = starts.then(|| start::build(&tools)).transpose()?;
        let programs = match preloaded {
            Some(named) => programs::build(&tools, &named.library, &self.settings)?,
            None => None,
        };
        self.bar.set_length(self.measurements(&workloads) as u64);

        let mut all = Vec::new();
        let mut reached = Vec::new();
        for beside in workloads.chunk_by(|one, other| one.is_beside(*other)) {
            let mut cases = Vec::new();
            for workload in beside {
                cases.extend(self.cases(*workload)?);
            }
            self.bar
                .suspend(|| report::print_matrix(&cases, self.style));
            reached.extend(cases.iter().flat_map(goals));
            all.extend(cases);
        }
        if let Some(starting) = starting {
            let started = start::measure(starting, &self.settings, &self.bar)?;
            self.bar.suspend(|| start::print(&started, self.style));
            reached.extend(start::goals(&started));
        }
        let programs = programs.map(|programs| programs.measure(&self.settings, &self.bar));
        let programs = programs.transpose()?.unwrap_or_default();
        if !programs.is_empty() {
            self.bar.suspend(|| programs::print(&programs, self.style));
        }
        self.bar.finish_and_clear();
        report::print_goals(&reached, self.style);
        if self.options.json {
            let outcomes =
                serde_json::json!({ "cases": all, "programs": programs, "goals": reached });
            println!("{outcomes}");
        }
        Ok(())
    }

    fn measurements(&self, workloads: &[Workload]) -> usize {
        let sizes = |workload: &Workload| sizes(*workload, self.settings.quick).len();
        let cases = |workload: &Workload| measure::count(*workload, &self.settings);
        workloads
            .iter()
            .map(|workload| sizes(workload) * cases(workload))
            .sum()
    }

    /// Measures and prints a workload in all its sizes.
    fn cases(&self, workload: Workload) -> Result<Vec<measure::Case>, Box<dyn Error>> {
        let sizes = sizes(workload, self.settings.quick).iter();
        let cases = sizes.map(|n| measure::case(workload, *n, &self.settings, &self.bar));
        let cases: Vec<_> = cases.collect::<Result<_, _>>()?;
        self.bar.suspend(|| report::print_cases(&cases, self.style));
        if let Some(directory) = &self.options.plot
            && let Some(path) = plot::draw(&cases, directory)?
        {
            self.bar.suspend(|| println!("\nplot: {}", path.display()));
        }
        Ok(cases)
    }
}

fn workloads(name: &Name) -> Vec<Workload> {
    let grow = [
        Workload::GrowDouble,
        Workload::GrowDoubleAgain,
        Workload::GrowStep,
        Workload::GrowStepAgain,
    ];
    match name {
        Name::FirstFit => vec![Workload::FirstFit],
        Name::Churn => vec![Workload::Churn, Workload::GlobalChurn],
        Name::Release => vec![Workload::Release, Workload::ReleaseEmpty],
        Name::Level => vec![Workload::Level],
        Name::Grow => grow.to_vec(),
        Name::Fixed => [Workload::OF_SHARED_SLOTS, Workload::OF_GLOBAL_SLOTS].concat(),
        Name::Bump => vec![Workload::Bump],
        Name::Phases => vec![Workload::Phases],
        Name::Requests => vec![Workload::Requests],
        Name::Limits => vec![Workload::Limits],
        Name::Start | Name::Programs(_) | Name::Worker(_) => Vec::new(),
        Name::All => [
            Name::Limits,
            Name::FirstFit,
            Name::Churn,
            Name::Release,
            Name::Level,
            Name::Grow,
            Name::Fixed,
            Name::Bump,
            Name::Phases,
            Name::Requests,
        ]
        .iter()
        .flat_map(workloads)
        .collect(),
    }
}

/// The sizes of a workload.
fn sizes(workload: Workload, quick: bool) -> &'static [usize] {
    match (workload, quick) {
        (Workload::FirstFit, false) => &[100, 1000, 10_000, 100_000, 1_000_000],
        (Workload::FirstFit, true) => &[100, 1000],
        (Workload::Churn | Workload::GlobalChurn, false) => &[100_000],
        (Workload::Churn | Workload::GlobalChurn, true) => &[1000],
        (Workload::Release | Workload::ReleaseEmpty, false) => &[1000],
        (Workload::Release | Workload::ReleaseEmpty, true) => &[20],
        (Workload::Level, false) => &[1000, 100_000, 1_000_000],
        (Workload::Level, true) => &[100, 1000],
        (workload, false) if workload.is_passed() => &[1000],
        (workload, true) if workload.is_passed() => &[100],
        (workload, false) if workload.is_of_slots() => &[1000, 100_000],
        (workload, true) if workload.is_of_slots() => &[100, 1000],
        (Workload::Bump, false) => &[1000, 100_000],
        (Workload::Bump, true) => &[100, 1000],
        (Workload::Phases, false) => &[1000, 100_000, 1_000_000],
        (Workload::Phases, true) => &[100, 1000],
        (Workload::Requests, _) => &[200],
        _ => &[1],
    }
}
