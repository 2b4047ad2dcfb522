use tagheap::{Error, Kind, Typed};

fn value<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let value = kind.alloc(5)?;
    kind.reset()?; //~ E0502
    *value = 6;
    Ok(())
}

fn slice<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let slice = kind.alloc_slice_fill_with(5, |n| n)?;
    kind.reset()?; //~ E0502
    slice[0] = 6;
    Ok(())
}

fn copy<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let copy = kind.alloc_slice_copy(&[1, 2])?;
    kind.reset()?; //~ E0502
    copy[0] = 6;
    Ok(())
}

fn text<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let text = kind.alloc_str("ciao")?;
    kind.reset()?; //~ E0502
    text.make_ascii_uppercase();
    Ok(())
}

fn owner<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let owner = kind.own_str("ciao")?;
    kind.reset()?; //~ E0502
    println!("{owner}");
    Ok(())
}

fn leaked<K: Kind>(kind: &mut K) -> Result<(), Error> {
    let leaked = kind.own(5)?.leak();
    kind.reset()?; //~ E0502
    *leaked = 6;
    Ok(())
}

fn dropped<K: Kind>(kind: K) -> Result<(), Error> {
    let value = kind.alloc(5)?;
    drop(kind); //~ E0505
    *value = 6;
    Ok(())
}

fn main() {}
