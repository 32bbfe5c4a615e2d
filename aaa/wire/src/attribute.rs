//! Attributes: type, length, value (RFC 2865, section 5), and what a value is by its data type (RFC 8044).
//!
//! ```text
//!  0                   1                   2
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! |     Type      |    Length     |  Value ...       Length counts Type and Length: 2 to 255
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```
//!
//! Vendor-Specific (RFC 2865, section 5.26), with attributes of the vendor in the form that the section recommends:
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Type = 26   |    Length     |            Vendor-Id
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!      Vendor-Id (continued)      |  Vendor type  | Vendor length |  Value ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dictionary::{self, DataType};
use crate::error::{Malformed, MalformedKind};

/// The type of an attribute. The named ones are constants, defined in [`dictionary`]; unknown ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u8);

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match dictionary::lookup(*self) {
            Some(entry) => f.write_str(entry.name),
            None => write!(f, "attribute {}", self.0),
        }
    }
}

/// An attribute inside a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type.
    pub kind: Type,
    /// Its value: at most 253 octets.
    pub value: &'a [u8],
    /// Where its type octet stands, counted from the first octet of the packet.
    pub offset: usize,
}

impl<'a> Attribute<'a> {
    /// The value by the data type that the dictionary gives; octets where it gives none.
    pub fn decode(&self) -> Result<Value<'a>, Malformed> {
        let data = dictionary::lookup(self.kind).map_or(DataType::Octets, |entry| entry.data);
        Value::decode(data, self.value).map_err(|kind| self.malformed(kind))
    }

    /// The value as a 32-bit number.
    pub fn integer(&self) -> Result<u32, Malformed> {
        self.array("expected 4").map(u32::from_be_bytes)
    }

    /// The value as a text.
    pub fn text(&self) -> Result<&'a str, Malformed> {
        text(self.value).map_err(|kind| self.malformed(kind))
    }

    /// The value as an IPv4 address.
    pub fn ipv4(&self) -> Result<Ipv4Addr, Malformed> {
        self.array("expected 4").map(<[u8; 4]>::into)
    }

    /// The value as an IPv6 address.
    pub fn ipv6(&self) -> Result<Ipv6Addr, Malformed> {
        self.array("expected 16").map(<[u8; 16]>::into)
    }

    /// Its vendor part; only [`Type::VENDOR_SPECIFIC`] has one.
    pub fn vendor_specific(&self) -> Result<VendorSpecific<'a>, Malformed> {
        vendor_specific(self.value).map_err(|kind| self.malformed(kind))
    }

    fn array<const N: usize>(&self, expected: &'static str) -> Result<[u8; N], Malformed> {
        array(self.value, expected).map_err(|kind| self.malformed(kind))
    }

    const fn malformed(&self, kind: MalformedKind) -> Malformed {
        Malformed { offset: self.offset, attribute: Some(self.kind), kind }
    }
}

impl fmt::Debug for Attribute<'_> {
    /// Type and length: the value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} octets)", self.kind, self.value.len())
    }
}

/// Walks over the attributes of a packet; ends after the first one that has no form.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// Over octets that stand at an offset in their packet: for those who want the attributes before the one at fault.
    /// Everybody else takes [`crate::Packet::iter`].
    pub const fn new(octets: &'a [u8], offset: usize) -> Self {
        Self { rest: octets, offset }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest;
        let offset = self.offset;
        let (&kind, behind) = rest.split_first()?;
        let kind = Type(kind);
        // Every way out leaves less behind than it found, so that the walk ends.
        self.rest = &[];
        let fault = |kind_of| Some(Err(Malformed { offset, attribute: Some(kind), kind: kind_of }));
        let Some(&length) = behind.first() else { return fault(MalformedKind::AttributeCut) };
        if length < 2 {
            return fault(MalformedKind::AttributeTooShort { length });
        }
        let Some((attribute, rest)) = rest.split_at_checked(usize::from(length)) else {
            return fault(MalformedKind::AttributePastEnd { length, have: rest.len() });
        };
        self.rest = rest;
        self.offset += usize::from(length);
        Some(Ok(Attribute { kind, value: attribute.get(2..).unwrap_or_default(), offset }))
    }
}

/// A value by its data type (RFC 8044, section 3; tagged ones RFC 2868, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number, or one of a list of numbers.
    Integer(u32),
    /// A long number.
    Integer64(u64),
    /// Seconds since 1970-01-01 00:00:00 UTC.
    Time(u32),
    /// Readable text.
    Text(&'a str),
    /// Octets.
    Octets(&'a [u8]),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// An IPv6 prefix.
    Ipv6Prefix(Ipv6Addr, u8),
    /// An IPv4 prefix.
    Ipv4Prefix(Ipv4Addr, u8),
    /// The lower half of an IPv6 address.
    InterfaceId([u8; 8]),
    /// A tag that groups attributes of one tunnel, and a number of 24 bits.
    TaggedInteger(u8, u32),
    /// A tag, if there is one, and a text.
    TaggedText(Option<u8>, &'a str),
    /// A vendor's own.
    VendorSpecific(VendorSpecific<'a>),
}

impl<'a> Value<'a> {
    fn decode(data: DataType, value: &'a [u8]) -> Result<Self, MalformedKind> {
        Ok(match data {
            DataType::Integer => Self::Integer(u32::from_be_bytes(array(value, "expected 4")?)),
            DataType::Integer64 => Self::Integer64(u64::from_be_bytes(array(value, "expected 8")?)),
            DataType::Time => Self::Time(u32::from_be_bytes(array(value, "expected 4")?)),
            DataType::Text => Self::Text(text(value)?),
            DataType::Octets => Self::Octets(value),
            DataType::Digest => Self::Octets(array::<16>(value, "expected 16").map(|_| value)?),
            DataType::ChapPassword => Self::Octets(array::<17>(value, "expected 17").map(|_| value)?),
            DataType::Ipv4 => Self::Ipv4(array::<4>(value, "expected 4")?.into()),
            DataType::Ipv6 => Self::Ipv6(array::<16>(value, "expected 16")?.into()),
            DataType::InterfaceId => Self::InterfaceId(array(value, "expected 8")?),
            DataType::Ipv6Prefix => ipv6_prefix(value)?,
            DataType::Ipv4Prefix => ipv4_prefix(value)?,
            DataType::TaggedInteger => {
                let [tag, a, b, c] = array(value, "expected 4")?;
                Self::TaggedInteger(tag, u32::from_be_bytes([0, a, b, c]))
            }
            DataType::TaggedText => match value.split_first() {
                // A first octet above 0x1f belongs to the text (RFC 2868, section 3.3).
                Some((&tag, rest)) if tag <= 0x1f => Self::TaggedText(Some(tag), text(rest)?),
                _ => Self::TaggedText(None, text(value)?),
            },
            DataType::VendorSpecific => Self::VendorSpecific(vendor_specific(value)?),
        })
    }
}

/// An SMI network management private enterprise code (RFC 2865, section 5.26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vendor(pub u32);

impl Vendor {
    /// 3GPP (TS 29.561).
    pub const THREE_GPP: Self = Self(10_415);
}

/// The value of a Vendor-Specific attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorSpecific<'a> {
    /// Whose.
    pub vendor: Vendor,
    /// The vendor's octets.
    pub data: &'a [u8],
}

impl<'a> VendorSpecific<'a> {
    /// The vendor's attributes, if its octets have the form that RFC 2865 section 5.26 recommends from end to end.
    /// Vendors may use any other form, so none is not an error. Offsets are counted from the vendor's first octet.
    pub fn split(&self) -> Option<Vec<Attribute<'a>>> {
        Attributes::new(self.data, 0).collect::<Result<_, _>>().ok()
    }
}

fn array<const N: usize>(value: &[u8], expected: &'static str) -> Result<[u8; N], MalformedKind> {
    value.try_into().map_err(|_| MalformedKind::ValueLength { have: value.len(), expected })
}

fn text(value: &[u8]) -> Result<&str, MalformedKind> {
    std::str::from_utf8(value).map_err(|_| MalformedKind::NotUtf8)
}

fn vendor_specific(value: &[u8]) -> Result<VendorSpecific<'_>, MalformedKind> {
    match value.split_first_chunk::<4>() {
        Some((vendor, data)) if !data.is_empty() => {
            Ok(VendorSpecific { vendor: Vendor(u32::from_be_bytes(*vendor)), data })
        }
        _ => Err(MalformedKind::ValueLength { have: value.len(), expected: "expected at least 5" }),
    }
}

/// Reserved octet, length, then as many octets of the prefix as the sender likes (RFC 3162, section 2.3). Bits behind the
/// length must be zero.
fn ipv6_prefix(value: &[u8]) -> Result<Value<'_>, MalformedKind> {
    let length_error = MalformedKind::ValueLength { have: value.len(), expected: "expected 2 to 18" };
    let (&[_, length], prefix) = value.split_first_chunk::<2>().ok_or(length_error)?;
    let mut octets = [0; 16];
    octets.get_mut(..prefix.len()).ok_or(length_error)?.copy_from_slice(prefix);
    let bits = u128::from_be_bytes(octets);
    let behind = u128::MAX.checked_shr(length.into()).unwrap_or(0);
    if length > 128 || bits & behind != 0 {
        return Err(MalformedKind::NotAPrefix);
    }
    Ok(Value::Ipv6Prefix(bits.into(), length))
}

/// Reserved octet, two reserved bits and a length, then four octets (RFC 6572, section 4.11; RFC 8044, section 3.11).
fn ipv4_prefix(value: &[u8]) -> Result<Value<'_>, MalformedKind> {
    let [_, length, prefix @ ..]: [u8; 6] = array(value, "expected 6")?;
    let length = length & 0x3f;
    let bits = u32::from_be_bytes(prefix);
    let behind = u32::MAX.checked_shr(length.into()).unwrap_or(0);
    if length > 32 || bits & behind != 0 {
        return Err(MalformedKind::NotAPrefix);
    }
    Ok(Value::Ipv4Prefix(bits.into(), length))
}

#[cfg(test)]
mod tests;
