//! Routes, SRv6 encapsulation on them, and local SIDs, which to the kernel are routes, too.
//!
//! Numbers: linux/seg6_iptunnel.h, linux/seg6_local.h.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{Prefix, Sid};
use netlink_packet_core::{DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Nla, NlasIterator};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage,
    RouteProtocol, RouteScope, RouteSeg6IpTunnel, RouteSeg6LocalTunnel, RouteType, Seg6Header, Seg6LocalAction,
    Seg6Mode,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::link::{Links, index};
use super::socket::Kernel;
use super::{How, PROTOCOL};
use crate::device::{Cause, Found, Observed};
use crate::object::{Action, Csid, Encap, EncapMode, Flavours, Key, LocalSid, Object, Route};
use crate::value::{LinkName, Metric, Table};

pub(super) fn observe(kernel: &mut Kernel, links: &Links, observed: &mut Observed) -> io::Result<()> {
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        // A kernel that knows filters sends only ours, however many others there are.
        request.header.protocol = RouteProtocol::Other(PROTOCOL);
        for answer in kernel.dump(&RouteNetlinkMessage::GetRoute(request))? {
            if let RouteNetlinkMessage::NewRoute(message) = answer
                && message.header.protocol == RouteProtocol::Other(PROTOCOL)
                && let Some(key) = key(&message)
            {
                let found = found(&key, &message, links).unwrap_or_else(Found::Altered);
                // Two routes for one key differ in something that we never make.
                let seen = observed.ours.remove(&key).map(|seen| Found::Altered(format!("{seen}, and {found}")));
                observed.ours.insert(key, seen.unwrap_or(found));
            }
        }
    }
    for (key, found) in &mut observed.ours {
        if let (Key::Route(prefix, Table::MAIN, _), Found::As(object)) = (key, &*found)
            && let Some(why) = why_unused(kernel, *prefix)?
        {
            *found = Found::Unused(object.clone(), why);
        }
    }
    Ok(())
}

/// Why packets to a prefix don't take our routes to it in the main table, if they don't.
///
/// One address is asked for, so that it costs the same however many routes others have. Which one tells nothing but
/// whether a route to just this prefix is preferred: it is far from those that people give to machines, and a route to
/// a part of the prefix, or a rule that leads to another table, is the owner's wish, which is no business of ours.
fn why_unused(kernel: &mut Kernel, prefix: Prefix) -> io::Result<Option<String>> {
    let (bits, family, flags) = match prefix.address() {
        IpAddr::V4(_) => (32, AddressFamily::Inet, RouteFlags::FibMatch | RouteFlags::LookupTable),
        // Here the table is said unasked, and a flag too many is refused.
        IpAddr::V6(_) => (128, AddressFamily::Inet6, RouteFlags::FibMatch),
    };
    let mut request = RouteMessage::default();
    request.header.address_family = family;
    request.header.destination_prefix_length = bits;
    request.header.flags = flags;
    request.attributes = vec![RouteAttribute::Destination(inside(prefix).into())];
    let answer = match kernel.get(RouteNetlinkMessage::GetRoute(request)) {
        Ok(answer) => answer,
        // So the kernel tells of a route that leads nowhere.
        Err(refusal) if NO_WAY.contains(&refusal.code()) => {
            return Ok(Some(format!("packets to {prefix} are refused: {}", refusal.error)));
        }
        Err(refusal) => return Err(refusal.error),
    };
    let taken = answer.iter().find_map(|answer| match answer {
        // Kernels before 4.13 answer with the address itself, which says nothing.
        RouteNetlinkMessage::NewRoute(route) if !route.header.flags.contains(RouteFlags::Cloned) => Some(route),
        _ => None,
    });
    let foreign = taken.filter(|route| route.header.protocol != RouteProtocol::Other(PROTOCOL));
    Ok(foreign.and_then(|route| {
        let (to, table, metric) = identity(route)?;
        let protocol = u8::from(route.header.protocol);
        let why = format!("another route, of protocol {protocol} with metric {metric}, is preferred");
        ((to, table) == (prefix, Table::MAIN.get())).then_some(why)
    }))
}

/// An address of a prefix, its host's bits in turn 1 and 0.
fn inside(prefix: Prefix) -> IpAddr {
    match prefix.address() {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            (address | Ipv4Addr::from_bits(host / 3 * 2)).into()
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            (address | Ipv6Addr::from_bits(host / 3 * 2)).into()
        }
    }
}

