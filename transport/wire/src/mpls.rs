//! MPLS label stacks (RFC 3032, with the traffic class of RFC 5462), over Ethernet and over UDP (RFC 7510).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------+-----+-+---------------+
//! |                 Label                 | TC  |S|      TTL      |  entry, the top of the stack first
//! +---------------------------------------+-----+-+---------------+
//! |                               …                               |
//! +---------------------------------------+-----+-+---------------+
//! |                 Label                 | TC  |1|      TTL      |  the bottom
//! +---------------------------------------+-----+-+---------------+
//! ```
//!
//! Nothing says what follows the bottom: the label does. It is one thing over Ethernet and over UDP, where the stack
//! is the datagram's payload (RFC 7510, section 3).

use crate::{Layer, Problem, WireError};

/// A view of a label stack and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    stack: &'a [[u8; ENTRY_OCTETS]],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The stack must have a bottom within [`LABELS_MAX`] entries.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let (entries, _) = octets.as_chunks();
        let within = &entries[..entries.len().min(LABELS_MAX)];
        let Some(bottom) = within.iter().position(|entry| Entry::from_octets(*entry).is_bottom()) else {
            let problem = Problem::NoBottom { entries: within.len() };
            return Err(WireError { layer: Layer::Mpls, offset: within.len() * ENTRY_OCTETS, problem });
        };
        Ok(Self { stack: &entries[..=bottom], payload: &octets[(bottom + 1) * ENTRY_OCTETS..] })
    }

    /// The entries, the top first; at least one.
    #[inline]
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry> + ExactSizeIterator + use<'a> {
        self.stack.iter().map(|entry| Entry::from_octets(*entry))
    }

    /// The entry that a router looks at.
    #[inline]
    pub const fn top(&self) -> Entry {
        Entry::from_octets(self.stack[0])
    }

    /// The whole stack, in octets.
    #[inline]
    pub const fn stack_octets(&self) -> usize {
        self.stack.len() * ENTRY_OCTETS
    }

    /// What follows the bottom.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// One entry of a stack, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry(pub u32);

impl Entry {
    /// From its parts, each cut to its width.
    #[inline]
    pub const fn new(label: u32, traffic_class: u8, is_bottom: bool, ttl: u8) -> Self {
        Self(label << 12 | (traffic_class as u32 & 7) << 9 | (is_bottom as u32) << 8 | ttl as u32)
    }

    /// The entry at the beginning: all that a router needs that forwards by the top label.
    #[inline]
    pub fn read(octets: &[u8]) -> Result<Self, WireError> {
        match octets.first_chunk() {
            Some(entry) => Ok(Self::from_octets(*entry)),
            None => Err(Layer::Mpls.truncated(ENTRY_OCTETS, octets.len())),
        }
    }

    /// From its octets.
    #[inline]
    pub const fn from_octets(octets: [u8; ENTRY_OCTETS]) -> Self {
        Self(u32::from_be_bytes(octets))
    }

    /// Its octets.
    #[inline]
    pub const fn octets(self) -> [u8; ENTRY_OCTETS] {
        self.0.to_be_bytes()
    }

    /// The label, 20 bits.
    #[inline]
    pub const fn label(self) -> u32 {
        self.0 >> 12
    }

    /// The traffic class.
    #[inline]
    pub const fn traffic_class(self) -> u8 {
        (self.0 >> 9 & 7) as u8
    }

    /// Nothing is below it.
    #[inline]
    pub const fn is_bottom(self) -> bool {
        self.0 & BOTTOM != 0
    }

    /// Time to live.
    #[inline]
    pub const fn ttl(self) -> u8 {
        self.0.to_be_bytes()[3]
    }

    /// The same with another label.
    #[inline]
    #[must_use]
    pub const fn with_label(self, label: u32) -> Self {
        Self(self.0 & 0xfff | label << 12)
    }

    /// The same with another time to live.
    #[inline]
    #[must_use]
    pub const fn with_ttl(self, ttl: u8) -> Self {
        Self(self.0 & !0xff | ttl as u32)
    }

    /// The same at the bottom, or above others.
    #[inline]
    #[must_use]
    pub const fn with_bottom(self, is_bottom: bool) -> Self {
        Self(self.0 & !BOTTOM | (is_bottom as u32) << 8)
    }
}

/// Writes a stack to the beginning of `out`; the last entry becomes the bottom, and no other is one. None if there are
/// no entries, more than [`LABELS_MAX`], or more than there is room for.
pub fn emit<'o>(stack: &[Entry], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let out = out.get_mut(..stack.len() * ENTRY_OCTETS)?;
    let bottom = stack.len().checked_sub(1).filter(|bottom| *bottom < LABELS_MAX)?;
    for (index, (place, entry)) in out.as_chunks_mut().0.iter_mut().zip(stack).enumerate() {
        *place = entry.with_bottom(index == bottom).octets();
    }
    Some(out)
}

