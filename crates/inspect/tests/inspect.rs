//! The program, run on this process, on one that changes, on core files, and on what is none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use core::alloc::Layout;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tagheap::{Buffer, Directory, Heap, Key, Placement, Reserve, Scan, Source, Split, Tag, Whole};

const LEVEL: Tag = Tag::named("level");
const PLAYER: Tag = Tag::named("player");

/// One test at a time: each looks at the heaps of all.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs it; others may look at this process's memory.
fn inspect(arguments: &[&str]) -> Output {
    // SAFETY: sets a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    Command::new(env!("CARGO_BIN_EXE_tagheap-inspect"))
        .args(arguments)
        .output()
        .unwrap()
}

fn me() -> String {
    process::id().to_string()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Blocks of two tags and a hole: four, with the root block.
fn fill<S: Source, P: Placement>(heap: &mut Heap<S, Split, P>) {
    let layout = Layout::from_size_align(1000, 16).unwrap();
    let first = heap.allocate(LEVEL, layout).unwrap();
    for tag in [PLAYER, LEVEL] {
        heap.allocate(tag, layout).unwrap();
    }
    // SAFETY: nobody uses it.
    unsafe { heap.deallocate(first.cast(), layout).unwrap() };
}

/// Else a heap that was there is found still.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

/// What was said about the heap at an address.
fn part_about(said: &str, base: usize) -> &str {
    let from = said.find(&format!("heap at {base:#x}:")).unwrap();
    said[from..].split("\n\n").next().unwrap().trim_end()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A core file of a process that had these bytes at an address, behind some that it did not keep.
fn core(name: &str, at: usize, bytes: &[u8]) -> PathBuf {
    let mut file = vec![0; 64 + 2 * 56];
    let mut put = |offset: usize, value: u64, length: usize| {
        file[offset..offset + length].copy_from_slice(&value.to_le_bytes()[..length]);
    };
    // 64 bits, little-endian; a core file for x86-64 with two program headers behind this one.
    put(0, u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0"), 8);
    for (offset, value) in [(16, 4), (18, 62), (20, 1), (52, 64), (54, 56), (56, 2)] {
        put(offset, value, 2);
    }
    put(32, 64, 8);
    let [start, length] = [64 + 2 * 56, bytes.len() as u64];
    for (header, at, kept) in [(64, at as u64 - 4096, 0), (120, at as u64, length)] {
        // To be loaded; it was readable and writable.
        put(header, 1 | 6 << 32, 8);
        for (nth, value) in [(1, start), (2, at), (4, kept), (5, length.max(4096))] {
            put(header + 8 * nth, value, 8);
        }
    }
    file.extend(bytes);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, file).unwrap();
    path
}

#[test]
fn a_heap_of_each_kind_is_found_in_a_process_and_told() {
    let _alone = alone();
    let mut bytes = vec![0; 16_000];
    let mut reserved = Heap::new(Reserve::new().unwrap()).unwrap();
    fill(&mut reserved);
    let buffer = Buffer::new(&mut bytes);
    let mut in_buffer = Heap::with(buffer, Split, Scan, Key::FIXED).unwrap();
    fill(&mut in_buffer);
    let source = Reserve::new().unwrap();
    let whole = Heap::with(source, Whole, Directory::new(), Key::FIXED).unwrap();

    let output = inspect(&[&me(), "--drawing", "--blocks"]);
    let said = text(&output.stdout);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    for (drawing, base) in [
        (reserved.drawing().to_string(), reserved.base()),
        (in_buffer.drawing().to_string(), in_buffer.base()),
    ] {
        let about = part_about(said, base);
        let lines: Vec<_> = about.lines().collect();
        assert!(
            lines[0].contains("rule split, bytes 3248, blocks 4,"),
            "{about}"
        );
        let has = |line: &[&str]| lines.iter().any(|other| words(other).starts_with(line));
        for line in [
            &["level", "1", "1040", "1008", "1040"][..],
            &["player", "1", "1040", "1008", "1040"],
            &["(free)", "1", "1040", "1008", "1040"],
        ] {
            assert!(has(line), "{line:?} in\n{about}");
        }
        assert!(lines.contains(&&*drawing), "{about}\n{drawing}");
        assert!(about.ends_with("level 1040"), "{about}");
    }
    let about = part_about(said, whole.base());
    assert!(
        about.contains("rule whole, bytes 128, blocks 1,"),
        "{about}"
    );
}

/// The sums of what is told are the heap's own.
#[test]
fn numbers_are_those_of_the_heap() {
    let _alone = alone();
    let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut held = Vec::new();
    for _ in 0..20_000 {
        if random.u8(..) < 100 && !held.is_empty() {
            let (at, layout) = held.swap_remove(random.usize(..held.len()));
            // SAFETY: nobody uses it.
            unsafe { heap.deallocate(at, layout).unwrap() };
        } else {
            let bits = random.u32(4..16);
            let layout = Layout::from_size_align(random.usize(..1 << bits), 16).unwrap();
            let tag = Tag::new(random.u64(1..20));
            held.push((heap.allocate(tag, layout).unwrap().cast(), layout));
        }
    }
    let (named, gone) = (Tag::new(3), Tag::new(99));
    heap.set_limit(named, Some(1 << 30)).unwrap();
    heap.set_name(named, "what the third is for").unwrap();
    let layout = Layout::from_size_align(5000, 16).unwrap();
    heap.allocate(gone, layout).unwrap();
    // SAFETY: nobody uses it.
    unsafe { heap.release(gone).unwrap() };
    let output = inspect(&[&me()]);
    let about = part_about(text(&output.stdout), heap.base());
    let starts = |line: &str| about.lines().any(|other| other.starts_with(line));
    assert!(starts("what the third is for"), "{about}");
    assert!(
        about
            .lines()
            .any(|line| words(line) == ["99", "0", "0", "0", "0", "5040"]),
        "{about}"
    );
    let output = inspect(&[&me(), "--json"]);
    let mut heaps = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = heaps.find(|told| told["base"] == heap.base()).unwrap();
    assert_eq!(told["end"], heap.end());
    assert_eq!(
        (&told["is_torn"], &told["damage"]),
        (&false.into(), &Value::Null)
    );
    let stats = heap.stats().unwrap();
    for known in heap.tags() {
        let line = of_tag(&told, Some(&known.tag.to_string()));
        assert_eq!(line["blocks"], known.blocks);
        assert_eq!(line["bytes"], known.bytes);
        let account = &line["account"];
        assert_eq!(account["peak"], known.peak);
        assert_eq!(account["requested"], known.requested);
        assert_eq!(account["allocations"], known.allocations);
        assert_eq!(account["deallocations"], known.deallocations);
        assert_eq!(account["failures"], known.failures);
        assert_eq!(account["limit"], serde_json::json!(known.limit));
    }
    let free = of_tag(&told, None);
    assert_eq!(
        (&free["blocks"], &free["bytes"]),
        (&stats.free.blocks.into(), &stats.free.bytes.into())
    );
    let blocks: Vec<_> = heap.walk().map(Result::unwrap).collect();
    let told = told["blocks"].as_array().unwrap();
    assert_eq!(told.len(), blocks.len());
    for (told, block) in told.iter().zip(blocks) {
        assert_eq!(
            (&told["at"], &told["size"]),
            (&block.at.into(), &block.size.into())
        );
        assert_eq!(
            told["number"],
            serde_json::json!(block.tag().map(Tag::number))
        );
    }
}

fn of_tag<'a>(told: &'a Value, tag: Option<&str>) -> &'a Value {
    let mut tags = told["tags"].as_array().unwrap().iter();
    tags.find(|line| line["tag"].as_str() == tag).unwrap()
}

