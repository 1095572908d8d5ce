//! Classes and interfaces that are registered by hand.

use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::args::ArgInfoTables;
use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::error::Result;
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};
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

/// An interface with the public methods of a class. `returns` may name another return type for a
/// method, and whether null is another result.
///
/// # Errors
/// None at present: the class registers the same methods.
pub fn interface_of<T: RegisteredClass>(
    name: &str,
    returns: impl Fn(&str) -> Option<(DataType, bool)>,
) -> Result<ClassBuilder> {
    let mut builder = ClassBuilder::new(name).flags(ClassFlags::Interface);
    // Only a built method tells its name.
    for ((named, _), (method, flags)) in T::method_builders().into_iter().zip(T::method_builders())
    {
        let (entry, _arg_info) = named.build()?;
        // SAFETY: `build` made it by `CString::into_raw`, and nothing else has the entry.
        let name = unsafe { CString::from_raw(entry.fname.cast_mut()) };
        let method = match name.to_str().ok().and_then(&returns) {
            Some((class, or_null)) => method.returns(class, false, or_null),
            None => method,
        };
        builder = builder.method(method, flags | MethodFlags::Abstract);
    }
    Ok(builder)
}
