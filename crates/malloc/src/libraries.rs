//! From which library a call comes. With `TAGHEAP_TAGS=library` in the environment, that is what memory is tagged by outside
//! scopes of the program's own.
//!
//! Asking the loader takes microseconds, so what it said is kept by page of code. A library that comes to lie where one
//! was that has been closed may be taken for that one.
//!
//! # Safety
//!
//! The functions of the C library are called as its manual has them.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt;
use core::mem::{self, MaybeUninit};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};

use heap::{Global, Tag};

use crate::{HEAP, forks, scopes};

/// Where a call returns to.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Caller(usize);

/// What is tagged: it is not known yet, nothing, or memory by library.
static TAGGED: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const NOTHING: u8 = 1;
const MEMORY: u8 = 2;

/// The loader runs this before the program begins, if not before other libraries do.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    // What is to be done at the end is said when the heap is made: not when somebody who says such a thing, too, needs
    // memory for that.
    let _ = HEAP.holding(Global::UNTAGGED);
    forks::prepare();
    if TAGGED.load(Ordering::Relaxed) == UNKNOWN {
        look();
    }
}

/// Looks at what the environment asks for.
#[cold]
fn look() {
    TAGGED.store(NOTHING, Ordering::Relaxed);
    // SAFETY: as POSIX has it.
    let asked = unsafe { libc::getenv(c"TAGHEAP_TAGS".as_ptr()) };
    if asked.is_null() {
        return;
    }
    // SAFETY: a string of the environment's, which nobody changes before the program begins.
    let asked = unsafe { CStr::from_ptr(asked) };
    if asked == c"library" {
        TAGGED.store(MEMORY, Ordering::Relaxed);
        // SAFETY: as POSIX has it.
        let find = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
        FIND.store(find, Ordering::Release);
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
    /// Whether memory may be tagged by library.
    #[inline(always)]
    pub(crate) fn may_have_tag(self) -> bool {
        TAGGED.load(Ordering::Relaxed) != NOTHING
    }

    /// The tag of the library that it is in; `None` where memory is not tagged so, or the thread is in a scope that has a
    /// tag.
    #[inline(always)]
    pub(crate) fn tag(self) -> Option<Tag> {
        match TAGGED.load(Ordering::Relaxed) {
            NOTHING => None,
            _ => self.by_library(),
        }
    }

    /// Not inlined: most programs do not ask for it, and the others' way is short.
    #[inline(never)]
    fn by_library(self) -> Option<Tag> {
        match TAGGED.load(Ordering::Relaxed) {
            UNKNOWN => self.looked(),
            // What the program says of a request is more than where that comes from.
            MEMORY if !scopes::have_tag() => Some(self.tag_of_library()),
            _ => None,
        }
    }

    #[cold]
    #[inline(never)]
    fn looked(self) -> Option<Tag> {
        look();
        self.tag()
    }

    #[inline(always)]
    fn tag_of_library(self) -> Tag {
        let (page, bits) = (self.page(), MOST.ilog2());
        let known = KNOWN.get(page as usize % PAGES);
        match known.map(|known| known.load(Ordering::Relaxed)) {
            Some(word) if word >> bits == page => tag_numbered(word as usize % MOST),
            _ => self.asked(),
        }
    }

    /// The number of the page of code that it is in.
    fn page(self) -> u64 {
        self.0 as u64 >> PAGE
    }

    /// What the loader says, which is kept.
    #[cold]
    #[inline(never)]
    fn asked(self) -> Tag {
        let (page, number) = (self.page(), self.ask().unwrap_or(MOST - 1));
        if let Some(known) = KNOWN.get(page as usize % PAGES) {
            known.store(page << MOST.ilog2() | number as u64, Ordering::Relaxed);
        }
        tag_numbered(number)
    }

    /// The number of its library among those that have tags; `None` if there are too many.
    #[cold]
    fn ask(self) -> Option<usize> {
        let name = self.loaded().map_or(&b"(no library)"[..], Loaded::name);
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

    /// What the loader knows of the file that it is in.
    pub(crate) fn loaded(self) -> Option<&'static Loaded> {
        let at = core::ptr::without_provenance(self.0);
        let find = FIND.load(Ordering::Acquire);
        let mut map: *const Loaded = core::ptr::null();
        if find.is_null() {
            let mut info = MaybeUninit::uninit();
            // SAFETY: as the manual has it: the last argument says what is to be put in front of it.
            let known = unsafe { libc::dladdr1(at, info.as_mut_ptr(), (&raw mut map).cast(), MAP) };
            if known == 0 {
                return None;
            }
        } else {
            // SAFETY: the loader's function of that name has this type.
            let find = unsafe { mem::transmute::<*mut c_void, Find>(find) };
            let mut found = MaybeUninit::<Found>::zeroed();
            // SAFETY: as the manual has it.
            if unsafe { find(at, found.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: filled in, as was answered.
            map = unsafe { found.assume_init() }.map;
        }
        // SAFETY: null, or what stays as long as the file is loaded: whoever calls is in it.
        unsafe { map.as_ref() }
    }
}

impl fmt::Display for Caller {
    /// The file and where in it, as `addr2line` takes it, where there is one; else the address. The call ends in front of
    /// where it returns to, which may be another line of the source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.0.wrapping_sub(1);
        let Some(loaded) = self.loaded() else {
            return write!(f, "{call:#x}");
        };
        let mut program = [0; 1 << 10];
        let path = match loaded.path() {
            b"" => program_in(&mut program),
            path => path,
        };
        for chunk in path.utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        write!(f, "+{:#x}", call.wrapping_sub(loaded.moved))
    }
}

/// What the loader knows of a file that it loaded: the first words of its `link_map`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Loaded {
    /// How far from where the file says.
    moved: usize,
    /// Empty for the program's own.
    pub(crate) path: *const c_char,
}

impl Loaded {
    fn path(&self) -> &[u8] {
        // SAFETY: the loader's name for a file that is loaded.
        unsafe { CStr::from_ptr(self.path) }.to_bytes()
    }

    /// The last part of its path, or of what the program was started by: what its arguments say, programs write over.
    fn name(&self) -> &[u8] {
        // SAFETY: as the manual has it.
        let started = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
        let path = match self.path() {
            b"" if started.is_null() => b"(program)",
            // SAFETY: the kernel's, behind arguments and environment.
            b"" => unsafe { CStr::from_ptr(started) }.to_bytes(),
            path => path,
        };
        path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
    }
}

/// The path of the program, or as much as there is room for.
fn program_in(room: &mut [u8]) -> &[u8] {
    let (to, most) = (room.as_mut_ptr().cast(), room.len());
    // SAFETY: as POSIX has it: no more bytes than there are.
    let length = unsafe { libc::readlink(c"/proc/self/exe".as_ptr(), to, most) };
    let path = usize::try_from(length).ok();
    path.and_then(|length| room.get(..length))
        .unwrap_or(b"(program)")
}

/// The loader's `_dl_find_object`, where it has that (glibc 2.35): it waits for nobody, and whoever opens a library may wait
/// for somebody who asks for memory. Null elsewhere.
static FIND: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

type Find = unsafe extern "C" fn(*const c_void, *mut Found) -> c_int;

/// What it answers.
#[repr(C)]
struct Found {
    flags: u64,
    start: *const c_void,
    end: *const c_void,
    map: *const Loaded,
    rest: [u64; 8],
}

/// Has `dladdr1` answer the `link_map`.
const MAP: c_int = 2;

/// The tag of a library that has a number.
fn tag_numbered(number: usize) -> Tag {
    let tag = TAGS
        .get(number)
        .map_or(0, |tag| tag.load(Ordering::Relaxed));
    if tag == 0 { OTHERS } else { Tag::new(tag) }
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
