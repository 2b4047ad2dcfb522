//! Measuring: round by round, all contenders in turn, each in a process of its own.

use std::env;
use std::io;
use std::process::Command;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::contender::{Entry, Outcome, Role};
use crate::job::{Job, Workload};
use crate::stats::Spread;
use crate::{contenders, huge_pages, limits};

/// A workload of a size, and what every contender made of it.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) workload: Workload,
    pub(crate) n: usize,
    pub(crate) series: Vec<Series>,
}

/// One contender's outcomes, one per round; none if it takes too long.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) contender: &'static str,
    #[serde(skip)]
    pub(crate) role: Role,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Series {
    /// Of the nanoseconds per operation.
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(self.outcomes.iter().map(|outcome| outcome.nanoseconds))
    }

    /// The median of something that outcomes may have.
    pub(crate) fn median(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        Some(Spread::of(self.outcomes.iter().filter_map(of))?.median)
    }
}

impl Case {
    /// The contender's series.
    pub(crate) fn series(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.contender == name)
    }

    /// The contender's median in nanoseconds per operation.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        Some(self.series(name)?.spread()?.median)
    }
}

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    pub(crate) huge_pages: bool,
}

/// Measures a workload of a size: all contenders once in each round, each round starting with another.
pub(crate) fn case(
    workload: Workload,
    n: usize,
    settings: &Settings,
    bar: &ProgressBar,
) -> io::Result<Case> {
    let job = Job {
        workload,
        n,
        seed: settings.seed,
        quick: settings.quick,
        huge_pages: settings.huge_pages,
    };
    let entries: Vec<_> = entries(workload).collect();
    let mut series: Vec<_> = entries
        .iter()
        .map(|entry| Series {
            contender: entry.name,
            role: entry.role,
            outcomes: Vec::new(),
        })
        .collect();
    let mut gave_up = vec![false; entries.len()];
    for round in 0..settings.rounds {
        for turn in 0..entries.len() {
            let index = (round + turn) % entries.len();
            bar.set_message(format!(
                "{}, n = {n}: {}",
                title(workload),
                entries[index].name
            ));
            if !gave_up[index] {
                match measure(entries[index].name, &job)? {
                    Some(outcome) => series[index].outcomes.push(outcome),
                    None => gave_up[index] = true,
                }
            }
            bar.inc(1);
        }
    }
    Ok(Case {
        workload,
        n,
        series,
    })
}

/// How many measurements a case takes.
pub(crate) fn count(workload: Workload, settings: &Settings) -> usize {
    entries(workload).count() * settings.rounds
}

/// The workload's name.
pub(crate) fn title(workload: Workload) -> String {
    use clap::ValueEnum;
    let value = workload.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Who takes part in a workload.
fn entries(workload: Workload) -> impl Iterator<Item = &'static Entry> {
    let all = contenders::ALL.iter().chain(limits::ALL);
    all.filter(move |entry| entry.joins.contains(&workload))
}

/// Starts this program again for one measurement.
fn measure(contender: &str, job: &Job) -> io::Result<Option<Outcome>> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["worker", "--contender", contender]);
    command.args(["--workload", &title(job.workload)]);
    command.args(["--n", &job.n.to_string()]);
    command.args(["--seed", &job.seed.to_string()]);
    if job.quick {
        command.arg("--quick");
    }
    if job.huge_pages {
        command.arg("--huge-pages").envs(huge_pages::ENVIRONMENT);
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        let what = format!("{contender} in {}: {}", title(job.workload), output.status);
        return Err(io::Error::other(what));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The other side of `measure`: runs one measurement in this process, and prints the outcome.
pub(crate) fn work(contender: &str, job: &Job) -> io::Result<()> {
    let entry = entries(job.workload).find(|entry| entry.name == contender);
    let entry = entry.ok_or_else(|| io::Error::other(format!("no contender {contender}")))?;
    if job.huge_pages {
        huge_pages::want();
    }
    println!("{}", serde_json::to_string(&(entry.run)(job))?);
    Ok(())
}
