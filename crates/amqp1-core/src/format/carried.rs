//! What a message carries beside its job: AMQP properties and message annotations. Read from the
//! message whenever they are asked for, because most jobs' are not.

use bstr::BString;

use super::body::{self, Plain};
use super::{history, Decoded};
use crate::job::properties::MessageId;
use crate::wire::read::Value;

/// The places of properties in their section (AMQP 1.0 part 3, section 3.2.4).
pub(crate) const MESSAGE_ID: usize = 0;
pub(crate) const USER_ID: usize = 1;
pub(crate) const TO: usize = 2;
pub(crate) const SUBJECT: usize = 3;
pub(crate) const REPLY_TO: usize = 4;
pub(crate) const CORRELATION_ID: usize = 5;
pub(crate) const CONTENT_TYPE: usize = 6;
pub(crate) const CONTENT_ENCODING: usize = 7;
pub(crate) const CREATION_TIME: usize = 9;
pub(crate) const GROUP_SEQUENCE: usize = 11;
pub(crate) const REPLY_TO_GROUP: usize = 12;

/// The properties' names in PHP, in the order of their section.
const NAMES: [&str; 13] = [
    "message_id",
    "user_id",
    "to",
    "subject",
    "reply_to",
    "correlation_id",
    "content_type",
    "content_encoding",
    "absolute_expiry_time",
    "creation_time",
    "group_id",
    "group_sequence",
    "reply_to_group_id",
];

/// When a broker got the message: Service Bus, and RabbitMQ with its interceptor for timestamps.
const ENQUEUED: [&str; 2] = ["x-opt-enqueued-time", "x-opt-rabbitmq-received-time"];

/// The broker's number of a message.
const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";

/// The routing key that the message came with: RabbitMQ's annotation, and the `amqp1` format's
/// application property.
const ROUTING_KEY: &str = "x-routing-key";

/// A property or an annotation.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// A timestamp: Unix milliseconds.
    Time(i64),
    /// Any other value.
    Plain(Plain),
}

impl Carried {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Timestamp(at) => Carried::Time(at),
            // A value that is nested too deeply has no counterpart in PHP.
            value => Carried::Plain(body::plain_of(value).unwrap_or(Plain::Null)),
        }
    }
}

impl Decoded {
    /// The property at this place; `None` if it is not set.
    pub fn property(&self, place: usize) -> Option<Value<'_>> {
        let mut items = self.message.property_items().ok()??;
        let value = items.nth(place)?.ok()?;
        (value != Value::Null).then_some(value)
    }

    /// A message-id or correlation-id with its type.
    pub fn message_id(&self, place: usize) -> Option<MessageId> {
        Some(match self.property(place)? {
            Value::Binary(id) => MessageId::Binary(id.to_vec()),
            Value::Uuid(id) => MessageId::Uuid(id),
            Value::Unsigned(id) => MessageId::Number(id),
            value => MessageId::Text(body::text(value).to_string()),
        })
    }

    /// A property as text, or as the bytes of a binary.
    pub fn property_text(&self, place: usize) -> Option<BString> {
        self.property(place).map(body::text)
    }

    /// All properties that are set, with their names.
    pub fn properties(&self) -> Vec<(&'static str, Carried)> {
        let items = self.message.property_items().ok().flatten();
        let values = items.into_iter().flatten().map_while(Result::ok);
        let named = NAMES.into_iter().zip(values);
        let set = named.filter(|(_, value)| *value != Value::Null);
        set.map(|(name, value)| (name, Carried::of(value)))
            .collect()
    }

    /// All message annotations in order.
    pub fn annotations(&self) -> Vec<(BString, Carried)> {
        let mut all = Vec::new();
        if let Ok(Some(mut items)) = self.message.annotations() {
            while let Ok(Some((key, value))) = items.entry() {
                all.push((body::text(key), Carried::of(value)));
            }
        }
        all
    }

    /// A message annotation; `None` if there is none with this name.
    pub fn annotation(&self, name: &str) -> Option<Value<'_>> {
        let mut items = self.message.annotations().ok()??;
        while let Some((key, value)) = items.named().ok()? {
            if key == Some(name.as_bytes()) {
                return Some(value.value());
            }
        }
        None
    }

    /// An application property as text; `None` if there is none with this name.
    fn application_property(&self, name: &str) -> Option<BString> {
        let mut items = self.message.application_properties().ok()??;
        while let Some((key, value)) = items.named().ok()? {
            if key == Some(name.as_bytes()) {
                return Some(body::text(value.value()));
            }
        }
        None
    }

    /// The routing key with which it came to its queue.
    pub fn routing_key(&self) -> Option<BString> {
        let annotation = self.annotation(ROUTING_KEY).map(body::text);
        annotation.or_else(|| self.application_property(ROUTING_KEY))
    }

    /// Why it was released, if a reason was given then.
    pub fn release_reason(&self) -> Option<BString> {
        let annotation = self.annotation(history::RELEASED).map(body::text);
        annotation.or_else(|| self.application_property(history::RELEASED_PROPERTY))
    }

    /// The broker's number of the message (Service Bus).
    pub fn sequence_number(&self) -> Option<i64> {
        self.annotation(SEQUENCE_NUMBER)?.as_int()
    }

    /// When its producer made it, in Unix milliseconds.
    pub fn created_at(&self) -> Option<i64> {
        self.property(CREATION_TIME)?.as_int()
    }

    /// When its broker got it, in Unix milliseconds.
    pub fn enqueued_at(&self) -> Option<i64> {
        let mut values = ENQUEUED.iter().filter_map(|name| self.annotation(name));
        values.find_map(|value| value.as_int())
    }

    /// When it expires, in Unix milliseconds: its own absolute-expiry-time, or else what its
    /// creation time, delay and TTL amount to.
    pub fn expiry(&self) -> Option<i64> {
        let by_ttl = || {
            let ttl = i64::from(self.message.header().ok()?.ttl?);
            let delay = (self.delay * 1000.0) as i64;
            Some(self.created_at()?.saturating_add(delay).saturating_add(ttl))
        };
        self.expires_at.or_else(by_ttl)
    }

    /// Its place in its group.
    pub fn group_sequence(&self) -> Option<u64> {
        self.property(GROUP_SEQUENCE)?.as_uint()
    }

    /// Whether its body may not be what its content-type says, because it is compressed, for
    /// example. Encodings of text and those that change nothing are not meant.
    pub fn has_encoded_body(&self) -> bool {
        const PLAIN: [&str; 8] = [
            "utf-8", "utf8", "us-ascii", "ascii", "identity", "7bit", "8bit", "binary",
        ];
        let encoding = self.property_text(CONTENT_ENCODING).unwrap_or_default();
        let encoding = encoding.trim_ascii();
        !encoding.is_empty()
            && !PLAIN
                .iter()
                .any(|plain| encoding.eq_ignore_ascii_case(plain.as_bytes()))
    }
}
