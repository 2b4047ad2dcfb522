use tagheap::{Error, Kind, Level, LocalHeap, Locked, Priority, Reserve, Timed, Typed};

fn lent<K: Kind>(locked: &mut Locked<K>) -> Result<(), Error> {
    let value = locked.alloc(5)?;
    locked.get_mut().reset()?; //~ E0502
    *value = 6;
    Ok(())
}

fn unlocked<K: Kind>(locked: Locked<K>) -> Result<K, Error> {
    let value = locked.alloc(5)?;
    let kind = locked.into_inner(); //~ E0505
    *value = 6;
    Ok(kind)
}

fn untimed<K: Kind>(timed: Timed<K>) -> Result<K, Error> {
    let value = timed.alloc(5)?;
    let kind = timed.into_inner(); //~ E0505
    *value = 6;
    Ok(kind)
}

fn kept_from_a_look<K: Kind>(locked: &Locked<K>) {
    let mut kept = None;
    let _ = locked.look(|kind| kept = kind.alloc(5).ok()); //~ E0521
    if let Some(value) = kept {
        *value = 6;
    }
}

fn at_a_level(pool: &mut Priority<&LocalHeap<Reserve>>) -> Result<(), Error> {
    let value = pool.at(Level::Critical).alloc(5)?;
    pool.reset()?; //~ E0502
    *value = 6;
    Ok(())
}

fn main() {}
