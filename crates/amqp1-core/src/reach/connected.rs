//! A connection to a broker, with the broker's dialect and companion.

use std::sync::Arc;

use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::Dialect;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::spec::Spec;

#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub connection: Connection,
    pub dialect: &'static dyn Dialect,
    /// The connection's companion, if the broker needs one.
    pub companion: Option<Arc<dyn Companion>>,
    /// Whether the companion must ask the application for something from time to time.
    pub has_errands: bool,
}

impl Connected {
    pub fn new(
        connection: Connection,
        dialect: &'static dyn Dialect,
        companion: Option<Arc<dyn Companion>>,
    ) -> Self {
        let has_errands = companion.as_ref().is_some_and(|one| one.has_errands());
        Self {
            connection,
            dialect,
            companion,
            has_errands,
        }
    }

    /// Does work with the companion; nothing if there is none.
    ///
    /// # Errors
    /// Those of the work.
    pub fn accompanied(&self, work: impl FnOnce(&dyn Companion) -> Result<()>) -> Result<()> {
        match &self.companion {
            Some(companion) => work(&**companion),
            None => Ok(()),
        }
    }

    /// Authenticates the client for this address, if the broker requires it.
    ///
    /// # Errors
    /// Authentication.
    pub fn authorize(&self, spec: &Spec, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.accompanied(|companion| companion.authorize(spec, address, wait))
    }

    /// Checks that jobs for this address wait for a consumer, if attaching a sender does not show
    /// it.
    ///
    /// # Errors
    /// Unsupported if they would not.
    pub fn confirm(&self, spec: &Spec, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.accompanied(|companion| companion.confirm(address, wait))
            .map_err(|error| error.context(spec.describe()))
    }
}
