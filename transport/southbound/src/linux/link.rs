//! Links: VXLAN devices, bridges and their ports, and the peers of VXLAN devices.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Vni;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::socket::{Kernel, Refusal};
use super::{GROUP, How};
use crate::device::{Cause, Found, Observed};
use crate::object::{Bridge, BridgePort, Key, LinkUp, Object, Vxlan, VxlanPeer};
use crate::value::LinkName;

/// All links of a namespace, as they were when they were read.
#[derive(Debug)]
pub(super) struct Links(BTreeMap<u32, Link>);

#[derive(Debug)]
struct Link {
    name: LinkName,
    message: LinkMessage,
}

impl Links {
    pub(super) fn read(kernel: &mut Kernel) -> io::Result<Self> {
        let answer = kernel.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let links = answer.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => {
                let name = LinkName::new(name(&message)?).ok()?;
                Some((message.header.index, Link { name, message }))
            }
            _ => None,
        });
        Ok(Self(links.collect()))
    }

    pub(super) fn name(&self, index: u32) -> Option<&LinkName> {
        self.0.get(&index).map(|link| &link.name)
    }

    /// Is it one that we made?
    fn is_ours(&self, index: u32) -> bool {
        self.0.get(&index).is_some_and(|link| is_ours(&link.name, &link.message))
    }

    /// Links of ours, and the ports of our bridges; of others, those that are up.
    pub(super) fn observe(&self, observed: &mut Observed) {
        for link in self.0.values() {
            if is_ours(&link.name, &link.message) {
                observed.ours.insert(Key::Link(link.name.clone()), found(link));
            } else if link.message.header.flags.contains(LinkFlags::Up) {
                let up = Object::LinkUp(LinkUp { link: link.name.clone(), mtu: mtu(&link.message).unwrap_or(0) });
                observed.others.insert(up.key(), up);
            }
            let bridge = controller(&link.message).filter(|index| self.is_ours(*index));
            if let Some(bridge) = bridge.and_then(|index| self.name(index)) {
                let (link, isolated) = (link.name.clone(), is_isolated(&link.message));
                let port = Object::BridgePort(BridgePort { link, bridge: bridge.clone(), isolated });
                observed.ours.insert(port.key(), Found::As(port));
            }
        }
    }
}

/// The peers of our VXLAN devices.
pub(super) fn observe_peers(kernel: &mut Kernel, links: &Links, observed: &mut Observed) -> io::Result<()> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    for answer in kernel.dump(&RouteNetlinkMessage::GetNeighbour(request))? {
        let RouteNetlinkMessage::NewNeighbour(entry) = answer else { continue };
        let index = entry.header.ifindex;
        let (mut mac, mut remote) = (None, None);
        for attribute in &entry.attributes {
            match attribute {
                NeighbourAttribute::LinkLayerAddress(octets) => mac = Some(octets.as_slice()),
                NeighbourAttribute::Destination(NeighbourAddress::Other(octets)) => remote = ip(octets),
                _ => {}
            }
        }
        if let (Some([0, 0, 0, 0, 0, 0]), Some(remote), true) = (mac, remote, links.is_ours(index))
            && let Some(link) = links.name(index)
        {
            let peer = Object::VxlanPeer(VxlanPeer { link: link.clone(), remote });
            observed.ours.insert(peer.key(), Found::As(peer));
        }
    }
    Ok(())
}

/// The index of a link by name.
pub(super) fn index(kernel: &mut Kernel, name: &LinkName) -> Result<u32, Cause> {
    get(kernel, name).map(|message| message.header.index)
}

pub(super) fn make_vxlan(kernel: &mut Kernel, vxlan: &Vxlan, how: How) -> Result<(), Cause> {
    if how == How::New {
        let mut data = vec![
            InfoVxlan::Id(vxlan.vni.get()),
            match vxlan.local {
                IpAddr::V4(local) => InfoVxlan::Local(local),
                IpAddr::V6(local) => InfoVxlan::Local6(local),
            },
            InfoVxlan::Port(vxlan.port),
            InfoVxlan::Learning(vxlan.learning),
        ];
        data.extend(vxlan.group_policy.then_some(InfoVxlan::Gbp));
        create(kernel, &vxlan.name, InfoKind::Vxlan, Some(InfoData::Vxlan(data)))?;
    } else {
        let data = InfoData::Vxlan(vec![InfoVxlan::Learning(vxlan.learning)]);
        let info = vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(data)];
        let index = own(kernel, &vxlan.name)?;
        kernel.change(RouteNetlinkMessage::NewLink(message(index, vec![LinkAttribute::LinkInfo(info)])), 0)?;
    }
    finish(kernel, &vxlan.name, Some(vxlan.mtu), vxlan.up)
}

