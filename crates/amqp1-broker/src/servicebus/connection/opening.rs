//! The broker's open.

use fe2o3_amqp_types::performatives::Open;
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use crate::amqp::shared::Shared;
use crate::servicebus::facts;
use crate::servicebus::settings::ServiceBus;

/// The service's open, with this broker's product name.
pub(super) fn open(shared: &Shared<ServiceBus>) -> Open {
    let idle = shared.timeouts.idle.as_millis();
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    let properties = [
        ("product", facts::PRODUCT),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    let properties = properties
        .map(|(key, value)| (Symbol::from(key), Value::from(value)))
        .into_iter()
        .collect();
    Open {
        container_id: shared.container_id.clone(),
        hostname: None,
        max_frame_size: facts::MAX_FRAME_SIZE.into(),
        channel_max: facts::CHANNEL_MAX.into(),
        idle_time_out: (idle > 0).then_some(idle),
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: Some(properties),
    }
}
