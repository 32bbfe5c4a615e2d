//! Why packets are dropped: one name for each reason, and counters.

use std::fmt;

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// Why a packet went no further. Every packet that does not leave by a port has exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[doc = $doc])* $name,)*
        }

        impl DropReason {
            /// Every reason, in the order in which a packet meets them.
            pub const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];

            /// As it is written in listings.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it means, as a sentence; the same as its documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*).trim_ascii(),)*
                }
            }
        }
    };
}

drop_reasons! {
    /// A header contradicts itself or the frame is cut short.
    Malformed = "malformed",
    /// No program says what the port is for.
    PortUnused = "port-unused",
    /// No attachment circuit of any slice has that VLAN on that port.
    NoCircuit = "no-circuit",
    /// The source address is a group address or none.
    SourceNotUnicast = "source-not-unicast",
    /// The source has no session.
    Unauthenticated = "unauthenticated",
    /// The IP or ARP source is not the address that the session is bound to, or no address that can be answered.
    SourceAddress = "source-address",
    /// The session's frames come by another attachment circuit of its slice.
    OtherCircuit = "other-circuit",
    /// Neither IP nor ARP, from an endpoint that is bound to addresses.
    NotIp = "not-ip",
    /// A router advertisement or a redirect from an endpoint (RFC 6105).
    RouterMessage = "router-message",
    /// Sent to a group that bridges do not forward (IEEE 802.1D, table 7-10), such as EAPOL or LLDP.
    LinkLocalGroup = "link-local-group",
    /// A frame of a segment has a tag of its own (RFC 7348, section 6.1).
    InnerTag = "inner-tag",
    /// Longer than the slice or the core port carries.
    TooBig = "too-big",
    /// The destination is in another segment.
    CrossSegment = "cross-segment",
    /// The destination is on the attachment circuit that the frame came from.
    Hairpin = "hairpin",
    /// In a layer-3 slice: not for the gateway, which is all that a device can send to.
    NotGateway = "not-gateway",
    /// Sender and destination are on leaf circuits, which can't reach one another.
    LeafToLeaf = "leaf-to-leaf",
    /// The destination is nobody that the segment knows here.
    NoDestination = "no-destination",
    /// The destination's attachment circuit is not known yet: it has a choice of several and has not spoken.
    CircuitUnknown = "circuit-unknown",
    /// More copies were due than are made of one frame.
    FloodLimit = "flood-limit",
    /// The segment's rate limit, from devices.
    SegmentRateFromAccess = "segment-rate-from-access",
    /// The slice's rate limit at the attachment circuit, from devices.
    SliceRateFromAccess = "slice-rate-from-access",
    /// The segment's rate limit, towards devices.
    SegmentRateToAccess = "segment-rate-to-access",
    /// The slice's rate limit at the attachment circuit, towards devices.
    SliceRateToAccess = "slice-rate-to-access",
    /// The session's rate limit, from its device.
    SessionRateFromAccess = "session-rate-from-access",
    /// The session's rate limit, towards its device.
    SessionRateToAccess = "session-rate-to-access",
    /// The next hop has not answered yet.
    NeighbourUnresolved = "neighbour-unresolved",
    /// On a core port: not for an address of this edge.
    NotForUs = "not-for-us",
    /// On a core port: for this edge, and nothing that it serves.
    NotServed = "not-served",
    /// The checksum of an outer header does not hold.
    Checksum = "checksum",
    /// No segment here has that VNI.
    UnknownVni = "unknown-vni",
    /// The top label is none that this node has given out.
    UnknownLabel = "unknown-label",
    /// The top label is one of 0 to 15 that means nothing here (RFC 3032, section 2.1).
    ReservedLabel = "reserved-label",
    /// Segments are left where the path should end (RFC 8986, section 4.4), or none where it should go on.
    SegmentsLeft = "segments-left",
    /// What is in the packet is not what its SID, label or control word says.
    InnerProtocol = "inner-protocol",
    /// The hop limit or time to live has run out, as it does in a loop.
    HopLimit = "hop-limit",
    /// No route of the slice, or of this node for the packets of others, leads to the destination.
    NoRoute = "no-route",
    /// The tunnel comes from an address that is no edge of the segment.
    UnknownRemote = "unknown-remote",
    /// More probes of a path than are answered.
    ProbeRate = "probe-rate",
    /// The sender's group is none that there is.
    UnknownGroup = "unknown-group",
    /// The inner source, or the address that it sends from, is that of a device of this edge.
    SourceIsLocal = "source-is-local",
    /// Congestion was marked outside and the inner packet can't carry the mark (RFC 6040, section 4.2).
    Congestion = "congestion",
    /// No buffer was left for a copy or a question.
    NoBuffer = "no-buffer",
    /// The tree of the port holds as many frames as it may.
    QueueRoom = "queue-room",
    /// The segment's queue is not there yet or goes, or what waited in it is nobody's any more.
    QueueUnknown = "queue-unknown",
    /// The queue holds as many octets as it may.
    QueueOctets = "queue-octets",
    /// What is in the queue takes as long as it may.
    QueueTime = "queue-time",
    /// The queue holds as many frames as are still free in the whole tree.
    QueueFrames = "queue-frames",
    /// The queue stood for too long (RFC 8289), and the packet can't be marked.
    QueueStands = "queue-stands",
    /// The output queue of the port is full.
    OutputFull = "output-full",
    /// The worker that goes on with it does not keep up.
    WorkerFull = "worker-full",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Packets dropped, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl Drops {
    /// One more.
    #[inline]
    pub const fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// As many more as others counted.
    pub(crate) fn add(&mut self, more: &Self) {
        self.0.iter_mut().zip(&more.0).for_each(|(count, more)| *count += more);
    }

    /// How many for a reason.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that were counted, each with how many.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().map(|reason| (reason, self.of(reason))).filter(|(_, packets)| *packets != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_name_and_a_meaning_of_its_own() {
        let names: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.as_str()).collect();
        let meanings: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.meaning()).collect();
        assert_eq!((names.len(), meanings.len()), (DropReason::ALL.len(), DropReason::ALL.len()));
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
        assert_eq!(DropReason::Unauthenticated.meaning(), "The source has no session.");
    }

    #[test]
    fn what_is_counted_is_listed_once() {
        let mut drops = Drops::default();
        drops.count(DropReason::TooBig);
        drops.count(DropReason::TooBig);
        drops.count(DropReason::Hairpin);
        assert_eq!(drops.iter().collect::<Vec<_>>(), [(DropReason::TooBig, 2), (DropReason::Hairpin, 1)]);
        assert_eq!(drops.total(), 3);
    }
}
