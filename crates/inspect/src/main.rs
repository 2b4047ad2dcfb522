//! Finds the heaps of a running process or in a core file by their root blocks, and tells what is in them.
//!
//! Nothing is asked of the process, and no symbols: a heap's first block says what and where it is, and its blocks say the
//! rest. What is linked here of the library is what decodes a heap's bytes.

mod core_file;
mod find;
mod heap;
mod memory;
mod process;
mod told;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::heap::Heap;
use crate::memory::Memory;
use crate::told::{Told, Wanted};

/// Tells what is in the heaps of a running process or a core file.
#[derive(Debug, Parser)]
#[command(
    after_help = "Exit codes: 0 if heaps were found and none is damaged, 1 if not, 2 if it cannot be said."
)]
struct Cli {
    /// The number of a process, or a core file: ./4711 where its name is a number.
    from: PathBuf,
    /// Draws the row of blocks.
    #[arg(long)]
    drawing: bool,
    /// A line for each block.
    #[arg(long)]
    blocks: bool,
    /// All of it as one line of JSON for each heap.
    #[arg(long, conflicts_with_all = ["drawing", "blocks"])]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            warn(&cli, &error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Whether there are heaps, and none is damaged.
fn run(cli: &Cli) -> io::Result<bool> {
    let memory = Memory::of(&cli.from)?;
    if memory.missing > 0 {
        let missing = memory.missing;
        warn(
            cli,
            &format!("cut off: {missing} bytes are missing at its end"),
        );
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let roots = find::roots(&memory).into_iter();
    let heaps: Vec<_> = roots.filter_map(|root| Heap::read(&memory, root)).collect();
    let is_whole = heaps.iter().all(|heap| heap.damage.is_none());
    for (number, heap) in heaps.iter().enumerate() {
        if cli.json {
            serde_json::to_writer(&mut out, heap)?;
            writeln!(out)?;
            continue;
        }
        if number > 0 {
            writeln!(out)?;
        }
        let wanted = Wanted {
            drawing: cli.drawing,
            blocks: cli.blocks,
        };
        write!(out, "{}", Told { heap, wanted })?;
    }
    out.flush()?;
    if memory.is_gone() {
        return Err(io::Error::other("it ended while it was read"));
    }
    if heaps.is_empty() {
        warn(cli, "no heap");
    }
    Ok(is_whole && !heaps.is_empty())
}

/// Says something about what is read.
fn warn(cli: &Cli, what: &str) {
    // Where nobody reads that either, the exit code says it.
    let _ = writeln!(
        io::stderr(),
        "tagheap-inspect: {}: {what}",
        cli.from.display()
    );
}
