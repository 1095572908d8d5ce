//! Handles jobs that were not accepted: sends them again, or reports them.

use std::time::Duration;

use super::Publisher;
use crate::base::pauses::{RESEND_STEP, RESEND_STEPS};
use crate::base::wait::Wait;
use crate::connection::{Confirmation, Tracked};
use crate::error::condition;
use crate::error::{Error, ErrorKind, Result};
use crate::publish::route::{self, Route, Taker};
use crate::reach::definition::Definition;
use crate::reach::destination::Destination;
use crate::reach::pool::Role;

impl Publisher {
    /// Sends lost jobs again, on a new connection or link.
    pub(super) fn resend(&mut self, wait: &Wait<'_>) -> Result<()> {
        let lost = std::mem::take(&mut self.lost);
        let mut paused = false;
        for (index, error) in lost {
            let error = self.of_requester(index, error, wait);
            let position = index.wrapping_sub(self.base) as usize;
            let Some(Some(sent)) = self.window.get_mut(position) else {
                continue;
            };
            sent.resent += 1;
            // A deleted queue is declared again once. A link that keeps failing on an open
            // connection is not worth the whole deadline.
            let usual = RESEND_STEP * (sent.resent - 1).min(RESEND_STEPS);
            let dialect = self.definition.presumed();
            let passing = error.kind() != ErrorKind::Authentication && error.condition().is_some();
            let pause = match passing {
                true => dialect.pause_after(error.condition(), sent.resent, usual),
                false => Some(usual),
            };
            let pause = pause.filter(|pause| *pause < wait.left());
            let again = match error.kind() {
                // The broker closed the connection over a job that it refuses. Tried once more,
                // because that may have been another job.
                ErrorKind::Connection if error.lasts() => sent.resent == 1,
                ErrorKind::Connection => !wait.left().is_zero() && pause.is_some(),
                ErrorKind::QueueNotFound => {
                    sent.resent == 1
                        && self.definition.options.declare
                        && sent.taker != Taker::Requester
                }
                ErrorKind::Rejected => {
                    let passes = |condition| dialect.passes(condition);
                    error.condition().is_some_and(passes) && pause.is_some()
                }
                // An expired token: a new one is requested.
                ErrorKind::Authentication => {
                    sent.resent == 1 && self.definition.renews_token(Role::Publish, &error)
                }
                _ => false,
            };
            let taker = sent.taker;
            if error.kind() == ErrorKind::QueueNotFound && taker != Taker::Requester {
                self.definition.forget_declared();
            }
            if !again {
                self.definition.tell_refused(Role::Publish, &error);
                self.fail(index, self.explain(error));
                continue;
            }
            // One pause for all of them; it grows with the number of losses.
            let pause = pause.unwrap_or_default();
            if !pause.is_zero() && !paused {
                wait.sleep(pause)?;
                paused = true;
            }
            if let Err(error) = self.resend_one(index, wait) {
                if error.kind() == ErrorKind::Interrupted {
                    return Err(error);
                }
                self.fail(index, self.explain(error));
            }
        }
        Ok(())
    }

    /// The error of a reply whose requester is gone, if that is what the error means.
    fn of_requester(&self, index: u64, error: Error, wait: &Wait<'_>) -> Error {
        let position = index.wrapping_sub(self.base) as usize;
        let sent = self.window.get(position).and_then(Option::as_ref);
        if error.condition().is_none() || sent.is_none_or(|sent| sent.taker != Taker::Requester) {
            return error;
        }
        match self.definition.connect(Role::Publish, wait) {
            Ok(connected) if connected.dialect.is_gone(&error) => {
                Error::queue_not_found(error.message())
            }
            _ => error,
        }
    }

    fn resend_one(&mut self, index: u64, wait: &Wait<'_>) -> Result<()> {
        let position = index.wrapping_sub(self.base) as usize;
        let Some(Some(sent)) = self.window.get(position) else {
            return Ok(());
        };
        let route = {
            let target = (&sent.destination, sent.has_own_to);
            route::find(&self.definition, target, sent.delay, wait)?
        };
        let tracked = Tracked {
            tracker: self.tracker.clone(),
            index,
        };
        let resent = route.sender.send(sent.message.whole(), tracked, true);
        if let Err(error) = resent {
            self.lost.push((index, error));
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, index: u64, error: Error) {
        self.failures.push((index, error));
        let position = index.wrapping_sub(self.base) as usize;
        if let Some(slot) = self.window.get_mut(position) {
            if let Some(sent) = slot.take() {
                self.bytes -= sent.message.weight();
            }
        }
    }

    /// Finds the route of a job. If the broker reports that the queue is missing, the error is
    /// explained as for a returned job. Service Bus reports it already when it gets the token.
    pub(super) fn routed(
        &self,
        target: (&Destination, bool),
        delay: Duration,
        wait: &Wait<'_>,
    ) -> Result<Route> {
        let route = route::find(&self.definition, target, delay, wait);
        route.map_err(|error| match (error.kind(), error.condition()) {
            (ErrorKind::QueueNotFound, Some(_)) => self.explain(error),
            _ => error,
        })
    }

    pub(super) fn explain(&self, error: Error) -> Error {
        let hint = match error.kind() {
            ErrorKind::QueueNotFound => self.definition.when_missing(),
            // It was sent once, and only its confirmation may have been lost.
            ErrorKind::Connection | ErrorKind::Timeout => {
                "it is unknown whether the broker has the job"
            }
            _ => "",
        };
        let then = if hint.is_empty() { "" } else { "; " };
        Error::new(
            error.kind(),
            format!(
                "{}: {}{then}{hint}",
                self.definition.describe(),
                error.message()
            ),
        )
    }
}

/// The error for a negative outcome.
pub(super) fn failure(
    definition: &Definition,
    destination: &Destination,
    outcome: &Confirmation,
) -> Error {
    let what = definition.describe();
    match outcome {
        Confirmation::Released => Error::unroutable(format!(
            "{what}: the broker has no queue for the job (released by {}); create the queue, or bind one",
            definition.name_of(destination)
        )),
        Confirmation::Rejected(Some((condition, description))) => {
            let kind = match condition::kind(condition) {
                ErrorKind::QueueNotFound => ErrorKind::QueueNotFound,
                _ => ErrorKind::Rejected,
            };
            let description = description.as_deref().unwrap_or("no description");
            Error::new(
                kind,
                format!("{what}: the broker refused the job: {condition}: {description}"),
            )
            .with_condition(condition)
        }
        _ => Error::rejected(format!(
            "{what}: the broker refused the job without giving a reason; the queue may be full"
        )),
    }
}
