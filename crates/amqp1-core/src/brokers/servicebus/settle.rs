//! Settling by the service's lock: confirmed by the service, over the link or beside it.

use std::sync::{Arc, OnceLock};

use super::companion::ServiceBusCompanion;
use super::constants::{DEAD_LETTER, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, LOCK_LOST};
use super::locks::{to_uuid, LinkLocks, LockToken};
use super::refusal;
use super::request::Request;
use crate::base::clock::now_millis;
use crate::base::wait::Wait;
use crate::brokers::seams::reach::Reach;
use crate::connection::{Outcome, Tracked, Tracker};
use crate::error::condition;
use crate::error::{Error, ErrorKind, Result};
use crate::job::failure::bounded;
use crate::receive::source::HeldLink;
use crate::wire::{state, write};

/// What a receiver link on Service Bus is besides.
#[derive(Debug)]
pub(crate) struct ServiceBusSource {
    pub client: Arc<ServiceBusCompanion>,
    /// Of its messages; for a session's link, of the session.
    link: LinkLocks,
    /// The session that it takes from; known when the service has answered.
    pub session: OnceLock<Arc<str>>,
    has_session: bool,
}

impl ServiceBusSource {
    pub fn new(client: &Arc<ServiceBusCompanion>, link: LinkLocks, has_session: bool) -> Self {
        Self {
            client: Arc::clone(client),
            link,
            session: OnceLock::new(),
            has_session,
        }
    }

    /// The link's name.
    pub fn link(&self) -> &str {
        self.link.name()
    }

    /// The locks of its messages; a session's messages have none of their own.
    pub fn locks(&self) -> Option<&LinkLocks> {
        (!self.has_session).then_some(&self.link)
    }

    /// A delivery is handed out. False when its lock is gone.
    pub fn take(&self, tag: &[u8]) -> bool {
        if let Some(session) = self.session.get() {
            self.link.touch_session(session);
            return true;
        }
        self.link.take(tag)
    }

    /// The service has given this session, locked until `ends` (.NET ticks).
    pub fn took_session(&self, id: &str, ends: Option<i64>) {
        let id = self.session.get_or_init(|| Arc::from(id));
        self.link.session(id, ends);
    }

    /// The session is waited for, or worked on.
    pub fn touch_session(&self) {
        if let Some(session) = self.session.get() {
            self.link.touch_session(session);
        }
    }

    /// The link is over: its session's lock is renewed no more.
    pub fn leave_session(&self) {
        if let Some(session) = self.session.get() {
            self.link.forget_session(session);
        }
    }
}

/// What is said of a delivery.
#[derive(Debug)]
pub(crate) enum Settlement<'a> {
    Complete,
    /// Back to the queue, counted; with a property that says what it was counted for.
    Abandon(&'a str, i64),
    DeadLetter {
        reason: &'a str,
        description: &'a str,
        exception: Option<&'a str>,
        queue: &'a str,
        attempts: u32,
    },
}

impl Settlement<'_> {
    fn state(&self) -> Vec<u8> {
        match self {
            Settlement::Complete => state::accepted(),
            Settlement::Abandon(name, value) => state::modified(true, &[(name, *value)]),
            Settlement::DeadLetter { .. } => {
                state::rejected_with(DEAD_LETTER, |out| self.facts(out, true))
            }
        }
    }

    /// Reason and description, and what becomes application properties besides them.
    fn facts(&self, out: &mut Vec<u8>, symbols: bool) -> u32 {
        let Settlement::DeadLetter {
            reason,
            description,
            exception,
            queue,
            attempts,
        } = self
        else {
            return 0;
        };
        let key = |out: &mut Vec<u8>, name: &str| match symbols {
            true => write::symbol(out, name),
            false => write::string(out, name),
        };
        if symbols {
            key(out, DEAD_LETTER_REASON);
            write::string(out, bounded(reason));
            key(out, DEAD_LETTER_DESCRIPTION);
            write::string(out, bounded(description));
        }
        key(out, "rr_failed_queue");
        write::string(out, queue);
        key(out, "rr_failed_at");
        write::long(out, now_millis());
        key(out, "rr_failed_attempts");
        write::int(out, (*attempts).min(i32::MAX as u32) as i32);
        let mut count = if symbols { 10 } else { 6 };
        if let Some(exception) = exception {
            key(out, "rr_failed_exception");
            write::string(out, bounded(exception));
            count += 2;
        }
        count
    }

    /// The same by `update-disposition`.
    fn request(&self, lock: &LockToken, source: &ServiceBusSource, wait: &Wait<'_>) -> Request {
        Request::operation(
            "update-disposition",
            Some(source.link()),
            wait.left(),
            |out| {
                let mut count = 4;
                if let Some(session) = source.session.get() {
                    write::string(out, "session-id");
                    write::string(out, session);
                    count += 2;
                }
                write::string(out, "disposition-status");
                write::string(
                    out,
                    match self {
                        Settlement::Complete => "completed",
                        Settlement::Abandon(..) => "abandoned",
                        Settlement::DeadLetter { .. } => "suspended",
                    },
                );
                write::string(out, "lock-tokens");
                write::uuid_array(out, &[to_uuid(lock)]);
                if let Settlement::Abandon(name, value) = self {
                    write::string(out, "properties-to-modify");
                    write::map(out, |out| {
                        write::string(out, name);
                        write::long(out, *value);
                        2
                    });
                    return count + 2;
                }
                let Settlement::DeadLetter {
                    reason,
                    description,
                    ..
                } = self
                else {
                    return count;
                };
                write::string(out, "deadletter-reason");
                write::string(out, bounded(reason));
                write::string(out, "deadletter-description");
                write::string(out, bounded(description));
                write::string(out, "properties-to-modify");
                write::map(out, |out| self.facts(out, false));
                count + 6
            },
        )
    }
}

