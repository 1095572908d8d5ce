//! What the garbage collector is told of our objects: without it, a value that an object of ours
//! holds keeps whatever that value holds, for ever if that is the object itself.

use std::ffi::c_int;

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::ffi::zend_object_handlers;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, ZendObject, Zval};

/// Objects of a class without properties that hold a PHP value, one reference of it each.
pub trait Holder: RegisteredClass {
    /// The value, where it stays until PHP code runs again.
    fn held(&self) -> Option<*mut Zval>;
}

/// Has the collector see what objects of a class hold. At MINIT.
pub fn register<T: Holder>() {
    let metadata = T::get_metadata();
    let handlers: *const zend_object_handlers = metadata.handlers();
    // The handlers lie in a cell of the metadata, through which alone they may be written.
    let cell = std::ptr::from_ref(metadata).cast::<u8>();
    let offset = handlers.addr() - cell.addr();
    // SAFETY: within the metadata, see above; it is `'static`. MINIT is single-threaded, no
    // object of the class is there yet, and no reference to the handlers is held.
    unsafe {
        let handlers = cell.add(offset).cast_mut().cast::<zend_object_handlers>();
        (*handlers).get_gc = Some(get_gc::<T>);
    }
}

/// # Safety
/// Called by the collector alone, with an object of the class and where to put the answer.
unsafe extern "C" fn get_gc<T: Holder>(
    object: *mut ZendObject,
    table: *mut *mut Zval,
    count: *mut c_int,
) -> *mut ZendHashTable {
    // SAFETY: the collector's object is alive; it is read, not kept.
    let ours = unsafe { object.as_ref() }.and_then(ZendClassObject::<T>::from_zend_obj);
    let held = ours.and_then(|object| object.held());
    // SAFETY: the collector's own variables; one value is a table of one.
    unsafe {
        *table = held.unwrap_or(std::ptr::null_mut());
        *count = c_int::from(held.is_some());
        (*object).properties
    }
}
