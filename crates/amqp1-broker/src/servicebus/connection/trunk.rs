//! The types of [`crate::amqp`], with this dialect's parts filled in.

use crate::amqp::{connection, link, session};
use crate::servicebus::model::namespace::NodeId;
use crate::servicebus::settings::ServiceBus;

pub(super) type Connection = connection::Connection<ServiceBus>;
pub(super) type Session = session::Session<ServiceBus>;
pub(super) type Context<'a> = session::Context<'a, ServiceBus>;
pub(super) type Fault = session::Fault<Broken>;

pub(super) type Link = link::Link<ServiceBus>;
pub(super) type Kind = link::Kind<ServiceBus>;
pub(super) type Incoming = link::Incoming<ServiceBus>;
pub(super) type Outgoing = link::Outgoing<ServiceBus>;
pub(super) type Source = link::Source<NodeId>;

/// Faults other than those of links, sessions and connections.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream ends without a close.
    Stream,
    /// The peer loses all access.
    Token,
}
