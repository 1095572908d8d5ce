//! Classes and interfaces that are registered by hand.

use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::args::ArgInfoTables;
use ext_php_rs::zend::ClassEntry;

/// A class or interface, as the last MINIT registered it.
#[derive(Debug)]
pub struct Registered(AtomicPtr<ClassEntry>);

impl Registered {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Keeps an entry that was registered.
    pub fn keep(&self, entry: &'static mut ClassEntry, arg_info: ArgInfoTables) {
        self.0.store(entry, Ordering::Release);
        // The engine borrows the tables until the process ends.
        std::mem::forget(arg_info);
    }

    /// The entry; `None` before MINIT.
    pub fn get(&self) -> Option<&'static ClassEntry> {
        // SAFETY: null or an entry that MINIT registered; entries live until MSHUTDOWN.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}
