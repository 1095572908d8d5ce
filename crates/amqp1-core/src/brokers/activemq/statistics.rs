//! ActiveMQ Classic's figures of a queue, from its statistics plugin: it answers a message to a
//! queue with a special name with a map.

use std::sync::Arc;
use std::time::Duration;

use super::conversation::Conversation;
use super::scheduler;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::detour::Detour;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::recipient::Recipient;
use crate::brokers::seams::subject::{Figures, Subject};
use crate::brokers::tools::again::again;
use crate::brokers::tools::asking::Asking;
use crate::brokers::tools::memo::Memo;
use crate::connection::{Connection, Question};
use crate::error::{Error, Result};
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::write;

/// How long to wait for the plugin's answer: if it is not enabled, there is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// The companion of a connection to ActiveMQ Classic.
#[derive(Debug)]
pub(super) struct Statistics {
    connection: Connection,
    dialect: &'static dyn Dialect,
    asking: Asking,
    /// Set once the broker is known to keep delays.
    delays: Memo<()>,
}

impl Statistics {
    pub fn over(connection: &Connection, dialect: &'static dyn Dialect) -> Arc<dyn Companion> {
        Arc::new(Self {
            connection: connection.clone(),
            dialect,
            asking: Asking::new(connection, dialect.asks()),
            delays: Memo::default(),
        })
    }

    fn ask(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        let node = format!("queue://ActiveMQ.Statistics.Destination.{}", queue.queue());
        let talk = Conversation::open(&self.connection, Some(&node), wait)?;
        talk.send(|_| 0, |out| write::string(out, ""))?;
        let patience = wait.at_most(PATIENCE);
        match talk.next(&patience)? {
            Some(answer) => read(&answer),
            None if wait.left().is_zero() => Err(talk.unanswered()),
            None => Err(Error::unsupported(
                "jobs cannot be counted: the broker's statistics plugin does not answer; enable statisticsBrokerPlugin, and check that the queue exists",
            )),
        }
    }
}

impl Companion for Statistics {
    /// The message's annotation is enough, if the scheduler is on.
    fn detour(
        &self,
        queue: &Subject<'_>,
        _: &Recipient<'_>,
        _: Duration,
        wait: &Wait<'_>,
    ) -> Result<Option<Detour>> {
        let kept = self.delays.once((), Duration::MAX, || {
            scheduler::keeps_delays(&self.connection, wait)
        });
        kept.map_err(|error| error.context(queue.describe()))?;
        Ok(None)
    }

    fn setup(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        self.dialect.check_name(queue.queue())?;
        let address = self.dialect.queue_address(queue.queue());
        self.asking.ask(Question::Target(&address, true), wait)?;
        self.asking.ask(Question::Source(&address), wait)
    }

    fn purge(&self, _: &Subject<'_>, _: &Wait<'_>) -> Result<u64> {
        Err(Error::unsupported(
            "purge() is not supported: ActiveMQ Classic has no management over AMQP 1.0; use its web console or JMX",
        ))
    }

    fn figures(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        self.dialect.check_name(queue.queue())?;
        if queue.spec.options.declare {
            self.setup(queue, wait)?;
        }
        again(&self.connection, wait, || self.ask(queue, wait))
    }
}

fn read(answer: &Message) -> Result<Figures> {
    let bytes = match answer.body() {
        Body::Value(range) => answer.slice(range),
        _ => bytes::Bytes::new(),
    };
    let (mut size, mut reserved, mut consumers) = (None, None, None);
    if let Ok(Value::Map(mut items)) = Reader::new(&bytes).value() {
        while let Ok(Some((key, value))) = items.entry() {
            match key.as_text() {
                Some("size") => size = value.as_uint(),
                Some("inflightCount") => reserved = value.as_uint(),
                Some("consumerCount") => consumers = value.as_uint(),
                _ => {}
            }
        }
    }
    let Some(size) = size else {
        return Err(Error::serialization(
            "the answer of the broker's statistics plugin lacks the size of the queue",
        ));
    };
    // The broker reads both figures one after another, so they may not match.
    let reserved = reserved.map(|reserved| reserved.min(size));
    Ok(Figures {
        ready: size - reserved.unwrap_or(0),
        delayed: None,
        reserved,
        consumers,
    })
}
