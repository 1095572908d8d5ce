//! Where settings come from, other than from an argument: php.ini, configuration files,
//! the environment.

pub mod configuration;
pub mod ini;

use amqp1_core::QueueOptions;

/// The options of a queue that nothing is said of.
pub fn default_options() -> QueueOptions {
    QueueOptions {
        timeout: ini::timeout(),
        ..QueueOptions::default()
    }
}
