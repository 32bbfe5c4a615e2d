//! ICMP errors: what a router says when it could not forward a packet (RFC 792, RFC 1191; RFC 4443, section 3).
//!
//! ```text
//!  0               4               8
//!  +---------------+---------------+----------------------------------
//!  | ICMP header   | by its cause  | the packet that it is about, from its IP header on
//!  +---------------+---------------+----------------------------------
//!                    IPv4: 0 0 MTU 2 | pointer 1, 0 0 0 | 0
//!                    IPv6: MTU 4     | pointer 4        | 0
//! ```
//!
//! No more of the packet is quoted than the message may have. Whether to answer at all, [`may_answer_ipv4`] and
//! [`may_answer_ipv6`] say; how often, a router has to limit by itself (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4
//! f).

use std::net::Ipv6Addr;

use super::{CHECKSUM, HEADER_OCTETS, Message};
use crate::checksum::Sum;
use crate::octets::{be16, be32, put};
use crate::{Protocol, ipv4, ipv6, nd};

/// Why a packet was not forwarded. Codes that are not known survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nobody is there, or nobody may go there: the code says.
    Unreachable {
        /// One of the version's codes.
        code: u8,
    },
    /// It is longer than the next link carries.
    TooBig {
        /// How long a packet may be. ICMP for IPv4 has room for 65,535; routers from before RFC 1191 say 0.
        mtu: u32,
    },
    /// Its time to live or hop limit has run out (code 0), or its fragments did not all come in time (code 1).
    TimeExceeded {
        /// Which of both.
        code: u8,
    },
    /// A field has a value that the router can't work with.
    ParameterProblem {
        /// One of the version's codes.
        code: u8,
        /// Which octet of the packet. ICMP for IPv4 has room for 255.
        pointer: u32,
    },
}

/// An error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// What it says.
    pub cause: Cause,
    /// The packet that it is about, from its IP header on; of a message that was read, as much as it quotes.
    pub packet: &'a [u8],
}

impl<'a> IcmpError<'a> {
    /// Of a message of ICMP for IPv4; none if it is no such error, or too short for one.
    pub fn read_ipv4(message: &Message<'a>) -> Option<Self> {
        let (field, packet) = message.body().split_first_chunk::<4>()?;
        let cause = match (message.kind(), message.code()) {
            (UNREACHABLE_IPV4, TOO_BIG_CODE_IPV4) => Cause::TooBig { mtu: u32::from(be16(field, 2)) },
            (UNREACHABLE_IPV4, code) => Cause::Unreachable { code },
            (TIME_EXCEEDED_IPV4, code) => Cause::TimeExceeded { code },
            (PARAMETER_PROBLEM_IPV4, code) => Cause::ParameterProblem { code, pointer: u32::from(field[0]) },
            _ => return None,
        };
        Some(Self { cause, packet })
    }

    /// Of a message of ICMP for IPv6; none if it is no such error, or too short for one.
    pub fn read_ipv6(message: &Message<'a>) -> Option<Self> {
        let (field, packet) = message.body().split_first_chunk::<4>()?;
        let number = be32(field, 0);
        let cause = match (message.kind(), message.code()) {
            (UNREACHABLE_IPV6, code) => Cause::Unreachable { code },
            (TOO_BIG_IPV6, _) => Cause::TooBig { mtu: number },
            (TIME_EXCEEDED_IPV6, code) => Cause::TimeExceeded { code },
            (PARAMETER_PROBLEM_IPV6, code) => Cause::ParameterProblem { code, pointer: number },
            _ => return None,
        };
        Some(Self { cause, packet })
    }

    /// The message of ICMP for IPv4, with its checksum. With a header of 20 octets before it, it has at most 576 (RFC
    /// 1812, section 4.3.2.3).
    pub fn emit_ipv4<'o>(&self, out: &'o mut [u8; MESSAGE_OCTETS_MAX_IPV4]) -> &'o [u8] {
        let (kind, code, field) = match self.cause {
            Cause::Unreachable { code } => (UNREACHABLE_IPV4, code, [0; 4]),
            Cause::TooBig { mtu } => {
                let [high, low] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
                (UNREACHABLE_IPV4, TOO_BIG_CODE_IPV4, [0, 0, high, low])
            }
            Cause::TimeExceeded { code } => (TIME_EXCEEDED_IPV4, code, [0; 4]),
            Cause::ParameterProblem { code, pointer } => {
                (PARAMETER_PROBLEM_IPV4, code, [u8::try_from(pointer).unwrap_or(u8::MAX), 0, 0, 0])
            }
        };
        let message = self.lay_out(kind, code, field, out);
        let checksum = Sum::new().add(message).checksum();
        put(message, CHECKSUM, checksum.to_be_bytes());
        message
    }

    /// The message of ICMP for IPv6, with its checksum between these addresses. With a header of 40 octets before it,
    /// it has at most 1,280 (RFC 4443, section 2.4 c).
    pub fn emit_ipv6<'o>(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        out: &'o mut [u8; MESSAGE_OCTETS_MAX_IPV6],
    ) -> &'o [u8] {
        let (kind, code, number) = match self.cause {
            Cause::Unreachable { code } => (UNREACHABLE_IPV6, code, 0),
            Cause::TooBig { mtu } => (TOO_BIG_IPV6, 0, mtu),
            Cause::TimeExceeded { code } => (TIME_EXCEEDED_IPV6, code, 0),
            Cause::ParameterProblem { code, pointer } => (PARAMETER_PROBLEM_IPV6, code, pointer),
        };
        let message = self.lay_out(kind, code, number.to_be_bytes(), out);
        #[allow(clippy::cast_possible_truncation, reason = "at most 1,240")]
        let length = message.len() as u32;
        let checksum = Sum::new().pseudo_ipv6(source, destination, Protocol::ICMPV6.0, length).add(message).checksum();
        put(message, CHECKSUM, checksum.to_be_bytes());
        message
    }

    fn lay_out<'o>(&self, kind: u8, code: u8, field: [u8; 4], out: &'o mut [u8]) -> &'o mut [u8] {
        let quoted = self.packet.len().min(out.len() - QUOTE);
        let message = &mut out[..QUOTE + quoted];
        put(message, 0, [kind, code, 0, 0]);
        put(message, HEADER_OCTETS, field);
        message[QUOTE..].copy_from_slice(&self.packet[..quoted]);
        message
    }
}

