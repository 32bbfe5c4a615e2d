//! Southbound: makes devices that aren't our edges do their part of a slice, and reads back that they do it.
//!
//! What a device should have is a set of values ([`Desired`] of [`Object`]s). A [`Device`] is observed, the difference is
//! computed ([`diff`]), applied, and observed again until nothing differs ([`reconcile`]). The one device so far is the
//! Linux kernel ([`Linux`]), by netlink: addresses, routes, SRv6 encapsulation and SIDs, VXLAN, bridges, HTB classes.
//!
//! **Ownership is on the device itself**, so that what we made is found after a crash, and nothing else is touched:
//! routes and addresses carry protocol [`PROTOCOL`], links the name prefix `ms-` and the group [`GROUP`], queueing
//! disciplines the handle [`HANDLE`]; what stands on or in one of these is ours, too. New objects are made exclusively:
//! when something foreign is in the way, the kernel says so, and it stays.
//!
//! Beside that, [`Neighbours`] reads where the kernel has found the next hops of a link, for a forwarder that shares it.
//!
//! Calls block for as long as the kernel takes to answer; an async caller makes them where blocking is allowed.
//!
//! What this crate does not do: it decides nothing (that is the planner's), keeps no state beside the device's own, and
//! reads no clock.
#![forbid(unsafe_code)]

mod device;
mod diff;
mod drift;
mod linux;
mod object;
mod reconcile;
mod render;
mod value;

pub use device::{ApplyError, Cause, Device, Found, ObserveError, Observed, Unsupported};
pub use diff::{Change, Difference, diff, differences};
pub use drift::{Drift, DriftLog};
pub use linux::{GROUP, HANDLE, Linux, NeighbourEvents, Neighbours, OpenError, PROTOCOL, Resolved};
pub use object::{
    Action, Address, Bridge, BridgePort, Classifier, Csid, Desired, Duplicate, Encap, EncapMode, Flavours, Forwarding,
    Key, LinkUp, LocalSid, Object, Route, Shaper, ShaperRoot, Vxlan, VxlanPeer,
};
pub use reconcile::{PASSES_MAX, ReconcileError, Report, reconcile, verify};
pub use render::{RenderError, Segment, SliceShape, VxlanSite, core_node, vxlan_site};
pub use value::{ClassId, InvalidValue, LinkName, Metric, ShapedRate, Table};
