//! The Linux kernel as a device, by netlink.
//!
//! What it does and with which kernel it was tried stands in docs/reference/linux-kernel.md. It changes no sysctl: a box
//! that is to forward needs `net.ipv6.conf.all.forwarding`, and that is for who owns the box to say.

mod address;
mod link;
mod neighbours;
mod route;
mod shaper;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use self::neighbours::{NeighbourEvents, Neighbours, Resolved};

use self::link::Links;
use self::socket::{Features, Kernel, Refusal};
use crate::device::{ApplyError, Cause, Device, ObserveError, Observed, Unsupported};
use crate::diff::Change;
use crate::object::{Action, EncapMode, Flavours, Key, Object};

/// The kernel of one network namespace.
#[derive(Debug)]
pub struct Linux {
    name: String,
    kernel: Kernel,
    features: Features,
}

/// The kernel can't be talked to.
#[derive(Debug, thiserror::Error)]
#[error("{device}: netlink can't be opened{}", in_namespace(.namespace.as_ref()))]
pub struct OpenError {
    /// The device.
    pub device: String,
    /// The namespace that was asked for.
    pub namespace: Option<PathBuf>,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Linux {
    /// The kernel of this process's namespace.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        Self::connect(name, None)
    }

    /// The kernel of another namespace, such as `/run/netns/NAME`; entering it needs CAP_SYS_ADMIN.
    pub fn open_in(name: &str, namespace: &Path) -> Result<Self, OpenError> {
        Self::connect(name, Some(namespace))
    }

    fn connect(name: &str, namespace: Option<&Path>) -> Result<Self, OpenError> {
        match Kernel::open(namespace) {
            Ok((kernel, features)) => Ok(Self { name: name.into(), kernel, features }),
            Err(source) => Err(OpenError { device: name.into(), namespace: namespace.map(Path::to_path_buf), source }),
        }
    }

    fn make(&mut self, object: &Object, how: How) -> Result<(), Cause> {
        self.supports(object)?;
        let kernel = &mut self.kernel;
        match object {
            Object::Vxlan(vxlan) => link::make_vxlan(kernel, vxlan, how),
            Object::Bridge(bridge) => link::make_bridge(kernel, bridge, how),
            Object::BridgePort(port) => link::make_port(kernel, port),
            Object::VxlanPeer(peer) => link::make_peer(kernel, peer),
            Object::Address(address) => address::make(kernel, address),
            Object::Route(route) => route::make(kernel, route, how),
            Object::LocalSid(sid) => route::make_sid(kernel, sid, how),
            Object::ShaperRoot(root) => shaper::make_root(kernel, root, how),
            Object::Shaper(shaper) => shaper::make_class(kernel, shaper, how),
            Object::Classifier(classifier) => shaper::make_classifier(kernel, classifier),
            Object::LinkUp(_) | Object::Forwarding(_) => Err(Cause::OfOwner),
        }
    }

    fn remove(&mut self, key: &Key) -> Result<(), Cause> {
        let kernel = &mut self.kernel;
        let removed = match key {
            Key::Link(name) => link::remove(kernel, name),
            Key::BridgePort(name) => link::remove_port(kernel, name),
            Key::VxlanPeer(name, remote) => link::remove_peer(kernel, name, *remote),
            Key::Address(name, address) => address::remove(kernel, name, *address),
            Key::Route(prefix, table, metric) => route::remove(kernel, *prefix, *table, *metric),
            Key::ShaperRoot(name) => shaper::remove_root(kernel, name),
            Key::Shaper(name, class) => shaper::remove_class(kernel, name, *class),
            Key::Classifier(name, vni, ipv6) => shaper::remove_classifier(kernel, name, *vni, *ipv6),
            // Nobody's but the owner's, so never found to be ours.
            Key::LinkUp(_) | Key::Forwarding(_) => Ok(()),
        };
        match removed {
            Err(Cause::NoLink(_)) => Ok(()),
            Err(Cause::Refused { source, .. }) if source.raw_os_error().is_some_and(|e| GONE.contains(&e)) => Ok(()),
            other => other,
        }
    }
}

impl Device for Linux {
    fn name(&self) -> &str {
        &self.name
    }

    fn observe(&mut self) -> Result<Observed, ObserveError> {
        read(&mut self.kernel).map_err(|(what, source)| ObserveError { device: self.name.clone(), what, source })
    }

