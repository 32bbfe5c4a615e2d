//! Who takes part in the demo: devices, their addresses, their credentials.

use std::net::Ipv4Addr;

use crate::world::bytes::Mac;
use crate::world::core::{device_address, local_mac};
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
