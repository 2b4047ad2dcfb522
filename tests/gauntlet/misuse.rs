//! C: pointers that are not what the caller thinks.

use core::alloc::Layout;
use core::ptr::NonNull;

use tagheap::{Error, HEADER, Misuse, Tag, UNIT};

use crate::support::{Careless, Config, HeapOf, Rig, Stepped, bytes};

const A: Tag = Tag::named("a");
const B: Tag = Tag::named("b");

stamp!(buffer_and_reserve:
    c01_a_double_free_is_told_at_once_and_after_others,
    c01_a_double_free_is_told_after_merges,
    c01_a_double_free_is_told_behind_the_end,
    c02_a_stale_free_of_a_block_given_away_is_stopped_by_the_tag,
    c03_an_interior_pointer_is_not_a_block,
    c05_wild_pointers_are_not_from_here,
    c07_a_header_forged_in_a_payload_does_not_pass,
    c09_every_call_tells_the_same,
);

stamp!(stepped: c06_a_pointer_into_a_fence_is_not_from_here);

type Call<C> = fn(&mut HeapOf<C>, NonNull<u8>, Layout, Layout) -> Result<(), Error>;

/// Every call that takes a pointer refuses this one, with the same words.
#[track_caller]
fn all_refuse<C: Config>(rig: &mut Rig<C>, ptr: NonNull<u8>, layout: Layout) -> Error {
    let error = rig.refuses(|heap| heap.free(ptr, layout));
    let larger = bytes(layout.size() + 100);
    let calls: [Call<C>; 8] = [
        |heap, ptr, layout, _| heap.free_in(A, ptr, layout),
        |heap, ptr, layout, larger| heap.enlarge(ptr, layout, larger).map(|_| ()),
        |heap, ptr, layout, larger| heap.enlarge_zeroed(ptr, layout, larger).map(|_| ()),
        |heap, ptr, layout, _| heap.reduce(ptr, layout, bytes(0)).map(|_| ()),
        |heap, ptr, _, _| heap.tag_of(ptr).map(|_| ()),
        |heap, ptr, _, _| heap.usable_size(ptr).map(|_| ()),
        |heap, ptr, _, _| heap.retag(ptr, B),
        |heap, ptr, layout, _| heap.enlarge(ptr, layout, layout).map(|_| ()),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let other = rig.refuses(|heap| call(heap, ptr, layout, larger));
        assert_eq!(other, error, "call {index}");
    }
    assert!(!rig.heap.contains(ptr));
    error
}

fn double_free(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::DoubleFree { address }.into()
}

fn not_from_here(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotFromHere { address }.into()
}

fn not_a_block(ptr: NonNull<u8>) -> Error {
    let address = ptr.addr().get();
    Misuse::NotABlock { address }.into()
}

fn c01_a_double_free_is_told_at_once_and_after_others<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 17);
    let blocks: Vec<_> = (0..202).map(|n| rig.take(A, 10 + n)).collect();
    let first = blocks[1];
    let old = rig.free(first);
    assert_eq!(
        rig.refuses(|heap| heap.free(first, old)),
        double_free(first)
    );
    // Not a neighbour's of the first, so that its place stays as it is.
    for other in blocks.into_iter().skip(3).step_by(2) {
        let again = rig.free(other);
        assert_eq!(
            rig.refuses(|heap| heap.free(other, again)),
            double_free(other)
        );
        assert_eq!(
            rig.refuses(|heap| heap.free(first, old)),
            double_free(first)
        );
    }
    assert_eq!(all_refuse(&mut rig, first, old), double_free(first));
}

fn c01_a_double_free_is_told_after_merges<C: Config>() {
    // The orders in which a block and its two neighbours can go: all merges there are.
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        for guarded in [false, true] {
            let mut rig = Rig::<C>::new(1 << 14);
            rig.take(B, 1);
            let blocks = [40, 100, 70].map(|size| rig.take(A, size));
            if guarded {
                rig.take(B, 1);
            }
            let mut gone = Vec::new();
            for index in order {
                let ptr = blocks[index];
                gone.push((ptr, rig.free(ptr)));
                for &(ptr, layout) in &gone {
                    assert_eq!(all_refuse(&mut rig, ptr, layout), double_free(ptr));
                }
            }
        }
    }
}

