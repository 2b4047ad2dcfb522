//! What a heap tells: numbers, its blocks one by one, text, and whether it is in order.
//!
//! # Safety
//!
//! Numbers and text go where the caller says; his functions are called while the heap is in order, and busy.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_void};
use core::fmt::{Display, Write};

use heap::{Heap, Tag, TagStats};

use crate::answer::{self, Answer, given, put};
use crate::changes::name_for_c;
use crate::ground::Ground;
use crate::handle::{TH_TAG_FREE, on, th_heap};
use crate::status::th_status;
use crate::tags::th_amount;
use crate::text::Text;

/// Numbers about a whole heap.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_stats {
    /// Blocks under users' tags, handles of pools among them.
    pub used: th_amount,
    /// Free blocks.
    pub free: th_amount,
    /// Blocks of the heap's own.
    pub own: th_amount,
    /// Bytes of the largest free block, header included.
    pub largest_free: usize,
    /// Bytes of all blocks together.
    pub row: usize,
    /// Bytes that the heap has had from where its memory comes from.
    pub granted: usize,
}

/// Numbers about a tag. Those that count survive a release, until the tag is forgotten.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_tag_stats {
    /// The tag.
    pub tag: u64,
    /// Blocks it holds.
    pub blocks: usize,
    /// Their bytes, headers included.
    pub bytes: usize,
    /// Bytes that were asked for in them.
    pub requested: usize,
    /// The most that `bytes` ever was, or since the peak was reset.
    pub peak: usize,
    /// Blocks handed out.
    pub allocations: u64,
    /// Blocks given back, one by one or by a release.
    pub deallocations: u64,
    /// Requests for which there was no memory.
    pub failures: u64,
    /// Bytes of the largest request met.
    pub largest: usize,
    /// The most that `bytes` may be; SIZE_MAX if there is no limit.
    pub limit: usize,
    /// Its name, ended by a zero byte; empty unless it was named.
    pub name: [c_char; 32],
}

/// A block as a walk sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_block {
    /// What its holder has a pointer to. Not to be followed by others.
    pub payload: *const c_void,
    /// Bytes of payload.
    pub usable: usize,
    /// Whose it is; TH_TAG_FREE if it is free.
    pub tag: u64,
}

/// What a release would do.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_forecast {
    /// What it would free.
    pub amount: th_amount,
    /// Bytes by which the row of blocks would get shorter.
    pub shorter: usize,
}

/// Sees a block, and says whether to go on. The heap is busy meanwhile: calls on it answer TH_REENTERED. It returns
/// as functions do: no longjmp, no exception.
pub type th_visit_block =
    Option<unsafe extern "C" fn(block: *const th_block, context: *mut c_void) -> bool>;

/// Sees a tag's numbers, and says whether to go on; as th_visit_block.
pub type th_visit_tag =
    Option<unsafe extern "C" fn(stats: *const th_tag_stats, context: *mut c_void) -> bool>;

impl From<TagStats> for th_tag_stats {
    fn from(stats: TagStats) -> Self {
        Self {
            tag: stats.tag.number(),
            blocks: stats.blocks,
            bytes: stats.bytes,
            requested: stats.requested,
            peak: stats.peak,
            allocations: stats.allocations,
            deallocations: stats.deallocations,
            failures: stats.failures,
            largest: stats.largest,
            limit: stats.limit.unwrap_or(usize::MAX),
            name: name_for_c(&stats.name),
        }
    }
}

/// # Safety
///
/// The pointers are what the header says.
unsafe fn tell<T>(
    heap: *const th_heap,
    place: *mut T,
    work: impl FnOnce(&Heap<Ground>) -> Answer<T>,
) -> th_status {
    let tell = |heap: &th_heap| {
        let place = given(place)?;
        let answer = heap.look(work)?;
        // SAFETY: the caller's promise.
        unsafe { put(place.as_ptr(), answer) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    answer::status(unsafe { on(heap, tell) })
}

/// Numbers about the whole heap, to `stats`. O(blocks). TH_DAMAGED_HEADER, TH_REENTERED on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_stats_of_heap(heap: *const th_heap, stats: *mut th_stats) -> th_status {
    let count = |heap: &Heap<Ground>| {
        let stats = heap.stats()?;
        Ok(th_stats {
            used: stats.used.into(),
            free: stats.free.into(),
            own: stats.own.into(),
            largest_free: stats.largest_free,
            row: stats.row,
            granted: stats.granted,
        })
    };
    // SAFETY: the header's contract.
    unsafe { tell(heap, stats, count) }
}

/// Numbers about a tag, to `stats`; for one that was never used all zero but `tag` and `limit`. O(1), but in
/// a heap without indexes, where blocks are counted and what else is kept by tag is as for one never used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_stats_of_tag(
    heap: *const th_heap,
    tag: u64,
    stats: *mut th_tag_stats,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe { tell(heap, stats, |heap| Ok(heap.stats_of(Tag::new(tag))?.into())) }
}

/// What th_release of a tag would do, to `forecast`; nothing is done. O(blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_would_release(
    heap: *const th_heap,
    tag: u64,
    forecast: *mut th_forecast,
) -> th_status {
    let foretell = |heap: &Heap<Ground>| {
        let forecast = heap.would_release(Tag::new(tag))?;
        Ok(th_forecast {
            amount: forecast.amount.into(),
            shorter: heap.end().saturating_sub(forecast.end),
        })
    };
    // SAFETY: the header's contract.
    unsafe { tell(heap, forecast, foretell) }
}

/// Whose block is the last in use, so that memory behind it alone can go back, to `tag`; 0 if nobody's. O(blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_pinned_by(heap: *const th_heap, tag: *mut u64) -> th_status {
    let pinned = |heap: &Heap<Ground>| Ok(heap.pinned_by()?.map_or(TH_TAG_FREE, Tag::number));
    // SAFETY: the header's contract.
    unsafe { tell(heap, tag, pinned) }
}

