//! What a device should have: one value for each object, compared as a whole, found again by its [`Key`].
//!
//! The key is what the device itself identifies the object by; the rest are attributes, which can differ.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{InterfaceAddress, Prefix, Sid, Vni};

use crate::value::{ClassId, LinkName, Metric, ShapedRate, Table};

/// One object on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A tunnel device of one segment.
    Vxlan(Vxlan),
    /// A bridge of one segment.
    Bridge(Bridge),
    /// A link that is a port of one of our bridges.
    BridgePort(BridgePort),
    /// Another end of a tunnel device: frames for unknown receivers are copied to it.
    VxlanPeer(VxlanPeer),
    /// An address of a link.
    Address(Address),
    /// A way to a prefix.
    Route(Route),
    /// A SID that the device acts on.
    LocalSid(LocalSid),
    /// Shaping on a link; the classes stand below it.
    ShaperRoot(ShaperRoot),
    /// The class of one slice.
    Shaper(Shaper),
    /// Which packets go into a class.
    Classifier(Classifier),
    /// A link that isn't ours, is up, and carries packets that are long enough. Who owns the box sees to it.
    LinkUp(LinkUp),
    /// Packets of others are forwarded. Who owns the box sees to it.
    Forwarding(Forwarding),
}

/// What a box forwards at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forwarding {
    /// IPv4 packets.
    Ipv4,
    /// IPv6 packets; with that off, every SID drops.
    Ipv6,
}

/// A VXLAN device (RFC 7348).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vxlan {
    /// Starts with `ms-`.
    pub name: LinkName,
    /// The segment.
    pub vni: Vni,
    /// The source of what it sends.
    pub local: IpAddr,
    /// The UDP port that it sends to and listens on.
    pub port: u16,
    /// The largest IP packet inside.
    pub mtu: u32,
    /// Does the group travel with the packet (draft-smith-vxlan-group-policy)? It comes from, and becomes, the mark.
    pub group_policy: bool,
    /// Does it learn which peer has which MAC address?
    pub learning: bool,
    /// Is it administratively up?
    pub up: bool,
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bridge {
    /// Starts with `ms-`.
    pub name: LinkName,
    /// Is it administratively up?
    pub up: bool,
}

/// A link, ours or not, in one of our bridges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BridgePort {
    /// The port.
    pub link: LinkName,
    /// The bridge.
    pub bridge: LinkName,
    /// A leaf: isolated ports reach only ports that aren't.
    pub isolated: bool,
}

/// A receiver of head-end replication: an entry for the MAC address of zeroes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VxlanPeer {
    /// The VXLAN device.
    pub link: LinkName,
    /// The other end.
    pub remote: IpAddr,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The link.
    pub link: LinkName,
    /// Address and prefix length.
    pub address: InterfaceAddress,
}

/// A route, with an SRv6 encapsulation where packets are to take a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to.
    pub prefix: Prefix,
    /// In which table.
    pub table: Table,
    /// Which of several.
    pub metric: Metric,
    /// The link that it leaves by.
    pub link: LinkName,
    /// The next hop; none when the receiver is on the link, or the path is in the segments.
    pub via: Option<IpAddr>,
    /// What is pushed.
    pub encap: Option<Encap>,
}

/// The head end of an SRv6 path (RFC 8986, section 5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Encap {
    /// What is pushed, and onto what.
    pub mode: EncapMode,
    /// The segments in the order of travel.
    pub segments: Vec<Sid>,
}

/// The head-end behaviours that the kernel names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncapMode {
    /// H.Encaps: outer IPv6 header and SRH (RFC 8986, section 5.1).
    Encaps,
    /// H.Encaps.Red: the first segment is only in the destination address (section 5.2).
    EncapsRed,
    /// H.Encaps.L2: of the whole frame (section 5.3).
    EncapsL2,
    /// H.Encaps.L2.Red (section 5.4).
    EncapsL2Red,
    /// The SRH is put into the packet itself; for IPv6 packets.
    Inline,
}

/// A SID that the device acts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalSid {
    /// The SID: an IPv6 prefix of 128 bits, of less where it carries an argument or further compressed SIDs.
    pub sid: Prefix,
    /// In which table.
    pub table: Table,
    /// Which of several.
    pub metric: Metric,
    /// A link to hang the entry on; forwarding doesn't depend on which, but it can't be the loopback.
    pub link: LinkName,
    /// What is done.
    pub action: Action,
}

/// Endpoint behaviours (RFC 8986, section 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// On to the next segment (section 4.1).
    End(Flavours),
    /// On to the next segment by a given neighbour (section 4.2).
    EndX(Ipv6Addr, Flavours),
    /// On to the next segment by a given table (section 4.3).
    EndT(Table),
    /// Decapsulates a frame onto a link (section 4.9).
    EndDx2(LinkName),
    /// Decapsulates an IPv4 packet to a neighbour (section 4.5).
    EndDx4(Ipv4Addr),
    /// Decapsulates an IPv6 packet to a neighbour (section 4.4).
    EndDx6(Ipv6Addr),
    /// Decapsulates an IPv4 packet and looks it up in the VRF of a table (section 4.7).
    EndDt4(Table),
    /// Decapsulates an IPv6 packet and looks it up in a table (section 4.6).
    EndDt6(Table),
    /// Either, by the VRF of a table (section 4.8).
    EndDt46(Table),
}

