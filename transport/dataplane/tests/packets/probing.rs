//! Paths that are probed: what leaves, what is answered, and which of two a packet takes.

use std::net::IpAddr;

use model::PathId;
use model::program::{ProbeProgram, Program, Steering, Tunnel};
use model::{Label, Vni};
use transport_dataplane::{DropReason, Nanos, PathState};

use crate::frames;
use crate::rig::*;

/// Two paths to edge B, of which segment `health` takes one and has the other in reserve.
fn program(first: Steering, second: Steering) -> Program {
    let mut program = reference();
    program.content.probes = Some(ProbeProgram { interval_nanos: INTERVAL.0, losses_max: 3, answers_min: 5 });
    let working = path("edge-b", EDGE_B);
    program.content.paths = vec![
        model::program::PathProgram { steering: first, ..working.clone() },
        model::program::PathProgram { id: PathId::new(2).unwrap(), steering: second, ..working },
    ];
    program.content.slices.truncate(2);
    program.content.slices.remove(0);
    program.content.slices[0].segments.remove(0);
    program.content.slices[0].segments[0].remotes[0].backup = Some(PathId::new(2).unwrap());
    program
}

fn world(first: Steering, second: Steering) -> Rig {
    let mut rig = Rig::with(program(first, second));
    rig.introduce_router();
    rig.admit("iot", "health", device(1));
    rig
}

fn labels(label: u64) -> Steering {
    Steering::Mpls(vec![Label::new(label).unwrap()])
}

/// Where a probe's STAMP packet begins, and its session.
fn session(octets: &[u8]) -> (usize, u16) {
    let at = octets.len() - 44;
    (at, u16::from_be_bytes([octets[at + 14], octets[at + 15]]))
}

/// The answer of a stateless reflector (RFC 8762, section 4.3, figure 5), a millisecond later by its own clock.
fn answer(probe: &[u8]) -> Vec<u8> {
    let at = probe.len() - 44;
    let stamp = &probe[at..];
    let mut reply = vec![];
    reply.extend(&stamp[..4]);
    reply.extend([0, 0, 0, 9, 0, 0, 0, 2]);
    reply.extend(&stamp[12..16]);
    reply.extend([0, 0, 0, 9, 0, 0, 0, 1]);
    reply.extend(&stamp[..16]);
    reply.extend([60, 0, 0, 0]);
    let port = u16::from_be_bytes([probe[at - 8], probe[at - 7]]);
    let (ethertype, packet) = frames::datagram((EDGE_B, 862), (LOOPBACK_V6.into(), port), 0, &reply);
    frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
}

impl Rig {
    /// Lets time pass, answers the probes of the paths that work, and answers how many probes there were.
    fn pass(&mut self, time: Nanos, works: impl Fn(u16) -> bool) -> usize {
        let (end, mut probes) = (self.now.0 + time.0, 0);
        while self.now.0 < end {
            self.now.0 += 1_000_000;
            self.pipeline.probe(self.now, &mut self.pool, &mut self.outputs);
            for (port, probe) in self.drain() {
                assert_eq!(port, CORE0);
                probes += 1;
                if works(session(&probe).1) {
                    let now = self.now;
                    assert_eq!(self.put(CORE0, &[answer(&probe)]), []);
                    self.now = now;
                }
            }
        }
        probes
    }

    fn states(&self) -> Vec<PathState> {
        self.reading().paths.iter().map(|path| path.state).collect()
    }

    /// The label on top of a packet of the device.
    fn takes(&mut self) -> u32 {
        let now = self.now;
        let left = self.put(ACCESS0, &[from_city(device(1), device(9), b"x")]);
        self.now = now;
        assert_eq!(left[0].1[12..14], [0x88, 0x47]);
        u32::from_be_bytes(left[0].1[14..18].try_into().unwrap()) >> 12
    }
}

