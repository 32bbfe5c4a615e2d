//! The PDU session container (3GPP TS 38.415, section 5.5.2), in an extension header of GTP-U.
//!
//! ```text
//!                    0                   1
//!                    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//!                   +-------+-+-+-+-+-+-+-----------+
//!   downlink:       |   0   |Q|S|M|0|P|R|    QFI    |  P: PPI (3 bits) follows; R: reflective QoS (RQI)
//!                   +-------+-+-+-+-+-+-+-----------+  Q: a time of 8 octets; S: a number of 3; M: one of 4
//!   uplink:         |   1   |Q|D|U|S|N|E|    QFI    |  Q: three times; D, U, N: delays of 4 octets; S: a number
//!                   +-------+-+-+-+-+-+-+-----------+  of 3; E: more elements
//! ```
//!
//! Times, delays and numbers that follow are checked for their room, and are not read.

use crate::octets::put;
use crate::{Layer, WireError};

use super::{EXTENSION_UNIT_OCTETS, Extension, PDU_SESSION};

/// A view of a PDU session container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView<'a>(&'a [u8]);

impl<'a> SessionView<'a> {
    /// Of an extension header of a [`super::Packet`], which has checked it; none if it is another.
    #[inline]
    pub const fn of(extension: &Extension<'a>) -> Option<Self> {
        match extension.content {
            content @ [_, _, ..] if extension.kind == PDU_SESSION => Some(Self(content)),
            _ => None,
        }
    }

    /// What the flags promise must be there. `place` is where the content begins, from the start of the message.
    pub(super) fn check(content: &[u8], place: usize) -> Result<(), WireError> {
        // An extension header has no fewer than two octets of content.
        let need = match content {
            [first, second, ..] => 2 + promised_octets(*first, *second),
            _ => 2,
        };
        if content.len() < need {
            return Err(Layer::Gtpu.length(place, content.len(), need, u8::MAX.into()));
        }
        Ok(())
    }

    /// 0 downlink, 1 uplink.
    #[inline]
    pub const fn pdu_type(&self) -> u8 {
        self.0[0] >> 4
    }

    /// The QoS flow identifier, 6 bits.
    #[inline]
    pub const fn qfi(&self) -> u8 {
        self.0[1] & QFI
    }

    /// What it says of the packet; none if it is neither downlink nor uplink.
    pub const fn session(&self) -> Option<Session> {
        let qfi = self.qfi();
        match self.pdu_type() {
            DOWNLINK => Some(Session::Downlink {
                qfi,
                is_reflective: self.0[1] & FLAG_REFLECTIVE != 0,
                paging_policy: match self.0 {
                    [_, second, paging, ..] if *second & FLAG_PAGING != 0 => Some(*paging >> 5),
                    _ => None,
                },
            }),
            UPLINK => Some(Session::Uplink { qfi }),
            _ => None,
        }
    }

    /// As it stands.
    #[inline]
    pub const fn octets(&self) -> &'a [u8] {
        self.0
    }
}

/// How many octets the flags say follow the first two.
const fn promised_octets(first: u8, second: u8) -> usize {
    const fn flag(octet: u8, bit: u8, octets: usize) -> usize {
        if octet & bit == 0 { 0 } else { octets }
    }
    match first >> 4 {
        DOWNLINK => flag(second, FLAG_PAGING, 1) + flag(first, 8, 8) + flag(first, 4, 3) + flag(first, 2, 4),
        UPLINK => {
            let times_and_delays = flag(first, 8, 24) + flag(first, 4, 4) + flag(first, 2, 4);
            times_and_delays + flag(first, 1, 3) + flag(second, 0x80, 4) + flag(second, 0x40, 1)
        }
        _ => 0,
    }
}

/// What a PDU session container says of a packet, as a value. Numbers are cut to their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Session {
    /// To the device.
    Downlink {
        /// The QoS flow, 6 bits.
        qfi: u8,
        /// The device is to send the same flow back with the same QoS.
        is_reflective: bool,
        /// The paging policy indicator, 3 bits.
        paging_policy: Option<u8>,
    },
    /// From the device.
    Uplink {
        /// The QoS flow, 6 bits.
        qfi: u8,
    },
}

impl Session {
    /// Writes the extension header, the last of its chain, and says how long it is: one unit, or two with a paging policy.
    pub(super) fn emit(self, out: &mut [u8]) -> usize {
        match self {
            Self::Uplink { qfi } => put(out, 0, [1, UPLINK << 4, qfi & QFI, 0]),
            Self::Downlink { qfi, is_reflective, paging_policy } => {
                let reflective = if is_reflective { FLAG_REFLECTIVE } else { 0 };
                let second = qfi & QFI | reflective;
                let Some(paging_policy) = paging_policy else {
                    put(out, 0, [1, DOWNLINK << 4, second, 0]);
                    return EXTENSION_UNIT_OCTETS;
                };
                put(out, 0, [2, DOWNLINK << 4, second | FLAG_PAGING, paging_policy << 5, 0, 0, 0, 0]);
                return 2 * EXTENSION_UNIT_OCTETS;
            }
        }
        EXTENSION_UNIT_OCTETS
    }
}

const DOWNLINK: u8 = 0;
const UPLINK: u8 = 1;
const FLAG_PAGING: u8 = 0x80;
const FLAG_REFLECTIVE: u8 = 0x40;
const QFI: u8 = 0x3f;
