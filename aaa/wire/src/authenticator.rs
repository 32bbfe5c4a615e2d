//! Seals: Request, Response and Message-Authenticator, hidden passwords, CHAP.
//!
//! Which seal a request must carry depends on its code:
//!
//! | request | must hold | document |
//! |---|---|---|
//! | Access-Request, Status-Server | Message-Authenticator | RFC 3579 section 3.2, RFC 5997 section 3, CVE-2024-3596 |
//! | Accounting-, Disconnect-, CoA-Request | Request Authenticator; Message-Authenticator if there | RFC 2866 section 3, RFC 5176 section 2.3 |
//!
//! RFC 2865 leaves Message-Authenticator out of Access-Requests with a password; here it is always required, because
//! without it nothing tells who asked.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::attribute::{Attribute, Type};
use crate::error::{IntegrityError, Malformed, MalformedKind};
use crate::packet::{Authenticator, Code, HEADER_OCTETS, Identifier, Packet};
use crate::secret::{PASSWORD_OCTETS_MAX, Password, SharedSecret};

/// A request whose seal holds: it comes from somebody who knows the secret, and nobody changed it on the way. Only
/// [`verify_request`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a>(Packet<'a>);

impl<'a> Verified<'a> {
    /// The packet.
    pub const fn packet(&self) -> &Packet<'a> {
        &self.0
    }
}

/// Checks the seal of a request.
pub fn verify_request<'a>(packet: Packet<'a>, secret: &SharedSecret) -> Result<Verified<'a>, IntegrityError> {
    match packet.code() {
        Code::ACCESS_REQUEST | Code::STATUS_SERVER => {
            if !check_message_authenticator(&packet, packet.authenticator(), secret)? {
                return Err(IntegrityError::MissingMessageAuthenticator);
            }
        }
        Code::ACCOUNTING_REQUEST | Code::DISCONNECT_REQUEST | Code::COA_REQUEST => {
            let expected = digest(packet.octets(), Authenticator::ZERO, secret);
            if !same(&expected, &packet.authenticator().0) {
                return Err(IntegrityError::BadRequestAuthenticator);
            }
            check_message_authenticator(&packet, Authenticator::ZERO, secret)?;
        }
        code => return Err(IntegrityError::NotARequest(code)),
    }
    Ok(Verified(packet))
}

/// Checks the seal of an answer against the identifier and the authenticator of its request. An answer to an
/// Access-Request must carry a Message-Authenticator; another one may.
pub fn verify_response(
    packet: &Packet<'_>,
    request: (Identifier, Authenticator),
    secret: &SharedSecret,
) -> Result<(), IntegrityError> {
    if packet.identifier() != request.0 {
        return Err(IntegrityError::ForeignIdentifier);
    }
    let expected = digest(packet.octets(), request.1, secret);
    if !same(&expected, &packet.authenticator().0) {
        return Err(IntegrityError::BadResponseAuthenticator);
    }
    let signed = check_message_authenticator(packet, request.1, secret)?;
    if signed || !is_access_answer(packet.code()) { Ok(()) } else { Err(IntegrityError::MissingMessageAuthenticator) }
}

/// Is there a Message-Authenticator, and does it hold? It is the HMAC-MD5 of the packet with the request's authenticator
/// in its place and sixteen zero octets as the attribute's value (RFC 3579, section 3.2).
pub fn check_message_authenticator(
    packet: &Packet<'_>,
    request: Authenticator,
    secret: &SharedSecret,
) -> Result<bool, IntegrityError> {
    let mut found = packet.iter().filter(|attribute| attribute.kind == Type::MESSAGE_AUTHENTICATOR);
    let Some(attribute) = found.next() else { return Ok(false) };
    if found.next().is_some() {
        return Err(IntegrityError::RepeatedMessageAuthenticator);
    }
    let expected = message_authenticator(packet.octets(), request, attribute.offset, secret);
    if same(&expected, attribute.value) { Ok(true) } else { Err(IntegrityError::BadMessageAuthenticator) }
}

/// The HMAC-MD5 over a packet whose Message-Authenticator attribute stands at an offset.
pub(crate) fn message_authenticator(
    octets: &[u8],
    request: Authenticator,
    offset: usize,
    secret: &SharedSecret,
) -> [u8; 16] {
    let value = offset + 2;
    let part = |range: std::ops::Range<usize>| octets.get(range).unwrap_or_default();
    // HMAC takes a key of any length (RFC 2104, section 2), so that this can't fail; if it did, nothing would match.
    Hmac::<Md5>::new_from_slice(secret.expose()).map_or([0; 16], |mac| {
        mac.chain_update(part(0..4))
            .chain_update(request.0)
            .chain_update(part(HEADER_OCTETS..value))
            .chain_update([0; 16])
            .chain_update(part(value + 16..octets.len()))
            .finalize()
            .into_bytes()
            .into()
    })
}

