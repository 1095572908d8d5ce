//! Entities, and the messages between them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use fe2o3_amqp_types::messaging::{MessageId, Properties};
use serde_amqp::Value;

use super::*;
use crate::servicebus::model::message::tests::{body, message, session_message, with_properties};
use crate::servicebus::model::message::Message;
use crate::servicebus::model::queue::Counts;
use crate::servicebus::model::rules::{Change, Correlation, Rule};
use crate::servicebus::settings::{ServiceBus, SubscriptionSettings, TopicSettings};

fn namespace(change: impl FnOnce(&mut ServiceBus)) -> Namespace {
    let mut settings = ServiceBus::strict();
    change(&mut settings);
    Namespace::new(&settings)
}

fn with_queue(change: impl FnOnce(&mut QueueSettings)) -> (Namespace, NodeId) {
    let mut queue = QueueSettings::default();
    change(&mut queue);
    let mut namespace = namespace(|s| s.queues = vec![("q".into(), queue)]);
    let id = namespace.resolve("Q", Use::Send).unwrap();
    (namespace, id)
}

fn counts(namespace: &Namespace, path: &str) -> Counts {
    let id = namespace.find(path).unwrap();
    namespace.node(id).unwrap().queue.counts()
}

fn with_id(name: &str, id: &str) -> Message {
    let message_id = Some(MessageId::String(id.to_owned()));
    with_properties(
        name,
        Properties {
            message_id,
            ..Properties::default()
        },
    )
}

fn condition(error: &Error) -> String {
    errors::name(error)
}

#[test]
fn what_is_not_there_is_not_found_unless_it_may_be_made() {
    let mut strict = namespace(|_| {});
    let error = strict.resolve("q", Use::Send).unwrap_err();
    assert_eq!(condition(&error), "amqp:not-found");
    let mut free = Namespace::new(&ServiceBus::default());
    assert!(free.resolve("q", Use::Receive).is_ok());
    assert!(free.find("Q/$deadletterqueue").is_some());
    assert!(free.resolve("t/Subscriptions/s", Use::Receive).is_ok());
    assert!(free.resolve("t", Use::Send).is_ok());
    let error = free.resolve("t", Use::Receive).unwrap_err();
    assert_eq!(condition(&error), "amqp:not-allowed");
    let error = free.resolve("t/Subscriptions/s", Use::Send).unwrap_err();
    assert_eq!(condition(&error), "amqp:not-allowed");
    assert_eq!(free.paths(), ["q", "t", "t/Subscriptions/s"]);
}

#[test]
fn there_are_no_more_entities_than_there_may_be() {
    let mut namespace = Namespace::new(&ServiceBus {
        max_entities: 2,
        ..ServiceBus::default()
    });
    namespace.resolve("a", Use::Send).unwrap();
    namespace.resolve("b", Use::Receive).unwrap();
    let error = namespace.resolve("c", Use::Send).unwrap_err();
    assert_eq!(condition(&error), "amqp:resource-limit-exceeded");
    namespace
        .resolve("B/$DeadLetterQueue", Use::Receive)
        .unwrap();
}

#[test]
fn the_first_receiver_decides_whether_there_are_sessions() {
    let mut namespace = Namespace::new(&ServiceBus::default());
    let q = namespace.resolve("q", Use::Send).unwrap();
    let batch = vec![session_message("a", "s"), message("b")];
    namespace.publish(q, batch, 0).unwrap();
    namespace.resolve("q", Use::ReceiveSession).unwrap();
    namespace.dispatch(0);
    assert!(namespace.node(q).unwrap().queue.settings.requires_session);
    assert_eq!(counts(&namespace, "q").active, 1);
    assert_eq!(counts(&namespace, "q/$deadletterqueue").active, 1);
    let plain = namespace.resolve("p", Use::Receive).unwrap();
    namespace.resolve("p", Use::ReceiveSession).unwrap();
    assert!(
        !namespace
            .node(plain)
            .unwrap()
            .queue
            .settings
            .requires_session
    );
}

