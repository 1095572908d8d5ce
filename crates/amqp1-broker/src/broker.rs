//! The broker: its state behind one lock, and what can be asked of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{watch, Notify};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::model::queue::QueueCounts;
use crate::model::store::{ConnectionId, Policy, Store};
use crate::servicebus;
use crate::servicebus::settings::{QueueSettings, TopicSettings};
use crate::transport;
use crate::wakers::Wakers;
use crate::{Error, Options, Tls};

/// A small AMQP 1.0 broker. Clones are the same broker; its messages live in memory and end with
/// the last clone.
///
/// It runs no task of its own: each connection lives in the future of [`Broker::serve`], and what
/// is scheduled is done by these, or at the next call.
#[derive(Clone)]
pub struct Broker {
    dialect: Dialect,
    /// Whether the broker is shut down.
    end: watch::Sender<bool>,
}

/// By whose rules the broker goes.
#[derive(Clone)]
enum Dialect {
    /// RabbitMQ 4's.
    Standard(Arc<Shared>),
    ServiceBus(Arc<servicebus::Shared>),
}

/// What all clones and connections share.
pub(crate) struct Shared {
    pub(crate) container_id: String,
    pub(crate) options: Options,
    is_shut_down: AtomicBool,
    state: Mutex<State>,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) store: Store,
    wakers: Wakers,
}

impl State {
    /// Registers a connection with what wakes its task.
    pub(crate) fn connect(&mut self, waker: Arc<Notify>) -> ConnectionId {
        let id = self.store.connect();
        self.wakers.add(id, waker);
        id
    }

    pub(crate) fn disconnect(&mut self, id: ConnectionId, now: u64) {
        self.wakers.remove(id);
        self.store.disconnect(id, now);
    }

    /// Gives out messages, and wakes the other connections that have something to do now.
    pub(crate) fn dispatch(&mut self, now: u64, own: Option<ConnectionId>) {
        self.store.dispatch(now);
        self.wakers.wake(self.store.take_woken(), own);
    }
}

impl Shared {
    fn new(container_id: String, options: Options) -> Self {
        let policy = Policy {
            create_on_use: options.create_on_use,
            delivery_limit: options.max_delivery_count,
        };
        let state = State {
            store: Store::new(policy),
            wakers: Wakers::default(),
        };
        Self {
            container_id,
            options,
            is_shut_down: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// A panic elsewhere while the lock was held does not make the state worse than it is.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Release);
        self.lock().wakers.wake_all();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("container_id", &self.container_id)
            .finish_non_exhaustive()
    }
}

/// Waits until the broker is shut down. What it got is let go here: it cannot be sent to a thread.
async fn over(end: &mut watch::Receiver<bool>) {
    drop(end.wait_for(|is_over| *is_over).await);
}

/// Unix milliseconds.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl Broker {
    /// A broker with default options; its container-id is `amqp1-broker/<name>`.
    pub fn new(name: &str) -> Self {
        Self::with_options(name, Options::default())
    }

    /// A broker with these options.
    pub fn with_options(name: &str, options: Options) -> Self {
        let container_id = format!("amqp1-broker/{name}");
        let dialect = match options.service_bus.clone() {
            Some(settings) => Dialect::ServiceBus(Arc::new(servicebus::Shared::new(
                container_id,
                options,
                settings,
            ))),
            None => Dialect::Standard(Arc::new(Shared::new(container_id, options))),
        };
        let end = watch::Sender::new(false);
        Self { dialect, end }
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
        match &self.dialect {
            Dialect::Standard(shared) => {
                transport::run(Connection::new(shared.clone()), stream).await
            }
            Dialect::ServiceBus(shared) => {
                let connection = servicebus::Connection::new(shared.clone());
                transport::run(connection, stream).await
            }
        }
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
        match tokio::time::timeout(self.handshake_timeout(), handshake).await {
            Ok(stream) => self.serve(stream?).await,
            Err(_) => Err(Error::Negotiation("the TLS handshake took too long".into())),
        }
    }