/// Variants of End and End.X (RFC 8986, section 4.16; RFC 9800 for compressed SIDs).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flavours {
    /// Penultimate segment pop.
    pub psp: bool,
    /// Ultimate segment pop.
    pub usp: bool,
    /// Ultimate segment decapsulation.
    pub usd: bool,
    /// NEXT-CSID.
    pub next_csid: Option<Csid>,
}

/// How a compressed SID is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Csid {
    /// Bits of the locator block.
    pub block_bits: u8,
    /// Bits of node and function.
    pub node_bits: u8,
}

/// The HTB discipline of a link, and the class of the whole link that slices borrow from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShaperRoot {
    /// The link.
    pub link: LinkName,
    /// What the link carries. What no classifier names goes into [`ClassId::REST`]; without that class it is not shaped.
    pub rate: ShapedRate,
}

/// The class of one slice on a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shaper {
    /// The link.
    pub link: LinkName,
    /// Its number.
    pub class: ClassId,
    /// What it is sure of.
    pub rate: ShapedRate,
    /// What it may borrow up to.
    pub ceil: ShapedRate,
}

/// Packets of one segment go into the class of its slice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Classifier {
    /// The link.
    pub link: LinkName,
    /// The segment.
    pub vni: Vni,
    /// Is the underlay IPv6?
    pub ipv6: bool,
    /// The class.
    pub class: ClassId,
}

/// A link of the owner's that is up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkUp {
    /// The link.
    pub link: LinkName,
    /// The longest IP packet that it carries.
    pub mtu: u32,
}

/// What an object is identified by on its device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A link of ours.
    Link(LinkName),
    /// A port of one of our bridges.
    BridgePort(LinkName),
    /// A peer of a VXLAN device.
    VxlanPeer(LinkName, IpAddr),
    /// An address of a link.
    Address(LinkName, InterfaceAddress),
    /// A route; the entry of a local SID is one.
    Route(Prefix, Table, Metric),
    /// Shaping on a link.
    ShaperRoot(LinkName),
    /// A class of a link.
    Shaper(LinkName, ClassId),
    /// The classifier of a segment on a link, by whether the underlay is IPv6.
    Classifier(LinkName, Vni, bool),
    /// The state of a link that isn't ours.
    LinkUp(LinkName),
    /// Forwarding.
    Forwarding(Forwarding),
}

impl Object {
    /// Does it, as somebody else has made it, do as well as what is wanted?
    pub(crate) fn serves_as(&self, want: &Self) -> bool {
        match (self, want) {
            (Self::LinkUp(found), Self::LinkUp(want)) => found.link == want.link && found.mtu >= want.mtu,
            _ => self == want,
        }
    }

    /// What the device identifies it by.
    pub fn key(&self) -> Key {
        match self {
            Self::Vxlan(o) => Key::Link(o.name.clone()),
            Self::Bridge(o) => Key::Link(o.name.clone()),
            Self::BridgePort(o) => Key::BridgePort(o.link.clone()),
            Self::VxlanPeer(o) => Key::VxlanPeer(o.link.clone(), o.remote),
            Self::Address(o) => Key::Address(o.link.clone(), o.address),
            Self::Route(o) => Key::Route(o.prefix, o.table, o.metric),
            Self::LocalSid(o) => Key::Route(o.sid, o.table, o.metric),
            Self::ShaperRoot(o) => Key::ShaperRoot(o.link.clone()),
            Self::Shaper(o) => Key::Shaper(o.link.clone(), o.class),
            Self::Classifier(o) => Key::Classifier(o.link.clone(), o.vni, o.ipv6),
            Self::LinkUp(o) => Key::LinkUp(o.link.clone()),
            Self::Forwarding(family) => Key::Forwarding(*family),
        }
    }

    /// The link without which it can't be; what is on a link goes with it.
    pub fn link(&self) -> Option<&LinkName> {
        match self {
            Self::Vxlan(_) | Self::Bridge(_) | Self::Forwarding(_) => None,
            Self::LinkUp(o) => Some(&o.link),
            Self::BridgePort(o) => Some(&o.link),
            Self::VxlanPeer(o) => Some(&o.link),
            Self::Address(o) => Some(&o.link),
            Self::Route(o) => Some(&o.link),
            Self::LocalSid(o) => Some(&o.link),
            Self::ShaperRoot(o) => Some(&o.link),
            Self::Shaper(o) => Some(&o.link),
            Self::Classifier(o) => Some(&o.link),
        }
    }
}

/// All that a device should have of ours: one object for a key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Desired(BTreeMap<Key, Object>);

impl Desired {
    /// Nothing of ours.
    pub const EMPTY: Self = Self(BTreeMap::new());

    /// Takes objects; the same one twice is fine, two for one key are not.
    pub fn new(objects: impl IntoIterator<Item = Object>) -> Result<Self, Duplicate> {
        let mut desired = Self::default();
        objects.into_iter().try_for_each(|object| desired.insert(object)).map(|()| desired)
    }

