//! Checks whether nodes exist, by attaching: one session for such questions, one after another.
//!
//! RabbitMQ 3 offers no other way to check that a queue exists. One session serves all questions,
//! because ending a session there sometimes blocks the whole connection for five seconds.

use std::time::Instant;

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::TerminusDurability;

use super::handle::Connection;
use super::protocol::internal;
use super::protocol::link::{attach, source, target, Phase, RECEIVER, SENDER};
use super::protocol::receiver::Receiver;
use super::protocol::sender::Sender;
use super::protocol::sessions::LinkKey;
use super::protocol::terminus::Ask;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};

/// A question.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'a> {
    /// Can a link receive from this address? Receives nothing.
    Source(&'a str),
    /// Can a link send to this address, through a durable terminus or not? Sends nothing.
    Target(&'a str, bool),
}

#[derive(Debug)]
pub(crate) struct Existence {
    connection: Connection,
    key: LinkKey,
    signal: Signal,
}

impl Existence {
    /// Begins the session.
    pub fn open(connection: &Connection) -> Result<Self> {
        let signal = Signal::new();
        connection.raises(&signal);
        let mut protocol = connection.lock();
        let key = protocol.open_session(signal.clone(), Instant::now())?;
        connection.kick(protocol);
        Ok(Self {
            connection: connection.clone(),
            key,
            signal,
        })
    }

    /// Attaches, waits for the answer, and detaches.
    ///
    /// # Errors
    /// The broker's refusal; it also ends the session. Timeout: the session must not be used again.
    pub fn ask(&self, question: Question<'_>, node: Ask, wait: &Wait<'_>) -> Result<()> {
        self.attach(question, node)?;
        let answered = wait.until(&self.signal, || {
            let mut protocol = self.connection.lock();
            let session = protocol.session(self.key)?.0;
            let phase = match (&session.sender, &session.receiver) {
                (Some(sender), _) => &sender.phase,
                (_, Some(receiver)) => &receiver.phase,
                _ => return Err(Error::connection("the link was closed")),
            };
            match phase {
                Phase::Attaching => Ok(None),
                Phase::Attached => Ok(Some(())),
                Phase::Detached(error) => Err(error.clone()),
            }
        })?;
        answered.ok_or_else(|| {
            Error::timeout(format!(
                "{} did not answer the attach in time",
                self.connection.label()
            ))
        })?;
        self.detach()
    }

    fn attach(&self, question: Question<'_>, node: Ask) -> Result<()> {
        let name = format!("amqp1-ask-{}", id::short()?);
        let mut protocol = self.connection.lock();
        let (session, out) = protocol.session(self.key)?;
        let written = match question {
            Question::Source(address) => {
                let mut receiver = Receiver::new(name.clone(), 0, self.signal.clone());
                receiver.ask = node;
                let source = node.of_source(source(address));
                let attach = attach(&name, Role::Receiver, source, target(Some("amqp1")));
                session.attach_receiver(receiver, &attach, out)
            }
            Question::Target(address, durable) => {
                let sender = Sender::new(name.clone()).asking(node);
                let mut target = node.of_target(target(Some(address)));
                if durable {
                    target.durable = TerminusDurability::UnsettledState;
                }
                let attach = attach(&name, Role::Sender, source("amqp1"), target);
                session.attach_sender(sender, &attach, out)
            }
        };
        written.map_err(internal)?;
        self.connection.kick(protocol);
        Ok(())
    }

    /// Does not wait: the broker answers in order, and its detach then finds no link.
    fn detach(&self) -> Result<()> {
        let mut protocol = self.connection.lock();
        let Ok((session, out)) = protocol.session(self.key) else {
            return Ok(());
        };
        if session.sender.take().is_some() {
            session.detach(SENDER, out).map_err(internal)?;
        }
        if session.receiver.take().is_some() {
            session.detach(RECEIVER, out).map_err(internal)?;
        }
        self.connection.kick(protocol);
        Ok(())
    }

    /// Ends the session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}
