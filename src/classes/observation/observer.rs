//! `Amqp1\Observer`, and `Amqp1\NullObserver` to derive from.
//!
//! They are registered by hand: the interface, because ext-php-rs' own cannot name classes as
//! parameter types; the class, because PHP code must be able to derive from it.

use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::args::{Arg, ArgInfoTables};
use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ce, ClassEntry, ExecuteData};

pub const BEFORE_PUSH: &str = "beforePush";
pub const AFTER_PUSH: &str = "afterPush";
pub const RECEIVED: &str = "received";
pub const SETTLED: &str = "settled";
pub const CONNECTION: &str = "connection";

const NAME: &str = "Amqp1\\Observer";

/// The methods: name, parameter, and its class.
const METHODS: [(&str, &str, &str); 5] = [
    (BEFORE_PUSH, "push", "Amqp1\\Observation\\Push"),
    (AFTER_PUSH, "push", "Amqp1\\Observation\\Push"),
    (RECEIVED, "job", "Amqp1\\Observation\\Job"),
    (SETTLED, "job", "Amqp1\\Observation\\Job"),
    (CONNECTION, "event", "Amqp1\\Observation\\Connection"),
];

/// The interface, as the last MINIT registered it.
static INTERFACE: AtomicPtr<ClassEntry> = AtomicPtr::new(std::ptr::null_mut());

fn keep(entry: &'static mut ClassEntry, arg_info: ArgInfoTables) {
    INTERFACE.store(entry, Ordering::Release);
    keep_tables(entry, arg_info);
}

/// The engine borrows the tables until the process ends.
fn keep_tables(_: &'static mut ClassEntry, arg_info: ArgInfoTables) {
    std::mem::forget(arg_info);
}

fn interface() -> &'static ClassEntry {
    // SAFETY: null or an entry that MINIT registered; entries live until MSHUTDOWN.
    unsafe { INTERFACE.load(Ordering::Acquire).as_ref() }.unwrap_or_else(|| ce::throwable())
}

/// Registers both. Call it only at MINIT, after the classes of the parameters.
///
/// # Errors
/// If a class with that name already exists.
pub fn register() -> ext_php_rs::error::Result<()> {
    let complete = |function: FunctionBuilder<'static>, parameter, class| {
        let parameter = Arg::new(parameter, DataType::object(class));
        function
            .arg(parameter)
            .returns(DataType::Void, false, false)
    };
    let mut builder = ClassBuilder::new(NAME)
        .flags(ClassFlags::Interface)
        .registration(keep);
    for (name, parameter, class) in METHODS {
        let method = complete(FunctionBuilder::new_abstract(name), parameter, class);
        builder = builder.method(method, MethodFlags::Public | MethodFlags::Abstract);
    }
    builder.register()?;
    let mut builder = ClassBuilder::new("Amqp1\\NullObserver")
        .implements((interface, NAME))
        .registration(keep_tables);
    for (name, parameter, class) in METHODS {
        let method = complete(FunctionBuilder::new(name, nothing), parameter, class);
        builder = builder.method(method, MethodFlags::Public);
    }
    builder.register()
}

extern "C" fn nothing(_: &mut ExecuteData, _: &mut Zval) {}

/// Whether a value is an observer.
pub fn is_one(value: &Zval) -> bool {
    let object = value.object();
    object.is_some_and(|object| object.instance_of(interface()))
}
