//! What may follow the segment list (RFC 8754, section 2.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+---------------+-------------------------------+
//! |     Type      |    Length     |          Value …              |     Pad1 (type 0) is its type alone.
//! +---------------+---------------+-+-----------------------------+
//! |     5: HMAC   |    Length     |D|          Reserved           |
//! +---------------+---------------+-+-----------------------------+
//! |                             Key id                            |
//! +---------------------------------------------------------------+
//! |                  HMAC (8, 16, 24 or 32 octets)                |
//! +---------------------------------------------------------------+
//! ```

use crate::octets::{be32, put};
use crate::{Layer, WireError};

/// One TLV. Unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// One octet of padding.
    Pad1,
    /// More padding.
    PadN {
        /// How many octets follow type and length.
        octets: u8,
    },
    /// An authenticator.
    Hmac(Hmac<'a>),
    /// Another type.
    Other {
        /// The type.
        kind: u8,
        /// The value; at most 255 octets of it are written.
        value: &'a [u8],
    },
}

/// The HMAC TLV (RFC 8754, section 2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hmac<'a> {
    /// The D bit: the destination address is not to be verified, because the list is reduced.
    pub is_destination_exempt: bool,
    /// Which key and algorithm.
    pub key_id: u32,
    /// The authenticator: 8, 16, 24 or 32 octets; only so much is written of others.
    pub authenticator: &'a [u8],
}

impl Tlv<'_> {
    /// The type of one octet of padding.
    pub const PAD_1: u8 = 0;
    /// The type of more padding.
    pub const PAD_N: u8 = 4;
    /// The type of an authenticator.
    pub const HMAC: u8 = 5;

    /// How long it is.
    pub fn octets(&self) -> usize {
        match self {
            Self::Pad1 => 1,
            Self::PadN { octets } => 2 + usize::from(*octets),
            Self::Hmac(hmac) => 2 + HMAC_FIXED_OCTETS + hmac.written().len(),
            Self::Other { value, .. } => 2 + value.len().min(u8::MAX.into()),
        }
    }
}

impl<'a> Hmac<'a> {
    /// Whole units of eight octets, up to 32.
    fn written(&self) -> &'a [u8] {
        let octets = self.authenticator.len().min(HMAC_OCTETS_MAX) / 8 * 8;
        &self.authenticator[..octets]
    }
}

/// Walks over TLVs.
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    /// Where `rest` begins, from the start of the header.
    at: usize,
}

impl<'a> Tlvs<'a> {
    pub(super) const fn new(rest: &'a [u8], at: usize) -> Self {
        Self { rest, at }
    }

    fn read(&self) -> Result<(Tlv<'a>, usize), WireError> {
        let kind = self.rest[0];
        if kind == Tlv::PAD_1 {
            return Ok((Tlv::Pad1, 1));
        }
        let Some(length) = self.rest.get(1).map(|length| usize::from(*length)) else {
            return Err(Layer::Srh.truncated(self.at + 2, self.at + 1));
        };
        let body = &self.rest[2..];
        if kind == Tlv::HMAC {
            return self.read_hmac(length, body);
        }
        let Some((value, _)) = body.split_at_checked(length) else {
            return Err(Layer::Srh.length(self.at + 1, length, 0, body.len()));
        };
        let tlv = match kind {
            Tlv::PAD_N => Tlv::PadN { octets: self.rest[1] },
            _ => Tlv::Other { kind, value },
        };
        Ok((tlv, 2 + length))
    }

    /// Two readings of "the length of the variable-length data" are in use: of all that follows the length (Linux
    /// writes 38 for an HMAC of 32 octets), and of the HMAC alone (tcpdump). As an HMAC is a multiple of eight octets,
    /// the number tells which is meant.
    fn read_hmac(&self, length: usize, body: &'a [u8]) -> Result<(Tlv<'a>, usize), WireError> {
        let octets = if length.is_multiple_of(8) { length } else { length.wrapping_sub(HMAC_FIXED_OCTETS) };
        let read =
            body.split_at_checked(HMAC_FIXED_OCTETS).and_then(|(fixed, rest)| Some((fixed, rest.get(..octets)?)));
        match read {
            Some((fixed, authenticator)) if matches!(octets, 8..=HMAC_OCTETS_MAX) && octets.is_multiple_of(8) => {
                let hmac = Hmac { is_destination_exempt: fixed[0] & 0x80 != 0, key_id: be32(fixed, 2), authenticator };
                Ok((Tlv::Hmac(hmac), 2 + HMAC_FIXED_OCTETS + octets))
            }
            _ => {
                Err(Layer::Srh.length(self.at + 1, length, HMAC_FIXED_OCTETS + 8, HMAC_FIXED_OCTETS + HMAC_OCTETS_MAX))
            }
        }
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        let octets = read.as_ref().map_or(self.rest.len(), |(_, octets)| *octets);
        self.rest = self.rest.get(octets..).unwrap_or_default();
        self.at += octets;
        Some(read.map(|(tlv, _)| tlv))
    }
}

/// Writes TLVs one after the other, and padding behind them to the end of `out`: less than eight octets.
pub(super) fn emit(tlvs: &[Tlv<'_>], mut out: &mut [u8]) {
    for tlv in tlvs {
        let (place, rest) = out.split_at_mut(tlv.octets().min(out.len()));
        emit_one(*tlv, place);
        out = rest;
    }
    match out.len() {
        0 => {}
        1 => out[0] = Tlv::PAD_1,
        #[allow(clippy::cast_possible_truncation, reason = "less than eight")]
        octets => emit_one(Tlv::PadN { octets: octets as u8 - 2 }, out),
    }
}

/// Fills `out`, which is as long as the TLV.
fn emit_one(tlv: Tlv<'_>, out: &mut [u8]) {
    #[allow(clippy::cast_possible_truncation, reason = "each kind is cut to what its length can say")]
    let length = out.len().wrapping_sub(2) as u8;
    match tlv {
        Tlv::Pad1 => put(out, 0, [Tlv::PAD_1]),
        Tlv::PadN { .. } => {
            put(out, 0, [Tlv::PAD_N, length]);
            out[2..].fill(0);
        }
        Tlv::Hmac(hmac) => {
            put(out, 0, [Tlv::HMAC, length, u8::from(hmac.is_destination_exempt) << 7, 0]);
            put(out, 4, hmac.key_id.to_be_bytes());
            out[2 + HMAC_FIXED_OCTETS..].copy_from_slice(hmac.written());
        }
        Tlv::Other { kind, value } => {
            put(out, 0, [kind, length]);
            out[2..].copy_from_slice(&value[..usize::from(length)]);
        }
    }
}

/// The longest HMAC.
const HMAC_OCTETS_MAX: usize = 32;

/// D, reserved bits and key id.
const HMAC_FIXED_OCTETS: usize = 6;