#[test]
fn two_reflectors_never_answer_one_another() {
    let mut rig = world(Steering::Ip, Steering::Ip);
    let mut stamp = [0; 44];
    // Scale 0 and multiplier 1 of the error estimate; the session of path 1.
    (stamp[13], stamp[15]) = (1, 1);
    for (port, is_answered) in [(862, false), (53, false), (1_023, false), (1_024, true), (55_555, true)] {
        let (ethertype, packet) = frames::datagram((EDGE_B, port), (LOOPBACK_V6.into(), 862), 0, &stamp);
        let left = rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)]);
        assert_eq!(left.len(), usize::from(is_answered), "{port}");
    }
    assert_eq!(rig.drops(CORE0), [(DropReason::NotServed, 3)]);
}

#[test]
fn a_probe_takes_the_way_of_its_path() {
    let sid = "fd00:1:0:1::";
    let mut rig = world(Steering::Ip, Steering::Ip);
    let ip = probes_of(&mut rig);
    for octets in &ip {
        // RFC 8762, section 4.2.1: UDP to port 862 with 44 octets, hop limit 255; here straight to the far loopback.
        assert_eq!(
            (octets.len(), &octets[12..14], octets[20], octets[21]),
            (14 + 40 + 8 + 44, &[0x86, 0xdd][..], 17, 255)
        );
        assert_eq!(
            (IpAddr::from(<[u8; 16]>::try_from(&octets[38..54]).unwrap()), &octets[56..58]),
            (EDGE_B, &[3, 94][..])
        );
        assert_eq!(udp_sum(octets, 54, EDGE_B), 0);
    }
    assert_eq!(ip.iter().map(|octets| session(octets).1).collect::<Vec<_>>(), [1, 2]);

    let mut program = program(Steering::Srv6(vec![sid.parse().unwrap()]), labels(200_001));
    // VXLAN does not go over SIDs.
    program.content.slices.clear();
    let mut rig = Rig::with(program);
    rig.introduce_router();
    let left = probes_of(&mut rig);
    let srv6 = &left[0];
    // IPv6 to the SID, a routing header whose one entry is the far loopback, UDP.
    assert_eq!((srv6.len(), srv6[20], srv6[54], srv6[57]), (14 + 40 + 24 + 8 + 44, 43, 17, 1));
    assert_eq!(srv6[38..54], sid.parse::<std::net::Ipv6Addr>().unwrap().octets());
    assert_eq!(IpAddr::from(<[u8; 16]>::try_from(&srv6[62..78]).unwrap()), EDGE_B);
    assert_eq!(udp_sum(srv6, 78, EDGE_B), 0);
    let mpls = &left[1];
    assert_eq!(
        (mpls.len(), &mpls[12..14], &mpls[14..18]),
        (14 + 4 + 40 + 8 + 44, &[0x88, 0x47][..], &[0x30, 0xd4, 0x1f, 64][..])
    );
    assert_eq!(mpls[18] >> 4, 6);
}

/// The first probe of each path, by path.
fn probes_of(rig: &mut Rig) -> Vec<Vec<u8>> {
    rig.now.0 += INTERVAL.0;
    rig.pipeline.probe(rig.now, &mut rig.pool, &mut rig.outputs);
    let mut probes: Vec<_> = rig.drain().into_iter().map(|(_, octets)| octets).collect();
    for _ in 0..20 {
        rig.now.0 += 1_000_000;
        rig.pipeline.probe(rig.now, &mut rig.pool, &mut rig.outputs);
        probes.extend(rig.drain().into_iter().map(|(_, octets)| octets));
    }
    probes.sort_by_key(|octets| session(octets).1);
    probes.dedup_by_key(|octets| session(octets).1);
    probes
}

/// 0 if the checksum of the UDP datagram at a place holds between the loopbacks (RFC 768, RFC 8200).
fn udp_sum(octets: &[u8], at: usize, to: IpAddr) -> u16 {
    let IpAddr::V6(to) = to else { panic!() };
    let pseudo = [&LOOPBACK_V6.octets()[..], &to.octets(), &[0, 0, 0, 52, 0, 0, 0, 17], &octets[at..]].concat();
    frames::checksum(&pseudo)
}

