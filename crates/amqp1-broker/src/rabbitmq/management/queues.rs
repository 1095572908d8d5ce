//! `/queues/{queue}` and `/queues/{queue}/messages`.

use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::answer::Answer;
use super::request::{arguments, fields, map, needed, Map};
use crate::amqp::ids::ConnectionId;
use crate::rabbitmq::model::arguments::Declaration;
use crate::rabbitmq::model::queue::peeking::Shown;
use crate::rabbitmq::model::queue::Queue;
use crate::rabbitmq::model::store::Store;

/// The type that GET reports for a queue declared without one: all queues treat acquired and
/// returned messages like a quorum queue.
const QUEUE_TYPE: &str = "quorum";

/// An answer has at most this many bytes of messages, unless its first one is larger.
const MOST_PEEKED: usize = 1024 * 1024;

/// 201 if the queue was created, 200 if it is identical, 409 if it differs, 400 if the declaration
/// is invalid.
pub(super) fn put(
    store: &mut Store,
    connection: ConnectionId,
    name: &str,
    body: &Map,
) -> Result<Answer, Answer> {
    if name.is_empty() {
        return Err(Answer::error(400, "a queue needs a name"));
    }
    body.only(&["durable", "exclusive", "auto_delete", "arguments"])?;
    let exclusive = body.flag("exclusive", false)?;
    let declaration = Declaration::new(
        body.flag("durable", true)?,
        exclusive,
        body.flag("auto_delete", false)?,
        body.arguments()?,
    )
    .map_err(|e| Answer::error(400, e))?;
    allowed(store, connection, name)?;
    if let Some(queue) = store.queue(name) {
        return if queue.declaration.same_as(&declaration) {
            Ok(Answer::new(200, describe(queue)))
        } else {
            Err(Answer::error(
                409,
                format!("queue '{name}' exists with other flags or arguments"),
            ))
        };
    }
    store.create_queue(name, declaration, exclusive.then_some(connection));
    let queue = store.queue(name).map_or(Value::Null, describe);
    Ok(Answer::new(201, queue))
}

/// 200 with the queue's state, or 404.
pub(super) fn get(store: &Store, name: &str) -> Result<Answer, Answer> {
    match store.queue(name) {
        Some(queue) => Ok(Answer::new(200, describe(queue))),
        None => Err(Answer::not_found("queue", name)),
    }
}

/// 200 with the number of deleted messages, even if there is no such queue.
pub(super) fn delete(
    store: &mut Store,
    connection: ConnectionId,
    name: &str,
) -> Result<Answer, Answer> {
    allowed(store, connection, name)?;
    Ok(counted(store.delete_queue(name).unwrap_or(0)))
}

/// 200 with the number of dropped ready messages, or 404.
pub(super) fn purge(store: &mut Store, name: &str) -> Result<Answer, Answer> {
    match store.purge(name) {
        Some(purged) => Ok(counted(purged)),
        None => Err(Answer::not_found("queue", name)),
    }
}

/// 200 with messages as they are: up to `count`, from the number `from` on. RabbitMQ has no such
/// request. 403 if the queue is exclusive to another connection, or 404.
pub(super) fn peek(
    store: &Store,
    connection: ConnectionId,
    name: &str,
    query: &str,
) -> Result<Answer, Answer> {
    let fields = fields(query, '&')?;
    let number = |field: &str| {
        let text = needed(&fields, field)?;
        let wrong = |_| Answer::error(400, format!("'{field}' is not a number"));
        text.parse::<u64>().map_err(wrong)
    };
    let (from, count) = (number("from")?, number("count")?);
    allowed(store, connection, name)?;
    let queue = store.queue(name);
    let queue = queue.ok_or_else(|| Answer::not_found("queue", name))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let messages = queue.peek(from, count, MOST_PEEKED);
    let messages = messages.into_iter().map(|(number, state, message)| {
        let state = match state {
            Shown::Active => "active",
            Shown::Scheduled => "scheduled",
        };
        map([
            ("number", Value::Ulong(number)),
            ("state", Value::from(state)),
            ("message", Value::Binary(ByteBuf::from(message))),
        ])
    });
    Ok(Answer::new(200, Value::List(messages.collect())))
}

fn counted(messages: u64) -> Answer {
    Answer::new(200, map([("message_count", Value::Ulong(messages))]))
}

/// Status 403 if the queue is exclusive to another connection.
fn allowed(store: &Store, connection: ConnectionId, name: &str) -> Result<(), Answer> {
    if store.is_locked(name, connection) {
        Err(Answer::error(
            403,
            format!("queue '{name}' is exclusive to another connection"),
        ))
    } else {
        Ok(())
    }
}

fn describe(queue: &Queue) -> Value {
    let counts = queue.counts();
    let declaration = &queue.declaration;
    map([
        ("name", Value::from(&*queue.name)),
        ("vhost", Value::from("/")),
        ("durable", Value::Bool(declaration.durable)),
        ("exclusive", Value::Bool(declaration.exclusive)),
        ("auto_delete", Value::Bool(declaration.auto_delete)),
        (
            "type",
            Value::from(declaration.queue_type.as_deref().unwrap_or(QUEUE_TYPE)),
        ),
        ("arguments", arguments(&declaration.arguments)),
        ("message_count", Value::Ulong(counts.ready)),
        ("delayed_count", Value::Ulong(counts.delayed)),
        ("unsettled_count", Value::Ulong(counts.unsettled)),
        ("consumer_count", Value::Uint(counts.consumers)),
    ])
}
