//! Scopes: under which tag memory is allocated.

use core::hint::black_box;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use tagheap::{Global, Tag, scope};

use crate::HEAP;
use crate::careless::free;
use crate::support::{alone, blocks, bytes, objects};

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

/// Bytes of memory that the process has.
fn resident() -> usize {
    let numbers = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = numbers.split(' ').nth(1).unwrap().parse().unwrap();
    pages << 12
}
