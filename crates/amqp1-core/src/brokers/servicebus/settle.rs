//! Settles by the service's lock, with confirmation: over the link, or over the management node.

use super::companion::ServiceBusCompanion;
use super::constants::{DEAD_LETTER, DEAD_LETTER_DESCRIPTION, DEAD_LETTER_REASON, LOCK_LOST};
use super::locks::{to_uuid, LinkLocks};
use super::refusal;
use super::request::Request;
use crate::base::clock::now_millis;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::{Locked, Settlement};
use crate::connection::{Confirmation, Tracked, Tracker};
use crate::error::condition;
use crate::error::{Error, ErrorKind, Result};
use crate::job::failure::bounded;
use crate::wire::{state, write};

impl Settlement<'_> {
    fn state(&self) -> Vec<u8> {
        match self {
            Settlement::Complete => state::accepted(),
            Settlement::Abandon { count, reason } => state::modified_with(true, &[*count], *reason),
            Settlement::Defer => state::undeliverable_here(),
            Settlement::DeadLetter { .. } => {
                state::rejected_with(DEAD_LETTER, |out| self.facts(out, true))
            }
        }
    }

    /// Writes reason and description, and the other application properties.
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

    /// The same as an `update-disposition`.
    fn request(&self, of: &PeekLock<'_>, wait: &Wait<'_>) -> Request {
        Request::operation(
            "update-disposition",
            Some(of.link.name()),
            wait.left(),
            |out| {
                let mut count = 4;
                if let Some(session) = of.session {
                    write::string(out, "session-id");
                    write::string(out, session);
                    count += 2;
                }
                write::string(out, "disposition-status");
                write::string(
                    out,
                    match self {
                        Settlement::Complete => "completed",
                        Settlement::Abandon { .. } => "abandoned",
                        // As the service spells it.
                        Settlement::Defer => "defered",
                        Settlement::DeadLetter { .. } => "suspended",
                    },
                );
                write::string(out, "lock-tokens");
                write::uuid_array(out, &[to_uuid(&of.delivery.lock)]);
                if let Settlement::Abandon {
                    count: (name, value),
                    reason,
                } = self
                {
                    write::string(out, "properties-to-modify");
                    write::map(out, |out| {
                        write::string(out, name);
                        write::long(out, *value);
                        let Some((name, value)) = reason else {
                            return 2;
                        };
                        write::string(out, name);
                        write::string(out, value);
                        4
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

/// A delivery and its lock.
pub(super) struct PeekLock<'a> {
    pub delivery: &'a Locked<'a>,
    pub companion: &'a ServiceBusCompanion,
    pub link: &'a LinkLocks,
    /// Its session, which then holds the lock.
    pub session: Option<&'a str>,
}

impl PeekLock<'_> {
    /// Settles, and returns once the service has confirmed it.
    ///
    /// # Errors
    /// TaskLost if the lock is lost; Timeout if the service does not answer.
    pub fn settle(&self, settlement: &Settlement<'_>, wait: &Wait<'_>) -> Result<()> {
        let (mut tries, mut unanswered) = (0, false);
        let settled = loop {
            tries += 1;
            // If it is refused for a temporary reason, the delivery is nevertheless settled on its
            // link.
            let attempt = match tries {
                1 if self.delivery.delivery_id.is_some() => {
                    self.try_to(settlement, &mut unanswered, wait)
                }
                _ => self.beside_link(settlement, wait),
            };
            let error = match attempt {
                Err(error) => error,
                done => break done,
            };
            match refusal::pause(error.condition(), tries) {
                Some(pause) if pause < wait.left() => wait.sleep(pause)?,
                // The lock may be gone because the service did execute the first attempt.
                _ if unanswered && error.kind() == ErrorKind::TaskLost => {
                    break Err(Error::connection(format!(
                        "the link ended before the service confirmed the settlement; then: {error}"
                    )));
                }
                _ => break Err(error),
            }
        };
        // A session's messages have no locks of their own.
        if self.session.is_none() {
            self.link.forget(&self.delivery.lock);
        }
        settled
    }

    fn try_to(
        &self,
        settlement: &Settlement<'_>,
        unanswered: &mut bool,
        wait: &Wait<'_>,
    ) -> Result<()> {
        match self.over_link(settlement, unanswered, wait) {
            // The lock outlives the link: the service ends a link after ten minutes without a
            // message, or when its token expires.
            Err(error) if self.session.is_none() => match error.kind() {
                ErrorKind::Connection => self.beside_link(settlement, wait),
                _ if self.delivery.reach.renews_token(&error) => self.beside_link(settlement, wait),
                _ => Err(error),
            },
            done => done,
        }
    }

    /// Sets `unanswered` if the settlement was sent but the link ended before the answer.
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
        let Locked {
            link, delivery_id, ..
        } = self.delivery;
        let Some(delivery_id) = *delivery_id else {
            return self.beside_link(settlement, wait);
        };
        link.settle_second(delivery_id, &settlement.state(), tracked)?;
        let mut outcomes = Vec::new();
        let answered = wait.until(tracker.signal(), || {
            tracker.take(&mut outcomes, 0);
            Ok(outcomes.pop().map(|(_, outcome)| outcome))
        })?;
        match answered {
            None => Err(Error::timeout(format!(
                "{} did not confirm the settlement in time",
                self.delivery.link.remote_label()
            ))),
            Some(Confirmation::Lost(error)) => {
                *unanswered = true;
                Err(error)
            }
            Some(Confirmation::Rejected(Some((condition, description))))
                if condition != DEAD_LETTER =>
            {
                let description = description.unwrap_or_default();
                let kind = match LOCK_LOST.contains(&condition.as_str()) {
                    true => ErrorKind::TaskLost,
                    false => match condition::kind(&condition) {
                        // It concerns the settlement, not the connection.
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

    /// By the lock's token, over the current connection.
    fn beside_link(&self, settlement: &Settlement<'_>, wait: &Wait<'_>) -> Result<()> {
        let companion = self.delivery.reach.companion(wait)?;
        let today = ServiceBusCompanion::of(&*companion).unwrap_or(self.companion);
        let request = settlement.request(self, wait);
        let tokens = self.delivery.reach.spec().options.token.as_ref();
        today.operate(self.delivery.address, &request, tokens, wait)?;
        Ok(())
    }
}
