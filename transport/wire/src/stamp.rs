//! STAMP, the test packets that measure a path (RFC 8762, unauthenticated), with the session identifier of RFC 8972.
//!
//! ```text
//!  0               4                               12      14      16
//!  +---------------+-------------------------------+-------+-------+-----------------------------------
//!  |   sequence    |           timestamp           | error | SSID  | 28 octets of 0              probe
//!  +---------------+-------------------------------+-------+-------+-----------------------------------
//!                                                                  16              24
//!  +---------------------------------------------------------------+---------------+-------------------
//!  |   sequence, timestamp, error, SSID of the reflector           | received at   |             reply
//!  +---------------+-------------------------------+-------+-------+---------------+-------------------
//!  24              28                              36      38      40
//!  +---------------+-------------------------------+-------+-------+---+-----------+
//!  | sequence of   | timestamp of the probe        | error |   0   |TTL|     0     |
//!  +---------------+-------------------------------+-------+-------+---+-----------+
//! ```
//!
//! A probe and its reply have the same length, so that neither direction is measured with larger packets. TLVs may
//! follow (RFC 8972, section 4); they are not read. Authenticated packets are neither read nor written.

use crate::octets::{at, be16, be32, put};
use crate::{Layer, WireError};

/// What a sender sends (RFC 8762, section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Counts the probes of a session.
    pub sequence: u32,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// How far off the sender's clock may be.
    pub error: ErrorEstimate,
    /// Which session, where a pair of addresses and ports has several (RFC 8972, section 3); 0 if it isn't said.
    pub session: u16,
}

impl Probe {
    /// From the payload of a datagram; what follows the packet is left alone.
    pub fn read(octets: &[u8]) -> Result<Self, WireError> {
        let packet = whole(octets)?;
        Ok(Self {
            sequence: be32(packet, SEQUENCE),
            timestamp: Timestamp::read(packet, TIMESTAMP),
            error: ErrorEstimate::read(packet, ERROR)?,
            session: be16(packet, SESSION),
        })
    }

    /// Its octets.
    pub fn emit(&self, out: &mut [u8; PACKET_OCTETS]) {
        out.fill(0);
        put(out, SEQUENCE, self.sequence.to_be_bytes());
        put(out, TIMESTAMP, self.timestamp.0.to_be_bytes());
        put(out, ERROR, self.error.0.to_be_bytes());
        put(out, SESSION, self.session.to_be_bytes());
    }
}

/// What a reflector answers (RFC 8762, section 4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The probe's number, or a count of its own if the reflector keeps one: the difference of both counts tells in
    /// which direction packets are lost.
    pub sequence: u32,
    /// When the reply was sent.
    pub timestamp: Timestamp,
    /// How far off the reflector's clock may be.
    pub error: ErrorEstimate,
    /// When the probe arrived.
    pub received: Timestamp,
    /// The probe, as it arrived.
    pub probe: Probe,
    /// The probe's time to live or hop limit when it arrived.
    pub ttl: u8,
}

impl Reply {
    /// From the payload of a datagram; what follows the packet is left alone.
    pub fn read(octets: &[u8]) -> Result<Self, WireError> {
        let packet = whole(octets)?;
        Ok(Self {
            sequence: be32(packet, SEQUENCE),
            timestamp: Timestamp::read(packet, TIMESTAMP),
            error: ErrorEstimate::read(packet, ERROR)?,
            received: Timestamp::read(packet, RECEIVED),
            probe: Probe {
                sequence: be32(packet, PROBE_SEQUENCE),
                timestamp: Timestamp::read(packet, PROBE_TIMESTAMP),
                error: ErrorEstimate::read(packet, PROBE_ERROR)?,
                session: be16(packet, SESSION),
            },
            ttl: packet[PROBE_TTL],
        })
    }

    /// Its octets.
    pub fn emit(&self, out: &mut [u8; PACKET_OCTETS]) {
        out.fill(0);
        put(out, SEQUENCE, self.sequence.to_be_bytes());
        put(out, TIMESTAMP, self.timestamp.0.to_be_bytes());
        put(out, ERROR, self.error.0.to_be_bytes());
        put(out, SESSION, self.probe.session.to_be_bytes());
        put(out, RECEIVED, self.received.0.to_be_bytes());
        put(out, PROBE_SEQUENCE, self.probe.sequence.to_be_bytes());
        put(out, PROBE_TIMESTAMP, self.probe.timestamp.0.to_be_bytes());
        put(out, PROBE_ERROR, self.probe.error.0.to_be_bytes());
        put(out, PROBE_TTL, [self.ttl]);
    }
}

fn whole(octets: &[u8]) -> Result<&[u8; PACKET_OCTETS], WireError> {
    octets.first_chunk().ok_or(Layer::Stamp.truncated(PACKET_OCTETS, octets.len()))
}

