//! Helpers for raw-frame tests of the Service Bus dialect: links, tokens, requests and answers.

use std::time::Duration;

use amqp1_broker::servicebus::settings::{QueueSettings, ServiceBus};
use amqp1_broker::{Broker, Options};
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{Error, Fields, ReceiverSettleMode, Role};
use fe2o3_amqp_types::messaging::{
    AmqpValue, ApplicationProperties, DeliveryState, FilterSet, Properties, Source,
};
use fe2o3_amqp_types::performatives::{Attach, Disposition};
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::primitives::OrderedMap;
use serde_amqp::Value;

use super::raw::{attach, flow, transfer, Raw, MESSAGE};

pub const SECOND: Duration = Duration::from_secs(1);

pub fn broker(change: impl FnOnce(&mut ServiceBus)) -> Broker {
    let mut settings = ServiceBus::default();
    change(&mut settings);
    Broker::with_options(
        "test",
        Options {
            service_bus: Some(settings),
            ..Options::default()
        },
    )
}

pub fn with_queue(queue: QueueSettings) -> Broker {
    broker(|s| s.queues = vec![("q".into(), queue)])
}

pub async fn connect(broker: &Broker) -> Raw {
    Raw::connect(broker, 1000).await
}

/// Sends a message on its own link; returns the broker's disposition.
pub async fn send(raw: &mut Raw, handle: u32, id: u32) -> DeliveryState {
    raw.send_with(&transfer(handle, Some(id), false), MESSAGE)
        .await;
    let disposition = disposed(raw).await;
    assert_eq!((disposition.first, disposition.settled), (id, true));
    disposition.state.unwrap()
}

pub async fn disposed(raw: &mut Raw) -> Disposition {
    match raw.next().await {
        FrameBody::Disposition(disposition) => disposition,
        other => panic!("no disposition: {other:?}"),
    }
}

pub async fn detached(raw: &mut Raw) -> Error {
    match raw.next().await {
        FrameBody::Detach(detach) => {
            assert!(detach.closed);
            detach.error.unwrap()
        }
        other => panic!("no detach: {other:?}"),
    }
}

pub async fn closed(raw: &mut Raw) -> Error {
    match raw.next().await {
        FrameBody::Close(close) => close.error.unwrap(),
        other => panic!("no close: {other:?}"),
    }
}

pub fn condition(error: &Error) -> String {
    match serde_amqp::to_value(&error.condition).unwrap() {
        Value::Symbol(symbol) => symbol.0,
        other => panic!("{other:?}"),
    }
}

pub fn receiver(handle: u32, address: &str) -> Attach {
    let mut attach = attach(
        &format!("from {handle}"),
        handle,
        Role::Receiver,
        Some(address),
    );
    attach.rcv_settle_mode = ReceiverSettleMode::Second;
    attach
}

pub fn sender(handle: u32, address: &str) -> Attach {
    attach(&format!("to {handle}"), handle, Role::Sender, Some(address))
}

pub fn session_receiver(handle: u32, session: Value, timeout: u32) -> Attach {
    let mut attach = receiver(handle, "q");
    let mut filter = FilterSet::new();
    filter.insert("com.microsoft:session-filter".into(), session);
    attach.source = Some(Box::new(Source {
        address: Some("q".into()),
        filter: Some(filter),
        ..Source::default()
    }));
    let mut properties = Fields::new();
    properties.insert("com.microsoft:timeout".into(), Value::Uint(timeout));
    attach.properties = Some(properties);
    attach
}

/// The header of a delivered message.
pub fn delivery_count(payload: &[u8]) -> u32 {
    // The broker encodes it by hand, with the count as the last field.
    let size = usize::from(payload[4]);
    u32::from_be_bytes(payload[5 + size - 4..5 + size].try_into().unwrap())
}

pub fn application(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut map = OrderedMap::new();
    for (key, value) in pairs {
        map.insert((*key).to_owned(), SimpleValue::String((*value).to_owned()));
    }
    serde_amqp::to_vec(&ApplicationProperties(map)).unwrap()
}

pub fn request(reply_to: &str, pairs: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let properties = Properties {
        message_id: Some(7u64.into()),
        reply_to: Some(reply_to.into()),
        ..Properties::default()
    };
    let mut out = serde_amqp::to_vec(&properties).unwrap();
    out.extend(application(pairs));
    out.extend(serde_amqp::to_vec(&AmqpValue(body.clone())).unwrap());
    out
}

/// A token like azure-servicebus's, for `sb://localhost/q` until `expiry`.
pub fn token(key: &str, expiry: u64) -> String {
    use base64::Engine as _;
    let resource = "sb%3A%2F%2Flocalhost%2Fq";
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    let signature = ring::hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(signature.as_ref());
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=RootManageSharedAccessKey")
}

pub fn seconds_from_now(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() + seconds
}

/// Puts a token; returns the answer's status.
pub async fn put_token(raw: &mut Raw, token: &str) -> i32 {
    raw.attach(&sender(0, "$cbs")).await;
    raw.attach(&receiver(1, "$cbs")).await;
    raw.send(&flow(Some(1), 0, 10)).await;
    let pairs = [
        ("operation", "put-token"),
        ("type", "servicebus.windows.net:sastoken"),
        ("name", "sb://localhost/q"),
    ];
    let request = request("nowhere", &pairs, &Value::String(token.into()));
    raw.send_with(&transfer(0, Some(0), false), &request).await;
    disposed(raw).await;
    let (answer, payload) = raw.transfer().await;
    assert_eq!(answer.settled, Some(true));
    status(&payload, "status-code")
}

/// A named int in the application properties.
pub fn status(payload: &[u8], name: &str) -> i32 {
    let at = payload
        .windows(name.len())
        .position(|w| w == name.as_bytes())
        .unwrap_or_else(|| panic!("no {name}"));
    let value = &payload[at + name.len()..];
    serde_amqp::from_slice(value).unwrap()
}
