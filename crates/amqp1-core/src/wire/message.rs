//! The sections of a message (AMQP 1.0 part 3, section 3.2), located but not decoded.

use std::ops::Range;

use bytes::Bytes;

use super::read::{Encoded, Items, Reader, Value};
use super::DecodeError;

/// Section descriptors.
pub mod section {
    /// Header.
    pub const HEADER: u8 = 0x70;
    /// Message annotations.
    pub const MESSAGE_ANNOTATIONS: u8 = 0x72;
    /// Properties.
    pub const PROPERTIES: u8 = 0x73;
    /// Application properties.
    pub const APPLICATION_PROPERTIES: u8 = 0x74;
    /// Body: data.
    pub const DATA: u8 = 0x75;
    /// Body: value.
    pub const VALUE: u8 = 0x77;
}

/// The kind of a message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// One data section (by far the most common), or none at all.
    Data(Range<usize>),
    /// Several data sections, which form one body (3.2.6).
    DataMany(Vec<Range<usize>>),
    /// `amqp-value`: the value's bytes.
    Value(Range<usize>),
    /// `amqp-sequence`: the lists' bytes.
    Sequence(Vec<Range<usize>>),
}

/// The place of a map's last entries.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    at: Range<usize>,
    count: u32,
}

/// A received message: its bytes, and where its sections are.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    header: Range<usize>,
    annotations: Range<usize>,
    properties: Range<usize>,
    application_properties: Range<usize>,
    body: Body,
}

/// The fields of the header section (3.2.1) that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// Survives a broker restart.
    pub durable: bool,
    /// 0–255; 4 when absent.
    pub priority: Option<u8>,
    /// Time to live, milliseconds.
    pub ttl: Option<u32>,
    /// No other receiver was given it before; false if the broker does not say.
    pub first_acquirer: bool,
    /// Unsuccessful deliveries so far.
    pub delivery_count: u32,
}

/// The fields of the properties section (3.2.4) that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Properties<'a> {
    /// message-id: string, ulong, uuid or binary.
    pub message_id: Option<Encoded<'a>>,
    /// subject, as any bytes
    pub subject: Option<&'a [u8]>,
    /// correlation-id
    pub correlation_id: Option<Encoded<'a>>,
    /// content-type, as any bytes
    pub content_type: Option<&'a [u8]>,
    /// absolute-expiry-time, Unix milliseconds
    pub absolute_expiry_time: Option<i64>,
    /// group-id, as any bytes
    pub group_id: Option<&'a [u8]>,
}

