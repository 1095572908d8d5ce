//! Listeners for lost jobs, called while PHP works on something else.
//!
//! The client's thread cannot call PHP. It requests an interruption of the engine, as a signal
//! does, and PHP's own thread then calls the listeners between two statements.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use ext_php_rs::types::{ZendCallable, Zval};

use crate::engine::{self, guarded, interrupts, Stash};
use crate::fail::Fail;

thread_local! {
    /// Not dropped with the thread, because PHP's memory is already freed then.
    static LISTENERS: RefCell<BTreeMap<u64, ManuallyDrop<Zval>>> = const { RefCell::new(BTreeMap::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Keeps a callable registered as a listener until it is dropped.
#[derive(Debug)]
pub struct Listener(u64);

impl Listener {
    /// `callable` must be callable; the caller has checked it.
    pub fn new(callable: &Zval) -> Self {
        let number = LAST.get() + 1;
        LAST.set(number);
        let held = ManuallyDrop::new(callable.shallow_clone());
        LISTENERS.with_borrow_mut(|all| all.insert(number, held));
        Self(number)
    }

    /// The callable, for the garbage collector.
    pub fn callable(&self) -> Option<*mut Zval> {
        LISTENERS.with(|all| {
            let mut all = all.try_borrow_mut().ok()?;
            all.get_mut(&self.0).map(|held| &raw mut **held)
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let held = LISTENERS.with_borrow_mut(|all| all.remove(&self.0));
        // Outside the borrow: a destructor may drop another listener.
        drop(held.map(ManuallyDrop::into_inner));
    }
}

/// Call it at MINIT.
pub fn register() {
    interrupts::on_request(tell);
    amqp1_core::on_lost(interrupts::request);
}

/// Calls all listeners, even if one throws: the others belong to other consumers. Raises the first
/// exception, with the others as its previous ones.
fn tell() -> Result<(), Fail> {
    let listeners = LISTENERS.with_borrow(|all| {
        let callables = all.values().map(|callable| callable.shallow_clone());
        callables.collect::<Vec<_>>()
    });
    let mut thrown = Vec::new();
    for listener in &listeners {
        let call = || ZendCallable::new(listener).and_then(|call| call.try_call(Vec::new()));
        match guarded(call) {
            Ok(_) => {}
            Err(Fail::Pending) => {
                thrown.push(engine::stash_exception());
                if thrown.last().is_some_and(Stash::is_exit) {
                    break;
                }
            }
            Err(fail) => return Err(fail),
        }
    }
    let has_thrown = !thrown.is_empty();
    thrown.into_iter().for_each(Stash::restore);
    match has_thrown {
        true => Err(Fail::Pending),
        false => Ok(()),
    }
}
