//! Loading and unloading the extension.
//!
//! It starts no part of the client, because php-fpm runs MINIT in its master process and then
//! forks.

use std::panic::catch_unwind;

use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::internal::startup_guard;

use super::signatures;
use crate::callbacks::{loggers, observers};
use crate::classes::consumer::Consumer;
use crate::classes::interfaces::{self, Interface};
use crate::classes::jobs::Jobs;
use crate::classes::observation::copies::Copies;
use crate::classes::observation::push::Push;
use crate::classes::observation::{self, observer};
use crate::classes::peeked_task::PeekedTask;
use crate::classes::pending_reply::PendingReply;
use crate::classes::queue::AmqpQueue;
use crate::classes::reply::Reply;
use crate::classes::task::Task;
use crate::classes::task_iterator::TaskIterator;
use crate::engine::{garbage, guarded, interrupts};
use crate::exceptions;
use crate::settings::ini;

/// MINIT: registers php.ini entries, exceptions, classes. Runs again when a SAPI restarts the
/// module in the same process (FrankenPHP).
pub extern "C" fn startup(_type: i32, module_number: i32) -> i32 {
    startup_guard(|| {
        ini::register(module_number);
        exceptions::register()?;
        // The return types of methods are registered before the classes with these methods.
        class::<Reply>()?;
        class::<PendingReply>()?;
        interfaces::register()?;
        class_like::<Task>(Some(interfaces::TASK))?;
        class::<PeekedTask>()?;
        class::<Push>()?;
        class::<observation::job::Job>()?;
        class::<observation::connection::Connection>()?;
        observer::register()?;
        class::<TaskIterator>()?;
        class_like::<AmqpQueue>(Some(interfaces::QUEUE))?;
        class::<Jobs>()?;
        class_like::<Consumer>(Some(interfaces::CONSUMER))?;
        signatures::refine();
        garbage::register::<AmqpQueue>();
        garbage::register::<Consumer>();
        garbage::register::<Task>();
        garbage::register::<TaskIterator>();
        garbage::register::<observation::job::Job>();
        observation::events::register();
        amqp1_core::observe_copies(&Copies);
        Ok(())
    })
}

/// RINIT: on a PHP thread that may be new. Whether php.ini names a log may differ between a
/// php-fpm's pools.
pub extern "C" fn request_startup(_type: i32, _module_number: i32) -> i32 {
    // A panic must not cross into C.
    let _ = catch_unwind(interrupts::begin_request);
    let _ = catch_unwind(observation::log::begin_request);
    0
}

/// RSHUTDOWN: writes the last events to the log, and releases the observer and the logger, which the
/// next request must not inherit.
pub extern "C" fn request_shutdown(_type: i32, _module_number: i32) -> i32 {
    // A panic must not cross into C. If an observer's end is fatal, the request ends anyway.
    let _ = catch_unwind(observation::events::end_request);
    let _ = catch_unwind(|| guarded(|| drop((observers::set(None), loggers::set(None)))));
    let _ = catch_unwind(interrupts::end_request);
    0
}

/// MSHUTDOWN: closes the pooled connections of this process.
pub extern "C" fn shutdown(_type: i32, module_number: i32) -> i32 {
    // A panic must not cross into C, and no one is left to report it to.
    let _ = catch_unwind(|| amqp1_core::shutdown(ini::shutdown_timeout()));
    interrupts::leave();
    ini::unregister(module_number);
    0
}

/// Registers one of our classes, like `ModuleBuilder::class`. Done by hand, because
/// [`signatures::refine`] must follow within MINIT.
fn class<T: RegisteredClass>() -> ext_php_rs::error::Result<()> {
    class_like::<T>(None)
}

/// [`class`], with one of our own interfaces.
fn class_like<T: RegisteredClass>(own: Option<Interface>) -> ext_php_rs::error::Result<()> {
    let mut builder = ClassBuilder::new(T::CLASS_NAME);
    for (method, flags) in T::method_builders() {
        builder = builder.method(method, flags);
    }
    for interface in T::IMPLEMENTS {
        builder = builder.implements(*interface);
    }
    // After those that it extends itself.
    if let Some((entry, name)) = own {
        builder = builder.implements((entry, name));
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
