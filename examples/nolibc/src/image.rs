//! What the thread-local memory of each thread begins as, and where its parts lie.
//!
//! The System V ABI for x86-64 has it so (Drepper, "ELF Handling For Thread-Local Storage", variant II): the
//! variables of a static program end where the thread pointer points, to a word that holds its own address. How
//! many bytes they are, how aligned, and with what they begin, says the program header `PT_TLS`.
//!
//! # Safety
//!
//! The program's headers are in memory, where the linker says: it puts them into the first segment.

use core::ptr::{self, NonNull};
use core::slice;

/// The variables of a thread.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// What they begin with; all behind is zero.
    start: &'static [u8],
    size: usize,
    align: usize,
    /// Bytes from their start to the thread pointer.
    offset: usize,
}

/// The head of a program in ELF, as far as it is used here.
#[repr(C)]
struct FileHeader {
    before: [u8; 32],
    headers_at: u64,
    between: [u8; 16],
    header_count: u16,
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: usize,
    physical: u64,
    filled: usize,
    size: usize,
    align: usize,
}

const PT_TLS: u32 = 7;

unsafe extern "C" {
    /// The start of the program's file in memory, where the linker puts this name.
    static __ehdr_start: FileHeader;
}

impl Image {
    /// That of this program.
    pub fn of_program() -> Self {
        let none = Self {
            start: &[],
            size: 0,
            align: 1,
            offset: 0,
        };
        let Some(header) = headers().iter().find(|header| header.kind == PT_TLS) else {
            return none;
        };
        let (size, align) = (header.size, header.align.max(1));
        // SAFETY: the bytes that this header tells of, of a segment that nobody writes to once the program is linked
        // at its fixed address.
        let start = unsafe {
            slice::from_raw_parts(ptr::with_exposed_provenance(header.address), header.filled)
        };
        // As linkers reckon: at least the size, and so that an aligned pointer aligns the variables as they were linked.
        let skewed = header.address.wrapping_add(size).wrapping_neg() & (align - 1);
        Self {
            start,
            size,
            align,
            offset: size + skewed,
        }
    }

    /// Bytes to have below the thread pointer.
    pub fn room(&self) -> usize {
        self.offset
    }

    /// What the thread pointer is a multiple of, a power of two.
    pub fn align(&self) -> usize {
        self.align
    }

    /// Puts the variables in front of the thread pointer.
    ///
    /// # Safety
    ///
    /// - The bytes in front of it, as many as [`room`](Image::room) says, are zero and nobody's.
    /// - The pointer is as aligned as [`align`](Image::align) says.
    pub unsafe fn plant(&self, pointer: NonNull<u8>) {
        debug_assert!(self.start.len() <= self.size);
        // SAFETY: within the room.
        let to = unsafe { pointer.sub(self.offset) };
        // SAFETY: the room is at least as large as the variables, of which these are the first, and apart from them.
        unsafe { ptr::copy_nonoverlapping(self.start.as_ptr(), to.as_ptr(), self.start.len()) };
    }
}

/// The headers of this program.
fn headers() -> &'static [ProgramHeader] {
    // SAFETY: the linker's, and nobody writes to it.
    let file = unsafe { &__ehdr_start };
    let start = ptr::from_ref(file).cast::<u8>();
    // SAFETY: the headers lie in the same segment, at most some hundred bytes behind the file's head.
    let first = unsafe { start.add(file.headers_at as usize) };
    // SAFETY: as many there are; a head of 64 bytes in front of them, at the start of a page, aligns them.
    unsafe { slice::from_raw_parts(first.cast(), file.header_count.into()) }
}
