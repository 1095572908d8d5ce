//! What becomes of a job that failed: the retry policy of a queue, and of a consumer.

use std::time::Duration;

use crate::base::id;
use crate::error::{Error, Result};
use crate::settings::input::Input;

/// Attempts where nothing else is said.
const MAX_ATTEMPTS: u32 = 3;

/// Seconds before the second, third and every later attempt where nothing else is said.
const BACKOFF: [u64; 3] = [1, 10, 60];

/// The longest pause of an exponential backoff.
const LONGEST: Duration = Duration::from_secs(3600);

/// The value of `failed_queue` that means the broker's own dead-letter queue.
pub const BROKERS_OWN: &str = "@dead-letter";

/// The pause before a job is tried again.
#[derive(Debug, Clone, PartialEq)]
pub enum Backoff {
    /// After the first failed attempt, the second, …; the last one repeats.
    Steps(Vec<Duration>),
    /// 1, 2, 4, … seconds up to an hour, each between its half and the whole of it.
    Exponential,
}

impl Backoff {
    /// The pause after this many attempts, at least one.
    fn after(&self, attempts: u32) -> Duration {
        let index = attempts.saturating_sub(1);
        match self {
            Backoff::Steps(steps) => {
                let step = steps.get(index as usize).or(steps.last());
                step.copied().unwrap_or_default()
            }
            Backoff::Exponential => {
                let whole = Duration::from_secs(1 << index.min(12)).min(LONGEST);
                whole.mul_f64(0.5 + id::jitter() / 2.0)
            }
        }
    }

    fn read(value: &Input, path: &str) -> Result<Self> {
        let steps = match value {
            Input::Text(text) if text == "exponential" => return Ok(Backoff::Exponential),
            // As a DSN's query has it: `backoff=1,10,60`.
            Input::Text(text) if text.contains(',') => text
                .split(',')
                .map(|step| Input::Text(step.to_owned()).seconds(path))
                .collect::<Result<Vec<_>>>(),
            Input::List(items) if items.is_empty() => Ok(vec![Duration::ZERO]),
            Input::List(items) => items
                .iter()
                .enumerate()
                .map(|(at, step)| step.seconds(&format!("{path}[{at}]")))
                .collect(),
            Input::Map(_) | Input::Bool(_) | Input::Text(_) => {
                value.seconds(path).map(|step| vec![step]).map_err(|_| {
                    Error::config(format!(
                        "{path}: expected seconds, a list of seconds, or 'exponential'"
                    ))
                })
            }
            one => one.seconds(path).map(|step| vec![step]),
        };
        steps.map(Backoff::Steps)
    }
}

/// Where a job goes that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedQueue {
    /// `<queue>.failed`; the dead-letter queue on Service Bus.
    Usual,
    /// The queue of that name.
    Named(String),
    /// Where the broker itself puts what is refused.
    BrokersOwn,
}

/// The policy, as far as it is configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetryOptions {
    /// Attempts in all; 0 for no end of them. Default 3.
    pub max_attempts: Option<u32>,
    /// Default 1, 10, 60 seconds.
    pub backoff: Option<Backoff>,
    /// Default [`FailedQueue::Usual`].
    pub failed_queue: Option<FailedQueue>,
    /// A failed job goes back to its queue whatever its attempts. Default false.
    pub requeue_on_fail: Option<bool>,
    /// A job stays, however often its deliveries ended without a word: so in the failed queue,
    /// where jobs are looked at and moved, and none is run. No option sets it.
    pub keeps_lost: bool,
}

