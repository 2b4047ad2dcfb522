//! A long random program, with every byte of every block known all the time.

use tagheap::{Error, Tag};

use crate::support::{Careless, Config, Rig, bytes, layout};

stamp!(buffer_and_reserve: shadow_twenty_thousand_operations_lose_no_byte);
stamp!(stepped: shadow_twenty_thousand_operations_lose_no_byte);

/// Sizes over many orders of magnitude: mostly small.
fn size(random: &mut fastrand::Rng) -> usize {
    let most = 1 << random.u32(0..11);
    random.usize(0..=most)
}

fn align(random: &mut fastrand::Rng) -> usize {
    match random.u8(0..4) {
        0 => 1 << random.u32(0..10),
        _ => 8,
    }
}

fn shadow_twenty_thousand_operations_lose_no_byte<C: Config>() {
    let mut random = fastrand::Rng::with_seed(20);
    let mut rig = Rig::<C>::new(6 << 10);
    let mut refused = 0;
    for _ in 0..20_000 {
        if let Err(error) = rig.attempt(|rig| step(rig, &mut random)) {
            assert!(matches!(error, Error::OutOfMemory(_)), "{error}");
            refused += 1;
        }
        rig.contents();
    }
    rig.check();
    assert!(
        refused > 20,
        "the memory was scarce at times, not {refused}"
    );
    assert!(refused < 15_000, "and not always: {refused}");
    rig.release(|_| true);
}

/// One operation of many sorts.
pub(crate) fn step<C: Config>(rig: &mut Rig<C>, random: &mut fastrand::Rng) -> Result<(), Error> {
    let tag = Tag::new(1 + random.u64(0..5));
    let count = rig.live.len().max(1);
    let some = rig.live.values().nth(random.usize(0..count)).copied();
    let wanted = layout(size(random), align(random));
    match (random.u8(0..100), some) {
        (0..35, _) | (_, None) => rig.allocate(tag, wanted).map(drop),
        (35..45, _) => rig.allocate_zeroed(tag, wanted).map(drop),
        (45..75, Some(live)) => {
            rig.free(live.ptr);
            Ok(())
        }
        (75..92, Some(live)) => rig.resize(live.ptr, wanted, random.bool()).map(drop),
        (92..96, Some(live)) => {
            rig.retag(live.ptr, tag);
            Ok(())
        }
        (96, Some(live)) => {
            // Misuse in between is refused, and harms nobody.
            let wrong = rig.pointer(live.ptr.addr().get() + 8);
            rig.heap.free(wrong, bytes(1)).unwrap_err();
            let claimed = bytes(rig.heap.usable_size(live.ptr)? + 1);
            rig.heap.free(live.ptr, claimed).unwrap_err();
            Ok(())
        }
        (97, _) => {
            rig.unseen(|heap| heap.trim());
            rig.check();
            Ok(())
        }
        (98, _) => {
            rig.unseen(|heap| heap.purge()).unwrap();
            rig.check();
            Ok(())
        }
        _ => {
            rig.release_one(tag);
            Ok(())
        }
    }
}
