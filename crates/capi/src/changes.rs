//! What became of the numbers about tags between two moments.
//!
//! # Safety
//!
//! Numbers are in the caller's arrays: null where there are none, or he vouches for them.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_void};
use core::ptr::NonNull;

use heap::{Changes, Error, Name, Numbers, OutOfMemory, Shortage, Tag, TagChange, TagStats};

use crate::answer::{self, Answer, Failure, given, put};
use crate::handle::{on, th_heap};
use crate::look::{th_tag_stats, write};
use crate::status::th_status;
use crate::text::Text;

/// How the numbers about a tag changed between two moments.
///
/// Blocks that were retagged or merged in between are fewer of one tag and more of another, and count as neither
/// allocations nor deallocations. A tag that was forgotten in between counted anew from there on: what is told of its
/// counters is less than what happened then. What is held is exact.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct th_change {
    /// The tag.
    pub tag: u64,
    /// Blocks that it holds more, or fewer.
    pub blocks: isize,
    /// Their bytes, headers included.
    pub bytes: isize,
    /// Bytes that were asked for in them.
    pub requested: isize,
    /// Blocks handed out.
    pub allocations: u64,
    /// Blocks given back, one by one or by a release.
    pub deallocations: u64,
    /// Requests for which there was no memory.
    pub failures: u64,
    /// Its name, or the one it had earlier, ended by a zero byte; empty unless it was named.
    pub name: [c_char; 32],
}

/// Sees how a tag's numbers changed, and says whether to go on. It may use the heap.
pub type th_visit_change =
    Option<unsafe extern "C" fn(change: *const th_change, context: *mut c_void) -> bool>;

/// A name as C has it.
pub(crate) fn name_for_c(name: &Name) -> [c_char; 32] {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(name.as_str().bytes()) {
        *place = byte as c_char;
    }
    bytes
}

impl From<TagChange> for th_change {
    fn from(change: TagChange) -> Self {
        Self {
            tag: change.tag.number(),
            blocks: change.blocks,
            bytes: change.bytes,
            requested: change.requested,
            allocations: change.allocations,
            deallocations: change.deallocations,
            failures: change.failures,
            name: name_for_c(&change.name),
        }
    }
}

impl From<th_tag_stats> for TagStats {
    fn from(stats: th_tag_stats) -> Self {
        let name = stats.name.map(|byte| byte as u8);
        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
        Self {
            tag: Tag::new(stats.tag),
            name: Name::new(name.to_str().unwrap_or_default()),
            blocks: stats.blocks,
            bytes: stats.bytes,
            requested: stats.requested,
            peak: stats.peak,
            allocations: stats.allocations,
            deallocations: stats.deallocations,
            failures: stats.failures,
            largest: stats.largest,
            limit: (stats.limit != usize::MAX).then_some(stats.limit),
        }
    }
}

impl Numbers for th_tag_stats {
    type Change = TagChange;

    fn tag(&self) -> Tag {
        Tag::new(self.tag)
    }

    fn none(tag: Tag) -> Self {
        TagStats::none(tag).into()
    }

    fn since(&self, earlier: &Self) -> TagChange {
        TagStats::from(*self).since(&TagStats::from(*earlier))
    }
}

/// Numbers about every tag that was used and not forgotten, in the order of tags: to `tags`, which has room for `capacity`
/// of them, and to `count` how many they are. For th_changes and th_change_table. Changes no number.
///
/// In a heap without indexes, the tags that hold blocks; O(tags * blocks) there. TH_NO_ROOM if they are more than there is
/// room for: `count` gets how many there are at least, and what is in `tags` is nothing's then. `tags` may be null if
/// `capacity` is 0. TH_NULL, TH_REENTERED, TH_DAMAGED_HEADER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_snapshot(
    heap: *const th_heap,
    tags: *mut th_tag_stats,
    capacity: usize,
    count: *mut usize,
) -> th_status {
    let snapshot = |heap: &th_heap| {
        let count = given(count)?;
        // SAFETY: the header's contract.
        let room = unsafe { room(tags, capacity) }?;
        let answer = heap.look(|heap| Ok(heap.snapshot(room).map(<[_]>::len)))?;
        let tags = match answer {
            Ok(tags) => tags,
            Err(Error::OutOfMemory(OutOfMemory {
                cause: Shortage::Tags { tags, .. },
                ..
            })) => tags,
            Err(error) => return Err(error.into()),
        };
        // SAFETY: as above.
        unsafe { put(count.as_ptr(), tags) };
        answer.map(drop).map_err(Failure::from)
    };
    // SAFETY: as above.
    answer::status(unsafe { on(heap, snapshot) })
}