pub(super) fn make(kernel: &mut Kernel, route: &Route, how: How) -> Result<(), Cause> {
    let mut message = request(route.prefix, route.table, route.metric);
    if route.via.is_some() {
        message.header.scope = RouteScope::Universe;
    } else if route.prefix.address().is_ipv4() {
        message.header.scope = RouteScope::Link;
    }
    message.attributes.push(RouteAttribute::Oif(index(kernel, &route.link)?));
    message.attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
    if let Some(encap) = &route.encap {
        message.attributes.push(RouteAttribute::EncapType(RouteLwEnCapType::Seg6));
        let header = RouteSeg6IpTunnel::Seg6(segments(encap));
        message.attributes.push(RouteAttribute::Encap(vec![RouteLwTunnelEncap::Seg6(header)]));
    }
    send(kernel, message, how)
}

pub(super) fn make_sid(kernel: &mut Kernel, sid: &LocalSid, how: How) -> Result<(), Cause> {
    let mut message = request(sid.sid, sid.table, sid.metric);
    message.attributes.push(RouteAttribute::Oif(index(kernel, &sid.link)?));
    message.attributes.push(RouteAttribute::EncapType(RouteLwEnCapType::Seg6Local));
    let action = action(kernel, &sid.action)?;
    message.attributes.push(RouteAttribute::Encap(action.into_iter().map(RouteLwTunnelEncap::Seg6Local).collect()));
    send(kernel, message, how)
}

/// Removes a route of ours; the kernel compares the protocol, so that one of somebody else's stays.
pub(super) fn remove(kernel: &mut Kernel, prefix: Prefix, table: Table, metric: Metric) -> Result<(), Cause> {
    let mut message = request(prefix, table, metric);
    message.header.scope = RouteScope::NoWhere;
    message.header.kind = RouteType::Unspec;
    Ok(kernel.change(RouteNetlinkMessage::DelRoute(message), 0)?)
}

fn send(kernel: &mut Kernel, message: RouteMessage, how: How) -> Result<(), Cause> {
    let flags = match how {
        How::New => NLM_F_CREATE | NLM_F_EXCL,
        How::InPlace => NLM_F_CREATE | NLM_F_REPLACE,
    };
    Ok(kernel.change(RouteNetlinkMessage::NewRoute(message), flags)?)
}

fn request(prefix: Prefix, table: Table, metric: Metric) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if prefix.address().is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.destination_prefix_length = prefix.length();
    message.header.table = u8::try_from(table.get()).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(prefix.address().into()),
        RouteAttribute::Table(table.get()),
        RouteAttribute::Priority(metric.get()),
    ];
    message
}

fn segments(encap: &Encap) -> Seg6Header {
    let mut header = Seg6Header::default();
    header.mode = Seg6Mode::from(mode_number(encap.mode));
    header.segments = encap.segments.iter().map(|sid| sid.get()).collect();
    if encap.mode == EncapMode::Inline {
        // The kernel puts the packet's own receiver into the last place.
        header.segments.push(Ipv6Addr::UNSPECIFIED);
    }
    header
}

fn action(kernel: &mut Kernel, action: &Action) -> Result<Vec<RouteSeg6LocalTunnel>, Cause> {
    use RouteSeg6LocalTunnel as Attribute;
    use Seg6LocalAction as Number;
    let (number, attribute) = match action {
        Action::End(flavours) => (Number::End, flavour_attribute(*flavours)),
        Action::EndX(via, flavours) => {
            let attributes = [Some(Attribute::Nh6(*via)), flavour_attribute(*flavours)];
            let number = Attribute::Action(Number::EndX);
            return Ok(std::iter::once(number).chain(attributes.into_iter().flatten()).collect());
        }
        Action::EndT(table) => (Number::EndT, Some(Attribute::Table(table.get()))),
        Action::EndDx2(link) => (Number::EndDx2, Some(Attribute::Oif(index(kernel, link)?))),
        Action::EndDx4(via) => (Number::EndDx4, Some(Attribute::Nh4(*via))),
        Action::EndDx6(via) => (Number::EndDx6, Some(Attribute::Nh6(*via))),
        Action::EndDt4(table) => (Number::EndDt4, Some(Attribute::VrfTable(table.get()))),
        // The form without a VRF device, which every kernel has.
        Action::EndDt6(table) => (Number::EndDt6, Some(Attribute::Table(table.get()))),
        Action::EndDt46(table) => (Number::EndDt46, Some(Attribute::VrfTable(table.get()))),
    };
    Ok(std::iter::once(Attribute::Action(number)).chain(attribute).collect())
}

