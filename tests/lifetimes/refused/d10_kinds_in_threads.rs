use tagheap::{
    Buddy, Bump, Classes, Fixed, FreeList, Pool, Priority, Reserve, SharedHeap, SizeClasses, Stack,
    Timed,
};

type Shared = &'static SharedHeap<Reserve>;

fn shared<T: Sync>() {}

fn main() {
    shared::<Pool<Shared>>(); //~ E0277
    shared::<Bump<Shared>>(); //~ E0277
    shared::<SizeClasses<Shared>>(); //~ E0277
    shared::<Stack<Shared>>(); //~ E0277
    shared::<FreeList<Shared>>(); //~ E0277
    shared::<Fixed<Shared>>(); //~ E0277
    shared::<Classes<Shared, 2>>(); //~ E0277
    shared::<Buddy<Shared>>(); //~ E0277
    shared::<Priority<Shared>>(); //~ E0277
    shared::<Timed<Bump<Shared>>>(); //~ E0277
}
