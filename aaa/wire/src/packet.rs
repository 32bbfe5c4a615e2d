//! The packet: header and attributes, with every length checked once (RFC 2865, section 3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Code      |  Identifier   |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                                                               |
//! |                     Authenticator (16 octets)                 |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Attributes ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```

use std::fmt;

use crate::attribute::{Attribute, Attributes, Type};
use crate::error::{Malformed, MalformedKind};

/// What a packet is. Unknown codes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

impl Code {
    /// Asks for access (RFC 2865, section 4.1).
    pub const ACCESS_REQUEST: Self = Self(1);
    /// Grants it (RFC 2865, section 4.2).
    pub const ACCESS_ACCEPT: Self = Self(2);
    /// Refuses it (RFC 2865, section 4.3).
    pub const ACCESS_REJECT: Self = Self(3);
    /// Reports accounting (RFC 2866, section 4.1).
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    /// Confirms that a report was recorded (RFC 2866, section 4.2).
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    /// Asks for more (RFC 2865, section 4.4).
    pub const ACCESS_CHALLENGE: Self = Self(11);
    /// Asks whether the server is alive (RFC 5997, section 3).
    pub const STATUS_SERVER: Self = Self(12);
    /// Reserved (RFC 2865, section 3).
    pub const STATUS_CLIENT: Self = Self(13);
    /// Ends a session (RFC 5176, section 2.1).
    pub const DISCONNECT_REQUEST: Self = Self(40);
    /// Confirms the end (RFC 5176, section 2.1).
    pub const DISCONNECT_ACK: Self = Self(41);
    /// Denies the end (RFC 5176, section 2.1).
    pub const DISCONNECT_NAK: Self = Self(42);
    /// Changes a session's authorisation (RFC 5176, section 2.2).
    pub const COA_REQUEST: Self = Self(43);
    /// Confirms the change (RFC 5176, section 2.2).
    pub const COA_ACK: Self = Self(44);
    /// Denies the change (RFC 5176, section 2.2).
    pub const COA_NAK: Self = Self(45);

    /// Its name, if it has one here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ACCESS_REQUEST => "Access-Request",
            Self::ACCESS_ACCEPT => "Access-Accept",
            Self::ACCESS_REJECT => "Access-Reject",
            Self::ACCOUNTING_REQUEST => "Accounting-Request",
            Self::ACCOUNTING_RESPONSE => "Accounting-Response",
            Self::ACCESS_CHALLENGE => "Access-Challenge",
            Self::STATUS_SERVER => "Status-Server",
            Self::STATUS_CLIENT => "Status-Client",
            Self::DISCONNECT_REQUEST => "Disconnect-Request",
            Self::DISCONNECT_ACK => "Disconnect-ACK",
            Self::DISCONNECT_NAK => "Disconnect-NAK",
            Self::COA_REQUEST => "CoA-Request",
            Self::COA_ACK => "CoA-ACK",
            Self::COA_NAK => "CoA-NAK",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

/// Matches an answer to its request, together with the addresses and ports (RFC 2865, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(pub u8);

/// The authenticator field: of a request or of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authenticator(pub [u8; 16]);

impl Authenticator {
    /// What stands in for the authenticator while that of an accounting request is computed (RFC 2866, section 3).
    pub const ZERO: Self = Self([0; 16]);
}

/// The header alone. Its Length is in range, and that many octets are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the packet is.
    pub code: Code,
    /// Matches answers to requests.
    pub identifier: Identifier,
    /// Octets of the packet, header included: 20 to 4096.
    pub length: u16,
    /// Of the request or of the response.
    pub authenticator: Authenticator,
}

impl Header {
    /// Reads the header and compares its Length with the octets that are there.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let cut = |have| malformed(0, MalformedKind::HeaderCut { have });
        let (&[code, identifier, high, low], rest) =
            datagram.split_first_chunk::<4>().ok_or_else(|| cut(datagram.len()))?;
        let authenticator = rest.first_chunk::<16>().ok_or_else(|| cut(datagram.len()))?;
        let length = u16::from_be_bytes([high, low]);
        if !(HEADER_OCTETS..=PACKET_OCTETS_MAX).contains(&usize::from(length)) {
            return Err(malformed(LENGTH_OFFSET, MalformedKind::LengthOutOfRange { length }));
        }
        if datagram.len() < usize::from(length) {
            return Err(malformed(LENGTH_OFFSET, MalformedKind::Cut { length, have: datagram.len() }));
        }
        Ok(Self {
            code: Code(code),
            identifier: Identifier(identifier),
            length,
            authenticator: Authenticator(*authenticator),
        })
    }
}

/// A packet whose lengths hold, the attributes' included. Nothing says yet who sent it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    header: Header,
    octets: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks a datagram. Octets past Length are padding and are ignored; fewer are an error (RFC 2865, section 3).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::parse(datagram)?;
        let octets = datagram.get(..usize::from(header.length)).unwrap_or(datagram);
        let packet = Self { header, octets };
        packet.attributes().try_for_each(|attribute| attribute.map(|_| ()))?;
        Ok(packet)
    }

    /// What it is.
    pub const fn code(&self) -> Code {
        self.header.code
    }

    /// Matches answers to requests.
    pub const fn identifier(&self) -> Identifier {
        self.header.identifier
    }

    /// The authenticator field as it stands.
    pub const fn authenticator(&self) -> Authenticator {
        self.header.authenticator
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The packet's octets, without the padding behind it.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        // Every attribute was walked over in `parse`, so that no error is lost here.
        self.attributes().flatten()
    }

    /// The first attribute of a type.
    pub fn get(&self, kind: Type) -> Option<Attribute<'a>> {
        self.iter().find(|attribute| attribute.kind == kind)
    }

    /// Has it an attribute of that type?
    pub fn has(&self, kind: Type) -> bool {
        self.get(kind).is_some()
    }

    fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.octets.get(HEADER_OCTETS..).unwrap_or_default(), HEADER_OCTETS)
    }
}

impl fmt::Debug for Packet<'_> {
    /// The header and the attributes' types: values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [", self.code(), self.identifier().0)?;
        for (index, attribute) in self.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, attribute.kind)?;
        }
        f.write_str("]")
    }
}

const fn malformed(offset: usize, kind: MalformedKind) -> Malformed {
    Malformed { offset, attribute: None, kind }
}

/// Octets of a header.
pub const HEADER_OCTETS: usize = 20;
/// The longest packet (RFC 2865, section 3).
pub const PACKET_OCTETS_MAX: usize = 4096;
/// The longest value of an attribute (RFC 2865, section 5).
pub const ATTRIBUTE_VALUE_OCTETS_MAX: usize = 253;

const LENGTH_OFFSET: usize = 2;

#[cfg(test)]
mod tests;
