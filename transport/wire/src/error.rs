//! What is wrong with a packet, in which layer, at which octet.

use std::fmt;

/// A malformed header. It is always the sender who erred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{layer}: octet {offset}: {problem}")]
pub struct WireError {
    /// The layer.
    pub layer: Layer,
    /// Where, counted from the start of that layer.
    pub offset: usize,
    /// What.
    pub problem: Problem,
}

/// The layers that are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the protocols'")]
pub enum Layer {
    Ethernet,
    Vlan,
    Arp,
    Ipv4,
    Ipv6,
    Srh,
    Udp,
    Tcp,
    Icmp,
    Icmpv6,
    Vxlan,
    Mpls,
    Pseudowire,
    Stamp,
}

impl Layer {
    /// The name of the layer as analysers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ethernet => "eth",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ipv6",
            Self::Srh => "ipv6.routing",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Vxlan => "vxlan",
            Self::Mpls => "mpls",
            Self::Pseudowire => "pwethcw",
            Self::Stamp => "stamp",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can be wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Problem {
    /// The packet ends before the header does.
    #[error("cut short: {have} octets, {need} needed")]
    Truncated {
        /// How many the header needs.
        need: usize,
        /// How many there are.
        have: usize,
    },
    /// A length field contradicts the header or the packet.
    #[error("a length of {found}; expected {min} to {max}")]
    Length {
        /// What the field says.
        found: usize,
        /// The least that it may say.
        min: usize,
        /// The most that it may say.
        max: usize,
    },
    /// A field has a value that it must not have.
    #[error("a value of {found}; expected {expected}")]
    Value {
        /// What the field says.
        found: u32,
        /// What it must say.
        expected: u32,
    },
    /// The checksum does not hold.
    #[error("the checksum does not hold")]
    Checksum,
    /// More headers in a chain than are read.
    #[error("more than {max} headers in a chain")]
    TooMany {
        /// How many are read.
        max: usize,
    },
    /// A label stack of which no entry is the bottom.
    #[error("no bottom of the label stack in {entries} entries")]
    NoBottom {
        /// How many were read.
        entries: usize,
    },
    /// What is no frame, but of a pseudowire's associated channel (RFC 4385, section 5).
    #[error("of the associated channel; expected a frame")]
    AssociatedChannel,
    /// A jumbo payload (RFC 2675), which is not carried here.
    #[error("a jumbo payload, which is not carried")]
    Jumbo,
}

impl Layer {
    pub(crate) const fn truncated(self, need: usize, have: usize) -> WireError {
        WireError { layer: self, offset: have, problem: Problem::Truncated { need, have } }
    }

    pub(crate) const fn length(self, offset: usize, found: usize, min: usize, max: usize) -> WireError {
        WireError { layer: self, offset, problem: Problem::Length { found, min, max } }
    }

    pub(crate) const fn value(self, offset: usize, found: u32, expected: u32) -> WireError {
        WireError { layer: self, offset, problem: Problem::Value { found, expected } }
    }

    pub(crate) const fn checksum(self, offset: usize) -> WireError {
        WireError { layer: self, offset, problem: Problem::Checksum }
    }
}
