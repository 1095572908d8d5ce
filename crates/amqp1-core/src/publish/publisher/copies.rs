//! Sends copies of received jobs, and checks what only the broker's kind can tell.

use std::sync::Arc;

use super::message::Message;
use super::Publisher;
use crate::base::clock::now_millis;
use crate::base::id;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::format::changes::Changes;
use crate::format::copy::copy;
use crate::format::{body, carried, Decoded};
use crate::job::properties::JobProperties;
use crate::reach::destination::Destination;
use crate::reach::pool::Role;

impl Publisher {
    /// Sends a job that was received, in its own format. `changes` has its delay and TTL; the route
    /// determines how the broker is told about them. If it fails, nothing was sent.
    pub fn send_copy(
        &mut self,
        decoded: &Decoded,
        changes: &Changes<'_>,
        destination: Destination,
        wait: &Wait<'_>,
    ) -> Result<()> {
        self.check_process()?;
        let definition = Arc::clone(&self.definition);
        let delay = changes.delay;
        let has_own_to = match decoded.property_text(carried::TO) {
            Some(to) => {
                let connected = definition.connect(Role::Publish, wait)?;
                !connected.dialect.is_route(&to)
            }
            None => false,
        };
        let route = self.routed((&destination, has_own_to), delay, wait)?;
        let keeps_user_id = match decoded.property(carried::USER_ID) {
            Some(user) => definition.takes_user_id(&body::text(user), wait)?,
            None => false,
        };
        let expires_in = changes.ttl.filter(|_| route.ttl_is_lost);
        let expires_in = expires_in.map(|ttl| ttl + delay);
        let message_id = match definition.presumed().drops_duplicates() {
            true => Some(id::job_id()?),
            false => None,
        };
        let changes = Changes {
            message_id: message_id.as_deref(),
            to: route.to.as_deref(),
            keeps_to: has_own_to,
            keeps_user_id,
            delay_mark: route.delay_mark,
            ttl: changes.ttl.filter(|_| !route.ttl_is_lost),
            expires_at: expires_in
                .map(|after| now_millis().saturating_add(after.as_millis() as i64))
                .or(changes.expires_at),
            ..changes.clone()
        };
        let payload = copy(decoded, &changes);
        self.dispatch(
            Message::Whole(payload),
            route,
            (destination, has_own_to),
            delay,
            wait,
        )
    }

    /// Refuses a message that is larger than the broker's limit; zero is none.
    pub(super) fn check_size(&self, limit: &u64, size: usize) -> Result<()> {
        if *limit == 0 || size as u64 <= *limit {
            return Ok(());
        }
        Err(Error::rejected(format!(
            "{}: the message has {size} bytes, but the broker accepts at most {limit}; store large payloads elsewhere and push a reference",
            self.definition.describe()
        )))
    }

    /// Refuses properties that the broker would refuse, or use otherwise.
    pub(super) fn check_properties(
        &self,
        properties: &JobProperties<'_>,
        wait: &Wait<'_>,
    ) -> Result<()> {
        let definition = &self.definition;
        let refused = |why: &str| {
            Err(Error::unsupported(format!(
                "{}: {why}",
                definition.describe()
            )))
        };
        if let Some(user) = &properties.user_id {
            if !definition.takes_user_id(user.as_bytes(), wait)? {
                return refused("option 'user_id': this broker accepts only the user of the connection; remove the option, or send the name as a header");
            }
        }
        if let Some(to) = &properties.to {
            let connected = definition.connect(Role::Publish, wait)?;
            if connected.dialect.is_route(to.as_bytes()) {
                return refused("option 'to': it must not be an address of this broker, which routes by them; use 'exchange' and 'routing_key' for the route, or another name in 'to'");
            }
        }
        Ok(())
    }
}
