//! Settles, renews and revokes locks.

use super::*;
use crate::servicebus::model::sessions::SessionLock;

/// Properties that a receiver changes when it returns a message.
pub(crate) type Modifications = Vec<(String, Value)>;

impl Queue {
    fn locked(&self, token: LockToken) -> Result<i64, Lost> {
        self.locks.get(&token).copied().ok_or(Lost)
    }

    pub(crate) fn complete(&mut self, token: LockToken) -> Result<(), Lost> {
        let sequence = self.locked(token)?;
        self.remove(sequence);
        Ok(())
    }

    pub(crate) fn abandon(&mut self, token: LockToken, with: Modifications) -> Result<(), Lost> {
        let sequence = self.locked(token)?;
        self.modify(sequence, with);
        self.unlock(sequence, true);
        Ok(())
    }

    /// Returns the message as if it had not been delivered: the service does not count `released`.
    pub(crate) fn release(&mut self, token: LockToken) -> Result<(), Lost> {
        let sequence = self.locked(token)?;
        self.unlock(sequence, false);
        Ok(())
    }

    /// Makes the message available only by its sequence number.
    pub(crate) fn defer(&mut self, token: LockToken, with: Modifications) -> Result<(), Lost> {
        let sequence = self.locked(token)?;
        self.modify(sequence, with);
        self.change(sequence, |entry| {
            entry.state = State::Deferred;
            entry.lock = None;
        });
        Ok(())
    }

    pub(crate) fn dead_letter(
        &mut self,
        token: LockToken,
        with: Modifications,
    ) -> Result<(), Lost> {
        let sequence = self.locked(token)?;
        self.modify(sequence, with);
        if let Some(mut entry) = self.remove(sequence) {
            entry.lock = None;
            self.effects.push(Effect::Dead(Box::new(entry), sequence));
        }
        Ok(())
    }

    /// Renews the lock; returns its new end.
    pub(crate) fn renew(&mut self, token: LockToken, now: u64) -> Result<u64, Lost> {
        let sequence = self.locked(token)?;
        let until = self.lock_until(now);
        if self.settings.requires_session {
            return Err(Lost);
        }
        self.change(sequence, |entry| {
            entry.lock = Some(Lock {
                token,
                until: Some(until),
            });
        });
        Ok(until)
    }

    /// Revokes a lock, as if it had expired.
    pub(crate) fn lose(&mut self, token: LockToken) {
        if let Some(sequence) = self.locks.get(&token).copied() {
            self.unlock(sequence, true);
        }
    }

    /// Revokes all locks, including those of sessions.
    pub(crate) fn lose_all(&mut self) {
        for (session, link) in self.sessions.expired(u64::MAX) {
            self.release_session(&session, true);
            self.effects.push(Effect::SessionLost(link, session));
        }
        let locked: Vec<LockToken> = self.locks.keys().copied().collect();
        for token in locked {
            self.lose(token);
        }
    }

    /// Revokes a session's lock, as if it had expired.
    pub(crate) fn lose_session(&mut self, id: &str) {
        let lock = self.sessions.get(id).and_then(|session| session.lock);
        if let Some(lock) = lock {
            self.release_session(id, true);
            let session = id.to_owned();
            self.effects.push(Effect::SessionLost(lock.link, session));
        }
    }

    /// Renews the session's lock; returns its new end.
    pub(crate) fn renew_session(&mut self, id: &str, now: u64) -> Result<u64, Lost> {
        let until = self.lock_until(now);
        let lock = self.sessions.get(id).and_then(|session| session.lock);
        let link = lock.ok_or(Lost)?.link;
        self.sessions
            .set_lock(id, Some(SessionLock { link, until }));
        Ok(until)
    }

    fn modify(&mut self, sequence: i64, with: Modifications) {
        if with.is_empty() {
            return;
        }
        if let Some(entry) = self.messages.get_mut(&sequence) {
            let before = entry.message.size();
            entry.message.set_application(with);
            let grown = entry.message.size();
            self.size = (self.size + grown).saturating_sub(before);
        }
    }
}
