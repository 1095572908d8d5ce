//! The module that PHP loads, and its self-description.

#![allow(
    missing_docs,
    reason = "php_module generates a public function without documentation in debug builds"
)]

mod info;
mod signatures;
mod startup;

use ext_php_rs::prelude::*;

use crate::classes::observation::{functions, log, metrics};
use crate::classes::testing;
use info::info;
use startup::{request_shutdown, request_startup, shutdown, startup};

/// The module that PHP loads. [`startup`] registers its classes, because the exceptions and the
/// methods' signatures need the engine's C API.
#[php_module]
#[php(startup = startup)]
pub fn module(module: ModuleBuilder<'_>) -> ModuleBuilder<'_> {
    module
        .function(functions::set_observer_function())
        .function(log::set_logger_function())
        .function(log::get_logger_function())
        .function(metrics::metrics_function())
        .function(testing::advance_clock_function())
        .request_startup_function(request_startup)
        .request_shutdown_function(request_shutdown)
        .shutdown_function(shutdown)
        .info_function(info)
}
