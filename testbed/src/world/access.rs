//! An access network: a switch with devices behind it and one tagged port towards the edge.

use std::net::Ipv4Addr;

use super::bytes;
use super::device::Device;

/// An access network of one edge, on one VLAN.
#[derive(Debug)]
pub struct AccessNetwork {
    /// The VLAN that the switch tags frames towards the edge with.
    pub vlan: u16,
    /// Those attached.
    pub devices: Vec<Device>,
    /// Frames from the edge that no device here wanted.
    pub strays: u64,
}

impl AccessNetwork {
    /// An access network without devices.
    pub fn new(vlan: u16) -> Self {
        Self { vlan, devices: Vec::new(), strays: 0 }
    }

    /// The device of a name.
    pub fn device(&mut self, name: &str) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.name == name)
    }

    /// The device with an address.
    pub fn at(&self, address: Ipv4Addr) -> Option<&Device> {
        self.devices.iter().find(|device| device.address == address)
    }

    /// A device's frame as it leaves towards the edge.
    pub fn tagged(&self, frame: &[u8]) -> Vec<u8> {
        let (addresses, rest) = frame.split_at(frame.len().min(12));
        [addresses, &[0x81, 0x00], &self.vlan.to_be_bytes(), rest].concat()
    }

    /// A frame from the edge; what the devices answer goes into `answers`, tagged.
    pub fn from_edge(&mut self, frame: &[u8], answers: &mut Vec<Vec<u8>>) {
        let Some((header, payload)) = bytes::read_ethernet(frame) else {
            self.strays += 1;
            return;
        };
        if header.vlan != Some(self.vlan) {
            self.strays += 1;
            return;
        }
        let untagged = bytes::ethernet(header.destination, header.source, None, header.ethertype, payload);
        let is_group = header.destination[0] & 1 == 1;
        let mut wanted = false;
        let mut replies = Vec::new();
        for device in &mut self.devices {
            if is_group || device.mac == header.destination {
                wanted = true;
                replies.extend(device.receive(&untagged));
            }
        }
        self.strays += u64::from(!wanted);
        answers.extend(replies.iter().map(|reply| self.tagged(reply)));
    }
}
