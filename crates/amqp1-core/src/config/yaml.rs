//! YAML text to [`Input`], within limits: an alias is a copy, and copies of copies grow
//! exponentially.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::error::{Error, Result};
use crate::settings::input::Input;

/// Deeper than any valid configuration.
const MAX_DEPTH: usize = 64;

/// The maximum size of a file's values with all aliases copied, in bytes and nodes together.
const MAX_COST: usize = 8 << 20;

/// The key whose entries are merged into the surrounding map.
const MERGE: &str = "<<";

/// Parses one YAML 1.2 document (core schema), with anchors and merge keys.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with line and column; never with the text itself.
pub(super) fn parse(text: &str) -> Result<Input> {
    let mut composer = Composer::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| wrong(error.marker(), error.info()))?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                return Err(wrong(&span.start, "a file may contain only one document"));
            }
        }
        composer.event(event, &span.start)?;
    }
    Ok(composer.root.unwrap_or(Input::Null))
}

fn wrong(at: &Marker, what: &str) -> Error {
    Error::config(format!(
        "line {}, column {}: {what}",
        at.line(),
        at.col() + 1
    ))
}

/// An incomplete list or map.
enum Open {
    List(Vec<Input>),
    Map {
        entries: Vec<(String, Input)>,
        /// Names of the entries written here, which take precedence over merged ones.
        names: HashSet<String>,
        key: Option<String>,
        merged: Vec<(String, Input)>,
    },
}

struct Frame {
    open: Open,
    anchor: usize,
    /// The cost before this value.
    start: usize,
    /// The number of levels below it so far.
    height: usize,
}

/// A complete value, with the cost of copying it and its number of levels.
#[derive(Clone)]
struct Whole {
    value: Input,
    cost: usize,
    height: usize,
}

#[derive(Default)]
struct Composer {
    open: Vec<Frame>,
    anchors: HashMap<usize, Whole>,
    root: Option<Input>,
    cost: usize,
}

impl Composer {
    fn event(&mut self, event: Event<'_>, at: &Marker) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let start = self.cost;
                self.spend(1 + text.len(), at)?;
                let whole = Whole {
                    value: scalar(text.into_owned(), style, tag.as_deref()),
                    cost: self.cost - start,
                    height: 0,
                };
                self.complete(whole, anchor, at)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor, at),
            Event::MappingStart(anchor, _) => {
                let map = Open::Map {
                    entries: Vec::new(),
                    names: HashSet::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(map, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.open.pop() else {
                    return Ok(());
                };
                let whole = Whole {
                    value: finished(frame.open),
                    cost: self.cost - frame.start,
                    height: frame.height + 1,
                };
                self.complete(whole, frame.anchor, at)
            }
            Event::Alias(anchor) => {
                // An alias inside its own anchor refers to an incomplete value.
                let Some(whole) = self.anchors.get(&anchor) else {
                    return Err(wrong(at, "this alias refers to itself"));
                };
                // Checked before the copy, not after it.
                if self.cost + whole.cost > MAX_COST {
                    return Err(too_large(at));
                }
                let whole = whole.clone();
                self.cost += whole.cost;
                self.complete(whole, 0, at)
            }
            _ => Ok(()),
        }
    }

    fn spend(&mut self, cost: usize, at: &Marker) -> Result<()> {
        self.cost += cost;
        match self.cost > MAX_COST {
            true => Err(too_large(at)),
            false => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize, at: &Marker) -> Result<()> {
        if self.open.len() == MAX_DEPTH {
            return Err(wrong(at, "nested too deeply"));
        }
        self.open.push(Frame {
            open,
            anchor,
            start: self.cost,
            height: 0,
        });
        self.spend(1, at)
    }

    /// Adds a value to its parent; keeps a copy if it has an anchor.
    fn complete(&mut self, whole: Whole, anchor: usize, at: &Marker) -> Result<()> {
        if self.open.len() + whole.height > MAX_DEPTH {
            return Err(wrong(at, "nested too deeply"));
        }
        if anchor != 0 {
            self.spend(whole.cost, at)?;
            self.anchors.insert(anchor, whole.clone());
        }
        let Whole { value, height, .. } = whole;
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.open {
            Open::List(items) => items.push(value),
            Open::Map {
                entries,
                names,
                key,
                merged,
            } => match key.take() {
                None => *key = Some(name(value, at)?),
                Some(name) if name == MERGE => merge(merged, value, at)?,
                Some(name) => {
                    if !names.insert(name.clone()) {
                        return Err(wrong(at, &format!("duplicate key '{name}'")));
                    }
                    entries.push((name, value));
                }
            },
        }
        Ok(())
    }
}

fn too_large(at: &Marker) -> Error {
    wrong(
        at,
        "too large for a configuration once its aliases are expanded",
    )
}

fn finished(open: Open) -> Input {
    match open {
        Open::List(items) => Input::List(items),
        Open::Map {
            mut entries,
            mut names,
            merged,
            ..
        } => {
            for (name, value) in merged {
                if names.insert(name.clone()) {
                    entries.push((name, value));
                }
            }
            Input::Map(entries)
        }
    }
}

/// A key as text. For example, `8080:` is a valid key.
fn name(value: Input, at: &Marker) -> Result<String> {
    match value {
        Input::Text(text) => Ok(text),
        Input::Bool(value) => Ok(value.to_string()),
        Input::Null => Ok("null".to_owned()),
        other => other
            .text("")
            .map_err(|_| wrong(at, "a key must not be a list or a map")),
    }
}

fn merge(merged: &mut Vec<(String, Input)>, value: Input, at: &Marker) -> Result<()> {
    match value {
        Input::Map(entries) => merged.extend(entries),
        Input::List(items) => {
            for item in items {
                let Input::Map(entries) = item else {
                    return Err(wrong(at, "'<<' accepts only maps"));
                };
                merged.extend(entries);
            }
        }
        Input::Null => {}
        _ => return Err(wrong(at, "'<<' accepts only a map, or a list of maps")),
    }
    Ok(())
}

/// A scalar by YAML 1.2's core schema.
fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Input {
    let tagged = tag.filter(|tag| tag.is_yaml_core_schema());
    match tagged.map(|tag| tag.suffix.as_str()) {
        Some("str") => Input::Text(text),
        None if style != ScalarStyle::Plain => Input::Text(text),
        _ => plain(text),
    }
}

fn plain(text: String) -> Input {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Input::Null,
        "true" | "True" | "TRUE" => return Input::Bool(true),
        "false" | "False" | "FALSE" => return Input::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Input::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if let ".inf" | ".Inf" | ".INF" = unsigned {
        return Input::Float(match text.starts_with('-') {
            true => f64::NEG_INFINITY,
            false => f64::INFINITY,
        });
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let digits = text.strip_prefix(prefix);
        // Otherwise, a sign would be accepted after the prefix.
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_alphanumeric()));
        if let Some(number) = digits.and_then(|digits| i64::from_str_radix(digits, radix).ok()) {
            return Input::Int(number);
        }
    }
    // Rust's float parser also accepts words such as "infinity", which are text here.
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if is_number {
        if let Ok(number) = text.parse() {
            return Input::Int(number);
        }
        if let Ok(number) = text.parse() {
            return Input::Float(number);
        }
    }
    Input::Text(text)
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
