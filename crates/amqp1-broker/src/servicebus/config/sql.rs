//! SQL filters that a correlation filter can express: `1=1`, `1=0`, and equalities joined by AND.
//! SQL actions that set properties to literals or remove them.

use crate::servicebus::settings::{Change, Correlation, Rule};

/// Names of the system properties.
const SYSTEM: [&str; 9] = [
    "correlationid",
    "messageid",
    "to",
    "replyto",
    "label",
    "subject",
    "sessionid",
    "replytosessionid",
    "contenttype",
];

/// Parses an action. The error says what is not supported.
pub(crate) fn changes(action: &str) -> Result<Vec<Change>, String> {
    let unsupported = || {
        format!("the SQL action \"{action}\" is not supported: only SET NAME = VALUE and REMOVE NAME, with ';' between them")
    };
    let mut changes = Vec::new();
    let mut rest = action.trim();
    while !rest.is_empty() {
        let (verb, after) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(unsupported)?;
        let end = after.find(['=', ';']).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let name = name.trim();
        let is_name = match name.to_ascii_lowercase().strip_prefix("sys.") {
            Some(name) => SYSTEM.contains(&name),
            None => is_name(name.strip_prefix("user.").unwrap_or(name)),
        };
        if !is_name {
            return Err(unsupported());
        }
        let (value, after) = match verb.to_ascii_lowercase().as_str() {
            "set" => {
                let value = after.strip_prefix('=').ok_or_else(unsupported)?;
                let (value, after) = literal(value.trim_start()).ok_or_else(unsupported)?;
                (Some(value), after)
            }
            "remove" => (None, after),
            _ => return Err(unsupported()),
        };
        changes.push(Change {
            property: name.to_owned(),
            value,
        });
        rest = match after.trim_start() {
            "" => "",
            more => more.strip_prefix(';').ok_or_else(unsupported)?.trim_start(),
        };
    }
    Ok(changes)
}

fn is_name(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !name.is_empty() && name.bytes().all(is_letter)
}

/// Parses a filter expression. The error says what is not supported.
pub(crate) fn rule(expression: &str) -> Result<Rule, String> {
    let compact: String = expression.split_whitespace().collect();
    match compact.to_ascii_uppercase().as_str() {
        "1=1" | "TRUE" => return Ok(Rule::True),
        "1=0" | "0=1" | "FALSE" => return Ok(Rule::False),
        _ => {}
    }
    let mut filter = Correlation::default();
    let mut rest = expression.trim();
    loop {
        let unsupported = || {
            format!("the SQL filter \"{expression}\" is not supported: only 1=1, 1=0, and comparisons NAME = VALUE joined by AND")
        };
        let (name, after) = rest.split_once('=').ok_or_else(unsupported)?;
        let (value, after) = literal(after.trim_start()).ok_or_else(unsupported)?;
        set(&mut filter, name.trim(), value).ok_or_else(unsupported)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(Rule::Correlation(Box::new(filter)));
        }
        let joined = rest.get(..3).filter(|and| and.eq_ignore_ascii_case("and"));
        joined.ok_or_else(unsupported)?;
        rest = rest.get(3..).unwrap_or_default();
        if !rest.starts_with(char::is_whitespace) {
            return Err(unsupported());
        }
    }
}

/// Reads a quoted text (two quotes stand for one), a number or a boolean; returns it with the rest
/// of the input.
fn literal(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let is_end = |c: char| c.is_whitespace() || c == ';';
        let end = text.find(is_end).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let lower = value.to_ascii_lowercase();
        if lower == "true" || lower == "false" {
            return Some((lower, rest));
        }
        return value
            .parse::<f64>()
            .is_ok()
            .then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\'' {
            value.push(c);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Some((value, quoted.get(at + 1..)?));
        }
    }
    None
}

fn set(filter: &mut Correlation, name: &str, value: String) -> Option<()> {
    let lower = name.to_ascii_lowercase();
    let field = match lower.strip_prefix("sys.") {
        Some("correlationid") => &mut filter.correlation_id,
        Some("messageid") => &mut filter.message_id,
        Some("to") => &mut filter.to,
        Some("replyto") => &mut filter.reply_to,
        Some("label" | "subject") => &mut filter.subject,
        Some("sessionid") => &mut filter.session_id,
        Some("replytosessionid") => &mut filter.reply_to_session_id,
        Some("contenttype") => &mut filter.content_type,
        Some(_) => return None,
        None => {
            let name = match lower.starts_with("user.") {
                true => name.get(5..)?,
                false => name,
            };
            if !is_name(name) {
                return None;
            }
            filter.properties.push((name.to_owned(), value.into()));
            return Some(());
        }
    };
    *field = Some(value);
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn equalities_are_a_correlation_filter() {
        let Rule::Correlation(filter) =
            rule("sys.MessageId = '12''3' AND userProp1='a b' and n = 5").unwrap()
        else {
            panic!("no correlation filter");
        };
        assert_eq!(filter.message_id.as_deref(), Some("12'3"));
        let is = |n: &str, v: &str| (n.to_owned(), v.into());
        assert_eq!(filter.properties, [is("userProp1", "a b"), is("n", "5")]);
        let Rule::Correlation(filter) = rule("b = TRUE").unwrap() else {
            panic!("no correlation filter");
        };
        assert_eq!(filter.properties, [is("b", "true")]);
        assert_eq!(rule(" 1 = 1 "), Ok(Rule::True));
        assert_eq!(rule("1=0"), Ok(Rule::False));
    }

    #[test]
    fn actions_set_and_remove() {
        let change = |property: &str, value: Option<&str>| Change {
            property: property.into(),
            value: value.map(Into::into),
        };
        assert_eq!(
            changes("SET sys.To = 'Entity'; set n=5;REMOVE user.old").unwrap(),
            [
                change("sys.To", Some("Entity")),
                change("n", Some("5")),
                change("user.old", None)
            ]
        );
        for action in [
            "SET",
            "SET a",
            "SET a = b",
            "SET a = 1 + 1",
            "DELETE a",
            "SET sys.X = '1'",
        ] {
            assert!(
                changes(action).unwrap_err().contains("not supported"),
                "{action}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_not_guessed() {
        for expression in [
            "",
            "a > 5",
            "a >= 5",
            "a = 'x' OR b = 'y'",
            "a = 'x' andb = 'y'",
            "sys.Unknown = 'x'",
            "a LIKE 'x%'",
            "a = 'x",
            "a = b",
            "NOT a = 'x'",
            "a != 'x'",
        ] {
            let error = rule(expression).unwrap_err();
            assert!(error.contains("not supported"), "{expression}: {error}");
        }
    }
}
