//! Requests to a node and their answers: `$cbs`, and each entity's `$management`.
//!
//! PHP's thread asks and waits, and the task of `renewal` asks and awaits. Both share a link: one
//! that receives the other's answer stores it for the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::refusal;
use crate::base::id;
use crate::base::sync::Mutex;
use crate::base::wait::{Signal, Wait};
use crate::connection::{Connection, Node, RequestLinks};
use crate::error::{Error, Result};
use crate::wire::message::{section, Body, Message};
use crate::wire::read::{Items, Reader, Value};
use crate::wire::write;

#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Text application properties.
    pub properties: Vec<(&'static str, String)>,
    /// One AMQP value.
    pub body: Vec<u8>,
}

impl Request {
    /// A management operation. `entries` writes the body's keys and values and returns the count of
    /// both.
    pub fn operation(
        name: &str,
        link: Option<&str>,
        wait: Duration,
        entries: impl FnOnce(&mut Vec<u8>) -> u32,
    ) -> Self {
        let mut body = Vec::with_capacity(128);
        write::map(&mut body, entries);
        let mut properties = vec![("operation", format!("com.microsoft:{name}"))];
        if let Some(link) = link {
            // Makes the service count the operation as activity on the link, so that the link is
            // not idle.
            properties.push(("associated-link-name", link.to_owned()));
        }
        let wait = wait.as_millis().clamp(1, 60_000);
        properties.push((SERVER_TIMEOUT, wait.to_string()));
        Self { properties, body }
    }

    fn encode(&self, id: &str, reply_to: &str) -> Bytes {
        let mut out = Vec::with_capacity(self.body.len() + 256);
        write::descriptor(&mut out, section::PROPERTIES);
        write::list(&mut out, |out| {
            write::string(out, id);
            write::null(out);
            write::null(out);
            write::null(out);
            write::string(out, reply_to);
            5
        });
        write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
        write::map(&mut out, |out| {
            for (name, value) in &self.properties {
                write::string(out, name);
                match (*name, value.parse()) {
                    (SERVER_TIMEOUT, Ok(milliseconds)) => write::uint(out, milliseconds),
                    _ => write::string(out, value),
                }
            }
            self.properties.len() as u32 * 2
        });
        write::descriptor(&mut out, section::VALUE);
        out.extend_from_slice(&self.body);
        out.into()
    }
}

/// How long the service may process a request (uint, milliseconds).
const SERVER_TIMEOUT: &str = "com.microsoft:server-timeout";

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: u16,
    pub description: String,
    pub condition: Option<String>,
    body: Bytes,
}

impl Reply {
    /// Whether the status is 200 or another success.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The error that a failed answer means.
    pub fn error(&self, what: &str) -> Error {
        refusal::of_status(
            what,
            self.status,
            self.condition.as_deref(),
            &self.description,
        )
    }

    /// Calls `read` with the value of `key` in the body's map.
    pub fn get<T>(&self, key: &str, read: impl FnOnce(Value<'_>) -> Option<T>) -> Option<T> {
        let Ok(Value::Map(mut items)) = Reader::new(&self.body).value() else {
            return None;
        };
        find(&mut items, key).and_then(read)
    }

    /// The items of a list or an array in the body's map.
    pub fn items<T>(&self, key: &str, mut read: impl FnMut(Value<'_>) -> Option<T>) -> Vec<T> {
        self.get(key, |value| match value {
            Value::List(items) | Value::Array(items) => {
                Some(items.flatten().filter_map(&mut read).collect())
            }
            _ => None,
        })
        .unwrap_or_default()
    }
}

/// The value of `key` in a map.
pub(crate) fn find<'a>(items: &mut Items<'a>, key: &str) -> Option<Value<'a>> {
    while let Ok(Some((name, value))) = items.entry() {
        if name.as_text() == Some(key) {
            return Some(value);
        }
    }
    None
}

/// Two links to a node.
#[derive(Debug)]
pub(crate) struct RequestLink {
    pair: RequestLinks,
    signal: Signal,
    task: Arc<Notify>,
    reply_to: String,
    last_id: AtomicU64,
    awaited: Mutex<HashMap<u64, Option<Reply>>>,
    label: String,
}