/// May this packet be answered with an error (RFC 1122, section 3.2.2)? Not if it is an error itself or a fragment but
/// the first, nor if it was for many or is from nobody in particular. `is_group_frame`: it came in a frame for many.
pub fn may_answer_ipv4(packet: &ipv4::Packet<'_>, is_group_frame: bool) -> bool {
    let (source, destination) = (packet.source(), packet.destination());
    let is_from_one = !(source.octets()[0] == 0 || source.is_loopback() || source.octets()[0] >= FIRST_NOT_UNICAST);
    let is_for_many = is_group_frame || destination.is_multicast() || destination.is_broadcast();
    let is_error =
        packet.protocol() == Protocol::ICMP && packet.payload().first().is_none_or(|kind| ERRORS_IPV4.contains(kind));
    is_from_one && !is_for_many && !is_error && packet.fragment_offset() == 0
}

/// May this packet be answered with that error (RFC 4443, section 2.4 e)? As [`may_answer_ipv4`], and what was for many
/// may still be too big, or have an option that its sender wants to hear of. A fragment but the first is not
/// answered, because it can't be seen whether it belongs to an error; nor is one whose headers can't be read.
pub fn may_answer_ipv6(packet: &ipv6::Packet<'_>, is_group_frame: bool, cause: Cause) -> bool {
    let Ok(upper) = packet.upper_layer() else {
        return false;
    };
    let source = packet.source();
    let is_from_one = !(source.is_unspecified() || source.is_multicast() || source.is_loopback());
    let is_for_many = is_group_frame || packet.destination().is_multicast();
    let is_excepted = matches!(cause, Cause::TooBig { .. } | Cause::ParameterProblem { code: UNKNOWN_OPTION_IPV6, .. });
    let is_error = upper.protocol == Protocol::ICMPV6
        && upper.payload.first().is_none_or(|kind| *kind < FIRST_INFORMATION_IPV6 || *kind == nd::REDIRECT);
    is_from_one && (!is_for_many || is_excepted) && !is_error && upper.fragment_offset == 0
}

/// The longest message of ICMP for IPv4.
pub const MESSAGE_OCTETS_MAX_IPV4: usize = 576 - ipv4::HEADER_OCTETS;
/// The longest message of ICMP for IPv6.
pub const MESSAGE_OCTETS_MAX_IPV6: usize = 1280 - ipv6::HEADER_OCTETS;

/// Code of ICMP for IPv4: nobody answers for the address.
pub const HOST_UNREACHABLE_IPV4: u8 = 1;
/// Code of ICMP for IPv4: forbidden (RFC 1812, section 5.2.7.1).
pub const PROHIBITED_IPV4: u8 = 13;
/// Code of ICMP for IPv6: no route leads there.
pub const NO_ROUTE_IPV6: u8 = 0;
/// Code of ICMP for IPv6: forbidden.
pub const PROHIBITED_IPV6: u8 = 1;
/// Code of ICMP for IPv6: nobody answers for the address.
pub const ADDRESS_UNREACHABLE_IPV6: u8 = 3;

/// Where the quoted packet stands.
const QUOTE: usize = 8;

const UNREACHABLE_IPV4: u8 = 3;
const TOO_BIG_CODE_IPV4: u8 = 4;
const TIME_EXCEEDED_IPV4: u8 = 11;
const PARAMETER_PROBLEM_IPV4: u8 = 12;
/// Unreachable, source quench, redirect, time exceeded, parameter problem.
const ERRORS_IPV4: [u8; 5] = [UNREACHABLE_IPV4, 4, 5, TIME_EXCEEDED_IPV4, PARAMETER_PROBLEM_IPV4];
/// From here on addresses are for many or for nobody: classes D and E and the broadcast address.
const FIRST_NOT_UNICAST: u8 = 224;

const UNREACHABLE_IPV6: u8 = 1;
const TOO_BIG_IPV6: u8 = 2;
const TIME_EXCEEDED_IPV6: u8 = 3;
const PARAMETER_PROBLEM_IPV6: u8 = 4;
/// Errors have types below (RFC 4443, section 2.1).
const FIRST_INFORMATION_IPV6: u8 = 128;
const UNKNOWN_OPTION_IPV6: u8 = 2;

#[cfg(test)]
mod tests;
