//! What somebody holds is not touched by what only some kinds can: ways back to a mark, levels, pictures, trims.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{
    Buddy, Bump, Classes, Fixed, FreeList, Kind, Level, LockFree, Locked, Pool, Priority,
    SizeClasses, Stack, Tag, Timed, WhenFull,
};
use tagheap_trace::Held;

use crate::in_reserve;
use crate::pieces::{give, moved, of, resize, scribble};

const BYTE: u8 = 0x77;
const SLOT: Layout = Layout::new::<[u64; 8]>();

/// Pieces that nobody touches until they are shown.
struct Pieces(Vec<Held<NonNull<[u8]>>>);

impl Pieces {
    fn of(kind: &impl Kind, sizes: impl IntoIterator<Item = usize>) -> Self {
        let piece = |size| kind.allocate(of(size, 8)).unwrap();
        Self(sizes.into_iter().map(piece).map(held).collect())
    }

    fn assert_whole(&self) {
        for piece in &self.0 {
            // SAFETY: handed out to the test, which filled it.
            let is_whole = |piece: &NonNull<[u8]>| unsafe { piece.as_ref() }.iter().all(is_ours);
            assert!(piece.look(is_whole), "{piece:?}");
        }
    }

    /// Gives back every other one, the last first.
    fn thin(&mut self, kind: &impl Kind) {
        self.assert_whole();
        for place in (0..self.0.len()).rev().step_by(2) {
            let piece = self.0.remove(place).show();
            give(kind, piece.cast(), of(piece.len(), 8)).unwrap();
        }
    }
}

fn held(piece: NonNull<[u8]>) -> Held<NonNull<[u8]>> {
    scribble(piece.cast(), piece.len(), BYTE);
    Held::new(piece, piece.cast(), piece.len())
}

fn is_ours(byte: &u8) -> bool {
    *byte == BYTE
}

fn pool<H: tagheap::Share>(heap: &H) -> Pool<&H> {
    Pool::new(heap, Tag::new(1))
}

/// Sizes that need several chunks.
fn sizes() -> impl Iterator<Item = usize> {
    (0..60).map(|n| [1, 8, 100, 700][n % 4] + n)
}

#[test]
fn a_way_back_in_an_arena_touches_nothing_older() {
    in_reserve(|heap| {
        let mut bump = Bump::new(pool(heap));
        let older = Pieces::of(&bump, sizes());
        let mark = bump.mark();
        for _ in 0..3 {
            let newer = Pieces::of(&bump, sizes().chain([5000]));
            assert!(!bump.to_string().is_empty());
            newer.assert_whole();
            drop(newer);
            bump.rewind(mark).unwrap();
            older.assert_whole();
        }
    });
}

#[test]
fn a_way_back_in_a_stack_touches_nothing_older() {
    in_reserve(|heap| {
        let mut stack = Stack::new(pool(heap), 1 << 16).unwrap();
        let older = Pieces::of(&stack, sizes());
        let mark = stack.mark();
        for _ in 0..3 {
            let newer = Pieces::of(&stack, sizes());
            assert!(!stack.to_string().is_empty());
            newer.assert_whole();
            drop(newer);
            stack.rewind(mark).unwrap();
            older.assert_whole();
        }
    });
}

#[test]
fn a_trim_touches_no_slot_in_use() {
    in_reserve(|heap| {
        let slots = Fixed::growing(pool(heap), SLOT, 8).unwrap();
        let mut pieces = Pieces::of(&slots, [64; 100]);
        pieces.thin(&slots);
        slots.trim().unwrap();
        let last = pieces.0.split_off(3);
        for piece in last {
            give(&slots, piece.show().cast(), of(64, 8)).unwrap();
        }
        assert!(slots.trim().unwrap() > 0);
        assert!(!slots.to_string().is_empty());
        pieces.assert_whole();
    });
}

#[test]
fn a_trim_touches_no_piece_in_use() {
    in_reserve(|heap| {
        let mut classes = SizeClasses::new(pool(heap));
        let sizes = |count| (0..count).map(|n| [20, 100, 900, 6000][n % 4]);
        drop(Pieces::of(&classes, sizes(4000)));
        classes.reset().unwrap();
        // Chunks that were kept, and are not reached again.
        let mut pieces = Pieces::of(&classes, sizes(400));
        pieces.thin(&classes);
        assert!(classes.trim().unwrap() > 0);
        assert!(!classes.to_string().is_empty());
        classes.check().unwrap();
        pieces.assert_whole();
    });
}

