//! Dynamic nodes: the broker makes a queue for a receiver's link, and deletes it with the link.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use amqp1_broker::Broker;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Attach, Detach};
use support::raw::{attach, flow, transfer, Raw, MESSAGE};
use support::*;

fn dynamic(name: &str, handle: u32) -> Attach {
    let mut attach = attach(name, handle, Role::Receiver, None);
    let source = attach.source.as_mut().expect("a source");
    (source.address, source.dynamic) = (None, true);
    attach
}

async fn address_of(raw: &mut Raw, name: &str, handle: u32) -> String {
    let answer = raw.attach(&dynamic(name, handle)).await;
    let source = answer.source.expect("a source");
    assert!(source.dynamic);
    source.address.expect("an address")
}

/// Whether another connection cannot attach like this.
async fn is_refused(broker: &Broker, attach: &Attach) -> bool {
    let mut raw = Raw::connect(broker, 100).await;
    raw.send(attach).await;
    match raw.next().await {
        FrameBody::Attach(answer) => answer.source.is_none() || answer.target.is_none(),
        FrameBody::End(_) => true,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_link_gets_a_queue_of_its_own_that_goes_away_with_it() {
    let broker = broker_with(|_| {});
    let mut raw = Raw::connect(&broker, 100).await;
    let first = address_of(&mut raw, "one", 1).await;
    let second = address_of(&mut raw, "two", 2).await;
    assert_ne!(first, second);

    raw.attach(&attach("s", 0, Role::Sender, Some(&first)))
        .await;
    raw.send(&flow(Some(1), 0, 10)).await;
    raw.send_with(&transfer(0, Some(0), false), MESSAGE).await;
    assert!(matches!(raw.next().await, FrameBody::Disposition(_)));
    let (transfer, _) = raw.transfer().await;
    assert_eq!(transfer.handle, Handle(1));

    let detach = Detach {
        handle: Handle(1),
        closed: true,
        error: None,
    };
    raw.send(&detach).await;
    // The sender's link ends as well, because its queue is gone.
    let mut gone = 0;
    while gone < 2 {
        gone += usize::from(matches!(raw.next().await, FrameBody::Detach(_)));
    }
    // Not created by being used, as other queues are.
    assert!(is_refused(&broker, &attach("late", 0, Role::Sender, Some(&first))).await);
    assert!(!is_refused(&broker, &attach("other", 0, Role::Sender, Some("other"))).await);
}

#[tokio::test]
async fn it_belongs_to_its_connection() {
    let broker = broker_with(|_| {});
    let mut raw = Raw::connect(&broker, 100).await;
    let address = address_of(&mut raw, "one", 1).await;
    assert!(is_refused(&broker, &attach("r", 1, Role::Receiver, Some(&address))).await);
    assert!(!is_refused(&broker, &attach("s", 0, Role::Sender, Some(&address))).await);
}
