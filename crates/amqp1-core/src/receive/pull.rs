//! Receives jobs one at a time, without a permanent consumer.
//!
//! The link gets exactly the requested credit, and is drained: the broker reports when it has
//! nothing (2.6.7). Thus an empty queue is known after one round trip, and no job is locked that no
//! one waits for.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::wait::{Signal, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::reach::definition::Definition;
use crate::receive::attachment::link::SharedLink;
use crate::receive::attachment::prefetch::Prefetch;
use crate::receive::attachment::Attachment;
use crate::receive::delivery::Delivery;
use crate::receive::sorting::{self, Poison, Taken};
use crate::settings::options::{ConsumerOptions, SessionOption};

/// How long a broker that does not drain may take to deliver.
const GRACE: Duration = Duration::from_millis(500);

/// The result of a look at the link.
enum Look {
    /// Everything available has arrived.
    Complete,
    Poison(Box<Poison>),
}

/// The result of one round.
enum Round {
    Done,
    /// The connection was lost.
    Lost(Error),
}

/// Receives jobs from a queue on request.
#[derive(Debug)]
pub(crate) struct Pull {
    attachment: Attachment,
    signal: Signal,
}

impl Pull {
    /// Attaches on first use; closed with the last job taken from it.
    pub fn new(definition: &Arc<Definition>) -> Self {
        Self::of(definition, &ConsumerOptions::default())
    }

    /// Receives from this session.
    pub fn of_session(definition: &Arc<Definition>, session: &str) -> Self {
        let options = ConsumerOptions {
            session: Some(SessionOption::Id(session.to_owned())),
            ..ConsumerOptions::default()
        };
        Self::of(definition, &options)
    }

    fn of(definition: &Arc<Definition>, options: &ConsumerOptions) -> Self {
        let definition = Arc::clone(definition);
        Self {
            attachment: Attachment::new(definition, options, Prefetch::Set(0)),
            signal: Signal::new(),
        }
    }

    /// Up to `count` jobs that can be delivered now; if there are none, the first that arrives
    /// within `patience`.
    ///
    /// # Errors
    /// As [`crate::Consumer::next`]; Timeout if the broker does not answer.
    pub fn take(
        &self,
        count: u32,
        patience: Duration,
        wait: &Wait<'_>,
    ) -> Result<Vec<Rc<Delivery>>> {
        let until = Instant::now() + patience;
        let mut jobs = Vec::new();
        loop {
            let lost = match self.round(count, until, &mut jobs, wait)? {
                Round::Done => return Ok(jobs),
                Round::Lost(error) => error,
            };
            // Jobs of a lost connection are delivered again.
            jobs.clear();
            if lost.kind() != ErrorKind::Connection || wait.left().is_zero() {
                return Err(lost.context(self.attachment.definition.describe()));
            }
        }
    }

    /// The link, attached, and its queue.
    pub(crate) fn attached(&self, wait: &Wait<'_>) -> Result<(Arc<SharedLink>, &Arc<Definition>)> {
        self.attachment.attach(&self.signal, wait)?;
        let granted = || {
            // Takes over a session that was granted; nothing is delivered without credit.
            if self.attachment.link().is_none() {
                self.attachment.take()?;
            }
            let link = self.attachment.link();
            match link.is_some() || self.attachment.is_attached() {
                true => Ok(link),
                false => Err(self.gone()),
            }
        };
        let link = wait.until(&self.signal, granted);
        let link = link.map_err(|error| self.not_granted(error))?;
        let link = link.ok_or_else(|| self.silent())?;
        Ok((link, &self.attachment.definition))
    }

    /// Another consumer may hold the session for any time, so it is not waited for.
    fn not_granted(&self, error: Error) -> Error {
        match self.attachment.session_rests_until() {
            Some(_) => Error::rejected(format!(
                "{}: the session was not granted; if another consumer holds it, close that one first: {}",
                self.attachment.definition.describe(),
                error.message()
            )),
            None => error,
        }
    }

