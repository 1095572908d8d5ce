//! Several hosts, dialled so that a silent one costs no more than a moment.
//!
//! They are dialled in an order, the next one as soon as one has failed, or after a short
//! while without a sign from it; the slow one goes on beside the next, and whichever
//! opens first is taken (as RFC 8305 does with a host's addresses, which are dialled
//! in the same manner here). A bound for each host instead would fail where the network
//! is slow to all of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep_until, Instant};

use super::dial::{label, one_address, unreachable};
use super::handshake::Opened;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::endpoint::{join, Endpoint, Target};

/// A host that has not even taken the connection by then is swallowed by the network, as a rule.
const TO_CONNECT: Duration = Duration::from_millis(500);

/// One that has taken it may be busy: not each client of a broker that just started is to
/// open a second connection.
const TO_OPEN: Duration = Duration::from_secs(3);

/// The order in which hosts are dialled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// Indices of the endpoint's hosts.
    pub hosts: Vec<usize>,
    /// Sorts the addresses of one name; `None`: as the resolver gives them.
    pub rank: Option<Rank>,
}

impl Order {
    /// As they are written.
    pub fn given(endpoint: &Endpoint) -> Self {
        let hosts = match &endpoint.target {
            Target::Network { hosts, .. } => hosts.len(),
            Target::Embedded(_) => 0,
        };
        Self {
            hosts: (0..hosts).collect(),
            rank: None,
        }
    }
}

/// How an order is found: lower is sooner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rank {
    /// This process's own.
    pub seed: u64,
    /// Where it failed lately, and when: later is later.
    pub failed: Vec<(String, std::time::Instant)>,
}

impl Rank {
    /// Of a host or an address, as [`join`] writes it.
    pub fn of(&self, name: &str) -> (Option<std::time::Instant>, u64) {
        let failed = self.failed.iter().find(|(failed, _)| failed == name);
        (failed.map(|(_, at)| *at), mixed(self.seed, name))
    }

    /// Which family is better the resolver knows; within it any address is as good as any other.
    fn sort(&self, addresses: &mut [SocketAddr]) {
        let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        addresses.sort_by_cached_key(|address| {
            let (failed, mixed) = self.of(&address.to_string());
            (failed, address.is_ipv6() != first_is_v6, mixed)
        });
    }
}

/// FNV-1a, begun with the seed and its bits spread at the end: the order must be another
/// one for each process, and nobody gains by guessing it.
fn mixed(seed: u64, text: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(text.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the endpoint's host.
    pub host: usize,
    /// Which address of it.
    pub address: Option<SocketAddr>,
    /// There is another host to go to.
    pub has_choice: bool,
}

/// What is seen of an attempt from outside.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicBool);

impl Progress {
    /// The connection was taken: somebody is there.
    pub fn connected(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_connected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whom to dial next.
enum Candidate {
    Host(usize),
    Address(usize, SocketAddr),
}

/// What an attempt came to.
enum Step {
    Resolved(usize, Vec<SocketAddr>),
    Opened(Box<Opened>, Place),
}

struct Race<'a> {
    endpoint: &'a Arc<Endpoint>,
    hosts: &'a [(String, u16)],
    container_id: &'a str,
    next: VecDeque<Candidate>,
    /// Dropped with the race, and all that still runs in it.
    running: JoinSet<(usize, Result<Step>)>,
    /// Hosts with attempts under way.
    waiting: Vec<usize>,
    /// Of the latest attempt.
    progress: Arc<Progress>,
    started: Instant,
    errors: Vec<Error>,
}

/// The first that opens.
///
/// # Errors
/// The last one's error, with the others' before it.
pub(super) async fn first(
    endpoint: &Arc<Endpoint>,
    hosts: &[(String, u16)],
    order: &Order,
    container_id: &str,
    timeout: Duration,
) -> Result<(Opened, Place)> {
    // Who waits for all this has the same deadline and less to say.
    let timeout = timeout.mul_f64(0.98);
    let deadline = Instant::now() + timeout;
    // With little time there must be some for each.
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
            // It may have connected meanwhile, and then has more time.
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
            let opened = one_address(&endpoint, &label, &name, address, container_id, &progress);
            let place = Place {
                host,
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
            let error = std::io::Error::other("the name has no address");
            self.errors.push(unreachable(&label, &error));
        }
        for address in addresses.into_iter().rev() {
            self.next.push_front(Candidate::Address(host, address));
        }
    }

    /// Says what it waited for.
    fn give_up(&mut self, timeout: Duration) {
        self.waiting.sort_unstable();
        self.waiting.dedup();
        for host in &self.waiting {
            let Some((name, port)) = self.hosts.get(*host) else {
                continue;
            };
            self.errors.push(Error::connection(format!(
                "cannot connect to {} at {}: no answer within {:.1} s; is the address right, and no firewall between?",
                self.endpoint.label(),
                join(name, *port),
                timeout.as_secs_f64()
            )));
        }
    }
}

/// One error of several. Refused credentials tell more than a host that is down, whichever
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
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_of_one_name_are_shared_out_within_their_family_and_what_failed_is_last() {
        let parse = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let resolved = ["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1"].map(parse);
        let firsts: HashSet<SocketAddr> = (0..64)
            .map(|seed| {
                let failed = vec![("[::2]:1".to_owned(), std::time::Instant::now())];
                let mut addresses = resolved;
                Rank { seed, failed }.sort(&mut addresses);
                assert_eq!(
                    (addresses[0], addresses[3]),
                    (parse("[::1]:1"), parse("[::2]:1"))
                );
                addresses[1]
            })
            .collect();
        assert_eq!(firsts.len(), 2);
    }

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