    fn supports(&self, object: &Object) -> Result<(), Unsupported> {
        match why_not(object, self.features) {
            None => Ok(()),
            Some(why) => Err(Unsupported { device: self.name.clone(), object: object.to_string(), why }),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        let done = match change {
            Change::Add(object) => self.make(object, How::New),
            Change::Replace(object) => self.make(object, How::InPlace),
            Change::Remake(object) => self.remove(&object.key()).and_then(|()| self.make(object, How::New)),
            Change::Remove(key) => self.remove(key),
        };
        done.map_err(|cause| ApplyError { device: self.name.clone(), change: Box::new(change.clone()), cause })
    }
}

fn read(kernel: &mut Kernel) -> Result<Observed, (&'static str, io::Error)> {
    let of = |what| move |error| (what, error);
    let mut observed = Observed::default();
    let links = Links::read(kernel).map_err(of("links"))?;
    links.observe(&mut observed);
    kernel.forwards().into_iter().for_each(|family| {
        let object = Object::Forwarding(family);
        observed.others.insert(object.key(), object);
    });
    link::observe_peers(kernel, &links, &mut observed).map_err(of("forwarding entries"))?;
    address::observe(kernel, &links, &mut observed).map_err(of("addresses"))?;
    route::observe(kernel, &links, &mut observed).map_err(of("routes"))?;
    shaper::observe(kernel, &links, &mut observed).map_err(of("queueing disciplines"))?;
    Ok(observed)
}

/// Is something made, or changed?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Made; nothing may be in its place.
    New,
    /// Changed in its place.
    InPlace,
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        if refusal.code() == EEXIST {
            Self::Occupied(refusal.said)
        } else {
            Self::Refused { said: refusal.said, source: refusal.error }
        }
    }
}

impl From<io::Error> for Cause {
    fn from(source: io::Error) -> Self {
        Self::Refused { said: String::new(), source }
    }
}

/// What is known, without trying, to be out of reach.
fn why_not(object: &Object, features: Features) -> Option<&'static str> {
    let ours = "links of ours have a name that starts with `ms-`";
    match object {
        Object::Vxlan(o) => (!o.name.is_ours()).then_some(ours),
        Object::Bridge(o) => (!o.name.is_ours()).then_some(ours),
        Object::BridgePort(o) => (!o.bridge.is_ours()).then_some(ours),
        Object::VxlanPeer(o) => (!o.link.is_ours()).then_some(ours),
        Object::Route(o) => {
            let ipv6 = o.prefix.address().is_ipv6();
            match &o.encap {
                _ if o.via.is_some_and(|via| via.is_ipv6() != ipv6) => Some("the next hop is of another family"),
                Some(encap) if !(1..=SEGMENTS_MAX).contains(&encap.segments.len()) => {
                    Some("a segment routing header holds 1 to 126 segments")
                }
                Some(encap) if encap.mode == EncapMode::Inline && !ipv6 => {
                    Some("a segment routing header can be put only into an IPv6 packet")
                }
                _ => None,
            }
        }
        Object::LocalSid(o) if !o.sid.address().is_ipv6() => Some("a SID is an IPv6 address"),
        Object::LocalSid(o) if o.link.as_str() == "lo" => Some("an entry on the loopback device forwards nothing"),
        Object::LocalSid(o) => match o.action {
            Action::End(Flavours { usp: true, .. } | Flavours { usd: true, .. })
            | Action::EndX(_, Flavours { usp: true, .. } | Flavours { usd: true, .. }) => {
                Some("the kernel knows the flavours PSP and NEXT-CSID only")
            }
            Action::EndX(_, Flavours { psp: true, .. }) => Some("the kernel knows PSP for End only"),
            Action::EndDt4(_) | Action::EndDt46(_) if !features.vrf => {
                Some("the kernel needs VRF devices and net.vrf.strict_mode=1 for it")
            }
            _ => None,
        },
        Object::Address(_)
        | Object::ShaperRoot(_)
        | Object::Shaper(_)
        | Object::Classifier(_)
        | Object::LinkUp(_)
        | Object::Forwarding(_) => None,
    }
}

fn in_namespace(namespace: Option<&PathBuf>) -> String {
    namespace.map_or_else(String::new, |path| format!(" in namespace {}", path.display()))
}

/// The protocol of routes and addresses of ours (rtm_protocol, IFA_PROTO). Numbers from 5 on are free to take; no routing
/// daemon takes this one.
pub const PROTOCOL: u8 = 201;

/// The group of links of ours: `ms` in ASCII.
pub const GROUP: u32 = 0x6d73;

/// The handle of queueing disciplines of ours: `ms` in ASCII.
pub const HANDLE: u16 = 0x6d73;

/// An SRH counts its length in one octet of 8 octets each (RFC 8754, section 2); inline, one segment is the receiver.
const SEGMENTS_MAX: usize = 126;

const EEXIST: i32 = rustix::io::Errno::EXIST.raw_os_error();

/// What the kernel says of something that isn't there.
const GONE: [i32; 4] = [
    rustix::io::Errno::NODEV.raw_os_error(),
    rustix::io::Errno::SRCH.raw_os_error(),
    rustix::io::Errno::ADDRNOTAVAIL.raw_os_error(),
    rustix::io::Errno::NOENT.raw_os_error(),
];
