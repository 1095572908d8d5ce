//! The brokers inside this process, by name.

use std::collections::HashMap;

use amqp1_broker::servicebus::ServiceBus;
use amqp1_broker::{Broker, Options};
use once_cell::sync::Lazy;
use tokio::io::DuplexStream;

use crate::base::fork;
use crate::base::sync::Mutex;

/// Brokers of this process. A forked child starts with none: its parent's jobs
/// are its parent's.
static BROKERS: Lazy<Mutex<Brokers>> = Lazy::new(Mutex::default);

#[derive(Default)]
struct Brokers {
    generation: u64,
    /// By name, and whether they speak Service Bus: the two are strangers.
    by_name: HashMap<(String, bool), Broker>,
}

/// Serves one connection of the broker `name`, made at its first use.
pub(crate) fn serve(name: &str, is_service_bus: bool, stream: DuplexStream) {
    let broker = {
        let mut brokers = BROKERS.lock();
        if brokers.generation != fork::generation() {
            brokers.generation = fork::generation();
            // Not dropped: their tasks belong to the parent's runtime.
            std::mem::forget(std::mem::take(&mut brokers.by_name));
        }
        brokers
            .by_name
            .entry((name.to_owned(), is_service_bus))
            .or_insert_with(|| {
                let options = Options {
                    service_bus: is_service_bus.then(ServiceBus::default),
                    ..Options::default()
                };
                Broker::with_options(name, options)
            })
            .clone()
    };
    tokio::spawn(async move {
        // A connection that ends badly is told to the client by its own end.
        let _ = broker.serve(stream).await;
    });
}