#[test]
fn when_the_working_path_falls_silent_packets_take_the_other_one_and_come_back() {
    let mut rig = world(labels(200_001), labels(200_002));
    assert_eq!((rig.takes(), rig.states()), (200_001, vec![PathState::Unknown; 2]));
    let probes = rig.pass(Nanos(100 * INTERVAL.0), |_| true);
    assert!((198..=202).contains(&probes), "{probes} probes of two paths in a hundred intervals");
    assert_eq!((rig.takes(), rig.states()), (200_001, vec![PathState::Up; 2]));
    // Three losses may be; the fourth interval ends it.
    rig.pass(Nanos(2 * INTERVAL.0), |path| path == 2);
    assert_eq!(rig.takes(), 200_001);
    rig.pass(Nanos(3 * INTERVAL.0), |path| path == 2);
    assert_eq!((rig.takes(), rig.states()), (200_002, vec![PathState::Down, PathState::Up]));
    assert_eq!(rig.segment("health").tunnels[0].taken, PathId::new(2).unwrap());
    // Both are down: it stays with the working one.
    rig.pass(Nanos(6 * INTERVAL.0), |_| false);
    assert_eq!((rig.takes(), rig.states()), (200_001, vec![PathState::Down; 2]));
    // Back, once it has answered often enough in a row.
    rig.pass(Nanos(8 * INTERVAL.0), |_| true);
    assert_eq!((rig.takes(), rig.states()), (200_001, vec![PathState::Up; 2]));
    let health = &rig.reading().paths[0];
    assert_eq!(health.failures, 1);
    assert!(health.measures.lost >= 10 && health.measures.answered >= 100, "{:?}", health.measures);
}

#[test]
fn what_is_known_of_a_path_outlives_a_new_program_that_keeps_it() {
    let mut rig = world(labels(200_001), labels(200_002));
    rig.pass(Nanos(20 * INTERVAL.0), |path| path == 2);
    assert_eq!(rig.takes(), 200_002);
    let mut next = program(labels(200_001), labels(200_002));
    next.generation = model::Generation::new(2);
    rig.run(next.clone());
    assert_eq!((rig.takes(), rig.states()), (200_002, vec![PathState::Down, PathState::Up]));
    // A path that goes another way is another path.
    next.generation = model::Generation::new(3);
    next.content.paths[0].steering = labels(200_003);
    rig.run(next);
    assert_eq!((rig.takes(), rig.states()), (200_003, vec![PathState::Unknown, PathState::Up]));
}

#[test]
fn a_probe_of_the_far_edge_is_answered_over_the_path_that_leads_back() {
    let mut rig = world(labels(200_001), labels(200_002));
    let mut stamp = vec![0, 0, 0, 7, 0xa, 0xb, 0xc, 0xd, 1, 2, 3, 4, 0x80, 0x81, 0, 2];
    stamp.extend([0; 28]);
    let probe = |session: u8, from: IpAddr| {
        let mut stamp = stamp.clone();
        stamp[15] = session;
        let (ethertype, packet) = frames::datagram((from, 55_555), (LOOPBACK_V6.into(), 862), 0, &stamp);
        frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
    };
    let left = rig.put(CORE0, &[probe(2, EDGE_B)]);
    let octets = &left[0].1;
    assert_eq!((left.len(), octets.len()), (1, 14 + 4 + 40 + 8 + 44));
    // The label of path 2; from port 862 to the one that it came from.
    assert_eq!(u32::from_be_bytes(octets[14..18].try_into().unwrap()) >> 12, 200_002);
    assert_eq!(octets[58..62], [3, 94, 0xd9, 0x03]);
    let reply = &octets[66..];
    // RFC 8762, section 4.3.1, figure 5: the sequence, and the sender's sequence, timestamp, error estimate and TTL.
    assert_eq!((&reply[..4], &reply[14..16], &reply[24..38], reply[40]), (&stamp[..4], &[0, 2][..], &stamp[..14], 64));
    // A path that there is none of, and somebody who is at the end of none.
    assert_eq!(rig.put(CORE0, &[probe(3, EDGE_B), probe(2, EDGE_C)]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::UnknownRemote, 2)]);
}

