//! Where a value was written, for messages: in the options of a call, or under a configuration key.

use crate::settings::suggest;

/// Where options were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// In an array of options or a DSN's query: `AmqpQueue::__construct()`.
    Options(&'a str),
    /// Under a configuration key: `jobs.pipelines.orders.config`.
    Key(&'a str),
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(call: &'a str) -> Self {
        Place::Options(call)
    }
}

impl<'a> Place<'a> {
    /// The place itself.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Place::Options(name) | Place::Key(name) => name,
        }
    }

    /// One of the values at this place.
    #[must_use]
    pub fn entry(self, key: &str) -> String {
        match self {
            Place::Options(call) => format!("{call}: option '{key}'"),
            Place::Key(path) => format!("{path}.{key}"),
        }
    }

    /// The message about an unknown name: with the nearest name, or all names.
    #[must_use]
    pub fn unknown(self, key: &str, known: &[&str]) -> String {
        match self {
            Place::Options(call) => suggest::unknown_option(call, key, known),
            Place::Key(path) => match suggest::nearest(key, known) {
                Some(name) => format!("{path}.{key}: unknown key, did you mean '{name}'?"),
                None => format!(
                    "{path}.{key}: unknown key; known keys: {}",
                    known.join(", ")
                ),
            },
        }
    }
}
