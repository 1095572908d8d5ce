//! Keys that have no effect on a broker: reported once, not silently ignored.

use crate::brokers::Dialect;
use crate::settings::input::Input;
use crate::settings::options::{QueueOptions, TlsOptions};

/// Removes `tls` from the options for an address without encryption; returns a warning, if any.
pub(super) fn tls(is_encrypted: bool, path: &str, options: &mut QueueOptions) -> Option<String> {
    if is_encrypted || options.tls == TlsOptions::default() {
        return None;
    }
    options.tls = TlsOptions::default();
    Some(format!(
        "{path}.tls: has no effect, because the address is not encrypted; use amqps:// for TLS"
    ))
}

/// Removes from a pipeline's options those that its broker does not support, if that is known
/// without asking it. Returns a warning for each one that requests anything.
///
/// There is no warning for `durable: false`, because such a broker does more than it requests.
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
