use tagheap::{Heap, Kind, LocalHeap, Locked, SharedHeap, Source, Timed};

fn sent<T: Send>() {}
fn shared<T: Sync>() {}

// A lock makes one at a time of many; it makes nothing fit for another thread.
fn heaps_of<S: Source>() {
    sent::<Heap<S>>(); //~ E0277
    sent::<LocalHeap<S>>(); //~ E0277
    sent::<SharedHeap<S>>(); //~ E0277
    shared::<SharedHeap<S>>(); //~ E0277
}

fn pools_of<K: Kind>() {
    sent::<Locked<K>>(); //~ E0277
    shared::<Locked<K>>(); //~ E0277
    sent::<Timed<K>>(); //~ E0277
}

// And what can be sent is not shared for that.
fn sent_pools_of<K: Kind + Send, S: Source + Send>() {
    shared::<Timed<K>>(); //~ E0277
    shared::<LocalHeap<S>>(); //~ E0277
}

fn main() {}
