//! The order in which an endpoint's hosts are tried, and the host of a connection.

use std::net::SocketAddr;

use crate::settings::endpoint::{Endpoint, Target};

/// The order in which hosts are tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    /// Indexes of the endpoint's hosts.
    pub hosts: Vec<usize>,
    /// Sorts the addresses of one name; `None`: in the resolver's order.
    pub rank: Option<Rank>,
}

impl Order {
    /// The hosts in the order of the DSN.
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

/// Determines an order: lower ranks come first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rank {
    /// Differs between processes.
    pub seed: u64,
    /// Hosts that failed recently, with the time; later failures come later.
    pub failed: Vec<(String, std::time::Instant)>,
}

impl Rank {
    /// The rank of a host or an address, in the form of `join`.
    pub fn of(&self, name: &str) -> (Option<std::time::Instant>, u64) {
        let failed = self.failed.iter().find(|(failed, _)| failed == name);
        (failed.map(|(_, at)| *at), mixed(self.seed, name))
    }

    /// The resolver knows which address family is better; within a family, all addresses are equal.
    pub(super) fn sort(&self, addresses: &mut [SocketAddr]) {
        let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        addresses.sort_by_cached_key(|address| {
            let (failed, mixed) = self.of(&address.to_string());
            (failed, address.is_ipv6() != first_is_v6, mixed)
        });
    }
}

/// FNV-1a, started with the seed, with its bits mixed at the end. The order must differ between
/// processes, and guessing it gains nothing.
fn mixed(seed: u64, text: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(text.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The host and address of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its index in the endpoint.
    pub index: usize,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// Whether the endpoint has another host.
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
