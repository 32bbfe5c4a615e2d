//! Longest-prefix match over IPv4 and IPv6: the routes of a slice, and those of the underlay on a core node.
//!
//! Prefixes nest or are disjoint, so they cut the addresses into at most `2n + 1` ranges, each of which has one answer.
//! What is searched is where the ranges end, in a static B+ tree whose nodes are one cache line:
//!
//! ```text
//!   0.0.0.0/0 → A       ranges:  … 10.0.255.255 │ … 10.1.255.255 │ … 255.255.255.255
//!   10.1.0.0/16 → B     answers:       A        │       B        │        A
//! ```
//!
//! An edge has thousands of tables of one to a hundred prefixes, and a core node has one of thousands. A trie that is
//! indexed by bits (DIR-24-8, poptrie) pays for how long prefixes are, in every table: a locator has 48 bits and a
//! loopback 128. Ranges pay for how many there are: a default route costs nothing beyond the table itself, and 10,000
//! prefixes are found in four cache lines (IPv4, 16 ends in each) or seven (IPv6, 4 ends), and one for the answer.
//! Nothing is guessed by the processor but how many levels there are, and those of a table are always the same.
//!
//! A table is built whole when a program is compiled; it is never changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;
use model::Prefix;

/// Routes by prefix. Of those that hold an address, the longest is the answer (RFC 1812, section 5.2.4.3).
#[derive(Debug, Clone)]
pub struct Routes<V> {
    ipv4: Ranges<u32, V, IPV4_NODE_ENDS>,
    ipv6: Ranges<u128, V, IPV6_NODE_ENDS>,
}

/// Why there is no such table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// A prefix has two routes.
    #[error("{0} has two routes")]
    Twice(Prefix),
    /// More than a table holds.
    #[error("{count} routes; a table holds {ROUTES_MAX} at most")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

impl<V: Copy + PartialEq> Routes<V> {
    /// From prefixes in any order, each with what it leads to.
    pub fn new(routes: impl IntoIterator<Item = (Prefix, V)>) -> Result<Self, RoutesError> {
        let mut routes: Vec<_> = routes.into_iter().collect();
        if routes.len() > ROUTES_MAX {
            return Err(RoutesError::TooMany { count: routes.len() });
        }
        // By address, then by length: whoever holds others comes before them.
        routes.sort_unstable_by_key(|(prefix, _)| (prefix.address(), prefix.length()));
        if let Some(pair) = routes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(RoutesError::Twice(pair[0].0));
        }
        let (ipv4, ipv6) = routes.split_at(routes.partition_point(|(prefix, _)| prefix.address().is_ipv4()));
        let (ends, answers) = flatten(ipv4, u128::from(u32::MAX));
        #[allow(clippy::cast_possible_truncation, reason = "none is larger than the last IPv4 address")]
        let ends: Vec<_> = ends.into_iter().map(|end| end as u32).collect();
        let ipv4 = Ranges::new(&ends, answers, u32::MAX);
        let (ends, answers) = flatten(ipv6, u128::MAX);
        Ok(Self { ipv4, ipv6: Ranges::new(&ends, answers, u128::MAX) })
    }

    /// What the table answers for each of its prefixes: for the first address that no longer one holds. One without such
    /// an address answers for nothing, and is left out. The prefixes must be in order of address and then of length.
    pub fn answers(&self, prefixes: &[Prefix]) -> impl Iterator<Item = (Prefix, V)> {
        prefixes.iter().enumerate().filter_map(|(at, prefix)| {
            let (mut first, end) = bounds(prefix);
            // Those within it follow it.
            for within in prefixes.get(at + 1..).unwrap_or_default() {
                let (begins, ends) = bounds(within);
                if begins > first || within.address().is_ipv4() != prefix.address().is_ipv4() {
                    break;
                }
                first = first.max(ends.checked_add(1)?);
            }
            let answer = match prefix.address() {
                IpAddr::V4(_) => u32::try_from(first).ok().and_then(|first| self.ipv4.find(first)),
                IpAddr::V6(_) => self.ipv6.find(first),
            };
            answer.filter(|_| first <= end).map(|answer| (*prefix, answer))
        })
    }

    /// What the longest prefix that holds an address leads to.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(address) => self.lookup_ipv4(address),
            IpAddr::V6(address) => self.lookup_ipv6(address),
        }
    }

    /// The same for IPv4.
    #[inline]
    pub fn lookup_ipv4(&self, address: Ipv4Addr) -> Option<V> {
        self.ipv4.find(address.to_bits())
    }

    /// The same for IPv6.
    #[inline]
    pub fn lookup_ipv6(&self, address: Ipv6Addr) -> Option<V> {
        self.ipv6.find(address.to_bits())
    }

    /// Reads where a look-up begins; a small table is no more than that. The answer is good for nothing but keeping the
    /// read.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub fn touch(&self, address: IpAddr) -> u64 {
        match address {
            IpAddr::V4(_) => self.ipv4.touch().map_or(0, u64::from),
            IpAddr::V6(_) => self.ipv6.touch().map_or(0, |end| end as u64),
        }
    }
}

