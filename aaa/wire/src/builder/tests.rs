use proptest::prelude::*;

use super::*;
use crate::error::IntegrityError;
use crate::packet::Packet;
use crate::vectors::{self, octets};

fn testing() -> SharedSecret {
    SharedSecret::new(vectors::TESTING_SECRET).unwrap()
}

/// The same accounting request as radclient made, octet for octet.
#[test]
fn an_accounting_request_is_that_of_radclient() {
    let theirs = octets(vectors::RADCLIENT_ACCOUNTING);
    let mut ours = Request::accounting(Identifier(theirs[1]));
    ours.attribute(Type::ACCT_STATUS_TYPE, &1_u32.to_be_bytes()).unwrap();
    ours.attribute(Type::ACCT_SESSION_ID, b"0001").unwrap();
    ours.attribute(Type::USER_NAME, b"meter-0042").unwrap();
    assert_eq!(ours.seal(&testing()), theirs);
}

#[test]
fn a_status_request_is_that_of_radclient() {
    let theirs = octets(vectors::RADCLIENT_STATUS);
    let authenticator = Packet::parse(&theirs).unwrap().authenticator();
    assert_eq!(Request::status(Identifier(theirs[1]), authenticator).seal(&testing()), theirs);
}

/// With the attributes of hostapd's challenge in our order: the Response Authenticator and the Message-Authenticator are
/// then checked by code that holds against hostapd's own.
#[test]
fn an_answer_is_signed_and_its_message_authenticator_stands_first() {
    let bytes = octets(vectors::HOSTAPD_REQUEST);
    let request = authenticator::verify_request(Packet::parse(&bytes).unwrap(), &testing()).unwrap();
    for code in [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE] {
        let mut answer = Answer::to(&request, code);
        answer
            .integer(Type::SESSION_TIMEOUT, 3600)
            .unwrap()
            .ipv4(Type::FRAMED_IP_ADDRESS, [10, 0, 0, 1].into())
            .unwrap();
        answer.ipv6(Type::FRAMED_IPV6_ADDRESS, Ipv6Addr::LOCALHOST).unwrap();
        let answer = answer.seal(&testing());
        let packet = Packet::parse(&answer).unwrap();
        assert_eq!(packet.iter().next().unwrap().kind, Type::MESSAGE_AUTHENTICATOR);
        assert_eq!(packet.get(Type::SESSION_TIMEOUT).unwrap().integer(), Ok(3600));
        assert_eq!(packet.get(Type::FRAMED_IP_ADDRESS).unwrap().ipv4(), Ok([10, 0, 0, 1].into()));
        assert_eq!(packet.get(Type::FRAMED_IPV6_ADDRESS).unwrap().ipv6(), Ok(Ipv6Addr::LOCALHOST));
        let asked = (request.packet().identifier(), request.packet().authenticator());
        assert_eq!(authenticator::verify_response(&packet, asked, &testing()), Ok(()));
        let other = SharedSecret::new(b"other").unwrap();
        let refused = authenticator::verify_response(&packet, asked, &other);
        assert_eq!(refused, Err(IntegrityError::BadResponseAuthenticator));
    }
}

/// RFC 2865, section 7.3, rejects with nothing but a header; an Accounting-Response has the same form.
#[test]
fn an_accounting_response_is_a_header_and_the_proxy_states() {
    let mut request = Request::accounting(Identifier(9));
    request.attribute(Type::PROXY_STATE, b"first").unwrap();
    request.attribute(Type::USER_NAME, b"u").unwrap();
    request.attribute(Type::PROXY_STATE, b"second").unwrap();
    let request = request.seal(&testing());
    let request = authenticator::verify_request(Packet::parse(&request).unwrap(), &testing()).unwrap();
    let answer = Answer::to(&request, Code::ACCOUNTING_RESPONSE).seal(&testing());
    let packet = Packet::parse(&answer).unwrap();
    let states: Vec<_> = packet.iter().map(|a| (a.kind, a.value)).collect();
    assert_eq!(states, [(Type::PROXY_STATE, &b"first"[..]), (Type::PROXY_STATE, b"second")]);
    let asked = (Identifier(9), request.packet().authenticator());
    assert_eq!(authenticator::verify_response(&packet, asked, &testing()), Ok(()));
}

#[test]
fn a_packet_never_passes_4096_octets_and_a_value_never_253() {
    let mut request = Request::access(Identifier(0), Authenticator::ZERO);
    let refused = request.attribute(Type::CLASS, &[0; 254]).unwrap_err();
    assert_eq!(refused, TooLong::Value { attribute: Type::CLASS, octets: 254 });
    let mut written = 0;
    let full = loop {
        match request.attribute(Type::CLASS, &[0; 253]) {
            Ok(_) => written += 1,
            Err(full) => break full,
        }
    };
    assert_eq!(full, TooLong::Packet { attribute: Type::CLASS });
    assert_eq!(written, (4096 - 20 - 18) / 255);
    request.attribute(Type::CLASS, &[0; (4096 - 20 - 18) % 255 - 2]).unwrap();
    let request = request.seal(&testing());
    assert_eq!(request.len(), 4096);
    assert!(authenticator::verify_request(Packet::parse(&request).unwrap(), &testing()).is_ok());
}

/// The longest request of Proxy-States still has an answer.
#[test]
fn every_proxy_state_of_the_longest_request_fits_into_the_answer() {
    let mut request = Request::access(Identifier(0), Authenticator::ZERO);
    while request.attribute(Type::PROXY_STATE, &[7; 253]).is_ok() {}
    request.attribute(Type::PROXY_STATE, &[7; (4096 - 20 - 18) % 255 - 2]).unwrap();
    let request = request.seal(&testing());
    let request = authenticator::verify_request(Packet::parse(&request).unwrap(), &testing()).unwrap();
    let answer = Answer::to(&request, Code::ACCESS_REJECT).seal(&testing());
    assert_eq!(answer.len(), 4096);
    assert!(Packet::parse(&answer).is_ok());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        identifier in any::<u8>(),
        authenticator in any::<[u8; 16]>(),
        attributes in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..=253)), 0..14),
    ) {
        let mut request = Request::access(Identifier(identifier), Authenticator(authenticator));
        let mut wanted = Vec::new();
        for (kind, value) in attributes.iter().filter(|(kind, _)| *kind != Type::MESSAGE_AUTHENTICATOR.0) {
            request.attribute(Type(*kind), value).unwrap();
            wanted.push((Type(*kind), value.as_slice()));
        }
        let bytes = request.seal(&testing());
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!(packet.identifier(), Identifier(identifier));
        prop_assert_eq!(packet.authenticator(), Authenticator(authenticator));
        let read: Vec<_> = packet.iter().skip(1).map(|a| (a.kind, a.value)).collect();
        prop_assert_eq!(read, wanted);
        prop_assert!(authenticator::verify_request(packet, &testing()).is_ok());
    }
}
