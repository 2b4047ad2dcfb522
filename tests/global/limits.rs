//! B02, B03: limits, of a tag and of the process.

use std::thread;

use tagheap::{Error, Shortage, Tag, scope};

use crate::HEAP;
use crate::careless::{face, try_take};
use crate::support::{Piece, alone, assert_gone, blocks, bytes, double_free, holding, objects};

#[test]
fn a_tags_limit_refuses_its_requests_and_no_others() {
    const TAG: Tag = Tag::named("limit");
    const OTHER: Tag = Tag::named("limit o");
    const LIMIT: usize = 1 << 20;
    HEAP.set_limit(TAG, Some(LIMIT)).unwrap();
    for size in [16, 100, 1000, 8192, 8193, 100_000] {
        let mut held = Vec::new();
        let error = loop {
            match Piece::try_take(TAG, bytes(size), held.len() as u8) {
                Ok(piece) => held.push(piece),
                Err(error) => break error,
            }
        };
        let Error::OutOfMemory(lacking) = error else {
            panic!("{error}");
        };
        assert_eq!(
            (lacking.tag, lacking.cause),
            (
                TAG,
                Shortage::Limit {
                    limit: LIMIT,
                    held: holding(TAG).held.bytes
                }
            )
        );
        assert!(objects(TAG) * size > LIMIT / 2 && holding(TAG).held.bytes <= LIMIT);
        assert_eq!(scope(TAG, || face::alloc(bytes(size))), None);
        Piece::take(OTHER, bytes(2 * LIMIT), 1).give_back();
        thread::scope(|scope| {
            let refused = || assert!(try_take(TAG, bytes(size)).is_err());
            scope.spawn(refused);
        });
        // What was given back is served again, and no more than that.
        for round in 0..20 {
            let back = held.split_off(held.len() - held.len().min(round));
            let count = back.len();
            back.into_iter().for_each(Piece::give_back);
            held.extend((0..count).map(|_| Piece::take(TAG, bytes(size), 7)));
            if size <= 8192 {
                assert!(try_take(TAG, bytes(size)).is_err());
            }
        }
        held.into_iter().for_each(Piece::give_back);
        assert_gone(TAG);
    }
    HEAP.set_limit(TAG, None).unwrap();
    Piece::take(TAG, bytes(2 * LIMIT), 1).give_back();
}

/// Where no span goes into the limit a small request gets a block of the heap's own, with all that belongs to one.
#[test]
fn a_limit_below_a_span_leaves_small_requests_their_blocks() {
    const TAG: Tag = Tag::named("limit s");
    alone(|| {
        HEAP.set_limit(TAG, Some(10_000)).unwrap();
        let mut held = Vec::new();
        while let Ok(piece) = Piece::try_take(TAG, bytes(100), held.len() as u8) {
            held.push(piece);
        }
        assert!(held.len() > 50, "{}", HEAP.report());
        let of_tag = holding(TAG);
        assert_eq!(
            (of_tag.objects, of_tag.held.blocks),
            (held.len(), held.len())
        );
        assert_eq!(of_tag.bytes, held.len() * 100);
        let zeroed = scope(TAG, || face::alloc_zeroed(bytes(100)));
        assert_eq!(zeroed, None);
        let mut first = held.remove(0);
        first.resize(bytes(90)).unwrap();
        assert_eq!(HEAP.tag_of(first.start), Ok(TAG));
        first.free().unwrap();
        assert_eq!(first.free(), Err(double_free(first.start)));
        held.into_iter().for_each(Piece::give_back);
        assert_eq!((objects(TAG), blocks(TAG)), (0, 0));
    });
}

/// Runs out of memory by a limit of the process, goes on with what there is, and has more when it is raised.
fn under_a_limit(resource: libc::__rlimit_resource_t, most: libc::rlim_t) {
    const TAG: Tag = Tag::named("b02");
    let set = |soft: libc::rlim_t| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: asks only.
        assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
        limit.rlim_cur = soft.min(limit.rlim_max);
        // SAFETY: of this process, which is the test's.
        assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
    };
    let kept: Vec<_> = (0..100)
        .map(|n| Piece::take(TAG, bytes(n * 100), n as u8))
        .collect();
    set(most);
    let mut held = Vec::with_capacity(200_000);
    for size in [1 << 20, 50_000, 8000, 100, 16] {
        while let Some(at) = scope(TAG, || face::alloc(bytes(size))) {
            held.push(Piece::of(at, bytes(size), 5));
        }
        let error = try_take(TAG, bytes(size)).unwrap_err();
        assert!(
            matches!(error, Error::OutOfMemory(lacking) if lacking.tag == TAG),
            "{error}"
        );
    }
    assert_eq!(objects(TAG), 100 + held.len());
    // Small requests are served from free slots. Nothing else is asked for here.
    for _ in 0..1000 {
        let mut piece = held.pop().unwrap();
        let layout = piece.layout;
        piece.give_back();
        piece = Piece::take(TAG, layout, 6);
        held.push(piece);
        let place = held.len() / 2;
        held.swap(place, place * 2 - 1);
    }
    set(libc::RLIM_INFINITY);
    Piece::take(TAG, bytes(64 << 20), 1).give_back();
    held.into_iter().chain(kept).for_each(Piece::give_back);
    assert_gone(TAG);
    HEAP.check().unwrap();
}

#[test]
fn b02_b03_by_the_limit_on_data() {
    alone(|| under_a_limit(libc::RLIMIT_DATA, 48 << 20));
}

/// A heap that is made under the limit reserves as much as it may.
#[test]
fn b02_b03_by_the_limit_on_address_space_in_a_program_begun_under_it() {
    use std::os::unix::process::CommandExt;
    const SMALL: &str = "TAGHEAP_TEST_SMALL";
    if std::env::var(SMALL).is_ok() {
        const TAG: Tag = Tag::named("b02 as");
        let mut held = Vec::with_capacity(100_000);
        for size in [1 << 20, 8000, 100] {
            while let Some(at) = scope(TAG, || face::alloc(bytes(size))) {
                held.push(Piece::of(at, bytes(size), 5));
            }
        }
        assert!(holding(TAG).bytes > 16 << 20, "{}", HEAP.report());
        held.into_iter().for_each(Piece::give_back);
        assert_eq!(objects(TAG), 0);
        Piece::take(TAG, bytes(8 << 20), 1).give_back();
        HEAP.check().unwrap();
        std::process::exit(43);
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let test = "limits::b02_b03_by_the_limit_on_address_space_in_a_program_begun_under_it";
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(SMALL, "1");
    let limit = || {
        let limit = libc::rlimit {
            rlim_cur: 256 << 20,
            rlim_max: 256 << 20,
        };
        // SAFETY: of the child, before it runs the program.
        match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes one system call.
    unsafe { command.pre_exec(limit) };
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(43),
        "{}",
        crate::support::text(&output)
    );
}
