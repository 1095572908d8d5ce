//! Declares delay queues, and keeps the index that lists the existing ones.
//!
//! RabbitMQ's management over AMQP describes a queue by name, but cannot list queues. One target
//! may have about 1,700 delay queues, created by any process, and each request for a missing one
//! adds a line to the broker's log. The bindings between two exchanges, however, can be listed.
//! Therefore the index consists of bindings that route nothing:
//!
//! ```text
//! amqp1.delay.index  ──{ttl, day}──▶  amqp1.delay.index.TARGET  ────▶  the delay queue
//! ```
//!
//! The first bindings, one for each delay queue, are the index: a single request lists them. The
//! second ones keep the target's exchange alive. It is deleted with the last of its delay queues
//! (`auto_delete`), and its part of the index with it. Both exchanges are internal: no one can
//! publish to them.

use super::topology::{queue_path, refused, write_map, write_queue};
use crate::base::wait::Wait;
use crate::brokers::rabbitmq::address::segment;
use crate::brokers::rabbitmq::delay::{self, DelayQueue, Slot, INDEX};
use crate::brokers::rabbitmq::management::{Management, Request, Response};
use crate::error::Result;
use crate::settings::input::Input;
use crate::settings::options::QueueOptions;
use crate::wire::write;

/// The index's exchange disappears with the last delay queue of its target, possibly at this
/// moment.
const TRIES: u32 = 3;

/// The arguments of a binding in the index.
const TTL: &str = "ttl";
const DAY: &str = "day";

/// Declares a delay queue for a target and adds it to the index. Removes index entries of queues
/// that expired long ago.
///
/// Dead-lettering is at-least-once: a message leaves the delay queue only when the target has
/// confirmed it.
pub(crate) fn declare(
    management: &Management,
    queue: &DelayQueue,
    target: &str,
    (exchange, routing_key): (&str, &str),
    now: u64,
    wait: &Wait<'_>,
) -> Result<()> {
    let index = delay::index(target);
    let what = [
        ("exchange", INDEX),
        ("exchange", &index),
        ("delay queue", &queue.name),
        ("binding to exchange", &index),
        ("binding to exchange", INDEX),
    ];
    let requests = [
        put_exchange(INDEX, false),
        put_exchange(&index, true),
        put_delay_queue(queue, (exchange, routing_key)),
        post_binding(&index, ("destination_queue", &queue.name), &[]),
        post_binding(INDEX, ("destination_exchange", &index), &marks(queue.slot)),
    ];
    let mut tries = 0;
    loop {
        tries += 1;
        let answers = management.request_all(&requests, wait)?;
        let mut failed = answers.iter().zip(what);
        let failed = failed.find(|(answer, _)| !(200..300).contains(&answer.status));
        match failed {
            Some((answer, ("binding to exchange", _))) if answer.status == 400 && tries < TRIES => {
            }
            Some((answer, (what, name))) => {
                return Err(refused(what, name, answer.status, answer));
            }
            None => {
                // Just created, which happens once per day and step.
                let is_new = answers.get(2).is_some_and(|answer| answer.status == 201);
                return match is_new {
                    true => forget_gone(management, target, now, wait),
                    false => Ok(()),
                };
            }
        }
    }
}

/// The number of messages in the delay queues of these targets.
pub(crate) fn count(
    management: &Management,
    targets: &[String],
    now: u64,
    wait: &Wait<'_>,
) -> Result<u64> {
    let lists: Vec<Request> = targets.iter().map(|target| list(target)).collect();
    let lists = management.request_all(&lists, wait)?;
    let mut queues = Vec::new();
    for (target, list) in targets.iter().zip(&lists) {
        let slots = entries(list).into_iter().map(|entry| entry.slot);
        let holding = slots.filter(|slot| slot.can_hold(now));
        queues.extend(holding.map(|slot| Request::get(queue_path(&slot.name(target)))));
    }
    let answers = management.request_all(&queues, wait)?;
    let counts = answers
        .iter()
        .filter_map(|answer| answer.number("message_count"));
    Ok(counts.sum())
}

fn forget_gone(management: &Management, target: &str, now: u64, wait: &Wait<'_>) -> Result<()> {
    let list = management.request_all(&[list(target)], wait)?;
    let gone = list.iter().flat_map(entries);
    let gone = gone.filter(|entry| entry.slot.is_gone(now));
    let deletes: Vec<Request> = gone.map(|entry| Request::delete(entry.location)).collect();
    management.request_all(&deletes, wait).map(|_| ())
}

/// A binding in the index.
struct Entry {
    slot: Slot,
    /// Its path at the management node.
    location: String,
}

/// Lists the index entries of one target.
fn list(target: &str) -> Request {
    Request::get(format!(
        "/bindings?src={}&dste={}&key=",
        segment(INDEX),
        segment(&delay::index(target))
    ))
}

fn entries(list: &Response) -> Vec<Entry> {
    list.list().iter().filter_map(entry).collect()
}

fn entry(binding: &Input) -> Option<Entry> {
    let arguments = field(binding, "arguments")?;
    let number = |name| match field(arguments, name)? {
        Input::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let Input::Text(location) = field(binding, "location")? else {
        return None;
    };
    Some(Entry {
        slot: Slot {
            ttl: number(TTL)?,
            day: number(DAY)?,
        },
        location: location.clone(),
    })
}

fn field<'a>(map: &'a Input, name: &str) -> Option<&'a Input> {
    let Input::Map(entries) = map else {
        return None;
    };
    let found = entries.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value)
}

fn marks(slot: Slot) -> [(String, Input); 2] {
    let number = |number| Input::Int(i64::try_from(number).unwrap_or(i64::MAX));
    [
        (TTL.to_owned(), number(slot.ttl)),
        (DAY.to_owned(), number(slot.day)),
    ]
}

fn put_exchange(name: &str, auto_delete: bool) -> Request {
    Request::new("PUT", format!("/exchanges/{}", segment(name)), |out| {
        write::map(out, |out| {
            write::string(out, "type");
            write::string(out, "direct");
            write::string(out, "durable");
            write::bool(out, true);
            write::string(out, "auto_delete");
            write::bool(out, auto_delete);
            write::string(out, "internal");
            write::bool(out, true);
            8
        });
    })
}

fn put_delay_queue(queue: &DelayQueue, (exchange, routing_key): (&str, &str)) -> Request {
    let text = |text: &str| Input::Text(text.to_owned());
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text(exchange)),
        ("x-dead-letter-routing-key", text(routing_key)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
        ("x-message-ttl", Input::Int(queue.slot.ttl as i64)),
        ("x-expires", Input::Int(queue.slot.expires() as i64)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    Request::new("PUT", queue_path(&queue.name), |out| {
        write_queue(out, &QueueOptions::default(), &arguments);
    })
}

fn post_binding(
    source: &str,
    (kind, destination): (&str, &str),
    arguments: &[(String, Input)],
) -> Request {
    Request::new("POST", "/bindings", |out| {
        write::map(out, |out| {
            write::string(out, "source");
            write::string(out, source);
            write::string(out, kind);
            write::string(out, destination);
            write::string(out, "binding_key");
            write::string(out, "");
            write::string(out, "arguments");
            write_map(out, arguments);
            8
        });
    })
}

#[cfg(test)]
#[path = "delay_queues_tests.rs"]
mod tests;
