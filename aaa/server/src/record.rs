//! Accounting records: what a request says, and what the realm knows of it (RFC 2866).

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aaa_wire::{Attribute, Malformed, Packet, Type};
use model::{ClientName, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::grant::NasId;

/// What happened (Acct-Status-Type, RFC 2866 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountingEvent {
    /// A session began.
    Start,
    /// A session ended.
    Stop,
    /// A session goes on.
    Interim,
    /// The NAS has started: it knows no session.
    On,
    /// The NAS is about to stop.
    Off,
}

impl AccountingEvent {
    /// The one of that number, if it is served.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Start,
            2 => Self::Stop,
            3 => Self::Interim,
            7 => Self::On,
            8 => Self::Off,
            _ => return None,
        })
    }

    /// Does it speak of the NAS rather than of one session?
    pub const fn is_of_nas(self) -> bool {
        matches!(self, Self::On | Self::Off)
    }
}

/// An accounting record, as the journal keeps it. Octets and packets are those that the client has counted, from the
/// endpoint (`input`) and to it (`output`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// When it came, in milliseconds since 1970-01-01 00:00:00 UTC.
    pub received_millis: u64,
    /// When it happened: Event-Timestamp, or else when it came less Acct-Delay-Time; in seconds since 1970.
    pub event_seconds: u64,
    /// What happened.
    pub event: AccountingEvent,
    /// The client that reported it.
    pub client: ClientName,
    /// NAS-Identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nas_identifier: Option<String>,
    /// NAS-IP-Address or NAS-IPv6-Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nas_address: Option<IpAddr>,
    /// Acct-Session-Id: the client's name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting_session: Option<String>,
    /// Our name of the session, if it is one that was authenticated here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Was the session authenticated here? Of a record of a NAS: true.
    pub authenticated: bool,
    /// User-Name, as the client reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Calling-Station-Id, if it is a MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Framed-IP-Address and Framed-IPv6-Address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Acct-Session-Time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
    /// Acct-Input-Octets and -Gigawords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_octets: Option<u64>,
    /// Acct-Output-Octets and -Gigawords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_octets: Option<u64>,
    /// Acct-Input-Packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_packets: Option<u32>,
    /// Acct-Output-Packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_packets: Option<u32>,
    /// Acct-Terminate-Cause (RFC 2866, section 5.10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate_cause: Option<u32>,
    /// By what the same event is known when it comes again.
    pub fingerprint: Fingerprint,
}

/// Why a request can't be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unrecordable {
    /// A value has the wrong form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An attribute that every such request must have is missing (RFC 2866, section 5.13).
    #[error("no {0}")]
    Missing(Type),
    /// A kind of event that is not served.
    #[error("Acct-Status-Type {0}")]
    Status(u32),
}

impl Record {
    /// Reads a request. What the realm knows of the session is filled in by the realm.
    pub(crate) fn read(packet: &Packet<'_>, client: &ClientName, now: SystemTime) -> Result<Self, Unrecordable> {
        packet.iter().try_for_each(|attribute| attribute.decode().map(|_| ()))?;
        let status = integer(packet, Type::ACCT_STATUS_TYPE)?.ok_or(Unrecordable::Missing(Type::ACCT_STATUS_TYPE))?;
        let event = AccountingEvent::from_number(status).ok_or(Unrecordable::Status(status))?;
        let accounting_session = text(packet, Type::ACCT_SESSION_ID)?;
        if accounting_session.is_none() && !event.is_of_nas() {
            return Err(Unrecordable::Missing(Type::ACCT_SESSION_ID));
        }
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let delay = integer(packet, Type::ACCT_DELAY_TIME)?.unwrap_or(0);
        let event_seconds = integer(packet, Type::EVENT_TIMESTAMP)?
            .map_or_else(|| since_epoch.as_secs().saturating_sub(delay.into()), u64::from);
        let nas = nas_id(packet)?;
        let addresses = [ipv4(packet, Type::FRAMED_IP_ADDRESS)?, ipv6(packet, Type::FRAMED_IPV6_ADDRESS)?];
        Ok(Self {
            received_millis: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            event_seconds,
            event,
            client: client.clone(),
            nas_identifier: nas.identifier,
            nas_address: nas.address,
            accounting_session,
            session: None,
            authenticated: event.is_of_nas(),
            identity: text(packet, Type::USER_NAME)?,
            mac: text(packet, Type::CALLING_STATION_ID)?.and_then(|text| text.parse().ok()),
            addresses: addresses.into_iter().flatten().collect(),
            session_seconds: integer(packet, Type::ACCT_SESSION_TIME)?,
            input_octets: octets(packet, Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS)?,
            output_octets: octets(packet, Type::ACCT_OUTPUT_OCTETS, Type::ACCT_OUTPUT_GIGAWORDS)?,
            input_packets: integer(packet, Type::ACCT_INPUT_PACKETS)?,
            output_packets: integer(packet, Type::ACCT_OUTPUT_PACKETS)?,
            terminate_cause: integer(packet, Type::ACCT_TERMINATE_CAUSE)?,
            fingerprint: Fingerprint::of(client, packet),
        })
    }

