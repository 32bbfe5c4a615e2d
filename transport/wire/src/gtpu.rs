//! GTP-U version 1 (3GPP TS 29.281, section 5): what carries a device's packets between gNB and UPF.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+-+-+-+-+-+---------------+-------------------------------+
//! |  1  |1|0|E|S|N| Message type  |  Length, without these eight  |
//! +-----+-+-+-+-+-+---------------+-------------------------------+
//! |              Tunnel endpoint identifier (TEID)                |
//! +-------------------------------+---------------+---------------+
//! |     Sequence number (S)       |   N-PDU (N)   | Next type (E) |  if any of E, S and N is set
//! +---------------+---------------+---------------+---------------+
//! |  Length / 4   |              Content          |   Next type   |  extension headers, while the type before is
//! +---------------+-------------------------------+---------------+  not 0
//! ```

use crate::octets::{be16, be32, put};
use crate::{Layer, Problem, WireError};

mod session;

pub use session::{Session, SessionView};

/// What a message is. Unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// Are you there?
    pub const ECHO_REQUEST: Self = Self(1);
    /// I am.
    pub const ECHO_RESPONSE: Self = Self(2);
    /// There is no such tunnel.
    pub const ERROR_INDICATION: Self = Self(26);
    /// Which extension headers the sender understands.
    pub const SUPPORTED_EXTENSIONS: Self = Self(31);
    /// Nothing more comes by this tunnel, for it has moved.
    pub const END_MARKER: Self = Self(254);
    /// A packet of a device.
    pub const G_PDU: Self = Self(255);
}

/// A view of a GTP-U message.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    fixed: &'a [u8; FIXED_OCTETS],
    optional: Option<&'a [u8; OPTIONAL_OCTETS]>,
    /// Of whole headers.
    extensions: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Version, length and the chain of extension headers must hold; what follows the length is not the message's.
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let packet = Self::new_cut(octets)?;
        let length = usize::from(packet.length());
        if length > octets.len() - FIXED_OCTETS {
            return Err(Layer::Gtpu.length(LENGTH, length, 0, octets.len() - FIXED_OCTETS));
        }
        Ok(packet)
    }

    /// As [`Packet::new`], of a message that need not be whole: where octets end before the length, so does the payload.
    /// For captures.
    #[inline]
    pub fn new_cut(octets: &'a [u8]) -> Result<Self, WireError> {
        let (fixed, rest) =
            octets.split_first_chunk::<FIXED_OCTETS>().ok_or(Layer::Gtpu.truncated(FIXED_OCTETS, octets.len()))?;
        // Version 1, and no charging protocol (GTP').
        let version = fixed[0] >> 4;
        if version != VERSION_AND_TYPE {
            return Err(Layer::Gtpu.value(0, u32::from(version), u32::from(VERSION_AND_TYPE)));
        }
        let rest = &rest[..usize::from(be16(fixed, LENGTH)).min(rest.len())];
        if fixed[0] & (FLAG_EXTENSION | FLAG_SEQUENCE | FLAG_N_PDU) == 0 {
            return Ok(Self { fixed, optional: None, extensions: &[], payload: rest });
        }
        let Some((optional, rest)) = rest.split_first_chunk::<OPTIONAL_OCTETS>() else {
            return Err(Layer::Gtpu.truncated(FIXED_OCTETS + OPTIONAL_OCTETS, FIXED_OCTETS + rest.len()));
        };
        let first = if fixed[0] & FLAG_EXTENSION == 0 { NO_MORE } else { optional[NEXT_TYPE] };
        let (extensions, payload) = rest.split_at(chain_octets(first, rest)?);
        Ok(Self { fixed, optional: Some(optional), extensions, payload })
    }

    /// What it is.
    #[inline]
    pub const fn message_type(&self) -> MessageType {
        MessageType(self.fixed[1])
    }

    /// Version and flags, as they stand.
    #[inline]
    pub const fn flags(&self) -> u8 {
        self.fixed[0]
    }

    /// Everything after the first eight octets, in octets.
    #[inline]
    pub const fn length(&self) -> u16 {
        be16(self.fixed, LENGTH)
    }

    /// Which tunnel, as its receiver has named it.
    #[inline]
    pub const fn teid(&self) -> u32 {
        be32(self.fixed, TEID)
    }

    /// The sequence number, where the sender counts.
    #[inline]
    pub const fn sequence(&self) -> Option<u16> {
        match self.optional {
            Some(optional) if self.fixed[0] & FLAG_SEQUENCE != 0 => Some(be16(optional, 0)),
            _ => None,
        }
    }

    /// The number of the N-PDU.
    #[inline]
    pub const fn n_pdu(&self) -> Option<u8> {
        match self.optional {
            Some(optional) if self.fixed[0] & FLAG_N_PDU != 0 => Some(optional[N_PDU]),
            _ => None,
        }
    }

    /// The extension headers one by one.
    #[inline]
    pub const fn extensions(&self) -> Extensions<'a> {
        let first = match self.optional {
            Some(optional) => optional[NEXT_TYPE],
            None => NO_MORE,
        };
        Extensions { kind: first, rest: self.extensions }
    }

    /// The PDU session container: to which QoS flow a device's packet belongs.
    #[inline]
    pub fn session(&self) -> Option<SessionView<'a>> {
        self.extensions().find_map(|extension| SessionView::of(&extension))
    }

    /// Header, optional fields and extension headers, in octets.
    #[inline]
    pub const fn header_octets(&self) -> usize {
        let optional = if self.optional.is_some() { OPTIONAL_OCTETS } else { 0 };
        FIXED_OCTETS + optional + self.extensions.len()
    }

    /// What follows the headers: of a G-PDU the device's packet.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// How long the chain is that begins with that type.
