//! SQL filters, as far as they are correlation filters written otherwise: `1=1`, `1=0`, and
//! equalities joined by AND.

use crate::servicebus::settings::{Correlation, Rule};

/// Reads an expression; the error says what is not supported.
pub(super) fn rule(expression: &str) -> Result<Rule, String> {
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

/// A text in quotes (two of them are one of its own), a number or a truth value; and what follows.
fn literal(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_simple = value.parse::<f64>().is_ok() || value == "true" || value == "false";
        return is_simple.then(|| (value.to_owned(), rest));
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
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if name.is_empty() || !name.bytes().all(is_name) {
                return None;
            }
            filter.properties.push((name.to_owned(), value));
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
        let is = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(filter.properties, [is("userProp1", "a b"), is("n", "5")]);
        assert_eq!(rule(" 1 = 1 "), Ok(Rule::True));
        assert_eq!(rule("1=0"), Ok(Rule::False));
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
