//! E: bytes of the heap's own that somebody else wrote to.
//!
//! A [`Scene`] has a block of tag `a` between two neighbours, and one header of it is damaged. Each operation
//! then either answers `Corruption` and has changed nothing, or has not met that header and did what
//! it should: [`meets`](crate::scene::meets) says which, for each operation and header.

use core::ptr::NonNull;

use tagheap::{Bytes, Corruption, Error, HEADER, Key, SMALLEST, Walk};

use crate::scene::{A, B, Effect, Op, Scene, TARGETS, Target, run, scene};
use crate::support::{Careless, Config, Ground, Shaken, bytes};

stamp!(shaken:
    e01_every_flip_of_a_bit_is_found,
    e01_every_flip_of_a_bit_of_the_roots_words_is_found,
    e02_every_false_field_is_found,
    e02_a_valid_header_of_another_address_is_found,
    e03_scribbles_over_headers_are_found,
    e04_writing_over_the_end_of_a_block_is_found,
    e05_writing_in_front_of_a_block_is_found,
    e06_a_zero_byte_behind_the_payload_is_found,
    e08_a_walk_over_false_sizes_ends,
);

stamp!(buffer_and_reserve: e09_a_known_key_gives_a_known_image_and_guards_it_too);

/// Damages a header, runs every operation on it, and mends it again.
fn strike<C: Config<Ground: Shaken>>(
    neighbours_are_free: bool,
    target: Target,
    damage: impl Fn(&mut [u8], &Scene<C>),
) {
    let fresh = || scene::<C>(neighbours_are_free);
    let mut scene = fresh();
    for op in scene.ops() {
        let at = scene.header(target);
        let whole = scene.rig.read(at, HEADER);
        let mut damaged = whole.clone();
        damage(&mut damaged, &scene);
        if damaged == whole {
            return;
        }
        scene.rig.write(at, &damaged);
        let (own, mark) = (scene.own, scene.mark);
        let answer = scene.rig.leaves(|heap| run::<C>(op, heap, own, mark));
        let found = scene.rig.read(at, HEADER);
        assert_eq!(
            found, damaged,
            "{op:?} wrote to a header that is not its own"
        );
        scene.rig.write(at, &whole);
        let meets = scene.meets(op, target);
        match answer {
            Ok(_) if meets => panic!("{op:?} missed {target:?} at {at:#x}: {damaged:x?}"),
            Ok(Effect::Nothing) => scene.rig.check(),
            Ok(effect) => {
                scene.note(effect);
                scene = fresh();
            }
            Err(Error::Corruption(damage)) => {
                assert!(meets, "{op:?} met {target:?}");
                let (header, root) = (Corruption::Header { at }, Corruption::Root { at });
                assert!(damage == header || damage == root, "{op:?}: {damage}");
            }
            Err(error) => panic!("{op:?} took {target:?} for {error}: {damaged:x?}"),
        }
    }
    // Mended, the heap works on.
    scene.rig.check();
    scene.rig.contents();
    let own = scene.rig.resize(scene.own.ptr, bytes(600), true).unwrap();
    scene.rig.take(B, 20);
    scene.rig.free(own);
    scene.rig.release(|_| true);
}

fn everywhere<C: Config<Ground: Shaken>>(damage: impl Fn(&mut [u8], &Scene<C>)) {
    for neighbours_are_free in [false, true] {
        for target in TARGETS {
            strike::<C>(neighbours_are_free, target, &damage);
        }
    }
}

fn e01_every_flip_of_a_bit_is_found<C: Config<Ground: Shaken>>() {
    for bit in 0..256 {
        everywhere::<C>(|header, _| header[bit / 8] ^= 1 << (bit % 8));
    }
}

fn e01_every_flip_of_a_bit_of_the_roots_words_is_found<C: Config<Ground: Shaken>>() {
    let mut scene = scene::<C>(true);
    let at = scene.rig.heap.base();
    let words = scene.rig.read(at, 128);
    for bit in 0..128 * 8 {
        let mut damaged = words.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        scene.rig.write(at, &damaged);
        assert_eq!(
            scene.rig.heap.check(),
            Err(Corruption::Root { at }),
            "bit {bit}"
        );
    }
    scene.rig.write(at, &words);
    scene.rig.check();
}

/// The words of a header that guard it: offset and bytes.
const FIELDS: [(usize, usize); 5] = [(0, 8), (8, 8), (16, 8), (24, 4), (28, 4)];

fn e02_every_false_field_is_found<C: Config<Ground: Shaken>>() {
    for (offset, length) in FIELDS {
        for value in [
            0,
            1,
            2,
            16,
            32,
            48,
            u64::MAX,
            u64::MAX - 15,
            u64::MAX >> 1,
            1 << 63,
            1 << 32,
        ] {
            let value = u64::to_le_bytes(value);
            everywhere::<C>(|header, _| {
                header[offset..offset + length].copy_from_slice(&value[..length]);
            });
        }
        // The value of each other header.
        for index in 0..TARGETS.len() {
            everywhere::<C>(|header, scene| {
                let other = scene.rig.read(scene.headers[index], HEADER);
                let field = offset..offset + length;
                header[field.clone()].copy_from_slice(&other[field]);
            });
        }
    }
}

