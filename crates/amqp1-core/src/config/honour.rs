//! Keys that a broker cannot honour: said once, not ignored in silence.

use crate::endpoint::{Endpoint, Target};
use crate::options::{QueueOptions, QueueType, TlsOptions};

/// Hosts of Azure Service Bus: the public cloud and the national ones.
const SERVICE_BUS: [&str; 4] = [
    ".servicebus.windows.net",
    ".servicebus.usgovcloudapi.net",
    ".servicebus.chinacloudapi.cn",
    ".servicebus.cloudapi.de",
];

/// Known without asking the broker: nobody else has names there.
pub(super) fn is_service_bus(endpoint: &Endpoint) -> bool {
    let Target::Network { hosts, .. } = &endpoint.target else {
        return false;
    };
    hosts.iter().any(|(host, _)| {
        let host = host.to_ascii_lowercase();
        SERVICE_BUS.iter().any(|suffix| host.ends_with(suffix))
    })
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

/// Takes from a pipeline's options what Service Bus has nothing for, and says what.
///
/// Nothing is said of a key that asks for what Service Bus does anyway, nor of
/// `durable: false`, which asks for less than it does.
pub(super) fn service_bus(path: &str, queue: &str, options: &mut QueueOptions) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |key: &str, why: &str| {
        said.push(format!(
            "{path}.{key}: has no effect on Azure Service Bus: {why}"
        ));
    };
    let defaults = QueueOptions::default();
    if options.exchange.take().is_some() {
        say("exchange", "it has no exchanges, jobs go to the queue");
    }
    if options.exchange_type != defaults.exchange_type {
        say("exchange_type", "it has no exchanges");
        options.exchange_type = defaults.exchange_type;
    }
    if options.routing_key.take().is_some_and(|key| key != queue) {
        say("routing_key", "it has no exchanges, jobs go to the queue");
    }
    if std::mem::take(&mut options.exclusive) {
        say("exclusive", "its queues do not belong to connections");
    }
    if options.queue_type != QueueType::default() {
        say("queue_type", "its queues are of one kind");
        options.queue_type = QueueType::default();
    }
    if !std::mem::take(&mut options.arguments).is_empty() {
        say("arguments", "its queues are set up in Azure");
    }
    said
}