/// MD5 over code, identifier, length, an authenticator, the attributes and the secret: the Response Authenticator (RFC
/// 2865, section 3) and, with zeros, the Request Authenticator of an accounting request (RFC 2866, section 3).
pub(crate) fn digest(octets: &[u8], authenticator: Authenticator, secret: &SharedSecret) -> [u8; 16] {
    Md5::new()
        .chain_update(octets.get(..4).unwrap_or_default())
        .chain_update(authenticator.0)
        .chain_update(octets.get(HEADER_OCTETS..).unwrap_or_default())
        .chain_update(secret.expose())
        .finalize()
        .into()
}

/// Must an answer of this code be signed by a Message-Authenticator?
pub(crate) const fn is_access_answer(code: Code) -> bool {
    matches!(code, Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE)
}

/// Hides a password as the value of User-Password (RFC 2865, section 5.2): padded with zeros to whole blocks of sixteen
/// octets, each XORed with the MD5 of the secret and the block before it, hidden; the first with the authenticator.
pub fn hide_password(password: &Password, request: Authenticator, secret: &SharedSecret) -> Vec<u8> {
    let mut octets = password.expose().to_vec();
    octets.resize(octets.len().next_multiple_of(BLOCK_OCTETS), 0);
    let mut previous = request.0;
    for block in octets.as_chunks_mut::<BLOCK_OCTETS>().0 {
        *block = mask(*block, previous, secret);
        previous = *block;
    }
    octets
}

/// Is the password hidden in a User-Password this one? The comparison takes as long for any password as for any other.
pub fn pap_matches(
    user_password: &Attribute<'_>,
    request: Authenticator,
    secret: &SharedSecret,
    password: &Password,
) -> Result<bool, Malformed> {
    let (blocks, rest) = user_password.value.as_chunks::<BLOCK_OCTETS>();
    if blocks.is_empty() || !rest.is_empty() || user_password.value.len() > PASSWORD_OCTETS_MAX {
        return Err(value_length(user_password, "expected 16 to 128 in steps of 16"));
    }
    let mut shown = [[0; BLOCK_OCTETS]; PASSWORD_OCTETS_MAX / BLOCK_OCTETS];
    let mut previous = request.0;
    for (block, shown) in blocks.iter().zip(&mut shown) {
        *shown = mask(*block, previous, secret);
        previous = *block;
    }
    let mut wanted = [0; PASSWORD_OCTETS_MAX];
    wanted.iter_mut().zip(password.expose()).for_each(|(octet, source)| *octet = *source);
    let matches = same(shown.as_flattened(), &wanted);
    shown.zeroize();
    wanted.zeroize();
    Ok(matches)
}

/// Was the response in a CHAP-Password made with this password? The challenge is CHAP-Challenge, or the Request
/// Authenticator if there is none (RFC 2865, sections 5.3 and 5.40; RFC 1994, section 4.1).
pub fn chap_matches(
    chap_password: &Attribute<'_>,
    challenge: Option<&Attribute<'_>>,
    request: Authenticator,
    password: &Password,
) -> Result<bool, Malformed> {
    let value: &[u8; 17] = chap_password.value.try_into().map_err(|_| value_length(chap_password, "expected 17"))?;
    let [identifier, response @ ..] = value;
    let challenge = challenge.map_or(&request.0[..], |attribute| attribute.value);
    let expected: [u8; 16] = Md5::new()
        .chain_update([*identifier])
        .chain_update(password.expose())
        .chain_update(challenge)
        .finalize()
        .into();
    Ok(same(&expected, response))
}

fn mask(block: [u8; BLOCK_OCTETS], previous: [u8; BLOCK_OCTETS], secret: &SharedSecret) -> [u8; BLOCK_OCTETS] {
    let mut pad: [u8; BLOCK_OCTETS] = Md5::new().chain_update(secret.expose()).chain_update(previous).finalize().into();
    pad.iter_mut().zip(block).for_each(|(pad, octet)| *pad ^= octet);
    pad
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn value_length(attribute: &Attribute<'_>, expected: &'static str) -> Malformed {
    let kind = MalformedKind::ValueLength { have: attribute.value.len(), expected };
    Malformed { offset: attribute.offset, attribute: Some(attribute.kind), kind }
}

/// Octets of an MD5 digest, and so of a block of a hidden password.
const BLOCK_OCTETS: usize = 16;
const _: () = assert!(PASSWORD_OCTETS_MAX.is_multiple_of(BLOCK_OCTETS));

#[cfg(test)]
mod tests;
