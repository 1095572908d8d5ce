//! Tries several hosts, so that a silent one costs only a moment.
//!
//! The next host is tried as soon as one has failed, or after a short time without a sign of life.
//! The slow attempt continues in parallel, and the first host that opens is used. RFC 8305 does
//! this with a host's addresses, which are also tried in this way here. A fixed limit per host
//! would fail instead on a network that is slow to all hosts.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep_until, Instant};

use super::address::{connect, label, unreachable, Progress};
use super::handshake::Opened;
use super::order::{Host, Order};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::endpoint::{join, Endpoint};

/// A host that has not accepted the TCP connection by then is usually unreachable.
const TO_CONNECT: Duration = Duration::from_millis(500);

/// A host that has accepted it may be busy. Clients of a broker that has just started should not
/// all open a second connection.
const TO_OPEN: Duration = Duration::from_secs(3);

/// The next one to try.
enum Candidate {
    Host(usize),
    Address(usize, SocketAddr),
}

/// The result of an attempt.
enum Step {
    Resolved(usize, Vec<SocketAddr>),
    Opened(Box<Opened>, Host),
}

struct Race<'a> {
    endpoint: &'a Arc<Endpoint>,
    hosts: &'a [(String, u16)],
    container_id: &'a str,
    next: VecDeque<Candidate>,
    /// Dropped with the race, which aborts the remaining attempts.
    running: JoinSet<(usize, Result<Step>)>,
    /// Hosts with attempts in progress.
    waiting: Vec<usize>,
    /// The progress of the latest attempt.
    progress: Arc<Progress>,
    started: Instant,
    errors: Vec<Error>,
}

/// Returns the first host that opens.
///
/// # Errors
/// The last one's error, preceded by the others'.
pub(super) async fn first(
    endpoint: &Arc<Endpoint>,
    hosts: &[(String, u16)],
    order: &Order,
    container_id: &str,
    timeout: Duration,
) -> Result<(Opened, Host)> {
    // The caller has the same deadline and knows less about the reason, so this one ends first.
    let timeout = timeout.mul_f64(0.98);
    let deadline = Instant::now() + timeout;
    // If there is little time, each host still gets a share.
    let share = timeout / (hosts.len().max(1) as u32);
    let mut race = Race {
        endpoint,
        hosts,
        container_id,
        next: order.hosts.iter().map(|at| Candidate::Host(*at)).collect(),
        running: JoinSet::new(),
        waiting: Vec::new(),
        progress: Arc::default(),
        started: Instant::now(),
        errors: Vec::new(),
    };
    race.start();
    while !race.running.is_empty() {
        let patience = match race.progress.is_connected() {
            true => TO_OPEN.min(share),
            false => TO_CONNECT.min(share),
        };
        let late = race.started + patience;
        let ended = tokio::select! {
            ended = race.running.join_next() => ended,
            () = sleep_until(late.min(deadline)) => None,
        };
        match ended {
            Some(Ok((host, step))) => {
                race.ended(host);
                match step {
                    Ok(Step::Opened(opened, place)) => return Ok((*opened, place)),
                    Ok(Step::Resolved(host, addresses)) => race.resolved(host, addresses, order),
                    Err(error) if race.errors.contains(&error) => {}
                    Err(error) => race.errors.push(error),
                }
                race.start();
            }
            Some(Err(_)) => race.start(), // It panicked.
            None if Instant::now() >= deadline => {
                race.give_up(timeout);
                break;
            }
            // It may have connected in the meantime, and then gets more time.
            None if race.progress.is_connected() && race.started.elapsed() < TO_OPEN.min(share) => {
            }
            None if race.next.is_empty() => race.started = deadline,
            None => race.start(),
        }
    }
    Err(told(race.errors))
}

impl Race<'_> {
    fn start(&mut self) {
        let Some(candidate) = self.next.pop_front() else {
            return;
        };
        self.started = Instant::now();
        self.progress = Arc::default();
        let host = match candidate {
            Candidate::Host(host) | Candidate::Address(host, _) => host,
        };
        let Some((name, port)) = self.hosts.get(host).cloned() else {
            return;
        };
        self.waiting.push(host);
        let label = label(self.endpoint, self.hosts, host);
        let (endpoint, progress) = (Arc::clone(self.endpoint), Arc::clone(&self.progress));
        let container_id = self.container_id.to_owned();
        self.running.spawn(async move {
            let address = match candidate {
                Candidate::Address(_, address) => address,
                Candidate::Host(_) => {
                    let found = tokio::net::lookup_host((name.as_str(), port)).await;
                    let found = found.map_err(|error| unreachable(&label, &error));
                    let step = found.map(|found| Step::Resolved(host, found.collect()));
                    return (host, step);
                }
            };
            let opened = connect(&endpoint, &label, &name, address, container_id, &progress);
            let place = Host {
                index: host,
                address: Some(address),
                has_choice: endpoint.has_choice(),
            };
            (
                host,
                opened
                    .await
                    .map(|opened| Step::Opened(Box::new(opened), place)),
            )
        });
    }

    fn ended(&mut self, host: usize) {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == host) {
            self.waiting.swap_remove(at);
        }
    }

    fn resolved(&mut self, host: usize, mut addresses: Vec<SocketAddr>, order: &Order) {
        if let Some(rank) = &order.rank {
            rank.sort(&mut addresses);
        }
        addresses.dedup();
        if addresses.is_empty() {
            let label = label(self.endpoint, self.hosts, host);
            let error = std::io::Error::other("the host name has no address");
            self.errors.push(unreachable(&label, &error));
        }
        for address in addresses.into_iter().rev() {
            self.next.push_front(Candidate::Address(host, address));
        }
    }

    /// Reports what it waited for.
    fn give_up(&mut self, timeout: Duration) {
        self.waiting.sort_unstable();
        self.waiting.dedup();
        for host in &self.waiting {
            let Some((name, port)) = self.hosts.get(*host) else {
                continue;
            };
            self.errors.push(Error::connection(format!(
                "cannot connect to {} at {}: no answer within {:.1} s; is the address right, and does no firewall block it?",
                self.endpoint.label(),
                join(name, *port),
                timeout.as_secs_f64()
            )));
        }
    }
}

/// Selects one of several errors. Refused credentials say more than an unreachable host, whichever
/// came last.
fn told(mut errors: Vec<Error>) -> Error {
    errors.sort_by_key(|error| error.kind() != ErrorKind::Connection);
    let Some(last) = errors.pop() else {
        return Error::config("DSN: a host is missing");
    };
    if errors.is_empty() {
        return last;
    }
    let before: Vec<&str> = errors.iter().map(Error::message).collect();
    last.context(before.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_are_told_whichever_host_came_last() {
        let error = told(vec![
            Error::connection("one is down"),
            Error::authentication("two refused"),
            Error::connection("three is down"),
        ]);
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.message(), "one is down; three is down: two refused");
    }
}