/// One delivery and the service's lock on it.
pub(crate) struct PeekLock<'a> {
    pub link: &'a HeldLink,
    pub source: &'a ServiceBusSource,
    pub delivery_id: u32,
    pub lock: LockToken,
    pub reach: &'a dyn Reach,
}

impl PeekLock<'_> {
    /// Settles, and returns when the service has confirmed it.
    ///
    /// # Errors
    /// TaskLost when the lock is gone; Timeout when the service does not answer.
    pub fn settle(&self, settlement: &Settlement<'_>, wait: &Wait<'_>) -> Result<()> {
        let (mut tries, mut unanswered) = (0, false);
        let settled = loop {
            tries += 1;
            // Refused for a passing reason, the delivery is settled on its link all the same.
            let attempt = match tries {
                1 => self.try_to(settlement, &mut unanswered, wait),
                _ => self.beside_link(settlement, wait),
            };
            let error = match attempt {
                Err(error) => error,
                done => break done,
            };
            match refusal::pause(error.condition(), tries) {
                Some(pause) if pause < wait.left() => wait.sleep(pause)?,
                // The lock may be gone because the service did as it was told the first time.
                _ if unanswered && error.kind() == ErrorKind::TaskLost => {
                    break Err(Error::connection(format!(
                        "the link ended before the service confirmed the settlement; then: {error}"
                    )));
                }
                _ => break Err(error),
            }
        };
        if let Some(locks) = self.source.locks() {
            locks.forget(&self.lock);
        }
        settled
    }

    /// The lock is gone, as far as can be told without asking. That of a message outlives its
    /// link, that of a session does not.
    pub fn is_lost(&self) -> bool {
        match self.source.locks() {
            Some(locks) => locks.is_lost(&self.lock),
            None => self.link.failed().is_some(),
        }
    }

    fn try_to(
        &self,
        settlement: &Settlement<'_>,
        unanswered: &mut bool,
        wait: &Wait<'_>,
    ) -> Result<()> {
        match self.over_link(settlement, unanswered, wait) {
            // The lock outlives the link: ten minutes without a message, and the service ends it,
            // as it does when its token is over.
            Err(error) if self.source.locks().is_some() => match error.kind() {
                ErrorKind::Connection => self.beside_link(settlement, wait),
                _ if self.reach.renews_token(&error) => self.beside_link(settlement, wait),
                _ => Err(error),
            },
            done => done,
        }
    }

    /// `unanswered` becomes true when it was sent, and the link ended before the answer.
    fn over_link(
        &self,
        settlement: &Settlement<'_>,
        unanswered: &mut bool,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let tracker = Tracker::default();
        let tracked = Tracked {
            tracker: tracker.clone(),
            index: 0,
        };
        self.link
            .settle_second(self.delivery_id, &settlement.state(), tracked)?;
        let mut outcomes = Vec::new();
        let answered = wait.until(tracker.signal(), || {
            tracker.take(&mut outcomes, 0);
            Ok(outcomes.pop().map(|(_, outcome)| outcome))
        })?;
        match answered {
            None => Err(Error::timeout(format!(
                "{} did not confirm the settlement in time",
                self.link.remote_label()
            ))),
            Some(Outcome::Lost(error)) => {
                *unanswered = true;
                Err(error)
            }
            Some(Outcome::Rejected(Some((condition, description)))) if condition != DEAD_LETTER => {
                let description = description.unwrap_or_default();
                let kind = match LOCK_LOST.contains(&condition.as_str()) {
                    true => ErrorKind::TaskLost,
                    false => match condition::kind(&condition) {
                        // Of the settlement, not of the connection.
                        ErrorKind::Connection => ErrorKind::Rejected,
                        kind => kind,
                    },
                };
                Err(Error::new(kind, format!("{condition}: {description}"))
                    .with_condition(&condition))
            }
            Some(_) => Ok(()),
        }
    }

    /// By the lock's token, over whatever connection there is now.
    fn beside_link(&self, settlement: &Settlement<'_>, wait: &Wait<'_>) -> Result<()> {
        let companion = self.reach.companion(wait)?;
        let client = ServiceBusCompanion::of(&*companion).unwrap_or(&self.source.client);
        let request = settlement.request(&self.lock, self.source, wait);
        let tokens = self.reach.spec().options.token.as_ref();
        client.operate(&self.link.address, &request, tokens, wait)?;
        Ok(())
    }
}

/// What is lost comes again: that is what was asked for.
pub(crate) fn lost_is_given_back(settled: Result<()>) -> Result<()> {
    match settled {
        Err(error) if matches!(error.kind(), ErrorKind::TaskLost | ErrorKind::Connection) => Ok(()),
        done => done,
    }
}
