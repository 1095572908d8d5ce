//! One queue of a consumer: its receiver link, attached again if it was lost.

mod attaching;
pub(crate) mod link;
pub(crate) mod prefetch;
mod sessions;
mod silence;
mod timeout;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use self::link::SharedLink;
use self::prefetch::Prefetch;
use self::silence::Silence;
use crate::base::backoff::Lives;
use crate::base::events::EventKind;
use crate::base::sync::Mutex;
use crate::brokers::Replies;
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
    pub prefetch: Prefetch,
    priority: Option<i32>,
    /// The requested consumer timeout.
    timeout: Option<Duration>,
    retry: RetryOptions,
    /// The sessions that it receives from.
    claim: Option<Claim>,
    /// It receives replies, and its source does not exist before its link.
    replies: Option<Replies>,
    /// The link, possibly of a parent process.
    link: Mutex<Option<Arc<SharedLink>>>,
    /// Whether the consumer is paused.
    held: AtomicBool,
    /// Whether the link was told that it is paused.
    told: AtomicBool,
    /// Whether the link was asked, in the current question, if there is more.
    asked: AtomicBool,
    /// The lifetimes of its links.
    lives: Mutex<Option<Lives>>,
    /// After failed attaches: how long it rests, and until when.
    rest: Mutex<Option<(Duration, Instant)>>,
    silence: Silence,
}

impl Attachment {
    pub fn new(definition: Arc<Definition>, options: &ConsumerOptions, prefetch: Prefetch) -> Self {
        Self {
            prefetch,
            priority: options.priority,
            timeout: options.consumer_timeout,
            retry: options.retry.over(&definition.options.retry),
            claim: options.session.clone().map(Claim::new),
            replies: None,
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

    /// Receives replies, over a source that comes and goes with the link.
    pub fn for_replies(definition: Arc<Definition>, prefetch: Prefetch, replies: Replies) -> Self {
        Self {
            replies: Some(replies),
            ..Self::new(definition, &ConsumerOptions::default(), prefetch)
        }
    }

    /// The link, if this process has one.
    pub fn link(&self) -> Option<Arc<SharedLink>> {
        self.own().clone()
    }

    fn own(&self) -> MutexGuard<'_, Option<Arc<SharedLink>>> {
        let mut link = self.link.lock();
        if link.as_ref().is_some_and(|link| !link.is_ours()) {
            // A parent's link is neither used nor torn down here.
            std::mem::forget(link.take());
        }
        link
    }

    /// Whether this process has a link or has requested one.
    pub fn is_attached(&self) -> bool {
        self.own().is_some() || self.claim.as_ref().is_some_and(Claim::is_asking)
    }

    /// Until when it rests, because it could not be attached.
    pub fn rests_until(&self) -> Option<Instant> {
        self.session_rests_until()
            .or(self.rest.lock().map(|(_, until)| until))
    }

    /// Whether its link broke soon after it was attached, so that a pause must follow.
    pub fn is_broken(&self) -> bool {
        self.lives.lock().is_some_and(|lives| lives.ended() > 0)
            || pool::is_resting(&self.definition.endpoint, Role::Consume)
    }

    /// The next delivery. `Err` if the link has ended; the next [`Attachment::attach`] opens a new
    /// one.
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
                self.prefetch.took_one();
                Ok(Some((incoming, link)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                *self.link.lock() = None;
                if pool::is_connected(&self.definition.endpoint, Role::Consume) {
                    self.definition
                        .tell(EventKind::LinkLost, Role::Consume, |event| {
                            event.error = Some(error.clone());
                        });
                }
                if link.holding.is_none() {
                    return Err(error);
                }
                Err(match error.kind() {
                    // An expired token is no error until a new one is refused.
                    ErrorKind::Authentication => {
                        self.definition.renews_token(Role::Consume, &error);
                        Error::connection(error.message())
                    }
                    // A lost session is requested again, which is no error for the caller.
                    ErrorKind::TaskLost => Error::connection(error.message()),
                    _ => error,
                })
            }
        }
    }

    /// Called when nothing arrives: asks a host that may be cut off, and leaves it if it does not
    /// answer.
    pub fn is_silent(&self) {
        if self.claim.is_none() && !self.is_paused() {
            if let Some(link) = self.link() {
                self.silence.look(&link);
            }
        }
    }

    /// Starts a new question whether there is more.
    pub fn begin_question(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// Whether everything that was there at the question has arrived, or nothing can arrive. Asks
    /// the first time, because a session may have been granted after the other queues were asked.
    pub fn is_answered(&self) -> bool {
        if self.is_paused() {
            return true;
        }
        let Some(link) = self.link() else {
            return !self.is_attached();
        };
        // An ended link answers nothing; the next look reports it.
        if !self.asked.swap(true, Ordering::Relaxed) && link.ask().is_err() {
            return true;
        }
        link.is_answered()
    }

    /// Requests nothing more and returns the buffer; or requests jobs again, unless the pipeline is
    /// paused.
    pub fn set_paused(&self, paused: bool) {
        if paused {
            self.stop_asking();
        }
        self.held.store(paused, Ordering::Relaxed);
        if let Some(link) = self.link() {
            self.tell(&link, self.is_paused());
        }
    }

    /// Whether the consumer or the pipeline is paused.
    pub fn is_paused(&self) -> bool {
        self.held.load(Ordering::Relaxed) || self.definition.is_paused()
    }

    /// Tells the link if that has changed. True if there is no link, and one is wanted.
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
        // A lost link has already returned everything.
        let _ = link.set_prefetch(if paused { 0 } else { self.prefetch.now() });
    }

    /// Returns the buffer and gives up the link, which is closed with the last job taken from it.
    pub fn release(&self) -> Option<Arc<SharedLink>> {
        self.set_paused(true);
        self.own().take()
    }

    /// Returns everything that is not settled, and detaches.
    pub fn close(&self) {
        if let Some(link) = self.give_up() {
            link.hush();
            link.close();
        }
    }

    /// Gives up the link, which the caller closes.
    pub fn give_up(&self) -> Option<Arc<SharedLink>> {
        self.stop_asking();
        // We ended it, so the next link need not wait.
        *self.lives.lock() = None;
        let link = self.own().take()?;
        link.leave();
        Some(link)
    }
}
