//! Every layer-2 service over every transport, from edge to edge over two nodes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use model::resource::Service;
use proptest::prelude::*;
use transport_dataplane::{DropReason, PortIndex};

use crate::chain::{Chain, Delivered, TRANSPORTS, edge_of, seat};
use crate::frames;
use crate::rig::*;

const SERVICES: [Service; 2] = [Service::L2PointToPoint, Service::L2Multipoint];
const ALL: Device = Device { mac: frames::BROADCAST, ..device(0) };

/// What a device hears of another: the frame as it was sent, on the circuit where it is, to its own address if it was to
/// all.
fn heard(from: u8, to: Device, by: u8) -> Delivered {
    let (port, vlan) = seat(by);
    let mut octets = frame(vlan, device(from), to, b"payload");
    octets[..6].copy_from_slice(&device(by).mac.0);
    (edge_of(by), port, octets)
}

#[test]
fn every_service_over_every_transport_carries_frames_both_ways() {
    for (service, transport) in SERVICES.into_iter().flat_map(|service| TRANSPORTS.map(|over| (service, over))) {
        let mut chain = Chain::new(service, transport);
        for (from, to) in [(1, 3), (3, 1), (1, 4), (4, 1), (2, 3), (3, 2), (1, 2), (4, 3)] {
            let expected = heard(from, device(to), to);
            assert_eq!(chain.send(from, device(to)), [expected], "{service:?} over {transport:?}: {from} to {to}");
        }
        for (from, roots, leaves) in [(1, vec![3], vec![2, 4]), (3, vec![1], vec![2, 4])] {
            let all: BTreeSet<_> = [roots, leaves].concat().into_iter().map(|by| heard(from, ALL, by)).collect();
            assert_eq!(chain.send(from, ALL).into_iter().collect::<BTreeSet<_>>(), all, "{service:?} {transport:?}");
        }
        // Leaves: of one edge never; of two where the group travels, not either.
        for (from, near, far) in [(2, 1, 3), (4, 3, 1)] {
            let other = 6 - from;
            let reaches = if transport.group { vec![] } else { vec![heard(from, device(other), other)] };
            assert_eq!(chain.send(from, device(other)), reaches, "{service:?} over {transport:?}");
            let mut by = vec![near, far];
            by.extend((!transport.group).then_some(other));
            let expected: BTreeSet<_> = by.into_iter().map(|by| heard(from, ALL, by)).collect();
            assert_eq!(chain.send(from, ALL).into_iter().collect::<BTreeSet<_>>(), expected);
            let refused = chain.nodes[edge_of(other)].drops(CORE0);
            assert!(refused.contains(&(DropReason::LeafToLeaf, 1)) == transport.group, "{refused:?}");
        }
        for node in &chain.nodes[1..3] {
            let reading = node.reading();
            assert!(reading.ports.iter().all(|port| port.drops.total() == 0), "{:?}", reading.ports);
        }
    }
}

/// The longest packet of a device fits over every transport, and one octet more does not leave the edge.
#[test]
fn the_longest_packet_crosses() {
    for transport in TRANSPORTS {
        let mut chain = Chain::new(Service::L2Multipoint, transport);
        let text = [7; 1_500 - 28];
        let longest = frame(Some(110), device(1), device(3), &text);
        assert_eq!(chain.put(0, ACCESS0, std::slice::from_ref(&longest)), [(3, ACCESS0, longest)], "{transport:?}");
        let longer = frame(Some(110), device(1), device(3), &[7; 1_500 - 27]);
        assert_eq!(chain.put(0, ACCESS0, &[longer]), []);
        assert_eq!(chain.nodes[0].drops(ACCESS0), [(DropReason::TooBig, 1)]);
    }
}

/// By transport, what was on all cables and circuits when devices talked to one another.
static SEEN: LazyLock<Vec<Vec<Delivered>>> = LazyLock::new(|| {
    let seen = |transport| {
        let mut chain = Chain::new(Service::L2Multipoint, transport);
        for (from, to) in [(1, ALL), (3, device(1)), (2, device(3)), (4, device(1))] {
            chain.send(from, to);
        }
        chain.seen
    };
    TRANSPORTS.map(seen).to_vec()
});

/// One that was seen, with some octets changed, then cut or drawn out; of whichever transport.
fn mutated() -> impl Strategy<Value = Delivered> {
    let seed = (0..TRANSPORTS.len(), any::<prop::sample::Index>());
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5);
    let elsewhere = prop::option::weighted(0.2, (0_usize..4, 0_u8..3));
    (seed, changes, prop::option::weighted(0.2, 0_usize..200), elsewhere).prop_map(
        |((transport, index), changes, length, elsewhere)| {
            let (mut node, mut port, mut octets) = index.get(&SEEN[transport]).clone();
            for (at, new) in changes {
                // Most of what can be wrong is in front.
                let at = at.index(octets.len().min(120));
                octets[at] = new;
            }
            if let Some(length) = length {
                octets.resize(length, 0);
            }
            if let Some((other, other_port)) = elsewhere {
                // Nodes on the way have two ports, the edges three.
                (node, port) = (other, PortIndex(other_port % if other % 3 == 0 { 3 } else { 2 }));
            }
            (node, port, octets)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Each rig checks after each burst that every frame is accounted for and every buffer back; the row, that nothing
    /// goes round for ever.
    #[test]
    fn nothing_that_arrives_anywhere_stops_the_row(
        transport in proptest::sample::select(TRANSPORTS.to_vec()),
        frames in proptest::collection::vec(mutated(), 1..60),
    ) {
        let mut chain = Chain::new(Service::L2Multipoint, transport);
        for (node, port, octets) in frames {
            chain.put(node, port, &[octets]);
        }
        prop_assert_eq!(chain.send(1, device(3)), [heard(1, device(3), 3)]);
        prop_assert_eq!(chain.send(3, device(1)), [heard(3, device(1), 1)]);
    }
}
