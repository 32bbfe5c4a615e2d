//! Writes packets: answers of a server, requests of a client.
//!
//! Both put Message-Authenticator first where it belongs, and compute it and the authenticator last, over what was
//! written. The length can't pass 4096 octets.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::attribute::Type;
use crate::authenticator::{self, Verified};
use crate::error::TooLong;
use crate::packet::{ATTRIBUTE_VALUE_OCTETS_MAX, Authenticator, Code, HEADER_OCTETS, Identifier, PACKET_OCTETS_MAX};
use crate::secret::{Password, SharedSecret};

/// An answer in the making.
#[derive(Debug)]
pub struct Answer {
    draft: Draft,
    request: Authenticator,
}

impl Answer {
    /// An answer of a code to a request. It begins with room for Message-Authenticator, if the code is that of an answer
    /// to an Access-Request or the request is one of Status-Server (RFC 5997, section 3), and with every Proxy-State of
    /// the request, in order (RFC 2865, section 5.33).
    pub fn to(request: &Verified<'_>, code: Code) -> Self {
        let packet = request.packet();
        let signed = authenticator::is_access_answer(code) || packet.code() == Code::STATUS_SERVER;
        let mut draft = Draft::new(code, packet.identifier(), signed);
        for state in packet.iter().filter(|attribute| attribute.kind == Type::PROXY_STATE) {
            // They all fitted into the request, beside a Message-Authenticator where the answer has one.
            draft.append(state.kind, state.value);
        }
        Self { draft, request: packet.authenticator() }
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: Type, value: &[u8]) -> Result<&mut Self, TooLong> {
        self.draft.attribute(kind, value).map(|()| self)
    }

    /// Adds a number.
    pub fn integer(&mut self, kind: Type, value: u32) -> Result<&mut Self, TooLong> {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Adds an IPv4 address.
    pub fn ipv4(&mut self, kind: Type, value: Ipv4Addr) -> Result<&mut Self, TooLong> {
        self.attribute(kind, &value.octets())
    }

    /// Adds an IPv6 address.
    pub fn ipv6(&mut self, kind: Type, value: Ipv6Addr) -> Result<&mut Self, TooLong> {
        self.attribute(kind, &value.octets())
    }

    /// Signs it: first Message-Authenticator, with the request's authenticator in place; then the Response Authenticator.
    pub fn seal(self, secret: &SharedSecret) -> Vec<u8> {
        self.draft.seal(self.request, secret)
    }
}

/// A request in the making.
#[derive(Debug)]
pub struct Request {
    draft: Draft,
    /// None where the authenticator is computed from the packet.
    authenticator: Option<Authenticator>,
}

impl Request {
    /// An Access-Request. The authenticator must be fresh and unpredictable: it hides the password.
    pub fn access(identifier: Identifier, authenticator: Authenticator) -> Self {
        let draft = Draft::new(Code::ACCESS_REQUEST, identifier, true);
        Self { draft, authenticator: Some(authenticator) }
    }

    /// A Status-Server request (RFC 5997). The authenticator must be fresh.
    pub fn status(identifier: Identifier, authenticator: Authenticator) -> Self {
        let draft = Draft::new(Code::STATUS_SERVER, identifier, true);
        Self { draft, authenticator: Some(authenticator) }
    }

    /// An Accounting-Request (RFC 2866).
    pub fn accounting(identifier: Identifier) -> Self {
        Self { draft: Draft::new(Code::ACCOUNTING_REQUEST, identifier, false), authenticator: None }
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: Type, value: &[u8]) -> Result<&mut Self, TooLong> {
        self.draft.attribute(kind, value).map(|()| self)
    }

    /// Adds a User-Password, hidden. Only for an Access-Request: nothing else may carry one.
    pub fn user_password(&mut self, password: &Password, secret: &SharedSecret) -> Result<&mut Self, TooLong> {
        let authenticator = self.authenticator.unwrap_or(Authenticator::ZERO);
        self.attribute(Type::USER_PASSWORD, &authenticator::hide_password(password, authenticator, secret))
    }

    /// Signs it.
    pub fn seal(self, secret: &SharedSecret) -> Vec<u8> {
        match self.authenticator {
            Some(authenticator) => self.draft.sign(authenticator, secret),
            None => self.draft.seal(Authenticator::ZERO, secret),
        }
    }
}

/// The octets of a packet, the authenticator still open.
#[derive(Debug)]
struct Draft {
    octets: Vec<u8>,
    signed: bool,
}

impl Draft {
    fn new(code: Code, identifier: Identifier, signed: bool) -> Self {
        let mut octets = vec![0; HEADER_OCTETS];
        octets.splice(..2, [code.0, identifier.0]);
        let mut draft = Self { octets, signed };
        if signed {
            draft.append(Type::MESSAGE_AUTHENTICATOR, &[0; 16]);
        }
        draft
    }

    fn attribute(&mut self, kind: Type, value: &[u8]) -> Result<(), TooLong> {
        if value.len() > ATTRIBUTE_VALUE_OCTETS_MAX {
            return Err(TooLong::Value { attribute: kind, octets: value.len() });
        }
        if self.octets.len() + 2 + value.len() > PACKET_OCTETS_MAX {
            return Err(TooLong::Packet { attribute: kind });
        }
        self.append(kind, value);
        Ok(())
    }

    /// Of a value that is known to fit.
    fn append(&mut self, kind: Type, value: &[u8]) {
        let length = u8::try_from(value.len() + 2).unwrap_or(u8::MAX);
        self.octets.extend([kind.0, length]);
        self.octets.extend_from_slice(value);
    }

    /// Signs it and replaces the request's authenticator, which went into the signature, by the digest over all.
    fn seal(self, request: Authenticator, secret: &SharedSecret) -> Vec<u8> {
        let mut octets = self.sign(request, secret);
        let digest = authenticator::digest(&octets, request, secret);
        octets.splice(4..HEADER_OCTETS, digest);
        octets
    }

    /// Fills in the length, the request's authenticator and Message-Authenticator.
    fn sign(mut self, request: Authenticator, secret: &SharedSecret) -> Vec<u8> {
        let length = u16::try_from(self.octets.len()).unwrap_or(u16::MAX);
        self.octets.splice(2..4, length.to_be_bytes());
        self.octets.splice(4..HEADER_OCTETS, request.0);
        if self.signed {
            let value = authenticator::message_authenticator(&self.octets, request, HEADER_OCTETS, secret);
            self.octets.splice(HEADER_OCTETS + 2..HEADER_OCTETS + 18, value);
        }
        self.octets
    }
}

#[cfg(test)]
mod tests;
