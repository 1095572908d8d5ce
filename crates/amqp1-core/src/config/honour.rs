//! Keys that a broker cannot honour: said once, not ignored in silence.

use crate::brokers::Dialect;
use crate::settings::input::Input;
use crate::settings::options::{QueueOptions, TlsOptions};

/// Takes `tls` from options for an address that does not encrypt; what is to be said of it.
pub(super) fn tls(is_encrypted: bool, path: &str, options: &mut QueueOptions) -> Option<String> {
    if is_encrypted || options.tls == TlsOptions::default() {
        return None;
    }
    options.tls = TlsOptions::default();
    Some(format!(
        "{path}.tls: has no effect, because the address is not encrypted; use amqps:// for TLS"
    ))
}

/// Takes from a pipeline's options what its broker has nothing for, where that is known without asking it, and says so
/// of those that ask for anything.
///
/// Nothing is said of `durable: false`, which asks for less than such a broker does.
pub(super) fn known(
    dialect: &dyn Dialect,
    path: &str,
    queue: &str,
    options: &mut Vec<(String, Input)>,
) -> Vec<String> {
    let mut said = Vec::new();
    let Some((broker, ignored)) = dialect.ignores() else {
        return said;
    };
    options.retain(|(key, value)| {
        let Some((_, why)) = ignored.iter().find(|(name, _)| name == key) else {
            return true;
        };
        let asks_for_nothing = match value {
            Input::Null | Input::Bool(false) => true,
            value if key == "exclusive" => matches!(value.bool(key), Ok(false)),
            Input::Text(text) => text.is_empty() || (key == "routing_key" && text == queue),
            Input::List(items) => items.is_empty(),
            Input::Map(entries) => entries.is_empty(),
            _ => false,
        };
        if !asks_for_nothing {
            said.push(format!("{path}.{key}: has no effect on {broker}: {why}"));
        }
        false
    });
    said
}
