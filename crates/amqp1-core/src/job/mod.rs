//! A job as its producer gives it, and why it failed.

pub mod failure;

use std::borrow::Cow;
use std::time::Duration;

use crate::error::{Error, Result};

/// The longest id that every broker keeps, in bytes: the least of their limits for a message-id.
const MAX_ID: usize = 128;

/// A header's value: a scalar or a list of scalars.
///
/// Written as an application property with its own AMQP type (`string`,
/// `long`, `double`, `boolean`; the first value of a list), and as text in `rr_headers`.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// A boolean; `true` and `false` as text.
    Bool(bool),
    /// Several values of one name; lists do not nest.
    List(Vec<HeaderValue<'a>>),
}

/// The payload, already bytes.
#[derive(Debug, Clone)]
pub struct Payload<'a> {
    /// What travels as the body, any bytes.
    pub bytes: Cow<'a, [u8]>,
    /// True when the caller gave something other than a string and the bytes are its JSON.
    pub json: bool,
}

/// One job to push. Borrows from the caller as far as it can.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The job's name, `rr_job` and the message's subject; not empty.
    pub name: Cow<'a, str>,
    /// Its payload.
    pub payload: Payload<'a>,
    /// Its options.
    pub options: JobOptions<'a>,
}

impl Job<'_> {
    /// What can be known to be wrong before anything is sent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`].
    pub(crate) fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::config("the job's name must not be empty"));
        }
        if let Some(key) = &self.options.partition_key {
            let group = self.options.group.as_ref();
            if key.len() > MAX_ID {
                return Err(Error::config(format!(
                    "option 'partition_key' must be at most {MAX_ID} bytes long"
                )));
            }
            if group.is_some_and(|group| group != key) {
                return Err(Error::config(
                    "option 'partition_key' must be equal to 'group' if both are set",
                ));
            }
        }
        match &self.options.id {
            Some(id) if id.is_empty() => Err(Error::config("option 'id' must not be empty")),
            Some(id) if id.len() > MAX_ID => Err(Error::config(format!(
                "option 'id' must be at most {MAX_ID} bytes long"
            ))),
            _ => Ok(()),
        }
    }
}

/// What `push()` takes as options. `None` means: as the queue is configured.
#[derive(Debug, Clone, Default)]
pub struct JobOptions<'a> {
    /// AMQP priority, 0–255, higher is delivered first; 4 by default (AMQP 3.2.1).
    pub priority: Option<u8>,
    /// Not to be delivered sooner than this from now.
    pub delay: Option<Duration>,
    /// Headers in the caller's order.
    pub headers: Vec<(Cow<'a, str>, HeaderValue<'a>)>,
    /// Time to live once it can be delivered.
    pub ttl: Option<Duration>,
    /// The job's id; a new UUID by default.
    pub id: Option<Cow<'a, str>>,
    /// Carried as correlation-id.
    pub trace_id: Option<Cow<'a, str>>,
    /// Group (session) id, carried as group-id.
    pub group: Option<Cow<'a, str>>,
    /// Jobs of one key stay together and in order (Service Bus, partitioned entities).
    pub partition_key: Option<Cow<'a, str>>,
    /// Routing key for this one job, instead of the queue's.
    pub routing_key: Option<Cow<'a, str>>,
    /// Whether the message survives a broker restart; true by default.
    pub durable: Option<bool>,
    /// `rr_auto_ack`: settled when it is handed out.
    pub auto_ack: Option<bool>,
    /// How long this push may take; the queue's timeout by default.
    pub timeout: Option<Duration>,
}

impl JobOptions<'_> {
    /// The names of the options, as PHP writes them.
    pub const NAMES: [&'static str; 12] = [
        "priority",
        "delay",
        "headers",
        "ttl",
        "id",
        "trace_id",
        "group",
        "partition_key",
        "routing_key",
        "durable",
        "auto_ack",
        "timeout",
    ];
}
