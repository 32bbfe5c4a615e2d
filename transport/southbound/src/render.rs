//! From what a plan says to what a Linux box should have.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::program::{
    Adjacency, PortShaping, ProgramContent, TransitBehaviour, TransitLabel, TransitProgram, TransitSid,
};
use model::{InterfaceAddress, Prefix, Rate, Vni};

use crate::device::Unsupported;
use crate::object::{
    Action, Address, Bridge, BridgePort, Classifier, Desired, Duplicate, Flavours, Forwarding, LinkUp, LocalSid,
    Object, Route, Shaper, ShaperRoot, Vxlan, VxlanPeer,
};
use crate::value::{ClassId, InvalidValue, LinkName, Metric, ShapedRate, Table};

/// A Linux box that takes part in VXLAN segments without being an edge of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VxlanSite {
    /// The link to the core, and what it carries.
    pub core: (LinkName, Rate),
    /// The slices that it takes part in.
    pub slices: Vec<SliceShape>,
}

/// One slice on such a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceShape {
    /// Its class on the link to the core.
    pub class: ClassId,
    /// What it is sure of.
    pub guaranteed: Rate,
    /// What it may borrow up to.
    pub ceiling: Rate,
    /// Its segments.
    pub segments: Vec<Segment>,
}

/// One segment on such a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub vni: Vni,
    /// The box in the underlay.
    pub local: IpAddr,
    /// The other ends in the underlay.
    pub remotes: Vec<IpAddr>,
    /// The largest IP packet inside.
    pub mtu: u16,
    /// Does the group travel with the packet?
    pub group_policy: bool,
    /// The links that devices are on; they reach the other ends, and not one another.
    pub access: Vec<LinkName>,
}

/// What a plan says, but no Linux box can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Some of it is beyond the driver.
    #[error("{} entries can't be had; the first: {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Unsupported(Vec<Unsupported>),
    /// A number or a name is out of range.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// Two parts of it want the same place.
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
}

/// What a core node should have to do its program; with nothing to do, nothing.
///
/// SIDs hang on a bridge of our own without ports, so that no port that fails takes one along. Addresses of the node, and
/// what the owner of the box sees to, are in it, too: it is not as it should be without them, whoever gave them. What no
/// kernel does for us is refused by name.
pub fn core_node(device: &str, program: &ProgramContent) -> Result<Desired, RenderError> {
    let refused = refused(device, program);
    if !refused.is_empty() {
        return Err(RenderError::Unsupported(refused));
    }
    let mut objects = addresses(program)?;
    for port in &program.core_ports {
        objects.push(Object::LinkUp(LinkUp { link: LinkName::new(port.port.as_str())?, mtu: port.mtu.into() }));
    }
    objects.extend(transit(device, &program.transit)?);
    for shaping in &program.shaping {
        let families = program.core_ports.iter().filter(|port| port.port == shaping.port);
        let families = families.flat_map(|port| &port.addresses).map(|address| address.address().is_ipv6());
        objects.extend(shaped(shaping, &families.collect::<BTreeSet<_>>())?);
    }
    Ok(Desired::new(objects)?)
}

/// What the box should have: for each segment a VXLAN device and a bridge, for each slice a class.
pub fn vxlan_site(site: &VxlanSite) -> Result<Desired, RenderError> {
    let (core, rate) = &site.core;
    let mut desired = Desired::default();
    desired.insert(Object::ShaperRoot(ShaperRoot { link: core.clone(), rate: ShapedRate::new(*rate)? }))?;
    for slice in &site.slices {
        let (rate, ceil) = (ShapedRate::new(slice.guaranteed)?, ShapedRate::new(slice.ceiling)?);
        desired.insert(Object::Shaper(Shaper { link: core.clone(), class: slice.class, rate, ceil }))?;
        for segment in &slice.segments {
            for object in of_segment(segment)? {
                desired.insert(object)?;
            }
            let (link, vni, ipv6) = (core.clone(), segment.vni, segment.local.is_ipv6());
            desired.insert(Object::Classifier(Classifier { link, vni, ipv6, class: slice.class }))?;
        }
    }
    Ok(desired)
}

/// What a program says, but belongs to nodes of other kinds.
fn refused(device: &str, program: &ProgramContent) -> Vec<Unsupported> {
    let unsupported = |object: String, why| Unsupported { device: device.into(), object, why };
    let labels = program.transit.labels.iter().map(|label| no_label(device, label));
    let slices = program.slices.iter().map(|slice| unsupported(format!("slice {}", slice.slice), NO_EDGE));
    let paths = program.paths.iter().map(|path| unsupported(format!("path {} to {}", path.id, path.to), NO_EDGE));
    let probes = program.probes.iter().map(|_| unsupported("probes".to_owned(), NO_EDGE));
    labels.chain(slices).chain(paths).chain(probes).collect()
}

fn transit(device: &str, program: &TransitProgram) -> Result<Vec<Object>, RenderError> {
    let mut objects = Vec::new();
    let anchor = LinkName::new(ANCHOR)?;
    if !program.sids.is_empty() {
        objects.push(Object::Bridge(Bridge { name: anchor.clone(), up: true }));
        objects.push(Object::Forwarding(Forwarding::Ipv6));
    }
    for sid in &program.sids {
        objects.push(Object::LocalSid(local_sid(device, sid, &anchor)?));
    }
    for route in &program.routes {
        let Adjacency { port, next_hop } = &route.via;
        let (link, via) = (LinkName::new(port.as_str())?, Some(*next_hop));
        let (prefix, table, metric) = (route.prefix, Table::MAIN, Metric::DEFAULT);
        let family = if prefix.address().is_ipv6() { Forwarding::Ipv6 } else { Forwarding::Ipv4 };
        objects.push(Object::Forwarding(family));
        objects.push(Object::Route(Route { prefix, table, metric, link, via, encap: None }));
    }
    Ok(objects)
}

