//! The drivers of kernel interfaces, frame by frame, each test in a network namespace of its own.
//!
//! ```text
//!   the port under test ─ a0 ═══ b0 ─ a packet socket of the test's, or the kernel's own sockets
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]
#![allow(unsafe_code, reason = "UDP_SEGMENT has no safe interface")]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mec_edge::ports::{AfPacketPort, AfXdpPort, EdgePort, Loss, Polling, PortConfig, TapPort};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use transport_dataplane::{Burst, Frame, FramePool};

#[test]
#[ignore = "needs root"]
fn frames_of_every_length_cross_both_ways() {
    let _space = Space::with_pair(1);
    for (driver, polling) in [
        ("af-packet", Polling::Interrupt),
        ("af-xdp", Polling::Interrupt),
        ("af-xdp", Polling::Busy),
        ("kernel", Polling::Interrupt),
    ] {
        let mut port = End::open(driver, "a0", polling);
        let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
        assert_eq!(port.port.is_busy_polled(), polling == Polling::Busy);
        for length in (60..=1_514).step_by(16) {
            let frames: Vec<Vec<u8>> = (0..40_u16).map(|number| datagram(number, length)).collect();
            peer.send(&frames);
            assert_eq!(port.receive(frames.len()), frames, "{driver}, {length} octets, in");
            port.send(&frames);
            assert_eq!(peer.receive(frames.len()), frames, "{driver}, {length} octets, out");
        }
        // What is longer than the interface carries is not sent, and counted.
        port.send(&[datagram(0, 1_700), datagram(1, 60)]);
        assert_eq!(peer.receive(1), [datagram(1, 60)]);
        assert_eq!(port.losses(), [(Loss::NotSent, 1)], "{driver}");
    }
}

