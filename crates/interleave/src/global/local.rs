//! What a thread of the model has for itself: what the test says.

use std::cell::Cell;
use std::ptr;

use crate::global::UNTAGGED;
use crate::global::atomic::{AtomicBool, Ordering};
use crate::global::known::Known;
use crate::global::link::Link;
use crate::global::stock::Stock;
use crate::global::thread::Thread;
use crate::words::error::Misuse;
use crate::words::tag::Tag;

#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Local {
    pub(super) stock: Link<Stock>,
    pub(super) thread: Link<Thread>,
    busy: AtomicBool,
    pub(super) known: Known,
}

loom::thread_local! {
    static OWN: Cell<Option<&'static Local>> = Cell::new(None);
}

/// Gives the calling thread this for its own.
pub(super) fn be(local: &'static Local) {
    OWN.with(|own| own.set(Some(local)));
}

/// The calling thread's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own(&'static Local);

pub(super) fn own() -> Option<Own> {
    OWN.with(Cell::get).map(Own)
}

impl Own {
    pub(super) fn local(self) -> &'static Local {
        self.0
    }

    pub(super) fn begin(self) -> bool {
        self.0.begin()
    }

    pub(super) fn end(self) {
        self.0.end();
    }

    pub(super) fn stock(self) -> *const Stock {
        self.0.stock.get().map_or(ptr::null(), ptr::from_ref)
    }
}

pub(super) fn enter<'a>() -> Result<Inside<'a>, Misuse> {
    let local = own().unwrap().local();
    match local.begin() {
        true => Ok(Inside { local }),
        false => Err(Misuse::Reentered),
    }
}

impl Local {
    pub(super) fn begin(&self) -> bool {
        if self.busy.load(Ordering::Relaxed) {
            return false;
        }
        self.busy.store(true, Ordering::Relaxed);
        true
    }

    pub(super) fn end(&self) {
        self.busy.store(false, Ordering::Release);
    }

    pub(super) fn tag_in_force(&self) -> Tag {
        UNTAGGED
    }
}

#[derive(Debug)]
pub(super) struct Inside<'a> {
    pub(super) local: &'a Local,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.local.end();
    }
}