fn chain_octets(mut kind: u8, octets: &[u8]) -> Result<usize, WireError> {
    let place = |at: usize| FIXED_OCTETS + OPTIONAL_OCTETS + at;
    let (mut at, mut count) = (0, 0);
    while kind != NO_MORE {
        if count == EXTENSIONS_MAX {
            let problem = Problem::TooMany { max: EXTENSIONS_MAX };
            return Err(WireError { layer: Layer::Gtpu, offset: place(at), problem });
        }
        let Some(length) = octets.get(at).map(|units| usize::from(*units) * EXTENSION_UNIT_OCTETS) else {
            return Err(Layer::Gtpu.truncated(place(at) + EXTENSION_UNIT_OCTETS, place(at)));
        };
        match octets[at..].split_at_checked(length) {
            Some(([_, content @ .., next], _)) => {
                if kind == PDU_SESSION {
                    SessionView::check(content, place(at) + 1)?;
                }
                kind = *next;
            }
            Some(_) => return Err(Layer::Gtpu.length(place(at), 0, 1, u8::MAX.into())),
            None => return Err(Layer::Gtpu.truncated(place(at) + length, place(octets.len()))),
        }
        at += length;
        count += 1;
    }
    Ok(at)
}

/// One extension header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// What it is (TS 29.281, section 5.2.1). Unknown ones survive.
    pub kind: u8,
    /// What stands between length and next type: at least two octets.
    pub content: &'a [u8],
}

impl Extension<'_> {
    /// The end of the tunnel has to understand it, or else discard the message (TS 29.281, section 5.2.1).
    #[inline]
    pub const fn is_required(&self) -> bool {
        self.kind & 0x80 != 0
    }
}

/// A walk over the extension headers of a message; at most [`EXTENSIONS_MAX`].
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    kind: u8,
    /// Of whole headers.
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let units = usize::from(*self.rest.first()?);
        let (header, rest) = self.rest.split_at_checked(units * EXTENSION_UNIT_OCTETS)?;
        let [_, content @ .., next] = header else { return None };
        let kind = std::mem::replace(&mut self.kind, *next);
        self.rest = rest;
        Some(Extension { kind, content })
    }
}

/// A header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub message_type: MessageType,
    /// Which tunnel.
    pub teid: u32,
    /// The sequence number: an echo and an error indication have one (TS 29.281, section 5.1).
    pub sequence: Option<u16>,
    /// To which QoS flow a device's packet belongs.
    pub session: Option<Session>,
    /// What follows the headers, in octets.
    pub payload_octets: u16,
}

impl Header {
    /// Its octets.
    pub fn emit<'o>(&self, out: &'o mut [u8; HEADER_OCTETS_MAX]) -> &'o [u8] {
        let mut octets = FIXED_OCTETS;
        let mut flags = VERSION_AND_TYPE << 4;
        if self.sequence.is_some() || self.session.is_some() {
            let [high, low] = self.sequence.unwrap_or(0).to_be_bytes();
            put(out, octets, [high, low, 0, NO_MORE]);
            octets += OPTIONAL_OCTETS;
        }
        if self.sequence.is_some() {
            flags |= FLAG_SEQUENCE;
        }
        if let Some(session) = self.session {
            flags |= FLAG_EXTENSION;
            out[octets - 1] = PDU_SESSION;
            octets += session.emit(&mut out[octets..]);
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most 20")]
        let length = self.payload_octets.saturating_add((octets - FIXED_OCTETS) as u16);
        put(out, 0, [flags, self.message_type.0]);
        put(out, LENGTH, length.to_be_bytes());
        put(out, TEID, self.teid.to_be_bytes());
        &mut out[..octets]
    }
}

/// What every message begins with.
pub const FIXED_OCTETS: usize = 8;
/// The longest header that is written: with a sequence number, and a PDU session container with paging policy.
pub const HEADER_OCTETS_MAX: usize = FIXED_OCTETS + OPTIONAL_OCTETS + 2 * EXTENSION_UNIT_OCTETS;
/// How many extension headers are read.
pub const EXTENSIONS_MAX: usize = 8;
/// The UDP port (TS 29.281, section 4.4.2).
pub const PORT: u16 = 2152;
/// The extension header that holds the PDU session container (TS 29.281, section 5.2.2.7).
pub const PDU_SESSION: u8 = 0x85;

const OPTIONAL_OCTETS: usize = 4;
const EXTENSION_UNIT_OCTETS: usize = 4;

/// Version 1 and protocol type 1.
const VERSION_AND_TYPE: u8 = 0b0011;
const FLAG_EXTENSION: u8 = 4;
const FLAG_SEQUENCE: u8 = 2;
const FLAG_N_PDU: u8 = 1;
const NO_MORE: u8 = 0;

const LENGTH: usize = 2;
const TEID: usize = 4;
const N_PDU: usize = 2;
const NEXT_TYPE: usize = 3;

#[cfg(test)]
mod tests;
