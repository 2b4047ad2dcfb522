//! From which library a call comes. With `TAGHEAP_TAGS=library` in the environment, that is what memory is tagged by.
//!
//! Asking the loader takes microseconds, so what it said is kept by page of code. A library that comes to lie where one
//! was that has been closed may be taken for that one.
//!
//! # Safety
//!
//! The functions of the C library are called as its manual has them.

use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use heap::Tag;

use crate::HEAP;

/// Where a call returns to.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Caller(usize);

/// Whether memory is tagged by library.
static ARE_TAGS: AtomicBool = AtomicBool::new(false);

/// The loader runs this before the program begins.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    // SAFETY: as POSIX has it.
    let asked = unsafe { libc::getenv(c"TAGHEAP_TAGS".as_ptr()) };
    if asked.is_null() {
        return;
    }
    // SAFETY: a string of the environment's, which nobody changes before the program begins.
    let asked = unsafe { CStr::from_ptr(asked) };
    if asked == c"library" {
        ARE_TAGS.store(true, Ordering::Relaxed);
    } else if !asked.is_empty() {
        let complaint = c"tagheap: TAGHEAP_TAGS can be library, and nothing else\n".to_bytes();
        // SAFETY: as POSIX has it; if nobody reads it, nobody does.
        unsafe { libc::write(2, complaint.as_ptr().cast(), complaint.len()) };
    }
}

/// Libraries that have a tag of their own.
const MOST: usize = 1 << 10;

/// What calls from any other are tagged by.
const OTHERS: Tag = Tag::named("others");

/// The tags of libraries that called, in that order, behind which there are zeros.
static TAGS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Pages of code that are kept.
const PAGES: usize = 1 << 13;

/// Log2 of a page's bytes.
const PAGE: u32 = 12;

/// By the last bits of a page's number, that number and behind it, in as many bits as [`MOST`] has, which library it is
/// of. Zero is none.
static KNOWN: [AtomicU64; PAGES] = [const { AtomicU64::new(0) }; PAGES];

impl Caller {
    /// The tag of the library that it is in; `None` where memory is not tagged so.
    #[inline(always)]
    pub(crate) fn tag(self) -> Option<Tag> {
        ARE_TAGS.load(Ordering::Relaxed).then(|| self.library())
    }

    fn library(self) -> Tag {
        let page = self.0 as u64 >> PAGE;
        let Some(known) = KNOWN.get(page as usize % PAGES) else {
            return OTHERS;
        };
        let (bits, word) = (MOST.ilog2(), known.load(Ordering::Relaxed));
        if word >> bits == page {
            return tag_numbered(word as usize % MOST);
        }
        let number = self.ask().unwrap_or(MOST - 1);
        known.store(page << bits | number as u64, Ordering::Relaxed);
        tag_numbered(number)
    }

    /// The number of its library among those that have tags; `None` if there are too many.
    #[cold]
    fn ask(self) -> Option<usize> {
        let info = self.info();
        let name = info.as_ref().map_or(&b"(no library)"[..], file_of);
        let wanted = tag_of(name);
        for (number, place) in TAGS.iter().enumerate().take(MOST - 1) {
            let (none, relaxed) = (0, Ordering::Relaxed);
            match place.compare_exchange(none, wanted.number(), relaxed, relaxed) {
                Ok(_) => {
                    let name = name.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                    // Where there is no memory for it, the number stands there.
                    let _ = HEAP.set_name(wanted, name);
                    return Some(number);
                }
                Err(other) if other == wanted.number() => return Some(number),
                Err(_) => {}
            }
        }
        None
    }

    /// What the loader knows of it.
    fn info(self) -> Option<libc::Dl_info> {
        let mut info = MaybeUninit::uninit();
        let at = core::ptr::without_provenance(self.0);
        // SAFETY: as the manual has it.
        if unsafe { libc::dladdr(at, info.as_mut_ptr()) } == 0 {
            return None;
        }
        // SAFETY: filled in, as was answered.
        Some(unsafe { info.assume_init() }).filter(|info: &libc::Dl_info| !info.dli_fname.is_null())
    }
}

impl fmt::Display for Caller {
    /// The file and how far into it, as `addr2line` takes it, where there is one; else the address. The call ends in
    /// front of where it returns to, which may be another line of the source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.0.wrapping_sub(1);
        let Some(info) = self.info() else {
            return write!(f, "{call:#x}");
        };
        // SAFETY: the loader's name for a file that is loaded.
        let path = unsafe { CStr::from_ptr(info.dli_fname) };
        for chunk in path.to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        write!(f, "+{:#x}", call.wrapping_sub(info.dli_fbase.addr()))
    }
}

/// The tag of a library that has a number.
fn tag_numbered(number: usize) -> Tag {
    let tag = TAGS
        .get(number)
        .map_or(0, |tag| tag.load(Ordering::Relaxed));
    if tag == 0 { OTHERS } else { Tag::new(tag) }
}

/// The last part of the path of a file that is loaded.
fn file_of(info: &libc::Dl_info) -> &[u8] {
    // SAFETY: the loader's name for it, which stays as long as it is loaded: whoever calls is in it.
    let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The tag for a name: tables come in about the order of the alphabet, by its first letters; the rest of the number is a
/// hash (Fowler, Noll, Vo, FNV-1a) of it all.
fn tag_of(name: &[u8]) -> Tag {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    let mut letters = [b' '; 4];
    for (letter, byte) in letters.iter_mut().zip(name) {
        *letter = byte & 0x7f;
    }
    Tag::new(u64::from(u32::from_be_bytes(letters)) << 32 | u64::from(hash))
}
