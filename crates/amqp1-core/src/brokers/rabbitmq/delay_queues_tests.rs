#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;
use crate::base::id;
use crate::reach::pool::{self, Role};
use crate::settings::endpoint::Endpoint;
use crate::settings::shared_endpoint::SharedEndpoint;

#[path = "../../../tests/support/brokers.rs"]
mod environment;

const DAY_MS: u64 = 86_400_000;

/// Runs the test on each RabbitMQ 4 in the environment, each with its own link pair.
fn brokers(test: impl Fn(&str, &Management, &Wait<'_>)) {
    for (name, dsn) in environment::rabbitmq() {
        let wait = Wait::uninterrupted(Duration::from_secs(60));
        let endpoint =
            SharedEndpoint::new(Endpoint::parse(&dsn, &QueueOptions::default()).unwrap());
        let connection = pool::connection(&endpoint, Role::Publish, Duration::ZERO, &wait).unwrap();
        test(name, &Management::open(&connection).unwrap(), &wait);
    }
}

fn target() -> String {
    format!("amqp1.test.{}", id::short().unwrap())
}

fn made(management: &Management, target: &str, slot: Slot, now: u64, wait: &Wait<'_>) -> String {
    let name = slot.name(target);
    let queue = DelayQueue {
        name: name.clone(),
        slot,
    };
    declare(management, &queue, target, ("", "nobody"), now, wait).unwrap();
    name
}

fn exists(management: &Management, path: String, wait: &Wait<'_>) -> bool {
    let answer = management.request("GET", &path, write::null, wait);
    answer.unwrap().status == 200
}

fn listed(management: &Management, target: &str, wait: &Wait<'_>) -> Vec<Slot> {
    let lists = management.request_all(&[list(target)], wait).unwrap();
    let entries = lists.iter().flat_map(entries);
    entries.map(|entry| entry.slot).collect()
}

/// Why a delay queue's name contains its day: `x-expires` counts from the first declaration, and
/// deletes the queue with any message inside.
#[test]
fn a_delay_queue_goes_when_its_time_is_over_and_no_declaration_renews_it() {
    brokers(|broker, management, wait| {
        let name = target();
        let arguments = [
            ("x-queue-type".to_owned(), Input::Text("quorum".to_owned())),
            ("x-expires".to_owned(), Input::Int(3_000)),
        ];
        let put = || {
            let body = |out: &mut Vec<u8>| write_queue(out, &QueueOptions::default(), &arguments);
            let answer = management.request("PUT", &queue_path(&name), body, wait);
            answer.unwrap().status
        };
        assert_eq!(put(), 201, "{broker}");
        let start = Instant::now();
        while exists(management, queue_path(&name), wait) {
            assert!(start.elapsed() < Duration::from_secs(20), "{broker}");
            if start.elapsed() < Duration::from_secs(2) {
                assert_eq!(put(), 200, "{broker}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(start.elapsed() >= Duration::from_secs(2), "{broker}");
    });
}

#[test]
fn a_look_costs_a_question_for_each_delay_queue_there_is_and_one_more() {
    brokers(|broker, management, wait| {
        let (name, now) = (target(), 20_000 * DAY_MS + 1);
        let looked = |expected: u64| {
            let before = management.requests();
            let targets = [name.clone()];
            assert_eq!(count(management, &targets, now, wait).unwrap(), 0);
            assert_eq!(management.requests() - before, expected, "{broker}");
        };
        looked(1);
        let mut queues = Vec::new();
        for (ttl, day) in [(1000, 20_000), (1000, 19_999), (3 * DAY_MS, 19_998)] {
            queues.push(made(management, &name, Slot { ttl, day }, now, wait));
        }
        looked(4);
        // From the day before yesterday, so it cannot contain anything.
        let slot = Slot {
            ttl: 1000,
            day: 19_998,
        };
        queues.push(made(management, &name, slot, now, wait));
        looked(4);
        let deletes = queues
            .iter()
            .map(|queue| Request::delete(queue_path(queue)));
        let deletes: Vec<Request> = deletes.collect();
        management.request_all(&deletes, wait).unwrap();
    });
}

#[test]
fn the_index_goes_with_the_last_delay_queue_of_its_target() {
    brokers(|broker, management, wait| {
        let (name, now) = (target(), 20_000 * DAY_MS + 1);
        let slots = [500, 750].map(|ttl| Slot { ttl, day: 20_000 });
        let queues = slots.map(|slot| made(management, &name, slot, now, wait));
        // Again, as by another process: it is listed once.
        made(management, &name, slots[0], now, wait);
        assert_eq!(listed(management, &name, wait).len(), 2, "{broker}");
        let delete = |queue: &str| {
            let request = Request::delete(queue_path(queue));
            management.request_all(&[request], wait).unwrap();
        };
        delete(&queues[0]);
        assert_eq!(listed(management, &name, wait).len(), 2, "{broker}");
        delete(&queues[1]);
        assert_eq!(listed(management, &name, wait), [], "{broker}");
        // If the exchange still existed, it would have another type than this one.
        let index = format!("/exchanges/{}", segment(&delay::index(&name)));
        let other = |out: &mut Vec<u8>| {
            write::map(out, |out| {
                write::string(out, "type");
                write::string(out, "fanout");
                2
            });
        };
        let answer = management.request("PUT", &index, other, wait).unwrap();
        assert_eq!(answer.status, 204, "{broker}: {}", answer.reason());
        management
            .request_all(&[Request::delete(index)], wait)
            .unwrap();
    });
}

#[test]
fn what_is_long_gone_leaves_the_index_with_the_next_declaration() {
    brokers(|broker, management, wait| {
        let (name, then) = (target(), 20_000 * DAY_MS + 1);
        let old = Slot {
            ttl: 500,
            day: 20_000,
        };
        let new = Slot {
            ttl: 500,
            day: 20_007,
        };
        let first = made(management, &name, old, then, wait);
        let second = made(management, &name, new, then + 7 * DAY_MS, wait);
        assert_eq!(listed(management, &name, wait), [new], "{broker}");
        for queue in [first, second] {
            let request = Request::delete(queue_path(&queue));
            management.request_all(&[request], wait).unwrap();
        }
    });
}
