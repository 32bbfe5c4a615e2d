//! Neighbours: where the next hops of a link are, as the kernel has found out by ARP and neighbour discovery.
//!
//! A forwarder outside of the kernel that shares a link with it leaves the resolution to the kernel: it asks for an entry
//! ([`Neighbours::look`] asks the kernel to resolve what it doesn't know) and reads what came of it. Entries are read one
//! by one and by address, so a link full of strangers costs nothing here. [`NeighbourEvents`] says that something has changed,
//! not what: the answer is always what the kernel has now, however many messages were missed.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use model::Mac;
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::address::{AddressHeaderFlags, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::address;
use super::link::index;
use super::socket::Kernel;
use crate::device::Cause;
use crate::value::LinkName;

/// The kernel's neighbours on one link. Stays in the namespace that it was opened in.
#[derive(Debug)]
pub struct Neighbours {
    kernel: Kernel,
    link: LinkName,
}

/// What the kernel has of a link.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Those of the addresses asked about that the kernel has on the link.
    pub addresses: Vec<IpAddr>,
    /// Those of the next hops asked about that can be reached, and where.
    pub next_hops: Vec<(IpAddr, Mac)>,
}

/// Becomes readable when addresses, links or neighbours of the namespace change.
#[derive(Debug)]
pub struct NeighbourEvents(Socket);

impl Neighbours {
    /// Of a link in this thread's namespace, and what tells of its changes.
    pub fn open(link: &LinkName) -> io::Result<(Self, NeighbourEvents)> {
        let (kernel, _) = Kernel::open(None)?;
        let mut events = Socket::new(NETLINK_ROUTE)?;
        events.bind(&SocketAddr::new(0, 0))?;
        for group in [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR] {
            events.add_membership(group)?;
        }
        events.set_non_blocking(true)?;
        Ok((Self { kernel, link: link.clone() }, NeighbourEvents(events)))
    }

    /// The link.
    pub const fn link(&self) -> &LinkName {
        &self.link
    }

    /// Which of these addresses the kernel has, and where those of these next hops are that it resolves: each is given with
    /// the address from which it is asked. What the kernel doesn't know it is asked to find out, and what it has not
    /// confirmed for a while to confirm. A link that isn't there has nothing.
    pub fn look(&mut self, addresses: &[IpAddr], next_hops: &[(IpAddr, IpAddr)]) -> io::Result<Resolved> {
        let index = match index(&mut self.kernel, &self.link) {
            Ok(index) => index,
            Err(Cause::NoLink(_)) => return Ok(Resolved::default()),
            Err(error) => return Err(io::Error::other(error)),
        };
        let own = address::read(&mut self.kernel)?;
        let own: Vec<IpAddr> = own.iter().filter(|m| m.header.index == index).filter_map(answered).collect();
        let addresses: Vec<IpAddr> = addresses.iter().copied().filter(|address| own.contains(address)).collect();
        let mut found = Vec::new();
        for (next_hop, _) in next_hops.iter().filter(|(_, from)| addresses.contains(from)) {
            let entry = self.entry(index, *next_hop)?;
            if entry.is_none_or(|entry| entry.is_to_be_asked) {
                self.ask(index, *next_hop)?;
            }
            found.extend(entry.and_then(|entry| entry.mac).map(|mac| (*next_hop, mac)));
        }
        Ok(Resolved { addresses, next_hops: found })
    }

    /// The kernel's entry for a next hop.
    fn entry(&mut self, index: u32, next_hop: IpAddr) -> io::Result<Option<Entry>> {
        match self.kernel.get(RouteNetlinkMessage::GetNeighbour(request(index, next_hop))) {
            Ok(answers) => Ok(answers.iter().find_map(|answer| entry(answer, index, next_hop))),
            Err(refusal) if refusal.code() == ENOENT => Ok(None),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// As if a packet were to be sent there (NTF_USE, arp(7) for everyone else). A link that is down can't be asked on, which
    /// is found out again at the next look.
    fn ask(&mut self, index: u32, next_hop: IpAddr) -> io::Result<()> {
        let mut entry = request(index, next_hop);
        entry.header.flags = NeighbourFlags::Use;
        match self.kernel.change(RouteNetlinkMessage::NewNeighbour(entry), NLM_F_CREATE) {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.error.kind() == io::ErrorKind::PermissionDenied => Err(refusal.error),
            Err(refusal) => {
                tracing::debug!(link = %self.link, %next_hop, error = %refusal.error, "the kernel does not ask");
                Ok(())
            }
        }
    }
}

impl NeighbourEvents {
    /// Takes what has arrived, so that it is readable again only after the next change. At most so many messages as fit a
    /// socket's queue; what they say is not looked at.
    pub fn drain(&self) {
        let mut octets = [0; 4096];
        for _ in 0..EVENTS_MAX {
            match self.0.recv_from(&mut &mut octets[..], 0) {
                Ok(_) => {}
                // Some were missed, which is as good as one.
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

impl AsRawFd for NeighbourEvents {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for NeighbourEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the kernel knows of a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Where it is; not if it has failed or was never found.
    mac: Option<Mac>,
    /// Nobody has heard of it for a while, and the kernel does nothing about it.
    is_to_be_asked: bool,
}

/// The entry for a next hop on a link, if this is it.
fn entry(message: &RouteNetlinkMessage, index: u32, next_hop: IpAddr) -> Option<Entry> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let is_it = message.header.ifindex == index
        && message.attributes.iter().any(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => next_hop == IpAddr::V4(*address),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => next_hop == IpAddr::V6(*address),
            _ => false,
        });
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(octets) => octets.as_slice().try_into().ok().map(Mac),
        _ => None,
    });
    // NUD_VALID of linux/neighbour.h: there is an address that packets are sent to, confirmed or not.
    let (is_valid, is_to_be_asked) = match message.header.state {
        NeighbourState::Permanent
        | NeighbourState::Noarp
        | NeighbourState::Reachable
        | NeighbourState::Delay
        | NeighbourState::Probe => (true, false),
        NeighbourState::Stale => (true, true),
        NeighbourState::Incomplete => (false, false),
        _ => (false, true),
    };
    is_it.then_some(Entry { mac: mac.filter(|mac| is_valid && mac.is_unicast()), is_to_be_asked })
}

/// The address of a link that the kernel answers for: not one that somebody else was found to have.
fn answered(message: &AddressMessage) -> Option<IpAddr> {
    let is_refused = message.header.flags.contains(AddressHeaderFlags::Dadfailed);
    address::address(message).filter(|_| !is_refused).map(|address| address.address())
}

fn request(index: u32, next_hop: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = if next_hop.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(next_hop.into())];
    message
}

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_NEIGH: u32 = 3;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const ENOENT: i32 = 2;
const ENOBUFS: i32 = 105;
/// Messages that are taken at once.
const EVENTS_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
