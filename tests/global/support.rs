//! What tests share: pieces of memory that know what is in them, numbers of a tag, processes.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::env;
use std::process::{self, Command, Output};
use std::time::{Duration, Instant};

use tagheap::{Error, Holding, Misuse, Tag};
use tagheap_trace::{Held, soak};

use crate::HEAP;
use crate::careless::{free, free_at, free_or, resize, take, try_take};

/// Bytes of the largest slot; what is larger is a block of the heap's own.
pub(crate) const LARGEST: usize = 8192;

#[track_caller]
pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub(crate) fn bytes(size: usize) -> Layout {
    layout(size, 1)
}

/// Slots above 1 KiB: as large as so many in a span can be, or a power of two.
const LARGE: [usize; 24] = [
    1168, 1280, 1424, 1552, 1664, 1808, 1920, 2048, 2336, 2608, 2848, 3104, 3440, 3632, 3840, 4096,
    4672, 5024, 5456, 5952, 6544, 7264, 8176, 8192,
];

/// Bytes of the slot that a request gets, computed anew; `None` for a block of the heap's own.
pub(crate) fn slot_size(layout: Layout) -> Option<usize> {
    let size = layout.size().max(1);
    let slot = if layout.align() > 16 {
        size.max(layout.align()).next_power_of_two()
    } else {
        let sixteens = (1..=8).map(|units| 16 * units);
        let eighths = (7..10).flat_map(|power| (9..=16).map(move |step| step << (power - 3)));
        { sixteens.chain(eighths).chain(LARGE) }.find(|slot| *slot >= size)?
    };
    (slot <= LARGEST).then_some(slot)
}

/// Memory that somebody holds, each byte of it the same.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) start: NonNull<u8>,
    pub(crate) layout: Layout,
    byte: u8,
}

// SAFETY: a piece is somebody's alone, wherever he is.
unsafe impl Send for Piece {}
// SAFETY: who only refers to a piece only reads it; who gives it back tests whether that is found.
unsafe impl Sync for Piece {}

impl Piece {
    #[track_caller]
    pub(crate) fn take(tag: Tag, layout: Layout, byte: u8) -> Self {
        Self::of(take(tag, layout), layout, byte)
    }

    pub(crate) fn try_take(tag: Tag, layout: Layout, byte: u8) -> Result<Self, Error> {
        Ok(Self::of(try_take(tag, layout)?, layout, byte))
    }

    /// Memory just handed out for this layout.
    #[track_caller]
    pub(crate) fn of(start: NonNull<u8>, layout: Layout, byte: u8) -> Self {
        assert!(
            start.addr().get().is_multiple_of(layout.align()),
            "{start:?} for {layout:?}"
        );
        // SAFETY: just handed out for this layout.
        unsafe { start.write_bytes(byte, layout.size()) };
        Self {
            start,
            layout,
            byte,
        }
    }

    /// Nobody touches it until it is shown.
    pub(crate) fn hide(self) -> Held<Self> {
        let (start, size) = (self.start, self.layout.size());
        Held::new(self, start, size)
    }

    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }

    pub(crate) fn end(&self) -> usize {
        self.address() + self.layout.size().max(1)
    }

    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        assert_filled(self.start, self.layout.size(), self.byte);
    }

    /// Its first bytes are at another address now.
    #[track_caller]
    pub(crate) fn assert_moved(&self, to: NonNull<u8>, kept: usize) {
        assert_filled(to, kept, self.byte);
    }

    /// The same once more, to be given back twice.
    pub(crate) fn again(&self) -> Self {
        Self { ..*self }
    }

    /// Gives back what was hidden.
    #[track_caller]
    pub(crate) fn shown_and_given_back(held: Held<Self>) {
        held.show().give_back();
    }

    /// Gives it back, by whoever may do so only once.
    pub(crate) fn free(&self) -> Result<(), Error> {
        free(self.start, self.layout)
    }

    /// Gives it back in one of the ways that there are. Those that know no layout are not for late frees: they would take
    /// back what somebody else has there by then.
    #[track_caller]
    pub(crate) fn give_back(self) {
        self.assert_whole();
        let given = match self.start.addr().get() / 16 % 3 {
            0 => self.free(),
            1 => free_at(self.start),
            _ => free_or(self.start),
        };
        given.unwrap();
    }

    /// Makes it larger or smaller and fills it anew, if there is memory.
    #[track_caller]
    pub(crate) fn resize(&mut self, new: Layout) -> Result<(), Error> {
        self.assert_whole();
        let to = resize(self.start, self.layout, new)?;
        let kept = self.layout.size().min(new.size());
        assert_filled(to, kept, self.byte);
        *self = Self::of(to, new, self.byte.wrapping_add(1));
        Ok(())
    }
}

