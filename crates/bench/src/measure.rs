//! Measuring: round by round all contenders, each in a process of its own, by turns.

use std::io;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::contender::{Entry, Outcome, Role};
use crate::job::{Job, Workload};
use crate::stats::Spread;
use crate::turns::{State, Worker};
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
    /// Whether it takes too long.
    #[serde(skip)]
    pub(crate) gave_up: bool,
}

impl Series {
    /// Takes in a round's outcome.
    fn note(&mut self, outcome: Option<Outcome>) {
        self.gave_up |= outcome.is_none();
        self.outcomes.extend(outcome);
    }

    /// Of the nanoseconds per operation.
    pub(crate) fn spread(&self) -> Option<Spread> {
        Spread::of(self.outcomes.iter().map(|outcome| outcome.nanoseconds))
    }

    /// Time over another's, turn by turn: each turn over the one that stood beside it.
    pub(crate) fn over(&self, other: &Self) -> Option<Spread> {
        let rounds = self.outcomes.iter().zip(&other.outcomes);
        let turns = rounds.flat_map(|(own, other)| own.turns.iter().zip(&other.turns));
        Spread::of(turns.map(|(own, other)| own / other))
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

    /// One contender's time over another's.
    pub(crate) fn ratio(&self, name: &str, other: &str) -> Option<f64> {
        Some(self.series(name)?.over(self.series(other)?)?.median)
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

/// Measures a workload of a size: all contenders once in each round, by turns, each round and each turn starting with
/// another.
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
            gave_up: false,
        })
        .collect();
    for round in 0..settings.rounds {
        let mut waiting = Vec::new();
        for turn in 0..entries.len() {
            let index = (round + turn) % entries.len();
            let name = entries[index].name;
            bar.set_message(format!("{}, n = {n}: {name}", title(workload)));
            if series[index].gave_up {
                bar.inc(1);
                continue;
            }
            match Worker::start(name, &job)? {
                (worker, State::Waits) => waiting.push((index, worker)),
                (_, State::Done(outcome)) => {
                    series[index].note(outcome);
                    bar.inc(1);
                }
            }
        }
        bar.set_message(format!("{}, n = {n}: by turns", title(workload)));
        while let [_, ..] = waiting[..] {
            waiting.rotate_left(1);
            let mut next = Vec::new();
            for (index, mut worker) in waiting {
                match worker.turn()? {
                    State::Waits => next.push((index, worker)),
                    State::Done(outcome) => {
                        series[index].note(outcome);
                        bar.inc(1);
                    }
                }
            }
            waiting = next;
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

/// In a worker: runs one measurement in this process, and prints the outcome.
pub(crate) fn work(contender: &str, job: &Job) -> io::Result<()> {
    let entry = entries(job.workload).find(|entry| entry.name == contender);
    let entry = entry.ok_or_else(|| io::Error::other(format!("no contender {contender}")))?;
    if job.huge_pages {
        huge_pages::want();
    }
    println!("{}", serde_json::to_string(&(entry.run)(job))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(contender: &'static str, rounds: &[&[f64]]) -> Series {
        let outcome = |turns: &&[f64]| Outcome::of_turns(turns.to_vec(), 1, 1);
        Series {
            contender,
            role: Role::Peer,
            outcomes: rounds.iter().map(outcome).collect(),
            gave_up: false,
        }
    }

    #[test]
    fn each_turn_is_compared_with_the_one_beside_it() {
        // Slow in other turns each, by what others do; side by side, one takes twice the other's time.
        let slower = series("slower", &[&[20.0, 2.0, 2.0], &[2.0, 20.0, 20.0]]);
        let faster = series("faster", &[&[10.0, 1.0, 1.0], &[1.0, 10.0, 10.0]]);
        let over = slower.over(&faster).unwrap();
        assert_eq!((over.least, over.median, over.greatest), (2.0, 2.0, 2.0));
        let case = Case {
            workload: Workload::Churn,
            n: 1,
            series: vec![slower, faster],
        };
        assert_eq!(case.ratio("faster", "slower"), Some(0.5));
        assert_eq!(case.ratio("faster", "nobody"), None);
    }

    #[test]
    fn whoever_gave_up_is_compared_with_nobody() {
        let mut one = series("one", &[]);
        one.note(None);
        assert!(one.gave_up && one.over(&series("other", &[&[1.0]])).is_none());
    }
}
