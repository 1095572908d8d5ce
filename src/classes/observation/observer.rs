//! `Amqp1\Observer`, and `Amqp1\NullObserver` to derive from.
//!
//! They are registered by hand: the interface, because ext-php-rs' own cannot name classes as
//! parameter types; the class, because PHP code must be able to derive from it.

use ext_php_rs::args::Arg;
use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ce, ClassEntry, ExecuteData};

use crate::engine::class_entry::Registered;

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

static INTERFACE: Registered = Registered::new();
static BASE: Registered = Registered::new();

fn interface() -> &'static ClassEntry {
    INTERFACE.get().unwrap_or_else(|| ce::throwable())
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
        .registration(|entry, arg_info| INTERFACE.keep(entry, arg_info));
    for (name, parameter, class) in METHODS {
        let method = complete(FunctionBuilder::new_abstract(name), parameter, class);
        builder = builder.method(method, MethodFlags::Public | MethodFlags::Abstract);
    }
    builder.register()?;
    let mut builder = ClassBuilder::new("Amqp1\\NullObserver")
        .implements((interface, NAME))
        .registration(|entry, arg_info| BASE.keep(entry, arg_info));
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
