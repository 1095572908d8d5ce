//! The broker's public API, the same for every dialect.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::amqp::parts::QueueCounts;
use crate::amqp::transport;
use crate::error::Error;
use crate::options::Options;
use crate::served::Served;
use crate::tls::Tls;

/// A small AMQP 1.0 broker. Clones share one broker; its messages live in memory until the last
/// clone is dropped.
///
/// It spawns no task of its own: each connection lives in the future that [`Broker::serve`]
/// returns. These futures also do scheduled work; without a connection, it is done at the next
/// call.
#[derive(Debug, Clone)]
pub struct Broker {
    served: Arc<dyn Served>,
    /// True once the broker is shut down.
    end: watch::Sender<bool>,
}

/// Waits until the broker is shut down. Drops the guard that `wait_for` returns, because it is not
/// `Send`.
async fn over(end: &mut watch::Receiver<bool>) {
    drop(end.wait_for(|is_over| *is_over).await);
}

impl Broker {
    /// Creates a broker with default options; its container-id is `amqp1-broker/<name>`.
    pub fn new(name: &str) -> Self {
        Self::with_options(name, Options::default())
    }

    /// Creates a broker with these options.
    pub fn with_options(name: &str, options: Options) -> Self {
        let container_id = format!("amqp1-broker/{name}");
        let served = options.open(container_id);
        let end = watch::Sender::new(false);
        Self { served, end }
    }

    /// Serves one connection until it ends. Dropping the future ends it at once. Either way,
    /// unsettled deliveries return to their queues.
    ///
    /// # Errors
    /// [`Error`] if the connection ended without an orderly close.
    pub async fn serve<S>(&self, stream: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        transport::run(self.served.clone().connect(), stream).await
    }

    /// Accepts connections for ever and serves each in a task of its own. Dropping the future ends
    /// these tasks. After [`Broker::shutdown`] it waits for them and returns.
    ///
    /// # Errors
    /// If the listener itself fails. Errors of connections are not reported.
    pub async fn listen(&self, listener: TcpListener) -> Result<(), Error> {
        self.accept(listener, None).await
    }

    /// As [`Broker::listen`], with TLS.
    ///
    /// # Errors
    /// If the listener itself fails. Errors of connections are not reported.
    pub async fn listen_tls(&self, listener: TcpListener, tls: Tls) -> Result<(), Error> {
        self.accept(listener, Some(tls)).await
    }

    async fn accept(&self, listener: TcpListener, tls: Option<Tls>) -> Result<(), Error> {
        let mut connections = JoinSet::new();
        let mut end = self.end.subscribe();
        loop {
            tokio::select! {
                // No error is possible: this broker holds the sender.
                () = over(&mut end) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Deliveries and settlements are small and must not wait for Nagle's
                        // algorithm.
                        let _ = stream.set_nodelay(true);
                        let (broker, tls) = (self.clone(), tls.clone());
                        connections.spawn(async move { broker.welcome(stream, tls).await });
                    }
                    // No file descriptors left, or the peer has already gone: both pass.
                    Err(e) if is_transient(&e) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Err(e) => return Err(e.into()),
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn welcome(&self, stream: TcpStream, tls: Option<Tls>) -> Result<(), Error> {
        let Some(tls) = tls else {
            return self.serve(stream).await;
        };
        let handshake = tls.acceptor.accept(stream);
        match tokio::time::timeout(self.served.timeouts().handshake, handshake).await {
            Ok(stream) => self.serve(stream?).await,
            Err(_) => Err(Error::Negotiation("the TLS handshake took too long".into())),
        }
    }

    /// Closes all connections, and any later one, with `amqp:connection:forced`.
    pub fn shutdown(&self) {
        self.served.shut_down();
        self.end.send_replace(true);
    }

    /// Makes all connections look at the clock, after [`advance_clock`](crate::advance_clock).
    pub fn wake(&self) {
        self.served.wake();
    }

    /// Counts of a queue's messages and consumers; `None` if there is no such queue. In the Service
    /// Bus dialect, the path may also name a subscription or a sub-queue.
    pub fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        self.served.queue_counts(queue)
    }

    /// The names of all queues, sorted.
    pub fn queue_names(&self) -> Vec<String> {
        self.served.queue_names()
    }

    /// The number of connections being served.
    pub fn connection_count(&self) -> usize {
        self.served.connection_count()
    }

    /// Adds faults, one per line, in the Service Bus dialect. `docs/faults.md` lists them.
    ///
    /// # Errors
    /// A sentence that says which line is wrong. No fault is added then.
    pub fn inject(&self, faults: &str) -> Result<(), String> {
        self.served.inject(faults)
    }

    /// As [`Broker::inject`], but replaces the pending faults.
    ///
    /// # Errors
    /// A sentence that says which line is wrong. The pending faults stay then.
    pub fn replace_faults(&self, faults: &str) -> Result<(), String> {
        self.served.replace_faults(faults)
    }

    /// The number of faults that were added and have not happened yet.
    pub fn pending_faults(&self) -> usize {
        self.served.pending_faults()
    }
}

fn is_transient(e: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    // Rust's `ErrorKind` has no variant for EMFILE and ENFILE.
    matches!(e.raw_os_error(), Some(23 | 24))
        || matches!(
            e.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        )
}
