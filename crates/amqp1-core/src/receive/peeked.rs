//! A job that was looked at and stays in its queue: it is read, and cannot be settled.

use std::sync::Arc;

use bstr::{BStr, BString};

use crate::base::wait::Wait;
use crate::brokers::seams::peek::{cannot_peek, PeekedMessage, PeekedState};
use crate::error::{ErrorKind, Result};
use crate::format::contents::Contents;
use crate::format::history::Ledger;
use crate::format::{self, Carried, Decoded, Format, HeadersOf};
use crate::job::failure::FailureFacts;
use crate::reach::connected::Connected;
use crate::reach::definition::Definition;

/// A job as it was in its queue.
#[derive(Debug)]
pub struct Peeked {
    decoded: Decoded,
    definition: Arc<Definition>,
    ledger: Ledger,
    number: i64,
    state: PeekedState,
}

/// Up to `max` jobs from the number `from` on, in any state, which stay as they are. Even one that
/// is not a valid job is shown.
///
/// # Errors
/// Unsupported if the broker shows no job without handing it out; QueueNotFound; Connection,
/// Timeout.
pub(crate) fn peek(
    definition: &Arc<Definition>,
    from: i64,
    max: u32,
    wait: &Wait<'_>,
) -> Result<Vec<Peeked>> {
    let role = definition.management_role();
    let found = definition.surviving(&[role], wait, || {
        let connected = definition.connect(role, wait)?;
        let companion = connected.companion.clone().ok_or_else(cannot_peek)?;
        let messages = companion.peek(&definition.subject(), from, max, wait)?;
        Ok((connected, messages))
    });
    let (connected, messages) = found.map_err(|error| {
        if error.kind() == ErrorKind::QueueNotFound {
            definition.forget_declared();
        }
        error.context(definition.describe())
    })?;
    let read = |message| Peeked::new(message, definition, &connected);
    Ok(messages.into_iter().map(read).collect())
}

impl Peeked {
    fn new(message: PeekedMessage, definition: &Arc<Definition>, connected: &Connected) -> Self {
        let dialect = connected.dialect;
        let bytes = message.bytes;
        let decoded = format::decode(bytes.clone(), dialect.property_mapping());
        let mut decoded = decoded.unwrap_or_else(|_| format::undecoded(bytes));
        if !dialect.counts_attempts() {
            decoded.forget_deliveries();
        }
        Self {
            decoded,
            definition: Arc::clone(definition),
            ledger: dialect.ledger(connected.connection.remote()),
            number: message.number,
            state: message.state,
        }
    }

    /// The broker's number of the message, for the next look.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Whether it could be received.
    pub fn state(&self) -> PeekedState {
        self.state
    }

    /// The job's id; empty if its message has none.
    pub fn id(&self) -> &BStr {
        self.decoded.id()
    }

    /// The job's name.
    pub fn name(&self) -> &BStr {
        self.decoded.name()
    }

    /// The body, and how to read it.
    pub fn contents(&self) -> Contents<'_> {
        Contents::of(&self.decoded)
    }

    /// The format of its message.
    pub fn format(&self) -> Format {
        self.decoded.format
    }

    /// Headers in order, each with at least one value.
    pub fn headers(&self) -> HeadersOf<'_> {
        self.decoded.headers()
    }

    /// The name of the queue (the pipeline) that it is in.
    pub fn queue(&self) -> &str {
        &self.definition.pipeline
    }

    /// The pipeline that its producer named, or else the one that it is in.
    pub fn pipeline(&self) -> &BStr {
        let own = self.decoded.pipeline();
        own.unwrap_or_else(|| self.definition.pipeline.as_str().into())
    }

    /// Its priority, or else the queue's.
    pub fn priority(&self) -> i64 {
        let configured = self.definition.options.priority;
        let usual = || i64::from(configured.unwrap_or(4));
        self.decoded.priority.unwrap_or_else(usual)
    }

    /// The trace id, from correlation-id.
    pub fn trace_id(&self) -> Option<&BStr> {
        self.decoded.trace_id()
    }

    /// group-id, unless it is only the mark of a format.
    pub fn group(&self) -> Option<&BStr> {
        self.decoded.group()
    }

    /// All AMQP properties that are set, by their names in PHP.
    pub fn properties(&self) -> Vec<(&'static str, Carried)> {
        self.decoded.properties()
    }

    /// All message annotations in order.
    pub fn annotations(&self) -> Vec<(BString, Carried)> {
        self.decoded.annotations()
    }

    /// When its producer made it, in Unix milliseconds.
    pub fn created_at(&self) -> Option<i64> {
        self.decoded.created_at()
    }

    /// When its broker got it, in Unix milliseconds, if the broker says.
    pub fn enqueued_at(&self) -> Option<i64> {
        self.decoded.enqueued_at()
    }

    /// When it expires, in Unix milliseconds, if it does.
    pub fn expiry(&self) -> Option<i64> {
        self.decoded.expiry()
    }

    /// How often a worker may have processed it; zero for a new job.
    pub fn attempts(&self) -> u32 {
        let uncounted = self.decoded.history.uncounted(self.ledger);
        self.decoded.earlier_attempts.saturating_add(uncounted)
    }

    /// Why it is in a failed queue; `None` if it is not in one.
    pub fn failure(&self) -> Option<FailureFacts> {
        format::failure(&self.decoded)
    }
}
