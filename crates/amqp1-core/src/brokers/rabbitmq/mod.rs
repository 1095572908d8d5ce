//! RabbitMQ 3 with its AMQP 1.0 plugin, and RabbitMQ 4.

pub mod address;
pub mod delay;
pub(crate) mod delay_queues;
mod difference;
pub(crate) mod management;
pub(crate) mod topology;
pub(super) mod v3;
pub(super) mod v4;