/// A time, as it stands: in the form of its packet's [`Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Of nanoseconds since 1970-01-01.
    pub const fn new(unix_nanoseconds: u64, clock: Clock) -> Self {
        let (seconds, nanoseconds) = (unix_nanoseconds / A_SECOND, unix_nanoseconds % A_SECOND);
        match clock {
            // The seconds' upper half is shifted out: that is which era it is (RFC 5905, section 6).
            Clock::Ntp => Self(((seconds + NTP_TO_UNIX_SECONDS) << 32) | ((nanoseconds << 32) / A_SECOND)),
            Clock::Ptp => Self(seconds << 32 | nanoseconds),
        }
    }

    /// In nanoseconds since 1970-01-01. An NTP timestamp is taken to lie between 1970 and 2104 (RFC 4330, section 3), one
    /// of PTP between 1970 and 2106.
    pub const fn unix_nanoseconds(self, clock: Clock) -> u64 {
        let (seconds, fraction) = (self.0 >> 32, self.0 & 0xffff_ffff);
        match clock {
            Clock::Ntp => {
                let era = if seconds & 0x8000_0000 == 0 { 1 << 32 } else { 0 };
                let seconds = (era + seconds).saturating_sub(NTP_TO_UNIX_SECONDS);
                // To the nearest: what was rounded down comes back as it was.
                seconds * A_SECOND + ((fraction * A_SECOND + (1 << 31)) >> 32)
            }
            Clock::Ptp => seconds * A_SECOND + fraction,
        }
    }

    const fn read(packet: &[u8; PACKET_OCTETS], place: usize) -> Self {
        Self(u64::from_be_bytes(at(packet, place)))
    }
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// Seconds since 1900 and a fraction of 2^-32 s (RFC 5905, section 6). What senders use unless told otherwise.
    Ntp,
    /// Seconds since 1970 and nanoseconds (IEEE 1588 cut to 64 bits, RFC 8186).
    Ptp,
}

/// How far off a clock may be, as it stands (RFC 4656, section 4.1.2).
///
/// ```text
/// +-+-+-----------+---------------+
/// |S|Z|   Scale   |  Multiplier   |   multiplier * 2^(scale - 32) s; Z: the clock is PTP's
/// +-+-+-----------+---------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorEstimate(u16);

impl ErrorEstimate {
    /// The least that can be written and is no less than so many nanoseconds.
    pub const fn new(is_synchronized: bool, clock: Clock, nanoseconds: u64) -> Self {
        let mut units = ((nanoseconds as u128) << 32).div_ceil(A_SECOND as u128);
        let mut scale = 0;
        while units > 255 {
            units = units.div_ceil(2);
            scale += 1;
        }
        let multiplier = if units == 0 { 1 } else { (units & 0xff) as u16 };
        let synchronized = if is_synchronized { SYNCHRONIZED } else { 0 };
        let form = if matches!(clock, Clock::Ptp) { PTP } else { 0 };
        Self(synchronized | form | scale << 8 | multiplier)
    }

    /// The clock follows an outer source of UTC.
    #[inline]
    pub const fn is_synchronized(self) -> bool {
        self.0 & SYNCHRONIZED != 0
    }

    /// How the timestamps beside it are written.
    #[inline]
    pub const fn clock(self) -> Clock {
        if self.0 & PTP == 0 { Clock::Ntp } else { Clock::Ptp }
    }

    /// In nanoseconds, rounded up.
    pub const fn nanoseconds(self) -> u64 {
        let (scale, multiplier) = (self.0 >> 8 & 0x3f, (self.0 & 0xff) as u128);
        let nanoseconds = ((multiplier * A_SECOND as u128) << scale).div_ceil(1 << 32);
        #[allow(clippy::cast_possible_truncation, reason = "the least of both")]
        let nanoseconds = if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 };
        nanoseconds
    }

    /// A multiplier of 0 makes the packet a corrupt one (RFC 4656, section 4.1.2).
    fn read(packet: &[u8; PACKET_OCTETS], place: usize) -> Result<Self, WireError> {
        match packet[place + 1] {
            0 => Err(Layer::Stamp.length(place + 1, 0, 1, 255)),
            _ => Ok(Self(be16(packet, place))),
        }
    }
}

/// The length of a probe and of a reply.
pub const PACKET_OCTETS: usize = 44;
/// The UDP port of a reflector (RFC 8762, section 4.1).
pub const PORT: u16 = 862;

const SEQUENCE: usize = 0;
const TIMESTAMP: usize = 4;
const ERROR: usize = 12;
const SESSION: usize = 14;
const RECEIVED: usize = 16;
const PROBE_SEQUENCE: usize = 24;
const PROBE_TIMESTAMP: usize = 28;
const PROBE_ERROR: usize = 36;
const PROBE_TTL: usize = 40;

const SYNCHRONIZED: u16 = 0x8000;
const PTP: u16 = 0x4000;
const A_SECOND: u64 = 1_000_000_000;
/// From 1900-01-01 to 1970-01-01 (RFC 5905, figure 4).
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

#[cfg(test)]
mod tests;
