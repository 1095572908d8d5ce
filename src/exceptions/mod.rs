//! The exception classes: one table of kind, PHP class and parent.
//!
//! They are registered by hand, because ext-php-rs' own exception classes have no line, file or
//! trace, and PHP code cannot construct them.

mod batch;
mod parents;

use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, Ordering};

use amqp1_core::{Error, ErrorKind};
use ext_php_rs::args::ArgInfoTables;
use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::ffi::zend_throw_exception;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::types::{ZendObject, Zval};
use ext_php_rs::zend::{ce, ClassEntry};

extern "C" {
    fn zend_update_property(
        scope: *mut ClassEntry,
        object: *mut ZendObject,
        name: *const libc::c_char,
        name_length: usize,
        value: *mut Zval,
    );
}

pub use batch::{throw_batch, BatchFailure};

/// The marker interface of all exceptions.
const INTERFACE: &str = "Amqp1\\Exception\\ExceptionInterface";

/// Class entries, as the last MINIT registered them: the interface, then each [`Class`].
static ENTRIES: [AtomicPtr<ClassEntry>; Class::COUNT + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; Class::COUNT + 1];

macro_rules! classes {
    ($($kind:ident => $name:literal extends $parent:ident;)*) => {
        /// An exception class. All but the last are rows of the core's table of kinds.
        #[derive(Debug, Clone, Copy)]
        enum Class { $($kind),* }

        impl Class {
            const COUNT: usize = [$(Class::$kind),*].len();

            /// The builder of each class, with its parent and its slot in [`ENTRIES`].
            fn builders() -> [ClassBuilder; Self::COUNT] {
                [$(
                    ClassBuilder::new(concat!("Amqp1\\Exception\\", $name))
                        .extends((parents::$parent, concat!("\\", stringify!($parent))))
                        .implements((interface, INTERFACE))
                        .registration(|entry, arg_info| keep(1 + Class::$kind as usize, entry, arg_info))
                ),*]
            }
        }
    };
}

classes! {
    Config => "ConfigException" extends InvalidArgumentException;
    Connection => "ConnectionException" extends RuntimeException;
    Authentication => "AuthenticationException" extends RuntimeException;
    Timeout => "TimeoutException" extends RuntimeException;
    Rejected => "RejectedException" extends RuntimeException;
    Unroutable => "UnroutableException" extends RuntimeException;
    QueueNotFound => "QueueNotFoundException" extends RuntimeException;
    TaskLost => "TaskLostException" extends RuntimeException;
    Unsupported => "UnsupportedException" extends RuntimeException;
    Serialization => "SerializationException" extends RuntimeException;
    Batch => "BatchException" extends RuntimeException;
}

impl From<ErrorKind> for Class {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config => Class::Config,
            ErrorKind::Connection => Class::Connection,
            ErrorKind::Authentication => Class::Authentication,
            // The time limit ended the wait, so the outcome is unknown as well.
            ErrorKind::Timeout | ErrorKind::Interrupted => Class::Timeout,
            ErrorKind::Rejected => Class::Rejected,
            ErrorKind::Unroutable => Class::Unroutable,
            ErrorKind::QueueNotFound => Class::QueueNotFound,
            ErrorKind::TaskLost => Class::TaskLost,
            ErrorKind::Unsupported => Class::Unsupported,
            ErrorKind::Serialization => Class::Serialization,
        }
    }
}

fn keep(slot: usize, entry: &'static mut ClassEntry, arg_info: ArgInfoTables) {
    ENTRIES[slot].store(entry, Ordering::Release);
    // The engine borrows the tables until the process ends.
    std::mem::forget(arg_info);
}

fn entry(slot: usize) -> &'static ClassEntry {
    // SAFETY: null or an entry that MINIT registered; entries live until MSHUTDOWN.
    unsafe { ENTRIES[slot].load(Ordering::Acquire).as_ref() }.unwrap_or_else(|| ce::exception())
}

fn interface() -> &'static ClassEntry {
    entry(0)
}

fn class_entry(class: Class) -> &'static ClassEntry {
    entry(1 + class as usize)
}

/// Registers the interface and the classes. Call it only at MINIT.
///
/// # Errors
/// If a class with that name already exists.
pub fn register() -> ext_php_rs::error::Result<()> {
    ClassBuilder::new(INTERFACE)
        .flags(ClassFlags::Interface)
        .implements((ce::throwable, "\\Throwable"))
        .registration(|entry, arg_info| keep(0, entry, arg_info))
        .register()?;
    let last = Class::COUNT - 1;
    for (slot, builder) in Class::builders().into_iter().enumerate() {
        let builder = if slot == last {
            batch::with_members(builder)
        } else {
            builder
        };
        builder.register()?;
    }
    Ok(())
}

/// Throws the exception for the error's kind.
pub fn throw(error: &Error) {
    let message = CString::new(error.message().replace('\0', "\\0")).unwrap_or_default();
    // SAFETY: the entry is a concrete class, the message is NUL-terminated and copied.
    unsafe {
        zend_throw_exception(
            std::ptr::from_ref(class_entry(error.kind().into())).cast_mut(),
            message.as_ptr(),
            0,
        );
    }
}

/// The exception for an error, not thrown.
pub fn of(error: &Error) -> Zval {
    object(error.kind().into(), error.message())
}

/// Creates an exception without throwing it, with the file, line and trace of this call.
fn object(class: Class, message: &str) -> Zval {
    let mut object = ZendObject::new(class_entry(class));
    let mut text = Zval::new();
    let _ = text.set_string(message, false);
    let mut zval = Zval::new();
    // `set_object` adds a reference; `object` drops its own at the end of this function.
    zval.set_object(&mut object);
    set(&mut zval, ce::exception(), "message", &mut text);
    zval
}

fn set(exception: &mut Zval, scope: &'static ClassEntry, name: &str, value: &mut Zval) {
    if let Some(object) = exception.object_mut() {
        // SAFETY: a live object of a class that inherits `scope`, which declares the property; the
        // engine takes its own reference to the value.
        unsafe {
            zend_update_property(
                std::ptr::from_ref(scope).cast_mut(),
                object,
                name.as_ptr().cast(),
                name.len(),
                value,
            );
        }
    }
}