fn e02_a_valid_header_of_another_address_is_found<C: Config<Ground: Shaken>>() {
    for index in 0..TARGETS.len() {
        everywhere::<C>(|header, scene| {
            header.copy_from_slice(&scene.rig.read(scene.headers[index], HEADER));
        });
    }
}

fn e03_scribbles_over_headers_are_found<C: Config<Ground: Shaken>>() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut misses = 0;
    for round in 0..40 {
        let fresh = || scene::<C>(round % 2 == 0);
        let mut scene = fresh();
        let ops = scene.ops();
        for _ in 0..1000 {
            let blocks = scene.rig.blocks();
            let block = blocks[random.usize(0..blocks.len())];
            let length = random.usize(1..=32);
            // Behind the root's header are words that the heap writes at each change.
            let is_root = block.at == scene.rig.heap.base();
            // At least one byte of the scribble lies in the header, and none in front of the row.
            let from = (block.at + random.usize(0..HEADER + length - 1) + 1 - length)
                .max(scene.rig.heap.base());
            // What the holder of the block in front wrote stays as it is, for whoever moves it.
            let content = scene.rig.live.range(..block.at).next_back();
            let from = from
                .max(content.map_or(0, |(at, live)| at + live.layout.size()))
                .max(if is_root { 0 } else { blocks[0].end() });
            let length = if is_root {
                length.min(block.payload() - from)
            } else {
                length
            };
            let before = scene.rig.read(from, length);
            let header = scene.rig.read(block.at, HEADER);
            let scribble: Vec<u8> = match random.u8(0..4) {
                0 => vec![random.u8(..); length],
                1 => before
                    .iter()
                    .map(|byte| byte ^ (1 << random.u8(0..8)))
                    .collect(),
                _ => (0..length).map(|_| random.u8(..)).collect(),
            };
            scene.rig.write(from, &scribble);
            if scene.rig.read(block.at, HEADER) != header {
                misses += usize::from(scene.rig.heap.check().is_ok());
                misses += usize::from(scene.rig.heap.walk().all(|block| block.is_ok()));
                let (own, mark) = (scene.own, scene.mark);
                let op = ops[random.usize(0..ops.len())];
                let answer = scene.rig.leaves(|heap| run::<C>(op, heap, own, mark));
                match answer {
                    Ok(effect) => {
                        // Not met, and not overwritten. In front of it may be a new header by now.
                        let length = from + length - block.at.max(from);
                        let found = scene.rig.read(block.at.max(from), length);
                        assert!(scribble.ends_with(&found), "{op:?}");
                        scene
                            .rig
                            .write(block.at.max(from), &before[before.len() - length..]);
                        let is_old = !matches!(effect, Effect::Nothing);
                        scene.note(effect);
                        if is_old {
                            scene = fresh();
                        }
                        continue;
                    }
                    Err(error) => assert!(matches!(error, Error::Corruption(_)), "{error}"),
                }
            }
            scene.rig.write(from, &before);
        }
        scene.rig.check();
    }
    assert_eq!(misses, 0);
}

/// Fills that overflows are made of; the last is the byte that stands there already, in part.
const FILLS: [u8; 4] = [0x00, 0xff, b'A', 0x01];

fn e04_writing_over_the_end_of_a_block_is_found<C: Config<Ground: Shaken>>() {
    for neighbours_are_free in [false, true] {
        for fill in FILLS {
            for length in 1..=64 {
                let mut scene = scene::<C>(neighbours_are_free);
                let next = scene.header(Target::Next);
                let header = scene.rig.read(next, HEADER);
                let before = scene.rig.read(next, length);
                scene.rig.write(next, &vec![fill; length]);
                let changed = scene.rig.read(next, HEADER) != header;
                let damage = Corruption::Header { at: next };
                let own = scene.own;
                let checked = scene.rig.heap.check();
                assert_eq!(checked.is_err(), changed, "{length} of {fill:#x}");
                if changed {
                    assert_eq!(checked, Err(damage));
                    let freed = scene.rig.leaves(|heap| heap.free(own.ptr, own.layout));
                    if scene.meets(Op::Deallocate, Target::Next) {
                        assert_eq!(freed, Err(damage.into()), "{length} of {fill:#x}");
                    } else {
                        assert_eq!(freed, Ok(()));
                        scene.rig.live.remove(&own.ptr.addr().get());
                        assert_eq!(scene.rig.heap.check(), Err(damage), "it stays");
                    }
                }
                scene.rig.write(next, &before);
                scene.rig.check();
            }
        }
    }
}

