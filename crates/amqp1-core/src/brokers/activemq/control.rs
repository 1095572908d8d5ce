//! Artemis' management: operations on a queue, by messages to
//! `activemq.management` whose parameters and results are JSON.

use serde_json::Value as Json;

use super::artemis::Artemis;
use super::conversation::Conversation;
use crate::base::wait::Wait;
use crate::brokers::seams::administration::{Administration, Figures, Subject};
use crate::brokers::seams::dialect::Dialect;
use crate::connection::Question;
use crate::error::{Error, Result};
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::write;

/// The management address, unless the broker's configuration names another.
const NODE: &str = "activemq.management";

#[derive(Debug)]
pub(super) struct Control;

impl Administration for Control {
    fn setup(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        attach(subject, wait)
    }

    fn purge(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        let removed = ask(subject, wait, |control, resource| {
            control.call(resource, "removeAllMessages", wait)
        })?;
        Ok(removed.as_u64().unwrap_or(0))
    }

    fn figures(&self, subject: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        ask(subject, wait, |control, resource| {
            // One after another: what settles or comes in between is counted twice or not
            // at all, never below zero.
            let number = |name| {
                let value = control.call(resource, name, wait)?;
                Ok(value.as_u64().unwrap_or(0))
            };
            let all = number("getMessageCount")?;
            let delayed = number("getScheduledCount")?;
            let reserved = number("getDeliveringCount")?;
            Ok(Figures {
                ready: all.saturating_sub(delayed).saturating_sub(reserved),
                delayed: Some(delayed),
                reserved: Some(reserved),
                consumers: Some(number("getConsumerCount")?),
            })
        })
    }
}

/// Attaches to the queue as producers and consumers do, which makes it where the broker's
/// address settings allow that, and sees that it is a queue.
fn attach(subject: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
    // In this order: a sender makes a queue beside a topic of that name.
    subject
        .ask(Question::Source(subject.address), wait)
        .map_err(|error| Artemis.explain(error))?;
    subject.ask(Question::Target(subject.address, true), wait)
}

/// Asks about the queue; once more when it is missing and may be made.
fn ask<T>(
    subject: &Subject<'_>,
    wait: &Wait<'_>,
    work: impl Fn(&Talk, &str) -> Result<T>,
) -> Result<T> {
    let talk = Talk(Conversation::open(subject.connection, Some(NODE), wait)?);
    // A queue apart from its address is named `address::queue`.
    let name = subject.queue.rsplit("::").next().unwrap_or(subject.queue);
    let resource = format!("queue.{name}");
    match work(&talk, &resource) {
        Err(error) if error.condition() == Some(MISSING) && subject.options.declare => {
            attach(subject, wait)?;
            work(&talk, &resource)
        }
        done => done,
    }
}

/// What the condition of a queue that is not there is called here.
const MISSING: &str = "amqp:not-found";

struct Talk(Conversation);

impl Talk {
    fn call(&self, resource: &str, operation: &str, wait: &Wait<'_>) -> Result<Json> {
        let properties = |out: &mut Vec<u8>| {
            let named = [
                ("_AMQ_ResourceName", resource),
                ("_AMQ_OperationName", operation),
            ];
            for (name, value) in named {
                write::string(out, name);
                write::string(out, value);
            }
            4
        };
        self.0.send(properties, |out| write::string(out, "[]"))?;
        let answer = self.0.next(wait)?.ok_or_else(|| self.0.unanswered())?;
        let (succeeded, result) = read(&answer);
        if succeeded {
            return Ok(result);
        }
        let reason = result.as_str().unwrap_or("no reason given").to_owned();
        // AMQ229069: Cannot find resource with name queue.x
        if reason.contains("AMQ229069") || reason.contains("Cannot find resource") {
            return Err(Error::queue_not_found("it does not exist").with_condition(MISSING));
        }
        Err(Error::rejected(format!(
            "the broker refused {operation} of '{resource}': {reason}"
        )))
    }
}

/// Whether it was done, and the first of the results, which are a list.
fn read(answer: &Message) -> (bool, Json) {
    let mut succeeded = false;
    if let Ok(Some(mut items)) = answer.application_properties() {
        while let Ok(Some((key, value))) = items.entry() {
            if key.as_text() == Some("_AMQ_OperationSucceeded") {
                succeeded = matches!(value, Value::Bool(true));
            }
        }
    }
    let text = match answer.body() {
        Body::Value(range) => answer.slice(range),
        _ => return (succeeded, Json::Null),
    };
    let result = match Reader::new(&text).value() {
        Ok(value) => value
            .as_text()
            .and_then(|text| serde_json::from_str(text).ok()),
        Err(_) => None,
    };
    match result {
        Some(Json::Array(mut items)) if !items.is_empty() => (succeeded, items.swap_remove(0)),
        _ => (succeeded, Json::Null),
    }
}
