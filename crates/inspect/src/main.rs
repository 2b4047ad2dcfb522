//! Finds the heaps of a running process or in a core file by their root blocks, and tells what is in them.
//!
//! Nothing is asked of the process, and no symbols: a heap's first block says what and where it is, and its blocks say the
//! rest. What is linked here of the library is what decodes a heap's bytes.

mod core_file;
mod find;
mod heap;
mod json;
mod memory;
mod process;
mod tally;
mod told;

#[cfg(test)]
mod hostile;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};

use crate::heap::{Heap, Reader};
use crate::memory::Memory;
use crate::told::Told;

/// What is told behind the options.
const MEANINGS: &str = "\
Columns: blocks and bytes that a tag holds, headers included; payload, the bytes without headers; largest, the bytes of its
largest block; peak, the most bytes that it held since that was reset. What a named tag is drawn as, it is called in drawings.
Under Global and libtagheap_malloc.so small objects lie in blocks of 64 KiB, and tag `tagheap` holds the books.

Exit codes: 0 if heaps were found and none is damaged, 1 if one is damaged or cut off, or there is none, 2 if it cannot be
said: no such process, not permitted, no core file, the process ended meanwhile, or nobody reads what is told.";

/// Tells what is in the heaps of a running process or a core file.
#[derive(Debug, Parser)]
#[command(version, after_help = MEANINGS)]
struct Cli {
    /// The number of a process, or a core file: ./4711 where its name is a number.
    #[arg(value_name = "PROCESS|CORE")]
    from: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
}

/// What is told of each heap besides a table.
#[derive(Clone, Copy, Debug, Default, Args)]
struct Wanted {
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
    let answer = tell(&memory, cli.wanted, &mut out);
    out.flush().map_err(untold)?;
    let Tellings { heaps, damaged } = answer?;
    if memory.is_gone() {
        return Err(io::Error::other("it ended while it was read"));
    }
    if heaps == 0 {
        warn(cli, "no heap");
    }
    Ok(heaps > 0 && damaged == 0)
}

/// How many heaps were told.
#[derive(Clone, Copy, Debug, Default)]
struct Tellings {
    heaps: usize,
    /// Those of them that are damaged or cut off.
    damaged: usize,
}

/// Tells of all heaps, one after the other.
fn tell(memory: &Memory, wanted: Wanted, to: &mut impl Write) -> io::Result<Tellings> {
    let mut told = Tellings::default();
    let mut reader = Reader::new(memory, wanted.json || wanted.drawing || wanted.blocks);
    for root in find::roots(memory) {
        let heap = reader.read(root);
        if memory.left() == 0 {
            return Err(io::Error::other(format!(
                "heaps that hold more than there is memory: forged, the one at {root:#x} if none before"
            )));
        }
        let Some(heap) = heap else { continue };
        tell_one(&heap, wanted, told.heaps == 0, to).map_err(untold)?;
        told.heaps += 1;
        told.damaged += usize::from(heap.damage.is_some());
    }
    Ok(told)
}

fn tell_one(heap: &Heap, wanted: Wanted, is_first: bool, to: &mut impl Write) -> io::Result<()> {
    if wanted.json {
        serde_json::to_writer(&mut *to, &json::Told::new(heap))?;
        return writeln!(to);
    }
    if !is_first {
        writeln!(to)?;
    }
    write!(to, "{}", Told { heap, wanted })
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

/// Who is told, not who is read, is in trouble.
fn untold(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot be told: {error}"))
}
