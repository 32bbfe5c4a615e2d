#![allow(clippy::cast_possible_truncation, reason = "IPv4 addresses are kept in 128 bits, and counts are small")]

use std::collections::BTreeMap;

use prefix_trie::PrefixMap;
use proptest::prelude::*;

use super::*;

/// The obvious way.
fn scan(routes: &BTreeMap<Prefix, u16>, address: IpAddr) -> Option<u16> {
    let holds = routes.iter().filter(|(prefix, _)| prefix.contains(address));
    holds.max_by_key(|(prefix, _)| prefix.length()).map(|(_, answer)| *answer)
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn table(routes: &[(&str, u16)]) -> Routes<u16> {
    Routes::new(routes.iter().map(|(text, answer)| (prefix(text), *answer))).unwrap()
}

fn ask<V: Copy + PartialEq>(routes: &Routes<V>, address: &str) -> Option<V> {
    routes.lookup(address.parse().unwrap())
}

#[test]
fn the_longest_prefix_wins_whatever_the_order() {
    for routes in [
        [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.0/24", 3), ("10.1.2.3/32", 4), ("0.0.0.0/0", 5)],
        [("10.1.2.3/32", 4), ("0.0.0.0/0", 5), ("10.1.2.0/24", 3), ("10.0.0.0/8", 1), ("10.1.0.0/16", 2)],
    ] {
        let table = table(&routes);
        for (address, answer) in [
            ("0.0.0.0", 5),
            ("9.255.255.255", 5),
            ("10.0.0.0", 1),
            ("10.1.1.255", 2),
            ("10.1.2.2", 3),
            ("10.1.2.3", 4),
            ("10.1.2.4", 3),
            ("10.1.2.255", 3),
            ("10.1.3.0", 2),
            ("10.2.0.0", 1),
            ("10.255.255.255", 1),
            ("11.0.0.0", 5),
            ("255.255.255.255", 5),
        ] {
            assert_eq!(ask(&table, address), Some(answer), "{address}");
        }
        assert_eq!(ask(&table, "::"), None, "no IPv6 route");
    }
}

#[test]
fn what_is_read_back_is_what_packets_find() {
    let routes = [
        ("0.0.0.0/0", 5),
        ("0.0.0.0/8", 1),
        ("0.0.0.0/16", 2),
        ("128.0.0.0/1", 3),
        // Nothing is left of it.
        ("192.0.2.0/31", 9),
        ("192.0.2.0/32", 6),
        ("192.0.2.1/32", 7),
        ("::/0", 8),
        ("fd00::/48", 1),
        ("fd00::1", 2),
    ];
    let mut expected: Vec<_> = routes.iter().map(|(text, answer)| (prefix(text), *answer)).collect();
    let prefixes: Vec<_> = expected.iter().map(|(prefix, _)| *prefix).collect();
    let read: Vec<_> = table(&routes).answers(&prefixes).collect();
    expected.retain(|(_, answer)| *answer != 9);
    assert_eq!(read, expected);
}

#[test]
fn the_families_know_nothing_of_each_other() {
    let table = table(&[("::/0", 1), ("192.0.2.0/24", 2), ("::ffff:0:0/96", 3)]);
    assert_eq!(ask(&table, "192.0.2.1"), Some(2));
    assert_eq!(ask(&table, "192.0.3.1"), None);
    assert_eq!(ask(&table, "::ffff:192.0.2.1"), Some(3));
    assert_eq!(ask(&table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(1));
}

#[test]
fn prefixes_that_end_where_the_addresses_end() {
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let table = table(&[("ffff::/16", 1), (last, 2), ("::", 3), ("255.255.255.255", 4), ("128.0.0.0/1", 5)]);
    assert_eq!(ask(&table, last), Some(2));
    assert_eq!(ask(&table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), Some(1));
    assert_eq!(ask(&table, "fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), None);
    assert_eq!(ask(&table, "::"), Some(3));
    assert_eq!(ask(&table, "::1"), None);
    assert_eq!(ask(&table, "255.255.255.255"), Some(4));
    assert_eq!(ask(&table, "255.255.255.254"), Some(5));
    assert_eq!(ask(&table, "127.255.255.255"), None);
}

#[test]
fn an_empty_table_has_no_route() {
    let table = Routes::<u16>::new([]).unwrap();
    for address in ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
        assert_eq!(ask(&table, address), None);
        assert_eq!(table.touch(address.parse().unwrap()), 0);
    }
}

#[test]
fn a_prefix_that_stands_twice_is_refused_by_name() {
    let routes = ["10.0.0.0/8", "fd00::/16", "10.0.0.0/16", "fd00::/16"].map(|text| (prefix(text), 0));
    let error = Routes::new(routes).unwrap_err();
    assert_eq!(error, RoutesError::Twice(prefix("fd00::/16")));
    assert_eq!(error.to_string(), "fd00::/16 has two routes");
}

/// An address of a family by number.
type Numbered = fn(u32) -> IpAddr;

/// The most ends there can be: every other address has a route of its own, and no two have the same.
fn largest(family: Numbered, length: u8) -> Vec<(Prefix, u32)> {
    (0..ROUTES_MAX as u32).map(|at| (Prefix::new(family(2 * at + 1), length).unwrap(), at)).collect()
}

#[test]
fn a_table_is_bounded_and_a_full_one_is_right() {
    let families: [(Numbered, u8); 2] =
        [(|at| Ipv4Addr::from_bits(at).into(), 32), (|at| Ipv6Addr::from_bits(at.into()).into(), 128)];
    for (family, length) in families {
        let mut routes = largest(family, length);
        let table = Routes::new(routes.iter().copied()).unwrap();
        for at in 0..ROUTES_MAX as u32 {
            assert_eq!(table.lookup(family(2 * at)), None);
            assert_eq!(table.lookup(family(2 * at + 1)), Some(at));
        }
        assert_eq!(table.lookup(family(u32::MAX)), None);
        routes.push((prefix("fd00::/16"), 0));
        let error = Routes::new(routes).unwrap_err();
        assert_eq!(error.to_string(), "65537 routes; a table holds 65536 at most");
    }
}

/// What a table takes, with what it owns.
fn octets(table: &Routes<u16>) -> usize {
    size_of_val(table)
        + size_of_val(&*table.ipv4.nodes)
        + size_of_val(&*table.ipv4.answers)
        + size_of_val(&*table.ipv6.nodes)
        + size_of_val(&*table.ipv6.answers)
}

#[test]
fn a_small_table_takes_a_few_hundred_octets() {
    assert!(octets(&table(&[("0.0.0.0/0", 1), ("::/0", 1)])) <= 128);
    let two = table(&[("10.0.0.0/16", 1), ("10.1.0.0/16", 2), ("fd00:1::/48", 1), ("fd00:2::/48", 2)]);
    assert!(octets(&two) <= 300, "{}", octets(&two));
    // A hundred subnets that alternate between two edges: 99 ends between them and one before each side.
    let hundred: Vec<_> = (0..100).map(|n| (format!("10.{n}.0.0/16"), n % 2)).collect();
    let hundred: Vec<_> = hundred.iter().map(|(text, answer)| (text.as_str(), *answer)).collect();
    assert!(octets(&table(&hundred)) <= 1_100, "{}", octets(&table(&hundred)));
}

#[test]
fn neighbours_that_lead_to_the_same_place_are_one_range() {
    let table = table(&[("10.0.0.0/24", 7), ("10.0.1.0/24", 7), ("10.0.0.0/23", 7), ("10.0.2.0/24", 8)]);
    assert_eq!(&*table.ipv4.answers, [None, Some(7), Some(8), None]);
}

/// Where the answer may change: the first and last address of each prefix and those beside them.
fn edges(prefix: &Prefix) -> Vec<IpAddr> {
    let (first, last) = bounds(prefix);
    [first.wrapping_sub(1), first, first.wrapping_add(1), last.wrapping_sub(1), last, last.wrapping_add(1)]
        .into_iter()
        .map(|bits| match prefix.address() {
            IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
        })
        .collect()
}

/// Checks a table against the scan and against another's trie, at every place where answers may change and at others.
fn check(routes: &BTreeMap<Prefix, u16>, others: &[(u32, u128)]) -> Result<(), TestCaseError> {
    let table = Routes::new(routes.iter().map(|(prefix, answer)| (*prefix, *answer))).unwrap();
    let (mut ipv4, mut ipv6) = (PrefixMap::<(u32, u8), _>::new(), PrefixMap::<(u128, u8), _>::new());
    for (prefix, answer) in routes {
        match prefix.address() {
            IpAddr::V4(address) => ipv4.insert((address.to_bits(), prefix.length()), *answer),
            IpAddr::V6(address) => ipv6.insert((address.to_bits(), prefix.length()), *answer),
        };
    }
    let ends = ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
    let others = others.iter().flat_map(|(v4, v6)| [Ipv4Addr::from_bits(*v4).into(), Ipv6Addr::from_bits(*v6).into()]);
    let asked = ends.map(|end| end.parse().unwrap()).into_iter().chain(others);
    for address in asked.chain(routes.keys().flat_map(edges)) {
        let (found, trie) = match address {
            IpAddr::V4(address) => {
                let trie = ipv4.get_lpm(&(address.to_bits(), 32));
                (table.lookup_ipv4(address), trie.map(|(_, answer)| *answer))
            }
            IpAddr::V6(address) => {
                let trie = ipv6.get_lpm(&(address.to_bits(), 128));
                (table.lookup_ipv6(address), trie.map(|(_, answer)| *answer))
            }
        };
        prop_assert_eq!(found, scan(routes, address), "{}", address);
        prop_assert_eq!(found, trie, "{}", address);
    }
    Ok(())
}

/// Prefixes that nest: addresses differ in few places, at any depth, and lengths are any.
fn nested() -> impl Strategy<Value = Prefix> {
    let bits = |width: u32| {
        proptest::collection::vec(0..width, 0..4)
            .prop_map(|places| places.into_iter().fold(0_u128, |bits, place| bits ^ 1 << place))
    };
    let (ones4, ones6) = (prop_oneof![Just(0), Just(u128::from(u32::MAX))], prop_oneof![Just(0), Just(u128::MAX)]);
    let length = |max: u8| prop_oneof![1 => Just(0), 2 => Just(max), 12 => 0..=max];
    prop_oneof![
        (bits(32), ones4, length(32)).prop_map(|(bits, ones, length)| {
            Prefix::new(Ipv4Addr::from_bits((bits ^ ones) as u32).into(), length).unwrap()
        }),
        (bits(128), ones6, length(128)).prop_map(|(bits, ones, length)| Prefix::new(
            Ipv6Addr::from_bits(bits ^ ones).into(),
            length
        )
        .unwrap()),
    ]
}

proptest! {
    /// Few answers, so that ranges are joined, and enough prefixes for several levels.
    #[test]
    fn it_answers_as_a_scan_and_a_trie_do(
        routes in proptest::collection::btree_map(nested(), 0_u16..4, 0..120),
        others in proptest::collection::vec(any::<(u32, u128)>(), 0..20),
    ) {
        check(&routes, &others)?;
    }
}
