//! Drivers of ports: how frames get in and out of an edge.

mod af_packet;
mod af_xdp;
mod losses;
mod mend;
mod pcap;
mod ring;
mod system;
mod tap;

use std::borrow::Cow;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use model::{InvalidName, Mac, PortName};
use transport_dataplane::Port;
use transport_southbound::{NeighbourEvents, Neighbours};

pub use af_packet::{AfPacketError, AfPacketPort};
pub use af_xdp::{AfXdpError, AfXdpPort};
pub use losses::{Loss, Losses};
pub use pcap::{PcapPort, PcapPortError};
pub use ring::{RING_FRAME_OCTETS_MAX, RING_FRAMES_MAX, RingPeer, RingPort, ring_pair};
pub use tap::{TapError, TapPort};

/// A port that a worker can drive.
pub trait EdgePort: Port + Send {
    /// The driver, and how it works here, for listings.
    fn driver(&self) -> Cow<'static, str>;

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

    /// Is it to be looked at all the time, instead of waiting for it?
    fn is_busy_polled(&self) -> bool {
        false
    }

    /// What becomes readable when a frame arrives, if the driver has such a thing.
    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// How an edge learns that a frame has arrived.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Polling {
    /// It rests when nothing is to be done, and is woken. Several edges can share a core.
    #[default]
    Interrupt,
    /// It looks all the time, and takes a core for itself. Frames wait for nobody to wake up.
    Busy,
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
    /// A kernel interface, by the best driver that works on it; needs root.
    Kernel {
        /// The interface.
        interface: String,
    },
    /// A kernel interface, by sockets in memory that is shared with its driver; needs root.
    AfXdp {
        /// The interface.
        interface: String,
    },
    /// A kernel interface, by a packet socket; needs root.
    AfPacket {
        /// The interface.
        interface: String,
    },
    /// A TAP device: the kernel, and what runs on it, is at the other end; needs root.
    Tap {
        /// The interface at the other end.
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
    #[error(
        "`{0}` is not a port; expected NAME=kernel:INTERFACE, NAME=af-xdp:INTERFACE, NAME=af-packet:INTERFACE, \
         NAME=tap:INTERFACE or NAME=pcap:INPUT,OUTPUT (INPUT may be `none`)"
    )]
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
        let (driver, arguments) =
            driver.split_once(':').filter(|(_, arguments)| !arguments.is_empty()).ok_or_else(form)?;
        let interface = arguments.to_owned();
        let driver = match driver {
            "kernel" => DriverConfig::Kernel { interface },
            "af-xdp" => DriverConfig::AfXdp { interface },
            "af-packet" => DriverConfig::AfPacket { interface },
            "tap" => DriverConfig::Tap { interface },
            "pcap" => match arguments.split_once(',') {
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
    /// A kernel interface, by AF_XDP.
    #[error(transparent)]
    AfXdp(#[from] AfXdpError),
    /// A kernel interface, by a packet socket.
    #[error(transparent)]
    AfPacket(#[from] AfPacketError),
    /// A TAP device.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// Capture files.
    #[error(transparent)]
    Pcap(#[from] PcapPortError),
}

impl PortConfig {
    /// Opens it. `number` makes the MAC address of a driver that has none of its own.
    pub fn open(&self, number: u8, polling: Polling) -> Result<Box<dyn EdgePort>, OpenError> {
        Ok(match &self.driver {
            DriverConfig::Kernel { interface } => return open_best(interface, polling),
            DriverConfig::AfXdp { interface } => Box::new(AfXdpPort::open(interface, polling)?),
            DriverConfig::AfPacket { interface } => Box::new(AfPacketPort::open(interface, polling)?),
            DriverConfig::Tap { interface } => Box::new(TapPort::open(interface, number, polling)?),
            DriverConfig::Pcap { input, output } => Box::new(PcapPort::open(input.as_deref(), output, number)?),
        })
    }
}

/// A kernel interface by AF_XDP, if that works on it and is right for it; else by a packet socket, which says why.
fn open_best(interface: &str, polling: Polling) -> Result<Box<dyn EdgePort>, OpenError> {
    let why = match AfXdpPort::open_best(interface, polling) {
        Ok(port) => return Ok(Box::new(port)),
        Err(error) => crate::told::in_full(&error),
    };
    let port = AfPacketPort::open(interface, polling)?.instead(why.clone());
    tracing::info!(interface, why, "AF_XDP is not used");
    Ok(Box::new(port))
}

/// The MAC address of a port whose driver has none: locally administered, and different for each port of an edge.
const fn mac_of(number: u8) -> Mac {
    Mac([0x02, 0x4d, 0x53, 0xff, 0, number])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_name_and_a_driver() {
        let port: PortConfig = "core0=af-packet:eth1".parse().unwrap();
        assert_eq!(port.driver, DriverConfig::AfPacket { interface: "eth1".to_owned() });
        for (driver, expected) in [
            ("kernel", DriverConfig::Kernel { interface: "eth1".to_owned() }),
            ("af-xdp", DriverConfig::AfXdp { interface: "eth1".to_owned() }),
            ("tap", DriverConfig::Tap { interface: "eth1".to_owned() }),
        ] {
            assert_eq!(format!("core0={driver}:eth1").parse::<PortConfig>().unwrap().driver, expected);
        }
        let port: PortConfig = "access0=pcap:none,out.pcap".parse().unwrap();
        assert_eq!(port.driver, DriverConfig::Pcap { input: None, output: "out.pcap".into() });
        for bad in [
            "",
            "core0",
            "core0=eth1",
            "core0=af-packet:",
            "core0=kernel",
            "core0=tap:",
            "core0=pcap:x",
            "core0=dpdk:0",
            "Core=af-packet:eth0",
        ] {
            assert!(bad.parse::<PortConfig>().is_err(), "{bad}");
        }
    }
}
