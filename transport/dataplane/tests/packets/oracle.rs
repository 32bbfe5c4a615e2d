//! The packet path against a model of it: random programs, sessions and frames, and for each frame the same verdict.

mod model;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ::model::program::{PathProgram, Program, Remote, ServiceBehaviour, ServiceSid, Steering, Tunnel};
use ::model::{Generation, Label, Mac, PathId, Sid};
use proptest::prelude::*;
use transport_dataplane::{BindError, Binding, PortIndex, REMOTE_MAC_AGE, SessionKey};

use self::model::{Brought, DEVICES, Exit, Model, Over, Sent, Session, Shape, Verdict, is_group, place, vni};
use crate::frames;
use crate::rig::*;

#[derive(Debug, Clone)]
struct Step {
    /// Microseconds since the step before.
    after: u64,
    action: Action,
}

#[derive(Debug, Clone)]
enum Action {
    Bind {
        slice: usize,
        segment: usize,
        device: u8,
        bound: bool,
    },
    Unbind {
        nth: usize,
    },
    FromDevice(Sent),
    FromTunnel(Brought),
    /// Runs the program without the segments whose bit is not set.
    Run {
        segments: u16,
    },
    LongSilence,
}

fn shape() -> impl Strategy<Value = Vec<Shape>> {
    let edges = proptest::sample::subsequence((0..EDGES.len()).collect::<Vec<_>>(), 0..=EDGES.len());
    let circuits = proptest::collection::vec(any::<bool>(), 1..=3);
    let over = proptest::sample::select(vec![Over::Vxlan, Over::Srv6, Over::Labels]);
    let slice = (circuits, proptest::collection::vec(edges, 1..=3), over)
        .prop_map(|(circuits, segments, over)| Shape { circuits, segments, over });
    proptest::collection::vec(slice, 1..=3)
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES;
    let from_device = (0_u8..2, vlan(), device.clone(), 0..=DEVICES + 1, prop::bool::weighted(0.9));
    let action = prop_oneof![
        4 => (0_usize..3, 0_usize..3, device.clone(), any::<bool>())
            .prop_map(|(slice, segment, device, bound)| Action::Bind { slice, segment, device, bound }),
        1 => (0_usize..20).prop_map(|nth| Action::Unbind { nth }),
        12 => from_device
            .prop_map(|(port, vlan, from, to, honest)| Action::FromDevice(Sent { port, vlan, from, to, honest })),
        6 => (0..EDGES.len(), 5_000_u32..5_010, 0_u16..3, device, 0..=DEVICES + 1)
            .prop_map(|(edge, vni, group, from, to)| Action::FromTunnel(Brought { edge, vni, group, from, to })),
        1 => any::<u16>().prop_map(|segments| Action::Run { segments }),
        1 => Just(Action::LongSilence),
    ];
    (0_u64..10_000, action).prop_map(|(after, action)| Step { after, action })
}

fn vlan() -> impl Strategy<Value = u16> {
    prop_oneof![6 => 101_u16..=109, 1 => Just(0_u16), 1 => Just(4_000_u16)]
}

fn program(shape: &[Shape], segments: u16, generation: u64) -> Program {
    let mut program = reference();
    program.generation = Generation::new(generation);
    // To each edge a path by routes, one by SIDs and one by labels, all without nodes to be passed.
    program.content.paths = (0_u16..).zip(EDGES).flat_map(|(at, edge)| paths(usize::from(at), edge)).collect();
    program.content.slices.clear();
    for (number, Shape { circuits, segments: wanted, over }) in shape.iter().enumerate() {
        let name = format!("slice{number}");
        let circuits = (0_u8..).zip(circuits).map(|(at, leaf)| {
            let (port, vlan) = place(number, at);
            let base = circuit(&format!("sdp{at}"), &format!("access{port}"), Some(vlan.into()));
            ::model::program::Circuit { leaf: *leaf, ..base }
        });
        let circuits = circuits.collect();
        let segments = wanted.iter().enumerate().filter(|(at, _)| segments >> (3 * number + at) & 1 == 1);
        let segments = segments.map(|(at, edges)| {
            let vni = vni(number, at);
            let remotes = edges.iter().map(|edge| remote_over(*over, *edge, vni)).collect();
            let mut segment = segment(&name, &format!("segment{at}"), vni.into(), remotes);
            if *over == Over::Srv6 {
                let ours = |behaviour, all| ServiceSid { sid: Sid::new(sid(HERE, vni, all, 0)).unwrap(), behaviour };
                segment.sids = vec![ours(ServiceBehaviour::Dt2u, false), ours(ServiceBehaviour::Dt2m, true)];
            }
            segment
        });
        let segments = segments.collect();
        program.content.slices.push(slice(&name, circuits, segments));
    }
    program
}

