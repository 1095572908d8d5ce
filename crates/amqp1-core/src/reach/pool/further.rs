//! Additional connections, for links that do not fit on the usual one.
//!
//! Each link has its own session (see [`crate::connection`]), and brokers limit the sessions of a
//! connection: RabbitMQ to 64. Therefore the links of many queues are spread over as many
//! connections as they need. Some sessions of each connection stay free: for management and
//! questions, which use the usual connection, and because an ended session occupies its channel
//! until the broker has answered.

use std::time::Duration;

use super::connecting::connection_of;
use super::entries::{with_pool, Entry, Key, Pool, Role};
use super::hosts;
use crate::base::wait::Wait;
use crate::connection::Connection;
use crate::error::Result;
use crate::settings::shared_endpoint::SharedEndpoint;

/// A connection with room for one more link: `usual`, or another one, opened if there is none.
///
/// # Errors
/// Those of connecting.
pub(crate) fn with_room(
    endpoint: &SharedEndpoint,
    role: Role,
    usual: &Connection,
    redial: Duration,
    wait: &Wait<'_>,
) -> Result<Connection> {
    // If it is lost, its user finds out.
    if usual.has_room() || usual.lost().is_some() {
        return Ok(usual.clone());
    }
    loop {
        let key = with_pool(|pool| {
            drop_lost(pool, endpoint, role);
            next(pool, endpoint, role, |entry| entry.connection.has_room())
        });
        let connection = open(key, usual, redial, wait)?;
        // Another thread may have been faster.
        if connection.has_room() {
            return Ok(connection);
        }
    }
}

/// The first additional connection that `suits`, or the slot for a new one.
pub(super) fn next(
    pool: &Pool,
    endpoint: &SharedEndpoint,
    role: Role,
    suits: impl Fn(&Entry) -> bool,
) -> Key {
    let mut key = Key::further(endpoint, role, 1);
    while pool.entries.get(&key).is_some_and(|entry| !suits(entry)) {
        key.number += 1;
    }
    key
}

/// The connection in that slot.
pub(super) fn open(
    key: Key,
    usual: &Connection,
    redial: Duration,
    wait: &Wait<'_>,
) -> Result<Connection> {
    connection_of(key, redial, wait).map_err(|error| {
        let sessions = usual.remote().sessions();
        error.context(format!(
            "all {sessions} sessions of the connection are in use, and another connection could not be opened"
        ))
    })
}

