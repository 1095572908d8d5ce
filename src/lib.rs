//! The amqp1 PHP extension: PHP's classes over `amqp1-core`.
//!
//! This layer translates between zvals and the core's types and decides
//! nothing else. From the top down, each folder naming only those below it:
//!
//! - [`module`]: what PHP loads: start-up, the methods' signatures, `php --ri amqp1`
//! - [`classes`]: a file for each PHP class, its helpers in a folder of its name
//! - [`settings`]: php.ini, configuration files, the environment
//! - [`call`]: what surrounds each method: failures become exceptions, waits hear signals
//! - [`callbacks`]: PHP callables that the core asks or tells
//! - [`convert`]: PHP's values to the core's and back
//! - [`engine`]: the engine's C API
//! - [`fail`], [`exceptions`]: why a method fails, and the exception class of each kind
//!
//! `unsafe` is confined to `engine`, `exceptions` and `module`, and to php.ini in `settings`.

mod call;
mod callbacks;
mod classes;
mod convert;
mod engine;
mod exceptions;
mod fail;
mod module;
mod settings;
