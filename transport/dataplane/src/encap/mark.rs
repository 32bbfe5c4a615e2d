//! Classes: what outer headers say of how urgent a packet is.
//!
//! The code point of the inner packet chooses, within what the slice allows. The inner one is neither changed here nor when
//! the packet is taken out again, where it alone counts: the pipe model of RFC 2983, section 3.1, and the short pipe of RFC
//! 3270, section 2.6.2.1. A device's own marking arrives as it was.

use model::program::Marking;
use model::{Dscp, TrafficClass};

/// What the outer headers of a packet say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The traffic class of an IP header, but for its congestion bits.
    pub(super) ip: u8,
    /// The traffic class of a label, where it stands in the third octet of an entry.
    pub(super) label: u8,
}

impl Mark {
    /// Class selector 6 (RFC 2474, section 4.2.2.2), and the highest class of a label.
    pub(crate) const NETWORK_CONTROL: Self = Self { ip: 48 << 2, label: 7 << 1 };

    pub(crate) const fn new(dscp: Dscp, class: TrafficClass) -> Self {
        Self { ip: dscp.get() << 2, label: class.get() << 1 }
    }

    /// Of an IP header whose packet takes no congestion marks.
    pub(crate) const fn traffic_class(self) -> u8 {
        self.ip
    }
}

/// What the outer headers of a slice's packets say, by the code point inside; in the end, of what has none.
#[derive(Debug)]
pub(crate) struct Marks([Mark; CODE_POINTS + 1]);

impl Marks {
    /// Of a slice: for code points without a marking, and for what is not IP, the default.
    pub(crate) fn new(default: Mark, markings: &[Marking]) -> Self {
        let mut marks = [default; CODE_POINTS + 1];
        for marking in markings {
            marks[usize::from(marking.inner.get())] = Mark::new(marking.dscp, marking.traffic_class);
        }
        Self(marks)
    }

    /// By the inner packet's traffic class, if it is an IP packet.
    #[inline]
    pub(crate) fn of(&self, traffic_class: Option<u8>) -> Mark {
        self.0[traffic_class.map_or(CODE_POINTS, |class| usize::from(class >> 2))]
    }
}

/// Six bits (RFC 2474, section 3).
const CODE_POINTS: usize = 64;
