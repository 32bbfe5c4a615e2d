//! Addresses: MAC, IP prefixes, interface addresses, SRv6 SIDs and locators.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use crate::rate::{clip, text_type};

/// A text that is no address of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {what}")]
pub struct InvalidAddress {
    /// What was wanted, with an example.
    pub what: &'static str,
    /// The text.
    pub found: String,
}

/// A 48-bit IEEE 802 MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Sent to one station (the group bit is clear) and not all zeros: fit to be the address of an endpoint.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

impl std::str::FromStr for Mac {
    type Err = InvalidAddress;

    /// `02:00:00:00:00:01`, `02-00-00-00-00-01` (IEEE 802, RFC 3580 section 3.21), `0200.0000.0001` or `020000000001`.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { what: "a MAC address such as `02:00:00:00:00:01`", found: clip(text) };
        let separator = text.bytes().find(|b| !b.is_ascii_hexdigit());
        let (every, count) = match separator {
            None => (12, 1),
            Some(b':' | b'-') => (2, 6),
            Some(b'.') => (4, 3),
            Some(_) => return Err(invalid()),
        };
        let separator = separator.map_or('\0', char::from);
        let groups = || text.split(separator);
        let shaped =
            groups().count() == count && groups().all(|g| g.len() == every && g.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits: String = groups().collect();
        let bits = u64::from_str_radix(&digits, 16).ok().filter(|_| shaped).ok_or_else(invalid)?;
        let [_, _, mac @ ..] = bits.to_be_bytes();
        Ok(Self(mac))
    }
}

text_type!(Mac, "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$", "02:00:00:00:00:01");

/// An IP prefix, host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNet);

impl Prefix {
    /// From an address and a length; host bits are cleared.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(address, length).ok().map(|net| Self(net.trunc()))
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// How many bits are fixed.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Does it hold the address?
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Have they an address in common?
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Prefix {
    type Err = InvalidAddress;

    /// With a length, or a bare address for that address alone. Host bits must be zero.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        net.filter(|net| net.trunc() == *net).map(Self).ok_or_else(|| InvalidAddress {
            what: "an IP prefix such as `2001:db8::/48` (host bits zero)",
            found: clip(text),
        })
    }
}

text_type!(Prefix, "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$", "192.0.2.0/24");

/// An address on an interface with the length of its prefix, such as `192.0.2.1/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress(IpNet);

impl InterfaceAddress {
    /// From an address and a length.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(address, length).ok().map(Self)
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// How many bits name the subnet.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// The subnet.
    pub fn subnet(&self) -> Prefix {
        Prefix(self.0.trunc())
    }

    /// Is the other address on the same subnet?
    pub fn is_on_link(&self, other: IpAddr) -> bool {
        self.0.contains(&other)
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for InterfaceAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        text.parse().map(Self).map_err(|_| InvalidAddress {
            what: "an interface address with its prefix length such as `192.0.2.1/24`",
            found: clip(text),
        })
    }
}

text_type!(InterfaceAddress, "^[0-9A-Fa-f:.]+/[0-9]{1,3}$", "192.0.2.1/24");

/// An SRv6 segment identifier (RFC 8986, section 3.1): locator, function and argument in one IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Ipv6Addr);

impl Sid {
    /// Any unicast address but the unspecified and the loopback address can be one.
    pub fn new(address: Ipv6Addr) -> Result<Self, InvalidAddress> {
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            Err(InvalidAddress { what: SID_WHAT, found: address.to_string() })
        } else {
            Ok(Self(address))
        }
    }

    /// The address.
    pub const fn get(self) -> Ipv6Addr {
        self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Sid {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { what: SID_WHAT, found: clip(text) };
        text.parse().map_err(|_| invalid()).and_then(Self::new)
    }
}

text_type!(Sid, "^[0-9A-Fa-f:.]+$", "fd00:a:1::");

/// An SRv6 locator (RFC 8986, section 3.1): the prefix from which a node's SIDs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator(Ipv6Net);

impl Locator {
    /// The prefix.
    pub fn prefix(&self) -> Prefix {
        Prefix(IpNet::V6(self.0))
    }

    /// Is the SID made from this locator?
    pub fn holds(&self, sid: Sid) -> bool {
        self.0.contains(&sid.get())
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Locator {
    type Err = InvalidAddress;

    /// 16 to 112 bits long, so that a function of at least 16 bits fits behind it.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let net = text.parse::<Ipv6Net>().ok();
        net.filter(|n| n.trunc() == *n && (16..=112).contains(&n.prefix_len())).map(Self).ok_or_else(|| {
            InvalidAddress {
                what: "an SRv6 locator such as `fd00:a::/48` (16 to 112 bits, host bits zero)",
                found: clip(text),
            }
        })
    }
}

text_type!(Locator, "^[0-9A-Fa-f:.]+/[0-9]{1,3}$", "fd00:a::/48");

const SID_WHAT: &str = "an SRv6 SID: a unicast IPv6 address such as `fd00:a:1::`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_read_in_its_four_usual_forms_and_no_other() {
        let mac = Mac([0x02, 0, 0, 0xab, 0xcd, 0xef]);
        for text in ["02:00:00:ab:cd:ef", "02-00-00-AB-CD-EF", "0200.00ab.cdef", "020000abcdef"] {
            assert_eq!(text.parse::<Mac>().unwrap(), mac, "{text}");
        }
        for bad in [
            "",
            "02:00:00:ab:cd",
            "02:00-00:ab:cd:ef",
            "2:0:0:ab:cd:ef",
            "02:00:00:ab:cd:ef:01",
            "0200:00ab:cdef",
            "02 00 00 ab cd ef",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_has_no_host_bits() {
        assert!("192.0.2.0/24".parse::<Prefix>().is_ok());
        assert!("192.0.2.1/24".parse::<Prefix>().is_err());
        assert_eq!("192.0.2.1".parse::<Prefix>().unwrap().length(), 32);
        assert!("fd00:a::/48".parse::<Locator>().unwrap().holds("fd00:a:0:1::".parse().unwrap()));
        assert!("fd00::/8".parse::<Locator>().is_err());
        assert!("ff02::1".parse::<Sid>().is_err());
    }
}
