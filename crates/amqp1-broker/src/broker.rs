//! The broker as a process has it: what can be asked of it, whatever its dialect.

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

/// A small AMQP 1.0 broker. Clones are the same broker; its messages live in memory and end with
/// the last clone.
///
/// It runs no task of its own: each connection lives in the future of [`Broker::serve`], and what
/// is scheduled is done by these, or at the next call.
#[derive(Debug, Clone)]
pub struct Broker {
    served: Arc<dyn Served>,
    /// Whether the broker is shut down.
    end: watch::Sender<bool>,
}

/// Waits until the broker is shut down. What it got is let go here: it cannot be sent to a thread.
async fn over(end: &mut watch::Receiver<bool>) {
    drop(end.wait_for(|is_over| *is_over).await);
}

impl Broker {
    /// A broker with default options; its container-id is `amqp1-broker/<name>`.
    pub fn new(name: &str) -> Self {
        Self::with_options(name, Options::default())
    }

    /// A broker with these options.
    pub fn with_options(name: &str, options: Options) -> Self {
        let container_id = format!("amqp1-broker/{name}");
        let served = options.open(container_id);
        let end = watch::Sender::new(false);
        Self { served, end }
    }

    /// Serves one connection until it ends. Dropping the future ends it at once; what its
    /// consumers held returns to the queues either way.
    ///
    /// # Errors
    /// [`Error`] when the connection ended without an orderly close.
    pub async fn serve<S>(&self, stream: S) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        transport::run(self.served.clone().connect(), stream).await
    }

    /// Accepts connections for ever and serves each in a task of its own. These tasks end when
    /// the future is dropped; after [`Broker::shutdown`] it waits for them and returns.
    ///
    /// # Errors
    /// When the listener itself fails; connections' errors are theirs.
    pub async fn listen(&self, listener: TcpListener) -> Result<(), Error> {
        self.accept(listener, None).await
    }

    /// The same with TLS before anything else.
    ///
    /// # Errors
    /// When the listener itself fails; connections' errors are theirs.
    pub async fn listen_tls(&self, listener: TcpListener, tls: Tls) -> Result<(), Error> {
        self.accept(listener, Some(tls)).await
    }

    async fn accept(&self, listener: TcpListener, tls: Option<Tls>) -> Result<(), Error> {
        let mut connections = JoinSet::new();
        let mut end = self.end.subscribe();
        loop {
            tokio::select! {
                // The sender is this broker's own: it cannot be gone.
                () = over(&mut end) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Deliveries and settlements are small: they must not wait for more.
                        let _ = stream.set_nodelay(true);
                        let (broker, tls) = (self.clone(), tls.clone());
                        connections.spawn(async move { broker.welcome(stream, tls).await });
                    }
                    // Out of file descriptors, or the peer was gone already: neither is forever.
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

    /// Closes all connections with `amqp:connection:forced`, and every later one.
    pub fn shutdown(&self) {
        self.served.shut_down();
        self.end.send_replace(true);
    }

    /// Numbers of a queue's messages and consumers; `None` where there is no such queue. In the
    /// Service Bus dialect the path may be a subscription's or a sub-queue's.
    pub fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        self.served.queue_counts(queue)
    }

    /// The names of all queues, sorted.
    pub fn queue_names(&self) -> Vec<String> {
        self.served.queue_names()
    }

    /// Connections that are being served.
    pub fn connection_count(&self) -> usize {
        self.served.connection_count()
    }

    /// Adds faults, one a line, in the Service Bus dialect; `docs/faults.md` has them all.
    ///
    /// # Errors
    /// A sentence that says which line is wrong; nothing is added then.
    pub fn inject(&self, faults: &str) -> Result<(), String> {
        self.served.inject(faults)
    }

    /// The same in the place of the faults that wait.
    ///
    /// # Errors
    /// A sentence that says which line is wrong; those that wait stay then.
    pub fn replace_faults(&self, faults: &str) -> Result<(), String> {
        self.served.replace_faults(faults)
    }

    /// Faults that were added and have not happened.
    pub fn pending_faults(&self) -> usize {
        self.served.pending_faults()
    }
}

fn is_transient(e: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    // EMFILE and ENFILE have no kind of their own.
    matches!(e.raw_os_error(), Some(23 | 24))
        || matches!(
            e.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        )
}
