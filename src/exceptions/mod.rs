//! The exception classes: one table of kind, PHP class and parent.
//!
//! They are registered by hand because ext-php-rs' own exception classes have
//! neither line nor file nor trace, and cannot be constructed in PHP.

use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicPtr, Ordering};

use amqp1_core::{Error, ErrorKind};
use ext_php_rs::args::ArgInfoTables;
use ext_php_rs::builders::{ClassBuilder, ClassProperty, FunctionBuilder};
use ext_php_rs::exception::throw_object;
use ext_php_rs::ffi::zend_throw_exception;
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags, PropertyFlags};
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::{ce, run_handler, ClassEntry, ExecuteData};

extern "C" {
    static spl_ce_RuntimeException: *mut ClassEntry;
    static spl_ce_InvalidArgumentException: *mut ClassEntry;
    fn zend_update_property(
        scope: *mut ClassEntry,
        object: *mut ZendObject,
        name: *const libc::c_char,
        name_length: usize,
        value: *mut Zval,
    );
    fn zend_read_property(
        scope: *mut ClassEntry,
        object: *mut ZendObject,
        name: *const libc::c_char,
        name_length: usize,
        silent: bool,
        rv: *mut Zval,
    ) -> *mut Zval;
}

/// The marker interface of all of them.
const INTERFACE: &str = "Amqp1\\Exception\\ExceptionInterface";
const FAILURES: &str = "failures";
const CONFIRMED: &str = "confirmedIds";

/// Class entries as the last MINIT registered them: the interface, then [`Class`].
static ENTRIES: [AtomicPtr<ClassEntry>; Class::COUNT + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; Class::COUNT + 1];

macro_rules! classes {
    ($($kind:ident => $name:literal extends $parent:ident;)*) => {
        /// An exception class; all but the last are rows of the core's table of kinds.
        #[derive(Debug, Clone, Copy)]
        enum Class { $($kind),* }

        impl Class {
            const COUNT: usize = [$(Class::$kind),*].len();

            /// The builder of each class, with its parent and where its entry is kept.
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
            // A wait that the time limit ended: the outcome is unknown as well.
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

/// The SPL parents, by their PHP names.
mod parents {
    #![allow(non_snake_case, reason = "named as the PHP classes they return")]
    use super::{ce, spl_ce_InvalidArgumentException, spl_ce_RuntimeException, ClassEntry};

    pub fn RuntimeException() -> &'static ClassEntry {
        // SAFETY: exported by PHP, set when SPL started, which is before any extension.
        unsafe { spl_ce_RuntimeException.as_ref() }.unwrap_or_else(|| ce::exception())
    }

    pub fn InvalidArgumentException() -> &'static ClassEntry {
        // SAFETY: as above.
        unsafe { spl_ce_InvalidArgumentException.as_ref() }.unwrap_or_else(|| ce::exception())
    }
}

fn keep(slot: usize, entry: &'static mut ClassEntry, arg_info: ArgInfoTables) {
    ENTRIES[slot].store(entry, Ordering::Release);
    // The engine borrows the tables until the process ends.
    std::mem::forget(arg_info);
}

fn entry(slot: usize) -> &'static ClassEntry {
    // SAFETY: null or what MINIT registered; entries live until MSHUTDOWN.
    unsafe { ENTRIES[slot].load(Ordering::Acquire).as_ref() }.unwrap_or_else(|| ce::exception())
}

fn interface() -> &'static ClassEntry {
    entry(0)
}

fn class_entry(class: Class) -> &'static ClassEntry {
    entry(1 + class as usize)
}

/// Registers the interface and the classes. At MINIT only.
///
/// # Errors
/// When a class of that name exists already.
pub fn register() -> ext_php_rs::error::Result<()> {
    ClassBuilder::new(INTERFACE)
        .flags(ClassFlags::Interface)
        .implements((ce::throwable, "\\Throwable"))
        .registration(|entry, arg_info| keep(0, entry, arg_info))
        .register()?;
    let last = Class::COUNT - 1;
    for (slot, builder) in Class::builders().into_iter().enumerate() {
        let builder = if slot == last {
            batch_members(builder)
        } else {
            builder
        };
        builder.register()?;
    }
    Ok(())
}

