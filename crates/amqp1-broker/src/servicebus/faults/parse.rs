//! Parses faults: `KIND [name=value …]`.

use super::{Action, Fault, NOW, REQUEST};
use crate::servicebus::facts::condition;
use crate::servicebus::model::errors;

/// Points other than the names of requests.
const POINTS: [&str; 6] = ["attach", "send", "sent", "receive", "settle", "settled"];

/// Requests that faults may name.
const REQUESTS: [&str; 11] = [
    REQUEST,
    "put-token",
    "renew-lock",
    "update-disposition",
    "peek-message",
    "schedule-message",
    "cancel-scheduled-message",
    "receive-by-sequence-number",
    "renew-session-lock",
    "get-session-state",
    "set-session-state",
];

/// A kind of fault: its points (the first is the default), whether requests are points too, and
/// whether it can happen now.
struct Kind {
    name: &'static str,
    points: &'static [&'static str],
    at_requests: bool,
    now: bool,
}

const KINDS: [Kind; 11] = [
    Kind::of("busy", &["send", "attach", "settle"], true, false),
    Kind::of("error", &["send", "attach", "settle"], true, false),
    Kind::of("lose-lock", &["settle", "receive"], true, true),
    Kind::of("detach", &POINTS_SEND_FIRST, true, true),
    Kind::of("close", &POINTS_SEND_FIRST, true, true),
    Kind::of("reset", &POINTS_SEND_FIRST, true, true),
    Kind::of("cut", &["receive"], false, false),
    Kind::of("withhold-credit", &["attach"], false, false),
    Kind::of("delay", &[REQUEST], true, false),
    Kind::of("misroute", &[REQUEST], true, false),
    Kind::of("expire-token", &POINTS_SEND_FIRST, true, true),
];

/// `drop` applies only where an answer is due.
const DROP: Kind = Kind::of("drop", &["send", "sent", "settle", "settled"], true, false);

const POINTS_SEND_FIRST: [&str; 6] = ["send", "attach", "sent", "receive", "settle", "settled"];

impl Kind {
    const fn of(
        name: &'static str,
        points: &'static [&'static str],
        at_requests: bool,
        now: bool,
    ) -> Self {
        Self {
            name,
            points,
            at_requests,
            now,
        }
    }

    fn allows(&self, at: &str) -> bool {
        self.points.contains(&at)
            || (self.at_requests && REQUESTS.contains(&at))
            || (self.now && at == NOW)
    }
}

/// Parses one fault.
pub(super) fn fault(line: &str) -> Result<Fault, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let kind = KINDS.iter().chain([&DROP]).find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().chain([&DROP]).map(|kind| kind.name).collect();
        format!("'{name}' is none of {}", names.join(", "))
    })?;
    let mut fields = Fields::read(rest)?;
    let at = fields
        .take("op")
        .unwrap_or_else(|| kind.points[0].to_owned());
    if !kind.allows(&at) {
        let known = POINTS.contains(&at.as_str()) || REQUESTS.contains(&at.as_str()) || at == NOW;
        return Err(match known {
            true => format!("op: {name} does not happen at '{at}'"),
            false => format!("op: there is no operation '{at}'"),
        });
    }
    let times = match fields.take("times").as_deref() {
        None => Some(1),
        Some("always") => None,
        Some(n) => Some(
            n.parse()
                .ok()
                .filter(|n| *n > 0)
                .ok_or("times: not a number above 0, nor 'always'")?,
        ),
    };
    let after = match fields.take("after") {
        None => 0,
        Some(n) => n.parse().map_err(|_| "after: not a number")?,
    };
    let entity = fields.take("entity").map(|path| path.to_lowercase());
    let action = action(name, &mut fields)?;
    fields.end(name)?;
    Ok(Fault {
        action,
        entity,
        at,
        after,
        times,
    })
}

fn action(name: &str, fields: &mut Fields) -> Result<Action, String> {
    let mut error = |default: Option<&str>| {
        let condition = fields.take("condition");
        let condition = condition.or_else(|| default.map(str::to_owned));
        let condition = condition.ok_or("condition: is missing")?;
        let text = fields.take("description");
        let text = text.unwrap_or_else(|| "A fault that was asked for.".to_owned());
        Ok::<_, String>(errors::error(&condition, text))
    };
    Ok(match name {
        "busy" => Action::Fail(error(Some(condition::SERVER_BUSY))?),
        "error" => Action::Fail(error(None)?),
        "detach" => Action::Detach(error(Some(condition::LINK_DETACH_FORCED))?),
        "close" => Action::Close(error(Some(condition::CONNECTION_FORCED))?),
        "lose-lock" => Action::LoseLock,
        "reset" => Action::Reset,
        "cut" => Action::Cut,
        "withhold-credit" => Action::Withhold(fields.ms()?),
        "delay" => Action::Delay(fields.ms()?),
        "misroute" => Action::Misroute,
        "drop" => Action::Drop,
        _ => Action::ExpireToken,
    })
}

/// The `name=value` pairs of a line. A value with spaces is in double quotes.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(mut text: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        loop {
            text = text.trim_start();
            if text.is_empty() {
                return Ok(Self(fields));
            }
            let (name, rest) = text
                .split_once('=')
                .filter(|(name, _)| !name.contains(char::is_whitespace))
                .ok_or_else(|| format!("'{text}' is not name=value"))?;
            let (value, rest) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            fields.push((name.to_owned(), value.to_owned()));
            text = rest;
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    fn ms(&mut self) -> Result<u64, String> {
        let ms = self.take("ms").ok_or("ms: is missing")?;
        ms.parse().map_err(|_| "ms: not a number".to_owned())
    }

    fn end(&self, kind: &str) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("{kind} has no '{name}'")),
            None => Ok(()),
        }
    }
}
