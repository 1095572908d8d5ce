//! Taking jobs from one or more queues.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::format::roadrunner;
use crate::options::ConsumerOptions;
use crate::queue::Queue;
use crate::source::Source;
use crate::wait::{Signal, Wait};
use crate::wire::state;

/// Takes jobs from its queues, each served in turn.
#[derive(Debug)]
pub struct Consumer {
    sources: Vec<Source>,
    options: ConsumerOptions,
    /// Of this process: a child makes its own.
    signal: Mutex<(u64, Signal)>,
    stopped: AtomicBool,
    paused: AtomicBool,
    /// The queue that is looked at first next time.
    turn: AtomicUsize,
    generation: u64,
}

/// What a look at the queues found.
enum Found {
    Delivery(Box<Delivery>),
    Stopped,
    /// A link was lost: it is attached again.
    Lost(Error),
}

impl Consumer {
    /// A consumer of `queues`; attaches on first use.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an empty list, [`ErrorKind::Unsupported`] for a session.
    pub fn new(queues: Vec<Queue>, options: ConsumerOptions) -> Result<Self> {
        if queues.is_empty() {
            return Err(Error::config(
                "no queues to consume from: pass an AmqpQueue or a list of them",
            ));
        }
        if options.session.is_some() {
            return Err(Error::unsupported(
                "option 'session': this broker has no sessions; leave it out",
            ));
        }
        let sources = queues.iter();
        Ok(Self {
            sources: sources
                .map(|queue| Source::new(queue.definition().clone(), &options))
                .collect(),
            options,
            signal: Mutex::new((fork::generation(), Signal::new())),
            stopped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            generation: fork::generation(),
        })
    }

    /// What wakes [`Consumer::next`]. The parent's may be locked for ever in a
    /// child, by a thread that is not there.
    fn signal(&self) -> Signal {
        let mut signal = self.signal.lock();
        if signal.0 != fork::generation() {
            let parents = std::mem::replace(&mut *signal, (fork::generation(), Signal::new()));
            std::mem::forget(parents);
        }
        signal.1.clone()
    }

    /// The options it was made with.
    pub fn options(&self) -> &ConsumerOptions {
        &self.options
    }

    /// The next job; `None` when `wait` ended, and after [`Consumer::stop`].
    ///
    /// Connecting and attaching are bounded by the queue's own timeout, and do
    /// not use up `wait`.
    ///
    /// # Errors
    /// Connection, Authentication, QueueNotFound, Timeout (of an attach), Interrupted.
    pub fn next(&self, wait: &Wait<'_>) -> Result<Option<Delivery>> {
        let patience = wait.left();
        let mut wait = *wait;
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if !self.paused.load(Ordering::Relaxed) && self.attach(&wait)? {
                wait = wait.restarted(patience);
            }
            match wait.until(&self.signal(), || self.look())? {
                None | Some(Found::Stopped) => return Ok(None),
                Some(Found::Delivery(delivery)) => return Ok(Some(*delivery)),
                // Dialled again above, where a failure to do so is an error.
                Some(Found::Lost(error)) if error.kind() == ErrorKind::Connection => {}
                Some(Found::Lost(error)) => return Err(error),
            }
        }
    }

    /// Up to `max` jobs: waits for the first, and takes what is there of the others.
    ///
    /// # Errors
    /// As [`Consumer::next`], when there is not even one.
    pub fn next_many(&self, max: usize, wait: &Wait<'_>) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        if max == 0 {
            return Ok(deliveries);
        }
        deliveries.extend(self.next(wait)?);
        if deliveries.is_empty() {
            return Ok(deliveries);
        }
        while deliveries.len() < max {
            match self.look() {
                Ok(Some(Found::Delivery(delivery))) => deliveries.push(*delivery),
                _ => break,
            }
        }
        Ok(deliveries)
    }

    /// Attaches what is not attached. True if there was anything to do.
    fn attach(&self, wait: &Wait<'_>) -> Result<bool> {
        let mut worked = false;
        for source in &self.sources {
            if source.attached().is_none() {
                let timeout = source.definition.options.timeout;
                source.attach(&self.signal(), &wait.restarted(timeout))?;
                worked = true;
            }
        }
        Ok(worked)
    }

    fn look(&self) -> Result<Option<Found>> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(Some(Found::Stopped));
        }
        let count = self.sources.len();
        let first = self.turn.load(Ordering::Relaxed);
        for offset in 0..count {
            let index = (first + offset) % count;
            let source = &self.sources[index];
            loop {
                match source.take() {
                    Ok(Some((incoming, attached))) => {
                        let delivery_id = incoming.delivery_id;
                        let settled = incoming.settled || self.options.auto_ack;
                        let decoded = match roadrunner::decode(incoming.payload) {
                            Ok(decoded) => decoded,
                            Err(error) => {
                                // Poison: dead-lettered, and consuming goes on.
                                let rejected =
                                    state::rejected("amqp:decode-error", &error.to_string());
                                // If it is lost with its link, it comes again.
                                let _ = attached.link.settle(delivery_id, &rejected);
                                continue;
                            }
                        };
                        let expired = decoded
                            .expires_at
                            .is_some_and(|at| at < roadrunner::now_millis());
                        if expired || ((settled || decoded.auto_ack) && !incoming.settled) {
                            // Lost with its link: it comes again.
                            if attached.link.accept(delivery_id).is_err() || expired {
                                continue;
                            }
                        }
                        self.turn.store((index + 1) % count, Ordering::Relaxed);
                        let settled = settled || decoded.auto_ack;
                        return Ok(Some(Found::Delivery(Box::new(Delivery::new(
                            decoded,
                            source.definition.clone(),
                            attached,
                            delivery_id,
                            settled,
                        )))));
                    }
                    Ok(None) => break,
                    Err(error) => return Ok(Some(Found::Lost(error))),
                }
            }
        }
        Ok(None)
    }

    /// No more jobs are asked for; what is buffered goes back to the broker at once.
    ///
    /// # Errors
    /// None today.
    pub fn pause(&self) -> Result<()> {
        self.paused.store(true, Ordering::Relaxed);
        self.sources
            .iter()
            .for_each(|source| source.set_paused(true));
        Ok(())
    }

    /// Asks for jobs again.
    ///
    /// # Errors
    /// None today.
    pub fn resume(&self) -> Result<()> {
        self.paused.store(false, Ordering::Relaxed);
        self.sources
            .iter()
            .for_each(|source| source.set_paused(false));
        self.signal().raise();
        Ok(())
    }

    /// Between [`Consumer::pause`] and [`Consumer::resume`].
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// [`Consumer::next`] returns `None` from now on, also one that is waiting;
    /// what is buffered goes back to the broker. Jobs in hand can still be settled.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.sources
            .iter()
            .for_each(|source| source.set_paused(true));
        self.signal().raise();
    }

    /// Gives back what is buffered and detaches; jobs in hand can still be
    /// settled, and their link ends with the last of them. A later
    /// [`Consumer::next`] attaches again, unless it was stopped.
    ///
    /// # Errors
    /// None today.
    pub fn close(&self, _wait: &Wait<'_>) -> Result<()> {
        self.sources.iter().for_each(Source::close);
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // A parent's consumer is not torn down by its child.
        if self.generation == fork::generation() {
            self.sources.iter().for_each(Source::close);
        }
    }
}
