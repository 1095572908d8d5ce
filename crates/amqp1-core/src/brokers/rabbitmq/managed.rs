//! The companion of a connection to a broker with RabbitMQ's management node.

use std::sync::Arc;
use std::time::Duration;

use super::address;
use super::delay;
use super::delay_queues;
use super::management::{Management, Response};
use super::peek;
use super::topology::{self, queue_path, Strictness, Topology, DELAYED_EXCHANGE};
use crate::base::clock::now_millis;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::detour::Detour;
use crate::brokers::seams::peek::{cannot_peek, in_rounds, PeekedMessage};
use crate::brokers::seams::recipient::Recipient;
use crate::brokers::seams::subject::{Figures, Subject};
use crate::brokers::tools::again::again;
use crate::brokers::tools::memo::Memo;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::format::envelope::DelayMark;
use crate::settings::input::Input;
use crate::settings::spec::Spec;
use crate::wire::write;

/// How long a binding counts as present after a check.
const RECHECK: Duration = Duration::from_secs(60);

/// Where delayed jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delays {
    /// In the broker's own schedule.
    Itself,
    /// In queues that expire into the target, or in the plugin's exchange.
    Queues,
}

/// A fact about the broker that need not be checked again.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Known {
    /// The queue exists, with its exchange and its binding.
    Queue {
        queue: String,
        exchange: Option<String>,
        routing_key: String,
    },
    /// A related queue exists.
    Beside(String),
    /// The exchange leads to the queue with this key.
    Binding {
        exchange: String,
        queue: String,
        key: String,
    },
    /// A delay queue exists.
    DelayQueue(String),
}

#[derive(Debug)]
pub(super) struct Managed {
    connection: Connection,
    delays: Delays,
    /// Only PHP's thread locks it, so a fork never happens while it is locked.
    management: Mutex<Option<Management>>,
    known: Memo<Known>,
}

impl Managed {
    pub fn over(connection: &Connection, delays: Delays) -> Arc<dyn Companion> {
        Arc::new(Self {
            connection: connection.clone(),
            delays,
            management: Mutex::default(),
            known: Memo::default(),
        })
    }

    /// Does idempotent work on the management node.
    fn manage<T>(&self, wait: &Wait<'_>, work: impl Fn(&Management) -> Result<T>) -> Result<T> {
        again(&self.connection, wait, || work(&self.management()?))
    }

    fn management(&self) -> Result<Management> {
        let mut kept = self.management.lock();
        if let Some(management) = &*kept {
            if management.failed().is_none() {
                return Ok(management.clone());
            }
        }
        let management = Management::open(&self.connection)?;
        *kept = Some(management.clone());
        Ok(management)
    }

    fn declare_as(
        &self,
        queue: &Subject<'_>,
        strictness: Strictness,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let options = queue.options();
        let topology = Topology {
            queue: queue.queue(),
            options: &options,
            routing_key: queue.routing_key(),
        };
        self.manage(wait, |management| {
            topology.declare(management, strictness, wait)
        })
        .map_err(|error| error.context(queue.describe()))
    }

