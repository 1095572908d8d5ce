//! The task that renews tokens and locks of one connection, whatever PHP does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::constants::MANAGEMENT;
use super::locks::{to_uuid, Due, DueKind, Renewal};
use super::request::{Reply, Request};
use crate::error::{ErrorKind, Result};
use crate::wire::read::Value;
use crate::wire::write;

/// How long one renewal may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Before another attempt at a token.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// It looks whether the connection still stands so often, when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Until the connection is over.
pub(super) async fn run(client: Arc<Client>) {
    while client.connection.lost().is_none() {
        client.renew_tokens(PATIENCE).await;
        let (due, next) = client.locks.due(Instant::now());
        if !due.is_empty() {
            for one in due {
                renew(&client, one).await;
            }
            continue;
        }
        let idle = Instant::now() + IDLE;
        let dates = [next, client.next_renewal(), Some(idle)];
        let wake_at = dates.into_iter().flatten().min().unwrap_or(idle);
        tokio::select! {
            () = tokio::time::sleep_until(wake_at.into()) => {}
            () = client.locks.wake.notified() => {}
        }
    }
}

async fn renew(client: &Client, due: Due) {
    match &due.what {
        DueKind::Messages(tokens) if tokens.len() > 1 => {
            let result = attempt(client, &due).await;
            client.locks.renewed(&due.what, result);
            if result == Renewal::Lost {
                // One of them is: the others are not to suffer for it.
                for token in tokens {
                    let one = Due {
                        entity: Arc::clone(&due.entity),
                        link: Arc::clone(&due.link),
                        what: DueKind::Messages(vec![*token]),
                    };
                    let result = attempt(client, &one).await;
                    client.locks.renewed(&one.what, result);
                }
            }
        }
        _ => {
            let result = attempt(client, &due).await;
            client.locks.renewed(&due.what, result);
        }
    }
}

async fn attempt(client: &Client, due: &Due) -> Renewal {
    match ask(client, due).await {
        Ok(reply) if reply.is_good() => Renewal::Until(match due.what {
            DueKind::Messages(_) => {
                let times = reply.items("expirations", time);
                times.into_iter().min()
            }
            DueKind::Session(_) => reply.get("expiration", time),
        }),
        Ok(reply) if reply.error("").kind() == ErrorKind::TaskLost => Renewal::Lost,
        Ok(_) | Err(_) => Renewal::Failed,
    }
}

fn time(value: Value<'_>) -> Option<i64> {
    value.as_int()
}

async fn ask(client: &Client, due: &Due) -> Result<Reply> {
    let link = Some(&*due.link);
    let request = match &due.what {
        DueKind::Messages(tokens) => {
            let uuids: Vec<[u8; 16]> = tokens.iter().map(to_uuid).collect();
            Request::operation("renew-lock", link, PATIENCE, |out| {
                write::string(out, "lock-tokens");
                write::uuid_array(out, &uuids);
                2
            })
        }
        DueKind::Session(id) => Request::operation("renew-session-lock", link, PATIENCE, |out| {
            write::string(out, "session-id");
            write::string(out, id);
            2
        }),
    };
    // The entity is authorized: the deliveries came from it.
    let link = client.request_link(&format!("{}/{MANAGEMENT}", due.entity))?;
    link.call_async(&request, PATIENCE).await
}
