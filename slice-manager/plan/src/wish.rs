//! The slices that are wanted, each with its segments and realms joined to it, and the rules between resources that
//! need neither paths nor numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::plan::Plan;
use model::profile::{AaaFeatures, Catalog};
use model::resource::{Client, RealmSpec, ResourceId, Sdp, SdpVlan, SegmentId, SegmentSpec, Service, SliceSpec};
use model::{
    InterfaceAddress, InvalidLimits, NodeName, PortName, Prefix, RateLimits, SdpName, Share, SliceName, Snssai, Vlan,
    Weight,
};

use crate::derive::{SliceDerivation, derive};
use crate::intents::Intents;
use crate::numbers::kept_vlan;
use crate::refusal::{IPV6_PACKET_OCTETS, Refusal, RefusalReason};
use crate::underlay::Underlay;

/// A slice that is wanted.
pub(crate) struct SliceWish<'a> {
    pub(crate) name: &'a SliceName,
    pub(crate) spec: &'a SliceSpec,
    pub(crate) derived: SliceDerivation,
    /// Its SDPs by edge, on each in the order in which they were written.
    pub(crate) sdps: BTreeMap<&'a NodeName, Vec<&'a Sdp>>,
    /// By name.
    pub(crate) segments: Vec<SegmentWish<'a>>,
}

/// A micro-segment that is wanted.
pub(crate) struct SegmentWish<'a> {
    pub(crate) id: &'a SegmentId,
    pub(crate) edges: BTreeSet<&'a NodeName>,
    pub(crate) limits: RateLimits,
    pub(crate) weight: Weight,
    pub(crate) sessions_max: u32,
    pub(crate) realm: Option<RealmWish<'a>>,
    share: Share,
}

/// The AAA that is wanted for a segment.
pub(crate) struct RealmWish<'a> {
    pub(crate) features: &'a AaaFeatures,
    pub(crate) clients: &'a [Client],
}

impl<'a> SliceWish<'a> {
    /// Where the slice's rate is said: `field` of its own rate, or its template.
    pub(crate) fn rate_path(&self, field: &str) -> String {
        if self.spec.rate.is_some() { format!("spec.rate.{field}") } else { "spec.template".to_owned() }
    }

    /// Where the slice's bound on delay is said.
    pub(crate) fn latency_path(&self) -> &'static str {
        if self.spec.latency.is_some() { "spec.latency.max" } else { "spec.template" }
    }

    /// The pairs of edges that share a segment, each once with its smaller name first, with one such segment.
    pub(crate) fn pairs(&self) -> BTreeMap<(&'a NodeName, &'a NodeName), &'a SegmentId> {
        let mut pairs = BTreeMap::new();
        for segment in &self.segments {
            for (place, from) in segment.edges.iter().enumerate() {
                for to in segment.edges.iter().skip(place + 1) {
                    pairs.entry((*from, *to)).or_insert(segment.id);
                }
            }
        }
        pairs
    }

    pub(crate) fn refusal(&self, path: impl Into<String>, reason: RefusalReason) -> Refusal {
        Refusal { resource: ResourceId::Slice(self.name.clone()), path: path.into(), reason }
    }
}

/// Joins and checks what is declared. Slices and segments that are refused are left out of the answer.
pub(crate) fn wishes<'a>(
    catalog: &'a Catalog,
    intents: &'a Intents,
    underlay: Option<&Underlay<'a>>,
    parent: &Plan,
    refusals: &mut Vec<Refusal>,
) -> Vec<SliceWish<'a>> {
    let mut claims = Claims::default();
    // A VLAN that we chose before is the SDP's: who names it now comes too late.
    for (name, sdp) in intents.slices.iter().flat_map(|(name, spec)| spec.sdps.iter().map(move |sdp| (name, sdp))) {
        if let Some(vlan) = kept_vlan(parent, name, sdp) {
            claims.circuits.insert((&sdp.edge, &sdp.port, Some(vlan)), (name, &sdp.name));
        }
    }
    let mut slices = BTreeMap::new();
    for (name, spec) in &intents.slices {
        let wish = slice(catalog, name, spec, underlay, &mut claims, refusals);
        slices.extend(wish.map(|wish| (name, wish)));
    }
    for (id, spec) in &intents.segments {
        if !intents.slices.contains_key(&id.slice) {
            refusals.push(in_segment(id, "metadata.slice", RefusalReason::UnknownSlice(id.slice.clone())));
        } else if let Some(slice) = slices.get_mut(&id.slice) {
            let segment = segment(catalog, slice, id, spec, intents.realms.get(id), refusals);
            slice.segments.extend(segment);
        }
    }
    for (id, spec) in &intents.realms {
        realm(id, spec, intents, refusals);
    }
    for slice in slices.values() {
        shares(slice, |id| parent.allocations.contains_key(id), refusals);
    }
    slices.into_values().collect()
}

