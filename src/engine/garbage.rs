//! Tells the garbage collector which values our objects hold. Otherwise a value held by one of our
//! objects would keep everything it refers to alive, for ever if that includes the object itself.

use std::cell::RefCell;
use std::ffi::c_int;
use std::mem::ManuallyDrop;

use ext_php_rs::class::RegisteredClass;
use ext_php_rs::ffi::zend_object_handlers;
use ext_php_rs::types::{ZendClassObject, ZendHashTable, ZendObject, Zval};

/// Classes whose objects have no properties and hold references to PHP values, one for each that
/// they report.
pub trait Holder: RegisteredClass {
    /// Reports the values. It may run no PHP code.
    fn held(&self, report: &mut dyn FnMut(&Zval));
}

thread_local! {
    /// The answer to the collector, which reads it before it asks the next object. The values are
    /// copies without a reference of their own.
    static ANSWER: RefCell<Vec<ManuallyDrop<Zval>>> = const { RefCell::new(Vec::new()) };
}

/// Tells the collector about the values that objects of a class hold. Call it at MINIT.
pub fn register<T: Holder>() {
    let metadata = T::get_metadata();
    let handlers: *const zend_object_handlers = metadata.handlers();
    // The handlers are in a cell of the metadata and may be written only through it.
    let cell = std::ptr::from_ref(metadata).cast::<u8>();
    let offset = handlers.addr() - cell.addr();
    // SAFETY: within the metadata, see above; it is `'static`. MINIT is single-threaded, no object
    // of the class exists yet, and no reference to the handlers is held.
    unsafe {
        let handlers = cell.add(offset).cast_mut().cast::<zend_object_handlers>();
        (*handlers).get_gc = Some(get_gc::<T>);
    }
}

/// # Safety
/// Only the collector may call it, with an object of the class and pointers for the answer.
unsafe extern "C" fn get_gc<T: Holder>(
    object: *mut ZendObject,
    table: *mut *mut Zval,
    count: *mut c_int,
) -> *mut ZendHashTable {
    // SAFETY: the collector's object is alive; it is read, not kept.
    let ours = unsafe { object.as_ref() }.and_then(ZendClassObject::<T>::from_zend_obj);
    ANSWER.with_borrow_mut(|answer| {
        answer.clear();
        if let Some(object) = ours {
            object.held(&mut |value| {
                // SAFETY: a copy of the bits, which is neither dropped nor used after the answer.
                answer.push(ManuallyDrop::new(unsafe { std::ptr::read(value) }));
            });
        }
        // SAFETY: the collector's own variables. It reads the answer, whose wrapper has Zval's
        // layout, before it asks the next object.
        unsafe {
            *table = answer.as_mut_ptr().cast();
            *count = c_int::try_from(answer.len()).unwrap_or(0);
            (*object).properties
        }
    })
}
