//! The programs, and what they are run on.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::spawn::Launch;
use crate::tools;

/// A program and what it is run on.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// What it does, for people.
    pub(crate) what: &'static str,
    pub(crate) launch: Launch,
    /// How often it runs in a round, of which the median counts.
    pub(crate) runs: usize,
    /// Whether it holds so much that what is resident tells something.
    pub(crate) holds: bool,
}

/// The programs that there are, and the names of those that are missing.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) found: Vec<Task>,
    pub(crate) missing: Vec<&'static str>,
}

/// SQL; `ROWS` stands for how many.
const TABLES: &str = include_str!("../../programs/tables.sql");

/// The program that does nothing, which all need that are put under one.
pub(crate) fn nothing(folder: &Path) -> io::Result<PathBuf> {
    let output = folder.join("nothing");
    let mut command = Command::new("gcc");
    command.arg("-O2").arg("-o").arg(&output);
    tools::run(command.arg(tools::source("start/nothing.c")))?;
    Ok(output)
}

/// Looks for all of them; builds those that have to be. `nothing` does nothing.
pub(crate) fn find(folder: &Path, nothing: &Path, quick: bool) -> io::Result<Tasks> {
    let count = |full: u32, small: u32| if quick { small } else { full }.to_string();
    let mut tasks = Tasks {
        found: Vec::new(),
        missing: Vec::new(),
    };
    let mut add = |name, what, launch: Option<io::Result<Launch>>| {
        match launch {
            None => tasks.missing.push(name),
            Some(launch) => tasks.found.push(Task {
                name,
                what,
                launch: launch?,
                runs: 1,
                holds: true,
            }),
        }
        io::Result::Ok(())
    };
    let gxx = tools::answer("g++", &["-print-prog-name=cc1plus"]).map(PathBuf::from);
    // A program that g++ does not find is answered as it was asked for.
    let compiler = gxx.as_ref().filter(|path| path.is_absolute());
    let compile = |compiler: &PathBuf| {
        let source = preprocess(folder, quick)?;
        let launch = Launch::new(compiler)?;
        let launch = ["-quiet", "-fpreprocessed", "-O1", "-o", "/dev/null"]
            .iter()
            .try_fold(launch, Launch::argument)?;
        launch.argument(source)
    };
    add("cc1plus", "compiles C++", compiler.map(compile))?;
    let python = tools::answer("python3", &["-c", "import sys; print(sys.executable)"]);
    let objects = |python| {
        let launch = Launch::new(Path::new(&python))?.variable("PYTHONMALLOC", "malloc")?;
        let launch = launch.argument(tools::source("programs/objects.py"))?;
        launch.argument(count(30, 1))
    };
    add("python3", "dictionaries and JSON", python.map(objects))?;
    let words = |perl| {
        let launch = Launch::new(Path::new(&perl))?;
        let launch = launch.argument(tools::source("programs/words.pl"))?;
        launch.argument(count(12, 1))
    };
    let perl = tools::answer("perl", &["-e", "print $^X"]);
    add("perl", "hashes of words", perl.map(words))?;
    let tables = |sqlite| {
        let launch = Launch::new(Path::new(&sqlite))?.argument(":memory:")?;
        launch.argument(TABLES.replace("ROWS", &count(200_000, 1000)))
    };
    let sqlite = tools::answer("sh", &["-c", "command -v sqlite3"]);
    add("sqlite3", "tables in memory", sqlite.map(tables))?;
    let threads = |_| {
        let launch = Launch::new(&compile_threads(folder)?)?;
        launch.argument(count(400, 2))
    };
    add("threads", "eight threads of C++", gxx.as_ref().map(threads))?;
    tasks.found.push(Task {
        name: "nothing",
        what: "starts and ends",
        launch: Launch::new(nothing)?,
        runs: if quick { 3 } else { 100 },
        holds: false,
    });
    Ok(tasks)
}

/// What is to be compiled, with all that it includes in one file.
fn preprocess(folder: &Path, quick: bool) -> io::Result<PathBuf> {
    let output = folder.join(if quick { "quick.ii" } else { "compiled.ii" });
    let mut command = Command::new("g++");
    command.arg("-std=c++11").arg("-E").arg("-o").arg(&output);
    if quick {
        command.arg("-DQUICK");
    }
    tools::run(command.arg(tools::source("programs/compiled.cpp")))?;
    Ok(output)
}

fn compile_threads(folder: &Path) -> io::Result<PathBuf> {
    let output = folder.join("threads");
    let mut command = Command::new("g++");
    command
        .args(["-std=c++11", "-O2", "-pthread", "-o"])
        .arg(&output);
    tools::run(command.arg(tools::source("programs/threads.cpp")))?;
    Ok(output)
}