/// Places for numbers, whatever is there: each gets those of no tag.
///
/// # Safety
///
/// So many places are the caller's, and nobody else uses them while the answer is.
unsafe fn room<'a>(tags: *mut th_tag_stats, capacity: usize) -> Answer<&'a mut [th_tag_stats]> {
    if capacity == 0 {
        return Ok(&mut []);
    }
    let tags = given(tags)?;
    for place in 0..capacity {
        // SAFETY: the caller has so many places.
        let place = unsafe { tags.add(place) };
        // SAFETY: as above.
        unsafe { place.write(th_tag_stats::none(Tag::FREE)) };
    }
    // SAFETY: just written, and the caller's alone.
    Ok(unsafe { NonNull::slice_from_raw_parts(tags, capacity).as_mut() })
}

/// Calls `visit` with how each tag's numbers changed from `earlier` to `later`, as far as any did, and `context`, until it
/// answers false: what holds the most bytes more comes first, what holds the most bytes less last.
///
/// Both are arrays that th_snapshot filled, or parts of them in their order, with so many tags; null if that is 0.
/// TH_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_changes(
    earlier: *const th_tag_stats,
    earlier_count: usize,
    later: *const th_tag_stats,
    later_count: usize,
    visit: th_visit_change,
    context: *mut c_void,
) -> th_status {
    let walk = || {
        let visit = visit.ok_or(th_status::TH_NULL)?;
        // SAFETY: the header's contract.
        let changes = unsafe { between((earlier, earlier_count), (later, later_count)) }?;
        for change in changes.by_growth() {
            let change = th_change::from(change);
            // SAFETY: C's own function, called as it is declared.
            if !unsafe { visit(&raw const change, context) } {
                break;
            }
        }
        Ok(())
    };
    answer::status(walk())
}

/// A table in text of what th_changes tells, and of all together. As th_table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_change_table(
    earlier: *const th_tag_stats,
    earlier_count: usize,
    later: *const th_tag_stats,
    later_count: usize,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> th_status {
    let print = || {
        // SAFETY: the header's contract.
        let changes = unsafe { between((earlier, earlier_count), (later, later_count)) }?;
        // SAFETY: as above.
        let mut out = unsafe { Text::new(text, capacity) };
        write(&mut out, &changes);
        // SAFETY: as above.
        unsafe { put(length, out.length()) };
        Ok(())
    };
    answer::status(print())
}

/// # Safety
///
/// Each array is what the header says, and nobody changes it while the answer is used.
unsafe fn between<'a>(
    earlier: (*const th_tag_stats, usize),
    later: (*const th_tag_stats, usize),
) -> Answer<Changes<'a, th_tag_stats>> {
    // SAFETY: the caller's promise.
    let earlier = unsafe { array(earlier) }?;
    // SAFETY: as above.
    let later = unsafe { array(later) }?;
    Ok(Changes::between(earlier, later))
}

/// # Safety
///
/// As for [`between`].
unsafe fn array<'a>((tags, count): (*const th_tag_stats, usize)) -> Answer<&'a [th_tag_stats]> {
    if count == 0 {
        return Ok(&[]);
    }
    let tags = given(tags)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { NonNull::slice_from_raw_parts(tags, count).as_ref() })
}
