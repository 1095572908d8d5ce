//! Encodes jobs as messages, and decodes them. Names no broker.
//!
//! A queue writes one format, its option `format`. A consumer recognises all formats, message by
//! message, and a copy keeps the format of its original.

pub(crate) mod amqp1;
mod annotations;
pub(crate) mod babelqueue;
pub(crate) mod body;
pub(crate) mod carried;
pub(crate) mod changes;
pub(crate) mod contents;
pub(crate) mod copy;
mod decimal;
mod decode;
mod decoded;
pub(crate) mod envelope;
mod failure;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod headers;
pub(crate) mod history;
mod mapping;
mod names;
mod object;
mod owned;
mod part;
mod raw;
pub(crate) mod roadrunner;

pub use self::carried::Carried;
pub(crate) use self::decode::{decode, undecoded};
pub(crate) use self::decoded::Decoded;
pub use self::decoded::{Format, DEDUCED};
pub(crate) use self::failure::failure;
pub use self::headers::{HeadersOf, ValuesOf};
pub(crate) use self::mapping::PropertyMapping;
use crate::error::Result;
use crate::job::properties::JobProperties;
use crate::job::Job;

impl Decoded {
    /// Headers in order, each with at least one value.
    pub fn headers(&self) -> HeadersOf<'_> {
        let headers = self.headers.get_or_init(|| match self.format {
            Format::Amqp1 => amqp1::headers(&self.message, &self.header_places),
            _ => headers::read(&self.message, &self.header_places),
        });
        HeadersOf::new(headers, &self.message)
    }

    /// Copies of the headers, to compare.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn all_headers(&self) -> AllHeaders {
        let owned = |values: ValuesOf<'_>| values.iter().map(ToOwned::to_owned).collect();
        let headers = self.headers();
        headers
            .iter()
            .map(|(name, values)| (name.to_owned(), owned(values)))
            .collect()
    }
}

/// Copied headers: names and values.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) type AllHeaders = Vec<(bstr::BString, Vec<bstr::BString>)>;

/// Checks a job for this format before there is a connection.
///
/// # Errors
/// [`crate::ErrorKind::Serialization`] for a payload that the format cannot carry,
/// [`crate::ErrorKind::Config`] for an invalid id or trace id, and for a property that the format
/// sets itself.
pub(crate) fn check(
    format: Format,
    job: &Job<'_>,
    properties: &JobProperties<'_>,
    id: &str,
) -> Result<()> {
    if !std::ptr::eq(properties, JobProperties::NONE) {
        owned::check(format, job, properties)?;
    }
    match format {
        Format::Babelqueue => babelqueue::check_job(job, id),
        Format::Roadrunner | Format::Amqp1 | Format::Raw => Ok(()),
    }
}

/// Whether messages of this format end with the payload as it is.
pub(crate) fn ends_with_payload(format: Format) -> bool {
    matches!(format, Format::Roadrunner | Format::Raw)
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
