//! Memory that was forged or damaged: whatever stands there, the program ends soon, in bounded memory, and what it tells is
//! so.

use core::alloc::Layout;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tagheap::{HEADER, Heap, Reserve, Root, Tag, TagStats};

use crate::memory::{Memory, Piece};
use crate::tally::accounts;
use crate::{Wanted, core_file, find, tell};

const JSON: Wanted = Wanted {
    drawing: false,
    blocks: false,
    json: true,
};

const TEXT: Wanted = Wanted {
    drawing: true,
    blocks: true,
    json: false,
};

/// A heap of three tags, as its process had it: the row, and the accounts.
struct Image {
    pieces: Vec<(u64, Vec<u8>)>,
    /// Addresses of headers.
    headers: Vec<u64>,
}

impl Image {
    fn take() -> Self {
        let mut heap = Heap::new(Reserve::new().unwrap()).unwrap();
        let layout = Layout::from_size_align(100, 16).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        for number in 1..200 {
            let tag = Tag::new(number % 3 + 1);
            let block = heap.allocate(tag, layout).unwrap().cast();
            if random.bool() {
                // SAFETY: nobody uses it.
                unsafe { heap.deallocate(block, layout).unwrap() };
            }
        }
        heap.set_name(Tag::new(2), "the second").unwrap();
        let me = Memory::of(std::process::id().to_string().as_ref()).unwrap();
        let read = |at: u64, bytes: usize| {
            let mut copy = vec![0; bytes];
            assert_eq!(me.read(at, &mut copy), bytes);
            (at, copy)
        };
        let row = read(heap.base() as u64, heap.end() - heap.base());
        let root = Root::decode(heap.base(), &row.1).unwrap();
        let accounts = read(root.accounts, root.entries as usize * TagStats::ENTRY);
        let headers = heap.walk().map(|block| block.unwrap().at as u64);
        Self {
            headers: headers.collect(),
            pieces: vec![row, accounts],
        }
    }

    /// A core file of it.
    fn core(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let count = self.pieces.len();
        let start = 64 + 56 * count;
        file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0\x01\0\0\0");
        for word in [0, 64, 0, 64 << 32 | 56 << 48, count as u64 | 64 << 16] {
            file.extend(u64::to_le_bytes(word));
        }
        let mut offset = start as u64;
        for (at, bytes) in &self.pieces {
            let length = bytes.len() as u64;
            for word in [1 | 6 << 32, offset, *at, 0, length, length, 4096] {
                file.extend(u64::to_le_bytes(word));
            }
            offset += length;
        }
        assert_eq!(file.len(), start);
        for (_, bytes) in &self.pieces {
            file.extend(bytes);
        }
        file
    }

    /// Where the bytes of the file begin that stand for an address of the row.
    fn place(&self, at: u64) -> usize {
        64 + 56 * self.pieces.len() + (at - self.pieces[0].0) as usize
    }
}

/// A file of this process that goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("tagheap-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self, bytes: &[u8]) -> std::io::Result<Memory> {
        File::create(&self.0).unwrap().write_all(bytes).unwrap();
        core_file::open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What is told, or why not; and in which time.
