//! `Amqp1\QueueInterface`, `ConsumerInterface` and `TaskInterface`: what applications type-hint, so
//! that their tests can pass something else.
//!
//! An interface has exactly the public methods of its class, with the same signatures, because it is
//! made of the class's own method table. Where a method returns one of our final classes, it
//! promises the interface instead.

use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::class::RegisteredClass;
use ext_php_rs::error::Result;
use ext_php_rs::flags::DataType;
use ext_php_rs::zend::{ce, ClassEntry};

use super::consumer::Consumer;
use super::queue::AmqpQueue;
use super::task::Task;
use crate::engine::class_entry::{self, Registered};

/// A getter for an entry, and its name.
pub type Interface = (fn() -> &'static ClassEntry, &'static str);

pub const QUEUE: Interface = (queue, "Amqp1\\QueueInterface");
pub const CONSUMER: Interface = (consumer, "Amqp1\\ConsumerInterface");
pub const TASK: Interface = (task, "Amqp1\\TaskInterface");

static QUEUES: Registered = Registered::new();
static CONSUMERS: Registered = Registered::new();
static TASKS: Registered = Registered::new();

/// The methods whose return type is an interface: its name, and whether null is another result.
const RETURNS: [(&str, &str, bool); 4] = [
    ("failed", QUEUE.1, false),
    ("getIterator", "Iterator", false),
    ("reserve", TASK.1, true),
    ("waitTask", TASK.1, true),
];

fn queue() -> &'static ClassEntry {
    QUEUES.get().unwrap_or_else(|| ce::countable())
}

fn consumer() -> &'static ClassEntry {
    CONSUMERS.get().unwrap_or_else(|| ce::aggregate())
}

fn task() -> &'static ClassEntry {
    TASKS.get().unwrap_or_else(|| ce::traversable())
}

/// Registers the interfaces. Call it only at MINIT, before their classes.
///
/// # Errors
/// If one with that name already exists.
pub fn register() -> Result<()> {
    of::<Task>(TASK.1)?
        .registration(|entry, arg_info| TASKS.keep(entry, arg_info))
        .register()?;
    of::<AmqpQueue>(QUEUE.1)?
        .implements((ce::countable, "\\Countable"))
        .registration(|entry, arg_info| QUEUES.keep(entry, arg_info))
        .register()?;
    of::<Consumer>(CONSUMER.1)?
        .implements((ce::aggregate, "\\IteratorAggregate"))
        .registration(|entry, arg_info| CONSUMERS.keep(entry, arg_info))
        .register()
}

fn of<T: RegisteredClass>(name: &str) -> Result<ClassBuilder> {
    class_entry::interface_of::<T>(name, |method| {
        let returns = RETURNS.iter().find(|(one, ..)| *one == method);
        returns.map(|(_, class, or_null)| (DataType::object(class), *or_null))
    })
}
