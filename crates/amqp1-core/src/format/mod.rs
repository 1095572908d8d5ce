//! Encodes jobs as messages, and decodes them. Names no broker.
//!
//! A queue writes one format, its option `format`. A consumer recognises all formats, message by
//! message, and a copy keeps the format of its original.

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

/// The name of a job whose message has none.
pub const DEDUCED: &str = "deduced_by_rr";

/// How a job is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The format of RoadRunner's own 0-9-1 driver: the default.
    #[default]
    Roadrunner,
    /// The JSON wrapper of the Go driver `amqp1`.
    Amqp1,
    /// BabelQueue's envelope, for consumers in other languages.
    Babelqueue,
    /// Only the payload.
    Raw,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 4] = [
        Format::Roadrunner,
        Format::Amqp1,
        Format::Babelqueue,
        Format::Raw,
    ];

    /// Its name in the option `format`.
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

/// A job decoded from a message; headers are decoded on demand. Texts are the original bytes,
/// because a foreign message may not be UTF-8.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub message: Message,
    pub format: Format,
    /// Empty if the message has none; then the consumer generates one.
    pub id: BString,
    pub name: BString,
    /// As its producer named it.
    pub pipeline: Option<BString>,
    /// The payload, without its envelope.
    pub body: Bytes,
    pub json: bool,
    pub trace_id: Option<BString>,
    pub group: Option<BString>,
    pub priority: Option<i64>,
    /// Seconds.
    pub delay: f64,
    pub auto_ack: bool,
    pub durable: bool,
    /// Attempts before this one, from the message and its delivery-count.
    pub earlier_attempts: u32,
    /// Earlier deliveries, as the broker and this client recorded them.
    pub history: History,
    /// Unix milliseconds.
    pub expires_at: Option<i64>,
    pub headers: OnceCell<Headers>,
    /// Why it is not a valid job: its envelope is not accepted, or its body cannot be decoded.
    /// `None` if it has already failed for that reason.
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

    /// Removes the broker's count from the attempts, for brokers whose count does not mean
    /// attempts. A `babelqueue` envelope has a count of its own.
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

/// Checks a job for this format before there is a connection.
///
/// # Errors
/// [`crate::ErrorKind::Serialization`] for a payload that the format cannot carry,
/// [`crate::ErrorKind::Config`] for an invalid id or trace id.
pub(crate) fn check(format: Format, job: &Job<'_>, id: &str) -> Result<()> {
    match format {
        Format::Babelqueue => babelqueue::check_job(job, id),
        Format::Roadrunner | Format::Amqp1 | Format::Raw => Ok(()),
    }
}

/// Encodes the whole message of a new job. Calls `mapping` only if the format needs it.
///
/// # Errors
/// Those of [`check`] and `mapping`.
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