/// Ranges that cover all addresses, and the answer for each: a B+ tree of their last addresses, level by level.
#[derive(Debug, Clone)]
struct Ranges<K, V, const N: usize> {
    /// From the root to the leaves. A node above the leaves has in place `i` the last end below its child `i`.
    nodes: Box<[Node<K, N>]>,
    /// Where each level begins.
    levels: ArrayVec<u16, LEVELS_MAX>,
    /// By range, so one more than there are ends: after the last end comes the range up to the last address.
    answers: Box<[Option<V>]>,
}

/// Ends in order. A place without one has the last address, which is before none.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Node<K, const N: usize>([K; N]);

impl<K: Copy + Ord, V: Copy, const N: usize> Ranges<K, V, N> {
    /// From the ends in order, without that of the last range, and as many answers and one.
    fn new(ends: &[K], answers: Vec<Option<V>>, last: K) -> Self {
        let mut levels: ArrayVec<Vec<_>, LEVELS_MAX> = ArrayVec::new();
        let mut level: Vec<_> = ends.chunks(N).map(|ends| Node::new(ends, last)).collect();
        // Up to where each node of the level reaches: the last one as far as addresses go.
        let mut reach: Vec<_> = level.iter().map(|node| node.0[N - 1]).collect();
        while let Some(end) = reach.last_mut() {
            *end = last;
            levels.push(level);
            if reach.len() == 1 {
                break;
            }
            // A node tells N + 1 nodes below it apart by how far the first N of them reach.
            level = reach.chunks(N + 1).map(|below| Node::new(below, last)).collect();
            reach = reach.chunks(N + 1).filter_map(|below| below.last().copied()).collect();
        }
        let mut nodes = Vec::new();
        let mut begins = ArrayVec::new();
        for level in levels.into_iter().rev() {
            begins.push(place(nodes.len()));
            nodes.extend(level);
        }
        Self { nodes: nodes.into(), levels: begins, answers: answers.into() }
    }

    /// The answer for an address: that of the range of which as many are before it as ends are.
    #[inline]
    fn find(&self, address: K) -> Option<V> {
        let (mut node, mut range) = (0, 0);
        for level in &self.levels {
            let before = self.nodes[usize::from(*level) + node].ends_before(address);
            range = node * N + before;
            node = node * (N + 1) + before;
        }
        self.answers[range]
    }

    #[inline]
    fn touch(&self) -> Option<K> {
        self.nodes.first().map(|node| node.0[0])
    }
}

impl<K: Copy + Ord, const N: usize> Node<K, N> {
    /// From the first N ends, or all if there are fewer.
    fn new(ends: &[K], last: K) -> Self {
        let mut node = [last; N];
        node.iter_mut().zip(ends).for_each(|(place, end)| *place = *end);
        Self(node)
    }

    /// How many ends are before an address. By halves, each a conditional move: N is a power of two.
    #[inline]
    fn ends_before(&self, address: K) -> usize {
        let (mut before, mut step) = (0, N / 2);
        while step > 0 {
            if self.0[before + step - 1] < address {
                before += step;
            }
            step /= 2;
        }
        before + usize::from(self.0[before] < address)
    }
}

