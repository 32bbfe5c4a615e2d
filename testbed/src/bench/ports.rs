//! What the drivers of ports carry on veth pairs, beside the kernel's own bridge:
//!
//! ```text
//!   sender ─ g0 ═══ a0 ─ forwarder ─ b0 ═══ s0 ─ sink, whose kernel counts
//! ```
//!
//! Frames of 64 octets, one sender as fast as it can be, a core for it and another for the forwarder. A bridge works on the
//! core of its sender; so do the kernel's parts of our drivers. The pipeline is not in it, only ports.
//!
//! And what a whole edge carries there, of 1,000 segments with a queue each, beside a kernel that does the same: a bridge with
//! its VXLAN device and an HTB class for each sender, chosen by nftables.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mec_edge::ports::{AfPacketPort, EdgePort, Polling, PortConfig};
use rustix::thread::{CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_setaffinity};
use transport_dataplane::{Burst, Frame, FramePool, Nanos, Port, PortIndex};

use super::lab::{Lab, Underlay};
use super::{Row, median};
use crate::netns::{Namespace, NetnsError};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Forwards until it is told to stop; answers the nanoseconds that its thread has run.
type Forwards<'f> = dyn Fn(&AtomicBool) -> Result<u64, Failed> + Sync + 'f;

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
        let ours = wires.measure(&[PLAIN_FRAME.to_vec()], &|stop| forward(&wires.forwarder, driver, stop))?;
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
    let row = wires.edge_beside_kernel()?;
    tell(&row);
    rows.push(row);
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
        let measured = self.measure(&[PLAIN_FRAME.to_vec()], &|_| Ok(0))?;
        self.forwarder.run(&["ip", "link", "del", "br0"])?;
        Ok(measured)
    }

    /// 1,000 senders, each with a queue, into a tunnel: the whole packet path on packet sockets, beside the kernel's.
    fn edge_beside_kernel(&self) -> Result<Row, Failed> {
        let tagged: Vec<_> = (0..SENDERS).map(|number| Lab::to_far_end(number, 1_024, 68)).collect();
        let ours = self.measure(&tagged, &|stop| edge(&self.forwarder, stop))?;
        self.tunnel_of_kernel()?;
        // A kernel's bridge need not look at tags.
        let plain: Vec<_> = tagged.iter().map(|frame| [&frame[..12], &frame[16..]].concat()).collect();
        let kernel = self.measure(&plain, &|_| Ok(0))?;
        Ok(Row {
            figure: "64 octets of 1,000 senders from veth to veth, shaped, in VXLAN".to_owned(),
            value: ours.packets_per_second,
            unit: "packets/s",
            peer: Some("bridge, VXLAN and HTB of the kernel"),
            peer_value: Some(kernel.packets_per_second),
            ratio: Some(ours.packets_per_second / kernel.packets_per_second),
            aim: Some(EDGE_AIM),
            met: Some(ours.packets_per_second >= EDGE_AIM * kernel.packets_per_second),
        })
    }

    /// Has the forwarder's kernel do it.
    fn tunnel_of_kernel(&self) -> Result<(), Failed> {
        let far = Lab::to_far_end(0, 1_024, 68)[..6].iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>();
        self.forwarder.script(&format!(
            "ip addr add 198.51.100.1/24 dev b0
             ip neigh replace 198.51.100.2 lladdr 02:00:00:00:00:0b dev b0 nud permanent
             ip link add vx0 type vxlan id 5000 local 198.51.100.1 remote 198.51.100.2 dstport 4789 dev b0
             ip link add br0 type bridge
             ip link set a0 master br0
             ip link set vx0 master br0
             bridge fdb replace {} dev vx0 master static
             ip link set vx0 up
             ip link set br0 up",
            far.join(":")
        ))?;
        let mut classes = "qdisc add dev b0 root handle 1: htb default 1\n".to_owned();
        classes.push_str("class add dev b0 parent 1: classid 1:ffff htb rate 40gbit\n");
        let mut rules = "table netdev t {\n map classes { type ipv4_addr : classid; elements = {\n".to_owned();
        for number in 0..SENDERS {
            let minor = number + 1;
            writeln!(
                classes,
                "class add dev b0 parent 1:ffff classid 1:{minor:x} htb rate 40mbit ceil 40gbit quantum 1514"
            )?;
            let address = Ipv4Addr::from_bits(0x0a00_0000 | number);
            writeln!(rules, "  {address} : 1:{minor:x},")?;
        }
        rules.push_str(" } }\n chain c {\n  type filter hook ingress device a0 priority 0;\n");
        rules.push_str("  meta priority set ip saddr map @classes\n }\n}\n");
        self.feed(&["tc", "-b", "-"], &classes)?;
        self.feed(&["nft", "-f", "-"], &rules)
    }

    /// Runs a command in the forwarder's namespace that reads a text.
    fn feed(&self, command: &[&str], text: &str) -> Result<(), Failed> {
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let mut child = self.forwarder.command(program).args(arguments).stdin(std::process::Stdio::piped()).spawn()?;
        child.stdin.take().ok_or("no pipe")?.write_all(text.as_bytes())?;
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
    }

    /// The middle of several samples.
    fn measure(&self, frames: &[Vec<u8>], forwards: &Forwards<'_>) -> Result<Sample, Failed> {
        let samples = (0..SAMPLES).map(|_| self.sample(frames, forwards));
        let samples: Vec<Sample> = samples.collect::<Result<_, Failed>>()?;
        Ok(Sample {
            packets_per_second: median(samples.iter().map(|sample| sample.packets_per_second).collect()),
            cost: median(samples.iter().map(|sample| sample.cost).collect()),
        })
    }

    fn sample(&self, frames: &[Vec<u8>], forwards: &Forwards<'_>) -> Result<Sample, Failed> {
        let stop = AtomicBool::new(false);
        let (started, before) = (Instant::now(), self.arrived()?);
        let spent = std::thread::scope(|scope| {
            let forwards = scope.spawn(|| forwards(&stop));
            let sends = scope.spawn(|| send(&self.sender, frames, &stop));
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

/// An edge with a segment for each sender, on packet sockets.
fn edge(namespace: &Namespace, stop: &AtomicBool) -> Result<u64, Failed> {
    enter(namespace, 1)?;
    let (mut from, mut to) =
        (AfPacketPort::open("a0", Polling::Interrupt)?, AfPacketPort::open("b0", Polling::Interrupt)?);
    let (mut pipeline, mut pool, mut outputs) = Lab::of_segments(SENDERS, Underlay::Ipv4).into_parts();
    let (start, mut burst) = (Instant::now(), Burst::new());
    while !stop.load(Ordering::Acquire) {
        from.receive(&mut pool, &mut burst);
        // A lab's clock has begun by then.
        let now = Nanos(2_000_000_000 + u64::try_from(start.elapsed().as_nanos())?);
        pipeline.process(now, PortIndex(0), &mut burst, &mut pool, &mut outputs);
        let out = outputs.queue(PortIndex(1));
        if !out.is_empty() {
            to.transmit(out, &mut pool);
        }
    }
    spent()
}

fn send(namespace: &Namespace, frames: &[Vec<u8>], stop: &AtomicBool) -> Result<u64, Failed> {
    enter(namespace, 0)?;
    let mut port = AfPacketPort::open("g0", Polling::Interrupt)?;
    let mut pool = FramePool::new(64);
    let mut out: Vec<Frame> = Vec::with_capacity(64);
    let mut frames = frames.iter().cycle();
    while !stop.load(Ordering::Acquire) {
        while let Some((mut frame, octets)) = pool.take().zip(frames.next()) {
            frame.copy_from(octets);
            out.push(frame);
        }
        port.transmit(&mut out, &mut pool);
    }
    spent()
}

/// 64 octets that nobody but a forwarder looks at.
const PLAIN_FRAME: [u8; 64] = {
    let mut octets = [0; 64];
    let header = [2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xb, 0x88, 0xb5];
    let mut at = 0;
    while at < header.len() {
        octets[at] = header[at];
        at += 1;
    }
    octets
};
const SENDERS: u32 = 1_000;
/// At least so many times what the kernel carries.
const EDGE_AIM: f64 = 1.3;
const SAMPLES: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
