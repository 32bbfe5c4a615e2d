//! Congestion marks on their way out of a tunnel.

use transport_wire::checksum;
use transport_wire::ethernet::{self, EtherType};
use transport_wire::flow::Flow;
use transport_wire::ipv4;

use crate::frame::Frame;

/// Marks congestion in a frame whose device's packet can carry the mark (RFC 3168, section 5): in the outermost IP header,
/// which has a copy of the device's congestion bits and hands the mark on where the tunnel ends (RFC 6040, section 4.2). What is
/// inside of a tunnel stays, lest a checksum around it be wrong. Behind labels and tags the device's own header, which begins
/// `inner_at`, is the outermost.
pub(crate) fn mark_congestion(octets: &mut [u8], inner_at: usize) {
    let ethertype = octets.get(ethernet::HEADER_OCTETS - 2..).and_then(<[u8]>::first_chunk).copied();
    let is_ip = ethertype.is_some_and(|ethertype| {
        [EtherType::IPV4, EtherType::IPV6].contains(&EtherType(u16::from_be_bytes(ethertype)))
    });
    let at = if is_ip { ethernet::HEADER_OCTETS } else { inner_at };
    match octets.get(at..).and_then(<[u8]>::first_chunk::<2>) {
        Some([first, second]) if first >> 4 == 4 => write_class(octets, at, *second, *second | CE, true),
        Some([first, second]) if first >> 4 == 6 => {
            let class = first << 4 | second >> 4;
            write_class(octets, at, class, class | CE, false);
        }
        _ => {}
    }
}

/// Writes the traffic class of an IP header.
#[inline]
fn write_class(octets: &mut [u8], at: usize, old: u8, new: u8, is_ipv4: bool) {
    if is_ipv4 {
        let place = at + ipv4::CHECKSUM;
        let Some(&[high, low]) = octets.get(place..).and_then(<[u8]>::first_chunk) else { return };
        let (old_word, new_word) = (u16::from_be_bytes([octets[at], old]), u16::from_be_bytes([octets[at], new]));
        let sum = checksum::update(u16::from_be_bytes([high, low]), old_word, new_word);
        octets[at + 1] = new;
        octets[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    } else {
        octets[at] = octets[at] & 0xf0 | new >> 4;
        octets[at + 1] = octets[at + 1] & 0x0f | new << 4;
    }
}

/// Marks congestion in an inner packet as the outer header has it (RFC 6040, section 4.2). False: it can't be marked and
/// must be dropped.
#[inline]
pub(crate) fn propagate_congestion(frame: &mut Frame, flow: &Flow, outer_ecn: u8) -> bool {
    const NOT_ECT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    let Some(traffic_class) = flow.traffic_class() else {
        // Not IP: nothing to mark, and a mark means a loss.
        return outer_ecn != CE;
    };
    let marked = match (traffic_class & 3, outer_ecn) {
        (NOT_ECT, CE) => return false,
        (ECT_0 | ECT_1, CE) => CE,
        (ECT_0, ECT_1) => ECT_1,
        _ => return true,
    };
    let (at, is_ipv4) = (usize::from(flow.network_at), flow.ethertype == EtherType::IPV4);
    write_class(frame.octets_mut(), at, traffic_class, traffic_class & !3 | marked, is_ipv4);
    true
}

/// Congestion experienced (RFC 3168, section 5).
const CE: u8 = 3;
