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

/// Measures each driver and tells each row when it is there.
pub(super) fn rows(mut tell: impl FnMut(&Row)) -> Result<Vec<Row>, Failed> {
    let wires = Wires::new()?;
    let bridge = wires.measure(Some("bridge"))?;
    let mut rows = Vec::new();
    for driver in ["af-packet", "af-xdp"] {
        let value = wires.measure(Some(driver))?;
        let ratio = value / bridge;
        let row = Row {
            figure: format!("forward 64 octets from veth to veth by {driver}"),
            value,
            unit: "packets/s",
            peer: Some("the kernel's bridge"),
            peer_value: Some(bridge),
            ratio: Some(ratio),
            aim: None,
            met: None,
        };
        tell(&row);
        rows.push(row);
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

    /// Packets a second that arrive, the middle of several measurements.
    fn measure(&self, by: Option<&str>) -> Result<f64, Failed> {
        let mut samples = Vec::new();
        if by == Some("bridge") {
            self.forwarder.script(
                "ip link add br0 type bridge
                 ip link set br0 up
                 ip link set a0 master br0
                 ip link set b0 master br0",
            )?;
        }
        for _ in 0..SAMPLES {
            samples.push(self.sample(by.filter(|by| *by != "bridge"))?);
        }
        if by == Some("bridge") {
            self.forwarder.run(&["ip", "link", "del", "br0"])?;
        }
        Ok(median(samples))
    }

    fn sample(&self, driver: Option<&str>) -> Result<f64, Failed> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let forwards = scope.spawn(|| match driver {
                Some(driver) => forward(&self.forwarder, driver, &stop),
                None => Ok(()),
            });
            let sends = scope.spawn(|| send(&self.sender, &stop));
            let measured = self.window();
            stop.store(true, Ordering::Release);
            for thread in [forwards, sends] {
                thread.join().map_err(|_| "a thread ended by a fault")??;
            }
            measured
        })
    }

    fn window(&self) -> Result<f64, Failed> {
        std::thread::sleep(WARM_UP);
        let (started, before) = (Instant::now(), self.arrived()?);
        std::thread::sleep(WINDOW);
        let arrived = self.arrived()?.saturating_sub(before);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let packets = arrived as f64;
        Ok(packets / started.elapsed().as_secs_f64())
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

fn forward(namespace: &Namespace, driver: &str, stop: &AtomicBool) -> Result<(), Failed> {
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
    Ok(())
}

fn send(namespace: &Namespace, stop: &AtomicBool) -> Result<(), Failed> {
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
    Ok(())
}

const SAMPLES: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_millis(700);
