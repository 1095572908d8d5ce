//! The program `amqp1-broker`: the broker on a TCP port.

mod args;
mod signals;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use amqp1_broker::Broker;
use args::{Command, Faults, Listen};
use signals::{Asked, Signals};
use tokio::net::TcpListener;

/// How long connections may take to close after the broker is told to stop.
const SHUTDOWN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let listen = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Listen(listen)) => *listen,
        Ok(Command::Help) => return print(&args::help()),
        Ok(Command::Version) => {
            return print(concat!("amqp1-broker ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Err(e) => {
            eprintln!("amqp1-broker: {e}\nTry 'amqp1-broker --help'.");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return fail(format!("no runtime: {e}")),
    };
    match runtime.block_on(run(listen)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(e),
    }
}

async fn run(listen: Listen) -> Result<(), String> {
    // Before the ready line: whoever reads that line may send a signal at once.
    let mut signals = Signals::new().map_err(|e| format!("no signal handler: {e}"))?;
    let listener = TcpListener::bind(listen.address)
        .await
        .map_err(|e| format!("cannot listen on {}: {e}", listen.address))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let broker = Broker::with_options(&address.to_string(), listen.options);
    read_faults(&broker, &listen.faults)?;
    // After the file, because reading it replaces all pending faults.
    if !listen.faults.said.is_empty() {
        broker
            .inject(&listen.faults.said)
            .map_err(|e| format!("--fault: {e}"))?;
    }
    if let Some(path) = listen.ready_file {
        std::fs::write(&path, format!("{address}\n"))
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    let ready = format!(
        "amqp1-broker {} listening on {address}\n",
        env!("CARGO_PKG_VERSION")
    );
    // A closed stdout is no reason to stop.
    print(&ready);
    let serving = async {
        match listen.tls {
            Some(tls) => broker.listen_tls(listener, tls).await,
            None => broker.listen(listener).await,
        }
    };
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return ended.map_err(|e| e.to_string()),
            asked = signals.next() => match asked {
                Asked::Stop => break,
                Asked::ReadFaults => {
                    if let Err(e) = read_faults(&broker, &listen.faults) {
                        eprintln!("amqp1-broker: {e}");
                    }
                }
            },
        }
    }
    broker.shutdown();
    // Dropping the runtime cuts off connections that do not close in time.
    let _ = tokio::time::timeout(SHUTDOWN, serving).await;
    Ok(())
}

/// Replaces the pending faults with those in the file.
fn read_faults(broker: &Broker, faults: &Faults) -> Result<(), String> {
    let Some(path) = &faults.file else {
        return Ok(());
    };
    let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
    read.and_then(|text| broker.replace_faults(&text))
        .map_err(|e| format!("--faults: {}: {e}", path.display()))
}

fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(e: String) -> ExitCode {
    eprintln!("amqp1-broker: {e}");
    ExitCode::FAILURE
}
