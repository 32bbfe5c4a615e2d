//! The clients of a realm: found by source address, each with its own limit.

use std::net::IpAddr;
use std::time::Duration;

use model::program::RealmProgram;
use model::{ClientName, Prefix};

use crate::bucket::TokenBucket;

/// The clients that a program names.
#[derive(Debug)]
pub(crate) struct Clients {
    names: Vec<ClientName>,
    buckets: Vec<TokenBucket>,
    /// Longest first, with the index of the client.
    prefixes: Vec<(Prefix, usize)>,
}

impl Clients {
    pub(crate) fn new(program: &RealmProgram, now: Duration) -> Self {
        let rate = program.features.requests_per_second_max;
        let mut prefixes: Vec<(Prefix, usize)> = Vec::new();
        for (index, client) in program.clients.iter().enumerate() {
            prefixes.extend(client.addresses.iter().map(|prefix| (*prefix, index)));
        }
        // Stable, so that of two equal ones, which the planner does not let through, the first one stands first.
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length()));
        Self {
            names: program.clients.iter().map(|client| client.name.clone()).collect(),
            buckets: program.clients.iter().map(|_| TokenBucket::new(rate, now)).collect(),
            prefixes,
        }
    }

    /// The client that may ask from an address: that of the longest prefix.
    pub(crate) fn find(&self, from: IpAddr) -> Option<usize> {
        self.prefixes.iter().find(|(prefix, _)| prefix.contains(from)).map(|(_, index)| *index)
    }

    pub(crate) fn name(&self, index: usize) -> Option<&ClientName> {
        self.names.get(index)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ClientName> {
        self.names.iter()
    }

    /// May the client ask now?
    pub(crate) fn take(&mut self, index: usize, now: Duration) -> bool {
        self.buckets.get_mut(index).is_some_and(|bucket| bucket.take(now))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::profile::AaaFeatures;
    use model::resource::Client;

    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_each_client_has_its_own_limit() {
        let client = |name: &str, prefix: &str| Client {
            name: name.parse().unwrap(),
            addresses: vec![prefix.parse().unwrap()],
            edge: None,
        };
        let program = RealmProgram {
            access_port: 1812,
            features: AaaFeatures {
                include: BTreeSet::new(),
                session_seconds: 60,
                interim_seconds: 60,
                requests_per_second_max: 1,
            },
            clients: vec![
                client("wide", "192.0.2.0/24"),
                client("one", "192.0.2.7/32"),
                client("half", "192.0.2.0/25"),
                client("six", "2001:db8::/64"),
            ],
        };
        let mut clients = Clients::new(&program, Duration::ZERO);
        let named = |clients: &Clients, from: &str| {
            let index = clients.find(from.parse().unwrap());
            index.and_then(|index| clients.name(index)).map(ToString::to_string)
        };
        assert_eq!(named(&clients, "192.0.2.7").as_deref(), Some("one"));
        assert_eq!(named(&clients, "192.0.2.8").as_deref(), Some("half"));
        assert_eq!(named(&clients, "192.0.2.200").as_deref(), Some("wide"));
        assert_eq!(named(&clients, "2001:db8::1").as_deref(), Some("six"));
        assert_eq!(named(&clients, "198.51.100.1"), None);
        assert!(clients.take(0, Duration::ZERO) && !clients.take(0, Duration::ZERO));
        assert!(clients.take(1, Duration::ZERO));
        assert!(!clients.take(9, Duration::ZERO));
    }
}
