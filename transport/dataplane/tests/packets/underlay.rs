//! What an edge says for itself on the underlay: ARP, neighbour discovery, echo.

use std::net::Ipv6Addr;

use model::{Generation, Mac};
use transport_dataplane::{DropReason, FramePool, KernelPort};

use crate::frames;
use crate::rig::*;

/// The solicited-node group of the router and its MAC address (RFC 4291, section 2.7.1; RFC 2464, section 7).
const ROUTER_GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);
const ROUTER_GROUP_MAC: Mac = Mac([0x33, 0x33, 0xff, 0, 0, 1]);

#[test]
fn next_hops_are_asked_for_until_they_answer_and_again_from_time_to_time() {
    let mut rig = Rig::with(reference());
    let arp = frames::arp(1, (CORE_MAC, CORE_V4), (Mac([0; 6]), ROUTER_V4));
    let arp = frames::ethernet(frames::BROADCAST, CORE_MAC, None, 0x0806, &arp);
    let solicitation = frames::neighbour(135, ROUTER_V6, Some(CORE_MAC));
    let solicitation = frames::icmpv6(CORE_V6, ROUTER_GROUP, 255, solicitation);
    let solicitation = frames::ethernet(ROUTER_GROUP_MAC, CORE_MAC, None, 0x86dd, &solicitation);
    // In the order of the program's paths.
    let asked = [(CORE0, solicitation), (CORE0, arp.clone())];
    assert_eq!(rig.tick(), asked);
    assert_eq!(rig.tick(), [], "not again at once");
    rig.now.0 += 1_000_000_000;
    assert_eq!(rig.tick(), asked);
    // Unsolicited words are as good.
    rig.introduce_router();
    rig.now.0 += 2_000_000_000;
    assert_eq!(rig.tick(), []);
    rig.now.0 += 29_000_000_000;
    assert_eq!(rig.tick(), asked);
    // One answers.
    let reply = frames::arp(2, (ROUTER, ROUTER_V4), (CORE_MAC, CORE_V4));
    assert_eq!(rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, 0x0806, &reply)]), []);
    rig.now.0 += 1_000_000_000;
    assert_eq!(rig.tick().len(), 1);
    let advertisement = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(136, ROUTER_V6, Some(ROUTER)));
    rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &advertisement)]);
    rig.now.0 += 1_000_000_000;
    assert_eq!(rig.tick(), []);
}

#[test]
fn without_a_buffer_a_question_is_counted_and_asked_later() {
    let mut rig = Rig::with(reference());
    rig.pipeline.tick(rig.now, &mut FramePool::new(0), &mut rig.outputs);
    assert_eq!(rig.drops(CORE0), [(DropReason::NoBuffer, 2)]);
    rig.assert_conserved();
    rig.now.0 += 1_000_000_000;
    assert_eq!(rig.tick().len(), 2);
}

#[test]
fn a_router_that_moves_is_followed() {
    let mut rig = Rig::new();
    rig.admit("iot", "health", device(1));
    let elsewhere = Mac([2, 0xcc, 0, 0, 0, 2]);
    let said = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(136, ROUTER_V6, Some(elsewhere)));
    rig.put(CORE0, &[frames::ethernet(CORE_MAC, elsewhere, None, 0x86dd, &said)]);
    let left = rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]);
    assert_eq!(left[0].1[..6], elsewhere.0);
}

#[test]
fn a_neighbour_that_is_not_on_the_link_is_not_believed() {
    let mut rig = Rig::new();
    rig.admit("iot", "health", device(1));
    let liar = Mac([2, 0xcc, 0, 0, 0, 0x66]);
    let far = frames::icmpv6(ROUTER_V6, CORE_V6, 254, frames::neighbour(136, ROUTER_V6, Some(liar)));
    let mut wrong = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(136, ROUTER_V6, Some(liar)));
    wrong[42] ^= 1;
    // A group can't be anybody's address.
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let to_group = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(136, ROUTER_V6, Some(group)));
    for lie in [far, wrong, to_group] {
        rig.put(CORE0, &[frames::ethernet(CORE_MAC, liar, None, 0x86dd, &lie)]);
    }
    let left = rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]);
    assert_eq!(left[0].1[..6], ROUTER.0);
}