/// Is the label one of 0 to 15, which nobody allocates (RFC 3032, section 2.1; RFC 7274)?
#[inline]
pub const fn is_reserved(label: u32) -> bool {
    label <= RESERVED_MAX
}

/// The label that spreads a flow over paths: every hash gives one, none of them reserved (RFC 6391, section 4; RFC
/// 6790, section 4.2).
#[inline]
pub const fn flow_label(hash: u32) -> u32 {
    const FIRST: u32 = RESERVED_MAX + 1;
    #[allow(clippy::cast_possible_truncation, reason = "the hash is scaled down to less than 20 bits")]
    let spread = ((hash as u64 * (LABEL_MAX + 1 - FIRST) as u64) >> 32) as u32;
    FIRST + spread
}

/// The flow label of a pseudowire: at the bottom, below the pseudowire's label, with a time to live of 1 so that nobody
/// forwards by it (RFC 6391, section 4).
#[inline]
pub const fn flow_entry(hash: u32) -> Entry {
    Entry::new(flow_label(hash), 0, true, 1)
}

/// Entropy label indicator and entropy label, to follow a tunnel's entry: the indicator has traffic class and time to
/// live of that entry, the label a time to live of 0 (RFC 6790, section 4.2).
#[inline]
pub const fn entropy_entries(hash: u32, tunnel: Entry, is_bottom: bool) -> [Entry; 2] {
    [tunnel.with_label(ENTROPY_INDICATOR).with_bottom(false), Entry::new(flow_label(hash), 0, is_bottom, 0)]
}

/// The length of an entry.
pub const ENTRY_OCTETS: usize = 4;
/// How many entries of a stack are read and written.
pub const LABELS_MAX: usize = 16;
/// The UDP port of MPLS over UDP (RFC 7510, section 3).
pub const UDP_PORT: u16 = 6635;
/// The greatest label.
pub const LABEL_MAX: u32 = 0x000f_ffff;

/// Pop, and go on with an IPv4 header.
pub const IPV4_EXPLICIT_NULL: u32 = 0;
/// To the router's own software.
pub const ROUTER_ALERT: u32 = 1;
/// Pop, and go on with an IPv6 header.
pub const IPV6_EXPLICIT_NULL: u32 = 2;
/// Asks the neighbour to pop; never seen in a packet.
pub const IMPLICIT_NULL: u32 = 3;
/// An entropy label follows (RFC 6790).
pub const ENTROPY_INDICATOR: u32 = 7;
/// A generic associated channel follows (RFC 5586).
pub const GENERIC_CHANNEL: u32 = 13;
/// OAM alert (RFC 3429).
pub const OAM_ALERT: u32 = 14;
/// The label that follows is one of the extended special purpose labels (RFC 7274).
pub const EXTENSION: u32 = 15;

