//! Sessions of a consumer's queue, and what its link wants besides deliveries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::SharedLink;
use super::Attachment;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::reach::pool::Role;
use crate::receive::claim::{Answer, Claim};

/// How long a closing consumer waits for the round trip after which nothing comes any more.
const QUIET: Duration = Duration::from_secs(2);

impl Attachment {
    /// Until when its session is not asked for, because another has it.
    pub fn session_rests_until(&self) -> Option<Instant> {
        self.claim.as_ref().and_then(Claim::rests_until)
    }

    /// Its session is not asked for now: another has it, or the service has just said that there
    /// is none with jobs.
    pub fn leaves_sessions_alone(&self) -> bool {
        let has_none = self.claim.as_ref().is_some_and(Claim::has_none);
        has_none || self.session_rests_until().is_some()
    }

    /// A call begins that takes what is there, or one that waits.
    pub fn begin(&self, polls: bool) {
        if let Some(claim) = &self.claim {
            claim.begin(polls);
        }
    }

    /// Lets a session go that has turned out to be empty, where the next may have jobs.
    pub fn change_session(&self) -> bool {
        let (Some(claim), Some(link)) = (&self.claim, self.link()) else {
            return false;
        };
        let changes = claim.may_change(link.held()) && !self.is_paused();
        if changes {
            self.close();
        }
        changes
    }

    /// When something has to be done about it although no delivery comes: a session without
    /// jobs is let go, an application asked for a token.
    pub fn next_errand(&self) -> Option<Instant> {
        let link = self.link()?;
        let question = link.holding.as_ref()?.next_errand();
        let dates = [self.idle_at(&link), question];
        dates.into_iter().flatten().min()
    }

    fn idle_at(&self, link: &SharedLink) -> Option<Instant> {
        self.claim.as_ref()?.idle_at(link.held())
    }

    /// Does what [`Attachment::next_errand`] is about.
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

    /// Gives back what is still on its way: the broker keeps its lock on what comes over a
    /// link that has ended.
    pub fn quiet(&self, wait: &Wait<'_>) {
        let Some(link) = self.link().filter(|link| link.holding.is_some()) else {
            return;
        };
        // What arrives from now on goes back; after one round trip nothing does any more.
        if link.set_prefetch(0).is_ok() {
            let _ = link.ping(&wait.at_most(QUIET));
        }
    }

    /// Why the link was refused. The broker's own words need not name the queue, nor what to do.
    pub(super) fn refused(&self, error: Error) -> Error {
        match self.advice(&error) {
            Some(_) => self.advised(error).context(self.definition.describe()),
            None => error,
        }
    }

    /// The error, with what to do about a queue that does not fit the consumer.
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

    /// Nobody waits for a session any more.
    pub fn stop_asking(&self) {
        if let Some(claim) = &self.claim {
            claim.give_up();
        }
    }

    /// The session that it has, and its link.
    pub fn session(&self) -> Option<(Arc<str>, Arc<SharedLink>)> {
        let link = self.link()?;
        let session = link.holding.as_ref()?.session()?;
        Some((session, link))
    }

    /// A session that was asked for and has come.
    pub(super) fn take_session(&self) -> Result<()> {
        let Some(claim) = self.claim.as_ref() else {
            return Ok(());
        };
        match claim.answer() {
            Answer::None => Ok(()),
            Answer::Refused(error)
                if self.definition.renews_token(Role::Consume, &error) && claim.may_renew() =>
            {
                // Asked again, with another token.
                Err(Error::connection(error.message()))
            }
            // The consumer names the queue.
            Answer::Refused(error) => Err(self.advised(error)),
            Answer::Taken(link) => {
                if let Some(holding) = &link.holding {
                    holding.took_session(link.answer().as_deref(), claim.id());
                }
                *self.link.lock() = Some(link);
                Ok(())
            }
        }
    }
}
