//! E07: free blocks that somebody writes to. What is not sealed is given to nobody, and joined to nothing.

use core::ptr::NonNull;

use tagheap::{Block, Corruption, Error, HEADER, Tag};

use crate::support::{Careless, Config, Rig, Shaken, bytes, layout};

stamp!(stepped:
    e07_a_damaged_free_block_is_given_to_nobody,
    e07_a_damaged_large_free_block_is_given_to_nobody,
);

fn e07_a_damaged_free_block_is_given_to_nobody<C: Config<Ground: Shaken>>() {
    for seed in 0..60 {
        write_to_free_blocks::<C>(seed, 1 << 14, 300);
    }
}

/// So large that an index may leave the size to the header.
fn e07_a_damaged_large_free_block_is_given_to_nobody<C: Config<Ground: Shaken>>() {
    for seed in 0..4 {
        write_to_free_blocks::<C>(seed, 1 << 21, 300_000);
    }
}

/// Mostly small.
fn size(random: &mut fastrand::Rng, largest: usize) -> usize {
    let most = largest >> random.u32(0..8);
    random.usize(0..=most)
}

fn tag(random: &mut fastrand::Rng) -> Tag {
    Tag::new(1 + random.u64(0..12))
}

fn write_to_free_blocks<C: Config>(seed: u64, memory: usize, largest: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::<C>::new(memory);
    for _ in 0..60 {
        let (tag, wanted) = (tag(&mut random), bytes(size(&mut random, largest)));
        let _full = rig.allocate(tag, wanted);
    }
    for ptr in rig.live.values().map(|live| live.ptr).collect::<Vec<_>>() {
        if random.bool() {
            rig.free(ptr);
        }
    }
    let free: Vec<_> = rig.blocks().into_iter().filter(Block::is_free).collect();
    if free.is_empty() {
        return;
    }
    let mut damaged: Vec<(usize, Vec<u8>, Vec<u8>)> = Vec::new();
    for _ in 0..random.usize(1..4) {
        let block = free[random.usize(0..free.len())];
        if damaged.iter().any(|(at, ..)| *at == block.at) {
            continue;
        }
        let whole = rig.read(block.at, HEADER);
        let mut header = whole.clone();
        match random.u8(0..3) {
            0 => header.copy_from_slice(&rig.read(free[0].at + 48, HEADER)),
            1 => header[8..16].copy_from_slice(&random.u64(0..1 << 20).to_le_bytes()),
            _ => header[random.usize(0..HEADER)] ^= 1 << random.u8(0..8),
        }
        if header != whole {
            rig.write(block.at, &header);
            damaged.push((block.at, whole, header));
        }
    }
    // What free blocks hold is nobody's; headers copied there are not theirs.
    for block in &free {
        let own = rig.read(block.at, HEADER);
        let room = block.usable() - 16;
        let fill = random.usize(0..=room);
        let payload = vec![random.u8(..); fill];
        rig.write(block.payload(), &payload);
        if room >= HEADER {
            rig.write(block.payload() + 16, &own);
        }
    }
    for _ in 0..60 {
        let answer = rig.attempt(|rig| step(rig, &mut random, largest));
        match answer {
            Ok(()) | Err(Error::OutOfMemory(_)) => {}
            Err(Error::Corruption(Corruption::Header { at })) => {
                assert!(damaged.iter().any(|(other, ..)| *other == at), "{at:#x}");
            }
            Err(error) => panic!("{error}"),
        }
        for (at, _, header) in &damaged {
            assert_eq!(rig.read(*at, HEADER), *header, "taken or joined");
        }
    }
    for (at, whole, _) in &damaged {
        rig.write(*at, whole);
    }
    rig.check();
    rig.contents();
}

fn step<C: Config>(
    rig: &mut Rig<C>,
    random: &mut fastrand::Rng,
    largest: usize,
) -> Result<(), Error> {
    let (tag, size) = (tag(random), size(random, largest));
    let wanted = layout(size, 1 << random.u32(0..8));
    let index = random.usize(0..rig.live.len().max(1));
    let some = rig.live.values().nth(index).copied();
    match (random.u8(0..20), some) {
        (0..8, _) | (_, None) => {
            let block = rig.heap.allocate(tag, wanted)?;
            rig.write_down(block.cast(), wanted, tag);
        }
        (8..14, Some(live)) => {
            rig.heap.free(live.ptr, live.layout)?;
            rig.live.remove(&live.ptr.addr().get());
        }
        (14..18, Some(live)) => {
            let old = live.layout;
            let moved: NonNull<u8> = if wanted.size() < old.size() {
                rig.heap.reduce(live.ptr, old, wanted)?
            } else {
                rig.heap.enlarge_zeroed(live.ptr, old, wanted)?
            };
            rig.live.remove(&live.ptr.addr().get());
            rig.write_down(moved, wanted, live.tag);
        }
        (18, Some(live)) => {
            rig.heap.retag(live.ptr, tag)?;
            rig.live.get_mut(&live.ptr.addr().get()).unwrap().tag = tag;
        }
        (_, Some(_)) => {
            rig.heap.release_tag(tag)?;
            rig.live.retain(|_, live| live.tag != tag);
        }
    }
    rig.payloads();
    Ok(())
}