fn e05_writing_in_front_of_a_block_is_found<C: Config<Ground: Shaken>>() {
    for fill in FILLS {
        for length in 1..=64 {
            let mut scene = scene::<C>(false);
            let own = scene.own;
            let at = scene.header(Target::Own);
            let from = own.ptr.addr().get() - length;
            let header = scene.rig.read(at, HEADER);
            let before = scene.rig.read(from, length);
            scene.rig.write(from, &vec![fill; length]);
            if scene.rig.read(at, HEADER) == header {
                assert!(length < 4, "as much of a check word is not met by chance");
                continue;
            }
            let damage = Corruption::Header { at };
            assert_eq!(scene.rig.heap.check(), Err(damage));
            let freed = scene.rig.leaves(|heap| heap.free(own.ptr, own.layout));
            assert_eq!(freed, Err(damage.into()), "{length} of {fill:#x}");
            scene.rig.write(from, &before);
            scene.rig.check();
        }
    }
}

/// The byte behind a full payload is the lowest of the next header's `in_use`: 1 becomes 0, which the
/// check word tells. Before a free block it is 0 already: nothing changes, and nothing is damaged.
fn e06_a_zero_byte_behind_the_payload_is_found<C: Config<Ground: Shaken>>() {
    for neighbours_are_free in [false, true] {
        let mut scene = scene::<C>(neighbours_are_free);
        let next = scene.header(Target::Next);
        let own = scene.own;
        assert_eq!(scene.rig.heap.usable_size(own.ptr).unwrap(), 208);
        assert_eq!(own.ptr.addr().get() + 208, next);
        let before = scene.rig.read(next, 1);
        assert_eq!(before, [u8::from(!neighbours_are_free)]);
        scene.rig.write(next, &[0]);
        if !neighbours_are_free {
            let damage = Corruption::Header { at: next };
            assert_eq!(scene.rig.heap.check(), Err(damage));
            if scene.meets(Op::Deallocate, Target::Next) {
                let freed = scene.rig.leaves(|heap| heap.free(own.ptr, own.layout));
                assert_eq!(freed, Err(damage.into()));
            }
        }
        scene.rig.write(next, &before);
        scene.rig.free(own.ptr);
    }
}

fn e08_a_walk_over_false_sizes_ends<C: Config<Ground: Shaken>>() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut scene = scene::<C>(true);
    let blocks = scene.rig.blocks();
    let row = scene.rig.heap.end() - scene.rig.heap.base();
    let most = row / SMALLEST + 1;
    for round in 0..20_000_u64 {
        let block = blocks[random.usize(0..blocks.len())];
        let other = blocks[random.usize(0..blocks.len())].at as u64;
        let size = match round % 5 {
            0 => 0,
            // To itself or an earlier block: a circle.
            1 => other.wrapping_sub(block.at as u64),
            2 => u64::MAX - 15,
            3 => random.u64(0..4 * row as u64),
            _ => 16 * random.u64(0..row as u64 / 16),
        };
        let before = scene.rig.read(block.at + 8, 8);
        if size.to_le_bytes() == before[..] {
            continue;
        }
        scene.rig.write(block.at + 8, &size.to_le_bytes());
        let steps = scene.rig.heap.walk().take(most + 1).count();
        assert!(steps <= most);
        assert!(scene.rig.heap.walk().any(|block| block.is_err()));
        // Without the key, only the words themselves can be looked at: it still ends, and stays inside.
        let copy = scene.rig.read(scene.rig.heap.base(), row);
        let walk = Walk::new(Bytes::new(scene.rig.heap.base(), &copy));
        let blocks: Vec<_> = walk.take(most + 1).collect();
        assert!(blocks.len() <= most);
        let inside = blocks
            .iter()
            .flatten()
            .all(|block| block.end() <= scene.rig.heap.end());
        assert!(inside);
        scene.rig.write(block.at + 8, &before);
    }
    scene.rig.check();
}

/// [`Key::FIXED`] is documented as known: it keeps accidents out, not adversaries.
fn e09_a_known_key_gives_a_known_image_and_guards_it_too<C: Config>() {
    let ground = C::Ground::new(1 << 13);
    let headers = |key| {
        let source = ground.source();
        let (rule, placement) = (C::Rule::default(), C::Placement::default());
        let mut heap = tagheap::Heap::with(source, rule, placement, key).unwrap();
        let ptrs = [10, 100, 50].map(|size| heap.allocate(A, bytes(size)).unwrap().cast());
        heap.free(ptrs[1], bytes(100)).unwrap();
        heap.check().unwrap();
        let base = heap.base();
        let at: Vec<_> = heap.walk().map(|block| block.unwrap().at - base).collect();
        let word = |ptr: NonNull<u8>| {
            let word = ptr.cast::<u32>().as_ptr().wrapping_sub(1);
            // SAFETY: in the header of a block in use, read while nobody writes.
            unsafe { word.read() }
        };
        let guards = [word(ptrs[0]), word(ptrs[2])];
        (base, at, guards)
    };
    let (first_base, first_row, first) = headers(Key::FIXED);
    let (base, row, again) = headers(Key::FIXED);
    assert_eq!(first_row, row);
    if first_base == base {
        assert_eq!(first, again, "the same image");
    }
    let (_, _, other) = headers(Key::from_seed(1));
    assert_ne!(first, other);
    assert_eq!(format!("{:?}", Key::from_seed(77)), "Key(..)");
}
