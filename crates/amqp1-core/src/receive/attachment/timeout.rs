//! The consumer timeout: how long the broker lets a consumer hold a job.

use std::time::Duration;

use serde_amqp::Value;

use super::Attachment;
use crate::base::wait::Wait;
use crate::error::Result;
use crate::reach::connected::Connected;
use crate::settings::topology_options::{milliseconds, QueueType};

impl Attachment {
    /// After how long the broker takes a job back, if the options determine it.
    pub(super) fn known_timeout(&self, connected: &Connected) -> Option<Duration> {
        let options = &self.definition.options;
        let usual = match options.queue_type() {
            QueueType::Quorum => connected
                .dialect
                .usual_consumer_timeout(connected.connection.remote()),
            QueueType::Classic => None,
        };
        self.timeout.or(options.topology.timeout()).or(usual)
    }

    /// The link property of the consumer timeout.
    pub(super) fn timeout(
        &self,
        connected: &Connected,
        timeout: Duration,
        wait: &Wait<'_>,
    ) -> Result<(String, Value)> {
        let (definition, remote) = (&self.definition, connected.connection.remote());
        let has_any = connected.dialect.consumer_timeout_property(remote, None);
        let queue_type = match has_any {
            Some(_) => definition.queue_type(wait)?,
            None => None,
        };
        let property = has_any.and(
            connected
                .dialect
                .consumer_timeout_property(remote, queue_type.as_deref()),
        );
        let property = property.ok_or_else(|| definition.has_no_consumer_timeout())?;
        // RabbitMQ accepts only an unsigned int.
        let time = u32::try_from(milliseconds(timeout)).unwrap_or(u32::MAX);
        let time = Value::from(time);
        Ok((property.to_owned(), time))
    }
}
