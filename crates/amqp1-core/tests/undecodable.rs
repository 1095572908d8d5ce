//! Messages that are not valid jobs: they are dead-lettered with the reason, and consuming
//! continues.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "support/calls.rs"]
mod calls;
#[allow(dead_code)]
#[path = "support/peer.rs"]
mod peer;

use std::time::Duration;

use amqp1_core::wire::frame::{Frame, State};
use amqp1_core::{Consumer, ConsumerOptions, Wait};
use calls::{condition, consume, consume_some, job, nested, queue, second, TOO_LONG};
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::messaging::TargetArchetype;
use fe2o3_amqp_types::performatives::Detach;
use peer::{begin, flow, message, open, Peer, Talk, AMQP};

#[test]
fn a_flood_of_undecodable_messages_does_not_outlast_the_deadline() {
    let peer = Peer::start(|talk| {
        talk.attached(0)?;
        // More credit than is ever used, because the client renews it when it rejects.
        let mut id = 0;
        let mut reader = talk.stream.try_clone().ok()?;
        std::thread::spawn(move || {
            let mut sink = [0; 64 * 1024];
            while matches!(std::io::Read::read(&mut reader, &mut sink), Ok(1..)) {}
        });
        loop {
            talk.transfer(3, Some(id), false, b"\xffno message")?;
            id += 1;
        }
    });
    let got = consume("poison", &peer, 60_000);
    assert!(got.map_or(true, |got| got.is_empty()));
}

/// An amqp-value that every broker accepts, but nested too deeply to be converted.
fn undecodable() -> Vec<u8> {
    [&[0x00, 0x53, 0x77][..], &nested(200)].concat()
}

#[test]
fn an_undecodable_message_is_rejected_with_the_reason_where_there_is_no_failed_queue() {
    let (told, reasons) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let peer = Peer::start(move |talk| {
        talk.attached(0)?;
        if talk.link.0 == Role::Sender {
            // The failed queue: there is none.
            let error = condition();
            talk.say(
                0,
                &Detach {
                    handle: Handle(3),
                    closed: true,
                    error,
                },
            )?;
            return talk.wait();
        }
        talk.transfer(3, Some(0), false, &undecodable())?;
        talk.transfer(3, Some(1), false, &message(b"good"))?;
        loop {
            if let Frame::Disposition(settled) = talk.hear()? {
                told.lock().unwrap().send(settled).ok()?;
            }
        }
    });
    let got = consume_some("undecodable", &peer, 5, 1).unwrap();
    assert_eq!(got.len(), 1, "consuming goes on");
    assert_eq!(got[0].body(), b"good");
    let settled = reasons.recv_timeout(TOO_LONG).unwrap();
    let Some(State::Rejected(Some((condition, why)))) = settled.state else {
        panic!("not rejected: {settled:?}");
    };
    assert_eq!(condition, "amqp:decode-error");
    assert!(why.unwrap().contains("nested too deeply"));
}

#[test]
fn an_undecodable_message_is_in_the_failed_queue_with_the_reason() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = amqp1_broker::Broker::new("poisoned");
    runtime.spawn({
        let broker = broker.clone();
        async move { broker.listen(listener).await }
    });
    let queue = queue(&format!("amqp://127.0.0.1:{port}?timeout=10"));
    queue.setup(&second()).unwrap();

    // Only raw frames can contain it: the client never writes such a message.
    let mut talk = Talk::connect(port);
    talk.raw(AMQP).unwrap();
    talk.say(0, &open()).unwrap();
    let mut ours = begin(0);
    ours.remote_channel = None;
    talk.say(0, &ours).unwrap();
    talk.link = (Role::Receiver, "poison".to_owned());
    let mut attach = talk.attach();
    attach.target = Some(Box::new(TargetArchetype::Target("/queues/hostile".into())));
    talk.say(0, &attach).unwrap();
    talk.transfer(3, Some(0), false, &undecodable()).unwrap();
    talk.skip(8).unwrap();
    while !matches!(talk.hear(), Some(Frame::Disposition(_))) {}
    queue.push(&job(), &second()).unwrap();

    let consumer = Consumer::new(vec![queue.clone()], ConsumerOptions::default()).unwrap();
    let wait = Wait::uninterrupted(Duration::from_secs(10));
    let good = consumer.next(&wait).unwrap().expect("consuming goes on");
    assert_eq!(good.body(), b"payload");
    good.ack(&wait).unwrap();

    assert_eq!(broker.queue_counts("hostile").unwrap().ready, 0);

    // Raw frames again: a job exposes its headers, not the envelope's fields.
    talk.link = (Role::Sender, "failed".to_owned());
    let mut attach = talk.attach();
    attach.handle = Handle(2);
    attach.source = Some(Box::new("/queues/hostile.failed".into()));
    talk.say(0, &attach).unwrap();
    let mut credit = flow(1);
    credit.handle = Some(Handle(2));
    talk.say(0, &credit).unwrap();
    let buried = loop {
        if let Frame::Transfer(_, payload) = talk.hear().unwrap() {
            break payload;
        }
    };
    let has = |what: &[u8]| buried.windows(what.len()).any(|window| window == what);
    assert!(has(b"rr_failed_reason") && has(b"poison"));
    assert!(has(b"rr_failed_error") && has(b"nested too deeply"));
    assert!(has(b"rr_failed_queue") && has(&undecodable()));
}
