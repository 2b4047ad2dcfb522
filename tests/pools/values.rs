//! Values that are not what they said: iterators that end early or go on, texts that change from one writing to the next.

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use std::rc::Rc;

use tagheap::{Buddy, Bump, Error, Fixed, Kind, Pool, SizeClasses, Stack, Tag, Typed};

use crate::in_reserve;

/// Yields `count` values, whatever it says.
struct Says {
    says: usize,
    count: usize,
    of: Rc<()>,
}

impl Iterator for Says {
    type Item = Rc<()>;

    fn next(&mut self) -> Option<Rc<()>> {
        self.count = self.count.checked_sub(1)?;
        Some(Rc::clone(&self.of))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.says, Some(self.says))
    }
}

impl ExactSizeIterator for Says {
    fn len(&self) -> usize {
        self.says
    }
}

/// Both that gives any piece back, and one that gives back the last alone.
fn in_two_kinds(test: impl Fn(&dyn Fn(usize, usize) -> usize, &dyn Fn() -> usize)) {
    in_reserve(|heap| {
        let value = Rc::new(());
        let says = |says, count| Says {
            says,
            count,
            of: Rc::clone(&value),
        };
        let pool = Pool::new(heap, Tag::new(1));
        let of_pool = |said, count| {
            let slice = pool.own_slice_fill_iter(says(said, count)).unwrap();
            assert_eq!(Rc::strong_count(&value), 1 + slice.len());
            slice.len()
        };
        test(&of_pool, &|| pool.usage().unwrap().live() as usize);
        let classes = SizeClasses::new(Pool::new(heap, Tag::new(2)));
        let of_classes = |said, count| {
            let slice = classes.own_slice_fill_iter(says(said, count)).unwrap();
            assert_eq!(Rc::strong_count(&value), 1 + slice.len());
            slice.len()
        };
        test(&of_classes, &|| classes.usage().unwrap().live() as usize);
        assert_eq!(Rc::strong_count(&value), 1, "every value was dropped");
    });
}

#[test]
fn a_slice_has_what_came_and_no_more_than_was_said() {
    in_two_kinds(|length, live| {
        for said in [0, 1, 3, 100, 3000] {
            for count in [0, 1, 2, 99, 100, 5000] {
                assert_eq!(length(said, count), said.min(count));
                assert_eq!(live(), 0, "the piece went back: {said} {count}");
            }
        }
    });
}

#[test]
fn a_length_beyond_all_memory_is_refused() {
    in_reserve(|heap| {
        let bump = Bump::new(Pool::new(heap, Tag::new(1)));
        let says = Says {
            says: usize::MAX,
            count: 1,
            of: Rc::default(),
        };
        assert!(bump.alloc_slice_fill_iter(says).is_err());
        // Without size, all of them fit.
        let nothing = bump.alloc_slice_fill_iter([(); 5]).unwrap();
        assert_eq!((nothing.len(), bump.usage().unwrap().live()), (5, 0));
    });
}

#[test]
fn a_length_beyond_all_memory_is_counted_and_has_the_pools_tag() {
    fn refused<K: Kind>(pool: &K, tag: Tag, counted: u64) {
        let error = pool.alloc_slice_fill_with(usize::MAX / 2, |_| 0_u64);
        let Err(Error::OutOfMemory(refused)) = error else {
            panic!("served or misnamed");
        };
        let said = (refused.tag, refused.size, refused.align);
        assert_eq!(said, (tag, usize::MAX, 8));
        let usage = pool.usage().unwrap();
        assert_eq!((usage.failures, usage.live()), (counted, 0));
    }
    in_reserve(|heap| {
        let tag = Tag::new(1);
        let pool = || Pool::new(heap, tag);
        refused(&pool(), tag, 1);
        refused(&Bump::new(pool()), tag, 1);
        refused(&SizeClasses::new(pool()), tag, 1);
        refused(&Bump::new(pool().bounded(1000)), tag, 1);
        let layout = Layout::new::<[u64; 8]>();
        refused(&Fixed::new(pool(), layout, 10).unwrap(), tag, 1);
        refused(&Stack::new(pool(), 1000).unwrap(), tag, 1);
        refused(&Buddy::new(pool(), 1024, 16).unwrap(), tag, 1);
    });
}

/// A text that has another length each time that it is written, or refuses.
struct Changing<'a> {
    lengths: &'a [Option<usize>],
    written: Cell<usize>,
}

impl fmt::Display for Changing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.written.replace(self.written.get() + 1);
        for _ in 0..self.lengths[time].ok_or(fmt::Error)? {
            f.write_str("ä")?;
        }
        Ok(())
    }
}

#[test]
fn a_text_is_what_was_written_as_far_as_it_was_counted() {
    in_reserve(|heap| {
        let pool = Pool::new(heap, Tag::new(1));
        for (lengths, written) in [
            ([Some(3), Some(3)], "<äää>"),
            ([Some(3), Some(1)], "<ä>"),
            ([Some(1), Some(3)], "<ä"),
            ([None, None], "<"),
            ([None, Some(2)], "<"),
            ([Some(2), None], "<"),
        ] {
            let changing = Changing {
                lengths: &lengths,
                written: Cell::new(0),
            };
            let text = pool.own_fmt(format_args!("<{changing}>")).unwrap();
            assert_eq!(&*text, written, "{lengths:?}");
            assert_eq!(pool.usage().unwrap().live(), 1);
            drop(text);
            assert_eq!(pool.usage().unwrap().live(), 0, "{lengths:?}");
        }
        let empty = pool.own_fmt(format_args!("{}", "")).unwrap();
        assert_eq!((&*empty, pool.usage().unwrap().live()), ("", 0));
    });
}