    /// The queue's figures. Declares the queue first, if the configuration says so.
    fn look(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Response> {
        if queue.spec.options.declare {
            self.declare(queue, wait)?;
        }
        let path = queue_path(queue.queue());
        let answer = self.manage(wait, |management| {
            management.request("GET", &path, write::null, wait)
        })?;
        match answer.status {
            200 => Ok(answer),
            404 => Err(not_found(queue)),
            status => Err(refused(queue, "count", status, &answer)),
        }
    }

    /// The plugin answers `released` both to accepted jobs and to jobs that no one will get.
    /// Therefore there must be a binding.
    fn check_bound(&self, spec: &Spec, exchange: &str, key: &str, wait: &Wait<'_>) -> Result<()> {
        let queue = &spec.broker_queue;
        let known = Known::Binding {
            exchange: exchange.to_owned(),
            queue: queue.clone(),
            key: key.to_owned(),
        };
        self.known.once(known, RECHECK, || {
            let bound = |management: &Management| {
                topology::is_bound(management, exchange, queue, key, wait)
            };
            match self.manage(wait, bound)? {
                true => Ok(()),
                false => Err(Error::unroutable(format!(
                    "{}: exchange '{exchange}' has no binding with key '{key}' to the queue; bind it, or call setup()",
                    spec.describe()
                ))),
            }
        })
    }

    fn delay_queue(
        &self,
        spec: &Spec,
        to: &Recipient<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<String> {
        let now = now_millis().unsigned_abs();
        let before = delay::target(to);
        let Some(queue) = delay::queue(delay, &before, now) else {
            return Err(Error::unsupported(format!(
                "{}: RabbitMQ can delay a job by at most {} days",
                spec.describe(),
                delay::LONGEST.as_secs() / 86_400
            )));
        };
        let known = Known::DelayQueue(queue.name.clone());
        self.known.once(known, Duration::MAX, || {
            let target = (to.exchange.unwrap_or(""), to.key);
            self.manage(wait, |management| {
                delay_queues::declare(management, &queue, &before, target, now, wait)
            })
            .map_err(|error| error.context(spec.describe()))
        })?;
        Ok(address::queue(&queue.name))
    }

    fn in_delay_queues(&self, spec: &Spec, wait: &Wait<'_>) -> Result<u64> {
        let now = now_millis().unsigned_abs();
        // Retried jobs go directly to the queue, not through its exchange.
        let mut targets = vec![spec.broker_queue.clone()];
        let usual = delay::target(&Recipient::usual(spec));
        if usual != spec.broker_queue {
            targets.push(usual);
        }
        self.manage(wait, |management| {
            delay_queues::count(management, &targets, now, wait)
        })
    }
}

impl Companion for Managed {
    fn declare(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        let known = match queue.beside {
            Some(name) => Known::Beside(name.to_owned()),
            None => Known::Queue {
                queue: queue.queue().to_owned(),
                exchange: queue.spec.options.exchange.clone(),
                routing_key: queue.spec.routing_key.clone(),
            },
        };
        self.known.once(known, Duration::MAX, || {
            self.declare_as(queue, Strictness::UseWhatExists, wait)
        })
    }

    fn forget_declared(&self) {
        self.known.forget();
    }

    fn declared_within(&self, age: Duration) -> bool {
        self.known.has_any_within(age)
    }

    fn detour(
        &self,
        queue: &Subject<'_>,
        to: &Recipient<'_>,
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Option<Detour>> {
        let spec = queue.spec;
        match (self.delays, to.exchange) {
            (Delays::Itself, _) => Ok(None),
            (Delays::Queues, Some(exchange)) if spec.options.exchange_type == DELAYED_EXCHANGE => {
                self.check_bound(spec, exchange, to.key, wait)?;
                Ok(Some(Detour::Marked(DelayMark::XDelay)))
            }
            (Delays::Queues, _) => {
                let queue = self.delay_queue(spec, to, delay, wait)?;
                Ok(Some(Detour::Through(queue)))
            }
        }
    }

    fn queue_type(&self, queue: &str, wait: &Wait<'_>) -> Result<Option<String>> {
        let path = queue_path(queue);
        let answer = self.manage(wait, |management| {
            management.request("GET", &path, write::null, wait)
        })?;
        Ok(answer.text("type").filter(|_| answer.status == 200))
    }

    fn has_dead_letter_exchange(&self, queue: &str, wait: &Wait<'_>) -> Result<Option<bool>> {
        let path = queue_path(queue);
        let answer = self.manage(wait, |management| {
            management.request("GET", &path, write::null, wait)
        })?;
        let is_named = |arguments| match arguments {
            Input::Map(entries) => entries
                .iter()
                .any(|(name, _)| name == "x-dead-letter-exchange"),
            _ => false,
        };
        Ok((answer.status == 200).then(|| answer.value("arguments").is_some_and(is_named)))
    }

    fn setup(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        self.declare_as(queue, Strictness::ReportDifferences, wait)
    }

    fn purge(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        if queue.spec.options.declare {
            self.declare(queue, wait)?;
        }
        let path = format!("{}/messages", queue_path(queue.queue()));
        let answer = self.manage(wait, |management| {
            management.request("DELETE", &path, write::null, wait)
        })?;
        match answer.status {
            200 => Ok(answer.number("message_count").unwrap_or(0)),
            400 | 404 => Err(not_found(queue)),
            status => Err(refused(queue, "purge", status, &answer)),
        }
    }

    fn peek(
        &self,
        queue: &Subject<'_>,
        from: i64,
        max: u32,
        wait: &Wait<'_>,
    ) -> Result<Vec<PeekedMessage>> {
        if self.delays != Delays::Itself {
            // RabbitMQ itself.
            return Err(cannot_peek());
        }
        if queue.spec.options.declare {
            self.declare(queue, wait)?;
        }
        in_rounds(from, max, |from, count| {
            let path = peek::path(queue.queue(), from, count);
            let answer = self.manage(wait, |management| {
                management.request("GET", &path, write::null, wait)
            })?;
            match answer.status {
                200 => Ok(peek::messages(&answer)),
                404 => Err(not_found(queue)),
                status => Err(refused(queue, "show", status, &answer)),
            }
        })
    }

    fn count(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        let answer = self.look(queue, wait)?;
        Ok(answer.number("message_count").unwrap_or(0))
    }

    fn figures(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        let answer = self.look(queue, wait)?;
        Ok(Figures {
            ready: answer.number("message_count").unwrap_or(0),
            delayed: match self.delays {
                Delays::Queues => Some(self.in_delay_queues(queue.spec, wait)?),
                Delays::Itself => answer.number("delayed_count"),
            },
            reserved: answer.number("unsettled_count"),
            consumers: Some(answer.number("consumer_count").unwrap_or(0)),
        })
    }
}

fn not_found(queue: &Subject<'_>) -> Error {
    Error::queue_not_found(format!(
        "{} does not exist; call setup(), or do not turn off the option 'declare'",
        queue.describe()
    ))
}

fn refused(queue: &Subject<'_>, what: &str, status: u16, answer: &Response) -> Error {
    Error::rejected(format!(
        "{}: the broker refused to {what} it (status {status}): {}",
        queue.describe(),
        answer.reason()
    ))
}
