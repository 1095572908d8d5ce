//! `Task::reply()`.

use std::rc::Rc;

use amqp1_core::{Delivery, Job, JobOptions};

use crate::call::blocking;
use crate::classes::observation::pushes;
use crate::convert::args::{Mixed, Options};
use crate::convert::job::{read_options, Body};
use crate::convert::Parameter;
use crate::fail::Fail;

const METHOD: &str = "Task::reply()";

/// Sends a reply to the job's producer; false if it is gone.
///
/// # Errors
/// Those of a push; its producer asked for no reply.
pub fn send(
    delivery: &Rc<Delivery>,
    payload: Mixed<'_>,
    options: Options<'_>,
) -> Result<bool, Fail> {
    let mut job_options = JobOptions::default();
    if let Some(options) = options.get() {
        let parameter = Parameter::of(METHOD, 2, "options", "array");
        read_options(parameter.array(options)?, &METHOD, &mut job_options)?;
    }
    let body = Body::read(payload.get(), &METHOD)?;
    let mut job = Job {
        name: delivery.name().to_string().into(),
        payload: body.payload(),
        options: job_options,
    };
    let target = |_: &Job<'_>| delivery.reply_target();
    let observer = (delivery.observer(), target);
    let observed = pushes::begin_to("reply", observer, &mut job, None)?;
    let timeout = job.options.timeout.unwrap_or_else(|| delivery.timeout());
    let replied = blocking(timeout, |wait| delivery.reply(&mut job, wait));
    pushes::end_to(observed, || delivery.reply_target().ok(), replied)
}
