//! Under which tag a thread allocates.

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
/// What a future allocates carries the tag that is in force where it is polled. One that is to carry a tag of its own,
/// on whichever thread, is polled in a scope:
///
/// ```
/// use core::future::{Future, poll_fn};
/// use core::pin::pin;
/// use tagheap::{Tag, scope};
/// # use core::task::{Context, Poll, Waker};
/// # use tagheap::Global;
/// # #[global_allocator]
/// # static HEAP: Global = Global::new();
///
/// async fn under<T>(tag: Tag, work: impl Future<Output = T>) -> T {
///     let mut work = pin!(work);
///     poll_fn(|context| scope(tag, || work.as_mut().poll(context))).await
/// }
/// # let parser = Tag::named("parser");
/// # let words = pin!(under(parser, async { vec![String::from("harbour"); 100] }));
/// # let Poll::Ready(words) = words.poll(&mut Context::from_waker(Waker::noop())) else { return };
/// # assert_eq!((words.len(), HEAP.holding(parser).unwrap().objects), (100, 101));
/// ```
pub fn scope<T>(tag: Tag, work: impl FnOnce() -> T) -> T {
    let _until_here = Scope::enter(tag);
    work()
}

/// The tag that is in force again when this goes.
struct Scope {
    before: Option<Tag>,
}

impl Scope {
    fn enter(tag: Tag) -> Self {
        let before = local::change_tag(Some(tag));
        Self { before }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        local::change_tag(self.before);
    }
}
