//! Listeners that hear of lost jobs while PHP works on something else.
//!
//! The client's thread cannot call PHP. It asks the engine for an interruption, as a signal
//! does, and PHP's own thread calls the listeners between two of its statements.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use ext_php_rs::types::{ZendCallable, Zval};

use crate::engine::{self, guarded};
use crate::fail::Fail;

thread_local! {
    /// Not dropped with the thread: PHP's memory is gone by then.
    static LISTENERS: RefCell<BTreeMap<u64, ManuallyDrop<Zval>>> = const { RefCell::new(BTreeMap::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A callable that is called for as long as this lives.
#[derive(Debug)]
pub struct Listener(u64);

impl Listener {
    /// `callable` is one: the caller has looked.
    pub fn new(callable: &Zval) -> Self {
        let number = LAST.get() + 1;
        LAST.set(number);
        let held = ManuallyDrop::new(callable.shallow_clone());
        LISTENERS.with_borrow_mut(|all| all.insert(number, held));
        Self(number)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let held = LISTENERS.with_borrow_mut(|all| all.remove(&self.0));
        // Outside of the borrow: a destructor may drop another one.
        drop(held.map(ManuallyDrop::into_inner));
    }
}

/// At MINIT.
pub fn register() {
    engine::on_request(tell);
    amqp1_core::on_lost(engine::request_interruption);
}

/// Calls the listeners.
fn tell() -> Result<(), Fail> {
    let listeners = LISTENERS.with_borrow(|all| {
        let callables = all.values().map(|callable| callable.shallow_clone());
        callables.collect::<Vec<_>>()
    });
    for listener in &listeners {
        guarded(|| ZendCallable::new(listener).and_then(|call| call.try_call(Vec::new())))?.ok();
    }
    Ok(())
}
