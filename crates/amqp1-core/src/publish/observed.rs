//! Tells an observer of copies: jobs that the client itself sends again, for a retry or to another
//! queue. Whoever calls [`crate::Queue::push`] tells the observer of that push.

use std::borrow::Cow;
use std::sync::OnceLock;

use bstr::BStr;

use crate::error::{Error, Result};
use crate::format::{Decoded, HeadersOf};
use crate::job::HeaderValue;
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;

/// The destination of all replies.
const REPLIES: &str = "(replies)";

/// Where a job is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// The pipeline's name.
    pub queue: String,
    /// The endpoint without secrets.
    pub endpoint: String,
    /// The broker's name of the queue, or of the exchange.
    pub destination: String,
    /// The routing key, if it goes to an exchange.
    pub routing_key: Option<String>,
    /// The dialect's name; before the first connection, the presumed one's.
    pub broker: &'static str,
}

impl PushTarget {
    pub(crate) fn of(definition: &Definition, destination: &Destination) -> Self {
        if let Destination::ReplyTo(_) = destination {
            // Each requester has an address of its own, which is no name for figures.
            return Self {
                queue: definition.pipeline.clone(),
                endpoint: definition.endpoint.label().to_owned(),
                destination: REPLIES.to_owned(),
                routing_key: None,
                broker: definition.dialect_name(),
            };
        }
        let recipient = definition.recipient(destination);
        Self {
            queue: definition.pipeline.clone(),
            endpoint: definition.endpoint.label().to_owned(),
            destination: recipient.exchange.unwrap_or(recipient.key).to_owned(),
            routing_key: recipient.exchange.map(|_| recipient.key.to_owned()),
            broker: definition.dialect_name(),
        }
    }
}

/// Headers of a copy.
pub type AddedHeaders = Vec<(Cow<'static, str>, HeaderValue<'static>)>;

/// A job that is about to be sent again.
#[derive(Debug)]
pub struct CopyFacts<'a> {
    /// `retry`, `release`, `dead_letter`, `replay`, or `renew`.
    pub operation: &'static str,
    /// Where it goes.
    pub target: PushTarget,
    /// The job's id.
    pub id: &'a BStr,
    /// The job's name.
    pub name: &'a BStr,
    /// The payload's size in bytes.
    pub size: usize,
    /// Its headers.
    pub headers: HeadersOf<'a>,
    /// Headers that are added or replaced.
    pub changed: &'a [(Cow<'a, str>, HeaderValue<'a>)],
}

/// Is told of copies, on the thread that sends them and under no lock. It may run the application's
/// code.
pub trait CopyObserver: Sync {
    /// Before a copy is sent: a number for [`CopyObserver::after`], and headers to add; `None` if
    /// no one observes the queue whose option `observer` has this number.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`]: the call must return, and nothing is sent.
    fn before(&self, observer: u64, copy: &CopyFacts<'_>) -> Result<Option<(u64, AddedHeaders)>>;

    /// Afterwards.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`]: the call must return.
    fn after(&self, number: u64, error: Option<&Error>) -> Result<()>;

    /// Whether anyone observes anything.
    fn is_wanted(&self) -> bool;
}

static OBSERVER: OnceLock<&'static dyn CopyObserver> = OnceLock::new();

/// Sets the observer of this process. Later calls are ignored.
pub fn observe_copies(observer: &'static dyn CopyObserver) {
    let _ = OBSERVER.set(observer);
}

/// A copy that an observer was told of.
#[derive(Debug)]
pub(crate) struct Observed {
    number: u64,
    pub headers: AddedHeaders,
}

/// Tells the observer that a copy is about to be sent.
///
/// # Errors
/// [`crate::ErrorKind::Interrupted`].
pub(crate) fn before(
    definition: &Definition,
    decoded: &Decoded,
    (operation, destination): (&'static str, &Destination),
    changed: &[(Cow<'_, str>, HeaderValue<'_>)],
) -> Result<Option<Observed>> {
    let Some(observer) = OBSERVER.get().filter(|observer| observer.is_wanted()) else {
        return Ok(None);
    };
    let copy = CopyFacts {
        operation,
        target: PushTarget::of(definition, destination),
        id: decoded.id(),
        name: decoded.name(),
        size: decoded.body().len(),
        headers: decoded.headers(),
        changed,
    };
    let observed = observer.before(definition.options.observer, &copy)?;
    Ok(observed.map(|(number, headers)| Observed { number, headers }))
}

/// Tells the observer of the outcome.
///
/// # Errors
/// [`crate::ErrorKind::Interrupted`].
pub(crate) fn after(observed: Option<Observed>, error: Option<&Error>) -> Result<()> {
    match (observed, OBSERVER.get()) {
        (Some(observed), Some(observer)) => observer.after(observed.number, error),
        _ => Ok(()),
    }
}
