//! Turns: all contenders of a case are alive at once, each in a process of its own, and one at a time works.
//!
//! On a machine that others use, speed changes within a second by as much as contenders differ. Who works a millisecond
//! and then waits while the others do the same meets the same machine as they: what is compared is turn by turn.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::contender::Outcome;
use crate::huge_pages;
use crate::job::Job;
use crate::measure::title;

/// Turns into which work is cut: few long ones where it takes long until the caches know the row again.
pub(crate) const fn count(job: &Job) -> usize {
    if job.quick || job.n >= 100_000 { 3 } else { 12 }
}

/// In a worker: its turns, one after the other. Before each, the others have theirs.
pub(crate) fn of(job: &Job) -> impl Iterator<Item = Turn> {
    (0..count(job)).map(|_| Turn::wait(job))
}

/// What a worker says that waits for its turn.
const WAITING: &str = "waiting";

/// A worker's turn.
#[derive(Debug)]
pub(crate) struct Turn {
    since: Instant,
    /// How long it lasts until something may be timed: while the others had theirs, the processor rested, and its caches
    /// became theirs.
    to_warm: Duration,
}

impl Turn {
    /// In a worker: gives the machine to the others, and comes back when it has a turn.
    pub(crate) fn wait(job: &Job) -> Self {
        let mut out = io::stdout().lock();
        writeln!(out, "{WAITING}").expect("somebody who listens");
        out.flush().expect("somebody who listens");
        let mut turn = [0];
        let mut stdin = io::stdin().lock();
        stdin
            .read_exact(&mut turn)
            .expect("somebody who gives turns");
        Self {
            since: Instant::now(),
            to_warm: Duration::from_millis(match job.n {
                _ if job.quick => 0,
                0..100_000 => 2,
                _ => 20,
            }),
        }
    }

    /// Does something untimed until something may be timed, once at least.
    pub(crate) fn warm_up(&self, mut work: impl FnMut() -> Option<()>) -> Option<()> {
        loop {
            work()?;
            if self.since.elapsed() >= self.to_warm {
                return Some(());
            }
        }
    }
}

/// A process for one contender's measurement.
#[derive(Debug)]
pub(crate) struct Worker {
    what: String,
    child: Child,
    turns: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Where a worker stands.
#[derive(Debug)]
pub(crate) enum State {
    /// It has done its turn, and waits for the next.
    Waits,
    /// It has done all; `None`: it gave up, as it would take too long.
    Done(Option<Outcome>),
}

impl Worker {
    /// Starts this program again for one measurement; it works until it waits for its first turn, or has done all.
    pub(crate) fn start(contender: &str, job: &Job) -> io::Result<(Self, State)> {
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
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (turns, answers) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let mut worker = Self {
            what: format!("{contender} in {}", title(job.workload)),
            child,
            turns,
            answers: BufReader::new(answers),
        };
        let state = worker.listen()?;
        Ok((worker, state))
    }

    /// Gives it a turn, and waits for its end.
    pub(crate) fn turn(&mut self) -> io::Result<State> {
        self.turns.write_all(b"\n")?;
        self.listen()
    }

    fn listen(&mut self) -> io::Result<State> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.trim_end() == WAITING {
            return Ok(State::Waits);
        }
        let status = self.child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("{}: {status}", self.what)));
        }
        Ok(State::Done(serde_json::from_str(&line)?))
    }
}

impl Drop for Worker {
    /// Nobody goes on alone.
    fn drop(&mut self) {
        // Most have ended, which is no error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
