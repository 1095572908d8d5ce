//! Keys that a broker cannot honour: said once, not ignored in silence.

use crate::settings::endpoint::Endpoint;
use crate::settings::input::Input;
use crate::settings::options::{QueueOptions, TlsOptions};

/// Known without asking the broker: nobody else has names there.
pub(super) fn is_service_bus(endpoint: &Endpoint) -> bool {
    endpoint.service_bus.is_some()
}

/// Takes `tls` from options for an address that does not encrypt; what is to be said of it.
pub(super) fn tls(is_encrypted: bool, path: &str, options: &mut QueueOptions) -> Option<String> {
    if is_encrypted || options.tls == TlsOptions::default() {
        return None;
    }
    options.tls = TlsOptions::default();
    Some(format!(
        "{path}.tls: the address does not encrypt, so this has no effect; use amqps:// for TLS"
    ))
}

/// Options that Service Bus has nothing for, and why.
const NOT_OF_SERVICE_BUS: [(&str, &str); 14] = [
    ("exchange", "it has no exchanges, jobs go to the queue"),
    ("exchange_type", "it has no exchanges"),
    ("routing_key", "it has no exchanges, jobs go to the queue"),
    ("bindings", "it has no exchanges"),
    ("exclusive", "its queues do not belong to connections"),
    ("queue_type", "its queues are of one kind"),
    ("arguments", "its queues are set up in Azure"),
    ("max_length", "its queues are set up in Azure"),
    ("overflow", "its queues are set up in Azure"),
    ("dead_letter_exchange", "its queues are set up in Azure"),
    ("dead_letter_routing_key", "its queues are set up in Azure"),
    ("single_active_consumer", "a session has one consumer there"),
    ("max_priority", "it has no priorities"),
    (
        "consumer_timeout",
        "max_lock_renewal says there how long a job may take",
    ),
];

/// Takes from a pipeline's options what Service Bus has nothing for, and says so of those
/// that ask for anything.
///
/// Nothing is said of `durable: false`, which asks for less than Service Bus does.
pub(super) fn service_bus(
    path: &str,
    queue: &str,
    options: &mut Vec<(String, Input)>,
) -> Vec<String> {
    let mut said = Vec::new();
    options.retain(|(key, value)| {
        let Some((_, why)) = NOT_OF_SERVICE_BUS.iter().find(|(name, _)| name == key) else {
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
            said.push(format!(
                "{path}.{key}: has no effect on Azure Service Bus: {why}"
            ));
        }
        false
    });
    said
}