/// The addresses of a node: its loopback's and its ports'.
fn addresses(program: &ProgramContent) -> Result<Vec<Object>, InvalidValue> {
    let lo = LinkName::new("lo")?;
    let host = |ip: &IpAddr| InterfaceAddress::new(*ip, if ip.is_ipv6() { 128 } else { 32 });
    let loopback = program.loopback.iter().filter_map(host).map(|address| Address { link: lo.clone(), address });
    let mut addresses: Vec<Address> = loopback.collect();
    for port in &program.core_ports {
        let link = LinkName::new(port.port.as_str())?;
        addresses.extend(port.addresses.iter().map(|address| Address { link: link.clone(), address: *address }));
    }
    Ok(addresses.into_iter().map(Object::Address).collect())
}

/// The classes of a port, and in each family of its addresses what finds their packets. The rest is sure of what the
/// slices leave, and may borrow from them.
fn shaped(shaping: &PortShaping, families: &BTreeSet<bool>) -> Result<Vec<Object>, InvalidValue> {
    let link = LinkName::new(shaping.port.as_str())?;
    let whole = ShapedRate::new(shaping.rate)?;
    let of_slices = shaping.classes.iter().fold(Rate::ZERO, |sum, class| sum.saturating_add(class.limits.guaranteed()));
    let rest = Shaper {
        link: link.clone(),
        class: ClassId::REST,
        rate: at_least(shaping.rate.saturating_sub(of_slices)),
        ceil: whole,
    };
    let mut objects = vec![Object::ShaperRoot(ShaperRoot { link: link.clone(), rate: whole }), Object::Shaper(rest)];
    for slice in &shaping.classes {
        let class = ClassId::new(slice.number.get())?;
        let (rate, ceil) = (at_least(slice.limits.guaranteed()), at_least(slice.limits.ceiling()));
        objects.push(Object::Shaper(Shaper { link: link.clone(), class, rate, ceil }));
        let found = slice.vnis.iter().flat_map(|vni| families.iter().map(move |ipv6| (*vni, *ipv6)));
        objects
            .extend(found.map(|(vni, ipv6)| Object::Classifier(Classifier { link: link.clone(), vni, ipv6, class })));
    }
    Ok(objects)
}

/// HTB has no class without a rate.
fn at_least(rate: Rate) -> ShapedRate {
    ShapedRate::new(rate).unwrap_or(ShapedRate::MIN)
}

fn local_sid(device: &str, sid: &TransitSid, anchor: &LinkName) -> Result<LocalSid, RenderError> {
    let flavours = Flavours { psp: sid.flavours.psp, usp: sid.flavours.usp, usd: sid.flavours.usd, next_csid: None };
    let action = match &sid.behaviour {
        TransitBehaviour::End => Action::End(flavours),
        TransitBehaviour::EndX(Adjacency { next_hop: IpAddr::V6(via), .. }) => Action::EndX(*via, flavours),
        TransitBehaviour::EndX(Adjacency { next_hop: via, .. }) => {
            let (object, why) =
                (format!("SID {} End.X via {via}", sid.sid), "the neighbour of End.X has an IPv6 address");
            return Err(RenderError::Unsupported(vec![Unsupported { device: device.into(), object, why }]));
        }
    };
    let whole = Prefix::new(IpAddr::V6(sid.sid.get()), 128);
    let whole = whole.ok_or_else(|| InvalidValue { what: "a SID", found: sid.sid.to_string() })?;
    Ok(LocalSid { sid: whole, table: Table::MAIN, metric: Metric::DEFAULT, link: anchor.clone(), action })
}

fn no_label(device: &str, entry: &TransitLabel) -> Unsupported {
    let Adjacency { port, next_hop } = &entry.out;
    let label = entry.label;
    let object = match entry.swap {
        Some(swap) => format!("label {label} swapped for {swap} via {next_hop} by {port}"),
        None => format!("label {label} popped via {next_hop} by {port}"),
    };
    Unsupported { device: device.into(), object, why: "the driver makes no MPLS entries; give the node no label block" }
}

fn of_segment(segment: &Segment) -> Result<Vec<Object>, InvalidValue> {
    let vni = segment.vni;
    let (tunnel, bridge) = (LinkName::new(&format!("ms-v{vni}"))?, LinkName::new(&format!("ms-b{vni}"))?);
    let vxlan = Vxlan {
        name: tunnel.clone(),
        vni,
        local: segment.local,
        port: VXLAN_PORT,
        mtu: segment.mtu.into(),
        group_policy: segment.group_policy,
        learning: true,
        up: true,
    };
    let port = |link: &LinkName, isolated| {
        Object::BridgePort(BridgePort { link: link.clone(), bridge: bridge.clone(), isolated })
    };
    let peers = segment.remotes.iter().map(|remote| VxlanPeer { link: tunnel.clone(), remote: *remote });
    let mut objects =
        vec![Object::Vxlan(vxlan), Object::Bridge(Bridge { name: bridge.clone(), up: true }), port(&tunnel, false)];
    objects.extend(peers.map(Object::VxlanPeer));
    objects.extend(segment.access.iter().map(|link| port(link, true)));
    Ok(objects)
}

const NO_EDGE: &str = "a kernel is a core node; slices begin and end at edges of ours";

/// What the SIDs of a node hang on.
const ANCHOR: &str = "ms-sid";

/// RFC 7348, section 5.
const VXLAN_PORT: u16 = 4789;

#[cfg(test)]
mod tests;
