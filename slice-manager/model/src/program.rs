//! What one node must be doing at a generation. Declarative and whole: a node can be rebuilt from its program alone.
//!
//! ```text
//!   slices ─ segments ─ remotes ─┬─ tunnel: what the far end knows the segment by (VNI, SIDs, label)
//!                                └─ working, backup ─▶ paths: first hop, and the SIDs or labels that pin the rest
//!   transit: what the node does for the packets of others (End, End.X, swap, pop, routes)
//! ```

mod trees;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::profile::{AaaFeatures, QueueClass};
use crate::resource::{Client, SegmentId, Service, Srh};
use crate::{
    ClassNumber, Digest, Dscp, Generation, InterfaceAddress, Label, NodeName, PathId, Pcp, PortName, Prefix, Qfi, Rate,
    RateLimits, SdpName, Sid, SliceName, Snssai, TrafficClass, Vlan, Vni, Weight,
};

pub use trees::{PORT_RATE_MAX, PortTree, SegmentShare, SliceShare};

/// The program of one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The generation at which its content last changed.
    pub generation: Generation,
    /// What it says.
    pub content: ProgramContent,
}

impl Program {
    /// Of the content, not of the generation: programs of two generations that say the same have the same digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.content)
    }
}

/// What a node must be doing. What came later and says what was meant before is left out of its serial form, so that the
/// digests of programs of before still hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramContent {
    /// The node; an edge, or a core node that the manager tells what to do.
    pub edge: NodeName,
    /// The addresses by which tunnels reach the node.
    pub loopback: Vec<IpAddr>,
    /// Its ports towards the underlay, by name.
    pub core_ports: Vec<CorePort>,
    /// An edge's ports towards devices, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_ports: Vec<AccessPort>,
    /// How its paths are probed; not at all if absent.
    pub probes: Option<ProbeProgram>,
    /// The paths to other edges, by edge and id.
    pub paths: Vec<PathProgram>,
    /// What it does for the packets of others.
    pub transit: TransitProgram,
    /// How slices share its ports towards the underlay, by port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shaping: Vec<PortShaping>,
    /// How the classes of every segment are queued, most urgent first, each once; none on a Linux kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueProgram>,
    /// The slices that have an SDP here, by name.
    pub slices: Vec<SliceProgram>,
}

impl ProgramContent {
    /// Nothing to do.
    pub const fn empty(edge: NodeName) -> Self {
        Self {
            edge,
            loopback: Vec::new(),
            core_ports: Vec::new(),
            access_ports: Vec::new(),
            probes: None,
            paths: Vec::new(),
            transit: TransitProgram { sids: Vec::new(), labels: Vec::new(), routes: Vec::new(), queues: Vec::new() },
            shaping: Vec::new(),
            queues: Vec::new(),
            slices: Vec::new(),
        }
    }

    /// A slice. They are in order.
    pub fn slice(&self, slice: &SliceName) -> Option<&SliceProgram> {
        self.slices.binary_search_by(|program| program.slice.cmp(slice)).ok().map(|at| &self.slices[at])
    }

    /// A micro-segment.
    pub fn segment(&self, id: &SegmentId) -> Option<&SegmentProgram> {
        self.slice(&id.slice)?.segments.iter().find(|segment| segment.id == *id)
    }

    /// A path. They are in order.
    pub fn path(&self, to: &NodeName, id: PathId) -> Option<&PathProgram> {
        self.paths.binary_search_by(|path| (&path.to, path.id).cmp(&(to, id))).ok().map(|at| &self.paths[at])
    }
}

/// How the paths of an edge are probed: STAMP test packets (RFC 8762) along each path and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProbeProgram {
    /// Nanoseconds from one probe of a path to the next.
    pub interval_nanos: u64,
    /// So many in a row without an answer, and the path is down.
    pub losses_max: u8,
    /// So many answers in a row, and it is up again.
    pub answers_min: u8,
}

/// A path to another edge, in one direction. The other edge has the one that leads back under the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathProgram {
    /// Unique among the paths between the two edges; probes carry it.
    pub id: PathId,
    /// The other edge.
    pub to: NodeName,
    /// This edge's loopback: the source of what the path carries.
    pub local: IpAddr,
    /// The other edge's loopback, of the same family.
    pub remote: IpAddr,
    /// The port on which it leaves.
    pub port: PortName,
    /// The neighbour to whom its packets are handed.
    pub next_hop: IpAddr,
    /// The longest layer-3 packet that every port on the way carries, in octets.
    pub mtu: u16,
    /// What pins the rest of the way.
    pub steering: Steering,
    /// How much of the segment list packets carry, where SIDs pin it.
    pub srh: Srh,
}

