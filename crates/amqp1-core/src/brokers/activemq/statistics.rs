//! ActiveMQ Classic's figures of a queue, by its statistics plugin: a message to a queue
//! of a certain name is answered with a map.

use std::time::Duration;

use super::conversation::Conversation;
use crate::base::wait::Wait;
use crate::brokers::seams::administration::{Administration, Figures, Subject};
use crate::connection::Question;
use crate::error::{Error, Result};
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::write;

/// How long the plugin is given to answer: where it is not enabled, nobody does.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Statistics;

impl Administration for Statistics {
    fn setup(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        subject.ask(Question::Target(subject.address, true), wait)?;
        subject.ask(Question::Source(subject.address), wait)
    }

    fn purge(&self, _: &Subject<'_>, _: &Wait<'_>) -> Result<u64> {
        Err(Error::unsupported(
            "purge() is not possible: ActiveMQ Classic has no management over AMQP 1.0; use its web console or JMX",
        ))
    }

    fn figures(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        if subject.options.declare {
            self.setup(subject, wait)?;
        }
        let node = format!("queue://ActiveMQ.Statistics.Destination.{}", subject.queue);
        let talk = Conversation::open(subject.connection, Some(&node), wait)?;
        talk.send(|_| 0, |out| write::string(out, ""))?;
        let patience = wait.at_most(PATIENCE);
        match talk.next(&patience)? {
            Some(answer) => read(&answer),
            None if wait.left().is_zero() => Err(talk.unanswered()),
            None => Err(Error::unsupported(
                "counting is not possible: nobody answers for it; enable the broker's statisticsBrokerPlugin, and see that the queue exists",
            )),
        }
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
            "the answer of the broker's statistics plugin has no size",
        ));
    };
    // Both are the broker's, taken one after another.
    let reserved = reserved.map(|reserved| reserved.min(size));
    Ok(Figures {
        ready: size - reserved.unwrap_or(0),
        delayed: None,
        reserved,
        consumers,
    })
}
