//! A message as Service Bus keeps it: the sections that the service needs are decoded, the others
//! stay as the original bytes.

use bytes::{BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::messaging::{Header, MessageId, Properties};
use serde_amqp::primitives::{OrderedMap, Symbol, Uuid};
use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::token::LockToken;
use crate::servicebus::facts::{self, annotation};
use crate::wire::scan;
use crate::wire::section;
use crate::wire::transfer::Payload;

/// A message. Clones share the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) durable: bool,
    pub(crate) priority: u8,
    /// Milliseconds.
    pub(crate) ttl: Option<u32>,
    pub(crate) properties: Properties,
    /// Without those that only the service may set.
    annotations: OrderedMap<Value, Value>,
    /// The encoded application-properties section, or empty.
    application: Bytes,
    /// Body and footer, encoded.
    body: Bytes,
}

/// Why a payload is not a valid message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undecodable(pub(crate) &'static str);

/// The data that the broker adds to one delivery.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamp {
    pub(crate) delivery_count: u32,
    pub(crate) annotations: Vec<(&'static str, Value)>,
    /// The lock of a message in an answer, which has no delivery-tag to carry it.
    pub(crate) lock: Option<LockToken>,
}

impl Message {
    /// The messages of a transfer: one, or those of a batch.
    pub(crate) fn parse_all(format: u32, payload: &Bytes) -> Result<Vec<Self>, Undecodable> {
        if format != facts::BATCH_FORMAT {
            return Self::parse(payload).map(|message| vec![message]);
        }
        let mut messages = Vec::new();
        for (code, bytes) in sections(payload)? {
            if code == section::DATA {
                messages.push(Self::parse(&data(bytes)?)?);
            }
        }
        if messages.is_empty() {
            return Err(Undecodable("the batch has no message"));
        }
        Ok(messages)
    }

