//! Under which tag a thread allocates.

use core::future::{Future, poll_fn};
use core::pin::pin;

use crate::global::local;
use crate::words::tag::Tag;

/// Runs `work`: what this thread allocates meanwhile, through [`Global`](crate::Global), carries the tag.
///
/// Scopes nest; threads that `work` starts begin outside any. Memory that was allocated before keeps its tag, even
/// where it grows. A request under a tag that is the heap's own is misuse, and ends the program: those that
/// [are reserved](Tag::is_reserved), and `Tag::named("tagheap")`, under which it keeps its books.
/// Threads that have no memory of their own (see [`Global`](crate::Global)) have one scope in common.
///
/// ```
/// use tagheap::{Tag, scope};
///
/// let level = scope(Tag::named("level"), || vec![0_u8; 1000]);
/// # drop(level);
/// ```
///
/// What a future allocates carries the tag that is in force where it is polled: [`scope_async`] gives it one of its own.
pub fn scope<T>(tag: Tag, work: impl FnOnce() -> T) -> T {
    let _until_here = Scope::enter(tag);
    work()
}

/// Runs a future: what its polls allocate through [`Global`](crate::Global), on whichever threads, carries the tag.
///
/// The scope of [`scope`] around each poll; in between, and once the future is dropped, its thread allocates as before.
/// What its destructor allocates, if it is dropped before its end, carries the tag in force there. It can be sent to
/// other threads if `work` can.
///
/// ```
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use tagheap::{Global, Tag, scope_async};
///
/// #[global_allocator]
/// static HEAP: Global = Global::new();
///
/// const PARSER: Tag = Tag::named("parser");
///
/// let words = pin!(scope_async(PARSER, async { vec![String::from("harbour"); 100] }));
/// // What a runtime does, again and again.
/// if let Poll::Ready(words) = words.poll(&mut Context::from_waker(Waker::noop())) {
///     assert_eq!(HEAP.holding(PARSER)?.objects, words.len() + 1);
/// }
/// # Ok::<(), tagheap::Error>(())
/// ```
pub async fn scope_async<T>(tag: Tag, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| scope(tag, || work.as_mut().poll(context))).await
}

/// The tag under which the calling thread allocates through [`Global`](crate::Global): that of its scope, or
/// [`UNTAGGED`](crate::Global::UNTAGGED) outside any. O(1).
///
/// For work that goes on elsewhere under the tag of whoever asked for it:
///
/// ```
/// use std::thread;
/// use tagheap::{Tag, current_tag, scope};
///
/// let level = Tag::named("level");
/// let of_worker = scope(level, || {
///     let tag = current_tag();
///     thread::spawn(move || scope(tag, current_tag)).join()
/// });
/// assert_eq!(of_worker.unwrap(), level);
/// ```
#[must_use]
pub fn current_tag() -> Tag {
    local::tag_in_force()
}

/// Makes the calling thread allocate under a tag until the next such call, or, by `None`, as outside any scope; answers what
/// that puts out of force: the scope's tag, or `None` outside any. O(1); for signal handlers, too.
///
/// For scopes that no closure spans, as those of another language, whose ends put back what their beginnings were
/// answered. [`scope`] does so of itself, panics included.
///
/// ```
/// use tagheap::{Global, Tag, current_tag, replace_tag};
///
/// let outer = replace_tag(Some(Tag::named("level")));
/// assert_eq!(current_tag(), Tag::named("level"));
/// replace_tag(outer);
/// assert_eq!(current_tag(), Global::UNTAGGED);
/// ```
pub fn replace_tag(tag: Option<Tag>) -> Option<Tag> {
    local::change_tag(tag)
}

/// The tag that is in force again when this goes.
struct Scope {
    before: Option<Tag>,
}

impl Scope {
    fn enter(tag: Tag) -> Self {
        let before = replace_tag(Some(tag));
        Self { before }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        replace_tag(self.before);
    }
}
