//! Settings that do not come from an argument: php.ini, configuration files, the environment.

pub mod configuration;
pub mod ini;

use amqp1_core::QueueOptions;

/// The default options of a queue.
pub fn default_options() -> QueueOptions {
    QueueOptions {
        timeout: ini::timeout(),
        ..QueueOptions::default()
    }
}
