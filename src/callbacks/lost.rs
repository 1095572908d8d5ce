//! Listeners that hear of lost jobs while PHP works on something else.
//!
//! The client's thread cannot call PHP. It asks the engine for an interruption, as a signal
//! does, and PHP's own thread calls the listeners between two of its statements.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use ext_php_rs::types::{ZendCallable, Zval};

use crate::engine::{self, guarded, interrupts, Stash};
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

    /// The callable, where the collector finds it.
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
        // Outside of the borrow: a destructor may drop another one.
        drop(held.map(ManuallyDrop::into_inner));
    }
}

/// At MINIT.
pub fn register() {
    interrupts::on_request(tell);
    amqp1_core::on_lost(interrupts::request);
}

/// Calls the listeners, all of them: what one throws is not another consumer's affair. The first
/// exception is raised, with the others as its previous ones.
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
