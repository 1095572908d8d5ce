//! A session for questions that attaching answers, one after another.
//!
//! RabbitMQ 3 tells whether a queue exists by that alone. It has one session for
//! all of them because ending a session there holds the whole connection up for
//! five seconds now and then.

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::TerminusDurability;

use super::link::{attach, source, target};
use super::receiver::{self, Receiver};
use super::sender::{self, Phase, Sender};
use super::state::{internal, LinkKey};
use super::terminus::Ask;
use super::Connection;
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};
use crate::wire::frame;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'a> {
    /// Can this be received from? Nothing is.
    Source(&'a str),
    /// Can this be sent to, by a terminus that is to be durable or not? Nothing is.
    Target(&'a str, bool),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scout {
    connection: Connection,
    key: LinkKey,
    signal: Signal,
}

impl Scout {
    /// Begins the session.
    pub fn open(connection: &Connection) -> Result<Self> {
        let signal = Signal::new();
        let mut state = connection.lock();
        let key = state.open_session(signal.clone())?;
        connection.kick(state);
        Ok(Self {
            connection: connection.clone(),
            key,
            signal,
        })
    }

    /// Attaches, waits for the answer, and detaches.
    ///
    /// # Errors
    /// What the broker refused it with: the session is then over. Timeout: it is not
    /// to be used again.
    pub fn ask(&self, question: Question<'_>, node: Ask, wait: &Wait<'_>) -> Result<()> {
        self.attach(question, node)?;
        let answered = wait.until(&self.signal, || {
            let mut state = self.connection.lock();
            let Some(session) = state.session(self.key) else {
                return Err(state.gone(self.key));
            };
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
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let attach = match question {
            Question::Source(address) => {
                let mut receiver = Receiver::new(name.clone(), 0, self.signal.clone());
                receiver.ask = node;
                session.receiver = Some(receiver);
                let source = node.of_source(source(address));
                attach(&name, Role::Receiver, source, target(Some("amqp1")))
            }
            Question::Target(address, durable) => {
                session.sender = Some(Sender::new(name.clone()).asking(node));
                let mut target = node.of_target(target(Some(address)));
                if durable {
                    target.durable = TerminusDurability::UnsettledState;
                }
                attach(&name, Role::Sender, source("amqp1"), target)
            }
        };
        frame::encode_performative(out, self.key.channel, &attach).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// Does not wait: the broker answers in order, and its detach finds no link any more.
    fn detach(&self) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Ok(());
        };
        if session.sender.take().is_some() {
            session.detach(sender::HANDLE, out).map_err(internal)?;
        }
        if session.receiver.take().is_some() {
            session.detach(receiver::HANDLE, out).map_err(internal)?;
        }
        self.connection.kick(state);
        Ok(())
    }

    /// Ends the session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}
