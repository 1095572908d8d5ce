//! Artemis' management: operations on a queue, as messages to `activemq.management` with parameters
//! and results in JSON.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::conversation::Conversation;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::seams::dialect::Dialect;
use crate::brokers::seams::subject::{Figures, Subject};
use crate::brokers::tools::again::again;
use crate::brokers::tools::asking::Asking;
use crate::brokers::tools::memo::Memo;
use crate::connection::{Connection, Question};
use crate::error::condition::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{Body, Message};
use crate::wire::read::{Reader, Value};
use crate::wire::write;

/// The management address, unless the broker's configuration sets another one.
const NODE: &str = "activemq.management";

/// The companion of a connection to Artemis.
#[derive(Debug)]
pub(super) struct Control {
    connection: Connection,
    dialect: &'static dyn Dialect,
    asking: Asking,
    /// Addresses that are known to be queues.
    queues: Memo<String>,
}

impl Control {
    pub fn over(connection: &Connection, dialect: &'static dyn Dialect) -> Arc<dyn Companion> {
        Arc::new(Self {
            connection: connection.clone(),
            dialect,
            asking: Asking::new(connection, dialect.asks()),
            queues: Memo::default(),
        })
    }

    /// Attaches to the queue as producers and consumers do. This creates the queue if the broker's
    /// address settings allow it, and checks that it is a queue.
    fn attach(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        self.dialect.check_name(queue.queue())?;
        let address = self.dialect.queue_address(queue.queue());
        // The source comes first: a sender would create a queue beside a topic with that name.
        self.asking
            .ask(Question::Source(&address), wait)
            .map_err(|error| self.dialect.explain(error))?;
        self.asking.ask(Question::Target(&address, true), wait)
    }

    /// Asks about the queue. If it is missing and may be created, creates it and asks once more.
    fn ask<T>(
        &self,
        queue: &Subject<'_>,
        wait: &Wait<'_>,
        work: impl Fn(&Talk, &str) -> Result<T>,
    ) -> Result<T> {
        self.dialect.check_name(queue.queue())?;
        // A queue whose name differs from its address is written as `address::queue`.
        let name = queue.queue().rsplit("::").next().unwrap_or_default();
        let resource = format!("queue.{name}");
        again(&self.connection, wait, || {
            let talk = Talk(Conversation::open(&self.connection, Some(NODE), wait)?);
            match work(&talk, &resource) {
                Err(error) if error.is(Condition::NOT_FOUND) && queue.spec.options.declare => {
                    self.attach(queue, wait)?;
                    work(&talk, &resource)
                }
                done => done,
            }
        })
    }
}

impl Companion for Control {
    /// Artemis also confirms jobs that only the address's subscribers get.
    fn confirm(&self, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.queues.once(address.to_owned(), Duration::MAX, || {
            match self.asking.ask(Question::Source(address), wait) {
                // A client that may send but not receive cannot check.
                Err(error) if error.kind() == ErrorKind::Authentication => Ok(()),
                Err(error) => Err(self.dialect.explain(error)),
                Ok(()) => Ok(()),
            }
        })
    }

    fn forget_declared(&self) {
        self.queues.forget();
    }

    fn declared_within(&self, age: Duration) -> bool {
        self.queues.has_any_within(age)
    }

    fn setup(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<()> {
        self.attach(queue, wait)
    }

    fn purge(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<u64> {
        let removed = self.ask(queue, wait, |control, resource| {
            control.call(resource, "removeAllMessages", wait)
        })?;
        Ok(removed.as_u64().unwrap_or(0))
    }

    fn figures(&self, queue: &Subject<'_>, wait: &Wait<'_>) -> Result<Figures> {
        self.ask(queue, wait, |control, resource| {
            // Read one after another: a job that moves in between is counted twice or not at all,
            // but no figure is negative.
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
        // The answer has no condition, and the code before this text differs between versions.
        if reason.contains("Cannot find resource") {
            return Err(Error::queue_not_found("it does not exist")
                .with_condition(Condition::NOT_FOUND.as_str()));
        }
        Err(Error::rejected(format!(
            "the broker refused {operation} of '{resource}': {reason}"
        )))
    }
}

/// Whether the operation succeeded, and the first item of its result list.
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
