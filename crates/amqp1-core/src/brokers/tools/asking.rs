//! Questions that attaching a link answers, over one session that is kept for them.

use super::again::again;
use crate::base::sync::Mutex;
use crate::base::wait::Wait;
use crate::connection::{Ask, Connection, Existence, Question};
use crate::error::Result;

/// Asks the broker of a connection by attaching.
#[derive(Debug)]
pub(crate) struct Asking {
    connection: Connection,
    asks: Ask,
    /// Only PHP's thread locks it, so that no fork can happen while it is locked.
    kept: Mutex<Option<Existence>>,
}

impl Asking {
    /// Links will require `asks` of their node.
    pub fn new(connection: &Connection, asks: Ask) -> Self {
        Self {
            connection: connection.clone(),
            asks,
            kept: Mutex::default(),
        }
    }

    /// # Errors
    /// The broker's refusal.
    pub fn ask(&self, question: Question<'_>, wait: &Wait<'_>) -> Result<()> {
        again(&self.connection, wait, || self.ask_once(question, wait))
    }

    /// If another call asks at the same time, as a signal handler may, it gets a session of its
    /// own.
    fn ask_once(&self, question: Question<'_>, wait: &Wait<'_>) -> Result<()> {
        let kept = self.kept.lock().take();
        let existence = match kept {
            Some(existence) => existence,
            None => Existence::open(&self.connection)?,
        };
        let answered = existence.ask(question, self.asks, wait);
        let unused = match &answered {
            Ok(()) => self.kept.lock().replace(existence),
            Err(_) => Some(existence),
        };
        if let Some(existence) = unused {
            existence.close();
        }
        answered
    }
}