/// Whatever it is doing, what is told is of one moment, or said not to be.
#[test]
fn a_heap_that_changes_is_told_as_it_was_at_one_moment() {
    let _alone = alone();
    let is_done = AtomicBool::new(false);
    let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
    let base = heap.base();
    thread::scope(|scope| {
        // Whatever becomes of this thread.
        let _end = Ends(&is_done);
        scope.spawn(|| {
            let layout = Layout::from_size_align(100, 16).unwrap();
            while !is_done.load(Ordering::Relaxed) {
                let blocks = [LEVEL, PLAYER, LEVEL].map(|tag| heap.allocate(tag, layout).unwrap());
                for block in blocks {
                    // SAFETY: nobody uses it.
                    unsafe { heap.deallocate(block.cast(), layout).unwrap() };
                }
                thread::sleep(core::time::Duration::from_micros(50));
            }
        });
        for _ in 0..20 {
            let output = inspect(&[&me(), "--json"]);
            let mut heaps = text(&output.stdout)
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            let told = heaps.find(|told| told["base"] == base).unwrap();
            assert_eq!(told["damage"], Value::Null);
            if told["is_torn"] == true {
                continue;
            }
            let blocks = told["blocks"].as_array().unwrap();
            let ends = blocks
                .iter()
                .map(|block| block["at"].as_u64().unwrap() + block["size"].as_u64().unwrap());
            assert_eq!(ends.max().unwrap(), told["end"].as_u64().unwrap(), "{told}");
        }
    });
}