/// Calls `visit` with each block and `context`, in the order of addresses, until it answers false. O(blocks).
///
/// TH_OK at the end, or when `visit` ended it. TH_DAMAGED_HEADER at the first damage; TH_NULL, TH_REENTERED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_walk(
    heap: *const th_heap,
    visit: th_visit_block,
    context: *mut c_void,
) -> th_status {
    let walk = |heap: &th_heap| {
        let visit = visit.ok_or(th_status::TH_NULL)?;
        heap.look(|heap| {
            for block in heap.walk() {
                let block = block?;
                let block = th_block {
                    payload: core::ptr::without_provenance(block.payload()),
                    usable: block.usable(),
                    tag: block.tag().map_or(TH_TAG_FREE, Tag::number),
                };
                // SAFETY: C's own function, called as it is declared.
                if !unsafe { visit(&raw const block, context) } {
                    break;
                }
            }
            Ok(())
        })
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(heap, walk) })
}

/// Calls `visit` with the numbers of each tag that was used and not forgotten, and `context`, in no order, until it
/// answers false. A heap without indexes knows of none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_tags(
    heap: *const th_heap,
    visit: th_visit_tag,
    context: *mut c_void,
) -> th_status {
    let walk = |heap: &th_heap| {
        let visit = visit.ok_or(th_status::TH_NULL)?;
        heap.look(|heap| {
            for stats in heap.tags() {
                let stats = th_tag_stats::from(stats);
                // SAFETY: C's own function, called as it is declared.
                if !unsafe { visit(&raw const stats, context) } {
                    break;
                }
            }
            Ok(())
        })
    };
    // SAFETY: the header's contract.
    answer::status(unsafe { on(heap, walk) })
}

/// Checks everything: the memory, every header, every index and number. O(blocks). TH_OK, or the first damage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_check(heap: *const th_heap) -> th_status {
    // SAFETY: the header's contract.
    answer::status(unsafe { on(heap, |heap| heap.look(|heap| Ok(heap.check()?))) })
}

/// Gives memory behind the last block back to the kernel, in whole pages; `bytes`, unless it is null, gets how much.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_trim(heap: *mut th_heap, bytes: *mut usize) -> th_status {
    // SAFETY: the header's contract.
    let answer = unsafe { on(heap, |heap| heap.with(|heap, _| Ok(heap.trim()))) };
    // SAFETY: as above.
    answer::status(answer.map(|trimmed| unsafe { put(bytes, trimmed) }))
}

/// Gives every whole page that no block in use needs back to the kernel: those behind the last block, as th_trim does,
/// and those inside free blocks, which are touched anew when they are handed out again. A system call for each free
/// block with a page in it. What was known of blocks freed there is lost: freeing one once more is TH_NOT_A_BLOCK, no
/// longer TH_DOUBLE_FREE. `bytes`, unless it is null, gets how much.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_purge(heap: *mut th_heap, bytes: *mut usize) -> th_status {
    // SAFETY: the header's contract.
    let answer = unsafe { on(heap, |heap| heap.with(|heap, _| Ok(heap.purge()?))) };
    // SAFETY: as above.
    answer::status(answer.map(|purged| unsafe { put(bytes, purged) }))
}

/// A table in text: blocks and bytes by tag, and its name where it has one. Written as snprintf writes: at most
/// `capacity` bytes to `text`, a zero byte at the end; `length`, unless it is null, gets the bytes that all of it has
/// without that. `text` may be null if `capacity` is 0. O(blocks and tags).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_table(
    heap: *const th_heap,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe {
        print(heap, (text, capacity), length, |heap, out| {
            write(out, &heap.table())
        })
    }
}

/// A picture of the row of blocks in text: each its tag and bytes, free ones in brackets. As th_table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_drawing(
    heap: *const th_heap,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> th_status {
    // SAFETY: the header's contract.
    unsafe {
        print(heap, (text, capacity), length, |heap, out| {
            write(out, &heap.drawing())
        })
    }
}

/// What last went wrong on this heap or its pools, in whichever thread, in one line of text for people: with
/// addresses, tags and sizes. As th_table; empty if nothing went wrong so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_last_error(
    heap: *const th_heap,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> th_status {
    let last = |heap: &th_heap| {
        let last = heap.last();
        // SAFETY: the header's contract.
        let mut out = unsafe { Text::new(text, capacity) };
        if let Some(failure) = last {
            write(&mut out, &failure);
        }
        Ok(out.length())
    };
    // SAFETY: the header's contract.
    let answer = unsafe { on(heap, last) };
    // SAFETY: as above.
    answer::status(answer.map(|whole| unsafe { put(length, whole) }))
}

pub(crate) fn write(out: &mut Text, what: &dyn Display) {
    // Text that does not fit is cut, which is no error.
    let _ = write!(out, "{what}");
}

/// # Safety
///
/// The pointers are what the header says: the text's, and its length's.
unsafe fn print(
    heap: *const th_heap,
    (text, capacity): (*mut c_char, usize),
    length: *mut usize,
    print: impl FnOnce(&Heap<Ground>, &mut Text),
) -> th_status {
    let print = |heap: &th_heap| {
        heap.look(|heap| {
            // SAFETY: the caller's promise.
            let mut out = unsafe { Text::new(text, capacity) };
            print(heap, &mut out);
            Ok(out.length())
        })
    };
    // SAFETY: the caller's promise.
    let answer = unsafe { on(heap, print) };
    // SAFETY: as above.
    answer::status(answer.map(|whole| unsafe { put(length, whole) }))
}
