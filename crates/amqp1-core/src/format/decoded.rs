//! A decoded job, and the formats of jobs.

use std::cell::OnceCell;

use bstr::{BStr, BString};
use bytes::Bytes;

use super::headers::{HeaderPlaces, Headers};
use super::history::History;
use super::mapping::PropertyMapping;
use super::part::Part;
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

/// A job in a message: checked, and located rather than decoded. Its texts are the original bytes,
/// because a foreign message may not be UTF-8.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub message: Message,
    pub format: Format,
    /// Empty if the message has none; then the consumer generates one.
    pub id: Part,
    pub name: Part,
    /// As its producer named it.
    pub pipeline: Option<Part>,
    /// The payload, without its envelope.
    pub body: Part,
    pub json: bool,
    pub trace_id: Option<Part>,
    pub group: Option<Part>,
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
    pub header_places: HeaderPlaces,
    /// Why it is not a valid job: its envelope is not accepted, or its body cannot be decoded.
    /// `None` if it has already failed for that reason.
    pub poison: Option<&'static str>,
}

impl Decoded {
    pub fn id(&self) -> &BStr {
        self.id.get(&self.message).into()
    }

    pub fn name(&self) -> &BStr {
        self.name.get(&self.message).into()
    }

    pub fn pipeline(&self) -> Option<&BStr> {
        self.text(self.pipeline.as_ref())
    }

    pub fn trace_id(&self) -> Option<&BStr> {
        self.text(self.trace_id.as_ref())
    }

    pub fn group(&self) -> Option<&BStr> {
        self.text(self.group.as_ref())
    }

    pub fn body(&self) -> &[u8] {
        self.body.get(&self.message)
    }

    /// A second handle on the body's bytes.
    pub fn body_bytes(&self) -> Bytes {
        self.body.bytes(&self.message)
    }

    fn text<'a>(&'a self, part: Option<&'a Part>) -> Option<&'a BStr> {
        part.map(|part| part.get(&self.message).into())
    }

    /// Removes the broker's count from the attempts, for brokers whose count does not mean
    /// attempts. A `babelqueue` envelope has a count of its own.
    pub fn forget_deliveries(&mut self) {
        if self.format != Format::Babelqueue {
            let counted = self.history.delivery_count();
            self.earlier_attempts = self.earlier_attempts.saturating_sub(counted);
        }
    }
}

/// Data other than the body that the other formats need.
pub(super) struct Seen {
    pub delivery_count: u32,
    /// From the header section.
    pub priority: Option<u8>,
    /// `bq-schema-version` or `bq_schema_version`.
    pub schema_version: Option<BString>,
    pub mapping: PropertyMapping,
}
