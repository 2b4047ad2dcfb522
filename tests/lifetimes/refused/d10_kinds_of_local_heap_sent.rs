use tagheap::{
    Buddy, Bump, Classes, Fixed, FreeList, LocalHeap, LockFree, Locked, Pool, Priority, Reserve,
    SizeClasses, Stack, Timed,
};

type Local = &'static LocalHeap<Reserve>;

fn sent<T: Send>() {}
fn shared<T: Sync>() {}

fn main() {
    sent::<Pool<Local>>(); //~ E0277
    sent::<Bump<Local>>(); //~ E0277
    sent::<SizeClasses<Local>>(); //~ E0277
    sent::<Stack<Local>>(); //~ E0277
    sent::<FreeList<Local>>(); //~ E0277
    sent::<Fixed<Local>>(); //~ E0277
    sent::<Classes<Local, 2>>(); //~ E0277
    sent::<Buddy<Local>>(); //~ E0277
    sent::<Priority<Local>>(); //~ E0277
    sent::<LockFree<Local>>(); //~ E0277
    sent::<Timed<Bump<Local>>>(); //~ E0277
    sent::<Locked<Bump<Local>>>(); //~ E0277
    shared::<LockFree<Local>>(); //~ E0277
    shared::<Locked<Bump<Local>>>(); //~ E0277
    shared::<Timed<LockFree<Local>>>(); //~ E0277
}
