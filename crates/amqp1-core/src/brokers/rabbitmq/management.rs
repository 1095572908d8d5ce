//! Requests to the broker's management node over a link pair (RabbitMQ: "AMQP 1.0 management", HTTP
//! semantics over AMQP).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::sync::Mutex;
use crate::base::wait::{Signal, Wait};
use crate::connection::{Connection, Node, RequestLinks};
use crate::error::{Error, Result};
use crate::settings::input::Input;
use crate::wire::message::{section, Body, Message};
use crate::wire::read::{Items, Reader, Value};
use crate::wire::write;

/// The management node.
const NODE: &str = "/management";

/// The most requests in flight: fewer than the credit for their answers.
const WINDOW: usize = 16;

/// A link pair to the management node.
#[derive(Debug, Clone)]
pub(crate) struct Management {
    pair: RequestLinks,
    signal: Signal,
    last_id: Arc<AtomicU64>,
    awaited: Arc<Mutex<HashMap<u64, Option<Response>>>>,
    label: String,
}

/// One of several requests.
#[derive(Debug)]
pub(crate) struct Request {
    verb: &'static str,
    path: String,
    /// One AMQP value.
    body: Vec<u8>,
}

impl Request {
    /// `body` writes one AMQP value. GET and DELETE have null; RabbitMQ ends the session if it is
    /// missing.
    pub fn new(
        verb: &'static str,
        path: impl Into<String>,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let mut written = Vec::new();
        body(&mut written);
        Self {
            verb,
            path: path.into(),
            body: written,
        }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path, write::null)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path, write::null)
    }
}

/// An answer: its HTTP status and its body.
#[derive(Debug)]
pub(crate) struct Response {
    pub status: u16,
    body: Bytes,
}

