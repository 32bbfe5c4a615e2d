//! A port whose kernel has the program's address: the kernel resolves and answers, and the edge follows it.
//!
//! Of the network of `af_packet` one edge runs, `edge-a`. In the place of the other there is a kernel, with the address of the
//! next hop on `core0` and the loopback on which tunnels end; what arrives at their UDP port was sent to the right MAC
//! address.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::af_packet::{DRIVER, Namespaces, Process, admit, inside, ip, kernel_program, management, part};
use crate::manager::{FakeManager, PATIENCE};
use crate::world::{HEAD_END, METER, Side, World};

#[test]
#[ignore = "needs root"]
fn a_kernel_that_has_the_address_resolves_its_neighbours() {
    for driver in ["af-packet", "af-xdp"] {
        let network = Namespaces::make();
        let status = part(&network.prefix, "manager", "neighbours").env(DRIVER, driver).status().unwrap();
        assert!(status.success(), "{driver}");
    }
}

/// The part of it inside the management network.
pub(crate) async fn manager(prefix: &str, driver: &str) {
    let [a, b] = [Side::A, Side::B].map(|side| format!("{prefix}{}", side.name()));
    for (space, address) in [(&a, OURS), (&b, ITS)] {
        for setting in ["keep_addr_on_down=1", "accept_dad=0"] {
            run(prefix, &space[prefix.len()..], &["sysctl", "-qw", &format!("net.ipv6.conf.core0.{setting}")]);
        }
        ip(&["-n", space, "address", "add", &format!("{address}/64"), "dev", "core0", "nodad"]);
    }
    ip(&["-n", &b, "address", "add", &format!("{}/128", Side::B.loopback()), "dev", "lo"]);
    let world = World::new();
    let address = management(Side::A, 2).into();
    let mut manager = FakeManager::start_at(&world.authority, "0.0.0.0:0".parse().unwrap(), &[address]).await;
    let uri = format!("https://{address}:{}", manager.address.port()).parse().unwrap();
    let mut command = inside(prefix, "edge-a", env!("CARGO_BIN_EXE_mec-edge"));
    world
        .arguments(&mut command, Side::A, &uri, management(Side::A, 1).into())
        .args([format!("--port=access0={driver}:access0"), format!("--port=core0={driver}:core0")]);
    let _edge = Process(command.spawn().unwrap());
    let mut stream = manager.attached().await;
    stream.realised().await;
    stream.run(&kernel_program(prefix, Side::A)).await;
    admit(Side::A, METER, 1).await;

    assert!(arrives(prefix), "the kernel was asked to resolve");
    assert!(kernel_entry(&a).contains("lladdr"), "and has resolved: {}", kernel_entry(&a));
    assert_eq!(advertisements(prefix), 1, "the kernel answers, and nobody else");

    // It moves; the kernel hears of it when it is asked something.
    ip(&["-n", &b, "link", "set", "core0", "address", "02:00:00:00:77:02"]);
    assert_eq!(advertisements(prefix), 1);
    assert!(kernel_entry(&a).contains("02:00:00:00:77:02"), "{}", kernel_entry(&a));
    assert!(arrives(prefix), "to its new place");

    ip(&["-n", &a, "neighbour", "delete", ITS, "dev", "core0"]);
    assert!(arrives(prefix), "it was forgotten, and found again");

    ip(&["-n", &a, "link", "set", "core0", "down"]);
    assert!(!arrives(prefix), "the link is down");
    ip(&["-n", &a, "link", "set", "core0", "up"]);
    assert!(arrives(prefix), "the link is up again");

    // A link full of strangers is no matter.
    let stranger = |n: u16| format!("neighbour add fd00:1::1:{n:x} lladdr 02:00:00:01:00:01 dev core0");
    let strangers = (0..STRANGERS).map(stranger).collect::<Vec<_>>().join("\n") + "\n";
    let file = std::env::temp_dir().join(format!("{prefix}strangers"));
    std::fs::write(&file, strangers).unwrap();
    ip(&["-n", &a, "-batch", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    ip(&["-n", &a, "neighbour", "delete", ITS, "dev", "core0"]);
    assert!(arrives(prefix), "among strangers");

    // Without the address in the kernel, the edge answers and asks by itself.
    ip(&["-n", &a, "address", "delete", &format!("{OURS}/64"), "dev", "core0"]);
    ip(&["-n", &a, "neighbour", "flush", "dev", "core0"]);
    assert_eq!(advertisements(prefix), 1, "the edge answers, and nobody else");
    ip(&["-n", &b, "link", "set", "core0", "address", "02:00:00:00:77:03"]);
    assert_eq!(advertisements(prefix), 1);
    assert!(arrives(prefix), "the edge has heard of it");
    assert!(!kernel_entry(&a).contains("lladdr"), "the kernel knows nothing: {}", kernel_entry(&a));
}

/// Does what the device sends arrive in a tunnel?
fn arrives(prefix: &str) -> bool {
    let mut receiver = Process(part(prefix, "edge-b", "receive-tunnels").spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    let mut received = None;
    while received.is_none() && Instant::now() < deadline {
        // Whom nobody knows is asked for everywhere.
        let mut ping = inside(prefix, "device-a", "ping");
        let _ = ping.args(["-q", "-c", "1", "-W", "1", &HEAD_END.address.to_string()]).output();
        received = receiver.0.try_wait().unwrap();
    }
    received.is_some_and(|status| status.success())
}

/// Waits for a packet of a tunnel.
pub(crate) fn receive() {
    let socket = UdpSocket::bind((Side::B.loopback(), VXLAN)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.recv_from(&mut [0; 2_000]).unwrap();
}

/// How many answer when the other kernel asks who has our address; the echo must be answered once, too.
fn advertisements(prefix: &str) -> u64 {
    let b = format!("{prefix}edge-b");
    ip(&["-n", &b, "neighbour", "flush", "dev", "core0"]);
    let heard = || {
        let text = run(prefix, "edge-b", &["cat", "/proc/net/snmp6"]);
        let line = text.lines().find(|line| line.starts_with("Icmp6InNeighborAdvertisements")).unwrap();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = heard();
        let ping = run_or_not(prefix, "edge-b", &["ping", "-q", "-c", "1", "-W", "2", OURS]);
        // What comes late.
        std::thread::sleep(Duration::from_millis(300));
        match ping {
            Some(text) => {
                assert!(!text.contains("duplicates"), "{text}");
                let advertisements = heard() - before;
                // It may have learnt us from a question of ours in between, and had nothing to ask.
                if advertisements > 0 || Instant::now() >= deadline {
                    return advertisements;
                }
            }
            None => assert!(Instant::now() < deadline, "nobody has {OURS}"),
        }
    }
}

/// What the kernel of a namespace knows of the next hop.
fn kernel_entry(space: &str) -> String {
    let output = std::process::Command::new("ip").args(["-n", space, "neighbour", "show", ITS]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn run(prefix: &str, space: &str, command: &[&str]) -> String {
    run_or_not(prefix, space, command).unwrap_or_else(|| panic!("{command:?} failed"))
}

fn run_or_not(prefix: &str, space: &str, command: &[&str]) -> Option<String> {
    let output = inside(prefix, space, command[0]).args(&command[1..]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

const OURS: &str = "fd00:1::a";
const ITS: &str = "fd00:1::b";
const VXLAN: u16 = 4789;
const STRANGERS: u16 = 500;
