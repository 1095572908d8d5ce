//! `Amqp1\metrics()`.

use amqp1_core::{ConnectionMetrics, Histogram, QueueMetrics, RequestMetrics};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::builders::FunctionBuilder;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::prelude::*;
use ext_php_rs::types::ZendHashTable;

use crate::call::run;
use crate::fail::Fail;

type Array = ZBox<ZendHashTable>;

/// [`metrics`] for the module.
pub fn metrics_function() -> FunctionBuilder<'static> {
    wrap_function!(metrics)
}

/// The figures of this process.
#[php_function]
#[php(name = "Amqp1\\metrics")]
pub fn metrics() -> PhpResult<Array> {
    run(|| {
        let metrics = amqp1_core::metrics();
        let mut queues = ZendHashTable::new();
        for queue in &metrics.queues {
            queues.push(of_queue(queue)?).map_err(Fail::internal)?;
        }
        let mut array = ZendHashTable::new();
        insert(&mut array, "queues", queues)?;
        insert(
            &mut array,
            "connections",
            of_connections(&metrics.connections)?,
        )?;
        insert(&mut array, "requests", of_requests(&metrics.requests)?)?;
        Ok(array)
    })
}

fn of_requests(all: &RequestMetrics) -> Result<Array, Fail> {
    let mut array = ZendHashTable::new();
    let counts = [
        ("sent", all.sent),
        ("answered", all.answered),
        ("timed_out", all.timed_out),
        ("late", all.late),
    ];
    for (name, count) in counts {
        insert(&mut array, name, int(count))?;
    }
    Ok(array)
}

fn of_queue(queue: &QueueMetrics) -> Result<Array, Fail> {
    let mut array = ZendHashTable::new();
    insert(&mut array, "queue", queue.queue.as_str())?;
    insert(&mut array, "endpoint", queue.endpoint.as_str())?;
    insert(&mut array, "pushed", int(queue.pushed))?;
    insert(&mut array, "confirmed", int(queue.confirmed))?;
    insert(&mut array, "failed", by_name(&queue.failed)?)?;
    insert(&mut array, "received", int(queue.received))?;
    insert(&mut array, "redelivered", int(queue.redelivered))?;
    insert(&mut array, "settled", by_name(&queue.settled)?)?;
    insert(&mut array, "lost", int(queue.lost))?;
    insert(&mut array, "abandoned", int(queue.abandoned))?;
    insert(&mut array, "in_hand", int(queue.in_hand))?;
    insert(&mut array, "buffered", int(queue.buffered))?;
    insert(&mut array, "push_seconds", histogram(&queue.push_times)?)?;
    insert(&mut array, "held_seconds", histogram(&queue.held_times)?)?;
    Ok(array)
}

fn of_connections(all: &ConnectionMetrics) -> Result<Array, Fail> {
    let mut array = ZendHashTable::new();
    let counts = [
        ("open", all.open),
        ("opened", all.opened),
        ("reopened", all.reopened),
        ("lost", all.lost),
        ("failed", all.failed),
        ("locks_renewed", all.locks_renewed),
        ("locks_lost", all.locks_lost),
        ("taken_back", all.taken_back),
    ];
    for (name, count) in counts {
        insert(&mut array, name, int(count))?;
    }
    insert(&mut array, "blocked_seconds", all.blocked_seconds)?;
    Ok(array)
}

fn by_name(counts: &[(&str, u64)]) -> Result<Array, Fail> {
    let mut array = ZendHashTable::new();
    for (name, count) in counts {
        insert(&mut array, name, int(*count))?;
    }
    Ok(array)
}

fn histogram(times: &Histogram) -> Result<Array, Fail> {
    let mut buckets = ZendHashTable::new();
    for (bound, count) in &times.buckets {
        let mut bucket = ZendHashTable::new();
        insert(&mut bucket, "le", *bound)?;
        insert(&mut bucket, "count", int(*count))?;
        buckets.push(bucket).map_err(Fail::internal)?;
    }
    let mut array = ZendHashTable::new();
    insert(&mut array, "buckets", buckets)?;
    insert(&mut array, "count", int(times.count))?;
    insert(&mut array, "sum", times.sum)?;
    Ok(array)
}

fn insert(array: &mut ZendHashTable, name: &str, value: impl IntoZval) -> Result<(), Fail> {
    array.insert(name, value).map_err(Fail::internal)
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
