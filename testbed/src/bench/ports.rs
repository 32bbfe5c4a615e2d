//! What the drivers of ports carry on veth pairs, beside the kernel's own bridge:
//!
//! ```text
//!   sender ─ g0 ═══ a0 ─ forwarder ─ b0 ═══ s0 ─ sink, whose kernel counts
//! ```
//!
//! Frames of 64 octets, one sender as fast as it can be, a core for it and another for the forwarder. A bridge works on the
//! core of its sender; so do the kernel's parts of our drivers. The pipeline is not in it, only ports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mec_edge::ports::{AfPacketPort, EdgePort, Polling, PortConfig};
use rustix::thread::{CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_setaffinity};
use transport_dataplane::{Burst, Frame, FramePool, Port};

use super::{Row, median};
use crate::netns::{Namespace, NetnsError};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What a forwarder did.
#[derive(Debug, Clone, Copy)]
struct Sample {
    packets_per_second: f64,
    /// Nanoseconds of the sender's core and of the forwarder's for each packet that arrived.
    cost: f64,
}

/// Measures each driver and tells each row when it is there.
pub(super) fn rows(mut tell: impl FnMut(&Row)) -> Result<Vec<Row>, Failed> {
    let wires = Wires::new()?;
    let bridge = wires.bridged()?;
    let mut rows = Vec::new();
    for driver in ["af-packet", "af-xdp"] {
        let ours = wires.measure(Some(driver))?;
        for (what, unit, value, peer_value) in [
            ("rate", "packets/s", ours.packets_per_second, bridge.packets_per_second),
            ("CPU of sender and forwarder", "ns/packet", ours.cost, bridge.cost),
        ] {
            let row = Row {
                figure: format!("64 octets from veth to veth by {driver}: {what}"),
                value,
                unit,
                peer: Some("the kernel's bridge"),
                peer_value: Some(peer_value),
                ratio: Some(value / peer_value),
                aim: None,
                met: None,
            };
            tell(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The namespaces and what joins them.
struct Wires {
    sender: Namespace,
    forwarder: Namespace,
    sink: Namespace,
}

impl Wires {
    fn new() -> Result<Self, NetnsError> {
        let wires =
            Self { sender: Namespace::new("send")?, forwarder: Namespace::new("fwd")?, sink: Namespace::new("sink")? };
        for namespace in [&wires.sender, &wires.forwarder, &wires.sink] {
            namespace.run(&["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])?;
        }
        wires.sender.join("g0", &wires.forwarder, "a0", 1_500)?;
        wires.forwarder.join("b0", &wires.sink, "s0", 1_500)?;
        Ok(wires)
    }

    /// What the kernel's bridge does.
    fn bridged(&self) -> Result<Sample, Failed> {
        self.forwarder.script(
            "ip link add br0 type bridge
             ip link set br0 up
             ip link set a0 master br0
             ip link set b0 master br0",
        )?;
        let measured = self.measure(None)?;
        self.forwarder.run(&["ip", "link", "del", "br0"])?;
        Ok(measured)
    }

    /// The middle of several samples.
    fn measure(&self, driver: Option<&str>) -> Result<Sample, Failed> {
        let samples: Vec<Sample> = (0..SAMPLES).map(|_| self.sample(driver)).collect::<Result<_, Failed>>()?;
        Ok(Sample {
            packets_per_second: median(samples.iter().map(|sample| sample.packets_per_second).collect()),
            cost: median(samples.iter().map(|sample| sample.cost).collect()),
        })
    }

    fn sample(&self, driver: Option<&str>) -> Result<Sample, Failed> {
        let stop = AtomicBool::new(false);
        let (started, before) = (Instant::now(), self.arrived()?);
        let spent = std::thread::scope(|scope| {
            let forwards = scope.spawn(|| match driver {
                Some(driver) => forward(&self.forwarder, driver, &stop),
                None => Ok(0),
            });
            let sends = scope.spawn(|| send(&self.sender, &stop));
            std::thread::sleep(WINDOW);
            stop.store(true, Ordering::Release);
            let mut spent = 0;
            for thread in [forwards, sends] {
                spent += thread.join().map_err(|_| "a thread ended by a fault")??;
            }
            Ok::<u64, Failed>(spent)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (packets, spent) = ((self.arrived()?.saturating_sub(before)).max(1) as f64, spent as f64);
        Ok(Sample { packets_per_second: packets / seconds, cost: spent / packets })
    }

    /// Packets that the sink's interface has received.
    fn arrived(&self) -> Result<u64, Failed> {
        let text = self.sink.run(&["cat", "/proc/net/dev"])?;
        let counts = text.lines().find_map(|line| line.trim().strip_prefix("s0:"));
        let packets = counts.and_then(|counts| counts.split_whitespace().nth(1)).ok_or("s0 is not there")?;
        Ok(packets.parse()?)
    }
}

/// Enters a namespace with this thread, which stays on one core.
fn enter(namespace: &Namespace, core: usize) -> Result<(), Failed> {
    let file = std::fs::File::open(format!("/var/run/netns/{}", namespace.name()))?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))?;
    let mut cores = CpuSet::new();
    cores.set(core);
    // Where there is but one, everything shares it.
    let _ = sched_setaffinity(None, &cores);
    Ok(())
}

/// Nanoseconds that this thread has run.
fn spent() -> Result<u64, Failed> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn forward(namespace: &Namespace, driver: &str, stop: &AtomicBool) -> Result<u64, Failed> {
    enter(namespace, 1)?;
    let open = |number, interface| -> Result<Box<dyn EdgePort>, Failed> {
        Ok(format!("port={driver}:{interface}").parse::<PortConfig>()?.open(number, Polling::Interrupt)?)
    };
    let (mut from, mut to) = (open(0, "a0")?, open(1, "b0")?);
    let mut pool = FramePool::new(256);
    let mut burst = Burst::new();
    let mut out: Vec<Frame> = Vec::with_capacity(64);
    while !stop.load(Ordering::Acquire) {
        from.receive(&mut pool, &mut burst);
        out.extend(burst.drain(..));
        if !out.is_empty() {
            to.transmit(&mut out, &mut pool);
        }
    }
    spent()
}

fn send(namespace: &Namespace, stop: &AtomicBool) -> Result<u64, Failed> {
    enter(namespace, 0)?;
    let mut port = AfPacketPort::open("g0", Polling::Interrupt)?;
    let mut pool = FramePool::new(64);
    let mut out: Vec<Frame> = Vec::with_capacity(64);
    let mut octets = [0; 64];
    octets[..14].copy_from_slice(&[2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xb, 0x88, 0xb5]);
    while !stop.load(Ordering::Acquire) {
        while let Some(mut frame) = pool.take() {
            frame.copy_from(&octets);
            out.push(frame);
        }
        port.transmit(&mut out, &mut pool);
    }
    spent()
}

const SAMPLES: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
