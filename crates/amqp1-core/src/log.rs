//! What is logged: the events of connections, as messages with a level and a context.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use serde_json::{json, Map, Value};

use crate::base::clock::since_1970;
use crate::base::events::{Event, EventKind};

/// The levels of PSR-3, the least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For developers.
    Debug,
    /// Normal.
    Info,
    /// Normal, but worth a note.
    Notice,
    /// Something to watch: it was repaired, or is being repaired.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 5] = [
        Level::Debug,
        Level::Info,
        Level::Notice,
        Level::Warning,
        Level::Error,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The level with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// A message for a log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Its level.
    pub level: Level,
    /// The text, with the names of values in braces, as in PSR-3.
    pub message: &'static str,
    /// The values by name: text, numbers.
    pub context: Map<String, Value>,
    /// When: Unix time.
    pub at: Duration,
}

impl LogEntry {
    /// The message that an observer has thrown.
    #[must_use]
    pub fn observer_has_thrown(error: &str) -> Self {
        let mut context = Map::new();
        context.insert("error".to_owned(), json!(error));
        Self {
            level: Level::Error,
            message: "{error}",
            context,
            at: since_1970(),
        }
    }

    /// The message about an event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let (level, message) = described(event);
        let mut context = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                context.insert(name.to_owned(), value);
            }
        };
        add("event", Some(json!(event.kind.as_str())));
        add("endpoint", Some(json!(event.endpoint)));
        add("host", event.host.as_ref().map(|host| json!(host)));
        let role = event.role.filter(|role| !role.is_empty());
        add("role", role.map(|role| json!(role)));
        add("container_id", event.container.as_ref().map(|id| json!(id)));
        add("queue", event.queue.as_ref().map(|queue| json!(queue)));
        add("attempt", event.attempt.map(|attempt| json!(attempt)));
        let seconds = event.seconds.map(|time| time.as_millis() as f64 / 1000.0);
        add("seconds", seconds.map(|seconds| json!(seconds)));
        add("count", event.count.map(|count| json!(count)));
        let error = event.error.as_ref();
        add("error", error.map(|error| json!(error.message())));
        add(
            "error_kind",
            error.map(|error| json!(error.kind().as_str())),
        );
        Self {
            level,
            message,
            context,
            at: event.at,
        }
    }

    /// The message with its values.
    #[must_use]
    pub fn text(&self) -> String {
        let (mut text, mut rest) = (String::new(), self.message);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            text += before;
            match self.context.get(name) {
                Some(Value::String(value)) => text += value,
                Some(value) => text += &value.to_string(),
                None => {}
            }
            rest = after;
        }
        text + rest
    }

    /// The values, as a JSON object.
    #[must_use]
    pub fn context_json(&self) -> String {
        Value::Object(self.context.clone()).to_string()
    }

    /// One line of JSON.
    #[must_use]
    pub fn line(&self) -> String {
        // In this order, for people who read it.
        let first = [
            ("time", json!(iso_8601(self.at))),
            ("level", json!(self.level.as_str())),
            ("channel", json!("amqp1")),
            ("message", json!(self.text())),
            ("pid", json!(std::process::id())),
        ];
        let first = first.iter().map(|(name, value)| (*name, value));
        let rest = self.context.iter();
        let rest = rest.map(|(name, value)| (name.as_str(), value));
        let fields: Vec<String> = first
            .chain(rest)
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        format!("{{{}}}\n", fields.join(","))
    }

    /// Appends it to a file as a line of JSON, or writes it to `stderr`. It cannot fail: a log that
    /// cannot be written must not affect jobs.
    ///
    /// The file is opened for each line, so that it may be rotated. One write for the line keeps
    /// those of several processes apart.
    pub fn append(&self, target: &str) {
        let line = self.line();
        if target == "stderr" {
            let _ = std::io::stderr().write_all(line.as_bytes());
        } else if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(target) {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// Level and message. A loss is one warning, however many attempts follow; the attempts are for
/// developers, and the end is a notice.
fn described(event: &Event) -> (Level, &'static str) {
    match event.kind {
        EventKind::Dialling if event.error.is_some() => (
            Level::Debug,
            "reconnecting to {endpoint} (for {role}, attempt {attempt}): {error}",
        ),
        EventKind::Dialling => (Level::Debug, "connecting to {endpoint} (for {role})"),
        EventKind::Connected if event.seconds.is_some() => (
            Level::Notice,
            "reconnected to {endpoint} (for {role}) after {seconds} s",
        ),
        EventKind::Connected => (Level::Info, "connected to {endpoint} (for {role})"),
        EventKind::ConnectFailed => (
            Level::Error,
            "cannot connect to {endpoint} (for {role}): {error}",
        ),
        EventKind::Lost => (
            Level::Warning,
            "lost the connection to {endpoint} (for {role}): {error}",
        ),
        EventKind::Blocked => (
            Level::Warning,
            "the broker accepts no jobs for '{queue}' at {endpoint}; a push waits",
        ),
        EventKind::Unblocked => (
            Level::Notice,
            "the broker accepts jobs for '{queue}' at {endpoint} again, after {seconds} s",
        ),
        EventKind::LinkRefused => (
            Level::Error,
            "the broker refused a link for '{queue}' at {endpoint} (for {role}): {error}",
        ),
        EventKind::LinkLost => (
            Level::Warning,
            "the broker ended the link for '{queue}' at {endpoint} (for {role}): {error}",
        ),
        EventKind::TokenRenewed => (Level::Info, "renewed the token for '{queue}' at {endpoint}"),
        EventKind::TokenRefused => (
            Level::Error,
            "the broker refused the token for '{queue}' at {endpoint}: {error}",
        ),
        EventKind::LockRenewed => (
            Level::Debug,
            "renewed {count} locks of '{queue}' at {endpoint}",
        ),
        EventKind::LockLost => (
            Level::Warning,
            "lost a lock of '{queue}' at {endpoint}: the job will be delivered again",
        ),
        EventKind::TakenBack => (
            Level::Warning,
            "the broker took {count} jobs of '{queue}' at {endpoint} back from their worker",
        ),
    }
}

/// `2026-11-28T23:59:59.999Z`.
fn iso_8601(at: Duration) -> String {
    let (days, second) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    // Days since 0000-03-01 in the Gregorian calendar, whose 400 years repeat.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month {
        0..=9 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    format!(
        "{:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:03}Z",
        era * 400 + year + next,
        second / 3600,
        second / 60 % 60,
        second % 60,
        at.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds: u64, millis| iso_8601(Duration::from_millis(seconds * 1000 + millis));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 1), "2000-02-28T23:59:59.001Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_798_761_599, 999), "2026-12-31T23:59:59.999Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_is_json_and_its_message_has_the_values() {
        let event = Event {
            role: Some("push"),
            error: Some(Error::connection("it \"broke\"\n")),
            ..Event::new(EventKind::Lost, "amqp://a,b (at b:5672)")
        };
        let entry = LogEntry::of(&event);
        assert_eq!(entry.level, Level::Warning);
        assert_eq!(
            entry.text(),
            "lost the connection to amqp://a,b (for push): it \"broke\"\n"
        );
        let line = entry.line();
        assert_eq!(line.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(read["host"], "b:5672");
        assert_eq!(read["error_kind"], "connection");
        assert_eq!(read["event"], "lost");
    }
}