    fn round(
        &self,
        count: u32,
        until: Instant,
        jobs: &mut Vec<Rc<Delivery>>,
        wait: &Wait<'_>,
    ) -> Result<Round> {
        self.attachment.attach(&self.signal, wait)?;
        let Some(link) = self.attachment.link() else {
            return Err(self.gone());
        };
        if !link.dialect.drains() {
            if let Err(error) = link.demand_when_spent(count) {
                return Ok(Round::Lost(error));
            }
            return self.patient_round(count, until, jobs, wait);
        }
        let mut draining = until <= Instant::now();
        if let Err(error) = link.demand(count, draining) {
            return Ok(Round::Lost(error));
        }
        loop {
            let look_for = match draining {
                true => *wait,
                false => wait.at_most(until.saturating_duration_since(Instant::now())),
            };
            match look_for.until(&self.signal, || self.look(count, draining, jobs)) {
                Ok(Some(Look::Complete)) => return Ok(Round::Done),
                Ok(Some(Look::Poison(poison))) => {
                    poison.bury(wait)?;
                    // Its credit is used up.
                    if let Err(error) = link.demand(1, draining) {
                        return Ok(Round::Lost(error));
                    }
                }
                Ok(None) if draining => return Err(self.silent()),
                Ok(None) => {
                    draining = true;
                    if let Err(error) = link.demand(0, draining) {
                        return Ok(Round::Lost(error));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => return Ok(Round::Lost(error)),
            }
        }
    }

    /// For a broker that does not report an empty queue: an available job arrives within [`GRACE`].
    fn patient_round(
        &self,
        count: u32,
        until: Instant,
        jobs: &mut Vec<Rc<Delivery>>,
        wait: &Wait<'_>,
    ) -> Result<Round> {
        let until = until.max(Instant::now() + GRACE);
        loop {
            let look_for = wait.at_most(until.saturating_duration_since(Instant::now()));
            match look_for.until(&self.signal, || self.look(count, false, jobs)) {
                Ok(Some(Look::Complete)) => return Ok(Round::Done),
                Ok(Some(Look::Poison(poison))) => {
                    poison.bury(wait)?;
                    let link = self.attachment.link().ok_or_else(|| self.gone())?;
                    link.demand_when_spent(1)?;
                }
                // Its credit ends with the link, so that no job is locked that no one waits for.
                Ok(None) => {
                    self.attachment.close();
                    return Ok(Round::Done);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => return Ok(Round::Lost(error)),
            }
        }
    }

    fn look(
        &self,
        count: u32,
        draining: bool,
        jobs: &mut Vec<Rc<Delivery>>,
    ) -> Result<Option<Look>> {
        while jobs.len() < count as usize {
            let link = self.attachment.link().ok_or_else(|| self.gone())?;
            // Checked before the buffer, which by then contains everything that came before the
            // answer.
            let drained = link.is_drained()?;
            match sorting::take(&self.attachment, false)? {
                Some(Taken::Job(job)) => jobs.push(job),
                Some(Taken::Poison(poison)) => return Ok(Some(Look::Poison(poison))),
                // Its credit is used up.
                Some(Taken::Nothing) if !link.dialect.drains() => link.demand_when_spent(1)?,
                Some(Taken::Nothing) => link.demand(1, draining)?,
                None if drained || !jobs.is_empty() && !draining => break,
                None => return Ok(None),
            }
        }
        Ok(Some(Look::Complete))
    }

    /// Returns everything that is not settled, and detaches.
    pub fn close(&self) {
        self.attachment.close();
    }

    fn gone(&self) -> Error {
        Error::connection(format!(
            "{}: the connection was lost",
            self.attachment.definition.describe()
        ))
    }

    fn silent(&self) -> Error {
        self.attachment.close();
        Error::timeout(format!(
            "{}: the broker did not say in time whether there is a job",
            self.attachment.definition.describe()
        ))
    }
}