/// What only one slice can have.
#[derive(Default)]
struct Claims<'a> {
    circuits: HashMap<(&'a NodeName, &'a PortName, Option<Vlan>), (&'a SliceName, &'a SdpName)>,
    snssais: HashMap<Snssai, &'a SliceName>,
}

fn slice<'a>(
    catalog: &Catalog,
    name: &'a SliceName,
    spec: &'a SliceSpec,
    underlay: Option<&Underlay<'a>>,
    claims: &mut Claims<'a>,
    refusals: &mut Vec<Refusal>,
) -> Option<SliceWish<'a>> {
    let before = refusals.len();
    let mut refuse = |path: String, reason| {
        refusals.push(Refusal { resource: ResourceId::Slice(name.clone()), path, reason });
    };
    if let Some(slice) = claims.snssais.insert(spec.snssai, name) {
        let reason = RefusalReason::SnssaiTaken { snssai: spec.snssai, slice: slice.clone() };
        refuse("spec.snssai".to_owned(), reason);
    }
    match underlay {
        Some(underlay) => {
            for (index, sdp) in spec.sdps.iter().enumerate() {
                if let Err((field, reason)) = place(sdp, underlay) {
                    refuse(format!("spec.sdps[{index}].{field}"), reason);
                    continue;
                }
                let vlan = match sdp.vlan {
                    // It gets one that nobody has.
                    Some(SdpVlan::Auto) => continue,
                    Some(SdpVlan::Id(vlan)) => Some(vlan),
                    None => None,
                };
                if let Some((slice, other)) = claims.circuits.insert((&sdp.edge, &sdp.port, vlan), (name, &sdp.name)) {
                    let (edge, port) = (sdp.edge.clone(), sdp.port.clone());
                    let (slice, sdp) = (slice.clone(), other.clone());
                    let reason = RefusalReason::CircuitTaken { edge, port, vlan, slice, sdp };
                    refuse(format!("spec.sdps[{index}].{}", if vlan.is_some() { "vlan" } else { "port" }), reason);
                }
            }
        }
        None => refuse("spec.sdps".to_owned(), RefusalReason::NoTopology),
    }
    service(spec, &mut refuse);
    let derived = derive(catalog, name, spec).map_err(|found| refusals.extend(found)).ok()?;
    refusals.extend(too_short_for_ipv6(name, spec, derived.packet_octets_max));
    let mut sdps: BTreeMap<&NodeName, Vec<&Sdp>> = BTreeMap::new();
    for sdp in &spec.sdps {
        sdps.entry(&sdp.edge).or_default().push(sdp);
    }
    let wish = SliceWish { name, spec, derived, sdps, segments: Vec::new() };
    (refusals.len() == before).then_some(wish)
}

/// A host never takes "too big" for less than IPv6's least (RFC 8200, section 5; RFC 8201, section 4): the edge could refuse
/// its packets for ever. What a layer-2 slice carries is not the edge's to know.
fn too_short_for_ipv6(name: &SliceName, spec: &SliceSpec, packet_octets: u16) -> Vec<Refusal> {
    let addresses =
        spec.sdps.iter().enumerate().flat_map(|(sdp, at)| (0..).zip(&at.addresses).map(move |found| (sdp, found)));
    let is_ipv6 = |address: &InterfaceAddress| address.address().is_ipv6();
    let short = addresses.filter(|(_, (_, address))| is_ipv6(address) && packet_octets < IPV6_PACKET_OCTETS);
    let of_l3 = short.filter(|_| spec.service == Service::L3);
    let refusal = |(sdp, (at, address)): (usize, (u32, &InterfaceAddress))| Refusal {
        resource: ResourceId::Slice(name.clone()),
        path: format!("spec.sdps[{sdp}].addresses[{at}]"),
        reason: RefusalReason::TooShortForIpv6 { address: *address, packet_octets },
    };
    of_l3.map(refusal).collect()
}

