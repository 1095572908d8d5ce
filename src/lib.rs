//! The amqp1 PHP extension: PHP's classes on top of `amqp1-core`.
//!
//! This layer translates between zvals and the core's types and decides nothing else. From the top
//! down; a folder names only those below it:
//!
//! - `module`: what PHP loads: start-up, the methods' signatures, `php --ri amqp1`
//! - `classes`: one file for each PHP class, its helpers in a folder with its name
//! - `settings`: php.ini, configuration files, the environment
//! - `call`: surrounds each method: failures become exceptions, signals interrupt waits
//! - `callbacks`: PHP callables that the core calls
//! - `convert`: PHP's values to the core's and back
//! - `engine`: the engine's C API
//! - `fail`, `exceptions`: why a method fails, and the exception class for each kind
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
