//! Random wishes for a device with the links `lo`, `eth0`, `eth1`, `acc0` and `acc1`, of which `eth0` reaches `fd00:1::2`
//! and `192.0.2.2`. Every wish can be realised on a Linux kernel without VRF.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Rate, Sid, Vni};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use transport_southbound::{
    Action, Address, Bridge, BridgePort, ClassId, Classifier, Csid, Desired, Encap, EncapMode, Flavours, LinkName,
    LocalSid, Metric, Object, Route, ShapedRate, Shaper, ShaperRoot, Table, Vxlan, VxlanPeer,
};

pub(crate) const LINKS: [&str; 5] = ["lo", "eth0", "eth1", "acc0", "acc1"];

pub(crate) fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

pub(crate) fn rate(mbits: u64) -> ShapedRate {
    ShapedRate::new(Rate::from_bits_per_second(mbits * 1_000_000)).unwrap()
}

pub(crate) fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

pub(crate) fn route(prefix: &str) -> Route {
    let (table, metric) = (Table::MAIN, Metric::DEFAULT);
    Route { prefix: prefix.parse().unwrap(), table, metric, link: link("eth0"), via: None, encap: None }
}

pub(crate) fn local_sid(sid: &str, action: Action) -> LocalSid {
    let (table, metric) = (Table::MAIN, Metric::DEFAULT);
    LocalSid { sid: sid.parse().unwrap(), table, metric, link: link("eth0"), action }
}

/// Anything that the kernel can do.
pub(crate) fn wish() -> impl Strategy<Value = Desired> {
    let segments = btree_map(71..75u32, segment(), 0..4);
    let access = vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 2);
    (segments, access, addresses(), routes(), sids(), shaping()).prop_map(
        |(segments, access, addresses, routes, sids, shaping)| {
            let bridged: Vec<u32> = segments.iter().filter(|(_, s)| s.bridged).map(|(vni, _)| *vni).collect();
            let mut objects: Vec<Object> = segments.iter().flat_map(|(vni, segment)| segment.objects(*vni)).collect();
            for (name, (at, isolated, used)) in ["acc0", "acc1"].into_iter().zip(access) {
                if used && !bridged.is_empty() {
                    let bridge = link(&format!("ms-b{}", bridged[at.index(bridged.len())]));
                    objects.push(Object::BridgePort(BridgePort { link: link(name), bridge, isolated }));
                }
            }
            if let Some(vni) = bridged.first() {
                let address = format!("10.{vni}.0.1/24").parse().unwrap();
                objects.push(Object::Address(Address { link: link(&format!("ms-b{vni}")), address }));
            }
            objects.extend(addresses.into_iter().chain(routes).chain(sids).chain(shaping));
            Desired::new(by_key(objects.into_iter())).unwrap()
        },
    )
}

#[derive(Debug, Clone)]
struct Segment {
    ipv6: bool,
    peers: Vec<u8>,
    mtu: u32,
    group_policy: bool,
    learning: bool,
    up: bool,
    bridged: bool,
}

impl Segment {
    fn objects(&self, vni: u32) -> Vec<Object> {
        let (tunnel, bridge) = (link(&format!("ms-v{vni}")), link(&format!("ms-b{vni}")));
        let ip = |host: u8| -> IpAddr {
            let text = if self.ipv6 { format!("fd00:1::{host}") } else { format!("192.0.2.{host}") };
            text.parse().unwrap()
        };
        let peers = self.peers.iter().map(|p| Object::VxlanPeer(VxlanPeer { link: tunnel.clone(), remote: ip(*p) }));
        let mut objects: Vec<Object> = peers.collect();
        objects.push(Object::Vxlan(Vxlan {
            name: tunnel.clone(),
            vni: Vni::try_from(vni).unwrap(),
            local: ip(1),
            // One socket has the extension or it hasn't.
            port: 4789 + u16::from(self.group_policy),
            mtu: self.mtu,
            group_policy: self.group_policy,
            learning: self.learning,
            up: self.up,
        }));
        if self.bridged {
            objects.push(Object::Bridge(Bridge { name: bridge.clone(), up: self.up }));
            objects.push(Object::BridgePort(BridgePort { link: tunnel, bridge, isolated: false }));
        }
        objects
    }
}

fn segment() -> impl Strategy<Value = Segment> {
    let peers = subsequence(std::vec![2u8, 3, 4, 5], 0..=4);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (peers, select(std::vec![1400u32, 1450, 8900]), flags).prop_map(
        |(peers, mtu, (ipv6, group_policy, learning, up, bridged))| Segment {
            ipv6,
            peers,
            mtu,
            group_policy,
            learning,
            up,
            bridged,
        },
    )
}

fn addresses() -> impl Strategy<Value = Vec<Object>> {
    let all = [
        ("lo", "fd00:c::1/128"),
        ("eth0", "fd00:5::1/64"),
        ("eth0", "198.51.100.1/24"),
        ("eth1", "fd00:6::1/64"),
        ("eth1", "198.51.100.2/24"),
        ("lo", "10.255.0.1/32"),
    ];
    let all =
        all.map(|(name, address)| Object::Address(Address { link: link(name), address: address.parse().unwrap() }));
    subsequence(all.to_vec(), 0..=6)
}

