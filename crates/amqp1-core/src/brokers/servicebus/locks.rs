//! The locks that the service holds on deliveries for us, and when they must be renewed.
//!
//! A message is locked for about a minute. A job may take longer, and prefetched messages wait.
//! Therefore the I/O thread renews the locks of both, whatever PHP does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::constants::{LOCKED_UNTIL, LONGEST_LOCK};
use crate::base::clock::now_millis;
use crate::base::counters::CONNECTIONS;
use crate::base::sync::Mutex;
use crate::base::threads;
use crate::connection::Watch;
use crate::wire::message::Message;
use crate::wire::read::Value;

/// A lock token: the delivery-tag, a GUID in .NET's byte order.
pub(crate) type LockToken = [u8; 16];

/// Renewals due this soon are done together with those due now.
const TOGETHER: Duration = Duration::from_millis(500);

/// The shortest time between renewals of a lock.
const LEAST: Duration = Duration::from_millis(300);

/// The locks of one connection.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<Held>,
    /// Tells the renewal task that something is due earlier than planned.
    pub wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Held {
    messages: HashMap<LockToken, Lock>,
    /// By entity, then by id: sessions of two queues may have the same id.
    sessions: HashMap<Arc<str>, HashMap<Arc<str>, Lock>>,
    /// When the renewal task will wake.
    planned: Option<Instant>,
}

impl Held {
    fn session(&mut self, entity: &str, id: &str) -> Option<&mut Lock> {
        self.sessions.get_mut(entity)?.get_mut(id)
    }
}

#[derive(Debug)]
struct Lock {
    link: Arc<Link>,
    /// When it ends, according to the clocks.
    ends: Option<Instant>,
    renew_at: Instant,
    /// No renewal after this time.
    renew_until: Instant,
    /// The service reported it as lost.
    lost: bool,
}

impl Lock {
    /// Whether it is still held, according to the clocks and the service's answers.
    fn is_good(&self, now: Instant) -> bool {
        !self.lost && self.ends.is_none_or(|ends| ends > now)
    }

    /// When it ends, in Unix milliseconds.
    fn ends_at(&self) -> Option<i64> {
        let left = self.ends?.saturating_duration_since(Instant::now());
        Some(now_millis() + i64::try_from(left.as_millis()).unwrap_or(i64::MAX))
    }

    /// It was renewed until a time in Unix milliseconds, if the service reported it.
    fn renew(&mut self, until: Option<i64>) {
        let now = Instant::now();
        let left = until.map(left_until);
        self.ends = left.filter(|left| !left.is_zero()).map(|left| now + left);
        self.renew_at = now + half(left.unwrap_or_default());
    }

    /// The same at PHP's request, which starts its time again.
    fn prolong(&mut self, until: Option<i64>, longest: Duration) {
        self.renew(until);
        self.renew_until = Instant::now() + longest;
    }
}

/// The link that deliveries came over.
#[derive(Debug)]
struct Link {
    entity: Arc<str>,
    name: Arc<str>,
    longest: Duration,
}

/// The locks of the deliveries of one link.
#[derive(Debug, Clone)]
pub(crate) struct LinkLocks {
    locks: Arc<Locks>,
    link: Arc<Link>,
}

/// Locks of one entity that must be renewed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub entity: Arc<str>,
    pub link: Arc<str>,
    pub what: DueKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DueKind {
    Messages(Vec<LockToken>),
    Session(Arc<str>),
}