/// Cuts the addresses up to `last` into ranges with one answer each, from prefixes of one family in order. Answers where
/// the ranges end, without the last one, and their answers. Neighbours with the same answer are one range.
fn flatten<V: Copy + PartialEq>(routes: &[(Prefix, V)], last: u128) -> (Vec<u128>, Vec<Option<V>>) {
    let mut ranges = Flat { ends: Vec::new(), answers: Vec::new(), next: Some(0) };
    // The prefixes that hold the one at hand, the longest at the end: 129 of them at most.
    let mut open: Vec<(u128, V)> = Vec::new();
    for (prefix, answer) in routes {
        let (first, end) = bounds(prefix);
        while let Some((end, answer)) = open.pop_if(|(end, _)| *end < first) {
            ranges.fill(end, Some(answer));
        }
        if let Some(end) = first.checked_sub(1) {
            ranges.fill(end, open.last().map(|(_, answer)| *answer));
        }
        open.push((end, *answer));
    }
    while let Some((end, answer)) = open.pop() {
        ranges.fill(end, Some(answer));
    }
    ranges.fill(last, None);
    // All ranges together end there, so the last one does.
    ranges.ends.pop();
    (ranges.ends, ranges.answers)
}

/// Ranges in the making.
struct Flat<V> {
    ends: Vec<u128>,
    answers: Vec<Option<V>>,
    /// The first address without an answer, if there is one.
    next: Option<u128>,
}

impl<V: PartialEq> Flat<V> {
    /// Gives all addresses up to `end` that have no answer yet this one.
    fn fill(&mut self, end: u128, answer: Option<V>) {
        if self.next.is_none_or(|next| next > end) {
            return;
        }
        self.next = end.checked_add(1);
        match self.ends.last_mut().zip(self.answers.last()) {
            Some((before, same)) if *same == answer => *before = end,
            _ => {
                self.ends.push(end);
                self.answers.push(answer);
            }
        }
    }
}

/// The first and the last address of a prefix.
fn bounds(prefix: &Prefix) -> (u128, u128) {
    let (first, bits) = match prefix.address() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let hosts = u128::MAX.checked_shr(128 - bits + u32::from(prefix.length())).unwrap_or(0);
    (first, first | hosts)
}

/// The place of a node, which the assertions below bound.
#[allow(clippy::cast_possible_truncation, reason = "see above")]
const fn place(at: usize) -> u16 {
    at as u16
}

/// Levels and nodes of a tree of so many ends.
const fn size(ends: usize, node_ends: usize) -> (usize, usize) {
    let mut level = ends.div_ceil(node_ends);
    let (mut levels, mut nodes) = (1, level);
    while level > 1 {
        level = level.div_ceil(node_ends + 1);
        levels += 1;
        nodes += level;
    }
    (levels, nodes)
}

/// The most routes of a table, of both families together.
pub const ROUTES_MAX: usize = 65_536;
/// A cache line of IPv4 addresses.
const IPV4_NODE_ENDS: usize = 16;
/// A cache line of IPv6 addresses.
const IPV6_NODE_ENDS: usize = 4;
/// The most nodes that a look-up passes.
const LEVELS_MAX: usize = 8;
const ENDS_MAX: usize = 2 * ROUTES_MAX;

const _: () = assert!(size(ENDS_MAX, IPV6_NODE_ENDS).0 <= LEVELS_MAX);
const _: () = assert!(size(ENDS_MAX, IPV6_NODE_ENDS).1 <= u16::MAX as usize);
const _: () = assert!(IPV4_NODE_ENDS.is_power_of_two() && IPV6_NODE_ENDS.is_power_of_two());
const _: () = assert!(IPV4_NODE_ENDS > IPV6_NODE_ENDS, "so IPv4 has fewer levels and nodes");
const _: () = assert!(size_of::<Node<u32, IPV4_NODE_ENDS>>() == 64 && size_of::<Node<u128, IPV6_NODE_ENDS>>() == 64);

#[cfg(test)]
mod tests;
