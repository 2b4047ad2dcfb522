//! Tables for people: on a terminal, or as Markdown for the README.

use comfy_table::{CellAlignment, Table, presets};

use crate::contender::{Entry, Role};
use crate::contenders;
use crate::goal::{Bound, Goal, reference, reference_of};
use crate::job::Workload;
use crate::measure::{Case, Series, title};

/// How tables look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Terminal,
    Markdown,
}

impl Style {
    /// A table whose columns are all numbers but the first.
    pub(crate) fn table(self, header: &[String]) -> Table {
        let mut table = Table::new();
        table.load_style(match self {
            Self::Terminal => presets::UTF8_FULL_CONDENSED,
            Self::Markdown => presets::ASCII_MARKDOWN,
        });
        table.set_header(header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// Prints what all sizes of a workload gave, one table each.
pub(crate) fn print_cases(cases: &[Case], style: Style) {
    for case in cases {
        println!("\n{}\n\n{}", caption(case), table(case, style));
        for series in case
            .series
            .iter()
            .filter(|series| series.outcomes.is_empty())
        {
            println!("{}: takes too long, not measured.", series.contender);
        }
        for series in &case.series {
            if let Some((done, planned)) = cut_short(series) {
                let name = series.contender;
                println!("{name}: only the first {done} of {planned} operations.");
            }
        }
    }
}

fn caption(case: &Case) -> String {
    let n = case.n;
    let what = match case.workload {
        Workload::FirstFit => format!(
            "{n} blocks of 16..512 bytes, every second freed; a block freed, another allocated: ns per pair"
        ),
        Workload::Churn => {
            format!("{n} blocks of 16..4096 bytes; a block freed, another allocated: ns per pair")
        }
        Workload::Release => format!("one of {n} pools of shuffled small blocks freed: µs"),
        Workload::ReleaseEmpty => format!("a tag without blocks released beside {n} others: ns"),
        Workload::Level => format!(
            "{n} objects of 16..512 bytes, half of which go at once and come again: ns per object of those"
        ),
        Workload::GrowDouble => "a vector doubles to 64 MiB of fresh memory: µs".into(),
        Workload::GrowDoubleAgain => "the same, once more after it was freed: µs".into(),
        Workload::GrowStep => "a vector grows by 16 KiB to 16 MiB of fresh memory: µs".into(),
        Workload::GrowStepAgain => "the same, once more after it was freed: µs".into(),
        Workload::FixedLifo => {
            format!("{n} slots of 64 bytes in use; the last one freed, another taken: ns per pair")
        }
        Workload::FixedRandom => {
            format!("{n} slots of 64 bytes in use; a random one freed, another taken: ns per pair")
        }
        Workload::FixedBurst => format!(
            "{n} slots of 64 bytes taken, then freed from the last to the first: ns per pair"
        ),
        Workload::FixedLifoShared | Workload::FixedRandomShared | Workload::FixedBurstShared => {
            format!(
                "the same, two threads on one pool, each with half of {n} slots: ns per pair of a thread"
            )
        }
        Workload::FixedPassed => {
            format!("one thread takes slots, another frees them, up to {n} on the way: ns per slot")
        }
        Workload::GlobalChurn => format!(
            "through a `GlobalAlloc`: {n} blocks of 16..4096 bytes; a block freed, another allocated: ns per pair"
        ),
        Workload::GlobalLifo => format!(
            "through a `GlobalAlloc`: {n} objects of 64 bytes; the last one freed, another taken: ns per pair"
        ),
        Workload::GlobalRandom => format!(
            "through a `GlobalAlloc`: {n} objects of 64 bytes; a random one freed, another taken: ns per pair"
        ),
        Workload::GlobalLifoShared | Workload::GlobalRandomShared => {
            format!("the same, two threads, each with half of {n} objects: ns per pair of a thread")
        }
        Workload::GlobalPassed => format!(
            "through a `GlobalAlloc`: one thread takes objects, another frees them, up to {n} on the way: ns per object"
        ),
        Workload::Bump => {
            format!("{n} objects of 16..512 bytes, then a reset: ns per object, reset included")
        }
        Workload::Phases => {
            format!("{n} objects of 16..512 bytes in eight pools, which then go: ns per object")
        }
        Workload::Requests => {
            format!("a pool, {n} objects of 16..1024 bytes in it, and its end: ns per request")
        }
        Workload::Limits => "what the machine allows: ns each".into(),
    };
    format!("**{}**: {what}", title(case.workload))
}

/// Nanoseconds in the unit of a workload's tables.
const fn unit(workload: Workload) -> f64 {
    match workload {
        Workload::Release
        | Workload::GrowDouble
        | Workload::GrowDoubleAgain
        | Workload::GrowStep
        | Workload::GrowStepAgain => 1000.0,
        _ => 1.0,
    }
}

fn table(case: &Case, style: Style) -> Table {
    let reference_name = reference(case.workload).unwrap_or("best peer");
    let limit = case.series.iter().find(|series| series.role == Role::Limit);
    let is_limits = case.workload == Workload::Limits;
    let any =
        |of: fn(&Series) -> Option<f64>| case.series.iter().any(|series| of(series).is_some());
    let (has_footprint, has_resident) = (any(footprint), any(resident));
    let mut header = vec![String::new(), "median".into(), "least..greatest".into()];
    if !is_limits {
        header.push(format!("× {reference_name}"));
    }
    if let (Some(limit), false) = (limit, is_limits) {
        header.push(format!(
            "× {}",
            limit.contender.trim_start_matches("limit: ")
        ));
    }
    if has_footprint {
        header.push("row / live".into());
    }
    if has_resident {
        header.push("resident / live".into());
    }
    let mut table = style.table(&header);
    for series in &case.series {
        let Some(spread) = series.spread() else {
            continue;
        };
        let [middle, least, greatest] = [spread.median, spread.least, spread.greatest]
            .map(|value| number(value / unit(case.workload)));
        let over = |other: Option<&Series>| {
            let ratio = other.and_then(|other| series.over(other));
            ratio.map_or_else(String::new, |ratio| {
                let (low, high) = ratio.middle;
                match series.contender == other.map_or("", |other| other.contender) {
                    true => number(ratio.median),
                    false => format!(
                        "{} ({}..{})",
                        number(ratio.median),
                        number(low),
                        number(high)
                    ),
                }
            })
        };
        let mut cells = vec![
            series.contender.to_owned(),
            middle,
            format!("{least}..{greatest}"),
        ];
        if !is_limits {
            cells.push(over(reference_of(case)));
        }
        if limit.is_some() && !is_limits {
            cells.push(over(limit));
        }
        let cell = |value: Option<f64>| value.map_or_else(String::new, number);
        if has_footprint {
            cells.push(cell(footprint(series)));
        }
        if has_resident {
            let resident = resident(series).filter(|_| series.role != Role::Limit);
            cells.push(cell(resident));
        }
        table.add_row(cells);
    }
    table
}

fn footprint(series: &Series) -> Option<f64> {
    series.median(|outcome| outcome.footprint)
}

fn resident(series: &Series) -> Option<f64> {
    series.median(|outcome| outcome.resident)
}

/// How many of how many operations a contender got done in time, if not all.
fn cut_short(series: &Series) -> Option<(f64, f64)> {
    let done = series.median(|outcome| Some(outcome.done as f64))?;
    let planned = series.median(|outcome| Some(outcome.planned as f64))?;
    (done < planned).then_some((done.round(), planned))
}

/// Prints all medians of cases that stand beside each other in one table, with the ratio to the reference.
pub(crate) fn print_matrix(cases: &[Case], style: Style) {
    let [first, _, ..] = cases else {
        return;
    };
    let of_slots = first.workload.is_of_slots();
    let corner = match of_slots {
        true => String::new(),
        false => title(first.workload),
    };
    let header = cases.iter().map(|case| match of_slots {
        true => format!("{}, {}", title(case.workload), case.n),
        false => format!("n = {}", case.n),
    });
    let header: Vec<_> = std::iter::once(corner).chain(header).collect();
    let mut table = style.table(&header);
    for name in names(cases) {
        let cells = cases.iter().map(|case| {
            let shown = number(case.median(name)? / unit(case.workload));
            let ratio = case.ratio(name, reference_of(case)?.contender)?;
            Some(format!("{shown} ({}×)", number(ratio)))
        });
        let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".into()));
        table.add_row(
            std::iter::once(name.to_owned())
                .chain(cells)
                .collect::<Vec<_>>(),
        );
    }
    let name = reference(first.workload).unwrap_or("the best peer");
    println!("\nAll sizes: median (over {name}'s)\n\n{table}");
}

/// The rows of a table over all sizes: who takes part in a case, and which pools of slots cannot.
fn names(cases: &[Case]) -> impl Iterator<Item = &'static str> + '_ {
    let joins = |entry: &Entry, workload: Workload| {
        let like =
            |other: &Workload| other.is_of_slots() && other.is_global() == workload.is_global();
        entry.joins.contains(&workload) || (workload.is_of_slots() && entry.joins.iter().any(like))
    };
    let all = contenders::ALL.iter();
    let some = all.filter(move |entry| cases.iter().any(|case| joins(entry, case.workload)));
    some.map(|entry| entry.name)
}

/// Prints what was to be reached.
pub(crate) fn print_goals(goals: &[Goal], style: Style) {
    if goals.is_empty() {
        return;
    }
    let header = ["tagheap's goals", "figure", "measured", "goal", ""].map(String::from);
    let mut table = style.table(&header);
    for goal in goals {
        let bound = match goal.bound {
            Bound::AtMost(bound) => format!("at most {bound}"),
            Bound::AtLeast(bound) => format!("at least {bound}"),
        };
        let figure = goal.figure.map_or_else(|| "–".into(), number);
        let met = match goal.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        };
        table.add_row([&goal.workload, &goal.what, &figure, &bound, met]);
    }
    println!("\n{table}");
}

/// Three digits that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