#[test]
fn duplicates_within_the_window_are_taken_and_dropped() {
    let (mut namespace, q) =
        with_queue(|queue| queue.duplicate_detection = Some(Duration::from_secs(10)));
    for now in [0, 9_999, 10_000] {
        namespace.publish(q, vec![with_id("a", "1")], now).unwrap();
    }
    assert_eq!(counts(&namespace, "q").active, 2);
    let sequences = namespace.schedule(q, vec![with_id("a", "1")], 10_001);
    assert_eq!(sequences.unwrap().len(), 1);
    assert_eq!(counts(&namespace, "q").scheduled, 0);
}

#[test]
fn a_full_entity_refuses_all_of_a_batch() {
    let (mut namespace, q) = with_queue(|queue| queue.max_size = 20);
    let batch = vec![message("0123456"), message("0123456")];
    let error = namespace.publish(q, batch, 0).unwrap_err();
    assert_eq!(condition(&error), "amqp:resource-limit-exceeded");
    assert_eq!(counts(&namespace, "q").active, 0);
    namespace.publish(q, vec![message("0123456")], 0).unwrap();
}

#[test]
fn a_session_queue_takes_no_message_without_a_session() {
    let (mut namespace, q) = with_queue(|queue| queue.requires_session = true);
    let error = namespace.publish(q, vec![message("a")], 0).unwrap_err();
    assert_eq!(condition(&error), "amqp:not-allowed");
    namespace
        .publish(q, vec![session_message("a", "s")], 0)
        .unwrap();
    let long = session_message("a", &"s".repeat(129));
    let error = namespace.publish(q, vec![long], 0).unwrap_err();
    assert_eq!(condition(&error), "com.microsoft:argument-error");
}

#[test]
fn scheduled_messages_arrive_with_a_new_number() {
    let (mut namespace, q) = with_queue(|_| {});
    let mut late = message("late");
    late.annotate(
        annotation::SCHEDULED_ENQUEUE_TIME,
        crate::servicebus::model::entry::timestamp(500),
    );
    namespace.publish(q, vec![late], 0).unwrap();
    assert_eq!(
        (counts(&namespace, "q").scheduled, namespace.next_due()),
        (1, Some(500))
    );
    namespace.publish(q, vec![message("now")], 0).unwrap();
    namespace.dispatch(500);
    assert_eq!(counts(&namespace, "q").active, 2);
    let peeked = namespace.node(q).unwrap().queue.peek(3, 1, None);
    assert_eq!(
        body(&Message::parse(&peeked[0].clone().into()).unwrap()),
        "late"
    );
}

#[test]
fn subscriptions_take_what_their_rules_say() {
    let by_subject = Rule::Correlation(Box::new(Correlation {
        subject: Some("red".into()),
        ..Correlation::default()
    }));
    let change = Change {
        property: "Seen".into(),
        value: Some("yes".into()),
    };
    let red = SubscriptionSettings {
        name: "red".into(),
        queue: QueueSettings::default(),
        rules: vec![NamedRule {
            changes: vec![change],
            ..NamedRule::new("by subject", by_subject)
        }],
    };
    let all = SubscriptionSettings::to_all("all", QueueSettings::default());
    let topic = TopicSettings {
        subscriptions: vec![all, red],
        ..TopicSettings::default()
    };
    let mut namespace = namespace(|s| s.topics = vec![("t".into(), topic)]);
    let t = namespace.resolve("t", Use::Send).unwrap();
    let subject = Some("red".to_owned());
    let properties = Properties {
        subject,
        ..Properties::default()
    };
    let batch = vec![message("a"), with_properties("b", properties)];
    namespace.publish(t, batch, 0).unwrap();
    assert_eq!(counts(&namespace, "t/subscriptions/all").active, 2);
    assert_eq!(counts(&namespace, "T/Subscriptions/RED").active, 1);
    let seen = |path: &str| {
        let id = namespace.find(path).unwrap();
        let last = namespace.node(id).unwrap().queue.peek(1, 9, None).pop();
        let last = Message::parse(&last.unwrap().into()).unwrap();
        last.application()
    };
    let changed = vec![("Seen".to_owned(), Value::from("yes"))];
    assert_eq!(seen("t/subscriptions/red"), changed);
    assert_eq!(seen("t/subscriptions/all"), [], "its copy is its own");
}

