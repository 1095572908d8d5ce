//! What the message of a job carries beside it.

use bstr::{BStr, BString};

use super::Delivery;
use crate::format::carried::{
    CONTENT_ENCODING, CONTENT_TYPE, CORRELATION_ID, REPLY_TO, SUBJECT, TO, USER_ID,
};
use crate::format::Carried;

impl Delivery {
    /// All AMQP properties that are set, by their names in PHP.
    pub fn properties(&self) -> Vec<(&'static str, Carried)> {
        self.decoded.properties()
    }

    /// All message annotations in order.
    pub fn annotations(&self) -> Vec<(BString, Carried)> {
        self.decoded.annotations()
    }

    /// content-type
    pub fn content_type(&self) -> Option<BString> {
        self.decoded.property_text(CONTENT_TYPE)
    }

    /// content-encoding
    pub fn content_encoding(&self) -> Option<BString> {
        self.decoded.property_text(CONTENT_ENCODING)
    }

    /// reply-to
    pub fn reply_to(&self) -> Option<BString> {
        self.decoded.property_text(REPLY_TO)
    }

    /// correlation-id
    pub fn correlation_id(&self) -> Option<BString> {
        self.decoded.property_text(CORRELATION_ID)
    }

    /// subject
    pub fn subject(&self) -> Option<BString> {
        self.decoded.property_text(SUBJECT)
    }

    /// to
    pub fn to(&self) -> Option<BString> {
        self.decoded.property_text(TO)
    }

    /// user-id
    pub fn user_id(&self) -> Option<BString> {
        self.decoded.property_text(USER_ID)
    }

    /// group-id, unless it is only the mark of a format.
    pub fn group(&self) -> Option<&BStr> {
        self.decoded.group()
    }

    /// group-sequence
    pub fn group_sequence(&self) -> Option<u64> {
        self.decoded.group_sequence()
    }

    /// The routing key with which it came to its queue, if the broker or the format says.
    pub fn routing_key(&self) -> Option<BString> {
        self.decoded.routing_key()
    }

    /// Why it was released, if a reason was given then.
    pub fn release_reason(&self) -> Option<BString> {
        self.decoded.release_reason()
    }

    /// The broker's number of the message, by which a deferred job is received (Service Bus).
    pub fn sequence_number(&self) -> Option<i64> {
        self.decoded.sequence_number()
    }

    /// When its producer made it, in Unix milliseconds.
    pub fn created_at(&self) -> Option<i64> {
        self.decoded.created_at()
    }

    /// When its broker got it, in Unix milliseconds, if the broker says.
    pub fn enqueued_at(&self) -> Option<i64> {
        self.decoded.enqueued_at()
    }

    /// When it expires, in Unix milliseconds, if it does.
    pub fn expiry(&self) -> Option<i64> {
        self.decoded.expiry()
    }

    /// delivery-count: earlier deliveries that failed, as the broker counts them.
    pub fn delivery_count(&self) -> u32 {
        self.decoded.history.delivery_count()
    }

    /// Whether the broker says that it delivered the message before, to whomever.
    pub fn is_redelivered(&self) -> bool {
        let header = self.decoded.message.header().unwrap_or_default();
        header.delivery_count > 0
            || (self.link.dialect.tells_first_acquirer() && !header.first_acquirer)
    }
}
