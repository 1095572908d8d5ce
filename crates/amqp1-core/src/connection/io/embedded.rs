//! The brokers inside this process, by name.

use std::collections::HashMap;

use amqp1_broker::Broker;
use once_cell::sync::Lazy;
use tokio::io::DuplexStream;

use crate::base::fork;
use crate::base::sync::Mutex;
use crate::error::Result;
use crate::settings::options::DialectOption;

/// Brokers of this process. A forked child starts with none: its parent's jobs
/// are its parent's.
static BROKERS: Lazy<Mutex<Brokers>> = Lazy::new(Mutex::default);

#[derive(Default)]
struct Brokers {
    generation: u64,
    /// By name and dialect: brokers of two dialects are strangers.
    by_name: HashMap<(String, DialectOption), Broker>,
}

/// Serves one connection of the broker `name` in this dialect, made at its first use.
pub(crate) fn serve(name: &str, dialect: DialectOption, stream: DuplexStream) -> Result<()> {
    let options = dialect.embedded()?;
    let broker = {
        let mut brokers = BROKERS.lock();
        if brokers.generation != fork::generation() {
            brokers.generation = fork::generation();
            // Not dropped: their tasks belong to the parent's runtime.
            std::mem::forget(std::mem::take(&mut brokers.by_name));
        }
        brokers
            .by_name
            .entry((name.to_owned(), dialect))
            .or_insert_with(|| Broker::with_options(name, options))
            .clone()
    };
    tokio::spawn(async move {
        // A connection that ends badly is told to the client by its own end.
        let _ = broker.serve(stream).await;
    });
    Ok(())
}
