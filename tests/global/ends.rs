//! F08, F09: requests where a thread or the program ends, or panics.

use core::cell::RefCell;
use core::ffi::c_void;
use core::ptr;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tagheap::{Tag, scope};

use crate::HEAP;
use crate::support::{Piece, alone, bytes, ends, is_done, objects, text};

const LATE: Tag = Tag::named("f08");

fn work() {
    for size in [10, 100, 5000, 50_000] {
        let piece = Piece::take(LATE, bytes(size), 1);
        let words: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(words.concat().len(), 30);
        piece.give_back();
    }
}

/// Works when it is dropped, and frees what it has.
struct Late(Vec<String>);

impl Drop for Late {
    fn drop(&mut self) {
        work();
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ONE: RefCell<Option<Late>> = const { RefCell::new(None) };
    static TWO: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn f08_requests_where_a_thread_ends() {
    alone(|| {
        for _ in 0..50 {
            let begin = || {
                let late = || {
                    Some(Late(scope(LATE, || {
                        (0..50).map(|number| number.to_string()).collect()
                    })))
                };
                ONE.set(late());
                TWO.set(late());
                assert!(ONE.with_borrow(|late| late.as_ref().unwrap().0.len()) == 50);
            };
            thread::spawn(begin).join().unwrap();
        }
        assert_eq!(DROPPED.load(Ordering::Relaxed), 100);
        assert_eq!(objects(LATE), 0);
        HEAP.check().unwrap();
    });
}

/// After the heap was told that the thread goes: other destructors of the threads library's come later.
#[test]
fn f08_requests_after_the_heap_was_told_that_the_thread_ends() {
    extern "C" fn destroy(value: *mut c_void) {
        work();
        let rounds = value.addr();
        if rounds > 1 {
            set(rounds - 1);
        }
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    fn set(rounds: usize) {
        let key = KEY.load(Ordering::Relaxed) as libc::pthread_key_t;
        // SAFETY: a key that was made.
        unsafe { libc::pthread_setspecific(key, ptr::without_provenance(rounds)) };
    }
    static KEY: AtomicUsize = AtomicUsize::new(0);
    alone(|| {
        let mut key = 0;
        // SAFETY: the function may be called at the end of any thread.
        let made = unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) };
        assert_eq!(made, 0);
        KEY.store(key as usize, Ordering::Relaxed);
        for _ in 0..50 {
            thread::spawn(|| {
                work();
                set(3);
            })
            .join()
            .unwrap();
        }
        assert_eq!(DROPPED.load(Ordering::Relaxed), 150);
        assert_eq!(objects(LATE), 0);
        HEAP.check().unwrap();
    });
}

#[test]
fn f08_requests_at_the_end_of_the_program() {
    extern "C" fn at_exit() {
        work();
        println!("worked at exit");
    }
    let output = ends(&[], || {
        // SAFETY: the function may be called at any exit.
        assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
        ONE.set(Some(Late(Vec::new())));
        thread::spawn(|| {
            loop {
                work();
            }
        });
    });
    assert!(is_done(&output), "{}", text(&output));
    assert!(text(&output).contains("worked at exit"));
}

#[test]
fn f09_panics_and_hooks_that_allocate() {
    let output = ends(&[("RUST_BACKTRACE", "1")], || {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let piece = Piece::take(LATE, bytes(300), 9);
            scope(LATE, || usual(info));
            piece.give_back();
        }));
        for round in 0..3 {
            let caught = panic::catch_unwind(|| {
                scope(Tag::named("f09"), || {
                    let _held = vec![round; 1000];
                    let _word = String::from("unwound");
                    panic!("round {round}")
                })
            });
            let payload = caught.unwrap_err();
            assert_eq!(
                payload.downcast_ref::<String>(),
                Some(&format!("round {round}"))
            );
        }
        let panics = || -> () { panic!("in a thread") };
        assert!(thread::spawn(panics).join().is_err());
        // The payloads went with what caught them.
        assert_eq!(objects(Tag::named("f09")), 0);
        HEAP.check().unwrap();
    });
    let said = text(&output);
    assert!(is_done(&output), "{said}");
    assert!(
        said.contains("round 2") && said.contains("stack backtrace"),
        "{said}"
    );
}