impl RequestLink {
    /// Attaches both links. Does not wait.
    pub fn open(connection: &Connection, node: &str) -> Result<Self> {
        let task = Arc::new(Notify::new());
        let signal = Signal::with_task(Arc::clone(&task));
        let reply_to = format!("amqp1-replies-{}", id::short()?);
        let ends = Node::WithReplies {
            node,
            reply_to: &reply_to,
        };
        let pair = RequestLinks::open(connection, &ends, signal.clone())?;
        Ok(Self {
            pair,
            signal,
            task,
            reply_to,
            last_id: AtomicU64::new(0),
            awaited: Mutex::default(),
            label: format!("{node} of {}", connection.label()),
        })
    }

    /// The error that ended the links, if they have ended.
    pub fn failed(&self) -> Option<Error> {
        self.pair.failed()
    }

    /// Sends a request; returns its number and its size in bytes.
    fn send(&self, request: &Request) -> Result<(u64, usize)> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.awaited.lock().insert(id, None);
        let message = request.encode(&id.to_string(), &self.reply_to);
        let size = message.len();
        if let Err(error) = self.pair.send(message) {
            self.awaited.lock().remove(&id);
            return Err(error);
        }
        Ok((id, size))
    }

    /// The answer to `id`, if it has arrived.
    fn take(&self, id: u64) -> Result<Option<Reply>> {
        let mut awaited = self.awaited.lock();
        let mut others = false;
        while let Some(payload) = self.pair.take()? {
            // Discards an answer that arrived too late; stores one for another thread.
            if let Some((known, reply)) = reply(payload) {
                if let Some(slot) = awaited.get_mut(&known) {
                    *slot = Some(reply);
                    others |= known != id;
                }
            }
        }
        let mine = awaited.get_mut(&id).and_then(Option::take);
        drop(awaited);
        if others {
            self.signal.raise();
        }
        Ok(mine)
    }

    fn forget(&self, id: u64) {
        self.awaited.lock().remove(&id);
    }

    fn in_vain(&self) -> Error {
        Error::timeout(format!(
            "{} did not answer in time; it is unknown whether the request took effect",
            self.label
        ))
    }

    /// Sends one request and returns its answer, whatever its status.
    ///
    /// # Errors
    /// Timeout, and the error that ended the links.
    pub fn call(&self, request: &Request, wait: &Wait<'_>) -> Result<Reply> {
        let (id, size) = self.send(request)?;
        let answer = wait.until(&self.signal, || {
            // The limit is known once the attach is answered. A request that is too large gets no
            // answer.
            let limit = self.pair.max_message_size();
            if limit > 0 && size as u64 > limit {
                return Err(Error::rejected(format!(
                    "{}: the request has {size} bytes, but the service accepts at most {limit}",
                    self.label
                )));
            }
            let answer = self.take(id)?;
            match self.failed() {
                // One of the two links has ended, so no answer can arrive.
                Some(error) if answer.is_none() => Err(error),
                _ => Ok(answer),
            }
        });
        self.forget(id);
        answer?.ok_or_else(|| self.in_vain())
    }

    /// The same from a task. Only one task at a time.
    pub async fn call_async(&self, request: &Request, timeout: Duration) -> Result<Reply> {
        let replies = self
            .calls_async(std::slice::from_ref(request), timeout)
            .await;
        let reply = replies.into_iter().next().flatten();
        reply.ok_or_else(|| self.failed().unwrap_or_else(|| self.in_vain()))
    }

    /// Sends many requests, limited by the credit for answers. Returns the answers in the order of
    /// the requests; `None` if one does not arrive in time.
    pub async fn calls_async(&self, requests: &[Request], timeout: Duration) -> Vec<Option<Reply>> {
        let send = |one| self.send(one).ok().map(|(id, _)| id);
        let ids: Vec<Option<u64>> = requests.iter().map(send).collect();
        let mut replies: Vec<Option<Reply>> = requests.iter().map(|_| None).collect();
        let answered = tokio::time::timeout(timeout, async {
            loop {
                let mut missing = false;
                for (id, reply) in ids.iter().zip(&mut replies) {
                    let (Some(id), None) = (id, &reply) else {
                        continue;
                    };
                    match self.take(*id) {
                        Ok(found) => *reply = found,
                        Err(_) => return,
                    }
                    missing |= reply.is_none();
                }
                if !missing || self.failed().is_some() {
                    return;
                }
                self.task.notified().await;
            }
        });
        // Requests without an answer by then stay unanswered.
        let _ = answered.await;
        ids.into_iter().flatten().for_each(|id| self.forget(id));
        replies
    }
}

