#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::endpoint::Endpoint;
use crate::pool::{self, Role};

/// Why a delay queue has its day in its name: `x-expires` counts from the
/// first declaration, and takes the queue with whatever is inside.
#[test]
fn a_delay_queue_goes_when_its_time_is_over_and_no_declaration_renews_it() {
    for name in ["AMQP1_TEST_RABBITMQ_40", "AMQP1_TEST_RABBITMQ_43"] {
        let Ok(dsn) = std::env::var(name) else {
            continue;
        };
        let wait = Wait::uninterrupted(Duration::from_secs(30));
        let endpoint = Endpoint::parse(&dsn, &QueueOptions::default()).unwrap();
        let endpoint = Arc::new(endpoint);
        let connection = pool::connection(&endpoint, Role::Publish, Duration::ZERO, &wait).unwrap();
        let management = pool::management(&endpoint, Role::Publish, &connection).unwrap();
        let queue = DelayQueue {
            name: format!("amqp1.test.{}", crate::id::short()),
            ttl: 1_000,
            expires: 3_000,
        };
        let path = queue_path(&queue.name);
        declare_delay_queue(&management, &queue, ("", "nobody"), &wait).unwrap();
        let start = Instant::now();
        let gone = || {
            let answer = management.request("GET", &path, write::null, &wait);
            answer.unwrap().status == 404
        };
        assert!(!gone(), "{name}");
        while !gone() {
            assert!(start.elapsed() < Duration::from_secs(20), "{name}");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(start.elapsed() >= Duration::from_secs(2), "{name}");
    }
}
