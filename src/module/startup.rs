//! What happens when PHP loads and unloads the extension.
//!
//! Nothing of the client is started here: php-fpm runs MINIT in its master and forks.

use std::panic::catch_unwind;

use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::internal::startup_guard;

use super::signatures;
use crate::callbacks::lost;
use crate::classes::consumer::Consumer;
use crate::classes::jobs::Jobs;
use crate::classes::queue::AmqpQueue;
use crate::classes::task::Task;
use crate::classes::task_iterator::TaskIterator;
use crate::engine::{garbage, interrupts};
use crate::exceptions;
use crate::settings::ini;

/// MINIT: php.ini entries, exceptions, classes. Runs again when a SAPI restarts
/// the module in the same process (FrankenPHP).
pub extern "C" fn startup(_type: i32, module_number: i32) -> i32 {
    startup_guard(|| {
        ini::register(module_number);
        exceptions::register()?;
        // What a method returns is registered before the class that has the method.
        class::<Task>()?;
        class::<TaskIterator>()?;
        class::<AmqpQueue>()?;
        class::<Jobs>()?;
        class::<Consumer>()?;
        signatures::refine();
        garbage::register::<Consumer>();
        lost::register();
        Ok(())
    })
}

/// MSHUTDOWN: the pooled connections of this process are closed.
pub extern "C" fn shutdown(_type: i32, module_number: i32) -> i32 {
    // A panic must not cross into C; there is nobody left to report it to.
    let _ = catch_unwind(|| amqp1_core::shutdown(ini::shutdown_timeout()));
    interrupts::leave();
    ini::unregister(module_number);
    0
}

/// Registers one of our classes as `ModuleBuilder::class` would; done by hand
/// because [`signatures::refine`] has to come after it, within MINIT.
fn class<T: RegisteredClass>() -> ext_php_rs::error::Result<()> {
    let mut builder = ClassBuilder::new(T::CLASS_NAME);
    for (method, flags) in T::method_builders() {
        builder = builder.method(method, flags);
    }
    for interface in T::IMPLEMENTS {
        builder = builder.implements(*interface);
    }
    builder
        .flags(T::FLAGS)
        .object_override::<T>()
        .registration(|entry, arg_info| {
            T::get_metadata().set_ce(entry);
            T::get_metadata().set_arg_info(arg_info);
        })
        .docs(T::DOC_COMMENTS)
        .register()
}