fn flavour_attribute(flavours: Flavours) -> Option<RouteSeg6LocalTunnel> {
    if flavours == Flavours::default() {
        return None;
    }
    let said = [(flavours.psp, FLAVOUR_PSP), (flavours.usp, FLAVOUR_USP), (flavours.usd, FLAVOUR_USD)];
    let next = flavours.next_csid.map_or(0, |_| 1 << FLAVOUR_NEXT_CSID);
    let operations = said.iter().filter(|(set, _)| *set).fold(next, |all, (_, bit)| all | 1 << bit);
    let mut octets = attribute(FLAVOURS_OPERATION, &u32::to_ne_bytes(operations));
    if let Some(csid) = flavours.next_csid {
        octets.extend(attribute(FLAVOURS_BLOCK_BITS, &[csid.block_bits]));
        octets.extend(attribute(FLAVOURS_NODE_BITS, &[csid.node_bits]));
    }
    Some(RouteSeg6LocalTunnel::Other(DefaultNla::new(SEG6_LOCAL_FLAVORS | NLA_F_NESTED, octets)))
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let nla = DefaultNla::new(kind, value.to_vec());
    let mut octets = vec![0; nla.buffer_len()];
    nla.emit(&mut octets);
    octets
}

fn key(message: &RouteMessage) -> Option<Key> {
    let (prefix, table, metric) = identity(message)?;
    Some(Key::Route(prefix, Table::new(table).ok()?, Metric::new(metric).ok()?))
}

/// Prefix, table and metric.
fn identity(message: &RouteMessage) -> Option<(Prefix, u32, u32)> {
    let mut address = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let (mut table, mut metric) = (u32::from(message.header.table), 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => address = ip(to)?,
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Priority(number) => metric = *number,
            _ => {}
        }
    }
    Some((Prefix::new(address, message.header.destination_prefix_length)?, table, metric))
}

/// What a route of ours is; in words, if we never make such a one.
fn found(key: &Key, message: &RouteMessage, links: &Links) -> Result<Found, String> {
    let Key::Route(prefix, table, metric) = *key else { return Err("no route".into()) };
    if message.header.kind != RouteType::Unicast {
        return Err(format!("a {:?} route", message.header.kind));
    }
    let (mut link, mut via, mut encap, mut action) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = links.name(*index).cloned(),
            RouteAttribute::Gateway(gateway) => via = ip(gateway),
            RouteAttribute::Via(_) => return Err("by a next hop of another family".into()),
            RouteAttribute::MultiPath(_) => return Err("by several next hops".into()),
            RouteAttribute::NhId(_) => return Err("by a next-hop object".into()),
            RouteAttribute::EncapType(RouteLwEnCapType::Seg6 | RouteLwEnCapType::Seg6Local) => {}
            RouteAttribute::EncapType(other) => return Err(format!("with an encapsulation of kind {other}")),
            RouteAttribute::Encap(attributes) => match attributes.first() {
                Some(RouteLwTunnelEncap::Seg6(_)) => encap = Some(found_encap(attributes)?),
                Some(RouteLwTunnelEncap::Seg6Local(_)) => action = Some(found_action(attributes, links)?),
                _ => return Err("with an encapsulation that can't be read".into()),
            },
            _ => {}
        }
    }
    let link: LinkName = link.ok_or("by no link, or one that has gone")?;
    Ok(Found::As(match action {
        Some(action) => Object::LocalSid(LocalSid { sid: prefix, table, metric, link, action }),
        None => Object::Route(Route { prefix, table, metric, link, via, encap }),
    }))
}

fn found_encap(attributes: &[RouteLwTunnelEncap]) -> Result<Encap, String> {
    let header = attributes.iter().find_map(|a| match a {
        RouteLwTunnelEncap::Seg6(RouteSeg6IpTunnel::Seg6(header)) => Some(header),
        _ => None,
    });
    let header = header.ok_or("with a segment routing header that can't be read")?;
    if header.hmac.is_some() {
        return Err("with an HMAC".into());
    }
    let number = u32::from(header.mode);
    let mode = MODES.into_iter().find(|mode| mode_number(*mode) == number);
    let mode = mode.ok_or_else(|| format!("with encapsulation mode {number}"))?;
    let own = usize::from(mode == EncapMode::Inline);
    let travelled = header.segments.len().saturating_sub(own);
    let sids = header.segments.iter().take(travelled).map(|a| Sid::new(*a).map_err(|error| error.to_string()));
    Ok(Encap { mode, segments: sids.collect::<Result<_, _>>()? })
}