/// What keeps packets on a path beyond its first hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Steering {
    /// Nothing: the underlay's own routes to the other edge's loopback.
    Ip,
    /// SIDs of nodes on the way, first to last (RFC 8754); those of the service come after them.
    Srv6(Vec<Sid>),
    /// Labels of nodes on the way, first to last (RFC 8660); those of the service come below them. Without any, the
    /// other edge is the next hop.
    Mpls(Vec<Label>),
}

/// What a node does for packets that are not its own.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct TransitProgram {
    /// Its SIDs, in order.
    pub sids: Vec<TransitSid>,
    /// Its labels, in order.
    pub labels: Vec<TransitLabel>,
    /// Its routes to loopbacks and locators, in order. An edge has none: it forwards for nobody.
    pub routes: Vec<UnderlayRoute>,
    /// In which queue packets wait, by what their outer headers say, in order; best effort without a word.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<TransitQueue>,
}

/// In which queue packets of others wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TransitQueue {
    /// What the outer headers say.
    pub outer: OuterMark,
    /// The queue.
    pub queue: QueueClass,
}

/// What outer headers say of how urgent a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OuterMark {
    /// The code point of the IP header (RFC 2474).
    Dscp(Dscp),
    /// The traffic class of the top label (RFC 5462).
    TrafficClass(TrafficClass),
}

/// A SID of a node on the way (RFC 8986, sections 4.1 and 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransitSid {
    /// The SID.
    pub sid: Sid,
    /// What is done with a packet to it.
    pub behaviour: TransitBehaviour,
    /// How it ends a segment list.
    pub flavours: Flavours,
}

/// What a node on the way does with a packet to one of its SIDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransitBehaviour {
    /// End: on to the next SID, by this node's routes.
    End,
    /// End.X: on to the next SID, over this link.
    EndX(Adjacency),
}

/// How a SID ends a segment list (RFC 8986, section 4.16).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Flavours {
    /// Penultimate segment pop of the SRH.
    pub psp: bool,
    /// Ultimate segment pop of the SRH.
    pub usp: bool,
    /// Ultimate segment decapsulation.
    pub usd: bool,
}

/// A label of a node on the way (RFC 3031, section 3.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransitLabel {
    /// The label on top of an arriving packet.
    pub label: Label,
    /// What stands there when it leaves; none: it is popped (penultimate hop popping, RFC 3031, section 3.16).
    pub swap: Option<Label>,
    /// Where it leaves.
    pub out: Adjacency,
}

/// A neighbour of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adjacency {
    /// The port on which it is reached.
    pub port: PortName,
    /// Its address.
    pub next_hop: IpAddr,
}

/// A route of the underlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnderlayRoute {
    /// To whom.
    pub prefix: Prefix,
    /// Over whom.
    pub via: Adjacency,
}

/// A port towards the underlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorePort {
    /// Its name.
    pub port: PortName,
    /// Its own addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// The longest layer-3 packet that it carries, in octets.
    pub mtu: u16,
}

/// A port towards devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessPort {
    /// Its name.
    pub port: PortName,
    /// What it carries.
    pub rate: Rate,
}

/// How slices share what a node sends by one port. What belongs to none of them shares what they leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortShaping {
    /// The port.
    pub port: PortName,
    /// What the link behind it carries.
    pub rate: Rate,
    /// The slices, by number.
    pub classes: Vec<SliceClass>,
}

/// A slice on such a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SliceClass {
    /// The number of its class; no two slices of a node have the same.
    pub number: ClassNumber,
    /// Its name.
    pub slice: SliceName,
    /// What it is sure of here, and what it may not exceed.
    pub limits: RateLimits,
    /// Its share of what the guarantees leave.
    #[serde(skip_serializing_if = "Weight::is_one")]
    pub weight: Weight,
    /// By these a Linux kernel knows its packets.
    pub vnis: Vec<Vni>,
}

/// How a class is queued in each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueProgram {
    /// The class.
    pub queue: QueueClass,
    /// Its share beside the other classes of its segment.
    pub weight: Weight,
    /// The most octets that wait in it.
    pub octets_max: u32,
    /// The most that wait in it, as the nanoseconds that they take at the segment's ceiling.
    pub time_max_nanos: u64,
    /// What is done about queues that stand; nothing if absent.
    pub codel: Option<CodelProgram>,
}

/// The parameters of CoDel (RFC 8289, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CodelProgram {
    /// The sojourn time that is aimed at.
    pub target_nanos: u64,
    /// How long it may be exceeded.
    pub interval_nanos: u64,
}

