//! RabbitMQ 3 with its AMQP 1.0 plugin, RabbitMQ 4, and the embedded broker, which behaves like
//! RabbitMQ 4. Names no other broker.

pub mod address;
mod address_v1;
mod declare_by_attaching;
pub mod delay;
mod delay_queues;
mod difference;
mod embedded;
mod managed;
mod management;
mod peek;
mod topology;
mod v3;
mod v4;

pub(super) use embedded::Embedded;
pub(super) use v3::RabbitMq3;
pub(super) use v4::RabbitMq4;
