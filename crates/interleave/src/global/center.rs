//! The centre: a lock, and as many spans as a model has.

use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;

use loom::sync::Mutex;

use crate::global::classes::Class;
use crate::global::magazine::Entry;
use crate::global::memory;
use crate::global::shelf;
use crate::global::span::Span;
use crate::global::spans;
use crate::global::stock::Stock;
use crate::global::thread::Thread;
use crate::words::error::{Error, Misuse, OutOfMemory, Shortage};

pub(super) struct Center {
    /// How many spans may be opened.
    pub(super) spare: usize,
}

thread_local! {
    static CENTER: RefCell<Option<Rc<Mutex<Center>>>> = const { RefCell::new(None) };
}

pub(super) fn begin() {
    let center = Center { spare: 1 };
    CENTER.set(Some(Rc::new(Mutex::new(center))));
}

pub(super) fn with<T>(work: impl FnOnce(&mut Center) -> T) -> Result<T, Error> {
    let center = CENTER.with_borrow(|center| Rc::clone(center.as_ref().unwrap()));
    let answer = work(&mut center.lock().unwrap());
    Ok(answer)
}

impl Center {
    /// The heap has no blocks but spans.
    #[expect(clippy::unused_self, reason = "as the library has it")]
    pub(super) unsafe fn give_block(&mut self, at: NonNull<u8>, _: Layout) -> Result<(), Error> {
        let address = at.addr().get();
        Err(Misuse::NotFromHere { address }.into())
    }

    pub(super) fn make_thread(&mut self) -> Result<&'static Thread, Error> {
        Ok(memory::zeroed())
    }

    pub(super) fn make_stock(&mut self) -> Result<&'static Stock, Error> {
        Ok(memory::zeroed())
    }

    fn open_span(&mut self, stock: &'static Stock, class: Class) -> Result<&'static Span, Error> {
        if self.spare == 0 {
            return Err(OutOfMemory {
                tag: stock.tag(),
                size: 0,
                align: 1,
                cause: Shortage::Refused,
            }
            .into());
        }
        self.spare -= 1;
        let shelf = stock.shelf(class);
        if shelf.magazine.room() == 0 {
            let entries = memory::zeroed_slice::<Entry>(shelf::room(class) + 1);
            shelf.magazine.furnish(entries);
        }
        let span = spans::open(class);
        span.stock.set(Some(stock));
        span.be_quick(shelf);
        stock.add(span);
        Ok(span)
    }

    pub(super) fn close_span(
        &mut self,
        stock: &'static Stock,
        span: &'static Span,
    ) -> Result<(), Error> {
        stock.remove(span);
        span.close();
        Ok(())
    }
}

pub(super) fn open_span(stock: &'static Stock, class: Class) -> Result<&'static Span, Error> {
    with(|center| center.open_span(stock, class))?
}

pub(super) fn close_span(stock: &'static Stock, span: &'static Span) -> Result<(), Error> {
    with(|center| center.close_span(stock, span))?
}
