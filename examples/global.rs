//! Which part of a program holds the memory: a program of the standard library's collections and threads, over
//! tagheap as its global allocator.
//!
//! Four threads read pages of a made-up book and count words; one map takes all counts in. Each part of the work
//! allocates in a scope of its own tag, wherever its memory goes later: a table then tells what each part holds, to
//! the object, and another what a step of the work changed. A scratch that nobody needs any more is released whole, without its destructors.
//!
//! ```text
//! cargo run --example global
//! TAGHEAP_REPORT=1 cargo run --example global     # the table once more, at the end of the program
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::mem;
use std::sync::mpsc;
use std::thread;

use tagheap::{Changes, Global, Holding, Tag, scope};

#[global_allocator]
static HEAP: Global = Global::new();

const PAGES: Tag = Tag::named("pages");
const COUNTS: Tag = Tag::named("counts");
const INDEX: Tag = Tag::named("index");
const SCRATCH: Tag = Tag::named("scratch");

const READERS: usize = 4;
const PAGES_EACH: usize = 250;

type Counts = HashMap<String, usize>;

fn main() -> Result<(), Box<dyn Error>> {
    HEAP.set_name(INDEX, "index of all words")?;

    let (pages, index) = read();
    println!("{} pages, {} different words.\n", pages.len(), index.len());
    println!("Pages and counts were allocated by {READERS} threads that are gone:\n");
    println!("{}\n", HEAP.report());

    let mut rooms = [[Holding::default(); 16]; 2];
    let [before, after] = &mut rooms;
    let before = HEAP.snapshot(before)?;
    drop(pages);
    let after = HEAP.snapshot(after)?;
    println!("The pages are dropped, by another thread than made them. What that changed:\n");
    println!("{}\n", Changes::between(before, after));
    println!("What is held now:\n\n{}\n", HEAP.report());

    sort_on_the_side(&index);
    // SAFETY: all that was allocated under this tag was forgotten; nobody has any of it.
    let released = unsafe { HEAP.release(SCRATCH)? };
    println!("The scratch is released in one call: {released}.\n");
    println!("{}\n", HEAP.report());

    println!("{} bytes go back to the kernel.", HEAP.trim()?);
    HEAP.check()?;

    // A leak, for the report at the end.
    mem::forget(index);
    Ok(())
}

/// All pages, and how often each word stands on them.
fn read() -> (Vec<String>, Counts) {
    let (to_main, from_readers) = mpsc::channel();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let to_main = to_main.clone();
            thread::spawn(move || {
                for page in 0..PAGES_EACH {
                    let text = scope(PAGES, || write_page(reader * PAGES_EACH + page));
                    let counts = scope(COUNTS, || count(&text));
                    if to_main.send((text, counts)).is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    drop(to_main);

    let mut pages = scope(PAGES, Vec::new);
    let mut index = scope(INDEX, Counts::new);
    for (text, counts) in from_readers {
        scope(PAGES, || pages.push(text));
        scope(INDEX, || merge(&mut index, &counts));
        // The counts go here: memory that another thread allocated.
    }
    for reader in readers {
        // A reader that panicked has said so.
        let _ = reader.join();
    }
    (pages, index)
}

/// A page of words that look like some.
fn write_page(number: usize) -> String {
    const SYLLABLES: [&str; 8] = ["ha", "ri", "mo", "lu", "ket", "san", "bor", "ti"];
    let mut state = number as u64 + 1;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut page = String::new();
    for _ in 0..200 {
        for _ in 0..=next(3) {
            page.extend(SYLLABLES.get(next(8)).copied());
        }
        page.push(' ');
    }
    page
}

fn count(text: &str) -> Counts {
    let mut counts = Counts::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

fn merge(index: &mut Counts, counts: &Counts) {
    for (word, count) in counts {
        match index.get_mut(word) {
            Some(all) => *all += count,
            None => {
                index.insert(word.clone(), *count);
            }
        }
    }
}

/// Prints the three words that stand on the most pages, and leaves what it needed for that to a release.
fn sort_on_the_side(index: &Counts) {
    let sorted = scope(SCRATCH, || {
        let mut words: Vec<_> = index
            .iter()
            .map(|(word, count)| (*count, word.clone()))
            .collect();
        words.sort_unstable_by(|one, other| other.cmp(one));
        words
    });
    for (count, word) in sorted.iter().take(3) {
        println!("{word:>12} {count:>6} times");
    }
    println!();
    mem::forget(sorted);
}