#[test]
fn answers_to_what_was_never_asked_change_nothing() {
    let mut rig = world(labels(200_001), labels(200_002));
    rig.pass(Nanos(20 * INTERVAL.0), |_| false);
    assert_eq!(rig.states(), [PathState::Down; 2]);
    let (ethertype, packet) = frames::datagram(
        (LOOPBACK_V6.into(), 49_862),
        (EDGE_B, 862),
        0,
        &[&[0; 12][..], &[0, 1, 0, 1], &[0; 28]].concat(),
    );
    let forged = answer(&frames::ethernet(ROUTER, CORE_MAC, None, ethertype, &packet));
    for _ in 0..100 {
        assert_eq!(rig.put(CORE0, std::slice::from_ref(&forged)), []);
    }
    assert_eq!(rig.states(), [PathState::Down; 2]);
    let reading = rig.reading();
    assert_eq!(reading.paths[0].measures.answered, 0);
    assert_eq!(reading.paths[0].measures.strays + reading.paths[0].measures.late, 100);
}

#[test]
fn the_tunnel_of_a_backup_says_the_same_to_the_far_edge() {
    let mut rig = world(labels(200_001), labels(200_002));
    let Tunnel::Vxlan(vni) = rig.program.content.slices[0].segments[0].remotes[0].tunnel else { panic!() };
    assert_eq!(vni, Vni::new(5_002).unwrap());
    let before = rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")])[0].1[18..].to_vec();
    rig.pass(Nanos(20 * INTERVAL.0), |path| path == 2);
    assert_eq!(rig.takes(), 200_002);
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")])[0].1[18..], before);
}

const INTERVAL: Nanos = Nanos(10_000_000);

/// A flood of probes is answered as far as an honest far end would send them, path by path, and no further.
#[test]
fn a_flood_of_probes_is_not_answered_at_its_own_rate() {
    let mut rig = world(Steering::Ip, Steering::Ip);
    let probe = |session: u8| {
        let mut stamp = [0; 44];
        (stamp[13], stamp[15]) = (1, session);
        let (ethertype, packet) = frames::datagram((EDGE_B, 49_862), (LOOPBACK_V6.into(), 862), 0, &stamp);
        frames::ethernet(CORE_MAC, ROUTER, None, ethertype, &packet)
    };
    let flood = |rig: &mut Rig, session: u8, bursts: usize| {
        (0..bursts).map(|_| rig.put(CORE0, &vec![probe(session); 64]).len()).sum::<usize>()
    };
    // A burst each millisecond: 32 at once, and two a millisecond.
    assert_eq!(flood(&mut rig, 1, 100), 32 + 2 * 99);
    assert_eq!(rig.drops(CORE0), [(DropReason::ProbeRate, 6_400 - 32 - 2 * 99)]);
    // The other path has its own, and this one again after a while.
    assert_eq!(flood(&mut rig, 2, 1), 32);
    rig.now.0 += 16_000_000;
    assert_eq!(flood(&mut rig, 1, 1), 32);
    // The fastest that probes can be sent, and one that comes after many were held up.
    rig.now.0 += 1_000_000_000;
    for _ in 0..1_000 {
        assert_eq!(rig.put(CORE0, &[probe(1)]).len(), 1);
    }
    // A clock that was set back is no reason to be silent.
    rig.now.0 -= 900_000_000;
    assert_eq!(flood(&mut rig, 1, 1), 32);
}
