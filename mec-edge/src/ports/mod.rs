//! Drivers of ports: how frames get in and out of an edge.

mod af_packet;
mod losses;
mod pcap;
mod ring;

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use model::{InvalidName, Mac, PortName};
use transport_dataplane::Port;
use transport_southbound::{NeighbourEvents, Neighbours};

pub use af_packet::{AfPacketError, AfPacketPort};
pub use losses::{Loss, Losses};
pub use pcap::{PcapPort, PcapPortError};
pub use ring::{RING_FRAME_OCTETS_MAX, RING_FRAMES_MAX, RingPeer, RingPort, ring_pair};

/// A port that a worker can drive.
pub trait EdgePort: Port + Send {
    /// The name of the driver, for listings.
    fn driver(&self) -> &'static str;

    /// Its own MAC address.
    fn mac(&self) -> Mac;

    /// Frames that it lost since it was opened.
    fn losses(&mut self) -> Losses;

    /// Does it play back what was recorded? Then nothing is taken from it before a program runs.
    fn is_replay(&self) -> bool {
        false
    }

    /// The kernel's neighbours on it, if it is a kernel interface; asked for in the namespace that it was opened in.
    fn kernel(&self) -> Option<std::io::Result<(Neighbours, NeighbourEvents)>> {
        None
    }

    /// What becomes readable when a frame arrives, if the driver has such a thing.
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A port as it is configured: `NAME=DRIVER:ARGUMENTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortConfig {
    /// Its name, as the topology has it.
    pub name: PortName,
    /// How frames get in and out.
    pub driver: DriverConfig,
}

/// A driver and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverConfig {
    /// A kernel interface, by a packet socket; needs root.
    AfPacket {
        /// The interface.
        interface: String,
    },
    /// Capture files.
    Pcap {
        /// What to read, once; nothing if left out.
        input: Option<PathBuf>,
        /// What to write.
        output: PathBuf,
    },
}

/// A port that is not configured as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPort {
    /// It has not the form.
    #[error("`{0}` is not a port; expected NAME=af-packet:INTERFACE or NAME=pcap:INPUT,OUTPUT (INPUT may be `none`)")]
    Form(String),
    /// Its name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl std::str::FromStr for PortConfig {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let form = || InvalidPort::Form(text.chars().take(120).collect());
        let (name, driver) = text.split_once('=').ok_or_else(form)?;
        let driver = match driver.split_once(':') {
            Some(("af-packet", interface)) if !interface.is_empty() => {
                DriverConfig::AfPacket { interface: interface.to_owned() }
            }
            Some(("pcap", files)) => match files.split_once(',') {
                Some((input, output)) if !input.is_empty() && !output.is_empty() => {
                    DriverConfig::Pcap { input: (input != "none").then(|| input.into()), output: output.into() }
                }
                _ => return Err(form()),
            },
            _ => return Err(form()),
        };
        Ok(Self { name: name.parse()?, driver })
    }
}

/// A port that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A kernel interface.
    #[error(transparent)]
    AfPacket(#[from] AfPacketError),
    /// Capture files.
    #[error(transparent)]
    Pcap(#[from] PcapPortError),
}

impl PortConfig {
    /// Opens it. `number` makes the MAC address of a driver that has none of its own.
    pub fn open(&self, number: u8) -> Result<Box<dyn EdgePort>, OpenError> {
        Ok(match &self.driver {
            DriverConfig::AfPacket { interface } => Box::new(AfPacketPort::open(interface)?),
            DriverConfig::Pcap { input, output } => Box::new(PcapPort::open(input.as_deref(), output, number)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_name_and_a_driver() {
        let port: PortConfig = "core0=af-packet:eth1".parse().unwrap();
        assert_eq!(port.driver, DriverConfig::AfPacket { interface: "eth1".to_owned() });
        let port: PortConfig = "access0=pcap:none,out.pcap".parse().unwrap();
        assert_eq!(port.driver, DriverConfig::Pcap { input: None, output: "out.pcap".into() });
        for bad in
            ["", "core0", "core0=eth1", "core0=af-packet:", "core0=pcap:x", "core0=dpdk:0", "Core=af-packet:eth0"]
        {
            assert!(bad.parse::<PortConfig>().is_err(), "{bad}");
        }
    }
}
