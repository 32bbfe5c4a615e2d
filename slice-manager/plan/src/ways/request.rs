//! What a slice asks of its paths.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::PathForm;
use model::profile::QueueClass;
use model::resource::{BackupMode, PathPolicy, ResourceId, SegmentId, Service, Srh, Transport, UnderlayKind};
use model::{AffinityName, NodeName};

use crate::path::{Graph, Plane};
use crate::refusal::{Family, Refusal, RefusalReason};
use crate::underlay::Underlay;
use crate::wish::SliceWish;

/// What a slice asks of each of its paths.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    /// In bit/s, for each SDP.
    pub(crate) guaranteed: u64,
    pub(crate) class: QueueClass,
    /// In nanoseconds.
    pub(crate) delay_max: u64,
    pub(crate) packet_octets: u16,
    pub(crate) service: Service,
    pub(crate) transport: Transport,
    pub(crate) excluded_nodes: BTreeSet<usize>,
    pub(crate) excluded_links: BTreeSet<usize>,
    pub(crate) included: &'a [AffinityName],
    pub(crate) excluded: &'a [AffinityName],
    /// What a backup may not share; `None`: no risk, if there is such a path.
    pub(crate) backup: Option<BackupMode>,
    /// How many SDPs are on each edge.
    pub(crate) sdps: BTreeMap<usize, u64>,
    /// More SIDs or labels than a node can push are no obstacle; to ask what else there would be.
    pub(crate) any_depth: bool,
}

/// Two edges that need paths between them, the smaller name first.
pub(crate) struct Pair<'a> {
    pub(crate) from: &'a NodeName,
    pub(crate) to: &'a NodeName,
    pub(crate) a: usize,
    pub(crate) b: usize,
    /// One of the segments that they share.
    pub(crate) segment: &'a SegmentId,
    pub(crate) family: Family,
    /// What may pin a path, the better first.
    pub(crate) forms: Vec<(PathForm, Plane)>,
}

/// What a slice asks, and between whom. `None` if it asks what can't be; that is refused here.
pub(crate) fn request<'a>(
    slice: &SliceWish<'a>,
    graph: &Graph<'_>,
    underlay: &Underlay<'_>,
    kind: UnderlayKind,
    refusals: &mut Vec<Refusal>,
) -> Option<(Request<'a>, Vec<Pair<'a>>)> {
    let before = refusals.len();
    let policy = &slice.spec.paths;
    unknown(slice, policy, graph, refusals);
    let mut pairs = Vec::new();
    for ((from, to), segment) in slice.pairs() {
        match pair(slice, from, to, segment, graph, underlay, kind) {
            Ok(pair) => pairs.push(pair),
            Err(found) => {
                for refusal in found {
                    // Every pair with the same edge says the same.
                    if !refusals.contains(&refusal) {
                        refusals.push(refusal);
                    }
                }
            }
        }
    }
    let request = Request {
        guaranteed: slice.derived.limits.guaranteed().bits_per_second(),
        class: slice.derived.default_class,
        delay_max: slice.derived.latency.map_or(u64::MAX, model::Latency::as_nanos),
        packet_octets: slice.derived.packet_octets_max,
        service: slice.spec.service,
        transport: slice.spec.transport,
        excluded_nodes: policy.exclude_nodes.iter().filter_map(|node| graph.place(node)).collect(),
        excluded_links: policy.exclude_links.iter().filter_map(|link| graph.link_place(link)).collect(),
        included: &policy.include_affinities,
        excluded: &policy.exclude_affinities,
        backup: policy.backup,
        sdps: slice.sdps.iter().filter_map(|(edge, sdps)| Some((graph.place(edge)?, sdps.len() as u64))).collect(),
        any_depth: false,
    };
    (refusals.len() == before).then_some((request, pairs))
}

/// What a policy names must be there: an exclusion with a slip of the pen would exclude nothing.
fn unknown(slice: &SliceWish<'_>, policy: &PathPolicy, graph: &Graph<'_>, refusals: &mut Vec<Refusal>) {
    let mut refuse = |field: &str, index: usize, what, name: String| {
        let reason = RefusalReason::UnknownInTopology { what, name };
        refusals.push(slice.refusal(format!("spec.paths.{field}[{index}]"), reason));
    };
    for (index, node) in policy.exclude_nodes.iter().enumerate() {
        match graph.place(node) {
            None => refuse("excludeNodes", index, "node", node.to_string()),
            Some(place) if !graph.is_core(place) => refuse("excludeNodes", index, "core node", node.to_string()),
            Some(_) => {}
        }
    }
    for (index, link) in policy.exclude_links.iter().enumerate().filter(|(_, link)| graph.link_place(link).is_none()) {
        refuse("excludeLinks", index, "link", link.to_string());
    }
    let lists = [("includeAffinities", &policy.include_affinities), ("excludeAffinities", &policy.exclude_affinities)];
    for (field, list) in lists {
        for (index, name) in list.iter().enumerate() {
            if !graph.links().iter().any(|line| line.link.affinities.iter().any(|affinity| affinity == name)) {
                refuse(field, index, "affinity", name.to_string());
            }
        }
    }
}

