//! The sessions of a queue: the link that holds each, its ready messages, and its state.

use std::collections::{BTreeMap, BTreeSet};

use crate::amqp::ids::LinkId;

/// One session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Sequence numbers of messages that can be received.
    pub(crate) ready: BTreeSet<i64>,
    pub(crate) state: Option<Vec<u8>>,
    /// When its state was set, in Unix milliseconds.
    pub(crate) state_set_at: u64,
    pub(crate) lock: Option<SessionLock>,
}

/// A link's hold on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionLock {
    pub(crate) link: LinkId,
    /// Unix milliseconds.
    pub(crate) until: u64,
}

/// The result of requesting a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    Granted {
        id: String,
        until: u64,
    },
    /// Another link holds it.
    Taken,
    /// No free session has messages.
    None,
}

/// All sessions of a queue by id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: BTreeMap<String, Session>,
    /// Locked sessions, by the end of their locks.
    locked: BTreeSet<(u64, String)>,
}

impl Sessions {
    pub(crate) fn get(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id)
    }

    /// The session, created if there is none.
    pub(crate) fn entry(&mut self, id: &str) -> &mut Session {
        self.by_id.entry(id.to_owned()).or_default()
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Session> {
        self.by_id.get_mut(id)
    }

    /// Sessions with a state, and when it was set.
    pub(crate) fn with_state(&self) -> impl Iterator<Item = (&str, u64)> {
        let with_state = self.by_id.iter().filter(|(_, s)| s.state.is_some());
        with_state.map(|(id, session)| (id.as_str(), session.state_set_at))
    }

    /// Gives a link the named session, or else the one whose first message is the oldest.
    pub(crate) fn accept(&mut self, link: LinkId, wanted: Option<&str>, until: u64) -> Accepted {
        let id = match wanted {
            Some(id) => id.to_owned(),
            None => {
                let free = self.by_id.iter().filter(|(_, s)| s.lock.is_none());
                let oldest = free
                    .filter_map(|(id, s)| s.ready.first().map(|first| (*first, id)))
                    .min();
                match oldest {
                    Some((_, id)) => id.clone(),
                    None => return Accepted::None,
                }
            }
        };
        if self.entry(&id).lock.is_some_and(|lock| lock.link != link) {
            return Accepted::Taken;
        }
        self.set_lock(&id, Some(SessionLock { link, until }));
        Accepted::Granted { id, until }
    }

    /// Locks a session, renews its lock, or releases it.
    pub(crate) fn set_lock(&mut self, id: &str, lock: Option<SessionLock>) {
        let session = self.entry(id);
        let before = std::mem::replace(&mut session.lock, lock);
        if let Some(before) = before {
            self.locked.remove(&(before.until, id.to_owned()));
        }
        if let Some(lock) = lock {
            self.locked.insert((lock.until, id.to_owned()));
        }
    }

    /// The id of the session that a link holds.
    pub(crate) fn held_by(&self, link: LinkId) -> Option<String> {
        let held = self.held().find(|(_, holder)| *holder == link);
        held.map(|(id, _)| id.to_owned())
    }

    /// The locked sessions, each with the link that holds it.
    fn held(&self) -> impl Iterator<Item = (&str, LinkId)> {
        self.locked.iter().filter_map(|(_, id)| {
            let lock = self.by_id.get(id)?.lock?;
            Some((id.as_str(), lock.link))
        })
    }

    /// Sessions whose lock has expired.
    pub(crate) fn expired(&self, now: u64) -> Vec<(String, LinkId)> {
        let expired = self.locked.iter().take_while(|(until, _)| *until <= now);
        let links = expired.filter_map(|(_, id)| {
            let lock = self.by_id.get(id)?.lock?;
            Some((id.clone(), lock.link))
        });
        links.collect()
    }

    /// When the next lock expires.
    pub(crate) fn due(&self) -> Option<u64> {
        self.locked.first().map(|(until, _)| *until)
    }

    /// Forgets a session that has nothing to remember.
    pub(crate) fn tidy(&mut self, id: &str) {
        let is_empty = |s: &Session| s.ready.is_empty() && s.state.is_none() && s.lock.is_none();
        if self.by_id.get(id).is_some_and(is_empty) {
            self.by_id.remove(id);
        }
    }
}