#[test]
fn messages_are_passed_on_but_not_round_and_round() {
    let to = |name: &str| QueueSettings {
        forward_to: Some(name.to_owned()),
        ..QueueSettings::default()
    };
    let mut namespace = namespace(|s| {
        s.queues = vec![
            ("a".into(), to("b")),
            ("b".into(), QueueSettings::default()),
            ("x".into(), to("y")),
            ("y".into(), to("x")),
        ];
    });
    let a = namespace.resolve("a", Use::Send).unwrap();
    namespace.publish(a, vec![message("m")], 0).unwrap();
    assert_eq!(counts(&namespace, "b").active, 1);
    let x = namespace.resolve("x", Use::Send).unwrap();
    namespace.publish(x, vec![message("m")], 0).unwrap();
    let dead: Vec<Message> = ["x/$DeadLetterQueue", "y/$DeadLetterQueue"]
        .into_iter()
        .flat_map(|path| peeked(&namespace, path))
        .collect();
    let [dead] = &dead[..] else {
        panic!("{dead:?}");
    };
    let reason = (
        "DeadLetterReason".to_owned(),
        "MaxTransferHopCountExceeded".into(),
    );
    assert!(dead.application().contains(&reason));
    assert_eq!(
        counts(&namespace, "x").active + counts(&namespace, "y").active,
        0
    );
}

