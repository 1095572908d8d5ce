//! Checks whether ActiveMQ Classic keeps delays.
//!
//! Its `open` offers delayed delivery even if the broker's scheduler is off (`schedulerSupport`,
//! off by default). Then it ignores the annotation and delivers the job at once. The check sends
//! two messages to a temporary queue, the first with a delay. If delays are kept, the second one
//! arrives first.

use std::time::Duration;

use bytes::Bytes;

use super::conversation::Conversation;
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::wire::message::{section, Body};
use crate::wire::read::Reader;
use crate::wire::write;

/// Longer than the second message needs. When the delay ends, the queue no longer exists.
const DELAY: Duration = Duration::from_secs(10);

/// # Errors
/// Unsupported if the delay is ignored; Timeout.
pub(super) fn keeps_delays(connection: &Connection, wait: &Wait<'_>) -> Result<()> {
    let talk = Conversation::open(connection, None, wait)?;
    talk.send_message(message(talk.reply_to(), "late", DELAY))?;
    talk.send_message(message(talk.reply_to(), "soon", Duration::ZERO))?;
    let first = talk.next(wait)?.ok_or_else(|| talk.unanswered())?;
    let is_soon = match first.body() {
        Body::Value(range) => {
            let bytes = first.slice(range);
            let value = Reader::new(&bytes).value();
            value.is_ok_and(|value| value.as_text() == Some("soon"))
        }
        _ => false,
    };
    if is_soon {
        return Ok(());
    }
    Err(Error::unsupported(
        "this broker ignores delays because its scheduler is off; set schedulerSupport=\"true\" in its configuration, or push without 'delay' and set 'backoff' to 0",
    ))
}

fn message(to: &str, text: &str, delay: Duration) -> Bytes {
    let mut out = Vec::with_capacity(128);
    if !delay.is_zero() {
        write::descriptor(&mut out, section::MESSAGE_ANNOTATIONS);
        write::map(&mut out, |out| {
            write::symbol(out, "x-opt-delivery-delay");
            write::long(out, delay.as_millis() as i64);
            2
        });
    }
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        write::null(out);
        write::null(out);
        write::string(out, to);
        3
    });
    write::descriptor(&mut out, section::VALUE);
    write::string(&mut out, text);
    out.into()
}
