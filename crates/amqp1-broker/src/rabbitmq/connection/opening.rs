//! The broker's open.

use fe2o3_amqp_types::definitions::Fields;
use fe2o3_amqp_types::performatives::Open;
use serde_amqp::primitives::{Array, Symbol};
use serde_amqp::Value;

use crate::amqp::shared::Shared;
use crate::rabbitmq::settings::RabbitMq;
use crate::wire::frame::MIN_MAX_FRAME_SIZE;

/// The broker's product name in its open.
const PRODUCT: &str = "amqp1-broker";
/// Senders may name the address in each message
/// (<https://docs.oasis-open.org/amqp/anonterm/v1.0/anonterm-v1.0.html>).
const ANONYMOUS_RELAY: &str = "ANONYMOUS-RELAY";

pub(super) fn open(shared: &Shared<RabbitMq>) -> Open {
    let settings = &shared.settings;
    let own = || (PRODUCT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let (product, version) = settings.pose_as.clone().unwrap_or_else(own);
    let mut capabilities = vec![Symbol::from(ANONYMOUS_RELAY)];
    if product == "RabbitMQ" {
        capabilities.push(Symbol::from("LINK_PAIR_V1_0"));
    }
    let properties: Fields = [
        ("product", product),
        ("version", version),
        (
            "platform",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (Symbol::from(key), Value::String(value)))
    .collect();
    let idle = u32::try_from(shared.timeouts.idle.as_millis()).unwrap_or(u32::MAX);
    Open {
        container_id: shared.container_id.clone(),
        hostname: None,
        max_frame_size: settings.max_frame_size.max(MIN_MAX_FRAME_SIZE).into(),
        channel_max: settings.max_sessions.saturating_sub(1).into(),
        idle_time_out: (idle > 0).then_some(idle),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: Some(Array::from(capabilities)),
        desired_capabilities: None,
        properties: Some(properties),
    }
}