pub(super) fn make_bridge(kernel: &mut Kernel, bridge: &Bridge, how: How) -> Result<(), Cause> {
    if how == How::New {
        create(kernel, &bridge.name, InfoKind::Bridge, None)?;
    }
    finish(kernel, &bridge.name, None, bridge.up)
}

/// Puts a link into one of our bridges. In a bridge that isn't ours, it stays there.
pub(super) fn make_port(kernel: &mut Kernel, port: &BridgePort) -> Result<(), Cause> {
    let bridge = own(kernel, &port.bridge)?;
    let link = get(kernel, &port.link)?;
    if let Some(other) = controller(&link).filter(|index| *index != bridge) {
        let links = Links::read(kernel)?;
        if !links.is_ours(other) {
            let other = links.name(other).map_or_else(|| other.to_string(), ToString::to_string);
            return Err(Cause::Occupied(format!("it is a port of {other}")));
        }
    }
    let index = link.header.index;
    let join = LinkAttribute::Controller(bridge);
    kernel.change(RouteNetlinkMessage::SetLink(message(index, vec![join])), 0)?;
    let data = InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(port.isolated)]);
    let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(data)];
    kernel.change(RouteNetlinkMessage::NewLink(message(index, vec![LinkAttribute::LinkInfo(info)])), 0)?;
    Ok(())
}

pub(super) fn make_peer(kernel: &mut Kernel, peer: &VxlanPeer) -> Result<(), Cause> {
    let entry = peer_entry(kernel, &peer.link, peer.remote)?;
    Ok(kernel.change(RouteNetlinkMessage::NewNeighbour(entry), NLM_F_CREATE | NLM_F_APPEND)?)
}

/// Removes a link, if it is ours.
pub(super) fn remove(kernel: &mut Kernel, name: &LinkName) -> Result<(), Cause> {
    let link = get(kernel, name)?;
    if is_ours(name, &link) {
        kernel.change(RouteNetlinkMessage::DelLink(message(link.header.index, Vec::new())), 0)?;
    }
    Ok(())
}

/// Takes a link out of its bridge, if the bridge is ours.
pub(super) fn remove_port(kernel: &mut Kernel, name: &LinkName) -> Result<(), Cause> {
    let link = get(kernel, name)?;
    let links = Links::read(kernel)?;
    if controller(&link).is_some_and(|index| links.is_ours(index)) {
        let leave = LinkAttribute::Controller(0);
        kernel.change(RouteNetlinkMessage::SetLink(message(link.header.index, vec![leave])), 0)?;
    }
    Ok(())
}

pub(super) fn remove_peer(kernel: &mut Kernel, link: &LinkName, remote: IpAddr) -> Result<(), Cause> {
    let entry = peer_entry(kernel, link, remote)?;
    Ok(kernel.change(RouteNetlinkMessage::DelNeighbour(entry), 0)?)
}

fn get(kernel: &mut Kernel, name: &LinkName) -> Result<LinkMessage, Cause> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_string()));
    let found = match kernel.get(RouteNetlinkMessage::GetLink(request)) {
        Ok(answer) => answer.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Some(message),
            _ => None,
        }),
        Err(refusal) if refusal.code() == rustix::io::Errno::NODEV.raw_os_error() => None,
        Err(refusal) => return Err(refusal.into()),
    };
    found.ok_or_else(|| Cause::NoLink(name.clone()))
}

/// The index of a link of ours.
fn own(kernel: &mut Kernel, name: &LinkName) -> Result<u32, Cause> {
    let link = get(kernel, name)?;
    if is_ours(name, &link) {
        Ok(link.header.index)
    } else {
        Err(Cause::Occupied(format!("link {name} has another owner")))
    }
}

/// Creates a link that is marked as ours from its first moment on. It is down until it is finished.
fn create(kernel: &mut Kernel, name: &LinkName, kind: InfoKind, data: Option<InfoData>) -> Result<(), Refusal> {
    let info = std::iter::once(LinkInfo::Kind(kind)).chain(data.map(LinkInfo::Data)).collect();
    let attributes =
        vec![LinkAttribute::IfName(name.to_string()), LinkAttribute::Group(GROUP), LinkAttribute::LinkInfo(info)];
    kernel.change(RouteNetlinkMessage::NewLink(message(0, attributes)), NLM_F_CREATE | NLM_F_EXCL)
}