/// Forgets additional connections that were lost or closed because they were idle. True if there
/// were any: then their users retry.
pub(super) fn drop_lost(pool: &mut Pool, endpoint: &SharedEndpoint, role: Role) -> bool {
    let mut was_used = false;
    pool.entries.retain(|key, entry| {
        let is_further = key.number > 0 && key.is_of(endpoint, role);
        if !is_further || entry.connection.lost().is_none() {
            return true;
        }
        if !entry.connection.was_idle() {
            was_used = true;
            hosts::failed(endpoint, entry.connection.host());
        }
        false
    });
    was_used
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::wait::Signal;
    use crate::connection::{ReceiverLink, ReceiverOptions, SenderLink, SenderOptions};
    use crate::error::condition::Condition;
    use crate::reach::pool::{connection, sender, was_lost};
    use crate::settings::endpoint::Endpoint;

    const SECOND: Duration = Duration::from_secs(1);

    fn usual(dsn: &str, role: Role, wait: &Wait<'_>) -> (SharedEndpoint, Connection) {
        let endpoint = SharedEndpoint::new(Endpoint::parse(dsn, &Default::default()).unwrap());
        let usual = connection(&endpoint, role, SECOND, wait).unwrap();
        (endpoint, usual)
    }

    fn numbers(endpoint: &SharedEndpoint, role: Role) -> usize {
        with_pool(|pool| {
            pool.entries
                .keys()
                .filter(|key| key.is_of(endpoint, role))
                .count()
        })
    }

    fn end(connection: &Connection, wait: &Wait<'_>) {
        let over = wait.until(&Signal::new(), || Ok(connection.lost().map(|_| ())));
        assert_eq!(over, Ok(Some(())));
    }

    #[test]
    fn links_that_a_connection_has_no_room_for_go_over_others() {
        let wait = Wait::uninterrupted(30 * SECOND);
        let (endpoint, usual) = usual("embedded://further", Role::Consume, &wait);
        let link = || {
            let connection = with_room(&endpoint, Role::Consume, &usual, SECOND, &wait).unwrap();
            let options = ReceiverOptions::default();
            let link = ReceiverLink::open(&connection, "/queues/q", &options, Signal::new());
            (connection, link.unwrap())
        };
        let sessions = usual.remote().sessions();
        let mut links: Vec<_> = (0..2 * sessions).map(|_| link()).collect();
        assert_eq!(numbers(&endpoint, Role::Consume), 3);
        assert!(!usual.has_room() && usual.session_count() < sessions);
        // What remains is not for a thread that saw room a moment ago.
        let options = ReceiverOptions::default();
        let late = ReceiverLink::open_in_room(&usual, "/queues/q", &options, Signal::new());
        assert!(late.unwrap_err().is(Condition::ALL_IN_USE));

        // The third has a few links: room on the usual one is used first.
        for (connection, link) in links.drain(..).filter(|(one, _)| one.is(&usual)).take(9) {
            drop(connection);
            link.close();
        }
        let freed = wait.until(&Signal::new(), || Ok(usual.has_room().then_some(())));
        assert_eq!(freed, Ok(Some(())));
        assert!(link().0.is(&usual));
    }

    #[test]
    fn threads_that_look_for_room_at_the_same_time_all_find_it() {
        let wait = Wait::uninterrupted(60 * SECOND);
        let (endpoint, usual) = usual("embedded://crowd", Role::Consume, &wait);
        let options = ReceiverOptions::default();
        let sessions = usual.remote().sessions();
        let crowd = 2 * sessions;
        let start = std::sync::Barrier::new(crowd);
        let attach = || {
            let wait = Wait::uninterrupted(60 * SECOND);
            start.wait();
            loop {
                let connection = with_room(&endpoint, Role::Consume, &usual, SECOND, &wait)?;
                let signal = Signal::new();
                match ReceiverLink::open_in_room(&connection, "/queues/q", &options, signal) {
                    Err(error) if error.is(Condition::ALL_IN_USE) => {}
                    done => return done,
                }
            }
        };
        let links: Vec<ReceiverLink> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..crowd).map(|_| scope.spawn(attach)).collect();
            let links = threads.into_iter().map(|thread| thread.join().unwrap());
            links.collect::<Result<_>>().unwrap()
        });
        assert_eq!(links.len(), crowd);
        assert_eq!(numbers(&endpoint, Role::Consume), 3);
        assert!(usual.session_count() < sessions, "room for questions");
    }

    #[test]
    fn a_further_connection_without_links_is_closed_and_nobody_calls_it_lost() {
        let wait = Wait::uninterrupted(30 * SECOND);
        let (endpoint, usual) = usual("embedded://idle", Role::Consume, &wait);
        let key = Key::further(&endpoint, Role::Consume, 1);
        let other = open(key.clone(), &usual, SECOND, &wait).unwrap();
        let options = ReceiverOptions::default();
        let link = ReceiverLink::open(&other, "/queues/q", &options, Signal::new());
        other.close_when_idle(Duration::from_millis(50));
        wait.at_most(Duration::from_millis(200))
            .until(&Signal::new(), || Ok(None::<()>))
            .unwrap();
        assert!(other.lost().is_none(), "it has a link");
        link.unwrap().close();
        end(&other, &wait);
        assert!(!was_lost(&endpoint, &[Role::Consume]));
        assert_eq!(numbers(&endpoint, Role::Consume), 1);
        assert!(usual.lost().is_none());
        // Nothing is begun after a close.
        assert!(ReceiverLink::open(&other, "/queues/q", &options, Signal::new()).is_err());

        let other = open(key, &usual, SECOND, &wait).unwrap();
        other.begin_close();
        end(&other, &wait);
        assert!(
            was_lost(&endpoint, &[Role::Consume]),
            "whoever used it tries again"
        );
        assert!(!was_lost(&endpoint, &[Role::Consume]), "once");
    }

    #[test]
    fn senders_of_many_addresses_are_kept_and_of_more_take_turns() {
        let wait = Wait::uninterrupted(60 * SECOND);
        let (endpoint, usual) = usual("embedded://senders", Role::Publish, &wait);
        let to = |i: usize| -> SenderLink {
            let address = format!("/queues/q{i}");
            sender(
                &endpoint,
                &usual,
                (Some(&address), SenderOptions::default()),
                SECOND,
                &wait,
            )
            .unwrap()
        };
        for i in 0..100 {
            to(i);
        }
        assert_eq!(numbers(&endpoint, Role::Publish), 3);
        let sessions = usual.session_count();
        for i in 0..100 {
            to(i);
        }
        assert_eq!(usual.session_count(), sessions, "each was there");
        for i in 0..400 {
            to(i);
        }
        assert_eq!(numbers(&endpoint, Role::Publish), 5);
        with_pool(|pool| {
            let of_role = pool
                .entries
                .iter()
                .filter(|(key, _)| key.is_of(&endpoint, Role::Publish));
            assert!(of_role.map(|(_, entry)| entry.senders.len()).sum::<usize>() <= 240);
        });
    }
}