fn paths(edge: usize, address: IpAddr) -> Vec<PathProgram> {
    let steerings = [Steering::Ip, Steering::Srv6(vec![]), Steering::Mpls(vec![])];
    let of = |(id, steering)| PathProgram { id: PathId::new(id).unwrap(), steering, ..path(NAMES[edge], address) };
    (1_u64..).zip(steerings).map(of).collect()
}

fn remote_over(over: Over, edge: usize, vni: u32) -> Remote {
    let base = Remote { group: true, ..remote(NAMES[edge], vni.into()) };
    let by = |id: u64, tunnel| Remote { working: PathId::new(id).unwrap(), tunnel, ..base.clone() };
    let sid = |all| Sid::new(sid(edge, vni, all, 0)).unwrap();
    let (to, from) =
        (Label::new(label(edge, vni).into()).unwrap(), Label::new(label(HERE + edge, vni).into()).unwrap());
    match over {
        Over::Vxlan => base,
        Over::Srv6 => by(2, Tunnel::Srv6 { unicast: sid(false), flood: sid(true) }),
        Over::Labels => by(3, Tunnel::Mpls { to, from, control_word: false, flow_label: false }),
    }
}

/// The SID of a segment at an edge.
fn sid(edge: usize, vni: u32, all: bool, group: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, u16::try_from(edge).unwrap(), u16::from(all), 0, 0, 0, u16::try_from(vni).unwrap(), group)
}

/// The label of a segment at an edge; above those, what we have given out to an edge.
fn label(edge: usize, vni: u32) -> u32 {
    u32::try_from(edge).unwrap() * 10_000 + vni
}

fn destination(to: u8) -> Device {
    if is_group(to) { Device { mac: frames::BROADCAST, ..device(255) } } else { device(to) }
}

/// A frame from another edge, over what carries its segment.
fn brought(over: Over, brought: Brought) -> Vec<u8> {
    let Brought { edge, vni, group, from, to } = brought;
    let inner = frame(None, device(from), destination(to), b"payload");
    let (ethertype, packet) = match over {
        Over::Vxlan => {
            let mut payload = frames::vxlan(vni, &inner);
            payload[0] |= 0x80;
            payload[2..4].copy_from_slice(&group.to_be_bytes());
            frames::datagram((EDGES[edge], 50_000), (LOOPBACK_V6.into(), 4_789), 0, &payload)
        }
        Over::Srv6 => {
            let IpAddr::V6(source) = EDGES[edge] else { panic!() };
            (0x86dd, frames::ipv6(source, sid(HERE, vni, is_group(to), group), 0, 143, 64, &inner))
        }
        Over::Labels => {
            let labels = [
                frames::label(label(HERE + edge, vni), 0, false, 64),
                frames::label(GROUPS + u32::from(group), 0, true, 1),
            ];
            (0x8847, [&labels.concat(), &inner[..]].concat())
        }
    };
    frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
}

/// What the pipeline did with a frame.
fn observe(rig: &mut Rig, port: PortIndex, octets: Vec<u8>) -> Verdict {
    let before = rig.reading().ports[port.get()].drops;
    let left = rig.put(port, &[octets]);
    let after = rig.reading().ports[port.get()].drops;
    let drops = after.iter().map(|(reason, count)| (reason, count - before.of(reason))).filter(|(_, new)| *new > 0);
    Verdict { exits: left.iter().map(|(port, octets)| exit(*port, octets)).collect(), drops: drops.collect() }
}

fn exit(port: PortIndex, octets: &[u8]) -> Exit {
    if port == CORE0 {
        return tunnel_exit(octets);
    }
    assert_eq!(octets[12..14], [0x81, 0]);
    let vlan = u16::from_be_bytes([octets[14], octets[15]]);
    Exit::Access { port: port.0, vlan, to: Mac(octets[..6].try_into().unwrap()) }
}

