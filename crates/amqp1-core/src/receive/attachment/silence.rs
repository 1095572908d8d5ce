//! A queue from which nothing arrives: it may be empty, or its host may be cut off from the
//! cluster.
//!
//! Such a host answers heartbeats, and a consumer attached earlier would wait there for as long as
//! that lasts. Therefore a silent queue is asked whether it has more, which its leader answers. A
//! host without an answer is left.

use std::time::Instant;

use crate::base::sync::Mutex;
use crate::connection::{ReceiverLink, PATIENCE};

#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Option<Silent>>);

#[derive(Debug, Clone, Copy)]
struct Silent {
    since: Instant,
    asked: bool,
}

impl Silence {
    /// Call it when nothing has arrived.
    pub fn look(&self, link: &ReceiverLink) {
        if !link.has_choice() {
            return;
        }
        let mut silent = self.0.lock();
        let begins = |asked| Silent {
            since: Instant::now(),
            asked,
        };
        *silent = match *silent {
            None => Some(begins(false)),
            Some(silent) if silent.since.elapsed() < PATIENCE => Some(silent),
            // The end of a link is reported elsewhere.
            Some(silent) if !silent.asked => Some(begins(link.ask().is_ok())),
            Some(_) if link.is_answered() => Some(begins(false)),
            Some(_) => {
                link.leave_host();
                None
            }
        };
    }
}
