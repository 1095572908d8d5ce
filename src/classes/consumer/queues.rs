//! The queues that a consumer is created with.

use amqp1_core::Queue;
use ext_php_rs::types::Zval;

use crate::classes::jobs::Jobs;
use crate::classes::queue::AmqpQueue;
use crate::convert::{self, Parameter};
use crate::engine::table::entries;
use crate::fail::Fail;
use crate::settings::configuration;

/// Reads a queue, a list of queues, or a configuration's pipelines; null stands for the default
/// configuration.
///
/// # Errors
/// Any other value; an invalid configuration.
pub fn read(method: &'static str, queues: Option<&Zval>) -> Result<Vec<Queue>, Fail> {
    let in_call = |error: amqp1_core::Error| error.context(method);
    let Some(queues) = queues else {
        return Ok(configuration::load(method, None)?
            .consumed()
            .map_err(in_call)?);
    };
    if let Some(jobs) = Jobs::of(queues) {
        return Ok(jobs.consumed().map_err(in_call)?);
    }
    if let Some(queue) = AmqpQueue::of(queues) {
        return Ok(vec![queue]);
    }
    let Some(list) = queues.array() else {
        let parameter = Parameter::of(
            method,
            1,
            "queues",
            "Amqp1\\AmqpQueue|Amqp1\\Jobs|array|null",
        );
        return Err(parameter.wrong_type(Some(queues)));
    };
    if list.is_empty() {
        return Err(Fail::config(format!(
            "{method}: no queues given: pass an AmqpQueue, a list of them, or a Jobs"
        )));
    }
    entries(list)
        .enumerate()
        .map(|(at, (_, item))| {
            AmqpQueue::of(item).ok_or_else(|| {
                convert::mismatch(&format_args!("{method}: queue #{at}"), "an AmqpQueue", item)
            })
        })
        .collect()
}
