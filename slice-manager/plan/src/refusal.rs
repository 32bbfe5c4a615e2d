//! Why a wish can't be granted: every reason is a type, names the resource and the field that is to blame, and says
//! what would have been accepted.

mod words;

use std::net::IpAddr;

use model::profile::QueueClass;
use model::resource::{BackupMode, ResourceId, SegmentId};
use model::{
    ClientName, InterfaceAddress, InvalidLimits, Label, Latency, LinkName, Locator, NodeName, PortName, Prefix,
    ProfileName, Rate, SdpName, SliceName, Snssai, Sst, TopologyName, Vlan,
};

pub use words::{AddressOwner, Family, Obstacle, Pool, SharedPart};
use words::{AtOnce, Circuit, Names, Of, Percent, Shared};

/// A resource that does not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {path}: {reason}")]
pub struct Refusal {
    /// The resource that would have to change.
    pub resource: ResourceId,
    /// Its field, such as `spec.sdps[1].vlan`.
    pub path: String,
    /// What is wrong with it.
    pub reason: RefusalReason,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    // References.
    /// There is nothing to lay a slice over.
    #[error("no topology is declared")]
    NoTopology,
    /// A manager has one topology.
    #[error("topology `{other}` is declared already; expected one topology")]
    SecondTopology {
        /// The one that was there.
        other: TopologyName,
    },
    /// A template that is not in the catalogue.
    #[error("there is no template `{name}`; expected one of {}", Names(known))]
    UnknownTemplate {
        /// As it was named.
        name: ProfileName,
        /// Those that there are.
        known: Vec<ProfileName>,
    },
    /// A segment profile that is not in the catalogue.
    #[error("there is no segment profile `{name}`; expected one of {}", Names(known))]
    UnknownSegmentProfile {
        /// As it was named.
        name: ProfileName,
        /// Those that there are.
        known: Vec<ProfileName>,
    },
    /// A segment or a realm of a slice that is not declared.
    #[error("there is no slice `{0}`")]
    UnknownSlice(SliceName),
    /// A realm of a segment that is not declared.
    #[error("there is no micro-segment `{0}`")]
    UnknownSegment(SegmentId),
    /// A node that the topology has not.
    #[error("there is no node `{0}` in the topology")]
    UnknownNode(NodeName),
    /// A port that the node has not.
    #[error("node `{node}` has no port `{port}`")]
    UnknownPort {
        /// The node.
        node: NodeName,
        /// As the port was named.
        port: PortName,
    },

