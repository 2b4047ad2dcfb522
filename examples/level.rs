//! The reason for tags: a game's level, loaded in hundreds of pieces and unloaded in one call.
//!
//! The level's blocks lie between those of a player who stays, and frames come and go meanwhile. Nobody
//! keeps a list of what belongs to whom: the heap knows. The next level is loaded into the memory that
//! the last one left.
//!
//! ```text
//! cargo run --example level
//! ```

use core::alloc::Layout;
use core::error::Error;

use tagheap::{Heap, Reserve, Tag};

const PLAYER: Tag = Tag::named("player");
const LEVEL: Tag = Tag::named("level");
const FRAME: Tag = Tag::named("frame");

/// A level's large pieces: corners of its mesh, texels, samples of sound.
const MESH: usize = 20_000;
const TEXTURES: [usize; 4] = [256 * 256, 256 * 256, 64 * 64, 32 * 32];
const SOUNDS: [usize; 3] = [44_100, 22_050, 8_000];

fn main() -> Result<(), Box<dyn Error>> {
    let mut heap = Heap::new(Reserve::new()?)?;

    println!("A player joins, and picks something up while the first level is loaded.\n");
    equip_player(&mut heap, &[2_000, 320, 48])?;
    load_world(&mut heap)?;
    equip_player(&mut heap, &[160])?;
    load_objects(&mut heap)?;
    println!("{}\n", heap.table());

    println!("Sixty frames are played. This is the last one, just before its end.\n");
    for frame in 1..=60 {
        play_frame(&mut heap, frame)?;
        if frame == 60 {
            println!("{}\n", heap.table());
        }
        // SAFETY: the frame is over, and nobody holds a pointer into it.
        unsafe { heap.release(FRAME)? };
    }

    let end = heap.end();
    // SAFETY: the level is over, and nobody holds a pointer into it.
    let released = unsafe { heap.release(LEVEL)? };
    println!("The level is released in one call: {released}. The player stays.\n");
    println!("{}\n\n{}\n", heap.drawing(), heap.table());

    println!("The next level is loaded into the same memory.\n");
    load_world(&mut heap)?;
    load_objects(&mut heap)?;
    println!("{}\n", heap.table());
    println!("The heap grew by {} bytes.", heap.end() - end);

    heap.check()?;
    Ok(())
}

fn equip_player(heap: &mut Heap<Reserve>, sizes: &[usize]) -> Result<(), Box<dyn Error>> {
    for &size in sizes {
        heap.allocate(PLAYER, Layout::array::<u8>(size)?)?;
    }
    Ok(())
}

/// The level's large pieces. Each names the tag it will go with; nobody has to remember where it is.
fn load_world(heap: &mut Heap<Reserve>) -> Result<(), Box<dyn Error>> {
    heap.allocate(LEVEL, Layout::array::<[f32; 3]>(MESH)?)?;
    for texels in TEXTURES {
        heap.allocate(LEVEL, Layout::array::<u32>(texels)?.align_to(64)?)?;
    }
    for samples in SOUNDS {
        heap.allocate(LEVEL, Layout::array::<i16>(samples)?)?;
    }
    Ok(())
}

/// The level's inhabitants: four hundred, of all sizes, the same in both levels to compare them.
fn load_objects(heap: &mut Heap<Reserve>) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(4711);
    for _ in 0..400 {
        heap.allocate(LEVEL, Layout::array::<u8>(random.usize(16..600))?)?;
    }
    Ok(())
}

fn play_frame(heap: &mut Heap<Reserve>, frame: usize) -> Result<(), Box<dyn Error>> {
    // Something needed for a moment only, and given back at once,
    let scratch = Layout::array::<u8>(5_000 + 100 * frame)?;
    let visible = heap.allocate(FRAME, scratch)?;
    // SAFETY: the block was allocated with this layout just above, and nobody else knows it.
    unsafe { heap.deallocate(visible.cast(), scratch)? };
    // and things that last until the frame's end.
    for command in 0..50 {
        heap.allocate(FRAME, Layout::array::<u8>(64 + command % 7 * 32)?)?;
    }
    Ok(())
}
