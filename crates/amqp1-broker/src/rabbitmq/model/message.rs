//! A message as the broker keeps it (AMQP 1.0 section 3.2): a parsed header, and the original bytes
//! of the message annotations and the bare message.
//!
//! The bare message (properties, application properties, body, footer) is immutable and never
//! encoded again. Delivery annotations end here, because they are for the next peer only.

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::messaging::{annotations::OwnedKey, Annotations, Header, MessageAnnotations};
use serde_amqp::{primitives::Symbol, Value};

use crate::wire::{scan, section, transfer::Payload};

/// The priority of a message whose header sets none (section 3.2.1).
const DEFAULT_PRIORITY: u8 = 4;

/// Field indexes in the properties list (section 3.2.4).
const PROPERTY_TO: usize = 2;
const PROPERTY_ABSOLUTE_EXPIRY_TIME: usize = 8;

/// Annotations that delay the first delivery; see [`Message::due`].
const SCHEDULED_ENQUEUE_TIME: &str = "x-opt-scheduled-enqueue-time";
const DELIVERY_TIME: &str = "x-opt-delivery-time";
const DELIVERY_DELAY: &str = "x-opt-delivery-delay";
/// The annotation that RabbitMQ's delayed-message exchange reads, in milliseconds.
const PLUGIN_DELAY: &str = "x-delay";

/// An annotation that RabbitMQ 4.3's quorum queues set.
const ACQUIRED_COUNT: &str = "x-acquired-count";

/// Why a payload is not a message. Answered with `rejected amqp:decode-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undecodable(pub(crate) &'static str);

/// A message. Clones share the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) durable: bool,
    /// 0–255, higher values first.
    pub(crate) priority: u8,
    /// Milliseconds, as in the header.
    pub(crate) ttl: Option<u32>,
    /// `properties.absolute-expiry-time`, Unix milliseconds.
    pub(crate) absolute_expiry: Option<u64>,
    /// The transfer's message-format.
    pub(crate) format: u32,
    /// The encoded section, or empty.
    annotations: Bytes,
    bare: Bytes,
}

impl Message {
    /// Splits a received payload into its sections.
    pub(crate) fn parse(format: u32, payload: &Bytes) -> Result<Self, Undecodable> {
        let mut message = Self {
            durable: false,
            priority: DEFAULT_PRIORITY,
            ttl: None,
            absolute_expiry: None,
            format,
            annotations: Bytes::new(),
            bare: Bytes::new(),
        };
        let (mut at, mut last) = (0, 0);
        let mut kept = None;
        let mut annotations_end = 0;
        while at < payload.len() {
            let code = scan::descriptor(&payload[at..], section::NAMES)
                .filter(|code| (section::HEADER..=section::FOOTER).contains(code))
                .ok_or(Undecodable("a message section has no known descriptor"))?;
            if code < last {
                return Err(Undecodable("the message sections are out of order"));
            }
            last = code;
            let end = match code {
                section::HEADER | section::MESSAGE_ANNOTATIONS | section::PROPERTIES => {
                    scan::check(payload, at)
                }
                _ => scan::skip(payload, at),
            }
            .map_err(|_| Undecodable("a message section is malformed"))?;
            let bytes = &payload[at..end];
            match code {
                section::HEADER => message.set_header(bytes)?,
                section::DELIVERY_ANNOTATIONS => {}
                _ => {
                    kept.get_or_insert(at);
                    if code == section::MESSAGE_ANNOTATIONS {
                        annotations_end = end;
                    }
                }
            }
            at = end;
        }
        let kept = kept.ok_or(Undecodable("the message has no body"))?;
        // Copied into an allocation of its own: a slice would keep the connection's whole read
        // buffer alive.
        let owned = Bytes::copy_from_slice(&payload[kept..]);
        let split = annotations_end.saturating_sub(kept);
        message.annotations = owned.slice(..split);
        message.bare = owned.slice(split..);
        if message.bare.is_empty() {
            return Err(Undecodable("the message has no body"));
        }
        message.absolute_expiry = message
            .property(PROPERTY_ABSOLUTE_EXPIRY_TIME)
            .and_then(integer)
            .and_then(|ms| u64::try_from(ms).ok());
        Ok(message)
    }

    fn set_header(&mut self, encoded: &[u8]) -> Result<(), Undecodable> {
        let header: Header = serde_amqp::from_slice(encoded)
            .map_err(|_| Undecodable("the message header is malformed"))?;
        self.durable = header.durable;
        self.priority = header.priority.0;
        self.ttl = header.ttl;
        Ok(())
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.annotations.len() + self.bare.len()
    }

    fn property(&self, index: usize) -> Option<&[u8]> {
        if scan::descriptor(&self.bare, section::NAMES)? != section::PROPERTIES {
            return None;
        }
        scan::items(&self.bare).nth(index)
    }

    /// `properties.to`.
    pub(crate) fn to(&self) -> Option<&str> {
        scan::text(self.property(PROPERTY_TO)?)
    }

