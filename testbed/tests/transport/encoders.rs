//! Frames that Scapy builds are delivered by our edge, or dropped, as they should be; what our encoders write and no run
//! of a slice shows is read by tshark and Scapy.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use mec_edge::ports::{AfPacketPort, Polling};
use pcap_file::pcap::PcapReader;
use testbed::world::bytes;
use testbed::world::capture::Capture as File;
use transport_dataplane::{FramePool, Port};
use transport_wire::gtpu::{self, HEADER_OCTETS_MAX, Header, MessageType, Session};

use crate::capture::{Capture, malformed};
use crate::decoded::{lines, scapy};
use crate::program::{Below, Plan, Service, Side, Transport, Way, core};
use crate::traffic::{ping, socket};
use crate::world::{CORES, PATIENCE, World, inside, until};

#[test]
#[ignore = "needs root, tshark and Scapy"]
fn frames_that_scapy_builds_are_delivered_or_dropped_as_they_should_be() {
    let mut world = World::new("scp");
    for (node, number) in CORES.into_iter().zip(1..) {
        world.start(node, &core(number, Way::Both));
    }
    for service in [Service::PointToPoint, Service::L3] {
        for transport in [Transport::Srv6, Transport::Mpls, Transport::MplsUdp, Transport::Vxlan] {
            world.stop(Side::A.edge());
            world.address_devices(service);
            world.start_edge(Side::A, service, &Plan::ours(service, transport, Way::Both).edge(Side::A));
            let (v4, v6) = Side::A.device_addresses(service);
            for destination in [IpAddr::V4(v4), IpAddr::V6(v6)] {
                deliver(&world, service, transport, destination);
            }
        }
    }
}

