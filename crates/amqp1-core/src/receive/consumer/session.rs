//! A consumer's session: its id and its state.

use std::sync::Arc;

use super::Consumer;
use crate::base::wait::Wait;
use crate::brokers::seams::companion::holding::Holding;
use crate::error::{Error, Result};
use crate::receive::attachment::link::SharedLink;
use crate::receive::attachment::Attachment;

impl Consumer {
    /// The session that it holds; with several queues, the first one found.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        let (session, _) = self.attachments.iter().find_map(Attachment::session)?;
        Some(session.to_string())
    }

    /// The session's state; `None` if there is none.
    ///
    /// # Errors
    /// TaskLost without a session; Config with several queues.
    pub fn session_state(&self, wait: &Wait<'_>) -> Result<Option<Vec<u8>>> {
        self.with_session(|holding, link, attachment| {
            holding.session_state(&link.address, &*attachment.definition, wait)
        })
    }

    /// Sets the session's state for its next consumer; `None` removes it.
    ///
    /// # Errors
    /// As [`Consumer::session_state`].
    pub fn set_session_state(&self, state: Option<&[u8]>, wait: &Wait<'_>) -> Result<()> {
        self.with_session(|holding, link, attachment| {
            holding.set_session_state(state, &link.address, &*attachment.definition, wait)
        })
    }

    fn with_session<T>(
        &self,
        work: impl Fn(&dyn Holding, &Arc<SharedLink>, &Attachment) -> Result<T>,
    ) -> Result<T> {
        let [attachment] = &self.attachments[..] else {
            return Err(Error::config(
                "session state: the consumer has several queues; use one consumer for each",
            ));
        };
        let link = attachment.session().map(|(_, link)| link);
        let done = match link.as_ref().map(|link| (link, &link.holding)) {
            Some((link, Some(holding))) => work(&**holding, link, attachment),
            _ => Err(Error::task_lost(
                "the consumer has no session, or has lost it; set the option 'session' and wait for a job",
            )),
        };
        done.map_err(|error| error.context(attachment.definition.describe()))
    }
}
