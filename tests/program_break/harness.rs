//! Runs rows, each in a process of its own, and reports them as the usual harness does.

use std::env;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// A test: its name, and what to do in its process.
pub(crate) type Row = (&'static str, fn());

/// Rows by their paths.
#[macro_export]
macro_rules! rows {
    ($($row:path),* $(,)?) => { &[$((stringify!($row), $row)),*] };
}

/// In the environment of a row's process: the row's name.
const ROW: &str = "TAGHEAP_TEST_ROW";

/// What the command line asks for, as far as it matters here.
#[derive(Default)]
struct Asked {
    list: bool,
    ignored: bool,
    exact: bool,
    names: Vec<String>,
    skip: Vec<String>,
}

pub(crate) fn run(rows: &[Row]) -> ExitCode {
    if let Ok(name) = env::var(ROW) {
        let row = rows.iter().find(|row| row.0 == name);
        row.expect("a row of this name").1();
        return ExitCode::SUCCESS;
    }
    let asked = Asked::read(env::args().skip(1));
    let picked: Vec<_> = rows.iter().filter(|row| asked.picks(row.0)).collect();
    if asked.list {
        picked.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    println!("\nrunning {} tests", picked.len());
    let failures = picked.iter().filter(|(name, _)| !passes(name)).count();
    let (word, code) = match failures {
        0 => ("ok", ExitCode::SUCCESS),
        _ => ("FAILED", ExitCode::from(101)),
    };
    println!(
        "\ntest result: {word}. {} passed; {failures} failed; 0 ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        picked.len() - failures,
        rows.len() - picked.len(),
        start.elapsed().as_secs_f64(),
    );
    code
}

fn passes(name: &str) -> bool {
    let program = env::current_exe().expect("a path");
    let output = Command::new(program)
        .env(ROW, name)
        .output()
        .expect("a process");
    let passed = output.status.success();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    if !passed {
        println!("---- {name}: {} ----", output.status);
        println!("{}", String::from_utf8_lossy(&output.stdout));
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    passed
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => asked.list = true,
                "--ignored" => asked.ignored = true,
                "--exact" => asked.exact = true,
                "--skip" => asked.skip.extend(words.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    words.next();
                }
                option if option.starts_with('-') => {}
                _ => asked.names.push(word),
            }
        }
        asked
    }

    fn picks(&self, name: &str) -> bool {
        let is = |wanted: &String| match self.exact {
            true => name == wanted,
            false => name.contains(wanted.as_str()),
        };
        !self.ignored
            && (self.names.is_empty() || self.names.iter().any(is))
            && !self.skip.iter().any(is)
    }
}
