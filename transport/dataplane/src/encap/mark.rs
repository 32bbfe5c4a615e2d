//! Classes: what outer headers say of how urgent a packet is, and in which queue it waits.
//!
//! A device's own mark chooses, within what the slice allows: the QoS flow of a GTP-U packet, the code point of an IP packet,
//! the priority of a tagged frame that carries none. It is neither changed here nor when the packet is taken out again,
//! where it alone counts: the pipe model of RFC 2983, section 3.1, and the short pipe of RFC
//! 3270, section 2.6.2.1. A device's own marking arrives as it was.

use model::profile::QueueClass;
use model::program::{InnerMark, Marking};
use model::{Dscp, TrafficClass};
use transport_wire::ethernet::Tci;
use transport_wire::flow::{Flow, Network};
use transport_wire::{Protocol, gtpu, udp};

use crate::compile::class_number;

/// What the outer headers of a packet say, and where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The traffic class of an IP header, but for its congestion bits.
    pub(super) ip: u8,
    /// The traffic class of a label, where it stands in the third octet of an entry.
    pub(super) label: u8,
    /// The number of its class in a segment of the scheduler.
    pub(crate) class: u8,
}

impl Mark {
    /// Class selector 6 (RFC 2474, section 4.2.2.2), and the highest class of a label.
    pub(crate) const NETWORK_CONTROL: Self = Self { ip: 48 << 2, label: 7 << 1, class: 0 };

    pub(crate) const fn new(dscp: Dscp, class: TrafficClass, queue: QueueClass) -> Self {
        Self { ip: dscp.get() << 2, label: class.get() << 1, class: class_number(queue) }
    }

    /// Of an IP header whose packet takes no congestion marks.
    pub(crate) const fn traffic_class(self) -> u8 {
        self.ip
    }
}

/// How the packets of a slice are treated, by the marks of its devices.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    /// In the end, what carries no mark.
    code_points: [Mark; CODE_POINTS + 1],
    priorities: [Mark; PRIORITIES],
    /// Only if the slice heeds any.
    flows: Option<Box<[Option<Mark>; QFIS]>>,
}

impl Marks {
    /// Of a slice: for marks that it does not heed, and for what has none, the default.
    pub(crate) fn new(default: Mark, markings: &[Marking]) -> Self {
        let mut marks =
            Self { code_points: [default; CODE_POINTS + 1], priorities: [default; PRIORITIES], flows: None };
        for marking in markings {
            let mark = Mark::new(marking.dscp, marking.traffic_class, marking.queue);
            match marking.inner {
                InnerMark::Dscp(inner) => marks.code_points[usize::from(inner.get())] = mark,
                InnerMark::Priority(inner) => marks.priorities[usize::from(inner.get())] = mark,
                InnerMark::Qfi(inner) => {
                    let flows = marks.flows.get_or_insert_with(|| Box::new([None; QFIS]));
                    flows[usize::from(inner.get())] = Some(mark);
                }
            }
        }
        marks
    }

    /// Of a device's frame, with its tag if it has one.
    #[inline]
    pub(crate) fn of(&self, flow: &Flow, octets: &[u8]) -> Mark {
        if let Some(flows) = &self.flows
            && let Some(mark) = qfi(flow, octets).and_then(|qfi| flows[usize::from(qfi) % QFIS])
        {
            return mark;
        }
        match (flow.traffic_class(), flow.tag) {
            (Some(class), _) => self.code_points[usize::from(class >> 2)],
            (None, Some(tag)) => self.priorities[priority(tag)],
            (None, None) => self.code_points[CODE_POINTS],
        }
    }
}

#[inline]
fn priority(tag: Tci) -> usize {
    usize::from(tag.priority()) % PRIORITIES
}

/// The QoS flow that a GTP-U packet names (TS 38.415, section 5.5.2).
fn qfi(flow: &Flow, octets: &[u8]) -> Option<u8> {
    let (Network::Ipv4 { upper, .. } | Network::Ipv6 { upper, .. }) = flow.network else { return None };
    if upper.protocol != Protocol::UDP || upper.ports.1 != gtpu::PORT || upper.is_fragment {
        return None;
    }
    let packet = gtpu::Packet::new(octets.get(usize::from(upper.at) + udp::HEADER_OCTETS..)?).ok()?;
    packet.session().map(|session| session.qfi())
}

/// Six bits (RFC 2474, section 3).
const CODE_POINTS: usize = 64;
/// Three bits (IEEE 802.1Q, section 9.6).
const PRIORITIES: usize = 8;
/// Six bits (TS 23.501, section 5.7.1.1).
const QFIS: usize = 64;
