//! The holding of a receiver link on Service Bus: peek-locks, or a session and its lock.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::Value;

use super::companion::ServiceBusCompanion;
use super::constants::{
    SESSION_FILTER, SESSION_POLL, SESSION_TAKEN, SESSION_WAIT, TIMED_OUT, TIMEOUT_PROPERTY,
};
use super::locks::LinkLocks;
use super::request::{Reply, Request};
use super::session_state;
use super::settle::PeekLock;
use super::{deferred, renewal};
use crate::base::id;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::{
    HandedOut, Holding, Lock, Locked, NoSession, SessionWish, Settlement,
};
use crate::brokers::seams::companion::{Companion, Reach};
use crate::connection::{ReceiverOptions, Settling, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::spec::Spec;

#[derive(Debug)]
pub(super) struct ServiceBusHolding {
    companion: Arc<ServiceBusCompanion>,
    /// The locks of its messages, or the session's.
    link: LinkLocks,
    /// The session that it receives from, once the service has answered.
    session: OnceLock<Arc<str>>,
    /// Whether it has a session, whose messages have no locks of their own.
    has_session: bool,
}

impl ServiceBusHolding {
    /// Creates the holding for a receiver that is about to be attached with these options.
    pub fn of(
        companion: Arc<ServiceBusCompanion>,
        spec: &Spec,
        address: &str,
        wish: Option<SessionWish<'_>>,
        options: &mut ReceiverOptions,
    ) -> Result<Self> {
        let name = format!("amqp1-consume-{}", id::short()?);
        let longest = spec.options.max_lock_renewal;
        let link = LinkLocks::new(&companion.locks, address, &name, longest);
        options.name = Some(name);
        options.settling = Settling::Second;
        options.releases_in_hand = true;
        match wish {
            None => options.watch = Some(Arc::new(link.clone())),
            Some(wish) => {
                let patience = match wish.polls {
                    true => SESSION_POLL,
                    false => SESSION_WAIT,
                };
                let patience = Value::from(patience.as_millis() as u32);
                options
                    .properties
                    .push((TIMEOUT_PROPERTY.to_owned(), patience));
                let id = wish.id.map(str::to_owned);
                options.filter = Some((SESSION_FILTER, id.map_or(Value::Null, Value::String)));
            }
        }
        Ok(Self {
            companion,
            link,
            session: OnceLock::new(),
            has_session: wish.is_some(),
        })
    }

    fn operate(
        &self,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
        request: impl FnOnce(&str, &str) -> Request,
    ) -> Result<Reply> {
        let request = self.request(request);
        let tokens = reach.spec().options.token.as_ref();
        self.companion.operate(address, &request, tokens, wait)
    }

    fn request(&self, request: impl FnOnce(&str, &str) -> Request) -> Request {
        let session = self.session.get().map_or("", |session| session);
        request(session, self.link.name())
    }

    /// Over the current connection, because a lock outlives its own.
    fn operate_today(
        &self,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
        request: impl FnOnce(&str, &str) -> Request,
    ) -> Result<Reply> {
        let companion = reach.companion(wait)?;
        let today = ServiceBusCompanion::of(&*companion).unwrap_or(&self.companion);
        let request = self.request(request);
        let tokens = reach.spec().options.token.as_ref();
        today.operate(address, &request, tokens, wait)
    }
}

impl Holding for ServiceBusHolding {
    fn hand_out(&self, tag: &[u8]) -> HandedOut {
        let lock = Lock::try_from(tag).ok();
        if let Some(session) = self.session.get() {
            self.link.touch_session(session);
            return HandedOut::By(lock);
        }
        match self.link.take(tag) {
            true => HandedOut::By(lock),
            false => HandedOut::Gone,
        }
    }

    fn forget(&self, lock: &Lock) {
        if !self.has_session {
            self.link.forget(lock);
        }
    }

    /// A message's lock outlives its link, a session's lock does not.
    fn is_lost(&self, delivery: &Locked<'_>) -> bool {
        match self.has_session {
            false => self.link.is_lost(&delivery.lock),
            true => delivery.link.failed().is_some(),
        }
    }

    fn settle(
        &self,
        delivery: &Locked<'_>,
        settlement: &Settlement<'_>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let lock = PeekLock {
            delivery,
            companion: &self.companion,
            link: &self.link,
            session: self.session.get().map(|session| &**session),
        };
        lock.settle(settlement, wait)
    }

    fn locked_until(&self, lock: &Lock) -> Option<i64> {
        match self.session.get() {
            Some(session) => self.link.session_ends(session),
            None => self.link.ends(lock),
        }
    }

    fn renew(&self, delivery: &Locked<'_>, wait: &Wait<'_>) -> Result<()> {
        let renew = |session: &str, link: &str| match self.has_session {
            true => renewal::of_session(session, link, wait.left()),
            false => renewal::of_message(&delivery.lock, link, wait.left()),
        };
        let reply = self.operate_today(delivery.address, delivery.reach, wait, renew);
        let reply = reply.inspect_err(|error| {
            if error.kind() == ErrorKind::TaskLost && !self.has_session {
                self.link.lose(&delivery.lock);
            }
        })?;
        match self.session.get() {
            Some(session) => self
                .link
                .renewed_session(session, renewal::session_end(&reply)),
            None => self
                .link
                .renewed(&delivery.lock, renewal::message_end(&reply)),
        }
        Ok(())
    }

    fn receive_deferred(
        &self,
        numbers: &[i64],
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<Vec<(Lock, Bytes)>> {
        let receive = |session: &str, link: &str| deferred::receive(numbers, session, link, wait);
        let reply = self.operate_today(address, reach, wait, receive);
        let reply = reply.map_err(|error| deferred::missing(numbers, error))?;
        let messages = deferred::messages(&reply);
        for (lock, bytes) in &messages {
            if !self.has_session {
                self.link.arrived(lock, bytes);
            }
            self.hand_out(lock);
        }
        Ok(messages)
    }

    fn next_errand(&self) -> Option<Instant> {
        self.companion.next_errand()
    }

    fn run_errands(&self, spec: &Spec, wait: &Wait<'_>) -> Result<()> {
        self.companion.run_errands(spec, wait)
    }

    fn leave(&self) {
        if let Some(session) = self.session.get() {
            self.link.forget_session(session);
        }
    }

    fn touch(&self) {
        if let Some(session) = self.session.get() {
            self.link.touch_session(session);
        }
    }

    fn explain_no_session(&self, error: &Error) -> NoSession {
        match error.condition() {
            Some(TIMED_OUT) => NoSession::NoneHasJobs,
            Some(SESSION_TAKEN) => NoSession::IsTaken,
            _ => NoSession::Refused,
        }
    }

    fn took_session(&self, answer: Option<&Attach>, wished: Option<&str>) {
        let answer = answer.and_then(session_state::taken).unwrap_or_default();
        let id = answer.id.as_deref().or(wished).unwrap_or_default();
        let id = self.session.get_or_init(|| Arc::from(id));
        self.link.session(id, answer.locked_until);
    }

    fn session(&self) -> Option<Arc<str>> {
        self.session.get().cloned()
    }

    fn session_state(
        &self,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let reply = self.operate(address, reach, wait, |session, link| {
            session_state::get(session, link, wait)
        })?;
        Ok(session_state::state(&reply))
    }

    fn set_session_state(
        &self,
        state: Option<&[u8]>,
        address: &str,
        reach: &dyn Reach,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let set = |session: &str, link: &str| session_state::set(state, session, link, wait);
        self.operate(address, reach, wait, set).map(|_| ())
    }
}
