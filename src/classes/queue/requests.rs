//! `AmqpQueue::request()` and `requestAsync()`.

use amqp1_core::{Job, Queue};

use super::parameters::Given;
use crate::call::blocking;
use crate::classes::observation::pushes;
use crate::classes::pending_reply::PendingReply;
use crate::fail::Fail;

/// Sends a request; returns once the broker has accepted it.
///
/// # Errors
/// Those of a push; the broker has no address for replies.
pub fn send(queue: &Queue, given: Given<'_>) -> Result<PendingReply, Fail> {
    let Given {
        name,
        body,
        options,
    } = given;
    let mut job = Job {
        name,
        payload: body.payload(),
        options,
    };
    let observed = pushes::begin("request", queue, &mut job, None)?;
    let timeout = job.options.timeout.unwrap_or_else(|| queue.timeout());
    let sent = blocking(timeout, |wait| queue.request(&mut job, wait));
    pushes::end(observed, queue, &job, sent).map(PendingReply::from)
}
