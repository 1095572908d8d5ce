//! The retry policy of a queue or a consumer: how failed jobs are handled.

use std::time::Duration;

use crate::base::id;
use crate::error::{Error, Result};
use crate::settings::input::Input;

/// The default number of attempts.
const MAX_ATTEMPTS: u32 = 3;

/// The default pauses before the second, third and every later attempt, in seconds.
const BACKOFF: [u64; 3] = [1, 10, 60];

/// The longest pause of an exponential backoff.
const LONGEST: Duration = Duration::from_secs(3600);

/// The value of `failed_queue` for the broker's own dead-letter queue.
pub const BROKERS_OWN: &str = "@dead-letter";

/// The pause before a job is retried.
#[derive(Debug, Clone, PartialEq)]
pub enum Backoff {
    /// The pauses after the first failed attempt, the second, and so on; the last one repeats.
    Steps(Vec<Duration>),
    /// 1, 2, 4, … seconds up to an hour; each pause is between half of it and the whole.
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
            // The form in a DSN's query: `backoff=1,10,60`.
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

/// Where a job goes that is not retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedQueue {
    /// `<queue>.failed`; on Service Bus, the dead-letter queue.
    Usual,
    /// The queue with that name.
    Named(String),
    /// Wherever the broker itself puts rejected messages.
    BrokersOwn,
}

/// The configured parts of the policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetryOptions {
    /// The maximum number of attempts; 0 for no limit. Default 3.
    pub max_attempts: Option<u32>,
    /// Default 1, 10, 60 seconds.
    pub backoff: Option<Backoff>,
    /// Default [`FailedQueue::Usual`].
    pub failed_queue: Option<FailedQueue>,
    /// Whether a failed job returns to its queue regardless of its attempts. Default false.
    pub requeue_on_fail: Option<bool>,
    /// Whether a job stays even if its deliveries repeatedly end without an outcome. Only for the
    /// failed queue, whose jobs are inspected and moved, but not run. No option sets it.
    pub keeps_lost: bool,
}

impl RetryOptions {
    /// The names of the options in PHP.
    pub const NAMES: [&'static str; 4] =
        ["max_attempts", "backoff", "failed_queue", "requeue_on_fail"];

    /// Reads one option; false if `name` is none of these.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with `path`.
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

    /// These options, with the gaps filled from `defaults`.
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

    /// Where a job goes that is not retried.
    #[must_use]
    pub fn failed_queue(&self) -> &FailedQueue {
        self.failed_queue.as_ref().unwrap_or(&FailedQueue::Usual)
    }

    /// Whether the pauses are the defaults. A broker that cannot delay may then skip them instead
    /// of reporting an error.
    #[must_use]
    pub fn is_backoff_usual(&self) -> bool {
        self.backoff.is_none()
    }

    /// Whether no attempts are left after this many.
    pub(crate) fn is_used_up(&self, attempts: u32) -> bool {
        let max = self.max_attempts.unwrap_or(MAX_ATTEMPTS);
        !self.requeue_on_fail.unwrap_or(false) && max > 0 && attempts >= max
    }

    /// How to handle a job whose `attempts`th attempt failed. `requeue` overrides the policy, and
    /// then there is no pause.
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

/// How to handle a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Retry it after this pause.
    Retry(Duration),
    /// Move it to the failed queue.
    Fail,
}

/// How a broker handles the redelivery of a returned job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redelivery {
    /// It does not count it, so a copy must carry the attempts.
    Uncounted,
    /// It counts it, and redelivers at once.
    Counted,
    /// It counts it, and redelivers at the requested time.
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