fn c01_a_double_free_is_told_behind_the_end<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 16);
    rig.take(A, 1);
    let spare = rig.take(A, 100);
    let last = rig.take(A, 8000);
    rig.free(spare);
    let old = rig.free(last);
    assert_eq!(all_refuse(&mut rig, last, old), double_free(last));
    // The row grows again over it, with a block that starts in front and is not written to yet.
    let over = rig.heap.allocate(B, bytes(9000)).unwrap().cast();
    assert_eq!(over == spare, C::SPLITS);
    assert_eq!(rig.heap.free(last, old), Err(double_free(last)));
    assert_eq!(rig.heap.tag_of(last), Err(double_free(last)));
    rig.heap.free(over, bytes(9000)).unwrap();
    // The next holder overwrites what told so.
    let over = rig.take(B, 9000);
    let error = all_refuse(&mut rig, last, old);
    assert_eq!(
        error,
        if C::SPLITS {
            not_a_block(last)
        } else {
            double_free(last)
        }
    );
    // Memory given back may tell nothing any more.
    let old = rig.free(over);
    rig.heap.trim();
    let error = all_refuse(&mut rig, over, old);
    assert!(
        error == double_free(over) || error == not_from_here(over),
        "{error}"
    );
}

fn c02_a_stale_free_of_a_block_given_away_is_stopped_by_the_tag<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 12);
    let block = rig.take(A, 100);
    rig.take(A, 1);
    let old = rig.free(block);
    assert_eq!(rig.take(B, 100), block, "given to somebody else");
    let error = rig.refuses(|heap| heap.free_in(A, block, old));
    let address = block.addr().get();
    let (claimed, tag) = (A, B);
    let mismatch = Misuse::TagMismatch {
        address,
        claimed,
        tag,
    };
    assert_eq!(error, mismatch.into());
}

fn c03_an_interior_pointer_is_not_a_block<C: Config>() {
    for size in [16, 48, 100, 1000] {
        let mut rig = Rig::<C>::new(1 << 14);
        rig.take(A, 1);
        let block = rig.take(A, size);
        let old = rig.layout_of(block);
        let usable = rig.heap.usable_size(block).unwrap();
        for last in [true, false] {
            for offset in 1..=usable + HEADER + 15 {
                if offset % 16 > 8 && offset > 200 {
                    continue;
                }
                let inside = rig.pointer(block.addr().get() + offset);
                if rig.live.contains_key(&inside.addr().get()) {
                    continue;
                }
                let error = rig.refuses(|heap| heap.free(inside, old));
                let beyond = inside.addr().get() >= rig.heap.end();
                let told = if beyond {
                    not_from_here(inside)
                } else {
                    not_a_block(inside)
                };
                assert_eq!(error, told, "{offset} into {usable}");
            }
            for offset in [1, 8, 16, 32, usable] {
                let inside = rig.pointer(block.addr().get() + offset);
                if !rig.live.contains_key(&inside.addr().get()) {
                    all_refuse(&mut rig, inside, old);
                }
            }
            if last {
                rig.take(A, 1);
            }
        }
    }
}

static STATIC: [u64; 8] = [7; 8];

