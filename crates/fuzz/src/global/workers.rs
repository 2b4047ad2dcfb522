//! Threads that do what they are told, while everybody else waits.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

type Job = Box<dyn FnOnce() + Send>;

/// A thread that waits for work.
struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn new() -> Self {
        let (jobs, queue) = channel::<Job>();
        let thread = thread::spawn(move || queue.into_iter().for_each(|job| job()));
        Self { jobs, thread }
    }

    fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = channel();
        let job: Job = Box::new(move || drop(answer.send(work())));
        self.jobs.send(job).unwrap();
        // A thread that panics answers nothing.
        answered.recv().unwrap()
    }

    /// The thread ends, with whatever it has.
    fn end(self) {
        drop(self.jobs);
        self.thread.join().unwrap();
    }
}

/// Up to two threads beside the caller's.
#[derive(Default)]
pub(super) struct Workers([Option<Worker>; 2]);

impl Workers {
    /// So many.
    pub(super) fn new(count: usize) -> Self {
        let mut workers = Self::default();
        for place in workers.0.iter_mut().take(count) {
            *place = Some(Worker::new());
        }
        workers
    }

    /// Has somebody work: a worker, if the number names one that there is, or the caller.
    pub(super) fn call<T: Send + 'static>(
        &self,
        who: u8,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match self.0.get(usize::from(who) % 4) {
            Some(Some(worker)) => worker.call(work),
            _ => work(),
        }
    }

    /// Ends a worker, after which another may come in its place; or has one come where none is.
    pub(super) fn replace(&mut self, who: u8, may_come: bool) {
        let place = &mut self.0[usize::from(who) % 2];
        let was_there = place.take().map(Worker::end).is_some();
        if may_come || !was_there {
            *place = Some(Worker::new());
        }
    }

    pub(super) fn end(&mut self) {
        self.0
            .iter_mut()
            .filter_map(Option::take)
            .for_each(Worker::end);
    }
}