fn found_action(attributes: &[RouteLwTunnelEncap], links: &Links) -> Result<Action, String> {
    use RouteSeg6LocalTunnel as Attribute;
    use Seg6LocalAction as Number;
    let attributes =
        || attributes.iter().filter_map(|a| if let RouteLwTunnelEncap::Seg6Local(a) = a { Some(a) } else { None });
    let (mut number, mut flavours) = (Number::Unspec, Flavours::default());
    let (mut via4, mut via6, mut table, mut oif) = (None, None, None, None);
    for attribute in attributes() {
        match attribute {
            Attribute::Action(action) => number = *action,
            Attribute::Nh4(via) => via4 = Some(*via),
            Attribute::Nh6(via) => via6 = Some(*via),
            Attribute::Table(id) | Attribute::VrfTable(id) => table = Table::new(*id).ok(),
            Attribute::Oif(index) => oif = links.name(*index).cloned(),
            Attribute::Other(nla) if nla.kind() & !NLA_F_NESTED == SEG6_LOCAL_FLAVORS => {
                flavours = found_flavours(nla).ok_or("with flavours that can't be read")?;
            }
            _ => {}
        }
    }
    let lacks = || format!("{number} without what it needs, or with a link that has gone");
    Ok(match number {
        Number::End => Action::End(flavours),
        Number::EndX => Action::EndX(via6.ok_or_else(lacks)?, flavours),
        Number::EndT => Action::EndT(table.ok_or_else(lacks)?),
        Number::EndDx2 => Action::EndDx2(oif.ok_or_else(lacks)?),
        Number::EndDx4 => Action::EndDx4(via4.ok_or_else(lacks)?),
        Number::EndDx6 => Action::EndDx6(via6.ok_or_else(lacks)?),
        Number::EndDt4 => Action::EndDt4(table.ok_or_else(lacks)?),
        Number::EndDt6 => Action::EndDt6(table.ok_or_else(lacks)?),
        Number::EndDt46 => Action::EndDt46(table.ok_or_else(lacks)?),
        other => return Err(format!("a SID with {other}")),
    })
}

fn found_flavours(nla: &DefaultNla) -> Option<Flavours> {
    let mut octets = vec![0; nla.value_len()];
    nla.emit_value(&mut octets);
    let (mut operations, mut block_bits, mut node_bits) = (0, None, None);
    for attribute in NlasIterator::new(octets.as_slice()) {
        let attribute = attribute.ok()?;
        match (attribute.kind(), attribute.value()) {
            (FLAVOURS_OPERATION, value) => operations = u32::from_ne_bytes(*value.first_chunk()?),
            (FLAVOURS_BLOCK_BITS, value) => block_bits = value.first().copied(),
            (FLAVOURS_NODE_BITS, value) => node_bits = value.first().copied(),
            _ => {}
        }
    }
    let has = |bit: u32| operations & 1 << bit != 0;
    let next_csid = match (has(FLAVOUR_NEXT_CSID), block_bits, node_bits) {
        (true, Some(block_bits), Some(node_bits)) => Some(Csid { block_bits, node_bits }),
        (true, ..) => return None,
        _ => None,
    };
    Some(Flavours { psp: has(FLAVOUR_PSP), usp: has(FLAVOUR_USP), usd: has(FLAVOUR_USD), next_csid })
}

const fn mode_number(mode: EncapMode) -> u32 {
    match mode {
        EncapMode::Inline => 0,
        EncapMode::Encaps => 1,
        EncapMode::EncapsL2 => 2,
        EncapMode::EncapsRed => 3,
        EncapMode::EncapsL2Red => 4,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

const MODES: [EncapMode; 5] =
    [EncapMode::Inline, EncapMode::Encaps, EncapMode::EncapsL2, EncapMode::EncapsRed, EncapMode::EncapsL2Red];

/// What a packet gets that is refused its way: by a route of type blackhole, unreachable or prohibit, or for want of one.
const NO_WAY: [i32; 4] = [
    rustix::io::Errno::INVAL.raw_os_error(),
    rustix::io::Errno::HOSTUNREACH.raw_os_error(),
    rustix::io::Errno::ACCESS.raw_os_error(),
    rustix::io::Errno::NETUNREACH.raw_os_error(),
];

const NLA_F_NESTED: u16 = 1 << 15;
const SEG6_LOCAL_FLAVORS: u16 = 11;
const FLAVOURS_OPERATION: u16 = 1;
const FLAVOURS_BLOCK_BITS: u16 = 2;
const FLAVOURS_NODE_BITS: u16 = 3;
const FLAVOUR_PSP: u32 = 1;
const FLAVOUR_USP: u32 = 2;
const FLAVOUR_USD: u32 = 3;
const FLAVOUR_NEXT_CSID: u32 = 4;
