//! The inboxes of this thread, which outlive the requests that opened them: a process needs one for
//! each broker.

use std::cell::RefCell;
use std::rc::Rc;

use super::inbox::Inbox;
use crate::base::wait::Wait;
use crate::base::{fork, runtime};
use crate::error::Result;
use crate::reach::definition::Definition;
use crate::settings::shared_endpoint::SharedEndpoint;

struct Known {
    endpoint: SharedEndpoint,
    /// The queue that the application named, if its broker makes no addresses.
    reply_to: Option<String>,
    inbox: Rc<Inbox>,
}

struct Inboxes {
    generation: u64,
    known: Vec<Known>,
}

/// The end of the thread: in thread-safe PHP, the connections live on without it.
impl Drop for Inboxes {
    fn drop(&mut self) {
        let is_ours = self.generation == fork::generation();
        // At the process's end, the client is shut down already.
        if !is_ours || !runtime::is_started() {
            std::mem::forget(std::mem::take(&mut self.known));
        }
    }
}

thread_local! {
    static INBOXES: RefCell<Inboxes> = const {
        RefCell::new(Inboxes { generation: 0, known: Vec::new() })
    };
}

/// The inbox for replies from the queue's broker, opened if there is none.
///
/// # Errors
/// As [`Inbox::open`].
pub(crate) fn inbox(
    definition: &Definition,
    reply_to: Option<&str>,
    wait: &Wait<'_>,
) -> Result<Rc<Inbox>> {
    let is_it = |known: &Known| {
        known.endpoint == definition.endpoint && known.reply_to.as_deref() == reply_to
    };
    let known = with(|all| {
        all.iter()
            .find(|known| is_it(known))
            .map(|known| Rc::clone(&known.inbox))
    });
    if let Some(inbox) = known.filter(|inbox| inbox.is_open()) {
        return Ok(inbox);
    }
    // Opening runs signal handlers, which may make requests.
    let inbox = Rc::new(Inbox::open(definition, reply_to, wait)?);
    let old = with(|all| {
        let old = all
            .iter()
            .position(is_it)
            .map(|place| all.swap_remove(place));
        all.push(Known {
            endpoint: definition.endpoint.clone(),
            reply_to: reply_to.map(str::to_owned),
            inbox: Rc::clone(&inbox),
        });
        old
    });
    drop(old);
    Ok(inbox)
}

fn with<T>(work: impl FnOnce(&mut Vec<Known>) -> T) -> T {
    INBOXES.with_borrow_mut(|inboxes| {
        if inboxes.generation != fork::generation() {
            // A child neither uses nor closes its parent's.
            std::mem::forget(std::mem::take(&mut inboxes.known));
            inboxes.generation = fork::generation();
        }
        work(&mut inboxes.known)
    })
}