/// Says that it is done when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_core_file_tells_the_same_and_where_the_damage_is() {
    let _alone = alone();
    let mut bytes = vec![0; 16_000];
    let start = bytes.as_ptr();
    let mut heap = Heap::with(Buffer::new(&mut bytes), Split, Scan, Key::FIXED).unwrap();
    fill(&mut heap);
    let (base, end, drawing) = (heap.base(), heap.end(), heap.drawing().to_string());
    let blocks: Vec<_> = heap.walk().map(Result::unwrap).collect();
    drop(heap);
    let (from, to) = (base - start.addr(), end - start.addr());

    let path = core("whole.core", base, &bytes[from..to]);
    let output = inspect(&[path.to_str().unwrap(), "--drawing"]);
    let said = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        text(&output.stderr)
    );
    assert!(part_about(said, base).ends_with(&drawing), "{said}");

    // Somebody wrote beyond his block, over the next one's header.
    let [.., before, last] = blocks[..] else {
        unreachable!()
    };
    bytes[last.at - start.addr() + 8..][..8].fill(b'x');
    let path = core("damaged.core", base, &bytes[from..to]);
    let output = inspect(&[path.to_str().unwrap(), "--drawing"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = format!(
        "damaged header at {:#x}: 0x1 0x7878787878787878 {:#x} ",
        last.at,
        LEVEL.number()
    );
    assert!(said.contains(&line), "{said}\n{line}");
    let behind = format!("behind the block at {:#x}, player 1040\n", before.at);
    assert!(said.ends_with(&behind), "{said}");

    // And one that is cut off in the middle of its row.
    let path = core("short.core", base, &bytes[from..from + 1200]);
    let output = inspect(&[path.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(": not in this memory, behind"), "{said}");
    wipe(&mut bytes);
}

/// What lies behind is no damage, and what is told is not all.
#[test]
fn a_core_file_that_is_cut_off_is_told_as_far_as_it_goes() {
    let _alone = alone();
    let mut bytes = vec![0; 16_000];
    let start = bytes.as_ptr();
    let mut heap = Heap::with(Buffer::new(&mut bytes), Split, Scan, Key::FIXED).unwrap();
    fill(&mut heap);
    let (base, end) = (heap.base(), heap.end());
    drop(heap);
    let (from, to) = (base - start.addr(), end - start.addr());
    let path = core("cut.core", base, &bytes[from..to]);
    wipe(&mut bytes);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 2000]).unwrap();

    let output = inspect(&[path.to_str().unwrap()]);
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{errors}");
    assert!(
        errors.ends_with("cut off: 2000 bytes are missing at its end\n"),
        "{errors}"
    );
    // The header of the last block but one is there.
    let told = 128 + 2 * 1040;
    let line = format!(
        "told up to {:#x}, {told} bytes: the last line says why\n",
        base + told
    );
    assert!(said.contains(&line), "{said}{line}");
    let left = end - base - told;
    let line = format!(
        "row cut off at {:#x}, {left} bytes before its end: not in this memory, behind",
        base + told
    );
    assert!(said.contains(&line), "{said}{line}");
}