    /// Takes one more.
    pub fn insert(&mut self, object: Object) -> Result<(), Duplicate> {
        match self.0.get(&object.key()) {
            Some(first) if *first != object => Err(Duplicate(Box::new([first.clone(), object]))),
            Some(_) => Ok(()),
            None => {
                self.0.insert(object.key(), object);
                Ok(())
            }
        }
    }

    /// The objects by key.
    pub const fn objects(&self) -> &BTreeMap<Key, Object> {
        &self.0
    }
}

/// Two objects that can't both be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: it can't be both `{}` and `{}`", .0[0].key(), .0[0], .0[1])]
pub struct Duplicate(pub Box<[Object; 2]>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link {name}"),
            Self::BridgePort(link) => write!(f, "bridge port {link}"),
            Self::VxlanPeer(link, remote) => write!(f, "peer {remote} of {link}"),
            Self::Address(link, address) => write!(f, "address {address} of {link}"),
            Self::Route(prefix, table, metric) => write!(f, "route {prefix} in table {table}, metric {metric}"),
            Self::ShaperRoot(link) => write!(f, "shaping of {link}"),
            Self::Shaper(link, class) => write!(f, "class {class} of {link}"),
            Self::Classifier(link, vni, ipv6) => {
                write!(f, "classifier of VNI {vni} over IPv{} on {link}", if *ipv6 { 6 } else { 4 })
            }
            Self::LinkUp(link) => write!(f, "link {link} up"),
            Self::Forwarding(family) => family.fmt(f),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vxlan(o) => {
                write!(f, "vxlan {} vni {} local {} port {} mtu {}", o.name, o.vni, o.local, o.port, o.mtu)?;
                let said = [(o.group_policy, " group-policy"), (o.learning, " learning"), (!o.up, " down")];
                said.iter().filter(|(set, _)| *set).try_for_each(|(_, word)| f.write_str(word))
            }
            Self::Bridge(o) => write!(f, "bridge {}{}", o.name, if o.up { "" } else { " down" }),
            Self::BridgePort(o) => {
                write!(f, "{} in bridge {}{}", o.link, o.bridge, if o.isolated { " isolated" } else { "" })
            }
            Self::VxlanPeer(_) | Self::Address(_) | Self::Forwarding(_) => self.key().fmt(f),
            Self::LinkUp(o) => write!(f, "{} mtu {}", self.key(), o.mtu),
            Self::Route(o) => {
                write!(f, "{}", self.key())?;
                if let Some(encap) = &o.encap {
                    write!(f, " {encap}")?;
                }
                if let Some(via) = o.via {
                    write!(f, " via {via}")?;
                }
                write!(f, " by {}", o.link)
            }
            Self::LocalSid(o) => {
                let (sid, table, metric, link) = (o.sid, o.table, o.metric, &o.link);
                write!(f, "SID {sid} {} in table {table}, metric {metric}, on {link}", o.action)
            }
            Self::ShaperRoot(o) => write!(f, "shaping of {} at {}", o.link, o.rate),
            Self::Shaper(o) => write!(f, "class {} of {} rate {} ceiling {}", o.class, o.link, o.rate, o.ceil),
            Self::Classifier(o) => write!(f, "{} into class {}", self.key(), o.class),
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipv4 => "net.ipv4.ip_forward=1",
            Self::Ipv6 => "net.ipv6.conf.all.forwarding=1",
        })
    }
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.mode {
            EncapMode::Encaps => "H.Encaps",
            EncapMode::EncapsRed => "H.Encaps.Red",
            EncapMode::EncapsL2 => "H.Encaps.L2",
            EncapMode::EncapsL2Red => "H.Encaps.L2.Red",
            EncapMode::Inline => "inline SRH",
        };
        f.write_str(name)?;
        self.segments.iter().enumerate().try_for_each(|(i, sid)| write!(f, "{}{sid}", if i == 0 { " " } else { "," }))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(flavours) => write!(f, "End{flavours}"),
            Self::EndX(via, flavours) => write!(f, "End.X{flavours} via {via}"),
            Self::EndT(table) => write!(f, "End.T table {table}"),
            Self::EndDx2(link) => write!(f, "End.DX2 to {link}"),
            Self::EndDx4(via) => write!(f, "End.DX4 via {via}"),
            Self::EndDx6(via) => write!(f, "End.DX6 via {via}"),
            Self::EndDt4(table) => write!(f, "End.DT4 table {table}"),
            Self::EndDt6(table) => write!(f, "End.DT6 table {table}"),
            Self::EndDt46(table) => write!(f, "End.DT46 table {table}"),
        }
    }
}

impl fmt::Display for Flavours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [(self.psp, " PSP"), (self.usp, " USP"), (self.usd, " USD")];
        said.iter().filter(|(set, _)| *set).try_for_each(|(_, word)| f.write_str(word))?;
        self.next_csid.map_or(Ok(()), |csid| write!(f, " NEXT-CSID {}+{}", csid.block_bits, csid.node_bits))
    }
}