fn finish(kernel: &mut Kernel, name: &LinkName, mtu: Option<u32>, up: bool) -> Result<(), Cause> {
    let index = own(kernel, name)?;
    // The box itself is no member of the segment: it takes no address there by itself.
    let mode = vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)];
    let quiet = message(index, vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(mode)])]);
    match kernel.change(RouteNetlinkMessage::SetLink(quiet), 0) {
        Err(refusal) if refusal.code() != rustix::io::Errno::AFNOSUPPORT.raw_os_error() => return Err(refusal.into()),
        _ => {}
    }
    let mut state = message(index, mtu.map(LinkAttribute::Mtu).into_iter().collect());
    state.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    state.header.change_mask = LinkFlags::Up;
    Ok(kernel.change(RouteNetlinkMessage::SetLink(state), 0)?)
}

fn peer_entry(kernel: &mut Kernel, link: &LinkName, remote: IpAddr) -> Result<NeighbourMessage, Cause> {
    let mut entry = NeighbourMessage::default();
    entry.header.family = AddressFamily::Bridge;
    entry.header.ifindex = own(kernel, link)?;
    entry.header.state = NeighbourState::Permanent;
    entry.header.flags = NeighbourFlags::Own;
    entry.attributes =
        vec![NeighbourAttribute::LinkLayerAddress(vec![0; 6]), NeighbourAttribute::Destination(remote.into())];
    Ok(entry)
}

fn message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

/// Ours are named so, and are in our group: whoever names a link of theirs `ms-something` keeps it.
fn is_ours(name: &LinkName, message: &LinkMessage) -> bool {
    name.is_ours() && message.attributes.contains(&LinkAttribute::Group(GROUP))
}

fn found(link: &Link) -> Found {
    let up = link.message.header.flags.contains(LinkFlags::Up);
    let name = link.name.clone();
    let data = info(&link.message).find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match info(&link.message).find_map(|info| if let LinkInfo::Kind(kind) = info { Some(kind) } else { None }) {
        Some(InfoKind::Bridge) => Found::As(Object::Bridge(Bridge { name, up })),
        Some(InfoKind::Vxlan) => {
            let data = if let Some(InfoData::Vxlan(data)) = data { data.as_slice() } else { &[] };
            let altered = || Found::Altered(format!("vxlan {name} without VNI or local address"));
            found_vxlan(&name, &link.message, data, up).map_or_else(altered, |vxlan| Found::As(Object::Vxlan(vxlan)))
        }
        kind => Found::Altered(kind.map_or_else(|| "a link".to_owned(), |kind| format!("a link of kind {kind}"))),
    }
}

fn found_vxlan(name: &LinkName, message: &LinkMessage, data: &[InfoVxlan], up: bool) -> Option<Vxlan> {
    let (mut vni, mut local, mut port, mut learning, mut group_policy) = (None, None, 0, false, false);
    for attribute in data {
        match attribute {
            InfoVxlan::Id(id) => vni = Vni::try_from(*id).ok(),
            InfoVxlan::Local(address) => local = Some(IpAddr::V4(*address)),
            InfoVxlan::Local6(address) => local = Some(IpAddr::V6(*address)),
            InfoVxlan::Port(number) => port = *number,
            InfoVxlan::Learning(does) => learning = *does,
            InfoVxlan::Gbp => group_policy = true,
            _ => {}
        }
    }
    Some(Vxlan { name: name.clone(), vni: vni?, local: local?, port, mtu: mtu(message)?, group_policy, learning, up })
}

fn info(message: &LinkMessage) -> impl Iterator<Item = &LinkInfo> {
    message
        .attributes
        .iter()
        .filter_map(|a| if let LinkAttribute::LinkInfo(info) = a { Some(info) } else { None })
        .flatten()
}

fn mtu(message: &LinkMessage) -> Option<u32> {
    message.attributes.iter().find_map(|a| if let LinkAttribute::Mtu(mtu) = a { Some(*mtu) } else { None })
}

fn name(message: &LinkMessage) -> Option<&str> {
    message.attributes.iter().find_map(|a| if let LinkAttribute::IfName(name) = a { Some(name.as_str()) } else { None })
}

fn controller(message: &LinkMessage) -> Option<u32> {
    message.attributes.iter().find_map(|a| if let LinkAttribute::Controller(index) = a { Some(*index) } else { None })
}

fn is_isolated(message: &LinkMessage) -> bool {
    info(message).any(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(data)) => data.contains(&InfoBridgePort::Isolated(true)),
        _ => false,
    })
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let v6 = || <[u8; 16]>::try_from(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    v4.or_else(|_| v6()).ok()
}
