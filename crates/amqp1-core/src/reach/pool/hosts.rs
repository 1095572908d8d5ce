//! Chooses the host of an endpoint that this process tries first.
//!
//! A cluster's nodes share the load only if its clients spread over them, so each process has its
//! own order. It applies to all endpoints and both roles: one process uses one node, and finds
//! there what it has just declared. A forked child has another order. Hosts that failed recently
//! come last, the most recent failure at the end.

use std::time::{Duration, Instant};

use crate::base::id;
use crate::base::per_process::PerProcess;
use crate::connection::{Host, Order, Rank};
use crate::settings::endpoint::{join, Endpoint, Target};
use crate::settings::options::HostOrder;

/// How long a failed host comes last. Not longer, because processes that left a host together know
/// the same failures, and would keep moving together for ever.
const FAILED_FOR: Duration = Duration::from_secs(15);

/// The most failures that are kept; clusters have few.
const MAX_FAILED: usize = 64;

static OWN: PerProcess<Rank> = PerProcess::new();

fn with_rank<T>(work: impl FnOnce(&mut Rank) -> T) -> T {
    // A host that failed for the parent will probably fail for the child.
    let rank = |parents: Option<&Rank>| Rank {
        seed: id::number(),
        failed: parents.map_or_else(Vec::new, |rank| rank.failed.clone()),
    };
    OWN.with(rank, work)
}

fn hosts(endpoint: &Endpoint) -> &[(String, u16)] {
    match &endpoint.target {
        Target::Network { hosts, .. } => hosts,
        Target::Embedded(_) => &[],
    }
}

/// The order for the next attempt to connect.
pub(super) fn order(endpoint: &Endpoint) -> Order {
    if endpoint.host_order == HostOrder::Given {
        return Order::given(endpoint);
    }
    let rank = with_rank(|rank| {
        rank.failed.retain(|(_, at)| at.elapsed() < FAILED_FOR);
        rank.clone()
    });
    by(rank, endpoint)
}

fn by(rank: Rank, endpoint: &Endpoint) -> Order {
    let hosts = hosts(endpoint);
    let mut order = Order::given(endpoint);
    let key = |at: &usize| {
        hosts
            .get(*at)
            .map(|(host, port)| rank.of(&join(host, *port)))
    };
    order.hosts.sort_by_cached_key(key);
    order.rank = Some(rank);
    order
}

/// Records that a connection to this host was lost.
pub(super) fn failed(endpoint: &Endpoint, at: Host) {
    let hosts = hosts(endpoint);
    let mut names = Vec::new();
    if hosts.len() > 1 {
        names.extend(name(hosts, at.index));
    }
    // One name may stand for several hosts.
    names.extend(at.address.map(|address| address.to_string()));
    with_rank(|rank| names.into_iter().for_each(|name| note(rank, name)));
}

/// Records that this host opened after all earlier hosts in the order had failed or were slow.
pub(super) fn opened(endpoint: &Endpoint, order: &Order, at: Host) {
    let hosts = hosts(endpoint);
    if hosts.len() < 2 || order.rank.is_none() {
        return;
    }
    with_rank(|rank| {
        for host in order.hosts.iter().take_while(|host| **host != at.index) {
            if let Some(name) = name(hosts, *host) {
                note(rank, name);
            }
        }
        let here = name(hosts, at.index);
        rank.failed.retain(|(name, _)| Some(name) != here.as_ref());
    });
}

fn name(hosts: &[(String, u16)], host: usize) -> Option<String> {
    hosts.get(host).map(|(host, port)| join(host, *port))
}

fn note(rank: &mut Rank, name: String) {
    rank.failed.retain(|(failed, _)| *failed != name);
    if rank.failed.len() >= MAX_FAILED {
        rank.failed.remove(0);
    }
    rank.failed.push((name, Instant::now()));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use super::*;
    use crate::settings::options::QueueOptions;

    fn endpoint(order: HostOrder) -> Endpoint {
        let options = QueueOptions {
            host_order: order,
            ..QueueOptions::default()
        };
        Endpoint::parse("amqp://spread-a,spread-b,spread-c", &options).unwrap()
    }

    #[test]
    fn processes_spread_evenly_and_so_do_those_of_a_host_that_failed() {
        let endpoint = endpoint(HostOrder::Random);
        let mut firsts: HashMap<(usize, usize), u32> = HashMap::new();
        for seed in 0..6000u64 {
            // As random as the seeds of processes.
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let failed = Vec::new();
            let order = by(Rank { seed, failed }, &endpoint);
            *firsts.entry((order.hosts[0], order.hosts[1])).or_default() += 1;
        }
        assert_eq!(firsts.len(), 6, "{firsts:?}");
        assert!(
            firsts.values().all(|count| (800..1200).contains(count)),
            "{firsts:?}"
        );
    }

    #[test]
    fn what_failed_comes_last_until_it_opens_and_the_given_order_stays() {
        let random = endpoint(HostOrder::Random);
        let before = order(&random).hosts;
        assert_eq!(order(&random).hosts, before, "it is the process's own");
        let at = |index| Host {
            index,
            address: None,
            has_choice: true,
        };
        failed(&random, at(before[0]));
        assert_eq!(order(&random).hosts, [before[1], before[2], before[0]]);
        failed(&random, at(before[1]));
        assert_eq!(order(&random).hosts, [before[2], before[0], before[1]]);
        opened(&random, &order(&random), at(before[0]));
        assert_eq!(order(&random).hosts[0], before[0]);
        let given = endpoint(HostOrder::Given);
        failed(&given, at(0));
        assert_eq!(order(&given).hosts, [0, 1, 2]);
        assert!(order(&given).rank.is_none());
    }
}