impl LinkLocks {
    /// For the link `name` from `entity`; locks are renewed for at most `longest`.
    pub fn new(locks: &Arc<Locks>, entity: &str, name: &str, longest: Duration) -> Self {
        Self {
            locks: Arc::clone(locks),
            link: Arc::new(Link {
                entity: Arc::from(entity),
                name: Arc::from(name),
                longest,
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.link.name
    }

    fn lock(&self, left: Option<Duration>) -> Lock {
        let now = Instant::now();
        Lock {
            link: Arc::clone(&self.link),
            ends: left.filter(|left| !left.is_zero()).map(|left| now + left),
            renew_at: now + half(left.unwrap_or_default()),
            renew_until: now + self.link.longest,
            lost: false,
        }
    }

    /// Records that PHP takes the delivery, and starts its time. False if its lock is already lost.
    pub fn take(&self, tag: &[u8]) -> bool {
        let Ok(token) = LockToken::try_from(tag) else {
            return true;
        };
        let mut held = self.locks.held.lock();
        let Some(lock) = held.messages.get_mut(&token) else {
            return true;
        };
        let now = Instant::now();
        lock.renew_until = now + self.link.longest;
        let good = lock.is_good(now);
        if !good {
            held.messages.remove(&token);
        }
        good
    }

    /// Whether the lock is known to be lost.
    pub fn is_lost(&self, token: &LockToken) -> bool {
        let held = self.locks.held.lock();
        let lock = held.messages.get(token);
        lock.is_some_and(|lock| !lock.is_good(Instant::now()))
    }

    /// Forgets a delivery that is settled or lost.
    pub fn forget(&self, tag: &[u8]) {
        if let Ok(token) = LockToken::try_from(tag) {
            self.locks.held.lock().messages.remove(&token);
        }
    }

    /// Records that the session `id` is ours until `ends` (.NET ticks).
    pub fn session(&self, id: &Arc<str>, ends: Option<i64>) {
        // 0001-01-01 to 1970-01-01, in ticks of 100 ns.
        const EPOCH: i64 = 621_355_968_000_000_000;
        let left = ends.map(|ticks| left_until((ticks - EPOCH) / 10_000));
        let lock = self.lock(left);
        self.locks.plan(lock.renew_at, |held| {
            let entity = Arc::clone(&self.link.entity);
            let sessions = held.sessions.entry(entity).or_default();
            sessions.insert(Arc::clone(id), lock);
        });
    }

    /// When the lock on a message ends, in Unix milliseconds, as far as known.
    pub fn ends(&self, token: &LockToken) -> Option<i64> {
        self.locks.held.lock().messages.get(token)?.ends_at()
    }

    /// Records that the service reported a lock as lost.
    pub fn lose(&self, token: &LockToken) {
        if let Some(lock) = self.locks.held.lock().messages.get_mut(token) {
            lock.lost = true;
        }
    }

    /// The same of a session.
    pub fn session_ends(&self, id: &str) -> Option<i64> {
        let mut held = self.locks.held.lock();
        held.session(&self.link.entity, id)?.ends_at()
    }

    /// Records that PHP has renewed the lock on a message, and lets the background renew it as long
    /// again.
    pub fn renewed(&self, token: &LockToken, until: Option<i64>) {
        if let Some(lock) = self.locks.held.lock().messages.get_mut(token) {
            lock.prolong(until, self.link.longest);
        }
    }

    /// The same of a session.
    pub fn renewed_session(&self, id: &str, until: Option<i64>) {
        if let Some(lock) = self.locks.held.lock().session(&self.link.entity, id) {
            lock.prolong(until, self.link.longest);
        }
    }

    /// Resumes renewing the session's lock, because it is in use.
    pub fn touch_session(&self, id: &str) {
        if let Some(lock) = self.locks.held.lock().session(&self.link.entity, id) {
            lock.renew_until = Instant::now() + self.link.longest;
        }
    }

    /// Forgets a session that is released, unless another link has taken it since: a job keeps its
    /// link until it is dropped.
    pub fn forget_session(&self, id: &str) {
        let mut held = self.locks.held.lock();
        let is_ours = |lock: &Lock| Arc::ptr_eq(&lock.link, &self.link);
        let Some(sessions) = held.sessions.get_mut(&self.link.entity) else {
            return;
        };
        if sessions.get(id).is_some_and(is_ours) {
            sessions.remove(id);
        }
        if sessions.is_empty() {
            held.sessions.remove(&self.link.entity);
        }
    }
}

impl Watch for LinkLocks {
    fn arrived(&self, tag: &[u8], payload: &Bytes) {
        let Ok(token) = LockToken::try_from(tag) else {
            return;
        };
        let left = locked_until(payload).map(left_until);
        self.locks.insert(token, self.lock(left));
    }

    fn forget(&self, tag: &[u8]) {
        LinkLocks::forget(self, tag);
    }
}

impl Locks {
    fn insert(&self, token: LockToken, lock: Lock) {
        self.plan(lock.renew_at, |held| {
            held.messages.insert(token, lock);
        });
    }

    /// Changes something that is due at `at`, and wakes the renewal task if it would sleep longer.
    fn plan(&self, at: Instant, change: impl FnOnce(&mut Held)) {
        let mut held = self.held.lock();
        change(&mut held);
        let sooner = held.planned.is_none_or(|planned| at < planned);
        if sooner {
            held.planned = Some(at);
        }
        drop(held);
        if sooner {
            self.wake.notify_one();
        }
    }

    /// Whether any message's lock is still valid and must be renewed. A session's lock ends with
    /// its link.
    pub fn has_renewable(&self, now: Instant) -> bool {
        let held = self.held.lock();
        let mut locks = held.messages.values();
        locks.any(|lock| lock.renew_until > now && lock.is_good(now))
    }

    /// Whether it is not settled yet.
    pub fn holds(&self, token: &LockToken) -> bool {
        self.held.lock().messages.contains_key(token)
    }

    /// The locks to renew now, and when to check again.
    pub fn due(&self, now: Instant) -> (Vec<Due>, Option<Instant>) {
        let mut held = self.held.lock();
        let mut due: Vec<Due> = Vec::new();
        let mut next: Option<Instant> = None;
        let is_due_by = |lock: &Lock, by: Instant| {
            !lock.lost && lock.renew_until > now && lock.renew_at <= by.min(lock.renew_until)
        };
        // Only beside one that is due: a renewal that fails at once would be due again at once, and
        // keep the I/O thread from everything else.
        let sessions = held.sessions.values().flat_map(HashMap::values);
        let mut locks = held.messages.values().chain(sessions);
        let by = match locks.any(|lock| is_due_by(lock, now)) {
            true => now + TOGETHER,
            false => now,
        };
        let is_due = |lock: &Lock| is_due_by(lock, by);
        let note = |lock: &Lock, next: &mut Option<Instant>| {
            // One whose time has passed unseen is never due, so it must not wake the task.
            if !lock.lost && lock.renew_until > now && lock.renew_at < lock.renew_until {
                *next = Some(next.map_or(lock.renew_at, |next| next.min(lock.renew_at)));
            }
        };
        for (token, lock) in &held.messages {
            if !is_due(lock) {
                note(lock, &mut next);
                continue;
            }
            let known = due.iter_mut().find(|one| one.link == lock.link.name);
            match known.map(|one| &mut one.what) {
                Some(DueKind::Messages(tokens)) => tokens.push(*token),
                _ => due.push(Due {
                    entity: Arc::clone(&lock.link.entity),
                    link: Arc::clone(&lock.link.name),
                    what: DueKind::Messages(vec![*token]),
                }),
            }
        }
        for (id, lock) in held.sessions.values().flatten() {
            if !is_due(lock) {
                note(lock, &mut next);
                continue;
            }
            due.push(Due {
                entity: Arc::clone(&lock.link.entity),
                link: Arc::clone(&lock.link.name),
                what: DueKind::Session(Arc::clone(id)),
            });
        }
        held.planned = next;
        (due, next)
    }

    /// Records the result of a renewal of locks of `entity`: renewed until a time (Unix milliseconds, if the service
    /// reported it), lost, or failed this time.
    pub fn renewed(&self, entity: &str, what: &DueKind, result: Renewal) {
        let mut held = self.held.lock();
        let now = Instant::now();
        let update = |lock: &mut Lock| match result {
            Renewal::Until(until) => {
                CONNECTIONS.locks_renewed.add(1);
                lock.renew(until);
            }
            Renewal::Lost => {
                CONNECTIONS.locks_lost.add(1);
                lock.lost = true;
                threads::tell_lost();
            }
            // Retried as long as there is time.
            Renewal::Failed => lock.renew_at = now + LEAST,
        };
        match what {
            DueKind::Messages(tokens) => {
                for token in tokens {
                    held.messages.get_mut(token).map(update);
                }
            }
            DueKind::Session(id) => {
                held.session(entity, id).map(update);
            }
        }
    }
}

/// The result of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Until(Option<i64>),
    Lost,
    Failed,
}

fn half(left: Duration) -> Duration {
    (left / 2).max(LEAST)
}

/// The time until a moment of the service's clock, at most the longest lock that it grants.
fn left_until(millis: i64) -> Duration {
    let left = millis.saturating_sub(now_millis()).max(0).unsigned_abs();
    Duration::from_millis(left).min(LONGEST_LOCK)
}

/// The annotation with the end of the lock, in Unix milliseconds.
fn locked_until(payload: &Bytes) -> Option<i64> {
    let message = Message::parse(payload.clone()).ok()?;
    let mut items = message.annotations().ok()??;
    while let Ok(Some((key, value))) = items.entry() {
        if key.as_text() == Some(LOCKED_UNTIL) {
            return match value {
                Value::Timestamp(at) => Some(at),
                other => other.as_int(),
            };
        }
    }
    None
}

/// The token for `$management`: a UUID in the byte order of RFC 9562. .NET writes the first three
/// fields with the least significant byte first.
pub(crate) fn to_uuid(token: &LockToken) -> [u8; 16] {
    let mut uuid = *token;
    uuid[0..4].reverse();
    uuid[4..6].reverse();
    uuid[6..8].reverse();
    uuid
}

#[cfg(test)]
#[path = "locks_tests.rs"]
mod tests;
