//! Scopes: under which tag memory is allocated.

use core::cell::Cell;
use core::future::poll_fn;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use tagheap::{Global, Tag, current_tag, replace_tag, scope, scope_async};

use crate::HEAP;
use crate::careless::free;
use crate::support::{alone, blocks, bytes, objects, resident};

const A: Tag = Tag::named("scope a");
const B: Tag = Tag::named("scope b");

/// The tag under which this thread allocates.
fn tag_here() -> Tag {
    let mut tags = [1, 100, 20_000].map(|size| {
        let ptr = HEAP.allocate(bytes(size)).unwrap().cast();
        let tag = HEAP.tag_of(ptr).unwrap();
        free(ptr, bytes(size)).unwrap();
        tag
    });
    tags.sort();
    assert_eq!(tags[0], tags[2]);
    tags[0]
}

#[test]
fn scopes_nest() {
    assert_eq!(tag_here(), Global::UNTAGGED);
    let answer = scope(A, || {
        assert_eq!(tag_here(), A);
        scope(B, || {
            assert_eq!(tag_here(), B);
            scope(A, || assert_eq!(tag_here(), A));
            scope(B, || assert_eq!(tag_here(), B));
            assert_eq!(tag_here(), B);
        });
        assert_eq!(tag_here(), A);
        scope(Global::UNTAGGED, || {
            assert_eq!(tag_here(), Global::UNTAGGED)
        });
        assert_eq!(tag_here(), A);
        42
    });
    assert_eq!((answer, tag_here()), (42, Global::UNTAGGED));
}

#[test]
fn scopes_end_with_a_panic() {
    let quietly = |work: &dyn Fn()| {
        let work = AssertUnwindSafe(work);
        assert!(panic::catch_unwind(work).is_err());
    };
    scope(A, || {
        quietly(&|| {
            scope(B, || {
                scope(A, || scope(B, || panic::resume_unwind(Box::new(1))))
            })
        });
        assert_eq!(tag_here(), A);
    });
    quietly(&|| scope(B, || panic::resume_unwind(Box::new(1))));
    assert_eq!(tag_here(), Global::UNTAGGED);
}

#[test]
fn threads_begin_outside_any_scope() {
    scope(A, || {
        let of_thread = thread::spawn(tag_here).join().unwrap();
        assert_eq!((of_thread, tag_here()), (Global::UNTAGGED, A));
        thread::scope(|threads| {
            threads.spawn(|| scope(B, || assert_eq!(tag_here(), B)));
            assert_eq!(tag_here(), A);
        });
    });
}

#[test]
fn who_asks_is_told_the_tag_in_force() {
    assert_eq!(current_tag(), Global::UNTAGGED);
    scope(A, || {
        assert_eq!(current_tag(), A);
        scope(B, || assert_eq!(current_tag(), B));
        let tag = current_tag();
        let of_thread = thread::spawn(move || (current_tag(), scope(tag, tag_here)));
        assert_eq!(of_thread.join().unwrap(), (Global::UNTAGGED, A));
    });
    assert_eq!(current_tag(), Global::UNTAGGED);
}

#[test]
fn a_tag_is_replaced_until_the_next() {
    assert_eq!(replace_tag(Some(A)), None);
    assert_eq!((tag_here(), current_tag()), (A, A));
    assert_eq!(replace_tag(Some(B)), Some(A));
    // A scope puts back what it finds, and what is replaced in one lasts as long as that.
    scope(A, || {
        assert_eq!(replace_tag(None), Some(A));
        assert_eq!(
            (tag_here(), current_tag()),
            (Global::UNTAGGED, Global::UNTAGGED)
        );
    });
    assert_eq!(tag_here(), B);
    let of_thread = thread::spawn(|| replace_tag(Some(A))).join().unwrap();
    assert_eq!(of_thread, None);
    assert_eq!((replace_tag(None), tag_here()), (Some(B), Global::UNTAGGED));
}

/// Lets whoever polls do something else once.
async fn pause() {
    let mut paused = false;
    poll_fn(|_| match core::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

fn poll<T>(work: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(work).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn futures_have_tags_of_their_own_on_any_thread_in_any_order() {
    let of_b = async || {
        let first = tag_here();
        pause().await;
        (first, tag_here())
    };
    let work = async move {
        let first = tag_here();
        pause().await;
        let inner = scope_async(B, of_b()).await;
        (first, inner, tag_here())
    };
    let mut one = Box::pin(scope_async(A, work));
    let mut other = Box::pin(scope_async(B, async {
        pause().await;
        pause().await;
        tag_here()
    }));
    for _ in 0..2 {
        assert!(poll(&mut one).is_pending() && poll(&mut other).is_pending());
        assert_eq!(tag_here(), Global::UNTAGGED);
    }
    // Both may be sent, and go on elsewhere.
    let of_thread = move || scope(A, || (poll(&mut one), poll(&mut other), tag_here()));
    let (one, other, here) = thread::spawn(of_thread).join().unwrap();
    assert_eq!(one, Poll::Ready((A, (B, B), A)));
    assert_eq!((other, here), (Poll::Ready(B), A));
}

#[test]
fn a_future_that_panics_or_is_dropped_ends_its_scope() {
    let mut work = Box::pin(scope_async(A, async {
        pause().await;
        panic::resume_unwind(Box::new(1))
    }));
    scope(B, || {
        assert!(poll::<()>(&mut work).is_pending());
        let again = AssertUnwindSafe(|| poll(&mut work).is_ready());
        assert!(panic::catch_unwind(again).is_err());
        assert_eq!(tag_here(), B);
    });

    struct Tells<'a>(&'a Cell<Option<Tag>>);
    impl Drop for Tells<'_> {
        fn drop(&mut self) {
            self.0.set(Some(tag_here()));
        }
    }
    let told = Cell::new(None);
    let tells = Tells(&told);
    let mut work = Box::pin(scope_async(A, async move {
        pause().await;
        drop(tells);
    }));
    assert!(poll(&mut work).is_pending());
    scope(B, || drop(work));
    assert_eq!((told.get(), tag_here()), (Some(B), Global::UNTAGGED));
}

#[test]
fn a_hundred_thousand_tags_one_after_another() {
    alone(|| {
        const MANY: u64 = 100_000;
        let tags = || (0..MANY).map(|number| Tag::new(1 << 40 | number));
        let before = resident();
        for tag in tags() {
            scope(tag, || drop(black_box(Box::new(tag))));
        }
        let held: usize = tags().map(blocks).sum();
        let grown = resident() - before;
        println!("{held} blocks held, {grown} bytes more");
        assert!(held <= 10, "{held}");
        // What is known of each tag stays: its numbers.
        assert!(grown < 48 << 20, "{grown}");
        HEAP.check().unwrap();
        HEAP.trim().unwrap();
        assert!(
            tags()
                .rev()
                .take(100)
                .all(|tag| (blocks(tag), objects(tag)) == (0, 0))
        );
    });
}