/// What `BatchException` has besides: two lists, written once when it is thrown.
fn batch_members(builder: ClassBuilder) -> ClassBuilder {
    let property = |name: &str| ClassProperty {
        name: name.to_owned(),
        flags: PropertyFlags::Private,
        default: None,
        docs: &[],
        ty: None,
        nullable: false,
        readonly: false,
        default_stub: None,
    };
    let getter = |name: &str, handler| {
        FunctionBuilder::new(name, handler).returns(DataType::Array, false, false)
    };
    builder
        .property(property(FAILURES))
        .property(property(CONFIRMED))
        .method(getter("getFailures", get_failures), MethodFlags::Public)
        .method(
            getter("getConfirmedIds", get_confirmed),
            MethodFlags::Public,
        )
}

extern "C" fn get_failures(call: &mut ExecuteData, retval: &mut Zval) {
    run_handler(AssertUnwindSafe(|| read_list(call, retval, FAILURES)));
}

extern "C" fn get_confirmed(call: &mut ExecuteData, retval: &mut Zval) {
    run_handler(AssertUnwindSafe(|| read_list(call, retval, CONFIRMED)));
}

fn read_list(call: &mut ExecuteData, retval: &mut Zval, name: &str) {
    if call.parser().parse().is_err() {
        return;
    }
    let list = call.get_self().map(|this| {
        let mut rv = Zval::new();
        // SAFETY: `this` is a live BatchException (or a class derived from it),
        // the scope that declares the property; the result is borrowed and copied.
        unsafe {
            (*zend_read_property(
                std::ptr::from_ref(class_entry(Class::Batch)).cast_mut(),
                this,
                name.as_ptr().cast(),
                name.len(),
                true,
                &raw mut rv,
            ))
            .shallow_clone()
        }
    });
    // One that PHP code constructed has neither.
    *retval = match list {
        Some(list) if list.is_array() => list,
        _ => Zval::new_array(),
    };
}

/// Throws the exception of the error's kind.
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

/// What became of a batch in which jobs failed.
#[derive(Debug)]
pub struct BatchFailure {
    /// The ids in the order given.
    pub ids: Vec<String>,
    /// Index and reason, in order of index.
    pub failures: Vec<(usize, Error)>,
}

impl BatchFailure {
    /// The first reasons are in the message, because that is all a log shows.
    fn message(&self) -> String {
        const SHOWN: usize = 3;
        let failed = self.failures.len();
        let verb = if failed == 1 { "was" } else { "were" };
        let mut message = format!("{failed} of {} jobs {verb} not confirmed: ", self.ids.len());
        for (position, (index, error)) in self.failures.iter().take(SHOWN).enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            message += &format!("{separator}#{index} {}: {error}", error.kind().as_str());
        }
        if failed > SHOWN {
            message += &format!("; and {} more", failed - SHOWN);
        }
        message
    }
}

/// Throws the `BatchException`, with an exception of its own type for each failure.
pub fn throw_batch(batch: BatchFailure) {
    let message = batch.message();
    let mut failures = ZendHashTable::new();
    for (at, error) in &batch.failures {
        let failure = object(error.kind().into(), error.message());
        let _ = failures.insert_at_index(index(*at), failure);
    }
    let mut confirmed = ZendHashTable::new();
    let mut failed = batch.failures.iter().map(|(at, _)| *at).peekable();
    for (at, id) in batch.ids.iter().enumerate() {
        if failed.next_if_eq(&at).is_none() {
            let _ = confirmed.insert_at_index(index(at), id.as_str());
        }
    }
    let mut exception = object(Class::Batch, &message);
    let scope = class_entry(Class::Batch);
    let mut lists = [(FAILURES, Zval::new()), (CONFIRMED, Zval::new())];
    lists[0].1.set_hashtable(failures);
    lists[1].1.set_hashtable(confirmed);
    for (name, list) in &mut lists {
        set(&mut exception, scope, name, list);
    }
    let _ = throw_object(exception);
}

/// An exception that is not thrown (yet): with file, line and trace of this call.
fn object(class: Class, message: &str) -> Zval {
    let mut object = ZendObject::new(class_entry(class));
    let mut text = Zval::new();
    let _ = text.set_string(message, false);
    let mut zval = Zval::new();
    // `set_object` adds a reference; `object` gives its own up at the end of this function.
    zval.set_object(&mut object);
    set(&mut zval, ce::exception(), "message", &mut text);
    zval
}

fn set(exception: &mut Zval, scope: &'static ClassEntry, name: &str, value: &mut Zval) {
    if let Some(object) = exception.object_mut() {
        // SAFETY: a live object of a class that inherits `scope`, which declares
        // the property; the engine takes its own reference to the value.
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

/// A list's index as PHP counts.
fn index(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