    /// Parses one encoded message.
    pub(crate) fn parse(payload: &Bytes) -> Result<Self, Undecodable> {
        let mut message = Self {
            durable: false,
            priority: 4,
            ttl: None,
            properties: Properties::default(),
            annotations: OrderedMap::new(),
            application: Bytes::new(),
            body: Bytes::new(),
        };
        let mut body = BytesMut::new();
        for (code, bytes) in sections(payload)? {
            match code {
                section::HEADER => {
                    let header: Header = decode(bytes)?;
                    message.durable = header.durable;
                    message.priority = header.priority.0;
                    message.ttl = header.ttl;
                }
                section::DELIVERY_ANNOTATIONS => {}
                section::MESSAGE_ANNOTATIONS => {
                    let mut items = scan::items(bytes);
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        let is_own =
                            scan::text(key).is_some_and(|key| annotation::OWN.contains(&key));
                        if !is_own {
                            message.annotations.insert(decode(key)?, decode(value)?);
                        }
                    }
                }
                section::PROPERTIES => message.properties = decode(bytes)?,
                section::APPLICATION_PROPERTIES => {
                    message.application = Bytes::copy_from_slice(bytes);
                }
                _ => body.extend_from_slice(bytes),
            }
        }
        // Copied into an allocation of its own: a slice would keep the whole read buffer alive.
        message.body = body.freeze();
        Ok(message)
    }

    /// Limits its time to live, in milliseconds.
    pub(crate) fn live_at_most(&mut self, longest: u64) {
        if let Ok(longest) = u32::try_from(longest) {
            self.ttl = Some(self.ttl.map_or(longest, |ttl| ttl.min(longest)));
        }
    }

    /// Bytes that count towards its entity's size.
    pub(crate) fn size(&self) -> u64 {
        (self.application.len() + self.body.len()) as u64
    }

    /// The message-id as text. Other types are formatted as the SDKs do.
    pub(crate) fn id(&self) -> Option<String> {
        self.properties.message_id.as_ref().map(id_text)
    }

    /// Assigns a message-id if the sender set none, as the service does.
    pub(crate) fn assign_id(&mut self) {
        let token = super::token::LockToken::random();
        let id = token.0.iter().map(|b| format!("{b:02x}")).collect();
        self.properties.message_id = Some(MessageId::String(id));
    }

    /// The session that it belongs to.
    pub(crate) fn session_id(&self) -> Option<&str> {
        self.properties.group_id.as_deref()
    }

    /// When it is to be enqueued, in Unix milliseconds.
    pub(crate) fn scheduled(&self) -> Option<u64> {
        let key = Value::Symbol(Symbol::from(annotation::SCHEDULED_ENQUEUE_TIME));
        match self.annotations.get(&key)? {
            Value::Timestamp(at) => u64::try_from(at.milliseconds()).ok(),
            Value::Long(at) => u64::try_from(*at).ok(),
            _ => None,
        }
    }

    /// The application properties, in order, without unreadable ones.
    pub(crate) fn application(&self) -> Vec<(String, Value)> {
        let mut entries = Vec::new();
        let mut items = scan::items(&self.application);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if let (Some(key), Ok(value)) = (scan::text(key), decode(value)) {
                entries.push((key.to_owned(), value));
            }
        }
        entries
    }

    /// The size of the largest application property, and of all of them, in bytes.
    pub(crate) fn application_sizes(&self) -> (usize, usize) {
        let mut items = scan::items(&self.application);
        let mut longest = 0;
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            longest = longest.max(key.len() + value.len());
        }
        (longest, self.application.len())
    }

    /// The body's value if the body is a single amqp-value section.
    pub(crate) fn amqp_value(&self) -> Option<Value> {
        let (_, section) = *sections(&self.body)
            .ok()?
            .iter()
            .find(|(code, _)| *code == section::AMQP_VALUE)?;
        let at = scan::skip(section, 1).ok()?;
        decode(&section[at..]).ok()
    }

    /// The body as text: data, or a string as its value.
    pub(crate) fn text(&self) -> Option<String> {
        if let Some(Value::String(text)) = self.amqp_value() {
            return Some(text);
        }
        let mut octets = Vec::new();
        for (code, section) in sections(&self.body).ok()? {
            if code == section::DATA {
                octets.extend_from_slice(&data(section).ok()?);
            }
        }
        // The SDK for JavaScript sends a string as JSON.
        let json = serde_json::from_slice(&octets);
        json.or_else(|_| String::from_utf8(octets)).ok()
    }

    /// Sets application properties, replacing existing ones.
    pub(crate) fn set_application(&mut self, additions: impl IntoIterator<Item = (String, Value)>) {
        let mut map: OrderedMap<Value, Value> = OrderedMap::new();
        for (key, value) in self.application() {
            map.insert(Value::String(key), value);
        }
        for (key, value) in additions {
            map.insert(Value::String(key), value);
        }
        self.application = described(section::APPLICATION_PROPERTIES, &Value::Map(map)).into();
    }

    /// Sets one application property, or removes it.
    pub(crate) fn change_application(&mut self, name: &str, value: Option<Value>) {
        let mut map: OrderedMap<Value, Value> = OrderedMap::new();
        for (key, known) in self.application() {
            if key != name {
                map.insert(Value::String(key), known);
            }
        }
        if let Some(value) = value {
            map.insert(Value::from(name), value);
        }
        self.application = described(section::APPLICATION_PROPERTIES, &Value::Map(map)).into();
    }

    /// Sets one message annotation.
    pub(crate) fn annotate(&mut self, name: &str, value: Value) {
        self.annotations
            .insert(Value::Symbol(Symbol::from(name)), value);
    }

    /// The message as it is sent.
    pub(crate) fn payload(&self, stamp: &Stamp) -> Payload {
        let header = self.header(stamp.delivery_count);
        let mut annotations = self.annotations.clone();
        for (name, value) in &stamp.annotations {
            annotations.insert(Value::Symbol(Symbol::from(*name)), value.clone());
        }
        let mut annotations = described(section::MESSAGE_ANNOTATIONS, &Value::Map(annotations));
        if let Some(lock) = stamp.lock {
            let mut of_delivery: OrderedMap<Value, Value> = OrderedMap::new();
            let lock = Value::Uuid(Uuid::from(lock.0));
            of_delivery.insert(Value::Symbol(Symbol::from(facts::LOCK_TOKEN)), lock);
            let of_delivery = Value::Map(of_delivery);
            let first = described(section::DELIVERY_ANNOTATIONS, &of_delivery);
            annotations.splice(..0, first);
        }
        let mut bare = BytesMut::new();
        if let Ok(properties) = serde_amqp::to_vec(&self.properties) {
            bare.put_slice(&properties);
        }
        bare.put_slice(&self.application);
        bare.put_slice(&self.body);
        Payload::new(header, annotations.into(), bare.freeze())
    }

    /// The message as a single byte string, for answers of `$management`.
    pub(crate) fn encoded(&self, stamp: &Stamp) -> Vec<u8> {
        let mut payload = self.payload(stamp);
        let mut out = BytesMut::with_capacity(payload.remaining());
        payload.take(usize::MAX, &mut out);
        out.to_vec()
    }

    /// Encoded by hand with every field, because Python's SDK reads no count if a 0 is omitted.
    fn header(&self, delivery_count: u32) -> Bytes {
        let mut out = BytesMut::with_capacity(24);
        out.put_slice(&[0x00, 0x53, 0x70, 0xc0, 0, 5]);
        out.put_u8(boolean(self.durable));
        out.put_slice(&[0x50, self.priority]);
        match self.ttl {
            Some(ttl) => {
                out.put_u8(0x70);
                out.put_u32(ttl);
            }
            None => out.put_u8(0x40),
        }
        out.put_u8(boolean(delivery_count == 0));
        out.put_u8(0x70);
        out.put_u32(delivery_count);
        out[4] = (out.len() - 5) as u8;
        out.freeze()
    }
}

fn boolean(value: bool) -> u8 {
    if value {
        0x41
    } else {
        0x42
    }
}

/// The text of an id.
pub(crate) fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::String(text) => text.clone(),
        MessageId::Ulong(number) => number.to_string(),
        MessageId::Uuid(uuid) => format!("{uuid:x}"),
        MessageId::Binary(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    }
}

/// An encoded described value: descriptor code and value.
fn described(code: u64, value: &Value) -> Vec<u8> {
    let mut out = vec![0x00, 0x53, code as u8];
    if let Ok(encoded) = serde_amqp::to_vec(value) {
        out.extend_from_slice(&encoded);
    }
    out
}

fn decode<'de, T: serde::Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Undecodable> {
    serde_amqp::from_slice(bytes).map_err(|_| Undecodable("a message section is malformed"))
}

/// The sections of a payload, each with its descriptor code. All are checked.
fn sections(payload: &Bytes) -> Result<Vec<(u64, &[u8])>, Undecodable> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let code = scan::descriptor(&payload[at..], section::NAMES)
            .filter(|code| (section::HEADER..=section::FOOTER).contains(code))
            .ok_or(Undecodable("a message section has no known descriptor"))?;
        let end =
            scan::check(payload, at).map_err(|_| Undecodable("a message section is malformed"))?;
        found.push((code, &payload[at..end]));
        at = end;
    }
    Ok(found)
}

/// The bytes in a data section.
fn data(section: &[u8]) -> Result<Bytes, Undecodable> {
    let at = scan::skip(section, 1).map_err(|_| Undecodable("a data section is malformed"))?;
    let bytes: ByteBuf = decode(&section[at..])?;
    Ok(bytes.into_vec().into())
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(crate) mod tests;
