//! Requests for features that the broker lacks, in both dialects: only the request is refused; the
//! connection and its other links are unaffected.
#![cfg(feature = "servicebus")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use amqp1_broker::Broker;
use fe2o3_amqp::frames::amqp::FrameBody;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState, DistributionMode, Source};
use fe2o3_amqp_types::performatives::Transfer;
use support::raw::{attach, disposition, flow, frame, transfer, Raw, MESSAGE};
use support::servicebus::{condition, receiver, send, sender};

const TARGET: &[u8] = b"\x00\x53\x29";
const COORDINATOR: &[u8] = b"\x00\x53\x30";
const ACCEPTED: &[u8] = b"\x00\x53\x24";
const TRANSACTIONAL: &[u8] = b"\x00\x53\x34";

/// Both dialects with the address of a queue.
fn both() -> [(Broker, &'static str); 2] {
    let ordinary = support::broker();
    let service_bus = support::servicebus::broker(|_| {});
    [(ordinary, "/queues/q"), (service_bus, "q")]
}

/// A frame with one type replaced by another.
fn with(mut frame: Vec<u8>, known: &[u8], unknown: &[u8]) -> Vec<u8> {
    let mut places = frame.windows(known.len());
    let at = places.position(|window| window == known).expect("its type");
    frame[at..at + known.len()].copy_from_slice(unknown);
    frame
}

/// The next frame detaches this link with `amqp:not-implemented`; another link still works.
async fn refused(raw: &mut Raw, handle: u32, what: &str) {
    let FrameBody::Detach(detach) = raw.next().await else {
        panic!("{what}: no detach");
    };
    assert_eq!(detach.handle.0, handle, "{what}");
    let error = detach.error.unwrap();
    assert_eq!(condition(&error), "amqp:not-implemented", "{what}");
    assert!(
        error.description.unwrap().contains("transaction"),
        "{what} is named"
    );
}

#[tokio::test]
async fn a_transaction_coordinator_is_refused_and_its_neighbours_live() {
    for (broker, address) in both() {
        let mut raw = Raw::connect(&broker, 1000).await;
        raw.attach(&sender(0, address)).await;
        let link = attach("coordinator", 1, Role::Sender, Some("x"));
        raw.say(&with(frame(0, &link, b""), TARGET, COORDINATOR))
            .await;
        let FrameBody::Attach(answer) = raw.next().await else {
            panic!("no attach");
        };
        assert_eq!((answer.name.as_str(), answer.handle.0), ("coordinator", 1));
        assert!(answer.target.is_none() && answer.source.is_none());
        refused(&mut raw, 1, "coordinator").await;
        let state = send(&mut raw, 0, 0).await;
        assert!(matches!(state, DeliveryState::Accepted(_)));
    }
}

#[tokio::test]
async fn the_state_of_a_transaction_costs_its_link_alone() {
    for (broker, address) in both() {
        let mut raw = Raw::connect(&broker, 1000).await;
        raw.attach(&sender(0, address)).await;
        send(&mut raw, 0, 0).await;
        raw.attach(&receiver(1, address)).await;
        raw.send(&flow(Some(1), 0, 1)).await;
        let (given, _) = raw.transfer().await;
        let id = given.delivery_id.unwrap();
        let settle = frame(0, &disposition(id, id, false), b"");
        raw.say(&with(settle, ACCEPTED, TRANSACTIONAL)).await;
        refused(&mut raw, 1, "disposition").await;

        raw.attach(&sender(2, address)).await;
        let within = Transfer {
            state: Some(DeliveryState::Accepted(Accepted {})),
            ..transfer(2, Some(1), false)
        };
        let within = frame(0, &within, MESSAGE);
        let within = with(within, ACCEPTED, TRANSACTIONAL);
        raw.say(&within).await;
        refused(&mut raw, 2, "transfer").await;
        // Frames that were under way when the link was detached do not detach it again.
        raw.say(&within).await;
        let state = send(&mut raw, 0, 2).await;
        assert!(matches!(state, DeliveryState::Accepted(_)));
    }
}

/// RabbitMQ 4.3.6 answers `move` whatever the peer requests. So does this broker, instead of
/// answering `copy` and then consuming.
#[tokio::test]
async fn a_receiver_that_would_browse_is_told_that_it_consumes() {
    for (broker, address) in both() {
        let mut raw = Raw::connect(&broker, 1000).await;
        let mut browser = receiver(1, address);
        browser.source = Some(Box::new(Source {
            address: Some(address.into()),
            distribution_mode: Some(DistributionMode::Copy),
            ..Source::default()
        }));
        let answer = raw.attach(&browser).await;
        let mode = answer.source.unwrap().distribution_mode;
        assert_eq!(mode, Some(DistributionMode::Move));
    }
}

/// Any other error in a frame is not confined to its link.
#[tokio::test]
async fn a_frame_that_is_wrong_otherwise_still_ends_the_connection() {
    for (broker, address) in both() {
        let mut raw = Raw::connect(&broker, 1000).await;
        // An unknown performative.
        let link = frame(0, &sender(0, address), b"");
        raw.say(&with(link, b"\x00\x53\x12", b"\x00\x53\x77")).await;
        let error = support::servicebus::closed(&mut raw).await;
        assert_eq!(condition(&error), "amqp:decode-error");
    }
}
