//! Writes a job's failure into its message, and reads it back.

use super::object::{quoted, Object};
use super::{body, Decoded, Format};
use crate::job::failure::FailureFacts;
use crate::wire::write;

const REASON: &str = "rr_failed_reason";
const ERROR: &str = "rr_failed_error";
const EXCEPTION: &str = "rr_failed_exception";
const QUEUE: &str = "rr_failed_queue";
const AT: &str = "rr_failed_at";
const ATTEMPTS: &str = "rr_failed_attempts";

/// The key of the failure in an envelope's body.
pub(super) const DEAD_LETTER: &str = "dead_letter";

/// The prefix of delay queues' names: a message that expires in one did not fail.
const DELAY_QUEUE: &str = "amqp1.delay.";

/// Writes a failure as application properties; returns the count of keys and values.
pub(super) fn properties(facts: &FailureFacts, out: &mut Vec<u8>) -> u32 {
    write::string(out, REASON);
    write::string(out, &facts.reason);
    write::string(out, ATTEMPTS);
    write::int(out, super::envelope::attempts(facts.attempts));
    let mut count = 4;
    for (name, text) in [
        (QUEUE, &facts.queue),
        (ERROR, &facts.error),
        (EXCEPTION, &facts.exception),
    ] {
        if let Some(text) = text {
            write::string(out, name);
            write::string(out, text);
            count += 2;
        }
    }
    if let Some(at) = facts.failed_at {
        write::string(out, AT);
        write::long(out, at);
        count += 2;
    }
    count
}

/// A failure as the object `dead_letter` of an envelope, in BabelQueue's terms.
pub(super) fn json(facts: &FailureFacts) -> String {
    let reason = match facts.reason.as_str() {
        "poison" | "unknown_urn" => &facts.reason,
        "unknown" => "unknown_urn",
        _ => "failed",
    };
    let text = |text: &Option<String>| match text {
        Some(text) => quoted(text),
        None => "null".to_owned(),
    };
    format!(
        r#"{{"reason":{},"error":{},"exception":{},"failed_at":{},"original_queue":{},"attempts":{},"lang":"php"}}"#,
        quoted(reason),
        text(&facts.error),
        text(&facts.exception),
        facts
            .failed_at
            .unwrap_or_else(crate::base::clock::now_millis),
        text(&facts.queue),
        facts.attempts,
    )
}

fn from_json(json: &Object<'_>) -> Option<FailureFacts> {
    let text = |key: &str| json.text(key).map(|text| text.into_owned());
    Some(FailureFacts {
        reason: match text("reason")?.as_str() {
            "unknown_urn" => "unknown".to_owned(),
            reason => reason.to_owned(),
        },
        error: text("error"),
        exception: text("exception"),
        queue: text("original_queue"),
        attempts: number(json.integer("attempts")),
        failed_at: json.integer("failed_at"),
    })
}

fn number(attempts: Option<i64>) -> u32 {
    attempts.map_or(0, |attempts| {
        u32::try_from(attempts).unwrap_or(if attempts < 0 { 0 } else { u32::MAX })
    })
}

/// Why the job failed: as this client, the envelope or the dead-lettering broker states it. `None`
/// for a job that did not fail.
pub(crate) fn failure(decoded: &Decoded) -> Option<FailureFacts> {
    of_properties(decoded)
        .or_else(|| of_envelope(decoded))
        .or_else(|| of_broker(decoded))
}

fn of_properties(decoded: &Decoded) -> Option<FailureFacts> {
    let mut items = decoded.message.application_properties().ok()??;
    let mut facts = FailureFacts::default();
    let mut has_reason = false;
    while let Ok(Some((key, value))) = items.entry() {
        let text = || body::text(value).to_string();
        match key.as_text() {
            Some(REASON | "DeadLetterReason") => {
                has_reason = true;
                facts.reason = text();
            }
            Some(ERROR | "DeadLetterErrorDescription") => facts.error = Some(text()),
            Some(EXCEPTION) => facts.exception = Some(text()),
            Some(QUEUE) => facts.queue = Some(text()),
            Some(AT) => facts.failed_at = value.as_int(),
            Some(ATTEMPTS) => facts.attempts = number(value.as_int()),
            _ => {}
        }
    }
    if facts.attempts == 0 {
        facts.attempts = decoded.earlier_attempts;
    }
    has_reason.then_some(facts)
}

fn of_envelope(decoded: &Decoded) -> Option<FailureFacts> {
    let whole = body::bytes(&decoded.message).ok()?;
    let envelope = match decoded.format {
        Format::Babelqueue | Format::Amqp1 => Object::parse(&whole)?,
        _ => return None,
    };
    let header = match decoded.format {
        Format::Amqp1 => envelope.object("header")?,
        _ => envelope.clone(),
    };
    let dead_letter = header.object(DEAD_LETTER)?;
    from_json(&dead_letter)
}

/// RabbitMQ's annotations of messages that it dead-lettered itself.
fn of_broker(decoded: &Decoded) -> Option<FailureFacts> {
    let mut items = decoded.message.annotations().ok()??;
    let (mut queue, mut reason) = (None, None);
    while let Ok(Some((key, value))) = items.entry() {
        match key.as_text() {
            Some("x-last-death-queue") => queue = value.as_text(),
            Some("x-last-death-reason") => reason = value.as_text(),
            Some("x-opt-deadletter-source") => {
                queue = queue.or(value.as_text());
                reason = reason.or(Some("failed"));
            }
            _ => {}
        }
    }
    let queue = queue.filter(|queue| !queue.starts_with(DELAY_QUEUE))?;
    Some(FailureFacts {
        reason: reason?.to_owned(),
        queue: Some(queue.to_owned()),
        attempts: decoded.earlier_attempts,
        ..FailureFacts::default()
    })
}
