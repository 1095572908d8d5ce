//! A job as its producer defines it, and why it failed. Names no broker.

pub mod failure;
pub mod keep;
pub mod properties;

use std::borrow::Cow;
use std::time::Duration;

use self::keep::Keep;
use self::properties::JobProperties;
use crate::error::{Error, Result};

/// The longest id that every broker preserves, in bytes: the lowest of their limits for a
/// message-id.
const MAX_ID: usize = 128;

/// A header's value: a scalar or a list of scalars.
///
/// Encoded as an application property with its own AMQP type (`string`, `long`, `double`,
/// `boolean`; of a list, the first value), and as text in `rr_headers`.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// A boolean, which becomes the text `true` or `false`.
    Bool(bool),
    /// Several values of one header; lists do not nest.
    List(Vec<HeaderValue<'a>>),
}

/// The payload, as bytes.
#[derive(Debug, Clone)]
pub struct Payload<'a> {
    /// The message's body: any bytes.
    pub bytes: Cow<'a, [u8]>,
    /// True if the caller's payload was not a string and `bytes` is its JSON.
    pub json: bool,
    /// If the bytes can stay in the caller's memory: a large payload is then not copied.
    pub keep: Option<&'a dyn Keep>,
}

/// A job to push. Borrows from the caller where possible.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The job's name, in `rr_job` and the message's subject; not empty.
    pub name: Cow<'a, str>,
    /// Its payload.
    pub payload: Payload<'a>,
    /// Its options.
    pub options: JobOptions<'a>,
}

impl Job<'_> {
    /// Checks everything that can be checked before anything is sent.
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
        if let Some(properties) = &self.options.properties {
            properties.check()?;
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

/// The options of `push()`. `None` stands for the queue's setting.
#[derive(Debug, Clone, Default)]
pub struct JobOptions<'a> {
    /// AMQP priority, 0–255, higher first; default 4 (AMQP 3.2.1).
    pub priority: Option<u8>,
    /// The minimum time from now until the delivery.
    pub delay: Option<Duration>,
    /// Headers in the caller's order.
    pub headers: Vec<(Cow<'a, str>, HeaderValue<'a>)>,
    /// Time to live, counted from when the job can be delivered.
    pub ttl: Option<Duration>,
    /// The job's id; default: a new UUID.
    pub id: Option<Cow<'a, str>>,
    /// Carried as correlation-id.
    pub trace_id: Option<Cow<'a, str>>,
    /// Group (session) id, carried as group-id.
    pub group: Option<Cow<'a, str>>,
    /// Jobs with the same key stay together and in order (Service Bus, partitioned entities).
    pub partition_key: Option<Cow<'a, str>>,
    /// Routing key of this job, instead of the queue's.
    pub routing_key: Option<Cow<'a, str>>,
    /// Whether the message survives a broker restart; default true.
    pub durable: Option<bool>,
    /// `rr_auto_ack`: the job is settled when it is handed out.
    pub auto_ack: Option<bool>,
    /// How long this push may take; default: the queue's timeout.
    pub timeout: Option<Duration>,
    /// Properties and annotations that the job sets itself. Most jobs set none.
    pub properties: Option<Box<JobProperties<'a>>>,
}

impl<'a> JobOptions<'a> {
    /// The names of the options in PHP.
    pub const NAMES: [&'static str; 20] = [
        "priority",
        "delay",
        "headers",
        "ttl",
        "id",
        "trace_id",
        "correlation_id",
        "group",
        "partition_key",
        "routing_key",
        "durable",
        "auto_ack",
        "timeout",
        "content_type",
        "content_encoding",
        "reply_to",
        "to",
        "subject",
        "user_id",
        "annotations",
    ];

    /// The properties, to set one.
    pub fn properties_mut(&mut self) -> &mut JobProperties<'a> {
        self.properties.get_or_insert_with(Box::default)
    }
}
