//! The management node: the part of RabbitMQ 4's HTTP-like requests over AMQP that concerns queues,
//! exchanges and bindings (<https://www.rabbitmq.com/docs/management-over-amqp>). Names no
//! connection.

mod answer;
mod bindings;
mod exchanges;
mod queues;
mod request;

use serde_amqp::Value;

use crate::amqp::ids::ConnectionId;
use crate::rabbitmq::model::address::segment;
use crate::rabbitmq::model::store::Store;
pub(crate) use answer::Answer;
use request::Map;

/// Executes a request: `verb` is its subject, `path` its to. `body` is null if the request has no
/// amqp-value section.
pub(crate) fn answer(
    store: &mut Store,
    connection: ConnectionId,
    verb: &str,
    path: &str,
    body: Option<Value>,
) -> Answer {
    route(store, connection, verb, path, body).unwrap_or_else(|refusal| refusal)
}

fn route(
    store: &mut Store,
    connection: ConnectionId,
    verb: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, Answer> {
    let Some(body) = body else {
        return Err(Answer::error(400, "the request has no amqp-value body"));
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let decode = |encoded: &str| segment(encoded).map_err(|e| Answer::error(400, e));
    match (verb, &segments[..]) {
        ("PUT", ["queues", queue]) => {
            queues::put(store, connection, &decode(queue)?, &Map::new(body)?)
        }
        ("GET", ["queues", queue]) => queues::get(store, &decode(queue)?),
        ("DELETE", ["queues", queue]) => queues::delete(store, connection, &decode(queue)?),
        ("GET", ["queues", queue, "messages"]) => {
            queues::peek(store, connection, &decode(queue)?, query)
        }
        ("DELETE", ["queues", queue, "messages"]) => queues::purge(store, &decode(queue)?),
        ("PUT", ["exchanges", exchange]) => {
            exchanges::put(store, &decode(exchange)?, &Map::new(body)?)
        }
        ("DELETE", ["exchanges", exchange]) => exchanges::delete(store, &decode(exchange)?),
        ("POST", ["bindings"]) => bindings::post(store, &Map::new(body)?),
        ("GET", ["bindings"]) => bindings::get(store, query),
        ("DELETE", ["bindings", binding]) => bindings::delete(store, binding),
        (
            _,
            ["queues" | "exchanges", _]
            | ["queues", _, "messages"]
            | ["bindings"]
            | ["bindings", _],
        ) => Err(Answer::error(
            405,
            format!("{verb} is not allowed on {path}"),
        )),
        _ => Err(Answer::error(404, format!("no resource '{path}'"))),
    }
}

#[cfg(test)]
mod tests;
