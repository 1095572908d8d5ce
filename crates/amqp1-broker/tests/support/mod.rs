//! A broker in memory, with two clients: fe2o3-amqp's own, and one of raw frames.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod raw;
#[cfg(feature = "servicebus")]
pub mod servicebus;

use std::future::Future;
use std::time::Duration;

use amqp1_broker::{Broker, Options, QueueCounts};
use fe2o3_amqp::connection::{Connection, ConnectionHandle};
use fe2o3_amqp::link::delivery::Delivery;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::messaging::{Body, Data, Message, Outcome};
use fe2o3_amqp::{Receiver, Sender};
use serde_amqp::Value;
use tokio::io::DuplexStream;

/// The timeout of any step, so that a test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Awaits with this timeout.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took too long"),
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub fn broker() -> Broker {
    Broker::new("test")
}

pub fn broker_with(change: impl FnOnce(&mut Options)) -> Broker {
    let mut options = Options::default();
    change(&mut options);
    Broker::with_options("test", options)
}

/// A stream whose other end the broker serves.
pub fn stream(broker: &Broker) -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let broker = broker.clone();
    tokio::spawn(async move { broker.serve(server).await });
    client
}

pub struct Client {
    pub connection: ConnectionHandle<()>,
    pub session: SessionHandle<()>,
}

pub async fn connect(broker: &Broker) -> Client {
    let connection = Connection::builder()
        .container_id("client")
        .open_with_stream(stream(broker));
    let mut connection = soon("open", connection).await.unwrap();
    let session = soon("begin", Session::begin(&mut connection))
        .await
        .unwrap();
    Client {
        connection,
        session,
    }
}

impl Client {
    pub async fn sender(&mut self, address: &str) -> Sender {
        let name = format!("to {address}");
        soon("attach", Sender::attach(&mut self.session, name, address))
            .await
            .unwrap()
    }

    /// A receiver with this much credit, which is not refilled automatically.
    pub async fn receiver(&mut self, address: &str, credit: u32) -> Receiver {
        let receiver = Receiver::builder()
            .name(format!("from {address} {credit}"))
            .source(address)
            .credit_mode(CreditMode::Manual)
            .attach(&mut self.session);
        let mut receiver = soon("attach", receiver).await.unwrap();
        receiver.set_credit(credit).await.unwrap();
        receiver
    }

    pub async fn close(mut self) {
        soon("end", self.session.end()).await.unwrap();
        soon("close", self.connection.close()).await.unwrap();
    }
}

pub fn text(body: &str) -> Message<Data> {
    Message::from(Data(body.as_bytes().to_vec().into()))
}

pub async fn send(sender: &mut Sender, body: &str) -> Outcome {
    soon("send", sender.send(text(body))).await.unwrap()
}

pub async fn recv(receiver: &mut Receiver) -> Delivery<Body<Value>> {
    soon("recv", receiver.recv()).await.unwrap()
}

pub fn body(delivery: &Delivery<Body<Value>>) -> String {
    match delivery.body() {
        Body::Data(data) => {
            let octets: Vec<u8> = data.iter().flat_map(|d| d.0.iter().copied()).collect();
            String::from_utf8(octets).unwrap()
        }
        other => panic!("not a data body: {other:?}"),
    }
}

/// No delivery arrives within a time in which one normally would.
pub async fn silent(receiver: &mut Receiver) {
    let wait = tokio::time::timeout(Duration::from_millis(60), receiver.recv::<Body<Value>>());
    if let Ok(delivery) = wait.await {
        panic!("a delivery without leave: {:?}", delivery.map(|d| body(&d)));
    }
}

pub fn counts(broker: &Broker, queue: &str) -> QueueCounts {
    broker.queue_counts(queue).unwrap()
}

pub fn ready(broker: &Broker, queue: &str) -> u64 {
    broker.queue_counts(queue).map_or(0, |counts| counts.ready)
}
