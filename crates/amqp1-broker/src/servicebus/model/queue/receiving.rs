//! Assigns messages to links: by credit, by session, by sequence number; and peeks at them.

use super::*;

impl Queue {
    /// Assigns the next message to the next link with credit; `None` if no remaining link and
    /// message match.
    pub(crate) fn assign(&mut self, now: u64) -> Option<Assignment> {
        for at in 0..self.consumers.len() {
            let consumer = self.consumers.get(at)?;
            if consumer.credit == 0 {
                continue;
            }
            let (session, deletes) = (consumer.session.as_deref(), consumer.deletes);
            let Some(sequence) = self.first_ready(session) else {
                continue;
            };
            let until = self.lock_end(session, now);
            let mut consumer = self.consumers.remove(at)?;
            consumer.credit -= 1;
            let link = consumer.link;
            // The other links go first next time.
            self.consumers.push_back(consumer);
            let lock = Lock {
                token: LockToken::random(),
                until: match deletes || self.settings.requires_session {
                    true => None,
                    false => Some(until),
                },
            };
            self.change(sequence, |entry| entry.lock = Some(lock));
            let entry = self.messages.get(&sequence)?;
            return Some(Assignment {
                link,
                token: lock.token,
                pre_settled: deletes,
                message: entry.message.clone(),
                stamp: entry.stamp(sequence, (!deletes).then_some(until)),
            });
        }
        None
    }

    fn first_ready(&self, session: Option<&str>) -> Option<i64> {
        match session {
            Some(id) => self.sessions.get(id)?.ready.first().copied(),
            None if self.settings.requires_session => None,
            None => self.ready.first().copied(),
        }
    }

    /// When a message lock taken now ends.
    fn lock_end(&self, session: Option<&str>, now: u64) -> u64 {
        let lock = session.and_then(|id| self.sessions.get(id)?.lock);
        lock.map_or_else(|| self.lock_until(now), |lock| lock.until)
    }

    /// When a lock taken now ends, outside a session.
    pub(crate) fn lock_until(&self, now: u64) -> u64 {
        now.saturating_add(crate::clock::ms(self.settings.lock_duration))
    }

    /// Takes back a delivery that was not sent, as if it had never been assigned.
    pub(crate) fn unassign(&mut self, token: LockToken) {
        if let Some(sequence) = self.locks.get(&token).copied() {
            self.unlock(sequence, false);
        }
    }

    /// The number of unassigned messages, for a flow's `available`.
    pub(crate) fn available(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX)
    }

    /// The session of a message.
    pub(crate) fn session_of(&self, sequence: i64) -> Option<&str> {
        self.messages.get(&sequence)?.message.session_id()
    }

    /// Receives deferred messages by their numbers, all or none. The error is the first number that
    /// does not exist.
    pub(crate) fn receive_deferred(
        &mut self,
        sequences: &[i64],
        deletes: bool,
        session: Option<&str>,
        now: u64,
    ) -> Result<Vec<(LockToken, Vec<u8>)>, i64> {
        let is_there = |e: &Entry| e.state == State::Deferred && e.lock.is_none();
        for sequence in sequences {
            let entry = self.messages.get(sequence).filter(|e| is_there(e));
            let is_mine = |e: &&Entry| session.is_none_or(|id| e.message.session_id() == Some(id));
            entry.filter(is_mine).ok_or(*sequence)?;
        }
        let mut received = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let until = self.lock_end(self.session_of(*sequence), now);
            let token = LockToken::random();
            if deletes {
                if let Some(entry) = self.remove(*sequence) {
                    received.push((token, entry.message.encoded(&entry.stamp(*sequence, None))));
                }
                continue;
            }
            let until_own = (!self.settings.requires_session).then_some(until);
            self.change(*sequence, |entry| {
                entry.lock = Some(Lock {
                    token,
                    until: until_own,
                });
            });
            if let Some(entry) = self.messages.get(sequence) {
                let stamp = Stamp {
                    lock: Some(token),
                    ..entry.stamp(*sequence, Some(until))
                };
                received.push((token, entry.message.encoded(&stamp)));
            }
        }
        Ok(received)
    }

    /// Messages in any state, from this number on, unchanged.
    pub(crate) fn peek(&self, from: i64, count: usize, session: Option<&str>) -> Vec<Vec<u8>> {
        self.messages
            .range(from..)
            .filter(|(_, e)| session.is_none_or(|id| e.message.session_id() == Some(id)))
            .take(count)
            .map(|(sequence, e)| e.message.encoded(&e.stamp(*sequence, None)))
            .collect()
    }

    /// The ids of sessions, sorted: those that have active messages or a state; with `since` (Unix
    /// milliseconds), those whose state was set since then.
    pub(crate) fn session_ids(&self, since: Option<u64>) -> BTreeSet<String> {
        let with_state = self.sessions.with_state();
        let with_state = with_state.filter(|(_, at)| since.is_none_or(|since| *at > since));
        let mut ids: BTreeSet<String> = with_state.map(|(id, _)| id.to_owned()).collect();
        if since.is_none() {
            let active = self.messages.values().filter(|e| e.state == State::Active);
            ids.extend(active.filter_map(|e| e.message.session_id().map(str::to_owned)));
        }
        ids
    }

    /// Gives a link the session it requests, or the next one.
    pub(crate) fn accept_session(
        &mut self,
        link: LinkId,
        wanted: Option<&str>,
        now: u64,
    ) -> Accepted {
        let until = self.lock_until(now);
        self.sessions.accept(link, wanted, until)
    }

    /// Releases a link's session, and the messages locked in it.
    pub(crate) fn release_session(&mut self, id: &str, counts: bool) {
        self.sessions.set_lock(id, None);
        let locked: Vec<i64> = self
            .locks
            .values()
            .copied()
            .filter(|s| {
                self.messages
                    .get(s)
                    .is_some_and(|e| e.message.session_id() == Some(id))
            })
            .collect();
        for sequence in locked {
            self.unlock(sequence, counts);
        }
        self.sessions.tidy(id);
    }

    /// Removes a link. Message locks last until they expire; the lock of its session ends now.
    pub(crate) fn remove_consumer(&mut self, link: LinkId) {
        self.consumers.retain(|consumer| consumer.link != link);
        if let Some(session) = self.sessions.held_by(link) {
            self.release_session(&session, false);
        }
    }

    pub(crate) fn consumer_mut(&mut self, link: LinkId) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|c| c.link == link)
    }
}
