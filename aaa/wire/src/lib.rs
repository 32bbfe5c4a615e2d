//! RADIUS messages: decode, check, encode.
//!
//! A datagram becomes a [`Packet`] when its lengths hold, and a [`Verified`] request when its authenticators hold under
//! the shared secret of the client that sent it. Only a [`Verified`] request is worth reading: a server that takes one
//! can't forget the check. Answers are written by an [`Answer`], which puts Message-Authenticator first
//! (CVE-2024-3596), carries every Proxy-State back, and signs last.
//!
//! ```text
//!  datagram --Packet::parse--> Packet --authenticator::verify_request--> Verified --Answer::to--> octets
//! ```
//!
//! Standards: RFC 2865 (access), RFC 2866 (accounting), RFC 2869 and RFC 3579 (extensions, Message-Authenticator),
//! RFC 3162 and RFC 6911 (IPv6), RFC 5997 (Status-Server). Attributes of other documents are known by name and data
//! type ([`dictionary`]); unknown codes and types round-trip.
//!
//! What it does not do: EAP, dynamic authorisation (RFC 5176) beyond its codes, attributes longer than 253 octets
//! (RFC 6929), RADIUS over TLS. It is pure: no socket, no clock, no randomness.
#![forbid(unsafe_code)]

pub mod attribute;
pub mod authenticator;
mod builder;
pub mod dictionary;
mod error;
mod packet;
mod secret;
#[cfg(test)]
mod vectors;

pub use attribute::{Attribute, Attributes, Type, Value, Vendor, VendorSpecific};
pub use authenticator::Verified;
pub use builder::{Answer, Request};
pub use error::{IntegrityError, Malformed, MalformedKind, TooLong};
pub use packet::{
    ATTRIBUTE_VALUE_OCTETS_MAX, Authenticator, Code, HEADER_OCTETS, Header, Identifier, PACKET_OCTETS_MAX, Packet,
};
pub use secret::{InvalidSecret, Password, SharedSecret};