fn peeked(namespace: &Namespace, path: &str) -> Vec<Message> {
    let id = namespace.find(path).unwrap();
    let peeked = namespace.node(id).unwrap().queue.peek(0, 9, None);
    let read = peeked.into_iter().map(|m| Message::parse(&m.into()));
    read.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_passed_on_without_a_session_is_dead_where_sessions_are_required() {
    let sessions = QueueSettings {
        requires_session: true,
        ..QueueSettings::default()
    };
    let forward = QueueSettings {
        forward_to: Some("s".into()),
        ..QueueSettings::default()
    };
    let topic = TopicSettings {
        subscriptions: vec![SubscriptionSettings::to_all("s", sessions.clone())],
        ..TopicSettings::default()
    };
    let mut namespace = namespace(|s| {
        s.queues = vec![("s".into(), sessions), ("f".into(), forward)];
        s.topics = vec![("t".into(), topic)];
    });
    for (from, to) in [("f", "s"), ("t", "t/Subscriptions/s")] {
        let id = namespace.resolve(from, Use::Send).unwrap();
        let batch = vec![message("none"), session_message("one", "1")];
        namespace.publish(id, batch, 0).unwrap();
        assert_eq!(counts(&namespace, to).active, 1, "{from}");
        let dead = peeked(&namespace, &format!("{to}/$DeadLetterQueue"));
        let reason = ("DeadLetterReason".to_owned(), "Session id is null".into());
        assert!(dead[0].application().contains(&reason), "{from}");
        assert_eq!(body(&dead[0]), "none");
    }
}

#[test]
fn duplicates_are_known_where_messages_are_passed_on_to() {
    let mut namespace = namespace(|s| {
        let forward = QueueSettings {
            forward_to: Some("d".into()),
            ..QueueSettings::default()
        };
        let detecting = QueueSettings {
            duplicate_detection: Some(Duration::from_secs(10)),
            ..QueueSettings::default()
        };
        s.queues = vec![("f".into(), forward), ("d".into(), detecting)];
    });
    let f = namespace.resolve("f", Use::Send).unwrap();
    let batch = vec![with_id("a", "1"), with_id("b", "1"), with_id("c", "2")];
    namespace.publish(f, batch, 0).unwrap();
    assert_eq!(counts(&namespace, "d").active, 2);
}

#[test]
fn a_topics_messages_live_no_longer_than_it_says() {
    let topic = TopicSettings {
        default_ttl: Some(Duration::from_secs(1)),
        subscriptions: vec![SubscriptionSettings::to_all("s", QueueSettings::default())],
        ..TopicSettings::default()
    };
    let mut namespace = namespace(|s| s.topics = vec![("t".into(), topic)]);
    let t = namespace.resolve("t", Use::Send).unwrap();
    let mut long = message("long");
    long.ttl = Some(60_000);
    let mut short = message("short");
    short.ttl = Some(10);
    namespace
        .publish(t, vec![message("none"), long, short], 0)
        .unwrap();
    let left = |namespace: &mut Namespace, now| {
        namespace.dispatch(now);
        counts(namespace, "t/Subscriptions/s").active
    };
    assert_eq!(left(&mut namespace, 9), 3);
    assert_eq!(left(&mut namespace, 10), 2);
    assert_eq!(left(&mut namespace, 1000), 0);
}

#[test]
fn a_dead_message_goes_where_the_queue_says() {
    let queue = QueueSettings {
        max_delivery_count: 1,
        ..QueueSettings::default()
    };
    let forwarding = QueueSettings {
        forward_dead_letters_to: Some("grave".into()),
        ..queue.clone()
    };
    let mut namespace = namespace(|s| {
        s.queues = vec![
            ("q".into(), queue),
            ("f".into(), forwarding),
            ("grave".into(), QueueSettings::default()),
        ];
    });
    let connection = namespace.connect();
    for path in ["q", "f"] {
        let id = namespace.resolve(path, Use::Send).unwrap();
        namespace.publish(id, vec![message("m")], 0).unwrap();
        let link = namespace.new_link();
        namespace
            .attach(connection, link, id, false, Wanted::Messages, 0)
            .unwrap();
        namespace.set_credit(link, 1);
        namespace.dispatch(0);
        let event = namespace.take_events(connection).pop_front();
        let Some(Event::Deliver(node, given)) = event else {
            panic!("{event:?}");
        };
        let queue = namespace.queue_mut(node).unwrap();
        queue.abandon(given.token, Vec::new()).unwrap();
        namespace.dispatch(0);
    }
    assert_eq!(counts(&namespace, "q/$DeadLetterQueue").active, 1);
    assert_eq!(counts(&namespace, "f/$DeadLetterQueue").active, 0);
    assert_eq!(counts(&namespace, "grave").active, 1);
}

#[test]
fn a_receiver_waits_for_the_next_session_for_so_long() {
    let (mut namespace, q) = with_queue(|queue| queue.requires_session = true);
    let connection = namespace.connect();
    let wait = |namespace: &mut Namespace, until| {
        let link = namespace.new_link();
        let wanted = Wanted::NextSession(until);
        let attached = namespace.attach(connection, link, q, false, wanted, 0);
        assert_eq!(attached, Ok(Attached::Waits));
        link
    };
    let (first, second) = (wait(&mut namespace, 100), wait(&mut namespace, 200));
    namespace.dispatch(100);
    let mut events = namespace.take_events(connection);
    assert!(matches!(events.pop_front(), Some(Event::Session(link, None)) if link == first));
    namespace
        .publish(q, vec![session_message("a", "s")], 150)
        .unwrap();
    namespace.dispatch(150);
    let mut events = namespace.take_events(connection);
    let granted = Some(("s".to_owned(), 60_150));
    assert!(matches!(events.pop_front(),
        Some(Event::Session(link, g)) if link == second && g == granted));
    assert!(events.is_empty());
    let error = namespace
        .attach(connection, LinkId(99), q, false, Wanted::Messages, 0)
        .unwrap_err();
    assert_eq!(condition(&error), "amqp:not-allowed");
}
