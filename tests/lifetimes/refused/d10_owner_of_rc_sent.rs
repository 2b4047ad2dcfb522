use std::rc::Rc;
use tagheap::{Error, Kind, Own};

fn send<T: Send>() {}

fn of<K: Kind + Sync + 'static>() {
    send::<Own<'static, Rc<u8>, K>>(); //~ E0277
}

fn main() -> Result<(), Error> {
    Ok(())
}
