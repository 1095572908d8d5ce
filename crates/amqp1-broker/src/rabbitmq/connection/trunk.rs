//! The types of [`crate::amqp`], with this dialect's parts filled in.

use std::convert::Infallible;

use crate::amqp::{connection, link, session};
use crate::rabbitmq::settings::RabbitMq;

pub(super) type Connection = connection::Connection<RabbitMq>;
pub(super) type Session = session::Session<RabbitMq>;
pub(super) type Context<'a> = session::Context<'a, RabbitMq>;
pub(super) type Fault = session::Fault<Infallible>;

pub(super) type Link = link::Link<RabbitMq>;
pub(super) type Kind = link::Kind<RabbitMq>;
pub(super) type Incoming = link::Incoming<RabbitMq>;
pub(super) type Outgoing = link::Outgoing<RabbitMq>;
pub(super) type Source = link::Source<()>;
