//! The sessions of a consumer's queue, and the link's errands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::SharedLink;
use super::Attachment;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::reach::pool::Role;
use crate::receive::claim::{Answer, Claim};

/// How long a closing consumer waits for the round trip after which nothing more arrives.
const QUIET: Duration = Duration::from_secs(2);

impl Attachment {
    /// Until when its session is not requested, because another consumer holds it.
    pub fn session_rests_until(&self) -> Option<Instant> {
        self.claim.as_ref().and_then(Claim::rests_until)
    }

    /// Whether no session is requested now, because another consumer holds it or the broker has
    /// just reported that none has jobs.
    pub fn leaves_sessions_alone(&self) -> bool {
        let has_none = self.claim.as_ref().is_some_and(Claim::has_none);
        has_none || self.session_rests_until().is_some()
    }

    /// Begins a call, which either polls or waits.
    pub fn begin(&self, polls: bool) {
        if let Some(claim) = &self.claim {
            claim.begin(polls);
        }
    }

    /// Releases a session that turned out to be empty, if the next one may have jobs.
    pub fn change_session(&self) -> bool {
        let (Some(claim), Some(link)) = (&self.claim, self.link()) else {
            return false;
        };
        let changes = claim.may_change(link.in_hand()) && !self.is_paused();
        if changes {
            self.close();
        }
        changes
    }

    /// When it needs action even without a delivery: to release a session without jobs, or to ask
    /// the application for a token.
    pub fn next_errand(&self) -> Option<Instant> {
        let link = self.link()?;
        let question = link.holding.as_ref()?.next_errand();
        let dates = [self.idle_at(&link), question];
        dates.into_iter().flatten().min()
    }

    fn idle_at(&self, link: &SharedLink) -> Option<Instant> {
        self.claim.as_ref()?.idle_at(link.in_hand())
    }

    /// Does the work for [`Attachment::next_errand`].
    pub fn run_errands(&self, wait: &Wait<'_>) -> Result<()> {
        let Some(link) = self.link() else {
            return Ok(());
        };
        let Some(holding) = &link.holding else {
            return Ok(());
        };
        holding.touch();
        holding.run_errands(&self.definition, wait)?;
        if self.idle_at(&link).is_some_and(|at| at <= Instant::now()) {
            self.close();
        }
        Ok(())
    }

    /// Returns deliveries in flight: the broker keeps its lock on deliveries that arrive over an
    /// ended link.
    pub fn quiet(&self, wait: &Wait<'_>) {
        let Some(link) = self.link().filter(|link| link.holding.is_some()) else {
            return;
        };
        // Deliveries from now on are returned; after one round trip, no more arrive.
        if link.set_prefetch(0).is_ok() {
            let _ = link.ping(&wait.at_most(QUIET));
        }
    }

    /// Explains the refusal of the link. The broker's own words may name neither the queue nor a
    /// remedy.
    pub(super) fn refused(&self, error: Error) -> Error {
        match self.advice(&error) {
            Some(_) => self.advised(error).context(self.definition.describe()),
            None => error,
        }
    }

    /// Adds advice about a queue that does not fit the consumer.
    fn advised(&self, error: Error) -> Error {
        let Some(advice) = self.advice(&error) else {
            return error;
        };
        let advised = Error::new(error.kind(), format!("{}; {advice}", error.message()));
        match error.condition() {
            Some(condition) => advised.with_condition(condition),
            None => advised,
        }
    }

    fn advice(&self, error: &Error) -> Option<&'static str> {
        let dialect = self.definition.presumed();
        dialect.advise(error, self.claim.is_some())
    }

    /// Withdraws the request for a session.
    pub fn stop_asking(&self) {
        if let Some(claim) = &self.claim {
            claim.give_up();
        }
    }

    /// Whether one certain session is requested, not just any that has jobs.
    pub fn names_session(&self) -> bool {
        self.claim
            .as_ref()
            .is_some_and(|claim| claim.id().is_some())
    }

    /// The link with its session, if it needs one: requested here, taken once it is granted.
    ///
    /// # Errors
    /// The error of the attach.
    pub fn granted(&self) -> Result<Option<Arc<SharedLink>>> {
        if self.link().is_none() {
            self.take_session()?;
        }
        Ok(self.link())
    }

    /// The session that it holds, and its link.
    pub fn session(&self) -> Option<(Arc<str>, Arc<SharedLink>)> {
        let link = self.link()?;
        let session = link.holding.as_ref()?.session()?;
        Some((session, link))
    }

    /// Takes over a session that was requested and has been granted.
    pub(super) fn take_session(&self) -> Result<()> {
        let Some(claim) = self.claim.as_ref() else {
            return Ok(());
        };
        match claim.answer() {
            Answer::None => Ok(()),
            Answer::Refused(error)
                if self.definition.renews_token(Role::Consume, &error) && claim.may_renew() =>
            {
                // Requested again with another token.
                Err(Error::connection(error.message()))
            }
            // The consumer adds the queue's name.
            Answer::Refused(error) => Err(self.advised(error)),
            Answer::Taken(link) => {
                if let Some(holding) = &link.holding {
                    holding.took_session(link.answer().as_deref(), claim.id());
                }
                // It may have been adapted since the session was requested.
                if self.prefetch.adapts() && !self.is_paused() {
                    let _ = link.set_prefetch(self.prefetch.now());
                }
                *self.link.lock() = Some(link);
                Ok(())
            }
        }
    }
}
