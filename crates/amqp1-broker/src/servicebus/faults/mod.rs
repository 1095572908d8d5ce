//! Fault injection: which fault, at which entity and operation, and how often.

mod parse;

use fe2o3_amqp_types::definitions::Error;

/// A point at which a fault can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point<'a> {
    /// A link is being attached.
    Attach,
    /// A message has arrived and is not stored yet.
    Send,
    /// A message is stored, but not confirmed yet.
    Sent,
    /// A message is about to be sent to a receiver.
    Receive,
    /// A receiver settles a message.
    Settle,
    /// A message is settled, but that is not confirmed yet.
    Settled,
    /// A request with this name has arrived.
    Request(&'a str),
}

/// The effect of a fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// The operation fails with this error, typically `com.microsoft:server-busy`.
    Fail(Error),
    /// The lock of the current message expires, or all locks of the entity.
    LoseLock,
    /// The link is detached.
    Detach(Error),
    /// The connection is closed.
    Close(Error),
    /// The stream ends without a close.
    Reset,
    /// The stream ends in the middle of a transfer.
    Cut,
    /// No credit for this many milliseconds.
    Withhold(u64),
    /// The answer is delayed by this many milliseconds.
    Delay(u64),
    /// The answer has another request's correlation-id.
    Misroute,
    /// There is no answer.
    Drop,
    /// The connection's tokens have expired.
    ExpireToken,
}

/// A fault that waits for its point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) action: Action,
    /// In lower case; `None`: any entity.
    pub(crate) entity: Option<String>,
    /// The name of a point or of a request.
    pub(crate) at: String,
    /// How many operations succeed first.
    after: u32,
    /// How many then fail; `None`: all.
    times: Option<u32>,
}

/// At once, on everything it concerns.
const NOW: &str = "now";
/// Any request.
const REQUEST: &str = "request";

impl Fault {
    fn is_at(&self, point: Point<'_>, entity: &str) -> bool {
        let at = match point {
            Point::Attach => "attach",
            Point::Send => "send",
            Point::Sent => "sent",
            Point::Receive => "receive",
            Point::Settle => "settle",
            Point::Settled => "settled",
            Point::Request(name) => name,
        };
        let is_request = matches!(point, Point::Request(_)) && self.at == REQUEST;
        (self.at == at || is_request) && self.concerns(entity)
    }

    /// Whether the fault concerns this entity.
    pub(crate) fn concerns(&self, entity: &str) -> bool {
        let is_it = |path: &String| path.eq_ignore_ascii_case(entity);
        self.entity.as_ref().is_none_or(is_it)
    }
}

/// The pending faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Adds faults, one per line, and returns those that must happen now. `clear` drops all pending
    /// faults.
    ///
    /// # Errors
    /// A sentence with the invalid line. No fault is added then.
    pub(crate) fn add(&mut self, text: &str) -> Result<Vec<Fault>, String> {
        self.read(text, false)
    }

    /// As [`Faults::add`], but replaces the pending faults.
    pub(crate) fn replace(&mut self, text: &str) -> Result<Vec<Fault>, String> {
        self.read(text, true)
    }

    fn read(&mut self, text: &str, mut clears: bool) -> Result<Vec<Fault>, String> {
        let mut added = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let line = without_comment(line).trim();
            match line {
                "" => {}
                "clear" => {
                    clears = true;
                    added.clear();
                }
                _ => {
                    let fault = parse::fault(line);
                    added.push(fault.map_err(|e| format!("fault {}: {line}: {e}", n + 1))?);
                }
            }
        }
        if clears {
            self.waiting.clear();
        }
        let (now, later) = added.into_iter().partition(|fault| fault.at == NOW);
        self.waiting.extend::<Vec<Fault>>(later);
        Ok(now)
    }

    /// The fault that happens at this point, if any.
    pub(crate) fn take(&mut self, point: Point<'_>, entity: &str) -> Option<Action> {
        let at = self.waiting.iter().position(|f| f.is_at(point, entity))?;
        let fault = self.waiting.get_mut(at)?;
        if let Some(left) = fault.after.checked_sub(1) {
            fault.after = left;
            return None;
        }
        let action = fault.action.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.waiting.remove(at);
            }
        }
        Some(action)
    }

    /// The number of pending faults.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// The line up to a `#` outside quotes.
fn without_comment(line: &str) -> &str {
    let mut is_quoted = false;
    let is_comment = |c: char| {
        is_quoted ^= c == '"';
        c == '#' && !is_quoted
    };
    let end = line.find(is_comment).unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::servicebus::model::errors;

    #[test]
    fn faults_happen_where_and_as_often_as_asked() {
        let mut faults = Faults::default();
        let now =
            faults.add("busy entity=Orders op=send after=1 times=2 # comment\n\nreset op=now\n");
        assert_eq!(now.unwrap()[0].action, Action::Reset);
        assert_eq!(faults.take(Point::Send, "other"), None);
        assert_eq!(faults.take(Point::Attach, "orders"), None);
        assert_eq!(faults.take(Point::Send, "orders"), None, "one goes well");
        for _ in 0..2 {
            let Some(Action::Fail(error)) = faults.take(Point::Send, "ORDERS") else {
                panic!("no fault");
            };
            assert_eq!(errors::name(&error), "com.microsoft:server-busy");
        }
        assert_eq!(faults.take(Point::Send, "orders"), None);
        assert_eq!(faults.len(), 0);
    }

    #[test]
    fn a_comment_begins_outside_of_quotes() {
        let mut faults = Faults::default();
        let text = "error condition=a:b description=\"queue #5 is full\" # comment \"\n# another";
        faults.add(text).unwrap();
        let Some(Action::Fail(error)) = faults.take(Point::Send, "q") else {
            panic!("no fault");
        };
        assert_eq!(error.description.as_deref(), Some("queue #5 is full"));
    }

    #[test]
    fn what_waits_is_replaced_unless_a_line_is_wrong() {
        let mut faults = Faults::default();
        faults.add("busy\nreset").unwrap();
        let error = faults.replace("reset\nbuzy").unwrap_err();
        assert!(error.contains("fault 2"), "{error}");
        assert_eq!(faults.len(), 2);
        faults.replace("close").unwrap();
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn requests_are_named_or_any() {
        let mut faults = Faults::default();
        faults
            .add("misroute op=peek-message\ndelay op=request ms=5 times=always")
            .unwrap();
        let peek = Point::Request("peek-message");
        assert_eq!(faults.take(peek, "q"), Some(Action::Misroute));
        for _ in 0..3 {
            assert_eq!(faults.take(peek, "q"), Some(Action::Delay(5)));
        }
        faults.add("clear").unwrap();
        assert_eq!(faults.take(peek, "q"), None);
    }

    #[test]
    fn a_wrong_line_is_named_and_nothing_is_added() {
        let mut faults = Faults::default();
        for (text, says) in [
            ("buzy", "'buzy'"),
            ("busy\nbusy time=3", "fault 2"),
            ("busy op=sent", "'sent'"),
            ("busy times=0", "times"),
            ("busy times=x", "times"),
            ("delay", "ms"),
            ("busy ms=3", "ms"),
            ("withhold-credit op=send ms=3", "'send'"),
            ("error", "condition"),
            ("busy op=now", "'now'"),
        ] {
            let error = faults.add(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert_eq!(faults.len(), 0);
        }
    }
}