fn deliver(world: &World, service: Service, transport: Transport, destination: IpAddr) {
    let mac = world.space("edge-a").run(&["cat", "/sys/class/net/core0/address"]).unwrap();
    let sid = Side::A.sid(if service == Service::L3 { "46" } else { "d1" }).to_string();
    let file = world.file("built.pcap");
    let mut build = scapy("build.py");
    build.arg(&file).arg(if service == Service::L3 { "l3" } else { "l2" }).arg(match transport {
        Transport::Srv6 => "srv6",
        Transport::Mpls => "mpls",
        Transport::MplsUdp => "mpls-udp",
        Transport::Vxlan => "vxlan",
    });
    let output = build.args([mac.trim(), &destination.to_string(), &sid]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = String::from_utf8(output.stdout).unwrap();
    let built: Vec<Vec<&str>> = built.lines().map(|line| line.split('\t').collect()).collect();

    let replies = Capture::start_at(world, "replies.pcap", [("core-1", "to-edge-a")].into_iter());
    let receiver = inside(world.space("dev-a"), || socket(destination));
    let mut port = inside(world.space("core-1"), || AfPacketPort::open("to-edge-a", Polling::Interrupt).unwrap());
    let mut pool = FramePool::new(64);
    let mut frames: Vec<_> = read(&file)
        .iter()
        .map(|octets| {
            let mut frame = pool.take().unwrap();
            frame.copy_from(octets);
            frame
        })
        .collect();
    assert_eq!(port.transmit(&mut frames, &mut pool), built.len());
    let (mut got, mut buffer, began) = (BTreeSet::new(), [0; 64], Instant::now());
    let is_due = |got: &BTreeSet<u64>| built.iter().filter(|row| row[1] == "1").count() > got.len();
    // A little longer than it needs, for what should not come.
    while began.elapsed() < Duration::from_millis(300) || is_due(&got) && began.elapsed() < PATIENCE {
        let Ok((octets, _)) = receiver.recv_from(&mut buffer) else { continue };
        got.insert(u64::from_be_bytes(*buffer[..octets].first_chunk().unwrap()));
    }
    for row in &built {
        let (arrived, wanted) = (got.contains(&row[0].parse().unwrap()), row[1] == "1");
        assert_eq!(arrived, wanted, "{service} over {transport} to {destination}: {}", row[2]);
    }
    let (replies, _) = replies.finish();
    let below = Plan::ours(service, transport, Way::Both).below_label();
    let answered =
        lines(&replies, below).unwrap().iter().any(|line| line.contains("\treply\t") && line.contains("\t4242\t"));
    assert!(answered, "{service} over {transport}: Scapy's probe was not answered");
}

fn read(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(std::fs::File::open(file).unwrap()).unwrap();
    std::iter::from_fn(|| Some(reader.next_packet()?.unwrap().data.into_owned())).collect()
}

#[test]
#[ignore = "needs root, tshark and Scapy"]
fn gateways_say_what_is_too_big_and_what_has_come_too_far() {
    let mut world = World::new("big");
    for (node, number) in CORES.into_iter().zip(1..) {
        world.start(node, &core(number, Way::Both));
    }
    let service = Service::L3;
    world.address_devices(service);
    for side in Side::BOTH {
        let plan = Plan { mtu: 1_500, ..Plan::ours(service, Transport::Vxlan, Way::Both) };
        world.start_edge(side, service, &plan.edge(side));
    }
    let device = world.space("dev-a");
    let (v4, v6) = Side::C.device_addresses(service);
    let told = Capture::start_at(&world, "told.pcap", [("dev-a", "eth0")].into_iter());
    for (to, longest) in [(IpAddr::V4(v4), 1_472), (IpAddr::V6(v6), 1_452)] {
        assert!(until(PATIENCE, || ping(device, to, 1, 56).is_ok_and(|(_, got)| got == 1)), "no ping to {to}");
        let (to, longest) = (to.to_string(), longest.to_string());
        let far = device.output(&["ping", "-c", "1", "-W", "2", "-t", "1", &to]).unwrap();
        let said = String::from_utf8_lossy(&far.stdout).into_owned();
        assert!(said.contains("exceeded"), "{said}");
        // The device's kernel believes it: the second one is not even sent.
        device.output(&["ping", "-c", "2", "-i", "0.2", "-W", "2", "-M", "do", "-s", &longest, &to]).unwrap();
        let route = device.run(&["ip", "route", "get", &to]).unwrap();
        assert!(route.contains(&format!("mtu {FITS}")), "{route}");
    }
    let (told, _) = told.finish();
    assert_eq!(malformed(&told, Below::Packets), [""; 0]);
    let kinds: Vec<String> =
        lines(&told, Below::Packets).unwrap().iter().map(|line| line.split('\t').skip(1).collect()).collect();
    for expected in [format!("too-big{FITS}"), "time-exceeded0".to_owned()] {
        assert_eq!(kinds.iter().filter(|kind| **kind == expected).count(), 2, "{expected} of {kinds:?}");
    }
}

#[test]
#[ignore = "needs tshark and Scapy"]
fn tshark_and_scapy_read_gtp_u_as_it_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gtpu.pcap");
    let mut capture = File::create(&file).unwrap();
    let (gnb, upf) = (Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(192, 0, 2, 20));
    let inner = bytes::udp4((Ipv4Addr::new(10, 45, 0, 2), 4_000), (Ipv4Addr::new(10, 45, 0, 1), 9), b"a question");
    let sessions = [
        (Session::Uplink { qfi: 9 }, "1\t9"),
        (Session::Uplink { qfi: 63 }, "1\t63"),
        (Session::Downlink { qfi: 1, is_reflective: false, paging_policy: None }, "0\t1"),
        (Session::Downlink { qfi: 5, is_reflective: true, paging_policy: Some(3) }, "0\t5"),
    ];
    let mut expected = BTreeSet::new();
    for (number, (session, told)) in (1_u32..).zip(sessions) {
        let header = Header {
            message_type: MessageType::G_PDU,
            teid: 0x1234_5600 + number,
            sequence: None,
            session: Some(session),
            payload_octets: u16::try_from(inner.len()).unwrap(),
        };
        let mut octets = [0xaa; HEADER_OCTETS_MAX];
        let tunnelled = [header.emit(&mut octets), &inner].concat();
        let packet = bytes::udp4((gnb, gtpu::PORT), (upf, gtpu::PORT), &tunnelled);
        capture.add(&bytes::ethernet([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1], None, 0x0800, &packet)).unwrap();
        let length = tunnelled.len() - 8;
        expected.insert(format!("{number}\tgtpu\t{}\t255\t{length}\t{told}", header.teid));
    }
    capture.finish().unwrap();
    assert_eq!(malformed(&file, Below::Packets), [""; 0]);
    assert_eq!(lines(&file, Below::Packets).unwrap(), expected);
}

/// Of an MTU of 1,500 less VXLAN over IPv6 (40, 8 and 8 octets) and the frame's own header.
const FITS: u32 = 1_500 - 40 - 8 - 8 - 14;
