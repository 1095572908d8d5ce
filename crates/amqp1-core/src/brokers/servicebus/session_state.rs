//! The session that a consumer has: its id and its state.

use std::sync::Arc;

use fe2o3_amqp_types::performatives::Attach;
use serde_amqp::primitives::Symbol;
use serde_amqp::Value;

use super::constants::{SESSION_FILTER, SESSION_LOCKED_UNTIL};
use super::request::Request;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::receive::consumer::Consumer;
use crate::receive::source::{Attached, Source};
use crate::wire::write;

/// What the answer to an attach says of the session that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionAnswer {
    pub id: Option<String>,
    /// .NET ticks, in UTC.
    pub locked_until: Option<i64>,
}

/// The session that the service gave, by its answer to the attach: the filter with its id, and
/// the lock's end.
pub(crate) fn taken(attach: &Attach) -> Option<SessionAnswer> {
    let filter = attach.source.as_ref()?.filter.as_ref()?;
    let key = Symbol::from(SESSION_FILTER);
    let id = match filter.get(&key)? {
        Value::String(id) => Some(id.clone()),
        Value::Described(described) => match &described.value {
            Value::String(id) => Some(id.clone()),
            _ => None,
        },
        _ => None,
    };
    let properties = attach.properties.as_ref();
    let until = properties.and_then(|map| map.get(&Symbol::from(SESSION_LOCKED_UNTIL)));
    let locked_until = match until {
        Some(Value::Long(ticks)) => Some(*ticks),
        _ => None,
    };
    Some(SessionAnswer { id, locked_until })
}

impl Consumer {
    /// The session that it has now; of several queues the first that has one.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        let held = self.sources().iter().find_map(Source::session)?;
        let session = held.service_bus.as_ref()?.session.get()?;
        Some(session.to_string())
    }

    fn held(&self) -> Result<(&Source, Attached, Arc<str>)> {
        let [source] = self.sources() else {
            return Err(Error::config(
                "session state: the consumer has several queues; use one consumer for each",
            ));
        };
        let held = source.session();
        let session = held
            .as_ref()
            .and_then(|held| held.service_bus.as_ref()?.session.get());
        match (&held, session) {
            (Some(held), Some(session)) => Ok((source, Arc::clone(held), Arc::clone(session))),
            _ => Err(Error::task_lost(format!(
                "{}: the consumer has no session, or has lost it; set the option 'session' and wait for a job",
                source.definition.describe()
            ))),
        }
    }

    /// The bytes that were kept with the session; `None` when there are none.
    ///
    /// # Errors
    /// TaskLost without a session; Config with several queues.
    pub fn session_state(&self, wait: &Wait<'_>) -> Result<Option<Vec<u8>>> {
        let reply = self.operate("get-session-state", wait, |_| 0)?;
        Ok(reply.get("session-state", |value| {
            value.as_octets().map(<[u8]>::to_vec)
        }))
    }

    /// Keeps these bytes with the session, for whoever takes it next; `None` for none.
    ///
    /// # Errors
    /// As [`Consumer::session_state`].
    pub fn set_session_state(&self, state: Option<&[u8]>, wait: &Wait<'_>) -> Result<()> {
        let put = |out: &mut Vec<u8>| {
            write::string(out, "session-state");
            match state {
                Some(bytes) => write::binary(out, bytes),
                None => write::null(out),
            }
            2
        };
        self.operate("set-session-state", wait, put).map(|_| ())
    }

    fn operate(
        &self,
        name: &str,
        wait: &Wait<'_>,
        more: impl Fn(&mut Vec<u8>) -> u32,
    ) -> Result<super::request::Reply> {
        let (source, held, session) = self.held()?;
        let Some(service_bus) = &held.service_bus else {
            return Err(Error::unsupported("this broker has no sessions"));
        };
        let link = Some(held.name());
        let request = Request::operation(name, link, wait.left(), |out| {
            write::string(out, "session-id");
            write::string(out, &session);
            2 + more(out)
        });
        let tokens = source.definition.options.token.as_ref();
        service_bus
            .client
            .operate(&held.address, &request, tokens, wait)
            .map_err(|error| error.context(source.definition.describe()))
    }
}