/// What a service asks of its SDPs.
fn service(spec: &SliceSpec, refuse: &mut impl FnMut(String, RefusalReason)) {
    let is_line = spec.service == Service::L2PointToPoint;
    match &spec.sdps[..] {
        [one, other] if is_line && one.edge == other.edge => {
            refuse("spec.sdps[1].edge".to_owned(), RefusalReason::SameEdge(one.edge.clone()));
        }
        [_, _] => {}
        sdps if is_line => refuse("spec.sdps".to_owned(), RefusalReason::NotTwoEnds { found: sdps.len() }),
        _ => {}
    }
    let mut subnets: Vec<(InterfaceAddress, &SdpName)> = Vec::new();
    for (index, sdp) in spec.sdps.iter().enumerate() {
        let path = |field: &str| format!("spec.sdps[{index}].{field}");
        if is_line && sdp.leaf {
            refuse(path("leaf"), RefusalReason::LeafOfLine);
        }
        match (spec.service, sdp.addresses.first()) {
            (Service::L3, None) => refuse(path("addresses"), RefusalReason::NoGateway),
            (Service::L3, Some(_)) => gateways(sdp, &path("addresses"), &mut subnets, refuse),
            (_, Some(address)) => refuse(path("addresses[0]"), RefusalReason::GatewayInLayer2(*address)),
            (_, None) => {}
        }
    }
}

/// A subnet is at one SDP: nothing else says where a packet goes.
fn gateways<'a>(
    sdp: &'a Sdp,
    path: &str,
    subnets: &mut Vec<(InterfaceAddress, &'a SdpName)>,
    refuse: &mut impl FnMut(String, RefusalReason),
) {
    for (index, address) in sdp.addresses.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let subnet = |address: &InterfaceAddress| Prefix::new(address.address(), address.length());
        let overlaps = |other: &InterfaceAddress| {
            subnet(address).zip(subnet(other)).is_some_and(|(one, other)| one.overlaps(&other))
        };
        let ip = address.address();
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
            refuse(path, RefusalReason::NotUnicast(ip));
        } else if let Some((other, of)) = subnets.iter().find(|(other, _)| overlaps(other)) {
            let (address, other, sdp) = (*address, *other, (*of).clone());
            refuse(path, RefusalReason::GatewaysOverlap { address, other, sdp });
        } else {
            subnets.push((*address, &sdp.name));
        }
    }
}

/// Can the SDP be where it wants to be?
fn place(sdp: &Sdp, underlay: &Underlay<'_>) -> Result<(), (&'static str, RefusalReason)> {
    let node = underlay.node(&sdp.edge).ok_or_else(|| ("edge", RefusalReason::UnknownNode(sdp.edge.clone())))?;
    if !node.is_edge() {
        return Err(("edge", RefusalReason::NotAnEdge(sdp.edge.clone())));
    }
    let (edge, port) = (sdp.edge.clone(), sdp.port.clone());
    match node.ports.get(&sdp.port) {
        None => Err(("port", RefusalReason::UnknownPort { node: edge, port })),
        Some(view) => match view.link {
            Some(at) => Err(("port", RefusalReason::PortIsLinkEnd { edge, port, link: at.link.name.clone() })),
            None => Ok(()),
        },
    }
}

fn segment<'a>(
    catalog: &'a Catalog,
    slice: &SliceWish<'a>,
    id: &'a SegmentId,
    spec: &'a SegmentSpec,
    realm: Option<&'a RealmSpec>,
    refusals: &mut Vec<Refusal>,
) -> Option<SegmentWish<'a>> {
    let before = refusals.len();
    if spec.at.is_empty() {
        refusals.push(in_segment(id, "spec.at", RefusalReason::NoEdges));
    }
    for (index, edge) in spec.at.iter().enumerate().filter(|(_, edge)| !slice.sdps.contains_key(edge)) {
        let reason = RefusalReason::NoSdp { slice: id.slice.clone(), edge: edge.clone() };
        refusals.push(in_segment(id, format!("spec.at[{index}]"), reason));
    }
    if slice.derived.aaa_required && realm.is_none() {
        let reason = RefusalReason::RealmRequired { template: slice.spec.template.clone() };
        refusals.push(in_segment(id, "metadata.name", reason));
    }
    let Some(profile) = catalog.segment(&spec.profile) else {
        let known = catalog.segments().map(|p| p.name.clone()).collect();
        let reason = RefusalReason::UnknownSegmentProfile { name: spec.profile.clone(), known };
        refusals.push(in_segment(id, "spec.profile", reason));
        return None;
    };
    let share = spec.share.unwrap_or(profile.spec.share);
    let ceiling = spec.ceiling.unwrap_or(profile.spec.ceiling);
    let of_slice = slice.derived.limits;
    let limits = RateLimits::new(of_slice.guaranteed().share(share), of_slice.ceiling().share(ceiling));
    let limits = limits
        .map_err(|error: InvalidLimits| {
            let path = if spec.ceiling.is_some() { "spec.ceiling" } else { "spec.profile" };
            refusals.push(in_segment(id, path, RefusalReason::Limits(error)));
        })
        .ok()?;
    // The catalogue has an AAA profile for every segment profile.
    let features = catalog.aaa(&profile.spec.aaa).map(|aaa| &aaa.features);
    let wish = SegmentWish {
        id,
        edges: spec.at.iter().collect(),
        limits,
        weight: in_percent(share),
        sessions_max: slice
            .derived
            .sessions_max
            .map_or(profile.spec.sessions_max, |n| n.min(profile.spec.sessions_max)),
        realm: realm.zip(features).map(|(realm, features)| RealmWish { features, clients: &realm.clients }),
        share,
    };
    (refusals.len() == before).then_some(wish)
}

