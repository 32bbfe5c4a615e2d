//! What an endpoint is granted, and how a session is named.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use model::resource::SegmentId;
use model::{ClientName, Mac};

/// Names a session: the start of the realm (a random number) and a counter. Unique on its edge. It travels to the client in
/// Class (RFC 2865, section 5.25), and back in accounting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Drawn when the realm started.
    pub start: u64,
    /// Counted from 1.
    pub number: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.start, self.number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl std::str::FromStr for SessionId {
    type Err = NoSessionId;

    /// Only the form in which it is printed: another form of the same numbers is somebody else's.
    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let (start, number) = text.split_once('-').ok_or(NoSessionId)?;
        let part = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| NoSessionId);
        let id = Self { start: part(start)?, number: part(number)? };
        if id.to_string() == text { Ok(id) } else { Err(NoSessionId) }
    }
}

/// A text that names no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a session")]
pub struct NoSessionId;

/// Which NAS asked, by what the request says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NasId {
    /// NAS-Identifier (RFC 2865, section 5.32).
    pub identifier: Option<String>,
    /// NAS-IP-Address or NAS-IPv6-Address (RFC 2865, section 5.4; RFC 3162, section 2.1).
    pub address: Option<IpAddr>,
    /// NAS-Port-Id (RFC 2869, section 5.17).
    pub port: Option<String>,
}

impl NasId {
    /// Can the two be the same NAS? Where they have no name and no address in common, it can't be told, and they can.
    pub fn may_be(&self, other: &Self) -> bool {
        match (&self.identifier, &other.identifier, self.address, other.address) {
            (Some(ours), Some(theirs), _, _) => ours == theirs,
            (_, _, Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }
}

/// What an authenticated endpoint may do: send as this MAC address, from these addresses, in this segment, for so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The segment that it is in.
    pub segment: SegmentId,
    /// Its session.
    pub session: SessionId,
    /// Who it is: the User-Name that was proved.
    pub identity: String,
    /// The endpoint.
    pub mac: Mac,
    /// The IPv4 address that is bound to it.
    pub address: Option<Ipv4Addr>,
    /// The IPv6 address that is bound to it.
    pub address6: Option<Ipv6Addr>,
    /// The client that asked.
    pub client: ClientName,
    /// The NAS that asked.
    pub nas: NasId,
    /// When.
    pub since: SystemTime,
    /// How long it lasts without a new authentication.
    pub lifetime: Duration,
}

impl Grant {
    /// The addresses that are bound to it.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.address.map(IpAddr::V4).into_iter().chain(self.address6.map(IpAddr::V6))
    }

    /// The order to take its binding away.
    pub(crate) fn unbind(&self, cause: EndCause) -> Unbind {
        Unbind { segment: self.segment.clone(), session: self.session, mac: self.mac, cause }
    }
}

/// An endpoint that is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What it was granted.
    pub grant: Grant,
    /// When it ends by itself.
    pub expires: SystemTime,
}

/// Take the binding of a session away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbind {
    /// The segment.
    pub segment: SegmentId,
    /// The session.
    pub session: SessionId,
    /// The endpoint.
    pub mac: Mac,
    /// Why.
    pub cause: EndCause,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// Its Session-Timeout has passed.
    Timeout,
    /// Its client said so (Acct-Status-Type Stop).
    ClientStop,
    /// Its NAS has started or is about to stop (Accounting-On, Accounting-Off).
    NasRestart,
    /// Its credential or its client is no longer known.
    Revoked,
    /// The dataplane did not say whether it bound it.
    BindUnknown,
    /// The realm ends.
    RealmStop,
}

impl EndCause {
    /// As it is written in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ClientStop => "client-stop",
            Self::NasRestart => "nas-restart",
            Self::Revoked => "revoked",
            Self::BindUnknown => "bind-unknown",
            Self::RealmStop => "realm-stop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_in_one_form_only() {
        let id = SessionId { start: 0xab, number: 17 };
        assert_eq!(id.to_string(), "00000000000000ab-11");
        assert_eq!("00000000000000ab-11".parse(), Ok(id));
        for other in
            ["", "ab-11", "00000000000000AB-11", "00000000000000ab-011", "00000000000000ab", "00000000000000ab-"]
        {
            assert_eq!(other.parse::<SessionId>(), Err(NoSessionId), "{other}");
        }
    }

    #[test]
    fn a_nas_is_another_one_only_where_that_is_known() {
        let nas = |identifier: Option<&str>, address: Option<[u8; 4]>| NasId {
            identifier: identifier.map(str::to_owned),
            address: address.map(IpAddr::from),
            port: None,
        };
        let one = nas(Some("one"), Some([192, 0, 2, 1]));
        assert!(one.may_be(&nas(Some("one"), Some([192, 0, 2, 2]))));
        assert!(!one.may_be(&nas(Some("two"), Some([192, 0, 2, 1]))));
        assert!(one.may_be(&nas(None, Some([192, 0, 2, 1]))));
        assert!(!one.may_be(&nas(None, Some([192, 0, 2, 2]))));
        assert!(one.may_be(&nas(None, None)));
        assert!(nas(Some("one"), None).may_be(&nas(None, Some([192, 0, 2, 9]))));
    }
}
