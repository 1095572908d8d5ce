//! The dialect of RabbitMQ 4: its addresses, its queues and exchanges, its management over AMQP. It
//! does not know the other dialect.

mod connection;
mod management;
mod model;
mod settings;

pub use settings::RabbitMq;
