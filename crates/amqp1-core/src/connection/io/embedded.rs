//! The brokers inside this process, by name.

use std::collections::HashMap;
use std::time::Duration;

use amqp1_broker::Broker;
use once_cell::sync::Lazy;
use tokio::net::UnixStream;

use crate::base::clock;
use crate::base::fork;
use crate::base::sync::Mutex;
use crate::error::Result;
use crate::settings::options::DialectOption;

/// The brokers of this process. A forked child starts with none, because its parent's jobs belong
/// to its parent.
static BROKERS: Lazy<Mutex<Brokers>> = Lazy::new(Mutex::default);

#[derive(Default)]
struct Brokers {
    generation: u64,
    /// By name and dialect: brokers of two dialects share nothing.
    by_name: HashMap<(String, DialectOption), Broker>,
}

/// Moves the clock of this process's brokers, and of their messages, forward.
pub(crate) fn advance_clock(by: Duration) {
    clock::advance(by);
    amqp1_broker::advance_clock(by);
    let brokers = BROKERS.lock();
    if brokers.generation == fork::generation() {
        brokers.by_name.values().for_each(Broker::wake);
    }
}

/// Serves one connection of the broker `name` in this dialect, which is created on first use.
pub(crate) fn serve(name: &str, dialect: DialectOption, stream: UnixStream) -> Result<()> {
    let options = dialect.embedded()?;
    let broker = {
        let mut brokers = BROKERS.lock();
        if brokers.generation != fork::generation() {
            brokers.generation = fork::generation();
            // Not dropped, because their tasks belong to the parent's runtime.
            std::mem::forget(std::mem::take(&mut brokers.by_name));
        }
        brokers
            .by_name
            .entry((name.to_owned(), dialect))
            .or_insert_with(|| Broker::with_options(name, options))
            .clone()
    };
    tokio::spawn(async move {
        // The client learns of an error at its own end of the pipe.
        let _ = broker.serve(stream).await;
    });
    Ok(())
}
