//! The order in which an endpoint's hosts are dialled, and which one a connection leads to.

use std::net::SocketAddr;

use crate::settings::endpoint::{Endpoint, Target};

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
    pub(super) fn sort(&self, addresses: &mut [SocketAddr]) {
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

/// Which of an endpoint's hosts a connection leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its index in the endpoint.
    pub index: usize,
    /// Which address of it.
    pub address: Option<SocketAddr>,
    /// There is another host to go to.
    pub has_choice: bool,
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
}