/// A slice on one edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SliceProgram {
    /// Its name.
    pub slice: SliceName,
    /// Its S-NSSAI.
    pub snssai: Snssai,
    /// What its SDPs are to one another.
    pub service: Service,
    /// What each SDP is promised and may not exceed.
    pub limits: RateLimits,
    /// The longest layer-3 packet of a device, in octets.
    pub packet_octets_max: u16,
    /// Written into the outer IP header of what no marking speaks of.
    pub dscp: Dscp,
    /// Written into the label stack of the same.
    pub traffic_class: TrafficClass,
    /// The queue of the same.
    #[serde(skip_serializing_if = "is_best_effort")]
    pub queue: QueueClass,
    /// What becomes of the marks that devices may use, each once, in order.
    pub markings: Vec<Marking>,
    /// Its share of what guarantees leave on an access port.
    #[serde(skip_serializing_if = "Weight::is_one")]
    pub weight: Weight,
    /// What each session may send and receive.
    #[serde(skip_serializing_if = "SessionRates::is_unbound")]
    pub session_rates: SessionRates,
    /// Where frames of the slice come from.
    pub circuits: Vec<Circuit>,
    /// Of an l3 slice: which other edge has which subnet.
    pub routes: Vec<SliceRoute>,
    /// The micro-segments spawned here, by name.
    pub segments: Vec<SegmentProgram>,
}

/// The most that one session may send and receive.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionRates {
    /// What it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_access: Option<Rate>,
    /// What it receives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_access: Option<Rate>,
}

impl SessionRates {
    /// Does nothing bound a session?
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) const fn is_unbound(&self) -> bool {
        self.from_access.is_none() && self.to_access.is_none()
    }
}

/// How packets with a device's mark are treated; the packets themselves keep theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Marking {
    /// The device's.
    pub inner: InnerMark,
    /// Written into the outer IP header.
    pub dscp: Dscp,
    /// Written into the label stack.
    pub traffic_class: TrafficClass,
    /// Where they wait.
    #[serde(skip_serializing_if = "is_best_effort")]
    pub queue: QueueClass,
}

/// What a device says of how urgent a packet is. Of several marks in one packet the first of this order counts that has a
/// [`Marking`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InnerMark {
    /// The QoS flow in a GTP-U packet's session container (TS 38.415, section 5.5).
    Qfi(Qfi),
    /// The code point of an IP packet (RFC 2474).
    Dscp(Dscp),
    /// The priority in the tag of a frame that carries no IP packet (IEEE 802.1Q, section 6.9).
    Priority(Pcp),
}

impl Serialize for InnerMark {
    /// A code point is written as the number that it is, as when there were no other marks.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = "InnerMark";
        match self {
            Self::Qfi(qfi) => serializer.serialize_newtype_variant(name, 0, "qfi", qfi),
            Self::Dscp(dscp) => dscp.serialize(serializer),
            Self::Priority(priority) => serializer.serialize_newtype_variant(name, 2, "priority", priority),
        }
    }
}

/// An attachment circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Circuit {
    /// The SDP that it feeds.
    pub sdp: SdpName,
    /// The edge's port.
    pub port: PortName,
    /// The 802.1Q VLAN; untagged frames if none.
    pub vlan: Option<Vlan>,
    /// Endpoints of leaf circuits can't reach one another, here or behind other edges (RFC 7796).
    pub leaf: bool,
    /// Of an l3 slice: the edge's own addresses there, with the subnets that they are on.
    pub gateways: Vec<InterfaceAddress>,
}

/// A subnet of an l3 slice that is at another edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SliceRoute {
    /// The subnet.
    pub prefix: Prefix,
    /// The edge.
    pub edge: NodeName,
}

/// A micro-segment on one edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentProgram {
    /// Its slice and its name.
    pub id: SegmentId,
    /// Its number, which VXLAN carries as the network identifier.
    pub vni: Vni,
    /// What it is promised and may not exceed on this edge.
    pub limits: RateLimits,
    /// Its share of what the guarantees of its slice's segments leave.
    #[serde(skip_serializing_if = "Weight::is_one")]
    pub weight: Weight,
    /// How many endpoints may be authenticated here at once.
    pub sessions_max: u32,
    /// The SIDs of this edge that lead into the segment, if its tunnels are SRv6.
    pub sids: Vec<ServiceSid>,
    /// The other edges where it is spawned.
    pub remotes: Vec<Remote>,
    /// Its AAA.
    pub realm: Option<RealmProgram>,
}

