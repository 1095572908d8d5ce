//! `${VARIABLE}` and `${VARIABLE:-default}` in a configuration's strings.

use crate::error::{Error, Result};
use crate::settings::input::Input;

/// Looks up variables. The host defines what its environment is.
pub trait Environment {
    /// The value, in any encoding; `None` if it is not set.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
}

impl<F: Fn(&str) -> Option<Vec<u8>>> Environment for F {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self(name)
    }
}

/// Longer than any valid value, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// The deepest nesting of defaults within defaults.
const MAX_DEPTH: usize = 8;

/// Expands the variables in all strings of a value. Keys stay unchanged.
///
/// An expanded variable is text; options then read `"10"` and `"true"` as a number and a bool.
///
/// # Errors
/// [`crate::ErrorKind::Config`] that names the path and the variable, never a value.
pub(super) fn expand(input: &Input, path: &str, environment: &dyn Environment) -> Result<Input> {
    Ok(match input {
        Input::Text(text) => Input::Text(text_of(text, path, environment)?),
        Input::List(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| expand(item, &format!("{path}[{at}]"), environment));
            Input::List(items.collect::<Result<_>>()?)
        }
        Input::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let value = expand(value, &format!("{path}.{key}"), environment)?;
                Ok((key.clone(), value))
            });
            Input::Map(entries.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

/// Converts texts that came from variables to the numbers and bools they represent. For values
/// without a type of our own, such as queue arguments.
pub(super) fn retype(written: &Input, expanded: Input) -> Input {
    match (written, expanded) {
        (Input::Text(written), Input::Text(text)) if *written != text => typed(text),
        (Input::List(written), Input::List(items)) => Input::List(
            written
                .iter()
                .zip(items)
                .map(|(w, i)| retype(w, i))
                .collect(),
        ),
        (Input::Map(written), Input::Map(entries)) => Input::Map(
            written
                .iter()
                .zip(entries)
                .map(|((_, written), (key, value))| (key, retype(written, value)))
                .collect(),
        ),
        (_, other) => other,
    }
}

fn typed(text: String) -> Input {
    if let Ok(number) = text.parse() {
        return Input::Int(number);
    }
    match text.as_str() {
        "true" => Input::Bool(true),
        "false" => Input::Bool(false),
        _ => Input::Text(text),
    }
}

fn text_of(text: &str, path: &str, environment: &dyn Environment) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    write(&mut out, text, path, environment, 0)?;
    Ok(out)
}

fn write(
    out: &mut String,
    text: &str,
    path: &str,
    environment: &dyn Environment,
    depth: usize,
) -> Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        // "$${" stands for a literal "${".
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some(end) = closing_brace(after) else {
            return Err(Error::config(format!(
                "{path}: '${{' without '}}'; write $${{ for a literal ${{"
            )));
        };
        variable(out, &after[..end], path, environment, depth)?;
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    match out.len() > MAX_TEXT {
        true => Err(Error::config(format!("{path}: too long"))),
        false => Ok(()),
    }
}

/// The closing brace of a variable, whose default may contain variables.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut open, mut last) = (0_usize, b' ');
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if last == b'$' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
        last = byte;
    }
    None
}

fn variable(
    out: &mut String,
    inner: &str,
    path: &str,
    environment: &dyn Environment,
    depth: usize,
) -> Result<()> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !is_name(name) {
        // The message does not repeat the text, which may be part of a password.
        return Err(Error::config(format!(
            "{path}: expected ${{VARIABLE}} or ${{VARIABLE:-default}}; write $${{ for a literal ${{"
        )));
    }
    // As in a shell and in RoadRunner, a default also replaces an empty variable.
    let value = environment.get(name);
    match (value.filter(|v| default.is_none() || !v.is_empty()), default) {
        (Some(value), _) => match String::from_utf8(value) {
            Ok(value) => out.push_str(&value),
            Err(_) => {
                return Err(Error::config(format!(
                    "{path}: the environment variable {name} is not UTF-8 text"
                )))
            }
        },
        (None, Some(_)) if depth == MAX_DEPTH => {
            return Err(Error::config(format!(
                "{path}: ${{{name}:-…}}: defaults are nested too deeply"
            )))
        }
        (None, Some(default)) => write(out, default, path, environment, depth + 1)?,
        (None, None) => {
            return Err(Error::config(format!(
                "{path}: the environment variable {name} is not set; set it, or provide a default: ${{{name}:-value}}"
            )))
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(name: &str) -> Option<Vec<u8>> {
        match name {
            "HOST" => Some(b"rabbit".to_vec()),
            "EMPTY" => Some(Vec::new()),
            "SECRET" => Some(b"${HOST}".to_vec()),
            "BINARY" => Some(vec![0xff]),
            _ => None,
        }
    }

    fn text(text: &str) -> Result<String> {
        text_of(text, "amqp1.addr", &environment)
    }

    #[test]
    fn variables_and_defaults() {
        for (written, expected) in [
            ("", ""),
            ("plain $HOST $ { } }", "plain $HOST $ { } }"),
            ("${HOST}", "rabbit"),
            ("amqp://${HOST}:${PORT:-5672}/", "amqp://rabbit:5672/"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${NONE:-${HOST}}", "rabbit"),
            ("${NONE:-${NOTHING:-deep}}s", "deeps"),
            ("${SECRET}", "${HOST}"),
            ("$${HOST}", "${HOST}"),
            ("pa$$word", "pa$$word"),
        ] {
            assert_eq!(text(written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_path_and_the_variable() {
        for (written, part) in [
            ("s3cret${NONE}", "variable NONE is not set"),
            ("s3cret${NONE:-${OTHER}}", "variable OTHER is not set"),
            ("s3cret${BINARY}", "variable BINARY is not UTF-8"),
            ("s3cret${HOST", "without '}'"),
            ("s3cret${}", "expected ${VARIABLE}"),
            ("${s3cret!}", "expected ${VARIABLE}"),
            ("${HOST-s3cret}", "expected ${VARIABLE}"),
            ("${1}s3cret", "expected ${VARIABLE}"),
        ] {
            let error = text(written).unwrap_err();
            assert!(error.message().starts_with("amqp1.addr: "), "{error}");
            assert!(error.message().contains(part), "{error}");
            assert!(!error.message().contains("s3cret"), "{error}");
        }
        assert!(text(&"${A:-".repeat(100_000)).is_err());
        let deep = "${A:-".repeat(50) + &"}".repeat(50);
        assert!(text(&deep).is_err());
    }

    #[test]
    fn what_nothing_else_types_is_typed() {
        let written = Input::List(vec![
            Input::Text("${NONE:-10}".to_owned()),
            Input::Text("10".to_owned()),
            Input::Text("${NONE:-true}".to_owned()),
            Input::Text("${HOST}".to_owned()),
        ]);
        let expanded = expand(&written, "x", &environment).unwrap();
        assert_eq!(
            retype(&written, expanded),
            Input::List(vec![
                Input::Int(10),
                Input::Text("10".to_owned()),
                Input::Bool(true),
                Input::Text("rabbit".to_owned()),
            ])
        );
    }
}
