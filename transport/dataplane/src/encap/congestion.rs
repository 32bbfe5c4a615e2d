//! Congestion marks on their way out of a tunnel.

use transport_wire::checksum;
use transport_wire::ethernet::EtherType;
use transport_wire::flow::Flow;
use transport_wire::ipv4;

use crate::frame::Frame;

/// Marks congestion in an inner packet as the outer header has it (RFC 6040, section 4.2). False: it can't be marked and
/// must be dropped.
#[inline]
pub(crate) fn propagate_congestion(frame: &mut Frame, flow: &Flow, outer_ecn: u8) -> bool {
    const NOT_ECT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
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
    let at = usize::from(flow.network_at);
    let new = traffic_class & !3 | marked;
    let octets = frame.octets_mut();
    if flow.ethertype == EtherType::IPV4 {
        let (old_word, new_word) =
            (u16::from_be_bytes([octets[at], traffic_class]), u16::from_be_bytes([octets[at], new]));
        let place = at + ipv4::CHECKSUM;
        let sum = checksum::update(u16::from_be_bytes([octets[place], octets[place + 1]]), old_word, new_word);
        octets[at + 1] = new;
        octets[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    } else {
        octets[at] = octets[at] & 0xf0 | new >> 4;
        octets[at + 1] = octets[at + 1] & 0x0f | new << 4;
    }
    true
}
