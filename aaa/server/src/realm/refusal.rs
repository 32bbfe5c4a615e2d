//! What a realm leaves out, refused by name, and how a rejection is told.

use std::borrow::Cow;

use aaa_wire::{Answer, Packet, TooLong, Type};
use model::profile::{AaaFeature, AaaFeatures};

use crate::reason::RejectReason;

/// Why access is rejected, and what the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: RejectReason,
    message: Cow<'static, str>,
}

impl Rejection {
    /// With a Reply-Message (RFC 2865, section 5.18); an empty one is not sent.
    pub(super) fn new(reason: RejectReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Writes what is told into the answer.
    pub(super) fn write(&self, answer: &mut Answer) -> Result<(), TooLong> {
        if self.message.is_empty() {
            return Ok(());
        }
        answer.attribute(Type::REPLY_MESSAGE, self.message.as_bytes()).map(|_| ())
    }
}

/// Refuses what the profile leaves out, or what no profile has.
pub(super) fn check_features(features: &AaaFeatures, packet: &Packet<'_>) -> Result<(), Rejection> {
    let left_out = |reason, what: String| Err(Rejection::new(reason, format!("{what} is left out of this AAA")));
    if packet.has(Type::EAP_MESSAGE) {
        return left_out(RejectReason::EapLeftOut, "EAP".into());
    }
    if packet.has(Type::ARAP_PASSWORD) {
        return left_out(RejectReason::ArapLeftOut, "ARAP".into());
    }
    let service = packet.get(Type::SERVICE_TYPE).and_then(|attribute| attribute.integer().ok());
    if let Some(service) = service.filter(|service| *service != SERVICE_FRAMED) {
        return left_out(RejectReason::ServiceTypeLeftOut, format!("Service-Type {}", service_name(service)));
    }
    for attribute in packet.iter() {
        match attribute.kind {
            // RFC 5447 and RFC 6572.
            Type(124 | 125 | 145..=162) => {
                return left_out(RejectReason::MobilityLeftOut, format!("mobility ({})", attribute.kind));
            }
            // RFC 5580.
            Type(127..=132) => {
                return left_out(RejectReason::LocationLeftOut, format!("location ({})", attribute.kind));
            }
            _ => {}
        }
    }
    if packet.has(Type::STATE) {
        return Err(Rejection::new(RejectReason::UnexpectedState, "State without a challenge"));
    }
    match (packet.has(Type::USER_PASSWORD), packet.has(Type::CHAP_PASSWORD)) {
        (true, true) => {
            Err(Rejection::new(RejectReason::TwoCredentials, "User-Password and CHAP-Password in one request"))
        }
        (false, false) => Err(Rejection::new(RejectReason::NoCredentials, "no User-Password and no CHAP-Password")),
        (true, false) if !features.has(AaaFeature::Pap) => left_out(RejectReason::PapLeftOut, "PAP".into()),
        (false, true) if !features.has(AaaFeature::Chap) => left_out(RejectReason::ChapLeftOut, "CHAP".into()),
        _ => Ok(()),
    }
}

/// RFC 2865, section 5.6; 17 is RFC 5176, section 3.1.
fn service_name(number: u32) -> Cow<'static, str> {
    Cow::Borrowed(match number {
        1 => "Login",
        3 => "Callback-Login",
        4 => "Callback-Framed",
        5 => "Outbound",
        6 => "Administrative",
        7 => "NAS-Prompt",
        8 => "Authenticate-Only",
        9 => "Callback-NAS-Prompt",
        10 => "Call-Check",
        11 => "Callback-Administrative",
        17 => "Authorize-Only",
        _ => return Cow::Owned(number.to_string()),
    })
}

/// The only service that a segment gives: packets are forwarded.
const SERVICE_FRAMED: u32 = 2;
