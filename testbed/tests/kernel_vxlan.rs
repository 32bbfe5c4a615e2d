//! The Linux kernel's own VXLAN device as the other edge of a segment: ping and UDP both ways, over an IPv6 and an IPv4
//! underlay. Edges send the sender's group along, so the device must know the group-policy extension.
//!
//! ```text
//!   dev ── veth ── access0 [edge-a] core0 ── veth ── peer (kernel: vxlan0 10.77.0.20)
//!   10.77.0.11
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

mod common;

use std::time::Duration;

use common::{Files, admit, drops, slicectl, start, until};
use testbed::netns::Namespace;

/// The addresses of one underlay.
struct Underlay {
    name: &'static str,
    loopbacks: [&'static str; 2],
    link: [&'static str; 2],
    topology: [&'static str; 2],
    /// What `ip` wants before `link`, `addr` and `route`.
    family: &'static str,
}

const IPV6: Underlay = Underlay {
    name: "ipv6",
    loopbacks: ["fd00:0:a::1", "fd00:0:b::1"],
    link: ["fd00:1::1/64", "fd00:1::2/64"],
    topology: ["ipv6: \"fd00:0:a::1\"", "ipv6: \"fd00:0:b::1\""],
    family: "-6",
};

const IPV4: Underlay = Underlay {
    name: "ipv4",
    loopbacks: ["10.255.0.1", "10.255.0.2"],
    link: ["10.1.1.1/24", "10.1.1.2/24"],
    topology: ["ipv4: 10.255.0.1", "ipv4: 10.255.0.2"],
    family: "-4",
};

#[test]
#[ignore = "needs root"]
fn the_kernel_exchanges_ping_and_udp_with_an_edge_over_ipv6() {
    exchange(&IPV6);
}

#[test]
#[ignore = "needs root"]
fn the_kernel_exchanges_ping_and_udp_with_an_edge_over_ipv4() {
    exchange(&IPV4);
}

fn exchange(underlay: &Underlay) {
    let [edge, dev, peer] =
        ["edge", "dev", "peer"].map(|role| Namespace::new(&format!("{role}{}", underlay.name)).unwrap());
    edge.join("access0", &dev, "eth0", 1500).unwrap();
    edge.join("core0", &peer, "eth0", 1600).unwrap();
    edge.script("sysctl -qw net.ipv6.conf.core0.disable_ipv6=1").unwrap();
    dev.script("ip link set eth0 address 02:00:00:00:77:11\nip addr add 10.77.0.11/24 dev eth0").unwrap();

    let files = Files::new(&format!("kernel-vxlan-{}", underlay.name));
    files.secrets("things", "clients:\n  - { name: here, secret: \"not-much-of-a-secret\" }\nusers:\n  - { name: dev, password: \"let-me-in\" }\n");
    let ports = ["access0=af-packet:access0", "core0=af-packet:core0"];
    let (_manager, _running_edge) = start(&edge, &files, &ports);
    let topology = files.write("topology.yaml", &topology(underlay));
    until("the manager answers", Duration::from_secs(10), || slicectl(&edge, &files, &["node", "list"]).0 == 0);
    let (code, said) = slicectl(&edge, &files, &["apply", "-f", &topology]);
    assert_eq!(code, 0, "{said}");
    // The other edge is the kernel and never reports, so there is no waiting for the whole.
    let slice = files.write("slice.yaml", SLICE);
    let (code, said) = slicectl(&edge, &files, &["apply", "-f", &slice]);
    assert_eq!(code, 0, "{said}");
    until("edge-a runs the segment, its AAA ready", Duration::from_secs(10), || {
        let (_, said) = slicectl(&edge, &files, &["segment", "show", "lab", "things", "-o", "json"]);
        said.contains("\"AAA_STATE_READY\"")
    });
    let (_, said) = slicectl(&edge, &files, &["segment", "show", "lab", "things", "-o", "json"]);
    let segment: serde_json::Value = serde_json::from_str(&said).unwrap();
    let vni = segment["vni"].as_u64().unwrap();
    kernel_device(&peer, underlay, vni, "");

    // Nobody is authenticated: nothing passes, and the drop has its name.
    assert!(!ping(&dev, "10.77.0.20"), "an unauthenticated device was forwarded");
    assert!(drops(&edge, &files, "unauthenticated") > 0);

    admit(&edge, segment["accessPort"].as_u64().unwrap(), "02:00:00:00:77:11", "10.77.0.11");

    // A device without the extension takes no flag that it does not know.
    assert!(!ping(&dev, "10.77.0.20"), "the kernel took a group that it does not know of");
    peer.script("ip link del vxlan0").unwrap();
    kernel_device(&peer, underlay, vni, "gbp");
    until("the first ping passes", Duration::from_secs(5), || ping(&dev, "10.77.0.20"));
    let there = dev.run(&["ping", "-c", "20", "-i", "0.02", "-W", "2", "10.77.0.20"]).unwrap();
    assert!(there.contains(" 0% packet loss"), "{there}");
    let back = peer.run(&["ping", "-c", "20", "-i", "0.02", "-W", "2", "10.77.0.11"]).unwrap();
    assert!(back.contains(" 0% packet loss"), "{back}");
    // As long as the kernel's device allows.
    let long = dev.run(&["ping", "-c", "3", "-i", "0.05", "-s", "1372", "-M", "do", "-W", "2", "10.77.0.20"]).unwrap();
    assert!(long.contains(" 0% packet loss"), "{long}");
    for (from, to, address) in [(&dev, &peer, "10.77.0.20"), (&peer, &dev, "10.77.0.11")] {
        let (sent, got) = udp(from, to, address);
        assert_eq!(sent, got, "UDP to {address}");
    }
    // A source that is not the one bound to the session.
    dev.script("ip addr add 10.77.0.66/24 dev eth0").unwrap();
    assert!(
        dev.output(&["ping", "-c", "1", "-W", "1", "-I", "10.77.0.66", "10.77.0.20"])
            .is_ok_and(|o| !o.status.success())
    );
    assert!(drops(&edge, &files, "source-address") > 0);
    // The edge answers for itself in the underlay.
    let own = underlay.link[0].split('/').next().unwrap();
    let ping_own = peer.run(&["ping", "-c", "2", "-i", "0.05", "-W", "2", own]).unwrap();
    assert!(ping_own.contains(" 0% packet loss"), "{ping_own}");
}

fn kernel_device(peer: &Namespace, underlay: &Underlay, vni: u64, extension: &str) {
    let Underlay { family, loopbacks: [edge, own], link: [gateway, link], .. } = underlay;
    let gateway = gateway.split('/').next().unwrap();
    let length = if *family == "-6" { 128 } else { 32 };
    let nodad = if *family == "-6" { "nodad" } else { "" };
    peer.script(&format!(
        "ip {family} addr replace {link} dev eth0 {nodad}
         ip {family} addr replace {own}/{length} dev lo {nodad}
         ip {family} route replace {edge}/{length} via {gateway}
         ip link add vxlan0 address 02:00:00:00:77:20 type vxlan id {vni} local {own} remote {edge} dstport 4789 {extension}
         ip link set vxlan0 mtu 1400 up
         ip addr add 10.77.0.20/24 dev vxlan0"
    ))
    .unwrap();
}

fn ping(from: &Namespace, to: &str) -> bool {
    from.output(&["ping", "-c", "1", "-W", "1", to]).is_ok_and(|output| output.status.success())
}

/// Datagrams sent and received within half a second at 2 Mbit/s.
fn udp(from: &Namespace, to: &Namespace, address: &str) -> (u64, u64) {
    let mut receiver = to.command(common::TESTBED);
    receiver.args(["part", "receive", "--milliseconds", "1800"]).stdout(std::process::Stdio::piped());
    let receiver = receiver.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let send =
        ["part", "send", "--to", address, "--frame-octets", "600", "--offered", "2000000", "--milliseconds", "500"];
    let sent = from.run(&[&[common::TESTBED][..], &send].concat()).unwrap();
    let got = receiver.wait_with_output().unwrap();
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    let got: serde_json::Value = serde_json::from_slice(&got.stdout).unwrap();
    let received = got["from"].as_object().unwrap().values().map(|pair| pair[0].as_u64().unwrap()).sum();
    (sent["datagrams"].as_u64().unwrap(), received)
}

fn topology(underlay: &Underlay) -> String {
    let [own, peer] = underlay.topology;
    let [edge, kernel] = underlay.link;
    format!(
        "apiVersion: microslice/v1
kind: Topology
metadata: {{ name: lab }}
spec:
  pools: {{ vni: {{ first: 7700, last: 7799 }}, radiusPorts: {{ first: 20000, last: 20099 }} }}
  nodes:
    - name: edge-a
      role: edge
      loopback: {{ {own} }}
      ports: [{{ name: access0, rate: 1 Gbit/s }}, {{ name: core0, rate: 1 Gbit/s, mtu: 1600 }}]
    - name: kernel
      role: edge
      loopback: {{ {peer} }}
      ports: [{{ name: access0, rate: 1 Gbit/s }}, {{ name: core0, rate: 1 Gbit/s, mtu: 1600 }}]
  links:
    - name: edge-a--kernel
      a: {{ node: edge-a, port: core0, addresses: [\"{edge}\"] }}
      b: {{ node: kernel, port: core0, addresses: [\"{kernel}\"] }}
      capacity: 1 Gbit/s
      delay: 100 us
"
    )
}

const SLICE: &str = "\
apiVersion: microslice/v1
kind: Slice
metadata: { name: lab }
spec:
  template: miot
  sessionRates: { fromAccess: 100 Mbit/s }
  snssai: { sst: 3, sd: \"00BEEF\" }
  rate: { guaranteed: 10 Mbit/s, ceiling: 100 Mbit/s }
  latency: { max: 10 ms }
  sdps:
    - { name: here, edge: edge-a, port: access0 }
    - { name: there, edge: kernel, port: access0 }
---
apiVersion: microslice/v1
kind: MicroSegment
metadata: { name: things, slice: lab }
spec: { profile: smart-metering, at: [edge-a, kernel] }
---
apiVersion: microslice/v1
kind: Realm
metadata: { name: things, slice: lab }
spec:
  clients:
    - { name: here, addresses: [127.0.0.1/32] }
";