#[track_caller]
pub(crate) fn assert_filled(start: NonNull<u8>, size: usize, byte: u8) {
    let bytes = NonNull::slice_from_raw_parts(start, size);
    // SAFETY: the test holds the memory, and filled it.
    let bytes = unsafe { bytes.as_ref() };
    let same = bytes
        .iter()
        .fold(true, |same, found| same & (*found == byte));
    assert!(same, "{size} bytes at {start:?} are not all {byte:#x}");
}

#[track_caller]
pub(crate) fn holding(tag: Tag) -> Holding {
    HEAP.holding(tag).unwrap()
}

/// Objects that somebody holds under a tag.
#[track_caller]
pub(crate) fn objects(tag: Tag) -> usize {
    holding(tag).objects
}

/// Spans and blocks that a tag has.
#[track_caller]
pub(crate) fn blocks(tag: Tag) -> usize {
    holding(tag).held.blocks
}

/// Nobody holds an object under a tag, and with what is kept at hand given back it has nothing.
#[track_caller]
pub(crate) fn assert_gone(tag: Tag) {
    assert_eq!(objects(tag), 0);
    HEAP.trim().unwrap();
    assert_eq!(blocks(tag), 0);
}

pub(crate) fn double_free(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::DoubleFree { address }.into()
}

pub(crate) fn not_a_block(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotABlock { address }.into()
}

pub(crate) fn not_from_here(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotFromHere { address }.into()
}

/// In the environment of a process that runs a test alone: the test's name.
const ALONE: &str = "TAGHEAP_TEST_ALONE";

/// How such a process ends that did its work.
const DONE: i32 = 42;

/// How long it may take, in seconds, before it is taken for hung, and how often as long as a soak, where one is wanted.
const LONG: u32 = 100;
const TIMES: u32 = 10;

/// How long each of the long runs takes, or usually.
pub(crate) fn time(usual: Duration) -> Duration {
    soak().map_or(usual, |seconds| Duration::from_secs(seconds.into()))
}

/// The numbers of rounds of such a run: so many, and more until its time is over.
pub(crate) fn rounds(usual: usize) -> impl Iterator<Item = usize> {
    let (start, time) = (Instant::now(), time(Duration::ZERO));
    (0..).take_while(move |round| *round < usual || start.elapsed() < time)
}

/// Does the work of a test in a process of its own, where it must succeed. The closure is to be written in the
/// test's body, after which it is named.
#[track_caller]
pub(crate) fn alone(work: impl FnOnce()) {
    let output = ends(&[], work);
    assert_eq!(output.status.code(), Some(DONE), "{}", text(&output));
}

/// Does the work of a test in a process of its own with more in its environment, and answers how that ended.
pub(crate) fn ends<F: FnOnce()>(environment: &[(&str, &str)], work: F) -> Output {
    let change = |command: &mut Command| {
        command.envs(environment.iter().copied());
    };
    ends_otherwise(change, work)
}

/// As [`ends`], with whatever else is changed about how it is run.
pub(crate) fn ends_otherwise<F: FnOnce()>(change: impl FnOnce(&mut Command), work: F) -> Output {
    let path = core::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_program, test) = path.split_once("::").unwrap();
    if env::var(ALONE).is_ok_and(|name| name == test) {
        // SAFETY: deadly, if this process hangs; nobody handles it.
        unsafe { libc::alarm(LONG + TIMES * soak().unwrap_or(0)) };
        work();
        process::exit(DONE);
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, test)
        .env_remove("RUST_BACKTRACE")
        .env_remove("TAGHEAP_PURGE")
        .env_remove("TAGHEAP_REPORT");
    change(&mut command);
    command.output().unwrap()
}

/// Whether it ended as [`alone`] wants it.
pub(crate) fn is_done(output: &Output) -> bool {
    output.status.code() == Some(DONE)
}

/// What a process said and how it ended.
pub(crate) fn text(output: &Output) -> String {
    let (said, told) = (&output.stdout, &output.stderr);
    let (said, told) = (String::from_utf8_lossy(said), String::from_utf8_lossy(told));
    format!("{}\n{said}\n{told}", output.status)
}

/// Slots of the class of a size in a span.
pub(crate) fn slots(size: usize) -> usize {
    65_504 / slot_size(bytes(size)).unwrap()
}

/// So many pieces of a size, each full of another byte.
pub(crate) fn pieces(tag: Tag, size: usize, count: usize) -> Vec<Piece> {
    (0..count)
        .map(|n| Piece::take(tag, bytes(size), n as u8))
        .collect()
}

/// Bytes of memory that the process has.
pub(crate) fn resident() -> usize {
    let numbers = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = numbers.split(' ').nth(1).unwrap().parse().unwrap();
    pages << 12
}
