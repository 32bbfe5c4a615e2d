//! From what a plan says to what a device should have.

use std::net::IpAddr;

use model::{Rate, Vni};

use crate::object::{Bridge, BridgePort, Classifier, Desired, Duplicate, Object, Shaper, ShaperRoot, Vxlan, VxlanPeer};
use crate::value::{ClassId, InvalidValue, LinkName, ShapedRate};

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

/// A site that can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A number or a name is out of range.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// Two parts of it want the same place.
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
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

/// RFC 7348, section 5.
const VXLAN_PORT: u16 = 4789;