#[test]
fn a_file_that_says_more_than_it_has_is_read_as_soon() {
    let mut segments = vec![0; 64 + 56 * 1000];
    let from = core("none.core", 0x10000, &[0; 8192]);
    segments[..64].copy_from_slice(&fs::read(from).unwrap()[..64]);
    segments[56..58].copy_from_slice(&1000_u16.to_le_bytes());
    for (number, segment) in segments[64..].chunks_mut(56).enumerate() {
        let (at, bytes) = ((number as u64) << 31, 1_u64 << 30);
        for (nth, word) in [1 | 6 << 32, 64, at, 0, bytes, bytes]
            .into_iter()
            .enumerate()
        {
            segment[8 * nth..][..8].copy_from_slice(&word.to_le_bytes());
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large.core");
    fs::write(&path, segments).unwrap();
    let begin = Instant::now();
    let output = inspect(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no core file: its segments overlap"));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn names_are_plain_text_and_go_with_numbers() {
    let _alone = alone();
    let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
    let layout = Layout::from_size_align(1000, 16).unwrap();
    let name = "\u{9b}31m \\ \"red\"";
    heap.allocate(Tag::new(7), layout).unwrap();
    heap.set_name(Tag::new(7), name).unwrap();
    let output = inspect(&[&me(), "--blocks", "--drawing"]);
    let about = part_about(text(&output.stdout), heap.base());
    let told = "\\u{9b}31m \\ \"red\"";
    let mut lines = about.lines();
    assert!(
        lines.any(|line| line.ends_with("peak  drawn as")),
        "{about}"
    );
    let line = lines.find(|line| line.starts_with(told)).unwrap();
    assert!(line.ends_with("1040  7"), "{about}");
    assert!(about.contains("|(heap) 128|7 1040|"), "{about}");
    assert!(about.ends_with(&format!(" {told} 1040")), "{about}");

    let output = inspect(&[&me(), "--json"]);
    let mut heaps = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let heap = heaps.find(|told| told["base"] == heap.base()).unwrap();
    let line = of_tag(&heap, Some("7"));
    assert_eq!(
        (&line["number"], &line["account"]["name"]),
        (&7.into(), &name.into())
    );
    assert_eq!(heap["strange_accounts"], 0);
}

#[test]
fn who_cannot_be_told_is_not_who_was_read() {
    let _alone = alone();
    let heap = Heap::new(Reserve::new().unwrap()).unwrap();
    // SAFETY: sets a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_tagheap-inspect"))
        .arg(me())
        .stdout(full.unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(": cannot be told: No space left"));
    drop(heap);
}

#[test]
fn what_cannot_be_inspected_is_said_in_one_line() {
    let none = core("none.core", 0x10000, &[0; 8192]);
    for (from, code, said) in [
        ("0", 2, "0: no such process"),
        ("99999999999", 2, "99999999999: no such process"),
        ("no-such-file", 2, "no-such-file: "),
        ("Cargo.toml", 2, "Cargo.toml: no core file: "),
        (
            env!("CARGO_BIN_EXE_tagheap-inspect"),
            2,
            "no core file: a program or a library",
        ),
        (none.to_str().unwrap(), 1, "none.core: no heap"),
    ] {
        let output = inspect(&[from]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(
            errors.starts_with("tagheap-inspect: ") && errors.contains(said),
            "{errors}"
        );
    }
}