impl RetryOptions {
    /// The names, as PHP writes them.
    pub const NAMES: [&'static str; 4] =
        ["max_attempts", "backoff", "failed_queue", "requeue_on_fail"];

    /// Reads one option; false when `name` is none of these.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming `path`.
    pub fn read(&mut self, name: &str, value: &Input, path: &str) -> Result<bool> {
        match name {
            "max_attempts" => {
                let number = value.int(path, 0..=1_000_000)?;
                self.max_attempts = Some(number as u32);
            }
            "backoff" => self.backoff = Some(Backoff::read(value, path)?),
            "failed_queue" => {
                let name = value.text(path)?;
                self.failed_queue = Some(match name.as_str() {
                    BROKERS_OWN => FailedQueue::BrokersOwn,
                    "" => {
                        return Err(Error::config(format!(
                            "{path}: must not be empty: expected the name of a queue, or '{BROKERS_OWN}'"
                        )))
                    }
                    _ if name.len() > 255 => {
                        return Err(Error::config(format!("{path}: must be at most 255 bytes long")))
                    }
                    _ => FailedQueue::Named(name),
                });
            }
            "requeue_on_fail" => self.requeue_on_fail = Some(value.bool(path)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// These, and where they are silent, `defaults`.
    #[must_use]
    pub fn over(&self, defaults: &RetryOptions) -> RetryOptions {
        RetryOptions {
            max_attempts: self.max_attempts.or(defaults.max_attempts),
            backoff: self.backoff.clone().or_else(|| defaults.backoff.clone()),
            failed_queue: self
                .failed_queue
                .clone()
                .or_else(|| defaults.failed_queue.clone()),
            requeue_on_fail: self.requeue_on_fail.or(defaults.requeue_on_fail),
            keeps_lost: self.keeps_lost || defaults.keeps_lost,
        }
    }

    /// Where a job goes that is not tried again.
    #[must_use]
    pub fn failed_queue(&self) -> &FailedQueue {
        self.failed_queue.as_ref().unwrap_or(&FailedQueue::Usual)
    }

    /// The pauses are those that nobody asked for: a broker that cannot delay need
    /// not refuse them.
    #[must_use]
    pub fn is_backoff_usual(&self) -> bool {
        self.backoff.is_none()
    }

    /// There are no more attempts after so many.
    pub(crate) fn is_used_up(&self, attempts: u32) -> bool {
        let max = self.max_attempts.unwrap_or(MAX_ATTEMPTS);
        !self.requeue_on_fail.unwrap_or(false) && max > 0 && attempts >= max
    }

    /// What becomes of a job that failed at its `attempts`th attempt;
    /// `requeue` decides in place of the policy, and without a pause.
    #[must_use]
    pub fn verdict(&self, attempts: u32, requeue: Option<bool>) -> Verdict {
        let again = !self.is_used_up(attempts);
        match (requeue.unwrap_or(again), &self.backoff) {
            (false, _) => Verdict::Fail,
            (true, _) if requeue.is_some() => Verdict::Retry(Duration::ZERO),
            (true, Some(backoff)) => Verdict::Retry(backoff.after(attempts)),
            (true, None) => {
                let index = (attempts.saturating_sub(1) as usize).min(BACKOFF.len() - 1);
                Verdict::Retry(Duration::from_secs(BACKOFF[index]))
            }
        }
    }
}

/// What becomes of a job that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after this pause.
    Retry(Duration),
    /// It goes to the failed queue.
    Fail,
}

/// What a broker does about the redelivery of a job that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redelivery {
    /// It does not count it: a copy carries the attempts.
    Uncounted,
    /// It counts it, and delivers it again at once.
    Counted,
    /// It counts it, and waits for the time that it is told.
    Delayed,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(name: &str, value: Input) -> Result<RetryOptions> {
        let mut options = RetryOptions::default();
        assert!(options.read(name, &value, name)?);
        Ok(options)
    }

    fn seconds(seconds: u64) -> Verdict {
        Verdict::Retry(Duration::from_secs(seconds))
    }

    #[test]
    fn three_attempts_with_growing_pauses_unless_told_otherwise() {
        let options = RetryOptions::default();
        assert_eq!(options.verdict(1, None), seconds(1));
        assert_eq!(options.verdict(2, None), seconds(10));
        assert_eq!(options.verdict(3, None), Verdict::Fail);
        assert_eq!(options.verdict(9, Some(true)), seconds(0));
        assert_eq!(options.verdict(1, Some(false)), Verdict::Fail);
    }

    #[test]
    fn zero_is_no_end_of_attempts_and_requeue_on_fail_another() {
        let forever = read("max_attempts", Input::Int(0)).unwrap();
        assert_eq!(forever.verdict(u32::MAX, None), seconds(60));
        let requeue = read("requeue_on_fail", Input::Bool(true)).unwrap();
        assert_eq!(requeue.verdict(100, None), seconds(60));
        assert_eq!(requeue.verdict(100, Some(false)), Verdict::Fail);
    }

    #[test]
    fn backoff_is_a_number_a_list_or_exponential() {
        let one = read("backoff", Input::Int(5)).unwrap();
        assert_eq!(one.verdict(2, None), seconds(5));
        let list = Input::List(vec![Input::Int(1), Input::Text("7".to_owned())]);
        let list = read("backoff", list).unwrap();
        assert_eq!(list.verdict(2, None), seconds(7));
        let query = read("backoff", Input::Text("2, 4".to_owned())).unwrap();
        assert_eq!(query.verdict(2, None), seconds(4));
        let none = read("backoff", Input::List(Vec::new())).unwrap();
        assert_eq!(none.verdict(1, None), seconds(0));
        let mut text = read("backoff", Input::Text("exponential".to_owned())).unwrap();
        text.max_attempts = Some(0);
        for (attempts, longest) in [(1, 1), (4, 8), (40, 3600)] {
            let Verdict::Retry(pause) = text.verdict(attempts, None) else {
                panic!("not retried");
            };
            let longest = Duration::from_secs(longest);
            assert!(pause <= longest && pause >= longest / 2, "{pause:?}");
        }
    }

    #[test]
    fn wrong_values_name_their_option() {
        let wrong = [
            ("max_attempts", Input::Int(-1)),
            ("backoff", Input::Text("fast".to_owned())),
            ("backoff", Input::List(vec![Input::Int(-1)])),
            ("backoff", Input::Bool(true)),
            ("failed_queue", Input::Text(String::new())),
            ("requeue_on_fail", Input::Text("maybe".to_owned())),
        ];
        for (name, value) in wrong {
            let error = read(name, value).unwrap_err();
            assert!(error.message().starts_with(name), "{error}");
        }
    }

    #[test]
    fn a_consumers_options_are_over_the_queues() {
        let queue = read("max_attempts", Input::Int(7)).unwrap();
        let consumer = read("backoff", Input::Int(2)).unwrap();
        let both = consumer.over(&queue);
        assert_eq!(both.max_attempts, Some(7));
        assert_eq!(both.verdict(6, None), seconds(2));
    }
}
