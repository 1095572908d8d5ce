//! The task that renews tokens and locks of one connection, whatever PHP does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::companion::ServiceBusCompanion;
use super::constants::MANAGEMENT;
use super::locks::{to_uuid, Due, DueKind, LockToken, Renewal};
use super::request::{Reply, Request};
use crate::base::events::{Event, EventKind};
use crate::base::id;
use crate::base::runtime;
use crate::base::threads;
use crate::connection::Connection;
use crate::error::{ErrorKind, Result};
use crate::settings::endpoint::Endpoint;
use crate::wire::write;

/// How long one renewal may take: less than half of a short lock, so that there is time for
/// another.
const PATIENCE: Duration = Duration::from_secs(3);

/// The most renewals in flight: fewer than the credit for their answers.
const WINDOW: usize = 32;

/// How often it checks that the connection is open, if nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// The pause before reconnecting for the locks of jobs in progress.
const REDIAL: Duration = Duration::from_secs(1);

/// Creates the companion of an open connection, and starts the task that renews its tokens and
/// locks.
///
/// # Errors
/// If there is no I/O thread.
pub(super) fn start(
    endpoint: &Arc<Endpoint>,
    connection: &Connection,
) -> Result<Arc<ServiceBusCompanion>> {
    let companion = Arc::new(ServiceBusCompanion::over(endpoint, connection));
    drop(runtime::spawn(run(Arc::clone(&companion)))?);
    Ok(companion)
}

/// Runs until the connection has ended and the jobs in progress are done.
///
/// PHP reconnects only when it needs the connection, not while it processes a job. The service's
/// locks outlive the connection, so this task opens another one for them.
async fn run(companion: Arc<ServiceBusCompanion>) {
    keep(&companion, false).await;
    while companion.locks.has_renewable(Instant::now()) {
        // At once: half of a lock's time may have passed before its renewal finds the connection
        // lost.
        match companion.again(PATIENCE).await {
            Ok(other) => {
                keep(&other, true).await;
                other.connection.begin_close();
                // If the service breaks connections at once, reconnecting must not be as fast.
                tokio::time::sleep(REDIAL / 5).await;
            }
            Err(_) => tokio::time::sleep(REDIAL.mul_f64(0.5 + id::jitter())).await,
        }
    }
}

async fn keep(companion: &ServiceBusCompanion, only_for_locks: bool) {
    while companion.connection.lost().is_none() {
        if only_for_locks && !companion.locks.has_renewable(Instant::now()) {
            return;
        }
        companion.renew_tokens(PATIENCE).await;
        let (due, next) = companion.locks.due(Instant::now());
        if !due.is_empty() {
            for one in due {
                renew(companion, one).await;
            }
            continue;
        }
        let idle = Instant::now() + IDLE;
        let dates = [next, companion.next_renewal(), Some(idle)];
        let wake_at = dates.into_iter().flatten().min().unwrap_or(idle);
        tokio::select! {
            () = tokio::time::sleep_until(wake_at.into()) => {}
            () = companion.locks.wake.notified() => {}
        }
    }
}

async fn renew(companion: &ServiceBusCompanion, due: Due) {
    match &due.what {
        DueKind::Messages(tokens) => {
            for window in tokens.chunks(WINDOW) {
                renew_messages(companion, &due, window).await;
            }
        }
        DueKind::Session(id) => {
            let request = of_session(id, &due.link, PATIENCE);
            let replies = ask(companion, &due.entity, &[request]).await;
            let reply = replies.into_iter().next().flatten();
            let renewal = renewal(reply.as_ref(), session_end);
            companion.locks.renewed(&due.entity, &due.what, renewal);
            tell(companion, &due.entity, renewal);
        }
    }
}

/// One request per lock, as in the service's own libraries: in a request for many, one recently
/// settled message would make all renewals fail.
async fn renew_messages(companion: &ServiceBusCompanion, due: &Due, tokens: &[LockToken]) {
    let held: Vec<LockToken> = tokens
        .iter()
        .filter(|token| companion.locks.holds(token))
        .copied()
        .collect();
    let request = |token: &LockToken| of_message(token, &due.link, PATIENCE);
    let requests: Vec<Request> = held.iter().map(request).collect();
    let mut replies = ask(companion, &due.entity, &requests).await.into_iter();
    for token in held {
        let renewal = renewal(replies.next().flatten().as_ref(), message_end);
        let one = DueKind::Messages(vec![token]);
        companion.locks.renewed(&due.entity, &one, renewal);
        tell(companion, &due.entity, renewal);
    }
}

/// The request to renew the lock on a message.
pub(super) fn of_message(token: &LockToken, link: &str, patience: Duration) -> Request {
    Request::operation("renew-lock", Some(link), patience, |out| {
        write::string(out, "lock-tokens");
        write::uuid_array(out, &[to_uuid(token)]);
        2
    })
}

/// Its new end in the answer, in Unix milliseconds.
pub(super) fn message_end(reply: &Reply) -> Option<i64> {
    let times = reply.items("expirations", |value| value.as_int());
    times.first().copied()
}

/// The request to renew the lock on a session.
pub(super) fn of_session(id: &str, link: &str, patience: Duration) -> Request {
    Request::operation("renew-session-lock", Some(link), patience, |out| {
        write::string(out, "session-id");
        write::string(out, id);
        2
    })
}

/// Its new end in the answer, in Unix milliseconds.
pub(super) fn session_end(reply: &Reply) -> Option<i64> {
    reply.get("expiration", |value| value.as_int())
}

/// Tells of a lock that was renewed or lost.
fn tell(companion: &ServiceBusCompanion, entity: &str, renewal: Renewal) {
    let kind = match renewal {
        Renewal::Until(_) => EventKind::LockRenewed,
        Renewal::Lost => EventKind::LockLost,
        Renewal::Failed => return,
    };
    threads::emit(|| Event {
        queue: Some(entity.to_owned()),
        count: Some(1),
        ..Event::new(kind, companion.connection.label())
    });
}

fn renewal(reply: Option<&Reply>, until: impl FnOnce(&Reply) -> Option<i64>) -> Renewal {
    match reply {
        Some(reply) if reply.is_good() => Renewal::Until(until(reply)),
        Some(reply) if reply.error("").kind() == ErrorKind::TaskLost => Renewal::Lost,
        _ => Renewal::Failed,
    }
}

/// The answers in the order of the requests; `None` if there is none.
async fn ask(
    companion: &ServiceBusCompanion,
    entity: &str,
    requests: &[Request],
) -> Vec<Option<Reply>> {
    // Already done, unless the deliveries came over an earlier connection.
    if companion.authorize_again(entity, PATIENCE).await.is_err() {
        return Vec::new();
    }
    match companion.request_link(&format!("{entity}/{MANAGEMENT}")) {
        Ok(link) => {
            let replies = link.calls_async(requests, PATIENCE).await;
            if let Some(error) = link.failed() {
                companion.note_unauthorized(&error);
            }
            replies
        }
        Err(_) => Vec::new(),
    }
}
