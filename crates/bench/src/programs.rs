//! Whole programs with one allocator or another in the place of malloc: the time they take, and what is resident at most.

mod allocators;
mod tasks;

use std::io;
use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::measure::Settings;
use crate::report::{Style, number};
use crate::stats::{self, Spread};
use crate::tools::{self, Tools};

use allocators::Allocator;
use tasks::Task;

/// Programs, and what is put under them.
#[derive(Debug)]
pub(crate) struct Programs {
    tasks: Vec<Task>,
    allocators: Vec<Allocator>,
}

/// What a program took with each allocator under it.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    program: &'static str,
    #[serde(skip)]
    what: &'static str,
    allocators: Vec<Under>,
}

/// What it took with one of them.
#[derive(Debug, Serialize)]
pub(crate) struct Under {
    name: String,
    /// Of each round.
    milliseconds: Vec<f64>,
    /// Of each round, bytes resident at most; none where that tells nothing.
    resident: Vec<f64>,
}

/// Finds and builds what there is, and says in one line what that is. Without gcc there is nothing.
pub(crate) fn build(
    tools: &Tools,
    named: &[PathBuf],
    settings: &Settings,
) -> io::Result<Option<Programs>> {
    if tools.gcc.is_none() {
        println!("programs: gcc missing, not measured");
        return Ok(None);
    }
    let folder = tools::folder("bench-programs")?;
    let nothing = tasks::nothing(&folder)?;
    let tasks = tasks::find(&folder, &nothing, settings.quick)?;
    let allocators = allocators::find(named, &folder, &nothing)?;
    let list = |names: Vec<String>| names.join(", ");
    print!(
        "programs: {}",
        list(tasks.found.iter().map(|task| task.name.into()).collect())
    );
    if !tasks.missing.is_empty() {
        print!("; missing: {}", tasks.missing.join(", "));
    }
    println!(
        "; in the place of malloc: {}",
        list(allocators.iter().map(ToString::to_string).collect())
    );
    Ok(Some(Programs {
        tasks: tasks.found,
        allocators,
    }))
}

impl Programs {
    /// Measures all programs under all allocators, by turns: each round starts with another.
    pub(crate) fn measure(
        &self,
        settings: &Settings,
        bar: &ProgressBar,
    ) -> io::Result<Vec<Measured>> {
        let count = self.tasks.len() * self.allocators.len();
        bar.inc_length((settings.rounds * count) as u64);
        let mut all: Vec<_> = self.tasks.iter().map(|task| self.nothing(task)).collect();
        for round in 0..settings.rounds {
            for (task, measured) in self.tasks.iter().zip(&mut all) {
                for turn in 0..self.allocators.len() {
                    let index = (round + turn) % self.allocators.len();
                    let allocator = &self.allocators[index];
                    bar.set_message(format!("programs: {}, {}", task.name, allocator.name));
                    measured.allocators[index].add(task, allocator)?;
                    bar.inc(1);
                }
            }
        }
        Ok(all)
    }

    fn nothing(&self, task: &Task) -> Measured {
        let under = |allocator: &Allocator| Under {
            name: allocator.name.clone(),
            milliseconds: Vec::new(),
            resident: Vec::new(),
        };
        Measured {
            program: task.name,
            what: task.what,
            allocators: self.allocators.iter().map(under).collect(),
        }
    }
}

impl Under {
    /// One round more.
    fn add(&mut self, task: &Task, allocator: &Allocator) -> io::Result<()> {
        let launch = allocator.under(&task.launch)?;
        let (mut times, mut resident) = (Vec::new(), Vec::new());
        for _ in 0..task.runs {
            let ran = launch.run()?;
            times.push(ran.time.as_secs_f64() * 1000.0);
            resident.push(ran.resident as f64);
        }
        self.milliseconds.push(stats::median(&mut times));
        if task.holds {
            self.resident.push(stats::median(&mut resident));
        }
        Ok(())
    }
}

/// One's figures over another's, round by round.
fn over(figures: &[f64], others: &[f64]) -> Option<Spread> {
    Spread::of(figures.iter().zip(others).map(|(one, other)| one / other))
}

impl Measured {
    fn own(&self) -> Option<&Under> {
        let mut all = self.allocators.iter();
        all.find(|under| under.name == allocators::OWN)
    }

