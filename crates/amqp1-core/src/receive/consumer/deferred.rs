//! Jobs of a consumer's queue, or of its session, that were set aside.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::Consumer;
use crate::base::wait::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::receive::attachment::link::SharedLink;
use crate::receive::attachment::Attachment;
use crate::receive::deferred;
use crate::receive::delivery::Delivery;

impl Consumer {
    /// Receives jobs that were set aside, by their numbers. The deferred jobs of a session can be
    /// received only by the consumer that holds it; a session that the options name is taken for
    /// that.
    ///
    /// # Errors
    /// Unsupported except on Service Bus; Config with several queues; TaskLost if it holds no
    /// session and names none; Rejected if one of the jobs is not there; Timeout if the session is
    /// not granted in time.
    pub fn receive_deferred(&self, numbers: &[i64], wait: &Wait<'_>) -> Result<Vec<Rc<Delivery>>> {
        let [attachment] = &self.attachments[..] else {
            return Err(Error::config(
                "receiveDeferred(): the consumer has several queues; use one consumer for each, or AmqpQueue::receiveDeferred()",
            ));
        };
        let definition = &attachment.definition;
        deferred::check(definition)?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let granted = self.granted(attachment, wait);
        let link = granted.inspect_err(|_| attachment.stop_asking())?;
        deferred::receive(numbers, &link, definition, wait)
            .map_err(|error| error.context(definition.describe()))
    }

    fn granted(&self, attachment: &Attachment, wait: &Wait<'_>) -> Result<Arc<SharedLink>> {
        let name = || attachment.definition.describe();
        let signal = self.wakeup().signal;
        attachment.begin(false);
        loop {
            let granted = match attachment.link() {
                None if self.options.session.is_some() && !attachment.names_session() => {
                    return Err(Error::task_lost(format!(
                        "{}: the consumer has no session, or has lost it; wait for a job first, or name the session in the option 'session'",
                        name()
                    )));
                }
                None => {
                    let rests = attachment.session_rests_until();
                    if let Some(until) = rests {
                        wait.sleep(until.saturating_duration_since(Instant::now()))?;
                    }
                    attachment.attach(&signal, wait)?;
                    wait.until(&signal, || attachment.granted())
                }
                link => Ok(link),
            };
            match granted {
                Ok(Some(link)) => return Ok(link),
                // Another consumer holds it.
                Err(error) if error.kind() == ErrorKind::Connection && !wait.left().is_zero() => {}
                Err(error) if error.kind() != ErrorKind::Connection => {
                    return Err(error.context(name()));
                }
                Ok(None) | Err(_) => {
                    return Err(Error::timeout(format!(
                        "{}: the session was not granted in time, probably because another consumer holds it; close that one, or try again later",
                        name()
                    )));
                }
            }
        }
    }
}
