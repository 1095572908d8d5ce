//! `/bindings`: bindings of queues to exchanges.

use serde_amqp::{primitives::OrderedMap, Value};

use super::answer::Answer;
use super::request::{fields, map, needed, Map};
use crate::rabbitmq::model::exchange::Binding;
use crate::rabbitmq::model::store::Store;

/// 204 if the queue is now bound, 404 if it or the exchange does not exist, 400 if the request is
/// invalid.
pub(super) fn post(store: &mut Store, body: &Map) -> Result<Answer, Answer> {
    body.only(&["source", "destination_queue", "binding_key", "arguments"])?;
    let needed = |key: &str| {
        body.text(key)?
            .ok_or_else(|| Answer::error(400, format!("the body has no '{key}'")))
    };
    let (source, queue) = (needed("source")?, needed("destination_queue")?);
    let key = body.text("binding_key")?.unwrap_or_default();
    if let Some(argument) = body.arguments()?.keys().next() {
        return Err(Answer::error(400, format!("unknown argument '{argument}'")));
    }
    if store.queue(&queue).is_none() {
        return Err(Answer::not_found("queue", &queue));
    }
    match store.exchanges.get_mut(&source) {
        Some(exchange) => {
            exchange.bindings.insert(Binding { queue, key });
            Ok(Answer::no_content())
        }
        None => Err(Answer::not_found("exchange", &source)),
    }
}

/// 200 with the bindings from `src` to `dstq`; a `key` limits them to that key.
pub(super) fn get(store: &Store, query: &str) -> Result<Answer, Answer> {
    let fields = fields(query, '&')?;
    let source = needed(&fields, "src")?;
    let queue = needed(&fields, "dstq")?;
    let key = fields.get("key");
    let bindings = store
        .exchanges
        .get(source)
        .map(|exchange| &exchange.bindings);
    let found = bindings
        .into_iter()
        .flatten()
        .filter(|binding| binding.queue == *queue && key.is_none_or(|key| binding.key == *key))
        .map(|binding| {
            map([
                ("source", Value::from(source.as_str())),
                ("destination_queue", Value::from(binding.queue.as_str())),
                ("binding_key", Value::from(binding.key.as_str())),
                ("arguments", Value::Map(OrderedMap::new())),
            ])
        });
    Ok(Answer::new(200, Value::List(found.collect())))
}

/// 204, even if there is no such binding. The binding is `src=x;dstq=q;key=k;args=`.
pub(super) fn delete(store: &mut Store, binding: &str) -> Result<Answer, Answer> {
    let fields = fields(binding, ';')?;
    let source = needed(&fields, "src")?;
    let binding = Binding {
        queue: needed(&fields, "dstq")?.clone(),
        key: needed(&fields, "key")?.clone(),
    };
    if let Some(exchange) = store.exchanges.get_mut(source) {
        exchange.bindings.remove(&binding);
    }
    Ok(Answer::no_content())
}
