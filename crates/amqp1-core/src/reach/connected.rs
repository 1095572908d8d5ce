//! A connection to a broker, and what the broker is.

use std::sync::Arc;

use crate::base::wait::Wait;
use crate::brokers::seams::companion::Companion;
use crate::brokers::Dialect;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::spec::Spec;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub connection: Connection,
    pub dialect: &'static dyn Dialect,
    /// What goes with the connection, where something does.
    pub companion: Option<Arc<dyn Companion>>,
    /// The companion has something to ask of the application now and then.
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

    /// Work of the companion; nothing where there is none.
    ///
    /// # Errors
    /// What the work fails with.
    pub fn accompanied(&self, work: impl FnOnce(&dyn Companion) -> Result<()>) -> Result<()> {
        match &self.companion {
            Some(companion) => work(&**companion),
            None => Ok(()),
        }
    }

    /// The broker knows who we are, as far as it wants to for this address.
    ///
    /// # Errors
    /// Authentication.
    pub fn authorize(&self, spec: &Spec, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.accompanied(|companion| companion.authorize(spec, address, wait))
    }

    /// Sees that jobs for this address wait for a consumer, where attaching a sender does not tell.
    ///
    /// # Errors
    /// Unsupported when they would not.
    pub fn confirm(&self, spec: &Spec, address: &str, wait: &Wait<'_>) -> Result<()> {
        self.accompanied(|companion| companion.confirm(address, wait))
            .map_err(|error| error.context(spec.describe()))
    }
}
