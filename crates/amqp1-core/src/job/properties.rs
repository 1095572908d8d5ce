//! The AMQP properties and annotations that a job sets itself.

use std::borrow::Cow;

use super::HeaderValue;
use crate::error::{Error, Result};

/// The longest content-type and content-encoding that an AMQP 0-9-1 client can read, in bytes.
const MAX_SYMBOL: usize = 255;

/// The properties of a message that its job, or its queue, sets. `None` leaves the format's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobProperties<'a> {
    /// content-type, a symbol.
    pub content_type: Option<Cow<'a, str>>,
    /// content-encoding, a symbol.
    pub content_encoding: Option<Cow<'a, str>>,
    /// reply-to.
    pub reply_to: Option<Cow<'a, str>>,
    /// to, which does not affect the route.
    pub to: Option<Cow<'a, str>>,
    /// subject.
    pub subject: Option<Cow<'a, str>>,
    /// user-id, a binary.
    pub user_id: Option<Cow<'a, str>>,
    /// Message annotations in the caller's order.
    pub annotations: Vec<(Cow<'a, str>, HeaderValue<'a>)>,
    /// correlation-id instead of the job's, set by requests and replies.
    pub(crate) correlation: Option<MessageId>,
    /// reply-to-group-id, set by requests.
    pub(crate) reply_to_group: Option<Cow<'a, str>>,
}

/// A message-id of one of AMQP's four types (3.2.11 to 3.2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessageId {
    Text(String),
    Binary(Vec<u8>),
    Uuid([u8; 16]),
    Number(u64),
}

static NONE: JobProperties<'static> = JobProperties {
    content_type: None,
    content_encoding: None,
    reply_to: None,
    to: None,
    subject: None,
    user_id: None,
    annotations: Vec::new(),
    correlation: None,
    reply_to_group: None,
};

impl<'a> JobProperties<'a> {
    /// Sets nothing.
    pub(crate) const NONE: &'static JobProperties<'static> = &NONE;

    /// A job's own properties, and the queue's for those that it does not set.
    pub(crate) fn with_defaults(
        own: Option<&'a Self>,
        defaults: Option<&'a Self>,
    ) -> Cow<'a, JobProperties<'a>> {
        fn either<'a>(
            own: Option<&'a Cow<'a, str>>,
            default: Option<&'a Cow<'a, str>>,
        ) -> Option<Cow<'a, str>> {
            own.or(default).map(|text| Cow::Borrowed(&**text))
        }
        let (own, defaults) = match (own, defaults) {
            (None, None) => return Cow::Borrowed(Self::NONE),
            (Some(only), None) | (None, Some(only)) => return Cow::Borrowed(only),
            (Some(own), Some(defaults)) => (own, defaults),
        };
        Cow::Owned(JobProperties {
            content_type: either(own.content_type.as_ref(), defaults.content_type.as_ref()),
            content_encoding: either(
                own.content_encoding.as_ref(),
                defaults.content_encoding.as_ref(),
            ),
            reply_to: either(own.reply_to.as_ref(), defaults.reply_to.as_ref()),
            to: either(own.to.as_ref(), defaults.to.as_ref()),
            subject: either(own.subject.as_ref(), defaults.subject.as_ref()),
            user_id: either(own.user_id.as_ref(), defaults.user_id.as_ref()),
            annotations: own.annotations.clone(),
            correlation: own.correlation.clone(),
            reply_to_group: own.reply_to_group.clone(),
        })
    }

    /// Checks the texts that AMQP encodes as symbols.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] that names the option.
    pub(crate) fn check(&self) -> Result<()> {
        for (option, text) in [
            ("content_type", &self.content_type),
            ("content_encoding", &self.content_encoding),
        ] {
            let Some(text) = text else { continue };
            let is_symbol = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !is_symbol || text.len() > MAX_SYMBOL {
                return Err(Error::config(format!(
                    "option '{option}' must be printable ASCII of at most {MAX_SYMBOL} bytes"
                )));
            }
        }
        Ok(())
    }
}