/// Labels, a UDP packet, or one to a SID.
fn tunnel_exit(octets: &[u8]) -> Exit {
    let half = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    if half(12) == 0x8847 {
        let label = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap()) >> 12;
        let group = u16::try_from(label(18) - GROUPS).unwrap();
        let edge = usize::try_from(label(14) / 10_000).unwrap();
        return Exit::Tunnel { edge, vni: label(14) % 10_000, group, is_for_all: false };
    }
    if octets[20] == 143 {
        let (edge, is_for_all) = (usize::from(half(40)), half(42) == 1);
        return Exit::Tunnel { edge, vni: half(50).into(), group: half(52), is_for_all };
    }
    let to = IpAddr::from(<[u8; 16]>::try_from(&octets[38..54]).unwrap());
    let edge = EDGES.iter().position(|edge| *edge == to).unwrap();
    let vni = u32::from_be_bytes([0, octets[66], octets[67], octets[68]]);
    Exit::Tunnel { edge, vni, group: half(64), is_for_all: false }
}

const EDGES: [IpAddr; 2] = [EDGE_B, EDGE_C];
const NAMES: [&str; 2] = ["edge-b", "edge-c"];
/// This edge, after the others.
const HERE: usize = EDGES.len();
/// The label of group 0.
const GROUPS: u32 = 0x1_0000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_packet_path_does_what_its_model_does(shape in shape(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut rig = Rig::with(program(&shape, u16::MAX, 1));
        rig.introduce_router();
        let mut model = Model::new(shape);
        let mut keys: Vec<(usize, u8, SessionKey)> = Vec::new();
        let mut generation = 1;
        for Step { after, action } in steps {
            rig.now.0 += after * 1_000;
            // The rig puts frames a millisecond later.
            let now = rig.now.0 + 1_000_000;
            let (expected, done) = match action {
                Action::Bind { slice, segment, device: number, bound } => {
                    let Some(since) = model.running.get(&(slice, segment)).copied() else { continue };
                    let ends = device(number);
                    let base = rig.binding(&format!("slice{slice}"), &format!("segment{segment}"), ends.mac);
                    let key = rig.pipeline.bind(&Binding { ipv4: bound.then_some(ends.ipv4), ..base });
                    let before = model.sessions.get(&(slice, number));
                    if before.is_some_and(|before| before.segment != segment && model.is_alive(slice, before)) {
                        prop_assert_eq!(key, Err(BindError::InOtherSegment));
                        continue;
                    }
                    let key = key.unwrap();
                    model.sessions.insert((slice, number), Session { segment, since, bound, circuit: None });
                    keys.push((slice, number, key));
                    continue;
                }
                Action::Unbind { nth } => {
                    if keys.is_empty() {
                        continue;
                    }
                    let (slice, number, key) = keys.swap_remove(nth % keys.len());
                    let gone = rig.pipeline.unbind(&key).is_some();
                    // An older key of an endpoint that has been bound anew since may or may not be the same.
                    if gone {
                        prop_assert!(model.sessions.remove(&(slice, number)).is_some());
                    }
                    continue;
                }
                Action::Run { segments } => {
                    generation += 1;
                    let next = program(&model.shape, segments, generation);
                    rig.run(next);
                    model.run(segments, generation);
                    // A next hop that no segment needed for a while has been forgotten.
                    rig.introduce_router();
                    continue;
                }
                Action::LongSilence => {
                    rig.now.0 += REMOTE_MAC_AGE.0 / 2;
                    continue;
                }
                Action::FromDevice(sent) => {
                    let Sent { port, vlan, from, to, honest } = sent;
                    let sender = if honest { device(from) } else { Device { ipv4: device(200).ipv4, ..device(from) } };
                    let tag = (vlan != 0).then_some(vlan);
                    let octets = frame(tag, sender, destination(to), b"payload");
                    (model.device_sends(now, sent), observe(&mut rig, PortIndex(port), octets))
                }
                Action::FromTunnel(frame) => {
                    let octets = brought(model.over(frame.vni), frame);
                    (model.tunnel_brings(now, frame), observe(&mut rig, CORE0, octets))
                }
            };
            prop_assert_eq!(done.sorted(), expected.sorted());
        }
        let alive: BTreeSet<_> = model.sessions.keys().collect();
        prop_assert_eq!(rig.reading().sessions, alive.len());
    }
}