fn told(memory: &Memory, wanted: Wanted) -> Result<String, String> {
    let begin = Instant::now();
    let mut out = Vec::new();
    let answer = tell(memory, wanted, &mut out);
    assert!(begin.elapsed() < Duration::from_secs(10));
    match answer {
        Ok(_) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

fn sum(list: &Value, key: &str) -> u64 {
    let each = list.as_array().unwrap().iter();
    each.map(|line| line[key].as_u64().unwrap()).sum()
}

/// The parts of what is told are the whole.
fn verify(line: &str) {
    let heap: Value = serde_json::from_str(line).unwrap();
    let end = match &heap["damage"] {
        Value::Null => &heap["end"],
        damage => &damage["at"],
    };
    let row = end.as_u64().unwrap() - heap["base"].as_u64().unwrap();
    assert_eq!(sum(&heap["tags"], "bytes"), row, "{line}");
    assert_eq!(sum(&heap["blocks"], "size"), row, "{line}");
    let blocks = heap["blocks"].as_array().unwrap().len() as u64;
    assert_eq!(sum(&heap["tags"], "blocks"), blocks, "{line}");
    assert_eq!(
        sum(&heap["tags"], "payload"),
        row - blocks * HEADER as u64,
        "{line}"
    );
    for tag in heap["tags"].as_array().unwrap() {
        let account = &tag["account"];
        if account["agrees"] == true {
            assert!(account["peak"].as_u64() >= tag["bytes"].as_u64(), "{line}");
        }
    }
}

/// Changes some of the bytes of a file.
fn mutate(file: &mut Vec<u8>, image: &Image, random: &mut fastrand::Rng) {
    for _ in 0..random.u32(1..5) {
        let row = image.place(image.pieces[0].0);
        let accounts = row + image.pieces[0].1.len();
        let header = image.headers[random.usize(..image.headers.len())];
        let (from, to) = match random.u8(..10) {
            0..4 => (row, row + Root::BLOCK),
            4..7 => (image.place(header), image.place(header) + HEADER),
            7..9 => (accounts, accounts + 5 * TagStats::ENTRY),
            _ => (0, row),
        };
        let at = random.usize(from..to);
        let word = at / 8 * 8;
        let value = match random.u8(..8) {
            0 => 0,
            1 => u64::MAX - random.u64(..64),
            2 => image.pieces[0].0,
            3 => header,
            4 => image.pieces[1].0,
            5 => 1 << random.u32(..64),
            6 => random.u64(..100) * 16,
            _ => random.u64(..),
        };
        match random.u8(..10) {
            _ if at + 256 > file.len() => {}
            0..4 => file[at] ^= 1 << random.u32(..8),
            4..8 => file[word..word + 8].copy_from_slice(&value.to_le_bytes()),
            // Another root block, or headers of somewhere else.
            8 => file.copy_within(row..row + Root::BLOCK, at),
            _ => {
                let cut = random.usize(at..file.len());
                file.truncate(cut);
            }
        }
    }
}

#[test]
fn whatever_bytes_are_changed_the_rest_is_told() {
    let image = Image::take();
    let whole = image.core();
    let scratch = Scratch::new("mutated");
    let memory = scratch.open(&whole).unwrap();
    let line = told(&memory, JSON).unwrap();
    verify(&line);
    assert!(line.contains("\"damage\":null") && line.contains("\"strange_accounts\":0"));
    assert!(line.contains("\"name\":\"the second\""), "{line}");
    let mut random = fastrand::Rng::with_seed(1);
    let (mut told_of, mut damaged) = (0, 0);
    for _ in 0..2000 {
        let mut file = whole.clone();
        mutate(&mut file, &image, &mut random);
        let Ok(memory) = scratch.open(&file) else {
            continue;
        };
        let left = memory.left();
        let lines = told(&memory, JSON).unwrap_or_default();
        lines.lines().for_each(verify);
        told_of += lines.lines().count();
        damaged += lines.matches("\"words\"").count();
        memory.read_again(left);
        let text = told(&memory, TEXT).unwrap_or_default();
        assert!(
            text.chars()
                .all(|letter| letter == '\n' || !letter.is_control()),
            "{text:?}"
        );
    }
    assert!(told_of > 400 && damaged > 100, "{told_of} {damaged}");
}

/// The first block of a heap that ends elsewhere.
fn root(at: u64, end: u64, accounts: [u64; 2]) -> Vec<u8> {
    let version = u64::from(Root::VERSION) | 1 << 32;
    let [table, entries] = accounts;
    let words = [
        1,
        128,
        u64::MAX,
        0,
        Root::MAGIC,
        version,
        4,
        at,
        end,
        end,
        table,
        entries,
        0,
        0,
        0,
        0,
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn memory(scratch: &Scratch, at: u64, bytes: Vec<u8>) -> Memory {
    let image = Image {
        pieces: vec![(at, bytes)],
        headers: Vec::new(),
    };
    scratch.open(&image.core()).unwrap()
}

#[test]
fn heaps_that_overlap_are_not_read_for_ever() {
    // Each of them goes on to the end.
    let (count, at) = (1 << 15, 0x10000);
    let end = at + 128 * count;
    let bytes = (0..count).flat_map(|number| root(at + 128 * number, end, [0; 2]));
    let scratch = Scratch::new("overlapping");
    let memory = memory(&scratch, at, bytes.collect());
    let error = told(&memory, Wanted::default()).unwrap_err();
    assert!(
        error.contains("more than there is memory: forged"),
        "{error}"
    );
}

#[test]
fn accounts_that_are_none_are_not_told() {
    let at = 0x10000;
    let row = 1 << 20;
    // They lie in the row itself, beyond all memory, or are more than there could be.
    for (accounts, strange) in [
        ([at, 1 << 10], true),
        ([at, u64::MAX], true),
        ([at + row - 64, 100], false),
        ([0, 1 << 60], false),
        ([u64::MAX - 100, 1 << 60], false),
        ([1 << 63, 4], false),
    ] {
        let mut bytes = root(at, at + row, accounts);
        let rest = [1, row - 128, 7, 0].map(u64::to_le_bytes);
        bytes.extend(rest.as_flattened());
        bytes.resize(row as usize, b'x');
        let scratch = Scratch::new("accounts");
        let memory = memory(&scratch, at, bytes);
        let line = told(&memory, JSON).unwrap();
        verify(&line);
        let heap: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(heap["tags"].as_array().unwrap().len(), 2, "{line}");
        assert_eq!(
            heap["strange_accounts"].as_u64().unwrap() > 0,
            strange,
            "{line}"
        );
    }
}

#[test]
fn a_row_that_ends_at_the_end_of_all_addresses_is_cut_off() {
    let at = 0x10000;
    for end in [u64::MAX, u64::MAX - 15, u64::MAX - 63, 1 << 63] {
        for size in [0, 48, end - at - 128, end - at - 160, u64::MAX - 15] {
            let mut bytes = root(at, end, [0; 2]);
            bytes.extend([1, size, 7, 0].map(u64::to_le_bytes).as_flattened());
            let scratch = Scratch::new("endless");
            for wanted in [TEXT, JSON] {
                told(&memory(&scratch, at, bytes.clone()), wanted).unwrap();
            }
        }
    }
}

#[test]
fn roots_are_found_across_pieces() {
    let bytes = root(0x10000, 0x10080, [0; 2]);
    let (front, back) = bytes.split_at(64);
    let image = Image {
        pieces: vec![(0x10000, front.to_vec()), (0x10040, back.to_vec())],
        headers: Vec::new(),
    };
    let scratch = Scratch::new("across");
    let memory = scratch.open(&image.core()).unwrap();
    assert_eq!(find::roots(&memory), [0x10000]);
}

#[test]
fn segments_are_no_larger_than_their_file() {
    let image = Image {
        pieces: vec![(0x10000, vec![0; 4096])],
        headers: Vec::new(),
    };
    let mut file = image.core();
    // So many bytes from there on.
    file[64 + 8 * 4..][..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let scratch = Scratch::new("segments");
    let memory = scratch.open(&file).unwrap();
    assert_eq!(memory.missing, (1 << 40) - 4096);
    let piece = Piece {
        at: 0x10000,
        bytes: 4096,
        offset: 120,
    };
    assert_eq!(memory.pieces(), [piece]);

    // Two of the same bytes.
    let mut image = image;
    image.pieces.push((0x20000, vec![0; 4096]));
    let mut file = image.core();
    file.copy_within(64 + 8..64 + 16, 120 + 8);
    let length = file.len() - 4096;
    file.truncate(length);
    let error = scratch.open(&file).unwrap_err().to_string();
    assert_eq!(error, "no core file: its segments overlap");
}

/// What is said to be a table of accounts, and was never written to, is not read for long.
#[test]
fn accounts_end_where_nothing_was_written() {
    let room = vec![0_u8; 1 << 30];
    let memory = Memory::of(std::process::id().to_string().as_ref()).unwrap();
    let table = room.as_ptr().addr() as u64;
    let bytes = root(0x10000, 0x10080, [table, 1 << 22]);
    let root = Root::decode(0x10000, &bytes).unwrap();
    let left = memory.left();
    assert_eq!(accounts(&memory, &root).count(), 0);
    assert!(left - memory.left() < 1 << 20);
}

#[test]
fn whoever_ended_is_gone() {
    let mut child = std::process::Command::new("/bin/sleep")
        .arg("100")
        .spawn()
        .unwrap();
    let memory = Memory::of(child.id().to_string().as_ref()).unwrap();
    assert!(!memory.is_gone());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(memory.is_gone());
}