fn pair<'a>(
    slice: &SliceWish<'a>,
    from: &'a NodeName,
    to: &'a NodeName,
    segment: &'a SegmentId,
    graph: &Graph<'_>,
    underlay: &Underlay<'_>,
    kind: UnderlayKind,
) -> Result<Pair<'a>, Vec<Refusal>> {
    let refuse = |reason| {
        let (resource, path) = (ResourceId::MicroSegment(segment.clone()), "spec.at".to_owned());
        Refusal { resource, path, reason }
    };
    let ends = [from, to];
    let has = |family| ends.iter().all(|edge| underlay.node(edge).is_some_and(|node| node.loopback(family).is_some()));
    let transport = slice.spec.transport;
    let lacks = |what, lacks: &dyn Fn(&model::resource::Node) -> bool| {
        let nodes = ends.into_iter().filter_map(|edge| underlay.node(edge)).filter(|view| lacks(view.node));
        let reasons = nodes.map(|view| {
            let node = view.node.name.clone();
            slice.refusal("spec.transport", RefusalReason::Lacks { transport: transport.as_str(), what, node })
        });
        reasons.collect::<Vec<_>>()
    };
    let mut found = match transport {
        Transport::Srv6 => lacks("a locator", &|node| node.locator.is_none()),
        Transport::Mpls => lacks("a label block", &|node| node.labels.is_none()),
        Transport::Vxlan if kind == UnderlayKind::Mpls => lacks("a label block", &|node| node.labels.is_none()),
        Transport::Vxlan => Vec::new(),
    };
    if transport == Transport::Srv6 {
        found.extend(lacks("an IPv6 loopback", &|node| node.loopback.ipv6.is_none()));
    }
    let family = [Family::Ipv6, Family::Ipv4].into_iter().find(|family| has(*family));
    match (family, graph.place(from), graph.place(to)) {
        (Some(family), Some(a), Some(b)) if found.is_empty() => {
            let routed = (PathForm::Ip, Plane::of(family));
            let forms = match (transport, kind) {
                (Transport::Srv6, _) => vec![(PathForm::Srv6, Plane::Ipv6)],
                (_, UnderlayKind::Mpls) => vec![(PathForm::Mpls, Plane::Mpls)],
                (Transport::Mpls, UnderlayKind::Ip) => vec![(PathForm::Mpls, Plane::Mpls), routed],
                (Transport::Vxlan, UnderlayKind::Ip) => vec![routed],
            };
            Ok(Pair { from, to, a, b, segment, family, forms })
        }
        (None, ..) if found.is_empty() => {
            Err(vec![refuse(RefusalReason::NoCommonFamily { edges: vec![from.clone(), to.clone()] })])
        }
        _ => Err(found),
    }
}

/// What a tunnel adds to a layer-3 packet of a device on a path that needs so many SIDs or labels.
pub(crate) fn tunnel_octets(
    transport: Transport,
    service: Service,
    form: PathForm,
    family: Family,
    depth: usize,
    srh: Srh,
) -> usize {
    let ip = match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => IPV6_OCTETS,
    };
    // The inner Ethernet header; its VLAN tag is taken off.
    let inner = if service == Service::L3 { 0 } else { ETHERNET_OCTETS };
    let control_word = if service == Service::L3 { 0 } else { CONTROL_WORD_OCTETS };
    let labels = if service == Service::L3 { SERVICE_LABELS } else { SERVICE_LABELS + 1 };
    let steering = match form {
        PathForm::Ip => 0,
        // The list holds the SID of the service, too. Reduced, it is without the first of all, and without steering there
        // is no SRH (H.Encaps.Red, RFC 8986, section 5.2); else it is whole (H.Encaps, section 5.1).
        PathForm::Srv6 if srh == Srh::Full => SRH_OCTETS + SID_OCTETS * (depth + 1),
        PathForm::Srv6 if depth == 0 => 0,
        PathForm::Srv6 => SRH_OCTETS + SID_OCTETS * depth,
        PathForm::Mpls => LABEL_OCTETS * depth,
    };
    steering
        + match (transport, form) {
            // RFC 7348, section 5: it carries Ethernet, whatever the service.
            (Transport::Vxlan, _) => ip + UDP_OCTETS + VXLAN_OCTETS + ETHERNET_OCTETS,
            (Transport::Srv6, _) => IPV6_OCTETS + inner,
            // The labels of the service and of the group (RFC 4448, RFC 4364), and of the flow where frames are carried
            // (RFC 6391); over UDP, RFC 7510.
            (Transport::Mpls, PathForm::Ip) => ip + UDP_OCTETS + LABEL_OCTETS * labels + control_word + inner,
            (Transport::Mpls, _) => LABEL_OCTETS * labels + control_word + inner,
        }
}

/// How many SIDs or labels the service itself adds to those of the path.
pub(crate) const fn service_depth(transport: Transport, form: PathForm) -> usize {
    match (transport, form) {
        (Transport::Srv6, _) => 1,
        (Transport::Mpls, PathForm::Mpls) => SERVICE_LABELS,
        _ => 0,
    }
}

/// The label of the segment and that of the sender's group.
const SERVICE_LABELS: usize = 2;
const IPV6_OCTETS: usize = 40;
const ETHERNET_OCTETS: usize = 14;
const CONTROL_WORD_OCTETS: usize = 4;
const SRH_OCTETS: usize = 8;
const SID_OCTETS: usize = 16;
const LABEL_OCTETS: usize = 4;
const UDP_OCTETS: usize = 8;
const VXLAN_OCTETS: usize = 8;
