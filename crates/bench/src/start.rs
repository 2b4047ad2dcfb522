//! A program that starts, allocates ten times, and ends: what that costs without libc and with glibc.

mod programs;
mod traced;

use std::io;

use indicatif::ProgressBar;

use crate::goal::{Bound, Goal};
use crate::measure::Settings;
use crate::report::{Style, number};
use crate::spawn::Launch;
use crate::stats::Spread;

use programs::Program;
pub(crate) use programs::build;
use traced::Counts;

/// What a program cost.
#[derive(Debug)]
pub(crate) struct Measured {
    program: Program,
    /// Microseconds from spawn to exit: the median of each round.
    times: Vec<f64>,
    /// Page faults by `wait4`, the fewest.
    faults: i64,
    counts: Option<Counts>,
}

/// Measures the programs that could be built in turn, round by round.
pub(crate) fn measure(
    programs: Vec<Program>,
    settings: &Settings,
    bar: &ProgressBar,
) -> io::Result<Vec<Measured>> {
    let mut all: Vec<_> = programs
        .into_iter()
        .map(|program| Measured {
            counts: traced::count(&program.path),
            program,
            times: Vec::new(),
            faults: i64::MAX,
        })
        .collect();
    let spawns = if settings.quick { 5 } else { 100 };
    bar.inc_length((settings.rounds * all.len()) as u64);
    for round in 0..settings.rounds {
        for turn in 0..all.len() {
            let index = (round + turn) % all.len();
            let measured = &mut all[index];
            bar.set_message(format!("start: {}", measured.program.name));
            let launch = Launch::new(&measured.program.path)?;
            let mut times = Vec::new();
            for _ in 0..spawns {
                let ran = launch.run()?;
                times.push(ran.time.as_nanos() as f64 / 1000.0);
                measured.faults = measured.faults.min(ran.faults);
            }
            measured.times.push(crate::stats::median(&mut times));
            bar.inc(1);
        }
    }
    Ok(all)
}

/// Prints the programs, each with allocations beside the one that does nothing.
pub(crate) fn print(all: &[Measured], style: Style) {
    let header = [
        "",
        "spawn to exit, µs",
        "least..greatest",
        "× doing nothing",
        "memory system calls",
        "all system calls",
        "page faults since exec",
        "more than doing nothing",
        "page faults by wait4",
    ];
    let mut table = style.table(&header.map(String::from));
    for measured in all {
        let Some(spread) = Spread::of(measured.times.iter().copied()) else {
            continue;
        };
        let idle = all
            .iter()
            .find(|other| other.program.is_idle_form_of(&measured.program));
        let ratio = idle.and_then(|idle| Spread::of(idle.times.iter().copied()));
        let ratio = ratio.map_or_else(String::new, |idle| number(spread.median / idle.median));
        let count = |of: fn(&Counts) -> usize| {
            measured
                .counts
                .as_ref()
                .map_or_else(|| "?".into(), |counts| of(counts).to_string())
        };
        let more = idle.map_or_else(String::new, |idle| {
            (measured.faults - idle.faults).to_string()
        });
        table.add_row([
            measured.program.name.to_owned(),
            number(spread.median),
            format!("{}..{}", number(spread.least), number(spread.greatest)),
            ratio,
            count(|counts| counts.memory_calls),
            count(|counts| counts.calls),
            count(|counts| counts.faults),
            more,
            measured.faults.to_string(),
        ]);
    }
    println!("\n**start**: a program allocates ten blocks, writes to each, and ends\n\n{table}");
    for measured in all {
        if let Some(counts) = &measured.counts {
            println!("{}: {}", measured.program.name, counts.memory.join(", "));
        }
    }
}

/// The goals of the program without libc.
pub(crate) fn goals(all: &[Measured]) -> Vec<Goal> {
    let own = all.iter().find(|measured| measured.program.is_own);
    let counts = own.and_then(|own| own.counts.as_ref());
    let goal = |what: &str, bound, figure: Option<usize>| Goal {
        workload: "start".into(),
        what: what.into(),
        bound: Bound::AtMost(bound),
        figure: figure.map(|figure| figure as f64),
    };
    vec![
        goal(
            "memory system calls",
            4.0,
            counts.map(|counts| counts.memory_calls),
        ),
        goal(
            "page faults since exec",
            8.0,
            counts.map(|counts| counts.faults),
        ),
    ]
}
