//! What can be wrong with a message, and whose fault it is.

use crate::attribute::Type;
use crate::packet::{Code, HEADER_OCTETS, PACKET_OCTETS_MAX};

/// The sender's octets have no RADIUS form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("octet {offset}{}: {kind}", In(*attribute))]
pub struct Malformed {
    /// Where, counted from the first octet of the datagram.
    pub offset: usize,
    /// The attribute that is at fault; none for the header.
    pub attribute: Option<Type>,
    /// What is wrong.
    pub kind: MalformedKind,
}

/// The ways in which octets have no RADIUS form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// Fewer octets than a header.
    #[error("{have} octets; a header has {HEADER_OCTETS}")]
    HeaderCut {
        /// How many there are.
        have: usize,
    },
    /// The Length field names less than a header or more than a packet may have (RFC 2865, section 3).
    #[error("Length is {length}; expected {HEADER_OCTETS} to {PACKET_OCTETS_MAX}")]
    LengthOutOfRange {
        /// What the field says.
        length: u16,
    },
    /// The datagram is shorter than its Length field says (RFC 2865, section 3).
    #[error("{have} octets; Length says {length}")]
    Cut {
        /// What the field says.
        length: u16,
        /// How many there are.
        have: usize,
    },
    /// One octet is left where an attribute needs a type and a length.
    #[error("one octet is left; an attribute has at least two")]
    AttributeCut,
    /// An attribute's length counts less than its own header (RFC 2865, section 5).
    #[error("attribute length is {length}; expected at least 2")]
    AttributeTooShort {
        /// What its length field says.
        length: u8,
    },
    /// An attribute reaches past the end of the packet.
    #[error("attribute length is {length}, but {have} octets are left")]
    AttributePastEnd {
        /// What its length field says.
        length: u8,
        /// How many octets are left, those of its header included.
        have: usize,
    },
    /// A value is not of the length that its data type has.
    #[error("a value of {have} octets; {expected}")]
    ValueLength {
        /// How long it is.
        have: usize,
        /// What the data type allows.
        expected: &'static str,
    },
    /// A text is not UTF-8 (RFC 2865, section 5).
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A prefix is longer than its address, or has bits set behind its length (RFC 3162, section 2.3).
    #[error("not an IP prefix")]
    NotAPrefix,
}

/// The message is well formed, but not sealed as its sender had to seal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// It has no Message-Authenticator, and must have one.
    #[error("no Message-Authenticator")]
    MissingMessageAuthenticator,
    /// It has more than one (RFC 2869, section 5.19: at most one).
    #[error("more than one Message-Authenticator")]
    RepeatedMessageAuthenticator,
    /// Its Message-Authenticator does not hold under the shared secret, or is not 16 octets.
    #[error("the Message-Authenticator is wrong")]
    BadMessageAuthenticator,
    /// The Request Authenticator of an accounting, disconnect or change request does not hold (RFC 2866, section 3).
    #[error("the Request Authenticator is wrong")]
    BadRequestAuthenticator,
    /// The Response Authenticator does not hold (RFC 2865, section 3).
    #[error("the Response Authenticator is wrong")]
    BadResponseAuthenticator,
    /// It is no request, so that nothing says how it should be sealed.
    #[error("{0} is not a request")]
    NotARequest(Code),
    /// The answer carries another identifier than the request.
    #[error("the identifier is not the request's")]
    ForeignIdentifier,
}

/// What was to be written does not fit: our own mistake, never the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// An attribute's value has more than 253 octets.
    #[error("{attribute} of {octets} octets; an attribute holds 253")]
    Value {
        /// The attribute.
        attribute: Type,
        /// How long the value is.
        octets: usize,
    },
    /// The packet would have more than 4096 octets.
    #[error("no room for {attribute}: a packet holds {PACKET_OCTETS_MAX} octets")]
    Packet {
        /// The attribute that no longer fits.
        attribute: Type,
    },
}

/// Prints the attribute at fault, if there is one.
struct In(Option<Type>);

impl std::fmt::Display for In {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |attribute| write!(f, ", {attribute}"))
    }
}