    /// How long ago it happened.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        let happened = UNIX_EPOCH + Duration::from_secs(self.event_seconds);
        now.duration_since(happened).unwrap_or_default()
    }

    /// The NAS that reported it.
    pub(crate) fn nas(&self) -> NasId {
        NasId { identifier: self.nas_identifier.clone(), address: self.nas_address, port: None }
    }
}

/// The first sixteen octets of a SHA-256 over the client and every attribute that stays the same when an event is reported
/// again: all but Acct-Delay-Time, Proxy-State and Message-Authenticator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    fn of(client: &ClientName, packet: &Packet<'_>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(client.as_str());
        hasher.update([0]);
        for attribute in packet.iter().filter(|a| !CHANGING.contains(&a.kind)) {
            // A value is at most 253 octets long.
            hasher.update([attribute.kind.0, u8::try_from(attribute.value.len()).unwrap_or(u8::MAX)]);
            hasher.update(attribute.value);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// What the request says of the NAS.
pub(crate) fn nas_id(packet: &Packet<'_>) -> Result<NasId, Malformed> {
    let address = match ipv4(packet, Type::NAS_IP_ADDRESS)? {
        Some(address) => Some(address),
        None => ipv6(packet, Type::NAS_IPV6_ADDRESS)?,
    };
    Ok(NasId { identifier: text(packet, Type::NAS_IDENTIFIER)?, address, port: text(packet, Type::NAS_PORT_ID)? })
}

fn text(packet: &Packet<'_>, kind: Type) -> Result<Option<String>, Malformed> {
    packet.get(kind).map(|attribute| attribute.text().map(str::to_owned)).transpose()
}

fn integer(packet: &Packet<'_>, kind: Type) -> Result<Option<u32>, Malformed> {
    packet.get(kind).as_ref().map(Attribute::integer).transpose()
}

fn ipv4(packet: &Packet<'_>, kind: Type) -> Result<Option<IpAddr>, Malformed> {
    packet.get(kind).map(|attribute| attribute.ipv4().map(IpAddr::V4)).transpose()
}

fn ipv6(packet: &Packet<'_>, kind: Type) -> Result<Option<IpAddr>, Malformed> {
    packet.get(kind).map(|attribute| attribute.ipv6().map(IpAddr::V6)).transpose()
}

/// A count of octets: how often 2^32 went by (RFC 2869, section 5.1), and the rest.
fn octets(packet: &Packet<'_>, low: Type, gigawords: Type) -> Result<Option<u64>, Malformed> {
    let low = integer(packet, low)?;
    let gigawords = integer(packet, gigawords)?;
    Ok(low.map(|low| u64::from(gigawords.unwrap_or(0)) << 32 | u64::from(low)))
}

const CHANGING: [Type; 3] = [Type::ACCT_DELAY_TIME, Type::PROXY_STATE, Type::MESSAGE_AUTHENTICATOR];