/// What the guarantees of segments leave is shared as the guarantees are: by whole percents, so at least by one.
fn in_percent(share: Share) -> Weight {
    Weight::new(u64::from(share.basis_points()) / 100).unwrap_or_default()
}

fn in_segment(id: &SegmentId, path: impl Into<String>, reason: RefusalReason) -> Refusal {
    Refusal { resource: ResourceId::MicroSegment(id.clone()), path: path.into(), reason }
}

fn realm(id: &SegmentId, spec: &RealmSpec, intents: &Intents, refusals: &mut Vec<Refusal>) {
    let mut refuse = |path: String, reason| {
        refusals.push(Refusal { resource: ResourceId::Realm(id.clone()), path, reason });
    };
    if !intents.slices.contains_key(&id.slice) {
        refuse("metadata.slice".to_owned(), RefusalReason::UnknownSlice(id.slice.clone()));
    } else if !intents.segments.contains_key(id) {
        refuse("metadata.name".to_owned(), RefusalReason::UnknownSegment(id.clone()));
    }
    // In sorted order a prefix can only lie within the last one that was not itself inside another.
    let mut sources = Vec::new();
    for (index, client) in spec.clients.iter().enumerate() {
        if client.addresses.is_empty() {
            let reason = RefusalReason::NoClientAddress(client.name.clone());
            refuse(format!("spec.clients[{index}].addresses"), reason);
        }
        if let (Some(edge), Some(segment)) = (&client.edge, intents.segments.get(id))
            // A segment that is nowhere has been refused for that.
            && !segment.at.is_empty()
            && segment.at.get(edge.as_str()).is_none()
        {
            let reason = RefusalReason::ClientElsewhere { client: client.name.clone(), edge: edge.clone() };
            refuse(format!("spec.clients[{index}].edge"), reason);
        }
        sources.extend(client.addresses.iter().enumerate().map(|(at, address)| (*address, index, at, client)));
    }
    sources.sort_by_key(|(address, index, at, _)| (address.address(), address.length(), *index, *at));
    let mut outer: Option<(model::Prefix, &Client)> = None;
    for (address, index, at, client) in sources {
        match outer {
            Some((other, owner)) if other.overlaps(&address) => {
                let reason = RefusalReason::ClientsOverlap { address, other, client: owner.name.clone() };
                refuse(format!("spec.clients[{index}].addresses[{at}]"), reason);
            }
            _ => outer = Some((address, client)),
        }
    }
}

/// On every edge the segments of a slice share at most all of its guarantee. The newest is to blame, else the last.
fn shares(slice: &SliceWish<'_>, is_old: impl Fn(&SegmentId) -> bool, refusals: &mut Vec<Refusal>) {
    for edge in slice.sdps.keys() {
        let here = || slice.segments.iter().filter(|segment| segment.edges.contains(edge));
        let basis_points: u64 = here().map(|segment| u64::from(segment.share.basis_points())).sum();
        let blamed = here().rev().find(|segment| !is_old(segment.id)).or(here().next_back());
        if let Some(blamed) = blamed.filter(|_| basis_points > u64::from(Share::WHOLE.basis_points())) {
            let reason = RefusalReason::SharesAboveWhole { edge: (*edge).clone(), basis_points };
            refusals.push(in_segment(blamed.id, "spec.share", reason));
        }
    }
}
