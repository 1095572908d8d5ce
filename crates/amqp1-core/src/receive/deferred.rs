//! Receives jobs that were set aside, by the broker's numbers. The broker hands them out as answers,
//! not over the link: only their locks settle them, or the lock of their session.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::id;
use crate::base::wait::Wait;
use crate::error::{Error, Result};
use crate::format;
use crate::reach::definition::Definition;
use crate::receive::attachment::link::SharedLink;
use crate::receive::delivery::Delivery;

/// Checks that jobs of this queue can be set aside at all.
///
/// # Errors
/// Unsupported except on Service Bus.
pub(crate) fn check(definition: &Definition) -> Result<()> {
    match definition.presumed().defers() {
        true => Ok(()),
        false => Err(Error::unsupported(format!(
            "{}: receiveDeferred() is not supported: only Service Bus sets jobs aside",
            definition.describe()
        ))),
    }
}

/// The deferred jobs with these numbers, under the locks of this link. Even one that is not a valid
/// job is handed out, because its caller asked for just this one.
///
/// # Errors
/// Rejected if one of them is not there; Connection, Timeout.
pub(crate) fn receive(
    numbers: &[i64],
    link: &Arc<SharedLink>,
    definition: &Arc<Definition>,
    wait: &Wait<'_>,
) -> Result<Vec<Rc<Delivery>>> {
    let Some(holding) = &link.holding else {
        return Ok(Vec::new());
    };
    let received = holding.receive_deferred(numbers, &link.address, &**definition, wait)?;
    let mapping = link.dialect.property_mapping();
    let jobs = received.into_iter().map(|(lock, bytes)| {
        let decoded = format::decode(bytes.clone(), mapping);
        let mut decoded = decoded.unwrap_or_else(|_| format::undecoded(bytes));
        if decoded.id().is_empty() {
            decoded.id = id::job_id()?.into();
        }
        let (definition, link) = (Arc::clone(definition), Arc::clone(link));
        Ok(Rc::new(Delivery::deferred(decoded, definition, link, lock)))
    });
    jobs.collect()
}
