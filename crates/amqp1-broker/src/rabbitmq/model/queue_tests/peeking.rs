use super::*;
use crate::rabbitmq::model::queue::peeking::Shown;

fn numbers(queue: &Queue, from: Sequence, count: usize, octets: usize) -> Vec<(Sequence, Shown)> {
    let shown = queue.peek(from, count, octets);
    shown
        .into_iter()
        .map(|(at, state, _)| (at, state))
        .collect()
}

#[test]
fn ready_held_and_delayed_messages_are_shown_by_number() {
    let mut queue = queue();
    put(&mut queue, &["a", "b"]);
    let later = (
        "x-opt-scheduled-enqueue-time",
        Value::Timestamp(5000.into()),
    );
    queue.enqueue(annotated("c", &[later]), 0).unwrap();
    put(&mut queue, &["d"]);
    consume(&mut queue, A, 1);
    assert_eq!(drive(&mut queue, 0).len(), 1);
    let before = queue.counts();
    let (active, scheduled) = (Shown::Active, Shown::Scheduled);
    let all = [(0, active), (1, active), (2, scheduled), (3, active)];
    assert_eq!(numbers(&queue, 0, 10, usize::MAX), all);
    assert_eq!(numbers(&queue, 1, 2, usize::MAX), all[1..3]);
    assert_eq!(numbers(&queue, 4, 10, usize::MAX), []);
    // Never none because of its size.
    assert_eq!(numbers(&queue, 0, 10, 1), all[..1]);
    assert_eq!(queue.counts().ready, before.ready);
    assert_eq!(queue.counts().unsettled, 1);
    let [_, (_, _, message), ..] = &queue.peek(0, 2, usize::MAX)[..] else {
        panic!("two messages");
    };
    let parsed = Message::parse(0, &message.clone().into()).unwrap();
    assert_eq!(body(&parsed), "b");
}