impl Response {
    /// A number in the body's map.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.find(name, |value| value.as_uint())
    }

    /// A text in the body's map.
    pub fn text(&self, name: &str) -> Option<String> {
        self.find(name, |value| value.as_text().map(str::to_owned))
    }

    /// Any value in the body's map.
    pub fn value(&self, name: &str) -> Option<Input> {
        self.find(name, |value| Some(input(value, 0)))
    }

    /// The items of the body's list.
    pub fn list(&self) -> Vec<Input> {
        match Reader::new(&self.body).value() {
            Ok(Value::List(items)) => {
                let items = items.filter_map(std::result::Result::ok);
                items.map(|item| input(&item, 0)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The items of the body's list, read one by one.
    pub fn items<T>(&self, read: impl FnMut(Value<'_>) -> Option<T>) -> Vec<T> {
        match Reader::new(&self.body).value() {
            Ok(Value::List(items)) => {
                let items = items.filter_map(std::result::Result::ok);
                items.filter_map(read).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The broker's explanation of an error: the body's text.
    pub fn reason(&self) -> String {
        match Reader::new(&self.body).value() {
            Ok(value) => value.as_text().unwrap_or("no reason given").to_owned(),
            Err(_) => "no reason given".to_owned(),
        }
    }

    fn find<T>(&self, name: &str, read: impl Fn(&Value<'_>) -> Option<T>) -> Option<T> {
        let Ok(Value::Map(mut items)) = Reader::new(&self.body).value() else {
            return None;
        };
        find(&mut items, name, read)
    }
}

fn find<T>(items: &mut Items<'_>, name: &str, read: impl Fn(&Value<'_>) -> Option<T>) -> Option<T> {
    while let Ok(Some((key, value))) = items.entry() {
        if key.as_text() == Some(name) {
            return read(&value);
        }
    }
    None
}

/// An AMQP value as a configuration value, for comparison.
fn input(value: &Value<'_>, depth: u8) -> Input {
    if let Some(text) = value.as_text() {
        return Input::Text(text.to_owned());
    }
    if let Some(number) = value.as_int() {
        return Input::Int(number);
    }
    match value {
        Value::Bool(value) => Input::Bool(*value),
        Value::Float(value) => Input::Float(*value),
        Value::List(items) | Value::Array(items) if depth < 8 => {
            let items = items.filter_map(std::result::Result::ok);
            Input::List(items.map(|item| input(&item, depth + 1)).collect())
        }
        Value::Map(items) if depth < 8 => {
            let (mut items, mut entries) = (*items, Vec::new());
            while let Ok(Some((key, value))) = items.entry() {
                let key = key.as_text().unwrap_or_default().to_owned();
                entries.push((key, input(&value, depth + 1)));
            }
            Input::Map(entries)
        }
        _ => Input::Null,
    }
}

impl Management {
    /// Attaches the pair. Does not wait.
    pub fn open(connection: &Connection) -> Result<Self> {
        let signal = Signal::new();
        let pair = RequestLinks::open(connection, &Node::Paired(NODE), signal.clone())?;
        Ok(Self {
            pair,
            signal,
            last_id: Arc::new(AtomicU64::new(0)),
            awaited: Arc::default(),
            label: connection.label().to_owned(),
        })
    }

    /// The error that ended the pair, if it has ended.
    pub fn failed(&self) -> Option<Error> {
        self.pair.failed()
    }

    /// Sends one request and returns its answer, whatever its status. `body` writes one AMQP value.
    /// GET and DELETE have null; RabbitMQ ends the session if it is missing.
    ///
    /// # Errors
    /// Timeout, and the error that ended the link.
    pub fn request(
        &self,
        verb: &str,
        path: &str,
        body: impl FnOnce(&mut Vec<u8>),
        wait: &Wait<'_>,
    ) -> Result<Response> {
        let id = self.send(verb, path, body)?;
        let mut answers = self.answers(&[id], &format!("{verb} {path}"), wait)?;
        answers.pop().ok_or_else(|| Error::timeout("no answer"))
    }

    /// Sends many requests, a window at a time. The broker executes them in order, and the answers
    /// have the same order.
    pub fn request_all(&self, requests: &[Request], wait: &Wait<'_>) -> Result<Vec<Response>> {
        let mut answers = Vec::with_capacity(requests.len());
        for window in requests.chunks(WINDOW) {
            let ids = window
                .iter()
                .map(|request| {
                    let body = |out: &mut Vec<u8>| out.extend_from_slice(&request.body);
                    self.send(request.verb, &request.path, body)
                })
                .collect::<Result<Vec<u64>>>()?;
            let what = format!("{} {}", window[0].verb, window[0].path);
            answers.extend(self.answers(&ids, &what, wait)?);
        }
        Ok(answers)
    }

    /// The number of requests made over the pair.
    #[cfg(test)]
    pub fn requests(&self) -> u64 {
        self.last_id.load(Ordering::Relaxed)
    }

    fn send(&self, verb: &str, path: &str, body: impl FnOnce(&mut Vec<u8>)) -> Result<u64> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.awaited.lock().insert(id, None);
        self.pair.send(request(id, verb, path, body))?;
        Ok(id)
    }

    /// The answers to `ids`. Threads share the pair: one that receives another thread's answer
    /// stores it for that thread.
    fn answers(&self, ids: &[u64], what: &str, wait: &Wait<'_>) -> Result<Vec<Response>> {
        let answered = self.pair.answer(&self.signal, wait, || {
            let mut awaited = self.awaited.lock();
            let mut others = false;
            while let Some(payload) = self.pair.take()? {
                // An answer to a request that timed out earlier is discarded.
                if let Some((id, response)) = response(payload) {
                    if let Some(slot) = awaited.get_mut(&id) {
                        *slot = Some(response);
                        others |= !ids.contains(&id);
                    }
                }
            }
            let complete = ids
                .iter()
                .all(|id| matches!(awaited.get(id), Some(Some(_))));
            drop(awaited);
            if others {
                self.signal.raise();
            }
            Ok(complete.then_some(()))
        });
        let mut awaited = self.awaited.lock();
        let answers: Vec<Response> = ids
            .iter()
            .filter_map(|id| awaited.remove(id).flatten())
            .collect();
        match answered? {
            Some(()) => Ok(answers),
            None => Err(Error::timeout(format!(
                "{}: the broker did not answer {what} in time; it is unknown whether the request took effect",
                self.label
            ))),
        }
    }
}

fn request(id: u64, verb: &str, path: &str, body: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(256);
    write::descriptor(&mut out, section::PROPERTIES);
    write::list(&mut out, |out| {
        write::ulong(out, id);
        write::null(out);
        write::string(out, path);
        write::string(out, verb);
        write::string(out, "$me");
        5
    });
    write::descriptor(&mut out, section::VALUE);
    body(&mut out);
    out.into()
}

fn response(payload: Bytes) -> Option<(u64, Response)> {
    let message = Message::parse(payload).ok()?;
    let properties = message.properties().ok()?;
    let id = properties.correlation_id?.as_uint()?;
    let status = std::str::from_utf8(properties.subject?).ok()?;
    let status = status.parse().ok()?;
    let body = match message.body() {
        Body::Value(range) => message.slice(range),
        _ => Bytes::new(),
    };
    Some((id, Response { status, body }))
}
