//! Tells the observers about pushes.

use std::time::Instant;

use amqp1_core::{id, BString, Error, HeaderValue, Job, PushTarget, Queue};
use ext_php_rs::convert::IntoZval;
use ext_php_rs::types::{ZendClassObject, Zval};

use super::observer::{AFTER_PUSH, BEFORE_PUSH};
use super::push::{Push, PushFacts};
use crate::callbacks::{observers, watchers};
use crate::fail::Fail;

/// A push that the observers were told of.
#[derive(Debug)]
pub struct Observed {
    observers: Vec<Zval>,
    push: Zval,
}

impl Observed {
    /// Tells the observers what is about to be sent; `None` if there are none.
    ///
    /// # Errors
    /// An observer called `exit()`, or ended in a fatal error.
    pub fn begin(number: u64, facts: impl FnOnce() -> PushFacts) -> Result<Option<Self>, Fail> {
        let observers = observers::of_queue(number);
        if observers.is_empty() {
            return Ok(None);
        }
        let push = Push::new(facts()).into_zval(false);
        let push = push.map_err(Fail::internal)?;
        observers::tell(&observers, BEFORE_PUSH, &push)?;
        Ok(Some(Self { observers, push }))
    }

    /// What the observers were given.
    pub fn push(&self) -> Option<&Push> {
        let object = self.push.object()?;
        let object = ZendClassObject::<Push>::from_zend_obj(object)?;
        Some(object)
    }

    /// Tells the observers how it ended.
    ///
    /// # Errors
    /// An observer called `exit()`, or ended in a fatal error.
    pub fn end(self, error: Option<&Error>, target: Option<PushTarget>) -> Result<(), Fail> {
        if let Some(push) = self.push() {
            push.end(error, target);
        }
        observers::tell(&self.observers, AFTER_PUSH, &self.push)
    }
}

/// Tells the observers that a job is about to be pushed, and adds their headers to it. Its id is
/// decided here.
///
/// # Errors
/// An observer called `exit()`, or ended in a fatal error; there are no random numbers for an id.
pub fn begin(
    operation: &'static str,
    queue: &Queue,
    job: &mut Job<'_>,
    index: Option<usize>,
) -> Result<Option<Observed>, Fail> {
    let target = |job: &Job<'_>| Ok(queue.target_of(job));
    begin_to(operation, (queue.observer(), target), job, index)
}

/// [`begin`] of a job to any destination, with the number of its observer.
///
/// # Errors
/// As [`begin`]; those of finding the destination.
pub fn begin_to(
    operation: &'static str,
    (observer, target): (u64, impl FnOnce(&Job<'_>) -> Result<PushTarget, Error>),
    job: &mut Job<'_>,
    index: Option<usize>,
) -> Result<Option<Observed>, Fail> {
    if !watchers::are_there() {
        return Ok(None);
    }
    let id = match &job.options.id {
        Some(id) => id.to_string(),
        None => id::job_id()?,
    };
    let target = target(job)?;
    let facts = || PushFacts {
        operation,
        target,
        id: id.as_str().into(),
        name: job.name.as_ref().into(),
        index,
        is_last: false,
        correlation_id: job.options.trace_id.as_deref().map(BString::from),
        size: job.payload.bytes.len(),
        headers: shown(&job.options.headers),
        added: Vec::new(),
        started: Instant::now(),
        outcome: None,
    };
    let observed = Observed::begin(observer, facts)?;
    if let Some(push) = observed.as_ref().and_then(Observed::push) {
        job.options.headers.extend(push.take_added());
        job.options.id = Some(id.into());
    }
    Ok(observed)
}

/// Tells the observers how a call ended.
///
/// # Errors
/// As the call; an observer called `exit()`, or ended in a fatal error.
pub fn end<T>(
    observed: Option<Observed>,
    queue: &Queue,
    job: &Job<'_>,
    done: Result<T, Fail>,
) -> Result<T, Fail> {
    end_to(observed, || Some(queue.target_of(job)), done)
}

/// [`end`] of a job to any destination.
///
/// # Errors
/// As [`end`].
pub fn end_to<T>(
    observed: Option<Observed>,
    target: impl FnOnce() -> Option<PushTarget>,
    done: Result<T, Fail>,
) -> Result<T, Fail> {
    if let Some(observed) = observed {
        let target = target();
        match &done {
            Ok(_) => observed.end(None, target)?,
            Err(Fail::Core(error)) => observed.end(Some(error), target)?,
            Err(Fail::Bailout) => {}
            Err(_) => observed.end(Some(&interrupted()), target)?,
        }
    }
    done
}

/// The error of a push that an exception of the application has ended.
pub fn interrupted() -> Error {
    Error::interrupted("an exception ended the call; it is unknown whether the broker has the job")
}

/// Headers as they are shown.
pub fn shown<'a>(
    headers: impl IntoIterator<Item = &'a (std::borrow::Cow<'a, str>, HeaderValue<'a>)>,
) -> Vec<(BString, Vec<BString>)> {
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.as_ref().into(), texts(value)))
        .collect()
}

fn texts(value: &HeaderValue<'_>) -> Vec<BString> {
    match value {
        HeaderValue::Text(text) => vec![text.as_ref().into()],
        HeaderValue::Int(number) => vec![number.to_string().into()],
        HeaderValue::Float(number) => vec![number.to_string().into()],
        HeaderValue::Bool(value) => vec![value.to_string().into()],
        HeaderValue::List(values) => values.iter().flat_map(texts).collect(),
    }
}
