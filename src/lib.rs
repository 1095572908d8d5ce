//! The amqp1 PHP extension: PHP's classes over `amqp1-core`.
//!
//! This layer translates between zvals and the core's types and decides
//! nothing else. `unsafe` is confined to the files that speak to the engine's
//! C API: `arginfo`, `config`, `engine`, `exceptions`, `info`, `ini`, `json`, `table`
//! and `traverse`.

mod arginfo;
mod args;
mod boundary;
mod config;
mod consumer;
mod convert;
mod engine;
mod exceptions;
mod info;
mod ini;
mod interrupt;
mod iterator;
mod job;
mod jobs;
mod json;
mod lost;
mod plain;
mod push_many;
mod queue;
mod startup;
mod table;
mod task;
mod token;
mod traverse;

#[allow(
    missing_docs,
    reason = "php_module generates a public function without documentation in debug builds"
)]
mod module {
    use ext_php_rs::prelude::*;

    use crate::info::info;
    use crate::startup::{shutdown, startup};

    /// The module as PHP loads it. Its classes are registered in [`startup`],
    /// because the exceptions and the methods' signatures need the engine's C API.
    #[php_module]
    #[php(startup = startup)]
    pub fn module(module: ModuleBuilder<'_>) -> ModuleBuilder<'_> {
        module.shutdown_function(shutdown).info_function(info)
    }
}