/// The answer in a message, and the number of its request.
fn reply(payload: Bytes) -> Option<(u64, Reply)> {
    let message = Message::parse(payload).ok()?;
    let properties = message.properties().ok()?;
    let id = properties.correlation_id?.value().as_text()?.parse().ok()?;
    let (mut status, mut description, mut condition) = (0, String::new(), None);
    let mut items = message.application_properties().ok()??;
    while let Ok(Some((key, value))) = items.entry() {
        // `$cbs` uses hyphens, `$management` capitals.
        match key.as_text() {
            Some("statusCode" | "status-code") => {
                status = value.as_uint().and_then(|code| code.try_into().ok())?;
            }
            Some("statusDescription" | "status-description") => {
                description = value.as_text().unwrap_or_default().to_owned();
            }
            Some("errorCondition" | "error-condition") => {
                condition = value.as_text().map(str::to_owned);
            }
            _ => {}
        }
    }
    let body = match message.body() {
        Body::Value(range) => message.slice(range),
        _ => Bytes::new(),
    };
    let reply = Reply {
        status,
        description,
        condition,
        body,
    };
    Some((id, reply))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_what_the_service_reads() {
        let request =
            Request::operation("renew-lock", Some("link"), Duration::from_secs(2), |out| {
                write::string(out, "lock-tokens");
                write::uuid_array(out, &[[7; 16]]);
                2
            });
        let message = Message::parse(request.encode("1", "replies")).unwrap();
        let mut properties = message.application_properties().unwrap().unwrap();
        let entry = properties.entry().unwrap().unwrap();
        assert_eq!(entry.1, Value::Text("com.microsoft:renew-lock"));
        let Body::Value(range) = message.body() else {
            panic!("not a value");
        };
        let body = message.slice(range);
        let Value::Map(mut map) = Reader::new(&body).value().unwrap() else {
            panic!("not a map");
        };
        let (_, Value::Array(mut tokens)) = map.entry().unwrap().unwrap() else {
            panic!("not an array");
        };
        assert_eq!(tokens.next().unwrap().unwrap(), Value::Uuid([7; 16]));
    }

    fn answer(status: &str) -> Bytes {
        let mut out = Vec::new();
        write::descriptor(&mut out, section::PROPERTIES);
        write::list(&mut out, |out| {
            (0..5).for_each(|_| write::null(out));
            write::string(out, "12");
            6
        });
        write::descriptor(&mut out, section::APPLICATION_PROPERTIES);
        write::map(&mut out, |out| {
            write::string(out, status);
            write::int(out, 410);
            write::string(out, "errorCondition");
            write::symbol(out, "com.microsoft:message-lock-lost");
            4
        });
        write::descriptor(&mut out, section::VALUE);
        write::map(&mut out, |out| {
            write::string(out, "n");
            write::long(out, 5);
            2
        });
        out.into()
    }

    #[test]
    fn answers_of_both_kinds_of_node() {
        for name in ["statusCode", "status-code"] {
            let (id, reply) = reply(answer(name)).unwrap();
            assert_eq!((id, reply.status), (12, 410));
            let error = reply.error("x");
            assert_eq!(error.kind(), crate::ErrorKind::TaskLost);
            assert_eq!(reply.get("n", |n| n.as_int()), Some(5));
        }
    }
}
