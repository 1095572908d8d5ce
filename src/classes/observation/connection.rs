//! `Amqp1\Observation\Connection`.

use amqp1_core::Event;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::prelude::*;

use super::push::Thrown;
use crate::exceptions;

/// An event of a connection.
#[php_class]
#[php(name = "Amqp1\\Observation\\Connection")]
#[php(flags = ClassFlags::Final.union(ClassFlags::NoDynamicProperties))]
#[derive(Debug)]
pub struct Connection {
    pub event: Event,
}

#[php_impl]
impl Connection {
    /// The extension creates these objects; PHP code cannot.
    #[php(vis = "private")]
    pub fn __construct() -> PhpResult<Self> {
        Err(
            "Amqp1\\Observation\\Connection cannot be created with new: observers are given one"
                .into(),
        )
    }

    /// What has happened.
    pub fn get_event(&self) -> String {
        self.event.kind.as_str().to_owned()
    }

    /// When: Unix time in seconds.
    pub fn get_time(&self) -> f64 {
        self.event.at.as_secs_f64()
    }

    /// The endpoint, without secrets.
    pub fn get_endpoint(&self) -> String {
        self.event.endpoint.clone()
    }

    /// The connected host, if the endpoint has several.
    pub fn get_host(&self) -> Option<String> {
        self.event.host.clone()
    }

    /// `push` or `consume`.
    pub fn get_role(&self) -> Option<String> {
        let role = self.event.role.filter(|role| !role.is_empty());
        role.map(str::to_owned)
    }

    /// The broker's name of the queue, if it concerns one.
    pub fn get_destination(&self) -> Option<String> {
        self.event.queue.clone()
    }

    /// The number of the attempt, from 1.
    pub fn get_attempt(&self) -> Option<i64> {
        self.event.attempt.map(i64::from)
    }

    /// How long the connection was lost, or the broker accepted no jobs.
    pub fn get_seconds(&self) -> Option<f64> {
        self.event.seconds.map(|time| time.as_secs_f64())
    }

    /// The number of jobs that are concerned.
    pub fn get_count(&self) -> Option<i64> {
        let count = self.event.count;
        count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Why.
    pub fn get_error(&self) -> Thrown {
        Thrown(self.event.error.as_ref().map(exceptions::of))
    }
}
