use core::cell::Cell;
use tagheap::{Bump, LockFree, Own, Pool, Reserve, SharedHeap};

type Shared = &'static SharedHeap<Reserve>;

fn sent<T: Send>() {}
fn shared<T: Sync>() {}

fn main() {
    // Pools that can be sent, and not shared: an owner uses its pool from where it is.
    sent::<Own<'static, u64, Pool<Shared>>>(); //~ E0277
    sent::<Own<'static, [u8], Bump<Shared>>>(); //~ E0277
    shared::<Own<'static, u64, Pool<Shared>>>(); //~ E0277
    // Values that can be sent, and not shared.
    sent::<Own<'static, Cell<u8>, LockFree<Shared>>>();
    shared::<Own<'static, Cell<u8>, LockFree<Shared>>>(); //~ E0277
}