fn c05_wild_pointers_are_not_from_here<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    let mut other = Rig::<C>::new(1 << 13);
    let stranger = other.take(A, 100);
    rig.take(A, 100);
    let stack = 7_u64;
    let boxed = Box::new(7_u64);
    let here = not_from_here as fn(NonNull<u8>) -> Error as usize;
    let base = rig.heap.base();
    let wild = [
        1,
        2,
        8,
        16,
        31,
        32,
        33,
        4096,
        usize::MAX,
        usize::MAX - 15,
        usize::MAX - 31,
        1 << 63,
        isize::MAX as usize,
        0x8000_0000_0000,
        0x7fff_ffff_ffff,
        0x7fff_ffff_fff0,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        here,
        here & !15,
        (&raw const stack).addr(),
        (&raw const *boxed).addr(),
        (&raw const STATIC).addr(),
        stranger.addr().get(),
        base - 1,
        base - 16,
        base - 4096,
        rig.heap.end(),
        rig.heap.end() + 32,
    ];
    for address in wild {
        let ptr = rig.pointer(address);
        assert_eq!(all_refuse(&mut rig, ptr, bytes(100)), not_from_here(ptr));
    }
    // Within the root block, the first of the row.
    for offset in 0..128 {
        let ptr = rig.pointer(base + offset);
        assert_eq!(
            rig.refuses(|heap| heap.free(ptr, bytes(96))),
            not_a_block(ptr)
        );
    }
    other.free(stranger);
}

fn c06_a_pointer_into_a_fence_is_not_from_here<C: Config<Ground = Stepped>>() {
    let mut rig = Rig::<C>::new(1 << 14);
    let first = rig.take(A, 100);
    let room = rig.room();
    rig.ground.intrude(400);
    rig.take(A, room + 1);
    let (from, to) = rig.ground.foreign()[0];
    // Somebody else's memory happens to hold what looks like a header: a copy, and one made up.
    let header = rig.read(first.addr().get() - HEADER, HEADER);
    rig.write(from.next_multiple_of(UNIT) + 64, &header);
    let made_up: Vec<u8> = [1_u64, 64, 7, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    rig.write(from.next_multiple_of(UNIT) + 160, &made_up);
    for address in from..to {
        let ptr = rig.pointer(address);
        assert_eq!(
            rig.refuses(|heap| heap.free(ptr, bytes(100))),
            not_from_here(ptr)
        );
        if address % 64 == 0 {
            all_refuse(&mut rig, ptr, bytes(100));
        }
    }
}

fn c07_a_header_forged_in_a_payload_does_not_pass<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 13);
    let neighbour = rig.take(A, 100);
    let block = rig.take(A, 256);
    let payload = block.addr().get();
    let inside = rig.pointer(payload + HEADER);
    let mut random = fastrand::Rng::with_seed(7);
    let own = rig.read(payload - HEADER, HEADER);
    let other = rig.read(neighbour.addr().get() - HEADER, HEADER);
    let content = rig.read(payload, HEADER);
    for round in 0..3000_u64 {
        let forged = match round {
            0 => own.clone(),
            1 => other.clone(),
            _ => {
                // The words are right for a block of 64 bytes here; only the check word is guessed.
                let in_use = round % 2;
                let tag = in_use * A.number();
                let slot = (round / 2 % 2) * (1 - in_use);
                let last = (random.u64(..) & !0xffff_ffff) | slot;
                [in_use, 64, tag, last]
                    .iter()
                    .flat_map(|word| word.to_le_bytes())
                    .collect()
            }
        };
        rig.write(payload, &forged);
        let answer = rig.leaves(|heap| heap.free(inside, bytes(32)));
        assert_eq!(answer, Err(not_a_block(inside)), "round {round}");
        if round < 20 {
            assert_eq!(rig.heap.tag_of(inside), Err(not_a_block(inside)));
            assert_eq!(rig.heap.retag(inside, B), Err(not_a_block(inside)));
        }
    }
    rig.write(payload, &content);
    rig.check();
    rig.contents();
}

fn c09_every_call_tells_the_same<C: Config>() {
    let mut rig = Rig::<C>::new(1 << 14);
    let freed = rig.take(A, 100);
    let block = rig.take(A, 100);
    let released = rig.take(B, 100);
    rig.take(A, 100);
    let old = rig.free(freed);
    rig.release_one(B);
    assert_eq!(all_refuse(&mut rig, freed, old), double_free(freed));
    let address = released.addr().get();
    let error = all_refuse(&mut rig, released, old);
    assert_eq!(error, Misuse::Released { address }.into());
    let interior = rig.pointer(block.addr().get() + 16);
    assert_eq!(all_refuse(&mut rig, interior, old), not_a_block(interior));
}