const RESERVED_MAX: u32 = 15;
const BOTTOM: u32 = 0x100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `MPLS(label=16001, cos=5, s=0, ttl=64)/MPLS(label=1048575, cos=0, s=1, ttl=1)` of scapy 2.8.
    const STACK: [u8; 8] = [0x03, 0xe8, 0x1a, 0x40, 0xff, 0xff, 0xf1, 0x01];

    #[test]
    fn a_stack_reads_and_writes_both_ways() {
        let octets = [&STACK[..], &[0x45, 0x00]].concat();
        let packet = Packet::new(&octets).unwrap();
        let entries: Vec<Entry> = packet.entries().collect();
        let parts = |e: &Entry| (e.label(), e.traffic_class(), e.is_bottom(), e.ttl());
        assert_eq!(entries.iter().map(parts).collect::<Vec<_>>(), [(16_001, 5, false, 64), (LABEL_MAX, 0, true, 1)]);
        assert_eq!((packet.stack_octets(), packet.payload()), (8, &[0x45, 0x00][..]));
        assert_eq!((packet.top(), Entry::read(&octets)), (entries[0], Ok(entries[0])));
        assert_eq!(entries, [Entry::new(16_001, 5, false, 64), Entry::new(LABEL_MAX, 0, true, 1)]);
        let mut out = [0xa5; 9];
        // Where the bottom is, the place says.
        let written = emit(&[entries[0].with_bottom(true), entries[1].with_bottom(false)], &mut out).unwrap();
        assert_eq!(written, STACK);
        assert_eq!(out[8], 0xa5);
    }

    #[test]
    fn stacks_of_captures_read_as_tshark_reads_them() {
        // tcpdump, tests/mpls-over-udp.pcap: the first datagram's payload.
        let packet = [0x00, 0x01, 0x51, 0x3f, 0x45, 0x00, 0x00, 0x54];
        let packet = Packet::new(&packet).unwrap();
        assert_eq!((packet.top(), packet.payload().len()), (Entry::new(21, 0, true, 63), 4));
        // zeek, mpls-in-vlan.pcap: the stack of two.
        let packet = Packet::new(&[0x00, 0x0f, 0xe0, 0x3c, 0x00, 0x06, 0x31, 0x3c]).unwrap();
        let labels: Vec<u32> = packet.entries().map(Entry::label).collect();
        assert_eq!((labels, packet.payload().len()), (vec![254, 99], 0));
    }

    #[test]
    fn a_stack_without_bottom_is_refused_by_name() {
        for length in 0..STACK.len() {
            let problem = Packet::new(&STACK[..length]).unwrap_err().problem;
            assert_eq!(problem, Problem::NoBottom { entries: length / 4 });
        }
        let deep = Entry::new(16, 0, false, 64).octets().repeat(LABELS_MAX);
        let bottom = Entry::new(16, 0, true, 64).octets();
        let error = Packet::new(&[&deep[..], &bottom].concat()).unwrap_err();
        assert_eq!(error.to_string(), "mpls: octet 64: no bottom of the label stack in 16 entries");
        assert_eq!(Packet::new(&[&deep[4..], &bottom].concat()).unwrap().entries().len(), LABELS_MAX);
        for length in 0..ENTRY_OCTETS {
            assert_eq!(Entry::read(&STACK[..length]), Err(Layer::Mpls.truncated(4, length)));
        }
    }

    #[test]
    fn what_can_not_be_a_stack_is_not_written() {
        let entries = [Entry::new(16, 0, false, 64); LABELS_MAX + 1];
        let mut out = [0xa5; 4 * (LABELS_MAX + 1)];
        assert!(emit(&[], &mut out).is_none());
        assert!(emit(&entries, &mut out).is_none());
        assert!(emit(&entries[..3], &mut out[..11]).is_none());
        assert_eq!(out, [0xa5; 4 * (LABELS_MAX + 1)]);
        assert!(emit(&entries[1..], &mut out).is_some());
    }

    #[test]
    fn reserved_labels_have_names_and_no_flow_gets_one() {
        for label in [IPV4_EXPLICIT_NULL, ROUTER_ALERT, IPV6_EXPLICIT_NULL, IMPLICIT_NULL, ENTROPY_INDICATOR] {
            assert!(is_reserved(label));
        }
        assert!(is_reserved(GENERIC_CHANNEL) && is_reserved(OAM_ALERT) && is_reserved(EXTENSION) && !is_reserved(16));
        assert_eq!((flow_label(0), flow_label(u32::MAX)), (16, LABEL_MAX));
        let tunnel = Entry::new(16_001, 5, true, 63);
        let [indicator, entropy] = entropy_entries(0x8000_0000, tunnel, true);
        assert_eq!(indicator, Entry::new(7, 5, false, 63));
        assert_eq!(entropy, Entry::new(0x0008_0008, 0, true, 0));
        assert_eq!(flow_entry(0x8000_0000), Entry::new(0x0008_0008, 0, true, 1));
    }

    proptest! {
        #[test]
        fn every_stack_survives(stack in prop::collection::vec(any::<u32>().prop_map(Entry), 1..=LABELS_MAX), payload: [u8; 5]) {
            let mut out = [0xa5; LABELS_MAX * ENTRY_OCTETS];
            let octets = [emit(&stack, &mut out).unwrap(), &payload].concat();
            let packet = Packet::new(&octets).unwrap();
            prop_assert_eq!(packet.payload(), payload);
            prop_assert_eq!(packet.entries().len(), stack.len());
            for (read, written) in packet.entries().zip(&stack) {
                prop_assert_eq!(read.with_bottom(false), written.with_bottom(false));
                prop_assert_eq!(Entry::new(read.label(), read.traffic_class(), read.is_bottom(), read.ttl()), read);
            }
        }

        #[test]
        fn one_field_changes_alone(entry in any::<u32>().prop_map(Entry), label in 0..=LABEL_MAX, ttl: u8) {
            let changed = entry.with_label(label).with_ttl(ttl);
            prop_assert_eq!((changed.label(), changed.ttl()), (label, ttl));
            prop_assert_eq!((changed.traffic_class(), changed.is_bottom()), (entry.traffic_class(), entry.is_bottom()));
        }

        #[test]
        fn a_flow_label_is_never_reserved(hash: u32) {
            let label = flow_label(hash);
            prop_assert!(!is_reserved(label) && label <= LABEL_MAX);
        }

        #[test]
        fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::new(&octets) {
                prop_assert_eq!(packet.stack_octets() + packet.payload().len(), octets.len());
            }
        }
    }
}
