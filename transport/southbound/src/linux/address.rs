//! Addresses. Ours carry our protocol (IFA_PROTO, since Linux 5.18); an older kernel forgets it, and what was made there
//! is taken for somebody else's: it serves, and is never removed.

use std::io;
use std::net::IpAddr;

use model::InterfaceAddress;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::PROTOCOL;
use super::link::{Links, index};
use super::socket::Kernel;
use crate::device::{Cause, Found, Observed};
use crate::object::{Address, Object};
use crate::value::LinkName;

pub(super) fn observe(kernel: &mut Kernel, links: &Links, observed: &mut Observed) -> io::Result<()> {
    for message in read(kernel)? {
        if let (Some(link), Some(address)) = (links.name(message.header.index), address(&message)) {
            let object = Object::Address(Address { link: link.clone(), address });
            let key = object.key();
            match why_unused(&message) {
                Some(why) if is_ours(&message) => {
                    observed.ours.insert(key, Found::Unused(object, why.into()));
                }
                None if is_ours(&message) => {
                    observed.ours.insert(key, Found::As(object));
                }
                Some(_) => {}
                None => {
                    observed.others.insert(key, object);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn make(kernel: &mut Kernel, address: &Address) -> Result<(), Cause> {
    let request = request(index(kernel, &address.link)?, address.address);
    Ok(kernel.change(RouteNetlinkMessage::NewAddress(request), NLM_F_CREATE | NLM_F_EXCL)?)
}

/// Removes an address, unless others would go with it: the kernel takes the later IPv4 addresses of a network away with
/// the first, if it isn't told to promote them.
pub(super) fn remove(kernel: &mut Kernel, link: &LinkName, wanted: InterfaceAddress) -> Result<(), Cause> {
    let index = index(kernel, link)?;
    let here: Vec<AddressMessage> = read(kernel)?.into_iter().filter(|m| m.header.index == index).collect();
    let Some(own) = here.iter().find(|m| is_ours(m) && address(m) == Some(wanted)) else { return Ok(()) };
    if wanted.address().is_ipv4() && !is_secondary(own) {
        let follower = here.iter().filter(|m| is_secondary(m) && !is_ours(m)).filter_map(address);
        let mut follower = follower.filter(|a| a.length() == wanted.length() && wanted.is_on_link(a.address()));
        if let Some(follower) = follower.next() {
            return Err(Cause::WouldTakeAway(format!("{follower} of {link}")));
        }
    }
    Ok(kernel.change(RouteNetlinkMessage::DelAddress(request(index, wanted)), 0)?)
}

/// All addresses of the namespace.
pub(super) fn read(kernel: &mut Kernel) -> io::Result<Vec<AddressMessage>> {
    let answer = kernel.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let messages = answer.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => Some(message),
        _ => None,
    });
    Ok(messages.collect())
}

fn request(index: u32, address: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.address().is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.prefix_len = address.length();
    message.header.index = index;
    // The topology gives each address to one port. Asking the link first would leave the port without one for a second or
    // two, and let anybody on the link take it away by answering (RFC 4862, section 5.1: not asking is a setting).
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![
        AddressAttribute::Local(address.address()),
        AddressAttribute::Address(address.address()),
        AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)),
    ];
    message
}

fn is_ours(message: &AddressMessage) -> bool {
    message.attributes.contains(&AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)))
}

/// Why the kernel takes no packets to an address, as long as it doesn't (RFC 4862, section 5.4).
fn why_unused(message: &AddressMessage) -> Option<&'static str> {
    let has = |flag| message.header.flags.contains(flag);
    if has(AddressHeaderFlags::Dadfailed) {
        Some("somebody else on the link has it")
    } else if has(AddressHeaderFlags::Tentative) && !has(AddressHeaderFlags::Optimistic) {
        Some("it is not known yet whether somebody else on the link has it")
    } else {
        None
    }
}

fn is_secondary(message: &AddressMessage) -> bool {
    message.header.family == AddressFamily::Inet && message.header.flags.contains(AddressHeaderFlags::Secondary)
}

/// The address itself: the local one where the kernel tells two ends apart.
pub(super) fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let find = |pick: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(pick);
    let local = find(|a| if let AddressAttribute::Local(local) = a { Some(*local) } else { None });
    let any = || find(|a| if let AddressAttribute::Address(address) = a { Some(*address) } else { None });
    InterfaceAddress::new(local.or_else(any)?, message.header.prefix_len)
}
