//! One queue of a consumer: its receiver link, attached again when it was lost.

mod attaching;
pub(crate) mod link;
mod sessions;
mod silence;
mod timeout;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use self::link::SharedLink;
use self::silence::Silence;
use crate::base::backoff::Lives;
use crate::base::sync::Mutex;
use crate::connection::Incoming;
use crate::error::{Error, ErrorKind, Result};
use crate::reach::definition::Definition;
use crate::reach::pool::{self, Role};
use crate::receive::claim::Claim;
use crate::settings::options::ConsumerOptions;
use crate::settings::retry::RetryOptions;

/// One queue of a consumer.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub definition: Arc<Definition>,
    prefetch: u32,
    priority: Option<i32>,
    /// How long the broker is to let it hold a job.
    timeout: Option<Duration>,
    retry: RetryOptions,
    /// The sessions that it takes.
    claim: Option<Claim>,
    /// The link, of whatever process.
    link: Mutex<Option<Arc<SharedLink>>>,
    /// The consumer wants nothing of it.
    held: AtomicBool,
    /// What the link was told of being paused.
    told: AtomicBool,
    /// The link was asked whether there is more, in the question under way.
    asked: AtomicBool,
    /// How long its links last.
    lives: Mutex<Option<Lives>>,
    /// After failed attaches: how long it is left alone, and until when.
    rest: Mutex<Option<(Duration, Instant)>>,
    silence: Silence,
}

impl Attachment {
    pub fn new(definition: Arc<Definition>, options: &ConsumerOptions) -> Self {
        Self {
            prefetch: options.prefetch.unwrap_or(definition.options.prefetch),
            priority: options.priority,
            timeout: options.consumer_timeout,
            retry: options.retry.over(&definition.options.retry),
            claim: options.session.clone().map(Claim::new),
            link: Mutex::new(None),
            held: AtomicBool::new(false),
            told: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            lives: Mutex::new(None),
            rest: Mutex::new(None),
            silence: Silence::default(),
            definition,
        }
    }

    /// The link, if there is one of this process.
    pub fn link(&self) -> Option<Arc<SharedLink>> {
        self.own().clone()
    }

    fn own(&self) -> MutexGuard<'_, Option<Arc<SharedLink>>> {
        let mut link = self.link.lock();
        if link.as_ref().is_some_and(|link| !link.is_ours()) {
            // Neither used nor torn down here.
            std::mem::forget(link.take());
        }
        link
    }

    /// There is a link of this process, or one is asked for.
    pub fn is_attached(&self) -> bool {
        self.own().is_some() || self.claim.as_ref().is_some_and(Claim::is_asking)
    }

    /// Until when it is left alone, because it could not be attached.
    pub fn rests_until(&self) -> Option<Instant> {
        self.session_rests_until()
            .or(self.rest.lock().map(|(_, until)| until))
    }

    /// It broke soon after it was had: what is next to be done is to pause.
    pub fn is_broken(&self) -> bool {
        self.lives.lock().is_some_and(|lives| lives.ended() > 0)
            || pool::is_resting(&self.definition.endpoint, Role::Consume)
    }

    /// The next delivery that has come. `Err` when the link is over; the next
    /// [`Attachment::attach`] makes a new one.
    pub fn take(&self) -> Result<Option<(Incoming, Arc<SharedLink>)>> {
        let Some(link) = self.link() else {
            if self.claim.is_some() {
                self.take_session()?;
            }
            return Ok(None);
        };
        match link.take() {
            Ok(Some(incoming)) => {
                if let Some(claim) = &self.claim {
                    claim.note_job();
                }
                Ok(Some((incoming, link)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                *self.link.lock() = None;
                if link.holding.is_none() {
                    return Err(error);
                }
                Err(match error.kind() {
                    // A token that has expired is no error before a new one is refused.
                    ErrorKind::Authentication => {
                        self.definition.renews_token(Role::Consume, &error);
                        Error::connection(error.message())
                    }
                    // A session that is lost is asked for again: that is no error of the caller's.
                    ErrorKind::TaskLost => Error::connection(error.message()),
                    _ => error,
                })
            }
        }
    }

    /// Nothing has come for the moment: a host that may be cut off is asked, and left.
    pub fn is_silent(&self) {
        if self.claim.is_none() && !self.is_paused() {
            if let Some(link) = self.link() {
                self.silence.look(&link);
            }
        }
    }

    /// The question whether there is more has not been asked yet.
    pub fn begin_question(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// What there was when it was asked has come, or nothing can come. Asks, the first time;
    /// a session may have come since the others were asked.
    pub fn is_answered(&self) -> bool {
        if self.is_paused() {
            return true;
        }
        let Some(link) = self.link() else {
            return !self.is_attached();
        };
        // A link that is over answers nothing: the next look tells.
        if !self.asked.swap(true, Ordering::Relaxed) && link.ask().is_err() {
            return true;
        }
        link.is_answered()
    }

    /// Asks for nothing more and gives back what is buffered; or asks again, unless
    /// the pipeline is paused.
    pub fn set_paused(&self, paused: bool) {
        if paused {
            self.stop_asking();
        }
        self.held.store(paused, Ordering::Relaxed);
        if let Some(link) = self.link() {
            self.tell(&link, self.is_paused());
        }
    }

    /// The consumer is paused, or the pipeline is.
    pub fn is_paused(&self) -> bool {
        self.held.load(Ordering::Relaxed) || self.definition.paused.load(Ordering::Relaxed)
    }

    /// Tells the link when that has changed. True when there is none, and one is wanted.
    pub fn follow(&self) -> bool {
        let paused = self.is_paused();
        if self.told.load(Ordering::Relaxed) == paused {
            return false;
        }
        match self.link() {
            Some(link) => {
                self.tell(&link, paused);
                false
            }
            None => {
                self.told.store(paused, Ordering::Relaxed);
                !paused
            }
        }
    }

    fn tell(&self, link: &SharedLink, paused: bool) {
        self.told.store(paused, Ordering::Relaxed);
        // A link that is gone has given back everything already.
        let _ = link.set_prefetch(if paused { 0 } else { self.prefetch });
    }

    /// Gives back what is buffered and lets go of the link, which is closed when
    /// the last job in hand is gone.
    pub fn release(&self) {
        self.set_paused(true);
        if let Some(link) = self.link() {
            link.hush();
            *self.link.lock() = None;
        }
    }

    /// Gives back everything that is not settled, and detaches.
    pub fn close(&self) {
        self.stop_asking();
        // Ended by us: the next one need not wait.
        *self.lives.lock() = None;
        if let Some(link) = self.link() {
            link.leave();
            link.hush();
            link.close();
            *self.link.lock() = None;
        }
    }
}