    /// The encoded value of a message annotation.
    fn annotation(&self, name: &str) -> Option<&[u8]> {
        if self.annotations.is_empty() {
            return None;
        }
        let mut items = scan::items(&self.annotations);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if scan::text(key) == Some(name) {
                return Some(value);
            }
        }
        None
    }

    /// The earliest delivery that the message requests, in Unix milliseconds: the latest of message
    /// annotations `x-opt-scheduled-enqueue-time` (Service Bus), `x-opt-delivery-time` (ActiveMQ,
    /// RabbitMQ) and `x-opt-delivery-delay` (ActiveMQ, milliseconds from now). Each is a timestamp
    /// or any integer.
    pub(crate) fn due(&self, now: u64) -> Option<u64> {
        let at = |name| self.annotation(name).and_then(integer).map(unsigned);
        let delay = at(DELIVERY_DELAY).map(|ms| now.saturating_add(ms));
        at(SCHEDULED_ENQUEUE_TIME)
            .max(at(DELIVERY_TIME))
            .max(delay)
            .filter(|due| *due > now)
    }

    /// Applies the delay for RabbitMQ's plugin; false if there is none.
    pub(crate) fn delay_by_plugin(&mut self) -> bool {
        match self
            .annotation(PLUGIN_DELAY)
            .and_then(integer)
            .filter(|ms| *ms > 0)
        {
            Some(ms) => {
                self.annotate([(Symbol::from(DELIVERY_DELAY), Value::Long(ms))]);
                true
            }
            None => false,
        }
    }

    /// Adds message annotations, replacing existing keys.
    pub(crate) fn annotate(&mut self, additions: impl IntoIterator<Item = (Symbol, Value)>) {
        let mut map = if self.annotations.is_empty() {
            Annotations::new()
        } else {
            match serde_amqp::from_slice::<MessageAnnotations>(&self.annotations) {
                Ok(section) => section.0,
                // Unreadable annotations cannot be extended, but the message itself stays
                // deliverable.
                Err(_) => return,
            }
        };
        for (key, value) in additions {
            map.insert(OwnedKey::Symbol(key), value);
        }
        if let Ok(encoded) = serde_amqp::to_vec(&MessageAnnotations(map)) {
            self.annotations = encoded.into();
        }
    }

    /// The message with this delivery's header.
    pub(crate) fn payload(&self, header: DeliveryHeader) -> Payload {
        let annotations = match header.acquired_count {
            0 => self.annotations.clone(),
            count => {
                let mut counted = self.clone();
                counted.annotate([(Symbol::from(ACQUIRED_COUNT), Value::Long(count.into()))]);
                counted.annotations
            }
        };
        Payload::new(header.encode(self), annotations, self.bare.clone())
    }

    /// The body's value if the body is a single amqp-value section.
    pub(crate) fn amqp_value(&self) -> Option<Value> {
        let mut at = 0;
        while at < self.bare.len() {
            let end = scan::skip(&self.bare, at).ok()?;
            if scan::descriptor(&self.bare[at..], section::NAMES)? == section::AMQP_VALUE {
                scan::check(&self.bare, at).ok()?;
                let value_at = scan::skip(&self.bare, at + 1).ok()?;
                return serde_amqp::from_slice(&self.bare[value_at..end]).ok();
            }
            at = end;
        }
        None
    }

    /// The decoded properties section; `None` if absent.
    pub(crate) fn properties(&self) -> Option<fe2o3_amqp_types::messaging::Properties> {
        if scan::descriptor(&self.bare, section::NAMES)? != section::PROPERTIES {
            return None;
        }
        let end = scan::skip(&self.bare, 0).ok()?;
        serde_amqp::from_slice(&self.bare[..end]).ok()
    }
}

/// The parts of a header that differ with each delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeliveryHeader {
    /// Remaining time to live, in milliseconds.
    pub(crate) ttl: Option<u32>,
    /// No other link has acquired the message before.
    pub(crate) first_acquirer: bool,
    /// Unsuccessful deliveries before this one.
    pub(crate) delivery_count: u32,
    /// Deliveries of any kind before this one, sent as an annotation.
    pub(crate) acquired_count: u32,
}

impl DeliveryHeader {
    fn encode(self, message: &Message) -> Bytes {
        let mut out = BytesMut::with_capacity(24);
        out.put_slice(&[0x00, 0x53, 0x70, 0xc0, 0, 5]);
        put_bool(&mut out, message.durable);
        out.put_slice(&[0x50, message.priority]);
        match self.ttl {
            Some(ttl) => put_uint(&mut out, ttl),
            None => out.put_u8(0x40),
        }
        put_bool(&mut out, self.first_acquirer);
        put_uint(&mut out, self.delivery_count);
        out[4] = (out.len() - 5) as u8;
        out.freeze()
    }
}

fn put_bool(out: &mut BytesMut, value: bool) {
    out.put_u8(if value { 0x41 } else { 0x42 });
}

fn put_uint(out: &mut BytesMut, value: u32) {
    out.put_u8(0x70);
    out.put_u32(value);
}

/// Any AMQP integer or timestamp. The bytes must have been checked.
fn integer(encoded: &[u8]) -> Option<i64> {
    match serde_amqp::from_slice(encoded).ok()? {
        Value::Timestamp(v) => Some(v.milliseconds()),
        Value::Long(v) => Some(v),
        Value::Ulong(v) => i64::try_from(v).ok(),
        Value::Int(v) => Some(v.into()),
        Value::Uint(v) => Some(v.into()),
        Value::Short(v) => Some(v.into()),
        Value::Ushort(v) => Some(v.into()),
        Value::Byte(v) => Some(v.into()),
        Value::Ubyte(v) => Some(v.into()),
        _ => None,
    }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The delivery time in the annotations of `modified`, in Unix milliseconds (RabbitMQ 4.3: any
/// integer).
pub(crate) fn redelivery_time(value: &Value) -> Option<u64> {
    serde_amqp::to_vec(value)
        .ok()
        .and_then(|encoded| integer(&encoded))
        .map(unsigned)
}

/// The annotation with which `modified` delays the redelivery (RabbitMQ 4.3).
pub(crate) const REDELIVERY_TIME: &str = DELIVERY_TIME;

#[cfg(test)]
#[path = "message_tests.rs"]
pub(crate) mod tests;
