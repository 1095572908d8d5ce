//! A pair of links for requests and their answers.

use std::time::Instant;

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{Fields, Role, SenderSettleMode};
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::handle::Connection;
use super::protocol::internal;
use super::protocol::link::{attach, source, target};
use super::protocol::receiver::Receiver;
use super::protocol::sender::Sender;
use super::receiver_link::ReceiverLink;
use super::sender_link::SenderLink;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// Credit for answers: renewed at half, so that at least half of it is always available.
const ANSWERS: u32 = 64;

/// A sender and a receiver with the same name, for requests and their answers.
#[derive(Debug, Clone)]
pub(crate) struct RequestLinks {
    sender: SenderLink,
    receiver: ReceiverLink,
}

/// The node that a pair leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    /// Paired links, as some management nodes require.
    Paired(&'a str),
    /// Two links, with answers to the address of the second.
    WithReplies {
        node: &'a str,
        /// The address of answers, and the name of the link that they arrive over.
        reply_to: &'a str,
    },
    /// Two links, to the node or the anonymous terminus, with answers to a node that the broker
    /// chooses: [`RequestLinks::reply_address`].
    WithDynamicReplies(Option<&'a str>),
}

impl RequestLinks {
    /// [`Connection::answer`] on its connection.
    pub fn answer<T>(
        &self,
        signal: &Signal,
        wait: &Wait<'_>,
        ready: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.receiver.connection.answer(signal, wait, ready)
    }

    /// Attaches both links.
    pub fn open(connection: &Connection, node: &Node<'_>, signal: Signal) -> Result<Self> {
        connection.raises(&signal);
        let name = format!("amqp1-management-{}", id::short()?);
        let (address, reply_to, receiver_name) = match node {
            Node::Paired(node) => (node, node, name.clone()),
            Node::WithReplies { node, reply_to } => (node, reply_to, (*reply_to).to_owned()),
            Node::WithDynamicReplies(node) => {
                (node.as_ref().unwrap_or(&""), &"amqp1", name.clone())
            }
        };
        let paired = match node {
            Node::Paired(_) => {
                let paired = [(Symbol::from("paired"), Value::from(true))];
                Some(paired.into_iter().collect::<Fields>())
            }
            Node::WithReplies { .. } | Node::WithDynamicReplies(_) => None,
        };
        let ours = |role: &Role| {
            let (name, from, to) = match role {
                Role::Sender => (&name, reply_to, address),
                Role::Receiver => (&receiver_name, address, reply_to),
            };
            let mut from = source(from);
            if let (Role::Receiver, Node::WithDynamicReplies(_)) = (role, node) {
                (from.address, from.dynamic) = (None, true);
            }
            let to = Some(*to).filter(|to| !to.is_empty());
            let mut attach = attach(name, role.clone(), from, target(to));
            attach.snd_settle_mode = SenderSettleMode::Settled;
            attach.properties = paired.clone();
            attach
        };
        let (outgoing, incoming) = (ours(&Role::Sender), ours(&Role::Receiver));
        let mut protocol = connection.lock();
        let key = protocol.open_session(signal.clone(), Instant::now())?;
        let (session, out) = protocol.session(key)?;
        let sender = Sender::new(outgoing.name.clone());
        let receiver = Receiver::new(incoming.name.clone(), ANSWERS, signal.clone());
        session
            .attach_sender(sender, &outgoing, out)
            .and_then(|()| session.attach_receiver(receiver, &incoming, out))
            .map_err(internal)?;
        connection.kick(protocol);
        Ok(Self {
            sender: SenderLink {
                connection: connection.clone(),
                key,
                signal,
            },
            receiver: ReceiverLink {
                connection: connection.clone(),
                key,
            },
        })
    }

    /// Sends a request, settled.
    pub fn send(&self, payload: Bytes) -> Result<()> {
        let connection = &self.sender.connection;
        let mut protocol = connection.lock();
        protocol.send(self.sender.key, payload, 0, None)?;
        connection.kick(protocol);
        Ok(())
    }

    /// The address for answers, once the broker has chosen it.
    pub fn reply_address(&self) -> Result<Option<String>> {
        self.receiver.address()
    }

    /// Detaches both links.
    pub fn close(&self) {
        self.sender.close();
    }

    /// The largest request that the broker accepts, in bytes; zero if unknown or unlimited.
    pub fn max_message_size(&self) -> u64 {
        self.sender.max_message_size()
    }

    /// The next answer.
    pub fn take(&self) -> Result<Option<Bytes>> {
        let Some(incoming) = self.receiver.take()? else {
            return Ok(None);
        };
        if !incoming.settled {
            self.receiver.accept(incoming.delivery_id)?;
        }
        // Settled answers use up credit without a settlement that would renew it.
        let connection = &self.receiver.connection;
        let mut protocol = connection.lock();
        if let Ok((session, out)) = protocol.session(self.receiver.key) {
            session
                .grant_credit(Instant::now(), out)
                .map_err(internal)?;
        }
        connection.kick(protocol);
        Ok(Some(incoming.payload))
    }

    /// The error that ended the pair, if it has ended.
    pub fn failed(&self) -> Option<Error> {
        self.sender.failed()
    }
}