    // Slices.
    /// A core node has no dataplane of ours.
    #[error("`{0}` is a core node; expected an edge")]
    NotAnEdge(NodeName),
    /// A port towards the underlay can't be an attachment circuit.
    #[error("port `{port}` of `{edge}` is an end of link `{link}`; expected a port that no link uses")]
    PortIsLinkEnd {
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// The link.
        link: LinkName,
    },
    /// Two SDPs can't be fed by the same frames.
    #[error("{} of port `{port}` of `{edge}` feeds SDP `{sdp}` of slice `{slice}` already", Circuit(*vlan))]
    CircuitTaken {
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// The VLAN.
        vlan: Option<Vlan>,
        /// The slice that has it.
        slice: SliceName,
        /// Its SDP.
        sdp: SdpName,
    },
    /// An S-NSSAI names one slice.
    #[error("S-NSSAI {snssai} is that of slice `{slice}` already")]
    SnssaiTaken {
        /// The S-NSSAI.
        snssai: Snssai,
        /// The slice that has it.
        slice: SliceName,
    },
    /// The slice/service type contradicts the template's.
    #[error("SST {found} is not that of template `{template}`; expected {expected}")]
    SstMismatch {
        /// The slice's.
        found: Sst,
        /// The template.
        template: ProfileName,
        /// The template's.
        expected: Sst,
    },
    /// A line has two ends.
    #[error("a point-to-point slice has {found} SDPs; expected two, on two edges")]
    NotTwoEnds {
        /// How many it has.
        found: usize,
    },
    /// The ends of a line are apart.
    #[error("both SDPs of a point-to-point slice are on `{0}`; expected two edges")]
    SameEdge(NodeName),
    /// A line has no leaves.
    #[error("a leaf of a point-to-point slice could reach nobody; expected `leaf` on multipoint and l3 slices only")]
    LeafOfLine,
    /// A routed slice has an address at every SDP.
    #[error("an SDP of an l3 slice has no address; expected at least one")]
    NoGateway,
    /// IPv6 needs longer packets than the slice carries.
    #[error(
        "{address} is IPv6, which needs packets of {IPV6_PACKET_OCTETS} octets (RFC 8200, section 5); the slice carries \
         {packet_octets} at most"
    )]
    TooShortForIpv6 {
        /// The SDP's.
        address: InterfaceAddress,
        /// The longest packet of a device.
        packet_octets: u16,
    },
    /// A bridged slice has none.
    #[error("{0} can't be the edge's address in a layer-2 slice; expected addresses on l3 slices only")]
    GatewayInLayer2(InterfaceAddress),
    /// Two subnets of a slice overlap.
    #[error("{address} overlaps {other} of SDP `{sdp}`; expected each subnet of a slice at one SDP")]
    GatewaysOverlap {
        /// This SDP's.
        address: InterfaceAddress,
        /// The other's.
        other: InterfaceAddress,
        /// The other.
        sdp: SdpName,
    },
    /// A transport needs something that a node has not.
    #[error("{transport} needs {what} of `{node}`, which has none")]
    Lacks {
        /// The transport.
        transport: &'static str,
        /// What is missing.
        what: &'static str,
        /// Where.
        node: NodeName,
    },
    /// Something excluded or asked for by name that is not in the topology.
    #[error("there is no {what} `{name}` in the topology")]
    UnknownInTopology {
        /// What it would be.
        what: &'static str,
        /// As it was named.
        name: String,
    },
    /// Neither the slice nor its template gives a rate.
    #[error("template `{template}` names no throughput per network slice; expected `rate` with guaranteed and ceiling")]
    NoRate {
        /// The template.
        template: ProfileName,
    },
    /// Rates that contradict each other.
    #[error(transparent)]
    Limits(InvalidLimits),
    /// A packet size that no program can carry.
    #[error("a packet of {found} octets can't be; expected 1 to {PACKET_OCTETS_MAX}")]
    PacketSize {
        /// The template's.
        found: u64,
    },
    /// The guarantee does not fit on a link.
    #[error("{asked}{} is more than link {link} has left ({left}); largest that fits: {fits}", AtOnce(*times))]
    LinkFull {
        /// The guarantee.
        asked: Rate,
        /// How many SDPs may send it over the link at once.
        times: u64,
        /// The link.
        link: LinkName,
        /// What the other slices leave.
        left: Rate,
        /// The largest guarantee with which the slice would fit on all of its links.
        fits: Rate,
    },
    /// The guarantee does not fit into what a class may take of a link.
    #[error(
        "{asked}{} is more than class {class} has left on link {link} ({left}); largest that fits: {fits}",
        AtOnce(*times)
    )]
    ClassFull {
        /// The guarantee.
        asked: Rate,
        /// How many SDPs may send it over the link at once.
        times: u64,
        /// The class.
        class: QueueClass,
        /// The link.
        link: LinkName,
        /// What the other slices leave of the class's share.
        left: Rate,
        /// The largest guarantee with which the slice would fit.
        fits: Rate,
    },
    /// The guarantee does not fit on an access port.
    #[error(
        "{asked}{} is more than port {port} of {edge} has left ({left}); largest that fits: {fits}", AtOnce(*times)
    )]
    PortFull {
        /// The guarantee.
        asked: Rate,
        /// How many of the slice's SDPs the port feeds.
        times: u64,
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// What the other slices leave.
        left: Rate,
        /// The largest that fits.
        fits: Rate,
    },
    /// A ceiling that the port can never reach.
    #[error("{ceiling} is more than the rate of port {port} of {edge}; expected at most {rate}")]
    CeilingAbovePort {
        /// The ceiling.
        ceiling: Rate,
        /// The edge.
        edge: NodeName,
        /// The port.
        port: PortName,
        /// How fast it is.
        rate: Rate,
    },
    /// No path is as fast as the slice needs.
    #[error("the fastest way {from} to {to}, over {}, takes {delay}; expected at most {bound}", Names(links))]
    PathTooSlow {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
        /// The links of the slower of its paths.
        links: Vec<LinkName>,
        /// How long it takes: the least bound that could be kept.
        delay: Latency,
        /// How long it may take.
        bound: Latency,
    },
    /// What the slice itself excludes, or asks for, is in the way.
    #[error("no path {from} to {to} is left; with {what} there is one over {}", Names(links))]
    ExcludedAway {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
        /// What would have to be allowed.
        what: Obstacle,
        /// The links of the path that there would be.
        links: Vec<LinkName>,
    },
    /// Every path needs more SIDs or labels than the edge can push.
    #[error(
        "a path {from} to {to} over {} needs {needed} {what} of `{node}`, which pushes at most {max}",
        Names(links)
    )]
    TooDeep {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
        /// The links of the path.
        links: Vec<LinkName>,
        /// Which end can't.
        node: NodeName,
        /// SIDs or labels.
        what: &'static str,
        /// How many the path needs, those of the service among them.
        needed: usize,
        /// How many it can.
        max: usize,
    },
    /// A backup was asked for by name and there is none.
    #[error("no backup path {from} to {to} is {}-disjoint: {}", wanted.as_str(), Shared(shared))]
    NoBackup {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
        /// What was asked for.
        wanted: BackupMode,
        /// What the best pair of paths shares; nothing if there is no second path that keeps the slice's bounds.
        shared: Vec<SharedPart>,
    },
    /// A packet with its tunnel headers is longer than a port of the path carries.
    #[error(
        "a packet of {packet_octets} octets needs {needed_octets} on port {port} of {node}, which carries {mtu}; \
         largest that fits: {fits_octets}"
    )]
    PacketTooLong {
        /// The longest packet of a device.
        packet_octets: u16,
        /// With its tunnel headers.
        needed_octets: u32,
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
        /// What the port carries.
        mtu: u16,
        /// The longest packet that it carries with tunnel headers.
        fits_octets: u16,
    },

    // Segments and realms.
    /// A segment that is nowhere.
    #[error("no edge is named; expected at least one")]
    NoEdges,
    /// A segment can't be spawned where its slice is not.
    #[error("slice `{slice}` has no SDP on `{edge}`")]
    NoSdp {
        /// The slice.
        slice: SliceName,
        /// The edge.
        edge: NodeName,
    },
    /// More than all of the slice's guarantee is given away.
    #[error(
        "the segments of the slice on `{edge}` share {} of its guarantee; expected at most 100 %",
        Percent(*basis_points)
    )]
    SharesAboveWhole {
        /// The edge.
        edge: NodeName,
        /// The sum, in hundredths of a percent.
        basis_points: u64,
    },
    /// The template wants authentication and there is none.
    #[error("template `{template}` requires authentication (NSSAA), and the segment has no realm; expected one")]
    RealmRequired {
        /// The template.
        template: ProfileName,
    },
    /// No address family is on all edges of the segment.
    #[error("edges {} have neither an IPv6 nor an IPv4 loopback address each", Names(edges))]
    NoCommonFamily {
        /// The edges.
        edges: Vec<NodeName>,
    },
    /// The only paths lead over links that are to be emptied.
    #[error("every path from {from} to {to} leads over a drained link; the first is over {}", Names(links))]
    OnlyDrained {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
        /// The drained links on it.
        links: Vec<LinkName>,
    },
    /// What the underlay does by itself is not one path both ways, whichever first hop is taken.
    #[error("the underlay's own routes between {from} and {to} take other links one way than the other")]
    RoutesDiffer {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
    },
    /// The underlay does not connect two edges.
    #[error("the topology has no path from {from} to {to}")]
    NoPath {
        /// One end.
        from: NodeName,
        /// The other.
        to: NodeName,
    },
    /// The neighbour has no address of the tunnel's family.
    #[error("link {link} has no {family} address at {node}, which the tunnel of {segment} needs")]
    NoNextHop {
        /// The link.
        link: LinkName,
        /// The end without one.
        node: NodeName,
        /// The family.
        family: Family,
        /// The segment.
        segment: SegmentId,
    },
    /// Nothing is left to allocate.
    #[error(
        "no {pool}{} is left: all {size} of the pool are taken, {used} in use and {quarantined} in quarantine",
        Of(of.as_ref())
    )]
    PoolExhausted {
        /// The pool.
        pool: Pool,
        /// The node whose own pool it is, if each has one.
        of: Option<NodeName>,
        /// How many it has.
        size: u64,
        /// How many are in use.
        used: u64,
        /// How many wait for edges to confirm their removal.
        quarantined: u64,
    },
    /// A node that hands out no labels.
    #[error("`{0}` has no label block")]
    NoLabels(NodeName),
    /// A client that can't ask from anywhere.
    #[error("client `{0}` has no address; expected at least one")]
    NoClientAddress(ClientName),
    /// A client of an edge that the segment is not on.
    #[error("client `{client}` asks {edge}, where the segment is not spawned; expected one of its edges")]
    ClientElsewhere {
        /// The client.
        client: ClientName,
        /// Where it asks.
        edge: NodeName,
    },
    /// Two clients that can't be told apart.
    #[error("{address} overlaps {other} of client `{client}`; expected each source to be one client's")]
    ClientsOverlap {
        /// This client's.
        address: Prefix,
        /// The other's.
        other: Prefix,
        /// The other.
        client: ClientName,
    },

    // Topologies.
    /// A pool that ends before it starts.
    #[error("the last {pool}, {last}, is before the first, {first}")]
    PoolReversed {
        /// The pool.
        pool: Pool,
        /// Where it starts.
        first: u64,
        /// Where it ends.
        last: u64,
    },
    /// Ports are given out in pairs.
    #[error("{0} is odd; expected an even port, because access takes an even port and accounting the next")]
    OddFirstPort(u16),
    /// Ports are given out in pairs.
    #[error("{0} is even; expected an odd port, because access takes an even port and accounting the next")]
    EvenLastPort(u16),
    /// System ports (RFC 6335, section 6) are not ours.
    #[error("{0} is a system port; expected 1024 or more")]
    SystemPort(u16),
    /// Somebody has a number that the pool no longer has. Nothing is renumbered silently.
    #[error("{holder} has {pool} {number}, which the pool would no longer hold; remove it first")]
    KeptOutsidePool {
        /// Who has it.
        holder: String,
        /// The pool.
        pool: Pool,
        /// Its number.
        number: u64,
    },
    /// A link from a node to itself.
    #[error("both ends are on `{0}`; expected two nodes")]
    LinkToItself(NodeName),
    /// A port can be the end of one link.
    #[error("port `{port}` of `{node}` is an end of link `{link}` already")]
    PortInTwoLinks {
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
        /// The other link.
        link: LinkName,
    },
    /// A link can't carry more than its ports.
    #[error("{capacity} is more than port `{port}` of `{node}` carries; expected at most {rate}")]
    LinkAbovePort {
        /// Of the link.
        capacity: Rate,
        /// The node.
        node: NodeName,
        /// The port.
        port: PortName,
        /// Of the port.
        rate: Rate,
    },
    /// Two addresses of one family at one end.
    #[error("a second {0} address; expected at most one of each family")]
    SecondOfFamily(Family),
    /// The two ends must be neighbours.
    #[error("{address} is on no subnet with an address of `{node}`, the other end")]
    NotOnLink {
        /// This end's address.
        address: InterfaceAddress,
        /// The other end.
        node: NodeName,
    },
    /// Two links on one subnet, or an address inside another's.
    #[error("{prefix} overlaps {other} of {owner}")]
    AddressOverlap {
        /// This one.
        prefix: Prefix,
        /// The other.
        other: Prefix,
        /// Whose that is.
        owner: AddressOwner,
    },
    /// An address that no node can have.
    #[error("{0} is no unicast address")]
    NotUnicast(IpAddr),
    /// Two nodes with SIDs from the same prefix.
    #[error("{locator} overlaps {other} of `{node}`")]
    LocatorOverlap {
        /// This one.
        locator: Locator,
        /// The other.
        other: Locator,
        /// Whose that is.
        node: NodeName,
    },
    /// A locator behind which function and argument do not fit.
    #[error(
        "{0} is too long; expected at most 96 bits, so that a function and an argument of 16 bits each fit behind it"
    )]
    LocatorTooLong(Locator),
    /// An address that could be a SID.
    #[error(
        "{address} could be a SID of `{node}`, whose locator is {locator}; expected an address outside, or one with function 0"
    )]
    AddressIsSid {
        /// The address.
        address: IpAddr,
        /// The locator.
        locator: Locator,
        /// Whose it is.
        node: NodeName,
    },
    /// An edge runs our agent.
    #[error("an edge is controlled by its agent; expected `agent`, or nothing")]
    EdgeWithoutAgent,
    /// A Linux kernel is no label switch.
    #[error("the driver for Linux kernels makes no MPLS entries; expected no label block, or another control")]
    LabelsOfKernel,
    /// A Linux kernel knows its ports by shorter names.
    #[error("`{0}` can't be the name of a network device of Linux; expected at most 15 characters")]
    PortOfKernel(PortName),
    /// Probes that would be too many.
    #[error("a probe every {0} is too often; expected 1 ms or more")]
    ProbesTooOften(Latency),
    /// A block that ends before it starts.
    #[error("the last label, {last}, is before the first, {first}")]
    LabelsReversed {
        /// Where it starts.
        first: Label,
        /// Where it ends.
        last: Label,
    },
    /// Two nodes that may hand out the same label.
    #[error("labels {first} to {last} overlap those of `{node}`")]
    LabelsOverlap {
        /// Where it starts.
        first: Label,
        /// Where it ends.
        last: Label,
        /// The other node.
        node: NodeName,
    },
}

/// The longest packet that a program can name.
pub const PACKET_OCTETS_MAX: u64 = 65_535;
/// What every link that carries IPv6 must carry whole (RFC 8200, section 5).
pub(crate) const IPV6_PACKET_OCTETS: u16 = 1280;