#[test]
fn questions_about_our_addresses_are_answered_and_others_are_not() {
    let mut rig = Rig::with(reference());
    let question = frames::arp(1, (ROUTER, ROUTER_V4), (Mac([0; 6]), CORE_V4));
    let answer = frames::arp(2, (CORE_MAC, CORE_V4), (ROUTER, ROUTER_V4));
    let left = rig.put(CORE0, &[frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question)]);
    assert_eq!(left, [(CORE0, frames::ethernet(ROUTER, CORE_MAC, None, 0x0806, &answer))]);

    let group = Mac([0x33, 0x33, 0xff, 0, 0, 0xa]);
    let to = "ff02::1:ff00:a".parse().unwrap();
    let question = frames::icmpv6(ROUTER_V6, to, 255, frames::neighbour(135, CORE_V6, Some(ROUTER)));
    let answer = frames::icmpv6(CORE_V6, ROUTER_V6, 255, frames::neighbour(136, CORE_V6, Some(CORE_MAC)));
    let left = rig.put(CORE0, &[frames::ethernet(group, ROUTER, None, 0x86dd, &question)]);
    assert_eq!(left, [(CORE0, frames::ethernet(ROUTER, CORE_MAC, None, 0x86dd, &answer))]);

    // Somebody who has no address yet would like to have ours (RFC 4861, section 7.2.4): all nodes hear of it.
    let question = frames::icmpv6("::".parse().unwrap(), to, 255, frames::neighbour(135, CORE_V6, None));
    let mut answer = frames::neighbour(136, CORE_V6, Some(CORE_MAC));
    answer[4] = 0x20;
    let answer = frames::icmpv6(CORE_V6, "ff02::1".parse().unwrap(), 255, answer);
    let left = rig.put(CORE0, &[frames::ethernet(group, ROUTER, None, 0x86dd, &question)]);
    let all = Mac([0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(left, [(CORE0, frames::ethernet(all, CORE_MAC, None, 0x86dd, &answer))]);

    let question = frames::arp(1, (ROUTER, ROUTER_V4), (Mac([0; 6]), "198.51.100.77".parse().unwrap()));
    assert_eq!(rig.put(CORE0, &[frames::ethernet(frames::BROADCAST, ROUTER, None, 0x0806, &question)]), []);
    let question = frames::icmpv6(ROUTER_V6, ROUTER_GROUP, 255, frames::neighbour(135, ROUTER_V6, Some(ROUTER)));
    assert_eq!(rig.put(CORE0, &[frames::ethernet(ROUTER_GROUP_MAC, ROUTER, None, 0x86dd, &question)]), []);
    assert_eq!(rig.drops(CORE0), [(DropReason::NotForUs, 2)]);
}

#[test]
fn an_echo_request_to_any_of_our_addresses_is_answered() {
    let mut rig = Rig::with(reference());
    let body = [0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g'];
    for to in [CORE_V4, LOOPBACK_V4] {
        let icmp = |kind: u8| {
            let mut message = [&[kind, 0, 0, 0][..], &body].concat();
            let sum = frames::checksum(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            message
        };
        let request = frames::ipv4(ROUTER_V4, to, 0, 1, &icmp(8));
        let reply = frames::ipv4(to, ROUTER_V4, 0, 1, &icmp(0));
        let left = rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, 0x0800, &request)]);
        assert_eq!(left, [(CORE0, frames::ethernet(ROUTER, CORE_MAC, None, 0x0800, &reply))]);
    }
    for to in [CORE_V6, LOOPBACK_V6] {
        let icmp = |from, to, kind: u8| frames::icmpv6(from, to, 64, [&[kind, 0, 0, 0][..], &body].concat());
        let request = frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &icmp(ROUTER_V6, to, 128));
        let reply = frames::ethernet(ROUTER, CORE_MAC, None, 0x86dd, &icmp(to, ROUTER_V6, 129));
        assert_eq!(rig.put(CORE0, &[request]), [(CORE0, reply)]);
    }
}

#[test]
fn a_neighbour_that_stays_keeps_its_address_over_a_swap() {
    let mut rig = Rig::new();
    rig.admit("iot", "health", device(1));
    let mut program = reference();
    program.generation = Generation::new(2);
    rig.run(program);
    assert_eq!(rig.put(ACCESS0, &[from_city(device(1), device(9), b"x")]).len(), 1);
}

