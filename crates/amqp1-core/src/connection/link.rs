//! Links as the rest of the client holds them: a connection and a key.

mod taking;

use std::sync::Arc;

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::primitives::Symbol;

use super::options::ReceiverOptions;
use super::receiver::{self, Receiver, MAX_MESSAGE_SIZE};
use super::sender::{self, Phase, Sender};
use super::state::{internal, LinkKey, State};
use super::terminus::Ask;
use super::tracker::Tracked;
use super::{Connection, Remote};
use crate::base::id;
use crate::base::wait::{Signal, Wait};
use crate::error::{Error, Result};
use crate::wire::frame;

pub(super) fn attach(name: &str, role: Role, source: Source, target: Target) -> Attach {
    let sender = role == Role::Sender;
    Attach {
        name: name.to_owned(),
        handle: Handle(if sender {
            sender::HANDLE
        } else {
            receiver::HANDLE
        }),
        role,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(Box::new(source)),
        target: Some(Box::new(TargetArchetype::Target(target))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: sender.then_some(0),
        max_message_size: (!sender).then_some(MAX_MESSAGE_SIZE),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

pub(super) fn source(address: &str) -> Source {
    Source {
        address: Some(address.to_owned()),
        ..Source::default()
    }
}

pub(super) fn target(address: Option<&str>) -> Target {
    Target {
        address: address.map(str::to_owned),
        ..Target::default()
    }
}

fn phase_of_sender(state: &mut State, key: LinkKey) -> Phase {
    match state
        .session(key)
        .and_then(|session| session.sender.as_ref())
    {
        Some(sender) => sender.phase.clone(),
        None => Phase::Detached(state.gone(key)),
    }
}

/// Our end of a link to a target.
#[derive(Debug, Clone)]
pub(crate) struct SenderLink {
    pub(super) connection: Connection,
    pub(super) key: LinkKey,
    pub(super) signal: Signal,
}

impl SenderLink {
    /// Attaches to `address`, or to the anonymous terminus. Does not wait:
    /// messages sent meanwhile are queued.
    ///
    /// # Errors
    /// Those of [`State::open_session`].
    pub fn open(connection: &Connection, address: Option<&str>, ask: Ask) -> Result<Self> {
        let signal = Signal::new();
        let name = format!("amqp1-push-{}", id::short()?);
        let mut state = connection.lock();
        let key = state.open_session(signal.clone())?;
        let target = ask.of_target(target(address));
        let mut attach = attach(&name, Role::Sender, source("amqp1"), target);
        attach.snd_settle_mode = SenderSettleMode::Unsettled;
        if let Some((session, out)) = state.session_and_out(key) {
            frame::encode_performative(out, key.channel, &attach).map_err(internal)?;
            session.sender = Some(Sender::new(name).asking(ask));
        }
        connection.kick(state);
        Ok(Self {
            connection: connection.clone(),
            key,
            signal,
        })
    }

    /// Why the link is over, if it is.
    pub fn failed(&self) -> Option<Error> {
        match phase_of_sender(&mut self.connection.lock(), self.key) {
            Phase::Detached(error) => Some(error),
            _ => None,
        }
    }

    /// Waits until the broker has answered the attach; returns the largest
    /// message it takes, in bytes (zero: no limit).
    pub fn ready(&self, wait: &Wait<'_>) -> Result<u64> {
        let ready = wait.until(&self.signal, || {
            let mut state = self.connection.lock();
            let Some(sender) = state.session(self.key).and_then(|s| s.sender.as_ref()) else {
                return Err(state.gone(self.key));
            };
            match &sender.phase {
                Phase::Attaching => Ok(None),
                Phase::Attached => Ok(Some(sender.max_message_size)),
                Phase::Detached(error) => Err(error.clone()),
            }
        })?;
        ready.ok_or_else(|| {
            Error::timeout(format!(
                "{} did not answer the attach in time",
                self.connection.label()
            ))
        })
    }

    /// The largest message that the broker takes, in bytes; zero while the attach is not
    /// answered, or without a limit.
    pub fn max_message_size(&self) -> u64 {
        let mut state = self.connection.lock();
        let session = state.session(self.key);
        let sender = session.and_then(|session| session.sender.as_ref());
        sender.map_or(0, |sender| sender.max_message_size)
    }

    /// Nothing is on its way over this link.
    pub fn is_idle(&self) -> bool {
        let mut state = self.connection.lock();
        let session = state.session(self.key);
        session
            .and_then(|session| session.sender.as_ref())
            .is_none_or(Sender::is_idle)
    }

    /// Sends one message; `at_once`, or within milliseconds with others.
    pub fn send(&self, payload: Bytes, tracked: Tracked, at_once: bool) -> Result<()> {
        let mut state = self.connection.lock();
        state.send(self.key, payload, 0, Some(tracked))?;
        if at_once {
            self.connection.kick(state);
        } else {
            self.connection.kick_soon(state);
        }
        Ok(())
    }

    /// Sends one message of another message-format, at once.
    pub fn send_format(&self, payload: Bytes, format: u32, tracked: Tracked) -> Result<()> {
        let mut state = self.connection.lock();
        state.send(self.key, payload, format, Some(tracked))?;
        self.connection.kick(state);
        Ok(())
    }

    /// Detaches, and ends the session that it had for itself.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}

/// Our end of a link from a source.
#[derive(Debug, Clone)]
pub(crate) struct ReceiverLink {
    pub(super) connection: Connection,
    pub(super) key: LinkKey,
}

impl ReceiverLink {
    /// Attaches to `address`; `signal` is raised when deliveries come or the
    /// link is over.
    ///
    /// # Errors
    /// Those of [`State::open_session`].
    pub fn open(
        connection: &Connection,
        address: &str,
        options: &ReceiverOptions,
        signal: Signal,
    ) -> Result<Self> {
        let name = match &options.name {
            Some(name) => name.clone(),
            None => format!("amqp1-consume-{}", id::short()?),
        };
        let mut state = connection.lock();
        let key = state.open_session(signal.clone())?;
        let mut attach = attach(
            &name,
            Role::Receiver,
            options.ask.of_source(source(address)),
            target(Some("amqp1")),
        );
        if !options.properties.is_empty() {
            let properties = options.properties.iter().cloned();
            attach.properties = Some(properties.map(|(k, v)| (Symbol::new(k), v)).collect());
        }
        (attach.rcv_settle_mode, attach.snd_settle_mode) = options.settling.modes();
        if let (Some((name, value)), Some(source)) = (&options.filter, &mut attach.source) {
            let filter = [(Symbol::from(*name), value.clone())];
            source.filter = Some(filter.into_iter().collect());
        }
        if let Some((session, out)) = state.session_and_out(key) {
            frame::encode_performative(out, key.channel, &attach).map_err(internal)?;
            let mut receiver = Receiver::new(name, options.prefetch, signal);
            receiver.ask = options.ask;
            let receiver = receiver
                .in_windows(options.in_windows)
                .answered_early(options.answered_early)
                .with_ledger(options.ledger)
                .with_timeout(options.timeout)
                .releasing_in_hand(options.releases_in_hand)
                .watched(options.watch.clone());
            session.receiver = Some(receiver);
        }
        connection.kick(state);
        Ok(Self {
            connection: connection.clone(),
            key,
        })
    }

    /// The source's address in the attach answer; `None` until it is there.
    pub fn address(&self) -> Result<Option<String>> {
        self.with(|receiver| match &receiver.phase {
            Phase::Attaching => Ok(None),
            Phase::Attached => {
                let answer = receiver.answer.as_ref();
                let source = answer.and_then(|answer| answer.source.as_ref());
                Ok(source.and_then(|source| source.address.clone()))
            }
            Phase::Detached(error) => Err(error.clone()),
        })
    }

    /// The broker's answer to the attach, word for word.
    pub fn answer(&self) -> Option<Arc<Attach>> {
        self.with(|receiver| Ok(receiver.answer.clone())).ok()?
    }

    /// Deliveries that are not settled: in the buffer or in hand.
    pub fn held(&self) -> u32 {
        self.with(|receiver| Ok(receiver.held())).unwrap_or(0)
    }

    /// The endpoint at the other end, without secrets.
    pub fn remote_label(&self) -> &str {
        self.connection.label()
    }

    /// Who is at the other end.
    pub fn remote(&self) -> &Remote {
        self.connection.remote()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Receiver) -> Result<T>) -> Result<T> {
        let mut state = self.connection.lock();
        match state.session(self.key).and_then(|s| s.receiver.as_mut()) {
            Some(receiver) => work(receiver),
            None => Err(state.gone(self.key)),
        }
    }

    /// Why the link is over, if it is.
    pub fn failed(&self) -> Option<Error> {
        self.attached().err()
    }

    /// True once the broker has answered the attach; what refused it otherwise.
    pub fn attached(&self) -> Result<bool> {
        self.with(|receiver| match &receiver.phase {
            Phase::Attaching => Ok(false),
            Phase::Attached => Ok(true),
            Phase::Detached(error) => Err(error.clone()),
        })
    }

    /// Accepts a delivery; told to the broker with others, within milliseconds.
    pub fn accept(&self, delivery_id: u32) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let Some(receiver) = &mut session.receiver else {
            return Err(state.gone(self.key));
        };
        if let Phase::Detached(error) = &receiver.phase {
            return Err(error.clone());
        }
        if receiver.settle_recalled(out, self.key.channel, delivery_id) {
            self.connection.kick(state);
            return Err(self.recalled());
        }
        if receiver.accept(delivery_id) {
            session.flush(out).map_err(internal)?;
            self.connection.kick(state);
        } else {
            self.connection.kick_soon(state);
        }
        Ok(())
    }

    /// Settles a delivery with another state, at once.
    pub fn settle(&self, delivery_id: u32, delivery_state: &[u8]) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let Some(receiver) = &mut session.receiver else {
            return Err(state.gone(self.key));
        };
        if let Phase::Detached(error) = &receiver.phase {
            return Err(error.clone());
        }
        if receiver.settle_recalled(out, self.key.channel, delivery_id) {
            self.connection.kick(state);
            return Err(self.recalled());
        }
        receiver.settle(out, self.key.channel, delivery_id, delivery_state);
        session.grant_credit(out).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// Settles a delivery and awaits the confirmation of a sender that settles second.
    pub fn settle_second(
        &self,
        delivery_id: u32,
        delivery_state: &[u8],
        tracked: Tracked,
    ) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let Some(receiver) = &mut session.receiver else {
            return Err(state.gone(self.key));
        };
        if let Phase::Detached(error) = &receiver.phase {
            return Err(error.clone());
        }
        receiver.settle_second(out, self.key.channel, delivery_id, delivery_state, tracked);
        session.grant_credit(out).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// How many deliveries may be unsettled at once; with zero, what is
    /// buffered goes back to the broker and nothing more is asked for.
    pub fn set_prefetch(&self, prefetch: u32) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let attached = match &mut session.receiver {
            Some(receiver) => {
                if !receiver.set_prefetch(prefetch) {
                    return Ok(());
                }
                receiver.phase == Phase::Attached
            }
            None => return Err(state.gone(self.key)),
        };
        if attached && prefetch == 0 {
            // Before what is buffered goes back, or it would come again.
            session.send_credit(0, false, out).map_err(internal)?;
        }
        if let Some(receiver) = session.receiver.as_mut().filter(|_| prefetch == 0) {
            receiver.release_buffered(out, self.key.channel);
        }
        session.grant_credit(out).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// Asks the broker whether it has more than what has come.
    pub fn ask(&self) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        session.ask(out).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// What the broker had when it was last asked has come; a link that is over has none.
    pub fn is_answered(&self) -> bool {
        self.with(|receiver| Ok(receiver.is_answered()))
            .unwrap_or(true)
    }

    /// Asks for up to `count` deliveries; with `drain` the broker says when it has
    /// no more for that. Only for a link attached with a prefetch of zero.
    pub fn demand(&self, count: u32, drain: bool) -> Result<()> {
        let mut state = self.connection.lock();
        let Some((session, out)) = state.session_and_out(self.key) else {
            return Err(state.gone(self.key));
        };
        let Some(receiver) = &mut session.receiver else {
            return Err(state.gone(self.key));
        };
        if let Phase::Detached(error) = &receiver.phase {
            return Err(error.clone());
        }
        receiver.demand(count);
        let credit = receiver.credit();
        session.send_credit(credit, drain, out).map_err(internal)?;
        self.connection.kick(state);
        Ok(())
    }

    /// Asks for up to `count` deliveries, unless what was asked for has not all come.
    pub fn demand_when_spent(&self, count: u32) -> Result<()> {
        if self.with(|receiver| Ok(receiver.credit() > 0))? {
            return Ok(());
        }
        self.demand(count, false)
    }

    /// The broker has said that there is no more for what was asked for.
    pub fn is_drained(&self) -> Result<bool> {
        self.with(|receiver| Ok(receiver.is_drained()))
    }

    /// Gives back what is buffered, flushes, detaches and ends the session.
    pub fn close(&self) {
        self.connection.end_session(self.key);
    }
}