fn routes() -> impl Strategy<Value = Vec<Object>> {
    let prefixes = select(std::vec!["fd00:a::/48", "fd00:b::/64", "fd00:b::1/128", "10.50.0.0/16", "10.60.0.1/32"]);
    let one = (prefixes, select(std::vec![254u32, 100, 70_000]), select(std::vec![201u32, 300]), 0..8usize, sid_list());
    vec(one, 0..8).prop_map(|routes| {
        let routes = routes.into_iter().map(|(prefix, table, metric, shape, segments)| {
            let mut route =
                Route { table: Table::new(table).unwrap(), metric: Metric::new(metric).unwrap(), ..route(prefix) };
            let ipv6 = route.prefix.address().is_ipv6();
            let via: IpAddr = if ipv6 { "fd00:1::2" } else { "192.0.2.2" }.parse().unwrap();
            let mode = match shape {
                0 => None,
                1 => {
                    route.link = link("eth1");
                    None
                }
                2 => {
                    route.via = Some(via);
                    None
                }
                3 => Some(EncapMode::Encaps),
                4 => Some(EncapMode::EncapsRed),
                5 => Some(EncapMode::EncapsL2),
                6 => Some(EncapMode::EncapsL2Red),
                _ if ipv6 => Some(EncapMode::Inline),
                _ => Some(EncapMode::Encaps),
            };
            route.encap = mode.map(|mode| Encap { mode, segments });
            Object::Route(route)
        });
        by_key(routes)
    })
}

fn sid_list() -> impl Strategy<Value = Vec<Sid>> {
    vec((1..9u32).prop_map(|n| sid(&format!("fc00:9::{n}"))), 1..6)
}

fn sids() -> impl Strategy<Value = Vec<Object>> {
    let csid = Some(Csid { block_bits: 32, node_bits: 16 });
    let plain = Flavours::default();
    let actions = std::vec![
        Action::End(plain),
        Action::End(Flavours { psp: true, ..plain }),
        Action::End(Flavours { next_csid: csid, ..plain }),
        Action::EndX("fd00:1::2".parse().unwrap(), plain),
        Action::EndX("fd00:1::2".parse().unwrap(), Flavours { next_csid: csid, ..plain }),
        Action::EndT(Table::MAIN),
        Action::EndT(Table::new(100).unwrap()),
        Action::EndDx2(link("acc0")),
        Action::EndDx4("192.0.2.2".parse().unwrap()),
        Action::EndDx6("fd00:1::2".parse().unwrap()),
        Action::EndDt6(Table::MAIN),
        Action::EndDt6(Table::new(70_000).unwrap()),
    ];
    // The second is a prefix that may be a plain route in another wish.
    let prefixes = select(std::vec!["fc00:1:0:1::/128", "fd00:b::1/128", "fc00:1:0:2::/64"]);
    vec((prefixes, select(actions)), 0..4)
        .prop_map(|sids| by_key(sids.into_iter().map(|(prefix, action)| Object::LocalSid(local_sid(prefix, action)))))
}

fn shaping() -> impl Strategy<Value = Vec<Object>> {
    let classes = btree_map(select(std::vec![2u16, 0x10, 0xffff]), (1..5u64, 1..50u64), 0..=3);
    let one = (any::<bool>(), classes, vec((71..75u32, any::<bool>(), any::<prop::sample::Index>()), 0..5));
    (one.clone(), one).prop_map(|(first, second)| {
        let links = ["eth0", "eth1"].into_iter().zip([first, second]).filter(|(_, (shaped, ..))| *shaped);
        let objects = links.flat_map(|(name, (_, classes, classifiers))| {
            let link = link(name);
            let mut objects = std::vec![Object::ShaperRoot(ShaperRoot { link: link.clone(), rate: rate(40_000) })];
            let ids: Vec<ClassId> = classes.keys().map(|id| ClassId::new(*id).unwrap()).collect();
            for (class, (low, high)) in ids.iter().zip(classes.values()) {
                let (rate, ceil) = (rate(*low), rate(low + high * 1_000));
                objects.push(Object::Shaper(Shaper { link: link.clone(), class: *class, rate, ceil }));
            }
            for (vni, ipv6, at) in classifiers {
                if !ids.is_empty() {
                    let (vni, class) = (Vni::try_from(vni).unwrap(), ids[at.index(ids.len())]);
                    objects.push(Object::Classifier(Classifier { link: link.clone(), vni, ipv6, class }));
                }
            }
            objects
        });
        by_key(objects)
    })
}

/// The first for each key.
fn by_key(objects: impl Iterator<Item = Object>) -> Vec<Object> {
    let mut found = BTreeMap::new();
    for object in objects {
        found.entry(object.key()).or_insert(object);
    }
    found.into_values().collect()
}
