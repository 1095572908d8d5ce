//! The rules of a queue, one per test, without I/O and without a clock.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod consumers;
mod peeking;
mod settling;
mod time;

use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::*;
use crate::rabbitmq::model::consumers::{Consumer, MAX_UNSENT};
use crate::rabbitmq::model::message::tests::{annotated, body};

const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);

fn queue() -> Queue {
    Queue::new("q".into(), Declaration::on_first_use())
}

fn declared(arguments: &[(&str, Value)]) -> Queue {
    let arguments = arguments
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect();
    let declaration = Declaration::new(true, false, false, arguments).unwrap();
    Queue::new("q".into(), declaration)
}

fn message(name: &str) -> Message {
    annotated(name, &[])
}

fn put(queue: &mut Queue, names: &[&str]) {
    for name in names {
        queue.enqueue(message(name), 0).unwrap();
    }
}

fn consume(queue: &mut Queue, link: LinkId, credit: u32) {
    consume_as(queue, link, credit, 0, false);
}

fn consume_as(queue: &mut Queue, link: LinkId, credit: u32, priority: i32, pre_settled: bool) {
    let consumer = Consumer {
        credit,
        unsent: 0,
        priority,
        pre_settled,
        timeout: None,
        is_suspended: false,
    };
    queue.consumers.add(link, consumer);
}

/// Assigns all messages that can be assigned, and reports them sent.
fn drive(queue: &mut Queue, now: u64) -> Vec<Assignment> {
    let mut all = Vec::new();
    while let Some(assignment) = queue.assign(now) {
        queue.sent(assignment.link, assignment.sequence);
        all.push(assignment);
    }
    all
}

fn names(assignments: &[Assignment]) -> Vec<String> {
    assignments.iter().map(|a| body(&a.message)).collect()
}

/// Grants one more credit and takes one delivery.
fn one(queue: &mut Queue, link: LinkId, now: u64) -> Assignment {
    queue.consumers.get_mut(link).unwrap().credit = 1;
    let mut got = drive(queue, now);
    assert_eq!(got.len(), 1);
    got.remove(0)
}

fn settle(queue: &mut Queue, delivery: &Assignment, outcome: Outcome) -> Option<Dead> {
    queue.settle(delivery.link, delivery.sequence, outcome, None, 0)
}

fn modified(failed: bool, undeliverable: bool, annotations: &[(&str, Value)]) -> Outcome {
    let map = annotations
        .iter()
        .map(|(k, v)| (Symbol::from(*k), v.clone()));
    Outcome::Modified {
        delivery_failed: failed,
        undeliverable_here: undeliverable,
        annotations: Some(map.collect()),
    }
}

fn at(ms: i64) -> Value {
    Value::Timestamp(ms.into())
}
