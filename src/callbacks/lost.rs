//! Listeners for lost jobs, called while PHP works on something else.
//!
//! The client's thread cannot call PHP. It interrupts the engine, as a signal does, and PHP's own
//! threads then call their listeners between two statements.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use amqp1_core::threads;
use ext_php_rs::types::{ZendCallable, Zval};

use super::next_number;
use crate::engine::{self, guarded, Stash};
use crate::fail::Fail;

thread_local! {
    /// Not dropped with the thread, because PHP's memory is already freed then.
    static LISTENERS: RefCell<BTreeMap<u64, ManuallyDrop<Zval>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Keeps a callable registered as a listener until it is dropped.
#[derive(Debug)]
pub struct Listener(u64);

impl Listener {
    /// `callable` must be callable; the caller has checked it.
    pub fn new(callable: &Zval) -> Self {
        let number = next_number();
        let held = ManuallyDrop::new(callable.shallow_clone());
        LISTENERS.with_borrow_mut(|all| all.insert(number, held));
        Self(number)
    }

    /// Reports the callable to the garbage collector.
    pub fn report(&self, report: &mut dyn FnMut(&Zval)) {
        LISTENERS.with(|all| {
            if let Ok(all) = all.try_borrow() {
                all.get(&self.0).into_iter().for_each(|held| report(held));
            }
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let held = LISTENERS.with_borrow_mut(|all| all.remove(&self.0));
        // Outside the borrow: a destructor may drop another listener.
        drop(held.map(ManuallyDrop::into_inner));
    }
}

/// Calls all listeners of this thread, if jobs may have been lost since the last call.
///
/// # Errors
/// The listeners' exceptions.
pub fn tell_if_asked() -> Result<(), Fail> {
    match threads::take_lost() {
        true => tell(),
        false => Ok(()),
    }
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
