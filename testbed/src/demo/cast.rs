//! Who takes part in the demo: devices, their addresses, their credentials.

use std::net::Ipv4Addr;

use crate::world::bytes::Mac;
use crate::world::bytes::{device_address, local_mac};
use crate::world::nas::Method;

/// A device of the reference world.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// Its name.
    pub name: &'static str,
    /// The edge that it is attached to.
    pub edge: &'static str,
    /// The segment that it belongs to.
    pub segment: &'static str,
    /// The last octet of its addresses.
    pub number: u8,
    /// How it proves who it is.
    pub method: Method,
}

impl Actor {
    /// Its MAC address.
    pub fn mac(&self) -> Mac {
        local_mac(VLAN_GROUP, self.number)
    }

    /// Its MAC address as text.
    pub fn mac_text(&self) -> String {
        self.mac().map(|octet| format!("{octet:02x}")).join(":")
    }

    /// Its IPv4 address.
    pub fn address(&self) -> Ipv4Addr {
        device_address(VLAN, self.number)
    }

    /// Its password; every run makes others.
    pub fn password(&self, seed: u64) -> String {
        format!("{}-{:016x}", self.name, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.number))
    }
}

/// The VLAN of slice `iot` on every access port.
pub const VLAN: u16 = 110;
const VLAN_GROUP: u8 = 110;

/// A meter in the city.
pub const METER_1: Actor =
    Actor { name: "meter-1", edge: "edge-a", segment: "smart-metering", number: 11, method: Method::Pap };
/// Another.
pub const METER_2: Actor =
    Actor { name: "meter-2", edge: "edge-a", segment: "smart-metering", number: 12, method: Method::Pap };
/// A monitor that a patient wears at home, on the same access network as the meters.
pub const MONITOR_HOME: Actor =
    Actor { name: "monitor-home", edge: "edge-a", segment: "personal-health", number: 21, method: Method::Chap };
/// A monitor in the hospital.
pub const MONITOR_WARD: Actor =
    Actor { name: "monitor-ward", edge: "edge-b", segment: "personal-health", number: 22, method: Method::Chap };
/// What the meters report to.
pub const HEAD_END: Actor =
    Actor { name: "head-end", edge: "edge-c", segment: "smart-metering", number: 31, method: Method::Pap };
/// What the monitors report to.
pub const BACK_END: Actor =
    Actor { name: "back-end", edge: "edge-c", segment: "personal-health", number: 32, method: Method::Chap };
/// Someone who plugged in and has no credential.
pub const INTRUDER: Actor =
    Actor { name: "intruder", edge: "edge-a", segment: "smart-metering", number: 99, method: Method::Pap };

/// Those with a credential.
pub const MEMBERS: [Actor; 6] = [METER_1, METER_2, MONITOR_HOME, MONITOR_WARD, HEAD_END, BACK_END];

/// The edges with the access switch of each and the last octet of its address.
pub const EDGES: [(&str, &str, u8); 3] =
    [("edge-a", "city-switch", 11), ("edge-b", "hospital-switch", 12), ("edge-c", "dc-switch", 13)];

/// The core nodes.
pub const CORES: [&str; 2] = ["core-1", "core-2"];

/// A node by its name, with a number that no other has.
pub fn node(name: &str) -> Option<(&'static str, u8)> {
    let edges = EDGES.into_iter().map(|(edge, _, number)| (edge, number));
    edges.chain(CORES.into_iter().zip(1..)).find(|node| node.0 == name)
}

/// How many workers a node has: all but the data centre's do with one.
pub fn workers(node: &str) -> u8 {
    if node == HEAD_END.edge { 2 } else { 1 }
}

/// The port of every edge on which devices are.
pub const ACCESS: &str = "access0";

/// A node and one of its ports.
pub type End = (&'static str, &'static str);

/// What joins each edge to each core node.
pub const fn cables() -> [(End, End); 6] {
    const TO: [&str; 3] = ["to-edge-a", "to-edge-b", "to-edge-c"];
    const PORTS: [&str; 2] = ["core0", "core1"];
    let mut cables = [(("", ""), ("", "")); 6];
    let mut at = 0;
    while at < cables.len() {
        let (edge, core) = (at / 2, at % 2);
        cables[at] = ((EDGES[edge].0, PORTS[core]), (CORES[core], TO[edge]));
        at += 1;
    }
    cables
}

/// The ports of a node: those of its cables, after the access port of an edge.
pub fn ports(node: &str) -> Vec<&'static str> {
    let is_edge = EDGES.iter().any(|(edge, _, _)| *edge == node);
    let access = is_edge.then_some(ACCESS);
    let ends = cables().into_iter().flat_map(|(near, far)| [near, far]);
    access.into_iter().chain(ends.filter(|end| end.0 == node).map(|end| end.1)).collect()
}
