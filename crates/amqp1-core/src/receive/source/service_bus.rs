//! What a queue of a consumer is besides on Service Bus: locks, sessions, tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_amqp::Value;

use super::{Attached, Source};
use crate::base::id;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::servicebus::companion::ServiceBusCompanion;
use crate::brokers::servicebus::constants::{NOT_ALLOWED, SESSION_FILTER, TIMEOUT_PROPERTY};
use crate::brokers::servicebus::locks::LinkLocks;
use crate::brokers::servicebus::session_claim::{Answer, Turn};
use crate::brokers::servicebus::session_state::taken;
use crate::brokers::servicebus::settle::ServiceBusSource;
use crate::connection::{ping, ReceiverOptions, Settling};
use crate::error::{Error, Result};
use crate::reach::pool::Role;

/// How long a closing consumer waits for the round trip after which nothing comes any more.
const QUIET: Duration = Duration::from_secs(2);

impl Source {
    /// Until when its session is not asked for, because another has it.
    pub fn session_rests_until(&self) -> Option<Instant> {
        self.turn.as_ref().and_then(Turn::rests_until)
    }

    /// Its session is not asked for now: another has it, or the service has just said that there
    /// is none with jobs.
    pub fn leaves_sessions_alone(&self) -> bool {
        let has_none = self.turn.as_ref().is_some_and(Turn::has_none);
        has_none || self.session_rests_until().is_some()
    }

    /// A call begins that takes what is there, or one that waits.
    pub fn begin(&self, polls: bool) {
        if let Some(turn) = &self.turn {
            turn.begin(polls);
        }
    }

    /// Lets a session go that has turned out to be empty, where the next may have jobs.
    pub fn change_session(&self) -> bool {
        let (Some(turn), Some(attached)) = (&self.turn, self.attached()) else {
            return false;
        };
        let changes = turn.may_change(attached.held()) && !self.is_paused();
        if changes {
            self.close();
        }
        changes
    }

    /// When something has to be done about it although no delivery comes: a session without
    /// jobs is let go, an application asked for a token.
    pub fn next_errand(&self) -> Option<Instant> {
        let attached = self.attached()?;
        let service_bus = attached.service_bus.as_ref()?;
        let idle_at = self
            .turn
            .as_ref()
            .and_then(|turn| turn.idle_at(attached.held()));
        let question = service_bus.client.next_errand();
        [idle_at, question].into_iter().flatten().min()
    }

    /// Does what [`Source::next_errand`] is about.
    pub fn run_errands(&self, wait: &Wait<'_>) -> Result<()> {
        let Some(attached) = self.attached() else {
            return Ok(());
        };
        let Some(service_bus) = &attached.service_bus else {
            return Ok(());
        };
        service_bus.touch_session();
        service_bus.client.run_errands(&self.definition, wait)?;
        let idle_at = self
            .turn
            .as_ref()
            .and_then(|turn| turn.idle_at(attached.held()));
        if idle_at.is_some_and(|at| at <= Instant::now()) {
            self.close();
        }
        Ok(())
    }

    /// Gives back what is still on its way: the service keeps its lock on what comes over a
    /// link that has ended.
    pub fn quiet(&self, wait: &Wait<'_>) {
        let Some(attached) = self.attached() else {
            return;
        };
        let Some(service_bus) = &attached.service_bus else {
            return;
        };
        // What arrives from now on goes back; after one round trip nothing does any more.
        if attached.set_prefetch(0).is_ok() {
            let _ = ping(&service_bus.client.connection, &wait.at_most(QUIET));
        }
    }

    /// Why the link was refused. The service's own words need not name the entity, nor what to do.
    pub(super) fn refused(&self, error: Error) -> Error {
        match self.advice(&error) {
            Some(_) => self.advised(error).context(self.definition.describe()),
            None => error,
        }
    }

    /// The error, with what to do.
    fn advised(&self, error: Error) -> Error {
        match self.advice(&error) {
            Some(advice) => Error::new(error.kind(), format!("{}; {advice}", error.message()))
                .with_condition(NOT_ALLOWED),
            None => error,
        }
    }

    /// What to do about an entity that does not fit the consumer.
    fn advice(&self, error: &Error) -> Option<&'static str> {
        let is_service_bus = self.definition.presumed().is_service_bus();
        (is_service_bus && error.condition() == Some(NOT_ALLOWED)).then_some(match self.turn {
            Some(_) => "if it has no sessions, remove the option 'session'",
            None => "if it has sessions, set the consumer's option 'session'; to consume from a topic, use 'topic/Subscriptions/name'",
        })
    }

    /// Nobody waits for a session any more.
    pub fn stop_asking(&self) {
        if let Some(turn) = &self.turn {
            turn.give_up();
        }
    }

    /// What a receiver on Service Bus is besides.
    pub(super) fn service_bus(
        &self,
        client: &Arc<ServiceBusCompanion>,
        address: &str,
        options: &mut ReceiverOptions,
    ) -> Result<ServiceBusSource> {
        let name = format!("amqp1-consume-{}", id::short()?);
        let longest = self.definition.options.max_lock_renewal;
        let locks = LinkLocks::new(&client.locks, address, &name, longest);
        let session = self.turn.as_ref().map(Turn::filter);
        if let Some(turn) = &self.turn {
            let patience = turn.patience().as_millis() as u32;
            let patience = (TIMEOUT_PROPERTY.to_owned(), Value::from(patience));
            options.properties.push(patience);
        }
        let has_session = session.is_some();
        options.name = Some(name);
        options.settling = Settling::Second;
        options.releases_in_hand = true;
        if !has_session {
            options.watch = Some(Arc::new(locks.clone()));
        }
        options.filter = session.map(|id| (SESSION_FILTER, id.map_or(Value::Null, Value::String)));
        Ok(ServiceBusSource::new(client, locks, has_session))
    }

    /// The session that it has, and what is known of its link.
    pub fn session(&self) -> Option<Attached> {
        let attached = self.attached()?;
        let has_one = attached.service_bus.as_ref()?.session.get().is_some();
        has_one.then_some(attached)
    }

    /// A session that was asked for and has come.
    pub(super) fn take_session(&self) -> Result<()> {
        let Some(turn) = self.turn.as_ref() else {
            return Ok(());
        };
        match turn.answer() {
            Answer::None => Ok(()),
            Answer::Refused(error)
                if self.definition.renews_token(Role::Consume, &error) && turn.may_renew() =>
            {
                // Asked again, with another token.
                Err(Error::connection(error.message()))
            }
            // The consumer names the queue.
            Answer::Refused(error) => Err(self.advised(error)),
            Answer::Taken(attached) => {
                let answer = attached.link.answer();
                let session = answer.and_then(|answer| taken(&answer)).unwrap_or_default();
                if let Some(service_bus) = &attached.service_bus {
                    let id = session.id.or_else(|| turn.filter()).unwrap_or_default();
                    service_bus.took_session(&id, session.locked_until);
                }
                *self.attached.lock() = Some(attached);
                Ok(())
            }
        }
    }
}
