//! One round trip on a connection: opens and ends a session.

use std::time::Instant;

use super::handle::Connection;
use crate::base::wait::Wait;
use crate::error::condition::Condition;
use crate::error::{Error, Result};

/// Waits until the broker answers.
///
/// # Errors
/// The error that ended the connection; Timeout.
pub(crate) fn ping(connection: &Connection, wait: &Wait<'_>) -> Result<()> {
    loop {
        match ping_once(connection, wait) {
            Err(error) if error.is(Condition::BEGIN_UNANSWERED) && !wait.left().is_zero() => {}
            done => return done,
        }
    }
}

fn ping_once(connection: &Connection, wait: &Wait<'_>) -> Result<()> {
    let signal = connection.signal();
    let mut protocol = connection.lock();
    let key = protocol.open_session(signal.clone(), Instant::now())?;
    connection.kick(protocol);
    let answered = wait.until(&signal, || {
        let mut protocol = connection.lock();
        // Sessions outlive their connection, so that their links can report its error.
        if let Some(error) = protocol.lost() {
            return Err(error.clone());
        }
        let life = &protocol.session(key)?.0.life;
        let (is_given_up, is_begun) = (life.is_given_up(), life.is_begun());
        match is_given_up {
            true => Err(protocol.gone(key)),
            false => Ok(is_begun.then_some(())),
        }
    });
    connection.end_session(key);
    answered?
        .ok_or_else(|| Error::timeout(format!("{} did not answer in time", connection.label())))
}