impl Message {
    /// A message without any section.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            header: 0..0,
            annotations: 0..0,
            properties: 0..0,
            application_properties: 0..0,
            body: Body::Data(0..0),
            bytes: Bytes::new(),
        }
    }

    /// Locates the sections, without looking inside them.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not a message.
    pub fn parse(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut message = Self::empty();
        let mut data: Vec<Range<usize>> = Vec::new();
        let mut sequence = Vec::new();
        let mut first_data = None;
        let mut reader = Reader::new(&bytes);
        while !reader.rest().is_empty() {
            let code = reader.descriptor()?;
            let start = bytes.len() - reader.rest().len();
            reader.skip()?;
            let range = start..bytes.len() - reader.rest().len();
            match code {
                0x70 => message.header = range,
                0x72 => message.annotations = range,
                0x73 => message.properties = range,
                0x74 => message.application_properties = range,
                0x75 => match first_data {
                    None => first_data = Some(binary(&bytes, range)?),
                    Some(_) => data.push(binary(&bytes, range)?),
                },
                0x76 => sequence.push(range),
                0x77 => message.body = Body::Value(range),
                0x71 | 0x78 => {}
                _ => return Err(DecodeError("an unknown message section")),
            }
        }
        if let Some(first) = first_data {
            message.body = if data.is_empty() {
                Body::Data(first)
            } else {
                data.insert(0, first);
                Body::DataMany(data)
            };
        } else if !sequence.is_empty() {
            message.body = Body::Sequence(sequence);
        }
        message.bytes = bytes;
        Ok(message)
    }

    /// The original bytes of the whole message.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The kind and location of the body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Where these bytes are, if they are part of the message's own.
    #[must_use]
    pub fn range_of(&self, part: &[u8]) -> Option<Range<usize>> {
        let start = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        let end = start.checked_add(part.len())?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    /// The bytes of a range in [`Message::body`].
    #[must_use]
    pub fn slice(&self, range: &Range<usize>) -> Bytes {
        self.bytes.slice(range.clone())
    }

    /// The header's fields; defaults if there is no header.
    ///
    /// # Errors
    /// [`DecodeError`] if it is malformed.
    pub fn header(&self) -> Result<Header, DecodeError> {
        let mut header = Header::default();
        let Some(mut items) = self.list(&self.header)? else {
            return Ok(header);
        };
        let mut index = 0;
        while let Some(item) = items.next_encoded() {
            let item = item?;
            let number = || item.as_uint();
            match index {
                0 => header.durable = item.is_true(),
                1 => header.priority = number().and_then(|n| u8::try_from(n).ok()),
                2 => header.ttl = number().and_then(|n| u32::try_from(n).ok()),
                3 => header.first_acquirer = item.is_true(),
                4 => header.delivery_count = number().unwrap_or(0).min(u64::from(u32::MAX)) as u32,
                _ => {}
            }
            index += 1;
        }
        Ok(header)
    }

    /// The properties' fields; defaults if there are no properties.
    ///
    /// # Errors
    /// [`DecodeError`] if they are malformed.
    pub fn properties(&self) -> Result<Properties<'_>, DecodeError> {
        let mut properties = Properties::default();
        let Some(mut items) = self.list(&self.properties)? else {
            return Ok(properties);
        };
        let mut index = 0;
        while let Some(item) = items.next_encoded() {
            let item = item?;
            if !item.is_null() {
                match index {
                    0 => properties.message_id = Some(item),
                    3 => properties.subject = item.as_octets(),
                    5 => properties.correlation_id = Some(item),
                    6 => properties.content_type = item.as_octets(),
                    8 => properties.absolute_expiry_time = item.as_int(),
                    10 => properties.group_id = item.as_octets(),
                    _ => {}
                }
            }
            index += 1;
        }
        Ok(properties)
    }

    /// The entries of the message annotations.
    ///
    /// # Errors
    /// [`DecodeError`] if they are malformed.
    pub fn annotations(&self) -> Result<Option<Items<'_>>, DecodeError> {
        self.map(&self.annotations)
    }

    /// The entries of the application properties.
    ///
    /// # Errors
    /// [`DecodeError`] if they are malformed.
    pub fn application_properties(&self) -> Result<Option<Items<'_>>, DecodeError> {
        self.map(&self.application_properties)
    }

    /// The entries of the application properties from the first of `rest` on, which were taken from
    /// [`Message::application_properties`].
    #[must_use]
    pub fn resumed(&self, rest: &Rest) -> Items<'_> {
        Items::resumed(
            self.bytes.get(rest.at.clone()).unwrap_or_default(),
            rest.count,
        )
    }

    /// Where the items are that `items` has not read yet.
    #[must_use]
    pub fn rest_of(&self, items: &Items<'_>) -> Rest {
        let (bytes, count) = items.rest();
        match self.range_of(bytes) {
            Some(at) => Rest { at, count },
            None => Rest::default(),
        }
    }

    /// The fields of the properties section in order; `None` if there is none.
    ///
    /// # Errors
    /// [`DecodeError`] if it is malformed.
    pub fn property_items(&self) -> Result<Option<Items<'_>>, DecodeError> {
        self.list(&self.properties)
    }

    /// The original bytes of the body's sections, with descriptors.
    #[must_use]
    pub fn body_sections(&self) -> Vec<&[u8]> {
        let mut sections = Vec::new();
        let mut reader = Reader::new(&self.bytes);
        while !reader.rest().is_empty() {
            let before = reader.rest();
            let (Ok(code), Ok(_)) = (reader.descriptor(), reader.skip()) else {
                break;
            };
            if matches!(code, 0x75..=0x77) {
                sections.push(&before[..before.len() - reader.rest().len()]);
            }
        }
        sections
    }

    fn list(&self, range: &Range<usize>) -> Result<Option<Items<'_>>, DecodeError> {
        if range.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(&self.bytes[range.clone()]);
        if let Some(items) = reader.list() {
            return items.map(Some);
        }
        match reader.value()? {
            Value::List(items) => Ok(Some(items)),
            _ => Err(DecodeError("a section that is not a list")),
        }
    }

    fn map(&self, range: &Range<usize>) -> Result<Option<Items<'_>>, DecodeError> {
        if range.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(&self.bytes[range.clone()]);
        if let Some(items) = reader.map() {
            return items.map(Some);
        }
        match reader.value()? {
            Value::Map(items) => Ok(Some(items)),
            Value::Null => Ok(None),
            _ => Err(DecodeError("a section that is not a map")),
        }
    }
}

/// The content of a data section at `range`, which was checked.
fn binary(bytes: &Bytes, range: Range<usize>) -> Result<Range<usize>, DecodeError> {
    match bytes[range.clone()] {
        [0xa0, ..] => Ok(range.start + 2..range.end),
        [0xb0, ..] => Ok(range.start + 5..range.end),
        _ => Err(DecodeError("a data section that is not binary")),
    }
}
