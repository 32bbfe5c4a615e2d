//! RADIUS. Of what is secret, or sealed with the shared secret, only the length is shown.

use aaa_wire::{Attribute, Attributes, HEADER_OCTETS, Header, Malformed, Type, Value, dictionary};
use serde_json::Value as Json;

use super::dissect::{Dissection, Fault, Next, Span, Step};
use super::fields::Fields;

impl Dissection<'_> {
    pub(super) fn radius<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let header = Header::parse(span.octets).map_err(|error| fault(error, span.octets.len()))?;
        let octets = span.octets.get(HEADER_OCTETS..usize::from(header.length)).unwrap_or_default();
        let mut attributes = Vec::new();
        let mut broken = None;
        let mut read = 0;
        for attribute in Attributes::new(octets, HEADER_OCTETS) {
            match attribute {
                Ok(attribute) => {
                    read += attribute.value.len() + 2;
                    attributes.push(show(&attribute).into_value());
                }
                Err(error) => broken = Some(fault(error, octets.len() - read)),
            }
        }
        let fields = Fields::new()
            .number("radius.code", header.code.0)
            .number("radius.id", header.identifier.0)
            .number("radius.length", header.length)
            .octets("radius.authenticator", &header.authenticator.0)
            .value("radius.avp", Json::Array(attributes));
        self.layer("radius", fields);
        match broken {
            Some(fault) => Err(fault),
            // What is behind the length is padding (RFC 2865, section 3).
            None => Ok((Next::Data, span.rest(&[]))),
        }
    }
}

/// Type and length, and the value by the dictionary: as `radius.User_Name`.
fn show(attribute: &Attribute<'_>) -> Fields {
    let fields = Fields::new()
        .number("radius.avp.type", attribute.kind.0)
        .number("radius.avp.length", attribute.value.len() as u64 + 2);
    let Some(entry) = dictionary::lookup(attribute.kind) else { return fields };
    let name = format!("radius.{}", entry.name.replace('-', "_"));
    if SECRET.contains(&attribute.kind) {
        return fields.number(&format!("{name}.len"), attribute.value.len() as u64);
    }
    match attribute.decode() {
        Ok(Value::Integer(number) | Value::Time(number)) => fields.number(&name, number),
        Ok(Value::Integer64(number)) => fields.number(&name, number),
        Ok(Value::Text(text)) => fields.text(&name, text),
        Ok(Value::Octets(octets)) => fields.octets(&name, octets),
        Ok(Value::Ipv4(address)) => fields.text(&name, address),
        Ok(Value::Ipv6(address)) => fields.text(&name, address),
        Ok(Value::Ipv4Prefix(address, length)) => fields.text(&name, format_args!("{address}/{length}")),
        Ok(Value::Ipv6Prefix(address, length)) => fields.text(&name, format_args!("{address}/{length}")),
        Ok(Value::InterfaceId(octets)) => fields.octets(&name, &octets),
        Ok(Value::TaggedInteger(tag, number)) => fields.number("radius.avp.tag", tag).number(&name, number),
        Ok(Value::TaggedText(tag, text)) => {
            tag.into_iter().fold(fields, |fields, tag| fields.number("radius.avp.tag", tag)).text(&name, text)
        }
        Ok(Value::VendorSpecific(specific)) => {
            let inner = specific.split().unwrap_or_default();
            let inner = inner.iter().map(|part| {
                Fields::new()
                    .number("radius.avp.vendor_type", part.kind.0)
                    .number("radius.avp.vendor_len", part.value.len() as u64 + 2)
                    .into_value()
            });
            fields
                .number("radius.avp.vendor_id", specific.vendor.0)
                .value("radius.avp.vendor", Json::Array(inner.collect()))
        }
        Err(error) => fields.text("error", error.kind),
    }
}

fn fault(error: Malformed, unread: usize) -> Fault {
    Fault::new("radius", error.offset, error.kind, unread)
}

/// Passwords, what is made from them, and EAP, which may carry them in the clear (RFC 3748, section 5.6). Values of
/// vendors are not shown either: among them are keys.
const SECRET: [Type; 6] = [
    Type::USER_PASSWORD,
    Type::CHAP_PASSWORD,
    Type::TUNNEL_PASSWORD,
    Type::ARAP_PASSWORD,
    Type::ARAP_CHALLENGE_RESPONSE,
    Type::EAP_MESSAGE,
];
