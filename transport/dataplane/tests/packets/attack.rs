//! A tunnel that brings a million senders: what is remembered of them is bounded, and others do not suffer.

use std::net::Ipv6Addr;
use std::ops::Range;

use model::program::{Program, Remote, ServiceBehaviour, ServiceSid, Steering, Tunnel};
use model::{Mac, Sid};
use transport_dataplane::{BURST_FRAMES_MAX, REMOTE_MAC_AGE, REMOTE_MACS_PER_SEGMENT_MAX};

use crate::frames;
use crate::rig::*;

/// SIDs of this edge, of the attacked segment and of its neighbours: one in the same slice, one in another.
const ATTACKED: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 1, 0, 0, 0, 0);
const SAME_SLICE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 2, 0, 0, 0, 0);
const OTHER_SLICE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 3, 0, 0, 0, 0);
const MILLION: u32 = 1_000_000;

/// All segments go to edges B and C over SRv6, where no checksum slows the test down.
fn program() -> Program {
    let mut program = reference();
    let content = &mut program.content;
    content.paths.iter_mut().take(2).for_each(|path| path.steering = Steering::Srv6(vec![]));
    let tunnel = |edge: &str, last: u16| {
        let unicast = Sid::new(Ipv6Addr::new(0xfd00, 0xb, 0, last, 0, 0, 0, 0)).unwrap();
        Remote { tunnel: Tunnel::Srv6 { unicast, flood: unicast }, ..remote(edge, 1) }
    };
    let [embb, iot] = &mut content.slices[..] else { panic!() };
    iot.segments.truncate(2);
    let segments = iot.segments.iter_mut().chain(&mut embb.segments);
    for (segment, sid) in segments.zip([ATTACKED, SAME_SLICE, OTHER_SLICE]) {
        segment.sids = vec![ServiceSid { sid: Sid::new(sid).unwrap(), behaviour: ServiceBehaviour::Dt2u }];
        segment.remotes = vec![tunnel("edge-b", 1), tunnel("edge-c", 2)];
    }
    program
}

fn stranger(number: u32) -> Device {
    let [a, b, c, d] = number.to_be_bytes();
    Device { mac: Mac([2, 0x77, a, b, c, d]), ..device(9) }
}

/// A frame of a stranger behind edge B, to nobody.
fn from_b(sid: Ipv6Addr, from: Device) -> Vec<u8> {
    let std::net::IpAddr::V6(edge) = EDGE_B else { panic!() };
    let inner = frames::ethernet(device(8).mac, from.mac, None, 0x88b5, &[0; 4]);
    frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &frames::ipv6(edge, sid, 0, 143, 64, &inner))
}

/// Many strangers behind edge B speak at once, so that none grows old meanwhile.
fn attack(rig: &mut Rig, sid: Ipv6Addr, numbers: Range<u32>) {
    let mut template = from_b(sid, stranger(0));
    let source_at = 14 + 40 + 6;
    let mut burst = Vec::with_capacity(BURST_FRAMES_MAX);
    for number in numbers {
        template[source_at..source_at + 6].copy_from_slice(&stranger(number).mac.0);
        burst.push(template.clone());
        if burst.len() == BURST_FRAMES_MAX {
            rig.now.0 -= 1_000_000;
            assert_eq!(rig.put(CORE0, &burst), []);
            burst.clear();
        }
    }
}

/// To how many edges a device's frame to a stranger goes: to one if the stranger was learned, else to both.
fn asked(rig: &mut Rig, vlan: u16, from: u8, to: Device) -> usize {
    rig.put(ACCESS0, &[frame(Some(vlan), device(from), to, b"x")]).len()
}

#[test]
fn a_million_senders_take_the_room_of_one_segment() {
    let mut rig = Rig::with(program());
    rig.introduce_router();
    rig.admit("iot", "metering", device(1));
    rig.admit("iot", "health", device(2));
    rig.admit("embb", "office", device(3));
    let others = |rig: &Rig| (rig.counted("embb"), format!("{:?}", rig.segment("health")));
    let before = others(&rig);
    attack(&mut rig, ATTACKED, 0..MILLION);
    assert_eq!(rig.reading().unlearned, u64::from(MILLION - REMOTE_MACS_PER_SEGMENT_MAX));
    assert_eq!(others(&rig), before);
    // The first ones are known, the later ones are looked for everywhere.
    assert_eq!(asked(&mut rig, 110, 1, stranger(REMOTE_MACS_PER_SEGMENT_MAX - 1)), 1);
    assert_eq!(asked(&mut rig, 110, 1, stranger(REMOTE_MACS_PER_SEGMENT_MAX)), 2);
    // Other segments learn as before.
    for (sid, vlan, from) in [(SAME_SLICE, 110, 2), (OTHER_SLICE, 120, 3)] {
        assert_eq!(asked(&mut rig, vlan, from, stranger(1)), 2, "what one segment learned is not another's");
        rig.put(CORE0, &[from_b(sid, stranger(MILLION))]);
        assert_eq!(asked(&mut rig, vlan, from, stranger(MILLION)), 1);
    }
    // One that is known may still move, when there is no room for others.
    assert_eq!(rig.reading().unlearned, u64::from(MILLION - REMOTE_MACS_PER_SEGMENT_MAX));
    rig.put(CORE0, &[from_b(ATTACKED, stranger(0))]);
    assert_eq!(rig.reading().unlearned, u64::from(MILLION - REMOTE_MACS_PER_SEGMENT_MAX));
    // When they have been silent for long, there is room again.
    rig.now.0 += REMOTE_MAC_AGE.0;
    (0..256).for_each(|_| drop(rig.tick()));
    rig.introduce_router();
    attack(&mut rig, ATTACKED, 2 * MILLION..2 * MILLION + REMOTE_MACS_PER_SEGMENT_MAX);
    assert_eq!(rig.reading().unlearned, u64::from(MILLION - REMOTE_MACS_PER_SEGMENT_MAX));
    assert_eq!(asked(&mut rig, 110, 1, stranger(2 * MILLION + REMOTE_MACS_PER_SEGMENT_MAX - 1)), 1);
    assert_eq!(asked(&mut rig, 110, 1, stranger(0)), 2);
}

#[test]
fn segments_that_are_attacked_together_leave_room_for_the_others() {
    let mut program = program();
    let numbers = 10..16;
    let sid = |number: u16| Ipv6Addr::new(0xfd00, 0xa, 0, number, 0, 0, 0, 0);
    let iot = &mut program.content.slices[1];
    for number in numbers.clone() {
        let mut more = segment("iot", &format!("more-{number}"), 8_000 + u64::from(number), vec![]);
        more.remotes = iot.segments[0].remotes.clone();
        more.sids = vec![ServiceSid { sid: Sid::new(sid(number)).unwrap(), behaviour: ServiceBehaviour::Dt2u }];
        iot.segments.push(more);
    }
    let mut rig = Rig::with(program);
    rig.introduce_router();
    rig.admit("embb", "office", device(3));
    for number in numbers {
        attack(&mut rig, sid(number), 0..REMOTE_MACS_PER_SEGMENT_MAX);
    }
    assert_eq!(asked(&mut rig, 120, 3, stranger(1)), 2);
    rig.put(CORE0, &[from_b(OTHER_SLICE, stranger(1))]);
    assert_eq!(asked(&mut rig, 120, 3, stranger(1)), 1);
}