#[test]
fn levels_and_numbers_of_classes_touch_no_slot_in_use() {
    in_reserve(|heap| {
        let levels = Priority::with_sizes(pool(heap), [(64, 4); 4], WhenFull::Borrow).unwrap();
        let one = |level| held(levels.allocate_at(level, SLOT).unwrap());
        let pieces = Pieces(Level::ALL.into_iter().map(one).collect());
        let usages = Level::ALL.map(|level| levels.usage_of(level).used);
        assert_eq!(usages, [1; 4]);
        assert!(!levels.to_string().is_empty());
        pieces.assert_whole();
        levels.check().unwrap();
    });
    in_reserve(|heap| {
        let sizes = [(64, 10), (128, 10)];
        let classes = Classes::new(pool(heap), sizes, WhenFull::Borrow).unwrap();
        let mut pieces = Pieces::of(&classes, [10, 64, 100, 128, 1, 64]);
        pieces.thin(&classes);
        assert!(classes.usage_of(0).unwrap().used > 0);
        assert!(!classes.to_string().is_empty());
        pieces.assert_whole();
    });
}

#[test]
fn pictures_touch_no_piece_in_use() {
    in_reserve(|heap| {
        let list = FreeList::new(pool(heap), 1 << 16).unwrap();
        let mut pieces = Pieces::of(&list, sizes());
        pieces.thin(&list);
        assert!(!list.to_string().is_empty());
        pieces.assert_whole();
    });
    in_reserve(|heap| {
        let buddies = Buddy::new(pool(heap), 1 << 17, 16).unwrap();
        let mut pieces = Pieces::of(&buddies, sizes());
        pieces.thin(&buddies);
        assert!(buddies.largest_free() > 0 && !buddies.to_string().is_empty());
        pieces.assert_whole();
    });
    in_reserve(|heap| {
        let slots = LockFree::new(pool(heap), SLOT, 30).unwrap();
        let slots = Timed::new(Locked::new(Timed::new(slots)));
        let mut pieces = Pieces::of(&slots, [64; 30]);
        pieces.thin(&slots);
        let picture = slots.kind().look(|slots| slots.kind().to_string());
        assert!(!picture.unwrap().is_empty() && !slots.to_string().is_empty());
        pieces.assert_whole();
    });
}

/// What is wrong with an address inside a piece is told by what the pool notes beside its pieces. Only where each piece
/// is a block of the heap's own, the 32 bytes in front of the address are taken for a header.
#[test]
fn an_address_inside_a_piece_is_refused_unread() {
    fn refuses(kind: &impl Kind) {
        let pieces = Pieces::of(kind, [64; 3]);
        for piece in &pieces.0 {
            for by in (1..64).filter(|by| *by < 8 || by % 8 == 0) {
                let inside = moved(piece.cast(), by);
                kind.contains(inside).unwrap();
                give(kind, inside, of(1, 1)).unwrap_err();
                resize(kind, inside, of(8, 1), of(20, 1)).unwrap_err();
                resize(kind, inside, of(8, 1), of(3, 1)).unwrap_err();
            }
        }
        pieces.assert_whole();
        kind.check().unwrap();
    }
    in_reserve(|heap| {
        refuses(&Fixed::new(pool(heap), SLOT, 8).unwrap());
    });
    in_reserve(|heap| {
        refuses(&LockFree::new(pool(heap), SLOT, 8).unwrap());
    });
    in_reserve(|heap| {
        refuses(&Classes::new(pool(heap), [(64, 8), (32, 8)], WhenFull::Borrow).unwrap());
    });
    in_reserve(|heap| {
        refuses(&Priority::with_sizes(pool(heap), [(64, 8); 4], WhenFull::Borrow).unwrap());
    });
    in_reserve(|heap| refuses(&Stack::new(pool(heap), 4096).unwrap()));
    in_reserve(|heap| refuses(&FreeList::new(pool(heap), 4096).unwrap()));
    in_reserve(|heap| refuses(&Buddy::new(pool(heap), 4096, 16).unwrap()));
    in_reserve(|heap| refuses(&SizeClasses::new(pool(heap))));
    in_reserve(|heap| refuses(&Locked::new(Timed::new(SizeClasses::new(pool(heap))))));
}