impl SegmentProgram {
    /// Are VXLAN packets with its number taken in? From whomever its tunnels lead to by VXLAN, or who may still send so; and
    /// without any other edge, nobody's are.
    pub fn takes_vxlan(&self) -> bool {
        let sends = |remote: &Remote| matches!(remote.tunnel, Tunnel::Vxlan(_));
        let may_send = |remote: &Remote| remote.inbound.contains(&Inbound::Vxlan);
        self.remotes.is_empty() || self.remotes.iter().any(|remote| sends(remote) || may_send(remote))
    }
}

/// A SID that leads into a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSid {
    /// Locator and function. The last 16 bits are the argument: zero here, and the sender's group in a packet.
    pub sid: Sid,
    /// What is done with a packet to it.
    pub behaviour: ServiceBehaviour,
}

/// What is done with a packet to a SID that leads into a segment (RFC 8986, sections 4.4 to 4.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceBehaviour {
    /// End.DX2: an Ethernet frame, for the circuit of a point-to-point slice.
    Dx2,
    /// End.DT2U: an Ethernet frame, for whom the MAC table says.
    Dt2u,
    /// End.DT2M: an Ethernet frame, for all circuits but those of leaves if it comes from one.
    Dt2m,
    /// End.DX4: an IPv4 packet, for the endpoint with this address.
    Dx4(Ipv4Addr),
    /// End.DX6: an IPv6 packet, for the endpoint with this address.
    Dx6(Ipv6Addr),
    /// End.DT4: an IPv4 packet, for whom the slice's routes say.
    Dt4,
    /// End.DT6: an IPv6 packet, for whom the slice's routes say.
    Dt6,
    /// End.DT46: either.
    Dt46,
}

/// Another edge of a segment, and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// The edge.
    pub edge: NodeName,
    /// The path that its packets take.
    pub working: PathId,
    /// The path that they take when the working one is down.
    pub backup: Option<PathId>,
    /// Is the sender's group sent along? One that knows of no groups drops what carries one.
    pub group: bool,
    /// What it knows the segment by.
    pub tunnel: Tunnel,
    /// How else it may send: while a change is under way, one end sends otherwise than the other. A segment's SIDs are
    /// there for every edge of it, so they are not named here.
    pub inbound: Vec<Inbound>,
}

impl Remote {
    /// The labels of this end by which packets from there come.
    pub fn labels(&self) -> impl Iterator<Item = Label> {
        let sent = if let Tunnel::Mpls { from, .. } = self.tunnel { Some(from) } else { None };
        let inbound = self.inbound.iter().filter_map(|inbound| match inbound {
            Inbound::Mpls { from, .. } => Some(*from),
            Inbound::Vxlan => None,
        });
        sent.into_iter().chain(inbound)
    }
}

/// By what packets from another edge are known to be of a segment, other than those of the tunnel that leads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inbound {
    /// The segment's VXLAN network identifier.
    Vxlan,
    /// A label of this end.
    Mpls {
        /// The label.
        from: Label,
        /// As of a tunnel.
        control_word: bool,
        /// As of a tunnel.
        flow_label: bool,
    },
}

/// What the two ends of a tunnel know a segment by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tunnel {
    /// A VXLAN network identifier, the same at both ends (RFC 7348).
    Vxlan(Vni),
    /// SIDs of the far end, by which packets for one endpoint and for all of them are sent (RFC 8986).
    Srv6 {
        /// For one endpoint: End.DX2, End.DT2U, or a layer-3 behaviour.
        unicast: Sid,
        /// For all: End.DT2M; the same as `unicast` where the service makes no difference.
        flood: Sid,
    },
    /// Labels, each given out by its receiver (RFC 4448, RFC 4364).
    Mpls {
        /// The far end's, for what is sent.
        to: Label,
        /// This end's, for what comes from there.
        from: Label,
        /// Does a control word stand between labels and frame (RFC 4448, section 4.6)? Of layer-2 services only.
        control_word: bool,
        /// Is a flow label at the bottom of the stack (RFC 6391)?
        flow_label: bool,
    },
}

/// The AAA of a segment on one edge. Secrets are not in it: the edge has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RealmProgram {
    /// The UDP port for access requests; accounting is the port after it.
    pub access_port: u16,
    /// What it includes; the rest is refused by name.
    pub features: AaaFeatures,
    /// Who may ask.
    pub clients: Vec<Client>,
}

impl RealmProgram {
    /// The UDP port for accounting requests.
    pub const fn accounting_port(&self) -> u16 {
        self.access_port.wrapping_add(1)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_best_effort(queue: &QueueClass) -> bool {
    *queue == QueueClass::BestEffort
}
