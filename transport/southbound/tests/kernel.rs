//! The driver against the real kernel, in network namespaces; `ip`, `bridge` and `tc` say what came of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panic, too")]

#[path = "common/iproute.rs"]
mod iproute;
#[path = "common/netns.rs"]
mod netns;
#[path = "common/mod.rs"]
mod wishes;

use std::cell::RefCell;
use std::error::Error;

use iproute::{expected, told};
use netns::{Namespace, reach};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use transport_southbound::{
    Action, Address, Bridge, BridgePort, Cause, Change, ClassId, Classifier, Desired, Device, Encap, EncapMode,
    Flavours, Forwarding, Key, LinkUp, Object, ReconcileError, Route, Shaper, ShaperRoot, Table, Vxlan, VxlanPeer,
    reconcile, verify,
};
use wishes::{link, local_sid, rate, route, sid, wish};

#[test]
#[ignore = "needs root: network namespaces"]
fn any_row_of_wishes_is_reached_as_iproute2_sees_it_and_nothing_foreign_is_touched() {
    let space = third_party_box("wish");
    let device = RefCell::new(space.device());
    let foreign = foreign(&space);
    let before = told(&space);
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let rows = prop::collection::vec(wish(), 1..4);
    TestRunner::new(config)
        .run(&rows, |row| {
            for desired in row.iter().chain([&Desired::EMPTY]) {
                let report = reach(&mut device.borrow_mut(), desired);
                prop_assert!(report.is_realised(), "{report:#?}");
                let now = told(&space);
                prop_assert!(before.is_subset(&now), "gone: {:#?}", before.difference(&now));
                let found: Vec<String> = now.difference(&before).cloned().collect();
                let wanted: Vec<String> = expected(desired).into_iter().collect();
                prop_assert_eq!(found, wanted);
                prop_assert_eq!(self::foreign(&space), foreign.clone());
                prop_assert!(report.passes <= 2, "{} passes", report.passes);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_is_changed_by_hand_is_found_and_repaired() {
    let space = third_party_box("drift");
    let mut device = space.device();
    let desired = everything();
    assert!(reach(&mut device, &desired).is_realised());
    let good = told(&space);
    let foreign = foreign(&space);
    let hand = [
        ("ip link set ms-v71 down", "differs: vxlan ms-v71"),
        ("ip link set ms-v71 mtu 1300", "differs: vxlan ms-v71"),
        ("ip link set ms-v71 type vxlan nolearning", "differs: vxlan ms-v71"),
        ("ip link del ms-v71", "missing: vxlan ms-v71"),
        ("ip link del ms-b71", "missing: bridge ms-b71"),
        ("bridge fdb append 00:00:00:00:00:00 dev ms-v71 dst fd00:1::66", "left over: peer fd00:1::66 of ms-v71"),
        ("bridge fdb del 00:00:00:00:00:00 dev ms-v71 dst fd00:1::2", "missing: peer fd00:1::2 of ms-v71"),
        ("ip link set acc0 nomaster", "missing: acc0 in bridge ms-b71"),
        ("ip link set acc0 master ms-foreign", "missing: acc0 in bridge ms-b71"),
        ("bridge link set dev acc0 isolated off", "differs: acc0 in bridge ms-b71"),
        ("ip link set acc1 master ms-b71", "left over: acc1 in bridge ms-b71"),
        ("ip addr del fd00:5::1/64 dev eth0", "missing: address fd00:5::1/64 of eth0"),
        ("ip -6 route del fd00:a::/48 metric 201", "missing: route fd00:a::/48"),
        ("ip -6 route replace fd00:a::/48 metric 201 proto 201 via fd00:1::9", "differs: route fd00:a::/48"),
        ("ip -6 route append fd00:b::/48 metric 201 proto 201 via fd00:1::9", "differs: by several next hops"),
        ("ip -6 route add fd00:e::/48 metric 201 proto 201 dev eth0", "left over: route fd00:e::/48"),
        ("ip -6 route add blackhole fd00:e::/48 metric 201 proto 201", "left over: route fd00:e::/48"),
        (
            "ip -6 route replace fc00:1::1/128 metric 201 proto 201 encap seg6local action End dev eth0",
            "differs: SID fc00:1::1/128 End ",
        ),
        ("tc class change dev eth0 classid 6d73:10 htb rate 3mbit ceil 9mbit", "differs: class 10 of eth0"),
        ("tc class add dev eth0 parent 6d73:1 classid 6d73:99 htb rate 3mbit", "left over: class 99 of eth0"),
        ("tc filter del dev eth0 parent 6d73: prio 1", "missing: classifier of VNI 71 over IPv6 on eth0"),
        ("tc qdisc del dev eth0 root", "missing: shaping of eth0"),
    ];
    for (command, found) in hand {
        // Another driver: nothing is remembered but on the device.
        let mut device = space.device();
        space.run(command);
        let differences = verify(&mut device, &desired).unwrap();
        let said: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|line| line.starts_with(found)), "{command}: {said:#?}");
        let report = reach(&mut device, &desired);
        if command.ends_with("ms-foreign") {
            // Somebody's bridge has it now; it is left there.
            let [failed] = report.failed.as_slice() else { panic!("{report:#?}") };
            assert_eq!(
                chain(failed),
                format!(
                    "{}: could not add acc0 in bridge ms-b71 isolated: something that isn't ours is in its place (the device says: it is a port of ms-foreign)",
                    space.name()
                )
            );
            space.run("ip link set acc0 nomaster");
            assert!(reach(&mut device, &desired).is_realised());
        } else {
            assert!(report.is_realised(), "{command}: {report:#?}");
        }
        assert_eq!(told(&space), good, "{command}");
        assert_eq!(self::foreign(&space), foreign, "{command}");
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_is_in_the_way_stays_and_is_named() {
    let space = third_party_box("way");
    let mut device = space.device();
    space.script(
        "ip -6 route add fd00:a::/48 metric 201 proto static via fd00:1::9
         ip route add 10.50.0.0/16 metric 201 proto static via 192.0.2.9
         ip link add ms-v71 type bridge
         ip addr add fd00:5::1/80 dev eth0
         tc qdisc add dev eth0 root handle 1: htb",
    );
    let state = || (told(&space), foreign(&space), space.run("ip link"));
    let before = state();
    let objects = [
        Object::Route(route("fd00:a::/48")),
        Object::Route(route("10.50.0.0/16")),
        Object::Vxlan(vxlan()),
        Object::Address(Address { link: link("eth0"), address: "fd00:5::1/64".parse().unwrap() }),
        Object::ShaperRoot(ShaperRoot { link: link("eth0"), rate: rate(1_000) }),
    ];
    let report = reach(&mut device, &Desired::new(objects).unwrap());
    assert!(report.changed.is_empty(), "{:#?}", report.changed);
    assert_eq!((report.differs.len(), report.failed.len()), (5, 5));
    for error in &report.failed {
        assert!(matches!(error.cause, Cause::Occupied(_)), "{}", chain(error));
    }
    assert!(reach(&mut device, &Desired::EMPTY).changed.is_empty());
    assert_eq!(state(), before);
    assert!(space.run("tc qdisc show dev eth0").starts_with("qdisc htb 1: root "));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_route_is_not_claimed_while_the_kernel_takes_one_of_somebody_else_to_the_same_prefix() {
    let space = third_party_box("shadow");
    let mut device = space.device();
    let end = Object::LocalSid(local_sid("fc00:1::1/128", Action::End(Flavours::default())));
    let routes = ["fd00:d::/48", "10.90.0.0/16", "0.0.0.0/0", "::/0"].map(|prefix| Object::Route(route(prefix)));
    let desired = Desired::new(routes.into_iter().chain([end])).unwrap();
    assert!(reach(&mut device, &desired).is_realised());
    let taken = |to: &str| space.run(&format!("ip route get fibmatch {to}"));
    let preferred = |metric| format!("another route, of protocol 4 with metric {metric}, is preferred");
    let refused = |prefix: &str| format!("packets to {prefix} are refused: ");
    for (foreign, to, why) in [
        ("-4 route add 10.90.0.0/16 proto static metric 20 via 192.0.2.9", "10.90.1.1", preferred(20)),
        ("-4 route add 0.0.0.0/0 proto static via 192.0.2.9", "9.9.9.9", preferred(0)),
        ("-6 route add fd00:d::/48 proto static metric 200 via fd00:1::9", "fd00:d::1", preferred(200)),
        ("-6 route add ::/0 proto static metric 20 via fd00:1::9", "fd99::1", preferred(20)),
        ("-6 route add fc00:1::1/128 proto static metric 20 via fd00:1::9", "fc00:1::1", preferred(20)),
        ("-6 route add blackhole fd00:d::/48 proto static metric 20", "", refused("fd00:d::/48")),
        ("-4 route add blackhole 10.90.0.0/16 proto static metric 20", "", refused("10.90.0.0/16")),
    ] {
        space.run(&format!("ip {foreign}"));
        // The kernel itself, as iproute2 sees it.
        assert!(to.is_empty() || taken(to).contains("proto static"), "{foreign}");
        let (before, ours) = (self::foreign(&space), told(&space));
        let report = reach(&mut device, &desired);
        let differs: Vec<_> = report.differs.iter().map(ToString::to_string).collect();
        assert!(differs.len() == 1 && differs[0].contains(&why), "{foreign}: {differs:?}");
        assert!(report.changed.is_empty() && report.failed.is_empty(), "{foreign}: {report:#?}");
        assert_eq!((self::foreign(&space), told(&space)), (before, ours), "{foreign}");
        space.run(&format!("ip {}", foreign.replace(" add ", " del ")));
        assert!(verify(&mut device, &desired).unwrap().is_empty(), "{foreign}");
    }
    // Of no matter: less preferred, to a part of it, in another table.
    space.script(
        "ip -4 route add 10.90.0.0/16 proto static metric 202 via 192.0.2.9
         ip -4 route add 10.90.1.0/24 proto static metric 20 via 192.0.2.9
         ip -4 route add 10.90.0.0/16 proto static metric 20 via 192.0.2.9 table 77
         ip -6 route add fd00:d::/48 proto static metric 202 via fd00:1::9
         ip -6 route add fd00:d::1/128 proto static metric 20 via fd00:1::9",
    );
    assert!(verify(&mut device, &desired).unwrap().is_empty());
    // What isn't used is taken away all the same when it is no longer wanted.
    space.run("ip -6 route add fc00:1::1/128 proto static metric 20 via fd00:1::9");
    assert!(reach(&mut device, &Desired::EMPTY).is_realised());
    assert!(told(&space).iter().all(|line| !line.contains("seg6local")), "{:#?}", told(&space));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_address_is_not_removed_when_a_foreign_one_would_go_with_it() {
    let space = third_party_box("take");
    let mut device = space.device();
    let address = Address { link: link("eth1"), address: "198.51.100.1/24".parse().unwrap() };
    reach(&mut device, &Desired::new([Object::Address(address)]).unwrap());
    space.run("ip addr add 198.51.100.9/24 dev eth1");
    let report = reach(&mut device, &Desired::EMPTY);
    let [failed] = report.failed.as_slice() else { panic!("{report:#?}") };
    assert_eq!(
        chain(failed),
        format!(
            "{}: could not remove address 198.51.100.1/24 of eth1: `198.51.100.9/24 of eth1`, which isn't ours, would go with it",
            space.name()
        )
    );
    assert!(space.run("ip addr show dev eth1").contains("198.51.100.9/24"));
    space.run("ip addr del 198.51.100.9/24 dev eth1");
    assert!(reach(&mut device, &Desired::EMPTY).is_realised());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_owners_address_that_somebody_else_on_the_link_has_does_not_serve_and_ours_are_there_at_once() {
    let (space, other) = (third_party_box("dad"), Namespace::new("dadx"));
    space.join("dad0", &other, "dad0");
    other.run("ip addr add fd00:7::2/64 dev dad0");
    space.run("sysctl -qw net.ipv6.conf.dad0.accept_dad=1");
    space.run("ip addr add fd00:7::2/64 dev dad0");
    let address = |text: &str| Object::Address(Address { link: link("dad0"), address: text.parse().unwrap() });
    let (owners, ours) = (address("fd00:7::2/64"), address("fd00:7::3/64"));
    let failed = || space.run("ip -6 addr show dev dad0").matches("dadfailed").count();
    for _ in 0..100 {
        if failed() == 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(failed(), 1);
    let desired = Desired::new([ours.clone(), owners.clone()]).unwrap();
    let mut device = space.device();
    for changed in [vec![Change::Add(ours)], vec![]] {
        let report = reconcile(&mut device, &desired).unwrap();
        assert_eq!(report.changed, changed);
        let differs: Vec<_> = report.differs.iter().map(ToString::to_string).collect();
        assert_eq!(differs, [format!("missing: {owners}")]);
    }
    let of_ours = space.run("ip -6 addr show dev dad0 to fd00:7::3");
    assert!(of_ours.contains("nodad") && !of_ours.contains("tentative"), "{of_ours}");
    assert_eq!(failed(), 1, "nothing of it is touched");
    assert!(reach(&mut device, &Desired::EMPTY).is_realised());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_refusal_carries_the_words_of_the_kernel() {
    let space = third_party_box("words");
    let mut device = space.device();
    let far = Route { via: Some("10.77.0.1".parse().unwrap()), ..route("10.9.0.0/16") };
    let nowhere = Route { link: link("eth9"), ..route("fd00:b::/48") };
    let desired = Desired::new([far, nowhere].map(Object::Route)).unwrap();
    let report = reach(&mut device, &desired);
    let mut said: Vec<String> = report.failed.iter().map(|error| chain(error)).collect();
    said.sort();
    let refused = "refused (the device says: Nexthop has invalid gateway): Network is unreachable (os error 101)";
    assert!(
        said[0].ends_with(&format!(
            "could not add route 10.9.0.0/16 in table 254, metric 201 via 10.77.0.1 by eth0: {refused}"
        )),
        "{said:#?}"
    );
    assert!(said[1].ends_with("there is no link `eth9`"), "{said:#?}");
    assert_eq!(report.passes, 1);

    // This kernel has no VRF devices, so that is known beforehand; a kernel that has them refuses an unknown table.
    let dt46 = Object::LocalSid(local_sid("fc00::1/128", Action::EndDt46(Table::new(9).unwrap())));
    match reconcile(&mut device, &Desired::new([dt46]).unwrap()) {
        Err(ReconcileError::Unsupported(refused)) => assert!(refused[0].to_string().contains("VRF"), "{refused:?}"),
        other => assert!(!other.unwrap().is_realised()),
    }
}

/// A box of somebody else's, with its own links, addresses, routes, tunnels and shaping.
fn third_party_box(role: &str) -> Namespace {
    let space = Namespace::new(role);
    for name in ["eth0", "eth1", "acc0", "acc1", "for0"] {
        space.run(&format!("ip link add {name} type veth peer name {name}x"));
        space.script(&format!("ip link set {name} up\nip link set {name}x up"));
    }
    space.script(
        "ip addr add fd00:1::1/64 dev eth0
         ip addr add 192.0.2.1/24 dev eth0
         ip addr add 198.51.100.77/24 dev eth0
         ip addr add 203.0.113.1/24 dev for0
         ip addr add fd00:6::77/64 dev eth1
         ip route add 10.50.0.0/16 via 192.0.2.9 proto static metric 350
         ip route add 10.60.0.1/32 via 192.0.2.9 proto static metric 301 table 100
         ip -6 route add fd00:a::/48 via fd00:1::9 proto static
         ip -6 route add fd00:b::1/128 via fd00:1::9 proto static metric 302
         ip -6 route add fc00:f::1/128 encap seg6local action End dev eth0 proto static
         ip -6 route add fd00:b::/64 encap seg6 mode encap segs fc00::7 dev eth0 proto static metric 377
         ip link add vxf type vxlan id 999 local 192.0.2.1 dstport 4999
         bridge fdb append 00:00:00:00:00:00 dev vxf dst 192.0.2.3
         ip link add ms-foreign type bridge
         ip link set for0 master ms-foreign
         ip link set vxf master ms-foreign
         tc qdisc add dev for0 root handle 1: htb default 1
         tc class add dev for0 parent 1: classid 1:1 htb rate 1mbit",
    );
    space
}

/// Everything on such a box that isn't ours.
fn foreign(space: &Namespace) -> Vec<String> {
    let addresses = ["eth0", "eth1", "for0"].map(|name| space.run(&format!("ip -o addr show dev {name}")));
    let own = ["fd00:5::1/64", "198.51.100.1/24", "fd00:6::1/64", "198.51.100.2/24"];
    let addresses = addresses.iter().flat_map(|said| said.lines());
    let addresses = addresses.filter(|line| !own.iter().any(|own| line.contains(own))).map(|line| {
        // The first address of a network is primary; ours may come and go before it.
        line.replace(" secondary", "")
    });
    let commands = [
        "ip -4 route show table all proto static",
        "ip -6 route show table all proto static",
        "ip -o link show vxf",
        "ip -o link show ms-foreign",
        "ip -o link show for0",
        "bridge fdb show dev vxf",
        "tc qdisc show dev for0",
        "tc class show dev for0",
    ];
    addresses.chain(commands.iter().map(|command| space.run(command))).collect()
}

fn vxlan() -> Vxlan {
    Vxlan {
        name: link("ms-v71"),
        vni: model::Vni::try_from(71u32).unwrap(),
        local: "fd00:1::1".parse().unwrap(),
        port: 4789,
        mtu: 1450,
        group_policy: true,
        learning: true,
        up: true,
    }
}

/// One of each.
fn everything() -> Desired {
    let (tunnel, bridge, eth0) = (link("ms-v71"), link("ms-b71"), link("eth0"));
    let class = ClassId::new(0x10).unwrap();
    let encap = Encap { mode: EncapMode::EncapsRed, segments: vec![sid("fc00:9::1"), sid("fc00:9::2")] };
    Desired::new([
        Object::Vxlan(vxlan()),
        Object::Bridge(Bridge { name: bridge.clone(), up: true }),
        Object::BridgePort(BridgePort { link: tunnel.clone(), bridge: bridge.clone(), isolated: false }),
        Object::BridgePort(BridgePort { link: link("acc0"), bridge, isolated: true }),
        Object::VxlanPeer(VxlanPeer { link: tunnel, remote: "fd00:1::2".parse().unwrap() }),
        Object::Address(Address { link: eth0.clone(), address: "fd00:5::1/64".parse().unwrap() }),
        Object::Route(Route { encap: Some(encap), ..route("fd00:a::/48") }),
        Object::Route(Route { via: Some("fd00:1::2".parse().unwrap()), ..route("fd00:b::/48") }),
        Object::LocalSid(local_sid("fc00:1::1/128", Action::EndX("fd00:1::2".parse().unwrap(), Flavours::default()))),
        Object::ShaperRoot(ShaperRoot { link: eth0.clone(), rate: rate(1_000) }),
        Object::Shaper(Shaper { link: eth0.clone(), class, rate: rate(10), ceil: rate(100) }),
        Object::Classifier(Classifier { link: eth0, vni: vxlan().vni, ipv6: true, class }),
    ])
    .unwrap()
}

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |error: &&dyn Error| (**error).source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_the_owner_of_a_box_has_seen_to_serves_and_is_never_changed() {
    let space = third_party_box("owner");
    let mut device = space.device();
    space.run("ip addr add fd00:7::1/64 dev eth0");
    let address = |text: &str| Object::Address(Address { link: link("eth0"), address: text.parse().unwrap() });
    let rests = [
        Object::Forwarding(Forwarding::Ipv4),
        Object::Forwarding(Forwarding::Ipv6),
        Object::LinkUp(LinkUp { link: link("eth0"), mtu: 1_500 }),
    ];
    let desired =
        Desired::new(rests.iter().cloned().chain([address("fd00:7::1/64"), address("fd00:8::1/64")])).unwrap();
    let report = reach(&mut device, &desired);
    assert!(report.is_realised(), "{report:#?}");
    assert_eq!(report.changed, [Change::Add(address("fd00:8::1/64"))], "the other one is there");
    // What the owner undoes is named, and is the owner's to do again.
    space.script(
        "sysctl -qw net.ipv4.ip_forward=0
         sysctl -qw net.ipv6.conf.all.forwarding=0
         ip addr del fd00:7::1/64 dev eth0",
    );
    let report = reach(&mut device, &desired);
    assert_eq!(report.changed, [Change::Add(address("fd00:7::1/64"))], "the address is ours from now on");
    let differs: Vec<_> = report.differs.iter().map(ToString::to_string).collect();
    assert_eq!(differs, ["missing: net.ipv4.ip_forward=1", "missing: net.ipv6.conf.all.forwarding=1"]);
    assert!(report.failed.iter().all(|failed| matches!(failed.cause, Cause::OfOwner)), "{:?}", report.failed);
    space.run("ip link set eth0 mtu 1499");
    let report = reach(&mut device, &desired);
    let differs: Vec<_> = report.differs.iter().map(ToString::to_string).collect();
    let short = "differs: link eth0 up mtu 1499; expected link eth0 up mtu 1500".to_owned();
    assert!(report.changed.is_empty() && differs.contains(&short), "{differs:?}");
    space.run("ip link set eth0 down");
    let differs = verify(&mut device, &desired).unwrap();
    assert!(differs.iter().any(|difference| difference.to_string() == "missing: link eth0 up mtu 1500"), "{differs:?}");
    assert!(reach(&mut device, &Desired::EMPTY).is_realised());
    assert!(!space.run("ip addr show dev eth0").contains("fd00:8::1"));
}

#[test]
#[ignore = "needs root: network namespaces"]
fn packets_of_no_slice_go_into_the_class_of_the_rest() {
    let space = third_party_box("rest");
    let mut device = space.device();
    let eth0 = link("eth0");
    let classes = [ClassId::REST, ClassId::new(3).unwrap()];
    let classes =
        classes.map(|class| Object::Shaper(Shaper { link: eth0.clone(), class, rate: rate(10), ceil: rate(100) }));
    let root = Object::ShaperRoot(ShaperRoot { link: eth0.clone(), rate: rate(100) });
    assert!(reach(&mut device, &Desired::new(classes.into_iter().chain([root])).unwrap()).is_realised());
    let _ = space.output("ping -c 3 -i 0.2 -W 1 192.0.2.2");
    let told = space.run("tc -s class show dev eth0");
    let class = told.split("class htb ").find(|class| class.starts_with("6d73:2 ")).unwrap();
    let sent = class.split("Sent ").nth(1).and_then(|sent| sent.split(' ').next()).unwrap();
    assert!(sent.parse::<u64>().unwrap() > 0, "{told}");
    assert!(
        told.contains("class htb 6d73:3 ") && told.contains("direct_packets_stat 0") || !told.contains("direct"),
        "{told}"
    );
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_was_left_by_a_driver_that_died_is_found_and_removed() {
    let space = third_party_box("crash");
    let before = (told(&space), foreign(&space));
    reach(&mut space.device(), &everything());
    let mut device = space.device();
    let left: Vec<Key> = device.observe().unwrap().ours.into_keys().collect();
    assert_eq!(left, everything().objects().keys().cloned().collect::<Vec<_>>());
    assert!(reach(&mut device, &Desired::EMPTY).is_realised());
    assert_eq!((told(&space), foreign(&space)), before);
}