    fn print(&self, style: Style) {
        let header = [
            "",
            "median, ms",
            "least..greatest",
            "× glibc's",
            "resident, MiB",
            "× glibc's",
        ];
        let mut table = style.table(&header.map(String::from));
        for under in &self.allocators {
            let Some(time) = Spread::of(under.milliseconds.iter().copied()) else {
                continue;
            };
            let ratio = |of: fn(&Under) -> &[f64]| {
                let ratio = self.own().and_then(|own| over(of(under), of(own)));
                ratio.map_or_else(String::new, |ratio| {
                    let (low, high) = ratio.middle;
                    let [middle, low, high] = [ratio.median, low, high].map(number);
                    match under.name == allocators::OWN {
                        true => middle,
                        false => format!("{middle} ({low}..{high})"),
                    }
                })
            };
            let resident = Spread::of(under.resident.iter().copied());
            table.add_row([
                under.name.clone(),
                number(time.median),
                format!("{}..{}", number(time.least), number(time.greatest)),
                ratio(|under| &under.milliseconds),
                resident.map_or_else(String::new, |bytes| number(bytes.median / 1048576.0)),
                ratio(|under| &under.resident),
            ]);
        }
        println!("\n**programs**: {}, {}\n\n{table}", self.program, self.what);
    }
}

/// Prints what each program took, and all of them in two tables.
pub(crate) fn print(all: &[Measured], style: Style) {
    for measured in all {
        measured.print(style);
    }
    println!(
        "\nAll programs: median, ms (over glibc's)\n\n{}",
        matrix(all, style, |under| &under.milliseconds, 1.0)
    );
    println!(
        "\nResident at most, MiB (over glibc's)\n\n{}",
        matrix(all, style, |under| &under.resident, 1048576.0)
    );
}

/// A row an allocator, a column a program that has such figures.
fn matrix(
    all: &[Measured],
    style: Style,
    of: fn(&Under) -> &Vec<f64>,
    unit: f64,
) -> comfy_table::Table {
    let has = |measured: &&Measured| measured.own().is_some_and(|own| !of(own).is_empty());
    let columns: Vec<_> = all.iter().filter(has).collect();
    let names = columns.iter().map(|column| column.program.to_owned());
    let header: Vec<_> = std::iter::once(String::new()).chain(names).collect();
    let mut table = style.table(&header);
    let rows = columns.first().map_or(0, |column| column.allocators.len());
    for row in 0..rows {
        let mut cells = vec![columns[0].allocators[row].name.clone()];
        for column in &columns {
            let under = &column.allocators[row];
            let figure = Spread::of(of(under).iter().copied());
            let ratio = column.own().and_then(|own| over(of(under), of(own)));
            let cell = figure.zip(ratio).map(|(figure, ratio)| {
                format!(
                    "{} ({}×)",
                    number(figure.median / unit),
                    number(ratio.median)
                )
            });
            cells.push(cell.unwrap_or_else(|| "–".into()));
        }
        table.add_row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(program: &'static str, resident: &[f64]) -> Measured {
        let under = |name: &str, times: &[f64]| Under {
            name: name.into(),
            milliseconds: times.to_vec(),
            resident: resident.to_vec(),
        };
        Measured {
            program,
            what: "",
            allocators: vec![
                // Slow in other rounds, by what others do.
                under(allocators::OWN, &[10.0, 1.0, 1.0]),
                under("other", &[30.0, 3.0, 30.0]),
            ],
        }
    }

    #[test]
    fn each_round_is_compared_with_the_one_beside_it() {
        let all = [measured("one", &[])];
        let table = matrix(&all, Style::Markdown, |under| &under.milliseconds, 1.0).to_string();
        let line = table.lines().find(|line| line.contains("other"));
        assert!(line.unwrap().contains("30.0 (3.00×)"), "{table}");
    }

    #[test]
    fn programs_whose_memory_tells_nothing_have_no_column() {
        let all = [measured("one", &[]), measured("two", &[2097152.0; 3])];
        let table = matrix(&all, Style::Markdown, |under| &under.resident, 1048576.0).to_string();
        assert!(!table.contains("one"), "{table}");
        assert!(table.contains("2.00 (1.00×)"), "{table}");
    }
}
