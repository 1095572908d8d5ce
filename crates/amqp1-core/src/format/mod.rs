//! How a job looks on the wire.
//!
//! A queue writes one format, its option `format`. A consumer recognises all of
//! them, message by message, and a copy stays in the format its original has.

pub(crate) mod amqp1;
pub(crate) mod babelqueue;
pub(crate) mod body;
pub(crate) mod copy;
mod decimal;
mod decode;
pub(crate) mod envelope;
mod failure;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod headers;
pub(crate) mod history;
mod mapping;
mod object;
mod raw;
pub(crate) mod roadrunner;

use std::cell::OnceCell;

use bstr::BString;
use bytes::Bytes;

pub(crate) use self::decode::{decode, undecoded};
pub(crate) use self::failure::failure;
pub(crate) use self::mapping::PropertyMapping;
use crate::error::Result;
use crate::format::history::History;
use crate::job::Job;
use crate::wire::message::Message;

/// A job's name when its message has none.
pub const DEDUCED: &str = "deduced_by_rr";

/// How a job is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As RoadRunner's own 0-9-1 driver reads and writes it: the default.
    #[default]
    Roadrunner,
    /// The JSON wrapper of the Go driver `amqp1`.
    Amqp1,
    /// BabelQueue's envelope, for consumers in other languages.
    Babelqueue,
    /// The payload alone.
    Raw,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [
        Format::Roadrunner,
        Format::Amqp1,
        Format::Babelqueue,
        Format::Raw,
    ];

    /// Its name, as the option `format` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Roadrunner => "roadrunner",
            Format::Amqp1 => "amqp1",
            Format::Babelqueue => "babelqueue",
            Format::Raw => "raw",
        }
    }
}

/// A job read from a message; headers are read when they are asked for. Texts are the
/// bytes that came: those of a foreign message need not be UTF-8.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub message: Message,
    pub format: Format,
    /// Empty when the message has none: whoever hands the job out makes one.
    pub id: BString,
    pub name: BString,
    /// As its producer named it.
    pub pipeline: Option<BString>,
    /// The payload, out of its envelope.
    pub body: Bytes,
    pub json: bool,
    pub trace_id: Option<BString>,
    pub group: Option<BString>,
    pub priority: Option<i64>,
    /// Seconds.
    pub delay: f64,
    pub auto_ack: bool,
    pub durable: bool,
    /// Attempts before this one, as the message and its delivery-count have them.
    pub earlier_attempts: u32,
    /// What the broker says of its earlier deliveries, and we did.
    pub history: History,
    /// Unix milliseconds.
    pub expires_at: Option<i64>,
    pub headers: OnceCell<Headers>,
    /// Why it is no job: its envelope is not accepted, or its body cannot be read. Not when it
    /// has failed for that before.
    pub poison: Option<&'static str>,
}

impl Decoded {
    /// Headers in order, each with at least one value.
    pub fn headers(&self) -> &Headers {
        self.headers.get_or_init(|| match self.format {
            Format::Amqp1 => amqp1::headers(&self.message),
            _ => headers::read(&self.message),
        })
    }

    /// Takes what the broker counted out of the attempts: it says nothing of them. What a
    /// `babelqueue` envelope counts is its own.
    pub fn without_deliveries(mut self) -> Self {
        if self.format != Format::Babelqueue {
            let counted = self.message.header().unwrap_or_default().delivery_count;
            self.earlier_attempts = self.earlier_attempts.saturating_sub(counted);
        }
        self
    }
}

/// Names and values in order; each name has at least one value.
pub(crate) type Headers = Vec<(BString, Vec<BString>)>;

/// What is wrong with a job for this format is known before there is a connection.
///
/// # Errors
/// [`crate::ErrorKind::Serialization`] for a payload that the format cannot
/// carry, [`crate::ErrorKind::Config`] for an id or trace id.
pub(crate) fn check(format: Format, job: &Job<'_>, id: &str) -> Result<()> {
    match format {
        Format::Babelqueue => babelqueue::check_job(job, id),
        Format::Roadrunner | Format::Amqp1 | Format::Raw => Ok(()),
    }
}

/// The whole message of a new job. `mapping` is asked for where it matters.
///
/// # Errors
/// [`check`]'s and `mapping`'s.
pub(crate) fn encode(
    format: Format,
    job: &Job<'_>,
    envelope: &envelope::Envelope<'_>,
    mapping: impl FnOnce() -> Result<PropertyMapping>,
) -> Result<Vec<u8>> {
    match format {
        Format::Roadrunner => Ok(roadrunner::encode(job, envelope)),
        Format::Amqp1 => Ok(amqp1::encode(job, envelope)),
        Format::Babelqueue => babelqueue::encode(job, envelope, mapping()?),
        Format::Raw => Ok(raw::encode(job, envelope)),
    }
}
