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
        let work = AssertUnwindSafe(|| panic::resume_unwind(Box::new(work())));
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
        let bytes_held = || {
            HEAP.holdings()
                .map(|holding| holding.held.bytes)
                .sum::<usize>()
        };
        let (before, mut most) = (bytes_held(), 0);
        for number in 0..100_000_u64 {
            let tag = Tag::new(1 << 40 | number);
            scope(tag, || drop(black_box(Box::new(number))));
            if number % 5000 == 0 {
                assert_eq!(objects(tag), 0);
                HEAP.check().unwrap();
                most = most.max(bytes_held());
            }
        }
        println!("{before} bytes before, {most} at most");
        assert!(most < before + (16 << 20));
        HEAP.trim().unwrap();
        assert_eq!(blocks(Tag::new(1 << 40 | 99_999)), 0);
    });
}