/// Where the port's kernel has an address, the kernel resolves and answers for it; for the others it is done here.
#[test]
fn a_kernel_that_has_the_address_is_not_talked_over() {
    let mut rig = Rig::with(reference());
    rig.admit("embb", "office", device(5));
    let to_d = frame(Some(120), device(5), device(9), b"x");
    let says = |rig: &mut Rig, addresses: &[std::net::IpAddr], next_hops: &[(std::net::IpAddr, Mac)]| {
        let (addresses, next_hops) = (addresses.to_vec(), next_hops.to_vec());
        let before = rig.pipeline.follow_kernel(&KernelPort { port: CORE0, addresses, next_hops });
        before.map_or(0, |before| before.next_hops.len())
    };
    let arp = |operation: u8, from: Mac| {
        let asked = frames::arp(operation, (from, ROUTER_V4), (Mac([0; 6]), CORE_V4));
        frames::ethernet(frames::BROADCAST, from, None, 0x0806, &asked)
    };
    says(&mut rig, &[CORE_V4.into()], &[]);
    // Only IPv6 is asked for; ARP and echo for the kernel's address are the kernel's to answer, and teach nothing.
    let asked = rig.tick();
    assert_eq!(asked.iter().map(|(_, octets)| [octets[12], octets[13]]).collect::<Vec<_>>(), [[0x86, 0xdd]]);
    let ping = frames::ipv4(ROUTER_V4, CORE_V4, 0, 1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    let ping = frames::ethernet(CORE_MAC, ROUTER, None, 0x0800, &ping);
    assert_eq!(rig.put(CORE0, &[arp(1, ROUTER), arp(2, ROUTER), ping.clone()]), []);
    let solicited = frames::icmpv6(ROUTER_V6, CORE_V6, 255, frames::neighbour(135, CORE_V6, Some(ROUTER)));
    assert_eq!(rig.put(CORE0, &[frames::ethernet(CORE_MAC, ROUTER, None, 0x86dd, &solicited)]).len(), 1);
    assert_eq!(rig.put(ACCESS0, std::slice::from_ref(&to_d)), []);
    assert_eq!(rig.drops(ACCESS0), [(DropReason::NeighbourUnresolved, 1)]);

    // What the kernel says counts, also of one that moves, and after other tables; what others say does not.
    let moved = Mac([2, 0xcc, 0, 0, 0, 7]);
    for mac in [ROUTER, moved] {
        says(&mut rig, &[CORE_V4.into()], &[(ROUTER_V4.into(), mac)]);
        assert_eq!(rig.put(CORE0, &[arp(1, Mac([2, 0xcc, 0, 0, 0, 0x66]))]), []);
        assert_eq!(rig.put(ACCESS0, std::slice::from_ref(&to_d))[0].1[..6], mac.0);
    }
    let mut program = reference();
    program.generation = Generation::new(2);
    program.content.paths.truncate(2);
    program.content.slices.remove(0);
    rig.run(program);
    let mut program = reference();
    program.generation = Generation::new(3);
    let next = rig.compiler.compile(&program, rig.now).unwrap();
    let introduced = rig.pipeline.introduce(&next);
    assert!(!introduced.is_empty() && rig.pipeline.knows(introduced), "the kernel has said where it is");
    rig.pipeline.swap(next);
    assert!(rig.pipeline.reshape(rig.now));
    rig.program = program;
    rig.admit("embb", "office", device(5));
    assert_eq!(rig.put(ACCESS0, std::slice::from_ref(&to_d))[0].1[..6], moved.0);

    // It has failed.
    assert_eq!(says(&mut rig, &[CORE_V4.into()], &[]), 1);
    assert_eq!(rig.put(ACCESS0, std::slice::from_ref(&to_d)), []);
    // The address is ours alone: asked for and answered here.
    says(&mut rig, &[], &[]);
    assert_eq!(rig.tick().iter().filter(|(_, octets)| octets[12..14] == [8, 6]).count(), 1);
    assert_eq!(rig.put(CORE0, &[arp(1, ROUTER), ping]).len(), 2);
    assert_eq!(rig.put(ACCESS0, &[to_d])[0].1[..6], ROUTER.0);
    rig.assert_conserved();
}
