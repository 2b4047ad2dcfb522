use std::rc::Rc;
use tagheap::{Error, Own, Kind};

fn send<T: Send>() {}

fn of<K: Kind + Sync + 'static>() {
    send::<Own<'static, Rc<u8>, K>>();
}

fn main() -> Result<(), Error> {
    Ok(())
}