#[test]
#[ignore = "needs root"]
fn every_receive_queue_is_served() {
    let _space = Space::with_pair(2);
    let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
    let frames: Vec<Vec<u8>> = (0..64).map(|flow| datagram(flow, 100)).collect();
    // Where a queue came after the port was opened; and with a socket for each queue.
    for (before, expected) in [(1, "af-xdp, native, copy"), (2, "af-xdp, native, copy, 2 queues")] {
        run(&format!("ethtool -L b0 tx {before}"));
        run(&format!("ethtool -L a0 rx {before}"));
        let mut port = End::open("af-xdp", "a0", Polling::Interrupt);
        assert_eq!(port.port.driver(), expected);
        if before == 1 {
            run("ethtool -L a0 rx 2");
            run("ethtool -L b0 tx 2");
        }
        for _ in 0..10 {
            peer.send(&frames);
            let mut received = port.receive(frames.len());
            received.sort();
            let mut sent = frames.clone();
            sent.sort();
            assert_eq!(received, sent);
        }
        let packets = queue_packets("a0");
        assert!(packets.len() == 2 && packets.iter().all(|packets| *packets > 0), "{packets:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn tags_stay_in_frames_also_those_that_the_kernel_puts_beside_them() {
    let _space = Space::with_pair(1);
    // A bridge gets the tag beside the frame, because its kernel takes it off, and hands it on so.
    run("ip link add br0 type bridge");
    run("ip link add c0 type veth peer c1");
    for link in ["br0", "c0", "c1"] {
        run(&format!("ip link set {link} up"));
    }
    run("ip link set b0 master br0");
    run("ip link set c1 master br0");
    let mut device = End::open("af-packet", "c0", Polling::Interrupt);
    let tagged = tag(&datagram(7, 100), 0xe06e);
    let mut back = tagged.clone();
    back[..12].rotate_left(6);
    for driver in ["af-packet", "af-xdp"] {
        let mut port = End::open(driver, "a0", Polling::Interrupt);
        device.send(std::slice::from_ref(&tagged));
        assert_eq!(port.one(), tagged, "{driver}: beside the frame");
        port.send(std::slice::from_ref(&back));
        assert_eq!(device.one(), back, "{driver}: the way back");
    }
    run("ip link set b0 nomaster");
    let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
    for driver in ["af-packet", "af-xdp"] {
        let mut port = End::open(driver, "a0", Polling::Interrupt);
        peer.send(std::slice::from_ref(&tagged));
        assert_eq!(port.one(), tagged, "{driver}: in the frame");
    }
}

#[test]
#[ignore = "needs root"]
fn what_a_kernel_left_undone_is_done() {
    let _space = Space::with_pair(1);
    run("ip address add 10.7.0.2/24 dev b0");
    run("ip neighbour add 10.7.0.1 lladdr 02:00:00:00:00:0a dev b0");
    let socket = UdpSocket::bind("10.7.0.2:4000").unwrap();
    let payload: Vec<u8> = (0..30_500_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for driver in ["af-packet", "af-xdp"] {
        let mut port = End::open(driver, "a0", Polling::Interrupt);
        // A checksum that is left to the hardware.
        segment(&socket, 0);
        socket.send_to(&payload[..777], "10.7.0.1:5000").unwrap();
        assert_eq!(port.datagrams(1), [payload[..777].to_vec()], "{driver}");
        // Many datagrams in one frame.
        segment(&socket, 1_000);
        socket.send_to(&payload, "10.7.0.1:5000").unwrap();
        let parts: Vec<Vec<u8>> = payload.chunks(1_000).map(<[u8]>::to_vec).collect();
        assert_eq!(port.datagrams(parts.len()), parts, "{driver}");
        assert_eq!(port.losses(), [], "{driver}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_kernel_gets_what_is_its_own_and_the_port_sees_it_too() {
    let _space = Space::with_pair(1);
    let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
    let question = arp_question([10, 7, 0, 1]);
    let echo = echo_request([10, 7, 0, 1], mac("a0"));
    for driver in ["af-packet", "af-xdp"] {
        let mut port = End::open(driver, "a0", Polling::Interrupt);
        peer.send(std::slice::from_ref(&question));
        assert_eq!(port.one(), question, "{driver}: nobody has the address, the port sees the question");
        assert!(peer.hears_nothing(), "{driver}");
        // The address comes while the port is open.
        run("ip address add 10.7.0.1/24 dev a0");
        std::thread::sleep(Duration::from_millis(600));
        peer.send(std::slice::from_ref(&question));
        assert_eq!(port.one(), question, "{driver}");
        let answer = peer.receive(1).remove(0);
        assert_eq!((&answer[12..14], answer[21], &answer[28..32]), (&[8, 6][..], 2, &[10, 7, 0, 1][..]), "{driver}");
        peer.send(std::slice::from_ref(&echo));
        let answers = peer.receive(1);
        assert_eq!((answers[0][23], answers[0][34]), (1, 0), "{driver}: the kernel answers to echo");
        assert_eq!(port.one(), echo, "{driver}");
        // It goes while the port is open: what was the kernel's is the edge's alone.
        run("ip address del 10.7.0.1/24 dev a0");
        std::thread::sleep(Duration::from_millis(600));
        peer.send(std::slice::from_ref(&echo));
        assert_eq!(port.one(), echo, "{driver}");
        assert!(peer.hears_nothing(), "{driver}");
    }
}

#[test]
#[ignore = "needs root"]
fn what_can_not_be_is_refused_by_name_and_the_best_that_can_be_is_taken() {
    let _space = Space::with_pair(1);
    let refused = |interface: &str| AfXdpPort::open(interface, Polling::Interrupt).unwrap_err().to_string();
    let best = |interface: &str| {
        let config: PortConfig = format!("core0=kernel:{interface}").parse().unwrap();
        config.open(1, Polling::Interrupt).map(|port| port.driver().into_owned()).map_err(|error| error.to_string())
    };
    let packet = |why: &str| Ok(format!("af-packet, ring (not af-xdp: {why})"));
    let first = AfXdpPort::open("a0", Polling::Interrupt).unwrap();
    assert!(show("a0").contains("prog/xdp"), "{}", show("a0"));
    let taken =
        "interface `a0` has an XDP program of somebody else's (`ip link show a0` tells its number); take it off first";
    assert_eq!(refused("a0"), taken);
    drop(first);
    assert!(!show("a0").contains("prog/xdp"), "{}", show("a0"));
    assert_eq!(best("a0"), packet("on a veth such as `a0`, frames cost more by AF_XDP"));
    run("ip link set a0 down");
    assert_eq!(refused("a0"), "interface `a0` is down; `ip link set a0 up` first");
    assert_eq!(best("a0"), packet(&refused("a0")));
    run("ip link set a0 up");
    run("ip link set a0 mtu 9000");
    assert_eq!(refused("a0"), "interface `a0` has an MTU of 9000; AF_XDP carries 3818 at most");
    assert_eq!(best("a0"), packet(&refused("a0")));
    assert_eq!(refused("nowhere"), "there is no interface `nowhere` in this network namespace");
    assert_eq!(best("nowhere").unwrap_err(), refused("nowhere"));
}

#[test]
#[ignore = "needs root"]
fn where_the_driver_gains_by_it_af_xdp_is_the_best() {
    let _space = Space::new();
    // The driver of TAP devices knows XDP, and there is no page to be made.
    let mut peer = End::new(Box::new(TapPort::open("app0", 3, Polling::Interrupt).unwrap()));
    let mut port = End::open("kernel", "app0", Polling::Interrupt);
    assert_eq!(port.port.driver(), "af-xdp, native, copy");
    let frames: Vec<Vec<u8>> = (0..60).map(|number| datagram(number, 200)).collect();
    peer.send(&frames);
    assert_eq!(port.receive(frames.len()), frames);
    port.send(&frames);
    assert_eq!(peer.receive(frames.len()), frames);
    drop(port);
    let second = AfXdpPort::open("app0", Polling::Interrupt).unwrap();
    let config: PortConfig = "core0=kernel:app0".parse().unwrap();
    let driver = config.open(1, Polling::Interrupt).unwrap().driver().into_owned();
    assert!(
        driver.starts_with("af-packet, ring (not af-xdp: interface `app0` has an XDP program of somebody"),
        "{driver}"
    );
    drop(second);
}

#[test]
#[ignore = "needs root"]
fn without_a_driver_that_knows_xdp_it_is_generic_if_asked_for() {
    let _space = Space::with_pair(1);
    // A VXLAN device of the kernel's; what it sends is seen at the other end of the pair, and sent back from there.
    run("ip addr add 10.9.0.1/24 dev a0");
    let far = mac("b0").map(|octet| format!("{octet:02x}")).join(":");
    run(&format!("ip neighbour add 10.9.0.2 lladdr {far} dev a0"));
    run("ip link add vx0 type vxlan id 7 local 10.9.0.1 remote 10.9.0.2 dstport 4789");
    run("ip link set vx0 up");
    let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
    let mut port = End::open("af-xdp", "vx0", Polling::Interrupt);
    assert_eq!(port.port.driver(), "af-xdp, generic, copy");
    let frames: Vec<Vec<u8>> = (0..100).map(|number| datagram(number, 200)).collect();
    port.send(&frames);
    let mut outer = peer.receive(frames.len());
    // Ethernet, IPv4, UDP and VXLAN: 50 octets.
    assert_eq!(outer.iter().map(|frame| frame[50..].to_vec()).collect::<Vec<_>>(), frames);
    for frame in &mut outer {
        // The other way round: MAC and IP addresses, outside and inside. The header's checksum stays.
        frame[..12].rotate_left(6);
        frame[26..34].rotate_left(4);
        frame[50..62].rotate_left(6);
    }
    peer.send(&outer);
    assert_eq!(port.receive(outer.len()), outer.iter().map(|frame| frame[50..].to_vec()).collect::<Vec<_>>());
    drop(port);
    let best: PortConfig = "core0=kernel:vx0".parse().unwrap();
    let driver = best.open(1, Polling::Interrupt).unwrap().driver().into_owned();
    assert!(
        driver.starts_with("af-packet, ring (not af-xdp: the driver of interface `vx0` takes no XDP program"),
        "{driver}"
    );
}

/// What a bridge is made of puts tags beside the frame, where XDP does not see them, and nobody can be asked for them: a
/// tagged frame would be in the slice of untagged ones.
#[test]
#[ignore = "needs root"]
fn an_interface_that_is_made_of_others_is_refused_by_name() {
    let _space = Space::with_pair(1);
    run("ip link add br0 type bridge");
    run("ip link set br0 up");
    run("ip link set a0 master br0");
    let error = AfXdpPort::open("br0", Polling::Interrupt).err().unwrap().to_string();
    assert!(error.starts_with("interface `br0` is a bridge: "), "{error}");
    let best: PortConfig = "core0=kernel:br0".parse().unwrap();
    let driver = best.open(1, Polling::Interrupt).unwrap().driver().into_owned();
    assert!(driver.starts_with("af-packet, ring (not af-xdp: interface `br0` is a bridge"), "{driver}");
}

#[test]
#[ignore = "needs root"]
fn an_interface_may_go_and_come_back_and_nobody_spins_meanwhile() {
    for driver in ["af-packet", "af-xdp"] {
        let _space = Space::with_pair(1);
        let mut port = End::open(driver, "a0", Polling::Interrupt);
        for how in ["down", "gone"] {
            run(if how == "down" { "ip link set a0 down" } else { "ip link del a0" });
            let gone = Instant::now();
            while gone.elapsed() < Duration::from_secs(1) {
                port.look();
                std::thread::sleep(Duration::from_millis(5));
            }
            port.send(&[datagram(0, 100), datagram(1, 100)]);
            assert!(
                port.losses().iter().any(|(loss, frames)| *loss == Loss::NotSent && *frames >= 2),
                "{driver}, {how}"
            );
            assert!(!port.is_ready(Duration::from_millis(300)), "{driver}, {how}: nothing wakes the worker");
            if how == "down" {
                run("ip link set a0 up");
            } else {
                pair(1);
            }
            // Opened anew within the retry's time, which frames are sent for.
            let mut peer = End::open("af-packet", "b0", Polling::Interrupt);
            let back = Instant::now();
            let mut crossed = (false, false);
            while crossed != (true, true) {
                assert!(back.elapsed() < PATIENCE, "{driver}, {how}: {crossed:?}");
                peer.send(&[datagram(5, 100)]);
                crossed.0 |= !port.look().is_empty();
                port.send(&[datagram(6, 100)]);
                std::thread::sleep(Duration::from_millis(20));
                crossed.1 |= !peer.look().is_empty();
            }
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_tap_device_is_a_wire_to_this_kernel() {
    let _space = Space::new();
    let mut port = End::new(Box::new(TapPort::open("app0", 3, Polling::Interrupt).unwrap()));
    assert_eq!(port.port.driver(), "tap");
    assert_ne!(port.port.mac().to_string(), mac("app0").map(|octet| format!("{octet:02x}")).join(":"));
    run("ip address add 10.7.0.2/24 dev app0");
    run("ip neighbour add 10.7.0.1 lladdr 02:00:00:00:00:0a dev app0");
    let socket = UdpSocket::bind("10.7.0.2:4000").unwrap();
    let payload: Vec<u8> = (0..30_500_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    socket.send_to(&payload[..777], "10.7.0.1:5000").unwrap();
    assert_eq!(port.datagrams(1), [payload[..777].to_vec()]);
    segment(&socket, 1_000);
    socket.send_to(&payload, "10.7.0.1:5000").unwrap();
    let parts: Vec<Vec<u8>> = payload.chunks(1_000).map(<[u8]>::to_vec).collect();
    assert_eq!(port.datagrams(parts.len()), parts);
    assert_eq!(port.losses(), []);
    port.send(&[echo_request([10, 7, 0, 2], mac("app0"))]);
    let answers = port.receive(1);
    assert_eq!((answers[0][23], answers[0][34]), (1, 0), "the kernel answers to echo");

    // One that is deleted is made anew.
    run("ip link del app0");
    let gone = Instant::now();
    while !exists("app0") {
        assert!(gone.elapsed() < PATIENCE);
        port.look();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(port);
    assert!(!exists("app0"), "it was ours");
    run("ip tuntap add dev app1 mode tap");
    drop(TapPort::open("app1", 3, Polling::Interrupt).unwrap());
    assert!(exists("app1"), "it was somebody else's");
    run("ip link add app2 type bridge");
    let error = TapPort::open("app2", 3, Polling::Interrupt).unwrap_err().to_string();
    assert!(error.starts_with("TAP device `app2`: TUNSETIFF failed (an interface of that name"), "{error}");
    let error = TapPort::open("a-name-that-no-interface-can-have", 3, Polling::Interrupt).unwrap_err();
    assert_eq!(error.to_string(), "`a-name-that-no-interface-can-have` can't be the name of an interface");
}

/// A port, and what it takes to use it.
struct End {
    port: Box<dyn EdgePort>,
    pool: FramePool,
}

impl End {
    fn new(port: Box<dyn EdgePort>) -> Self {
        Self { port, pool: FramePool::new(256) }
    }

    fn open(driver: &str, interface: &str, polling: Polling) -> Self {
        let port: Box<dyn EdgePort> = match driver {
            "af-packet" => Box::new(AfPacketPort::open(interface, polling).unwrap()),
            "af-xdp" => Box::new(AfXdpPort::open(interface, polling).unwrap()),
            _ => format!("core0={driver}:{interface}").parse::<PortConfig>().unwrap().open(1, polling).unwrap(),
        };
        Self::new(port)
    }

    fn send(&mut self, frames: &[Vec<u8>]) {
        let mut out: Vec<Frame> = Vec::new();
        for octets in frames {
            let mut frame = self.pool.take().unwrap();
            assert!(frame.copy_from(octets));
            out.push(frame);
        }
        self.port.transmit(&mut out, &mut self.pool);
        assert_eq!(self.pool.left(), 256, "every buffer is given back");
    }

    /// What is there now.
    fn look(&mut self) -> Vec<Vec<u8>> {
        let mut burst = Burst::new();
        self.port.receive(&mut self.pool, &mut burst);
        // A bridge and its kernel say now and then to which groups they listen.
        let frames = burst.iter().map(Frame::octets).filter(|octets| !octets.starts_with(&[1, 0, 0x5e]));
        let frames = frames.map(<[u8]>::to_vec).collect();
        burst.drain(..).for_each(|frame| self.pool.give(frame));
        frames
    }

    /// Waits for so many frames, and takes no more.
    fn receive(&mut self, count: usize) -> Vec<Vec<u8>> {
        let started = Instant::now();
        let mut frames = Vec::new();
        while frames.len() < count {
            frames.extend(self.look());
            assert!(started.elapsed() < PATIENCE, "{} of {count} frames came", frames.len());
            self.is_ready(Duration::from_millis(1));
        }
        assert_eq!(frames.len(), count, "{frames:02x?}");
        frames
    }

    fn one(&mut self) -> Vec<u8> {
        self.receive(1).remove(0)
    }

    /// Waits for so many UDP datagrams; answers their payloads. What else came is passed over.
    fn datagrams(&mut self, count: usize) -> Vec<Vec<u8>> {
        let started = Instant::now();
        let mut payloads = Vec::new();
        while payloads.len() < count {
            assert!(started.elapsed() < PATIENCE, "{} of {count} datagrams came", payloads.len());
            for frame in self.look().into_iter().filter(|frame| frame[12..14] == [8, 0] && frame[23] == 17) {
                assert_eq!(sum(&frame[14..34]), 0xffff, "the header's checksum");
                let length = u16::try_from(frame.len() - 34).unwrap();
                let pseudo = [&frame[26..34], &[0, 17], &length.to_be_bytes(), &frame[34..]].concat();
                assert_eq!(sum(&pseudo), 0xffff, "the datagram's checksum");
                assert_eq!(frame[38..40], length.to_be_bytes());
                payloads.push(frame[42..].to_vec());
            }
        }
        payloads
    }

    fn hears_nothing(&mut self) -> bool {
        std::thread::sleep(Duration::from_millis(200));
        self.look().is_empty()
    }

    fn is_ready(&self, wait: Duration) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.port.readiness().unwrap(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) })).unwrap() > 0
    }

    fn losses(&mut self) -> Vec<(Loss, u64)> {
        self.port.losses().iter().collect()
    }
}

/// A namespace that this thread is in; deleted when dropped.
struct Space(String);

impl Space {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("msp{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run(&format!("ip netns add {name}"));
        let file = std::fs::File::open(format!("/var/run/netns/{name}")).unwrap();
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network)).unwrap();
        // Nothing but what a test sends.
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        Self(name)
    }

    fn with_pair(queues: u32) -> Self {
        let space = Self::new();
        pair(queues);
        space
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn pair(queues: u32) {
    let counts = format!("numrxqueues {queues} numtxqueues {queues}");
    run(&format!("ip link add a0 {counts} type veth peer b0 {counts}"));
    run("ip link set a0 up");
    run("ip link set b0 up");
}

fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn show(link: &str) -> String {
    run(&format!("ip link show {link}"))
}

fn exists(link: &str) -> bool {
    Command::new("ip").args(["link", "show", link]).output().unwrap().status.success()
}

fn mac(link: &str) -> [u8; 6] {
    let text = show(link);
    let mac = text.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let octets: Vec<u8> = mac.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

/// Packets that each receive queue of a veth had.
fn queue_packets(link: &str) -> Vec<u64> {
    let text = run(&format!("ethtool -S {link}"));
    let counts = text.lines().filter(|line| line.contains("rx_queue_") && line.contains("_xdp_packets"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

/// A UDP datagram of some flow, so many octets with its Ethernet header, no checksum.
fn datagram(flow: u16, octets: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0xa, 2, 0, 0, 0, 0, 0xb, 8, 0];
    let total = u16::try_from(octets - 14).unwrap();
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1]);
    let checksum = !sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame.extend((4_000 + flow).to_be_bytes());
    frame.extend([0x13, 0x88]);
    frame.extend((total - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((frame.len()..octets).map(|at| (at % 251).to_le_bytes()[0]));
    frame
}

fn tag(frame: &[u8], tci: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &tci.to_be_bytes(), &frame[12..]].concat()
}

fn arp_question(address: [u8; 4]) -> Vec<u8> {
    let mut frame = [[0xff; 6], [2, 0, 0, 0, 0, 0xb]].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xb, 10, 7, 0, 2, 0, 0, 0, 0, 0, 0]);
    frame.extend(address);
    frame
}

fn echo_request(address: [u8; 4], to: [u8; 6]) -> Vec<u8> {
    let mut frame = [&to[..], &[2, 0, 0, 0, 0, 0xb]].concat();
    frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 7, 0, 1 + (address[3] & 1)]);
    frame.extend(address);
    let checksum = !sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame.extend([8, 0, 0xf7, 0xfb, 0, 1, 0, 3]);
    frame
}

/// The ones' complement sum of 16-bit words (RFC 1071).
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// Has the kernel cut what is sent into datagrams of so many octets (udp(7)); 0 for not at all.
fn segment(socket: &UdpSocket, octets: i32) {
    // SAFETY: the pointer leads to an integer of the length that is said.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const octets).cast(), 4)
    };
    assert_eq!(result, 0);
}

const PATIENCE: Duration = Duration::from_secs(10);
