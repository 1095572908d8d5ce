//! `/exchanges/{exchange}`.

use super::answer::Answer;
use super::request::Map;
use crate::rabbitmq::model::exchange::{Exchange, ExchangeType};
use crate::rabbitmq::model::store::Store;

/// Exchanges with this prefix are the broker's own.
const RESERVED: &str = "amq.";

/// 204 if the exchange was created or is identical, 409 if it differs, 400 if the declaration is
/// invalid, 403 for a reserved name.
pub(super) fn put(store: &mut Store, name: &str, body: &Map) -> Result<Answer, Answer> {
    changeable(name)?;
    body.only(&["type", "durable", "auto_delete", "internal", "arguments"])?;
    let kind = body.text("type")?.unwrap_or_else(|| "direct".to_owned());
    let Some(kind) = ExchangeType::parse(&kind) else {
        let e =
            format!("exchange type '{kind}' is none of direct, fanout, topic, x-delayed-message");
        return Err(Answer::error(400, e));
    };
    let exchange = Exchange {
        durable: body.flag("durable", true)?,
        auto_delete: body.flag("auto_delete", false)?,
        internal: body.flag("internal", false)?,
        arguments: body.arguments()?,
        ..Exchange::new(kind)
    };
    // The broker implements none of RabbitMQ's own arguments (alternate-exchange), and does not
    // accept what it does not implement. The plugin's argument selects the routing behind it, which
    // is always direct here.
    let known = |argument: &str| kind == ExchangeType::Delayed && argument == "x-delayed-type";
    if let Some(argument) = exchange.arguments.keys().find(|argument| !known(argument)) {
        return Err(Answer::error(400, format!("unknown argument '{argument}'")));
    }
    match store.exchanges.get(name) {
        Some(existing) if existing.same_as(&exchange) => Ok(Answer::no_content()),
        Some(_) => Err(Answer::error(
            409,
            format!("exchange '{name}' exists with another type or other flags"),
        )),
        None => {
            store.exchanges.insert(name.to_owned(), exchange);
            Ok(Answer::no_content())
        }
    }
}

/// 204, even if there is no such exchange.
pub(super) fn delete(store: &mut Store, name: &str) -> Result<Answer, Answer> {
    changeable(name)?;
    store.exchanges.remove(name);
    Ok(Answer::no_content())
}

fn changeable(name: &str) -> Result<(), Answer> {
    if name.is_empty() || name.starts_with(RESERVED) {
        Err(Answer::error(403, format!("exchange '{name}' is reserved")))
    } else {
        Ok(())
    }
}
