//! The brokers inside this process, by name.

use std::collections::HashMap;
use std::time::Duration;

use amqp1_broker::Broker;
use tokio::net::UnixStream;

use crate::base::clock;
use crate::base::per_process::PerProcess;
use crate::error::Result;
use crate::settings::options::DialectOption;

/// The brokers of this process. A forked child starts with none, because its parent's jobs belong
/// to its parent.
static BROKERS: PerProcess<Brokers> = PerProcess::new();

/// By name and dialect: brokers of two dialects share nothing.
type Brokers = HashMap<(String, DialectOption), Broker>;

/// Moves the clock of this process's brokers, and of their messages, forward.
pub(crate) fn advance_clock(by: Duration) {
    clock::advance(by);
    amqp1_broker::advance_clock(by);
    BROKERS.with(
        |_| Brokers::new(),
        |brokers| brokers.values().for_each(Broker::wake),
    );
}

/// Serves one connection of the broker `name` in this dialect, which is created on first use.
pub(crate) fn serve(name: &str, dialect: DialectOption, stream: UnixStream) -> Result<()> {
    let options = dialect.embedded()?;
    let broker = BROKERS.with(
        |_| Brokers::new(),
        |brokers| {
            let key = (name.to_owned(), dialect);
            let made = || Broker::with_options(name, options);
            brokers.entry(key).or_insert_with(made).clone()
        },
    );
    tokio::spawn(async move {
        // The client learns of an error at its own end of the pipe.
        let _ = broker.serve(stream).await;
    });
    Ok(())
}