    fn handshake_timeout(&self) -> Duration {
        match &self.dialect {
            Dialect::Standard(shared) => shared.options.handshake_timeout,
            Dialect::ServiceBus(shared) => shared.options.handshake_timeout,
        }
    }

    /// Closes all connections with `amqp:connection:forced`, and every later one.
    pub fn shutdown(&self) {
        match &self.dialect {
            Dialect::Standard(shared) => shared.shut_down(),
            Dialect::ServiceBus(shared) => shared.shut_down(),
        }
        self.end.send_replace(true);
    }

    /// Numbers of a queue's messages and consumers; `None` where there is no such queue. In the
    /// Service Bus dialect the path may be a subscription's or a sub-queue's.
    pub fn queue_counts(&self, queue: &str) -> Option<QueueCounts> {
        match &self.dialect {
            Dialect::Standard(shared) => {
                let mut state = shared.lock();
                state.dispatch(now(), None);
                state.store.queue(queue).map(|queue| queue.counts())
            }
            Dialect::ServiceBus(shared) => shared.queue_counts(queue),
        }
    }

    /// The names of all queues, sorted.
    pub fn queue_names(&self) -> Vec<String> {
        match &self.dialect {
            Dialect::Standard(shared) => {
                let state = shared.lock();
                state.store.queue_names().map(str::to_owned).collect()
            }
            Dialect::ServiceBus(shared) => shared.lock().namespace.paths(),
        }
    }

    /// Connections that are being served.
    pub fn connection_count(&self) -> usize {
        match &self.dialect {
            Dialect::Standard(shared) => shared.lock().store.connection_count(),
            Dialect::ServiceBus(shared) => shared.lock().namespace.connection_count(),
        }
    }

    /// Makes a queue in the Service Bus dialect; one that is there stays as it is. False in the
    /// other dialect, where queues are declared over AMQP.
    pub fn declare_queue(&self, name: &str, settings: QueueSettings) -> bool {
        let Dialect::ServiceBus(shared) = &self.dialect else {
            return false;
        };
        shared.lock().namespace.declare_queue(name, settings);
        true
    }

    /// Adds faults, one a line, in the Service Bus dialect; `docs/faults.md` has them all.
    ///
    /// # Errors
    /// A sentence that says which line is wrong; nothing is added then.
    pub fn inject(&self, faults: &str) -> Result<(), String> {
        self.with_faults(|state| state.inject(faults))
    }

    /// The same in the place of the faults that wait.
    ///
    /// # Errors
    /// A sentence that says which line is wrong; those that wait stay then.
    pub fn replace_faults(&self, faults: &str) -> Result<(), String> {
        self.with_faults(|state| state.replace_faults(faults))
    }

    fn with_faults(
        &self,
        change: impl FnOnce(&mut servicebus::shared::State) -> Result<(), String>,
    ) -> Result<(), String> {
        let Dialect::ServiceBus(shared) = &self.dialect else {
            return Err("faults are for the Service Bus dialect".to_owned());
        };
        let mut state = shared.lock();
        change(&mut state)?;
        state.dispatch(now(), None);
        Ok(())
    }

    /// Faults that were added and have not happened.
    pub fn pending_faults(&self) -> usize {
        match &self.dialect {
            Dialect::Standard(_) => 0,
            Dialect::ServiceBus(shared) => shared.lock().faults.len(),
        }
    }

    /// Makes a topic and its subscriptions in the Service Bus dialect; what is there stays as it
    /// is. False in the other dialect.
    pub fn declare_topic(&self, name: &str, settings: &TopicSettings) -> bool {
        let Dialect::ServiceBus(shared) = &self.dialect else {
            return false;
        };
        shared.lock().namespace.declare_topic(name, settings);
        true
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (container_id, options) = match &self.dialect {
            Dialect::Standard(shared) => (&shared.container_id, &shared.options),
            Dialect::ServiceBus(shared) => (&shared.container_id, &shared.options),
        };
        f.debug_struct("Broker")
            .field("container_id", container_id)
            .field("options", options)
            .finish()
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
