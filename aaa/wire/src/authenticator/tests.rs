use proptest::prelude::*;

use super::*;
use crate::vectors::{self, octets};

fn secret(octets: &[u8]) -> SharedSecret {
    SharedSecret::new(octets).unwrap()
}

fn testing() -> SharedSecret {
    secret(vectors::TESTING_SECRET)
}

#[test]
fn the_response_authenticators_of_the_standard_hold() {
    let secret = secret(vectors::RFC_2865_SECRET);
    for (request, answer) in [
        (vectors::TELNET_REQUEST, vectors::TELNET_ACCEPT),
        (vectors::FRAMED_REQUEST, vectors::FRAMED_ACCEPT),
        (vectors::CARD_REQUEST, vectors::CARD_CHALLENGE),
        (vectors::CARD_RESPONSE, vectors::CARD_REJECT),
    ] {
        let (request, mut answer) = (octets(request), octets(answer));
        let request = Packet::parse(&request).unwrap();
        let asked = (request.identifier(), request.authenticator());
        // It holds, and the lack of a Message-Authenticator is the next thing that is found.
        let check = |answer: &[u8], asked| verify_response(&Packet::parse(answer).unwrap(), asked, &secret);
        assert_eq!(check(&answer, asked), Err(IntegrityError::MissingMessageAuthenticator));
        let other = (Identifier(asked.0.0 ^ 1), asked.1);
        assert_eq!(check(&answer, other), Err(IntegrityError::ForeignIdentifier));
        answer[4] ^= 1;
        assert_eq!(check(&answer, asked), Err(IntegrityError::BadResponseAuthenticator));
    }
}

#[test]
fn the_passwords_of_the_standard_are_hidden_as_it_says() {
    let secret = secret(vectors::RFC_2865_SECRET);
    for (request, password) in [
        (vectors::TELNET_REQUEST, "arctangent"),
        (vectors::CARD_REQUEST, "challenge"),
        (vectors::CARD_RESPONSE, "99101462"),
    ] {
        let request = octets(request);
        let packet = Packet::parse(&request).unwrap();
        let hidden = packet.get(Type::USER_PASSWORD).unwrap();
        let matches = |text: &str| {
            let password = Password::new(text.as_bytes()).unwrap();
            pap_matches(&hidden, packet.authenticator(), &secret, &password).unwrap()
        };
        assert!(matches(password));
        assert!(!matches(&password[1..]));
        assert!(!matches(&format!("{password}x")));
        assert!(!matches(&"x".repeat(128)));
        let password = Password::new(password.as_bytes()).unwrap();
        assert_eq!(hide_password(&password, packet.authenticator(), &secret), hidden.value);
    }
}

#[test]
fn a_password_of_several_blocks_is_that_of_radclient() {
    let bytes = octets(vectors::RADCLIENT_PAP);
    let packet = *verify_request(Packet::parse(&bytes).unwrap(), &testing()).unwrap().packet();
    let hidden = packet.get(Type::USER_PASSWORD).unwrap();
    assert_eq!(hidden.value.len(), 48);
    let password = Password::new(vectors::RADCLIENT_PAP_PASSWORD).unwrap();
    assert!(pap_matches(&hidden, packet.authenticator(), &testing(), &password).unwrap());
    assert_eq!(hide_password(&password, packet.authenticator(), &testing()), hidden.value);
    let first_block = Password::new(&vectors::RADCLIENT_PAP_PASSWORD[..16]).unwrap();
    assert!(!pap_matches(&hidden, packet.authenticator(), &testing(), &first_block).unwrap());
}

#[test]
fn chap_of_radclient_holds_with_and_without_a_challenge_of_its_own() {
    for (hex, has_challenge) in [(vectors::RADCLIENT_CHAP, false), (vectors::RADCLIENT_CHAP_CHALLENGE, true)] {
        let bytes = octets(hex);
        let packet = *verify_request(Packet::parse(&bytes).unwrap(), &testing()).unwrap().packet();
        let response = packet.get(Type::CHAP_PASSWORD).unwrap();
        let challenge = packet.get(Type::CHAP_CHALLENGE);
        assert_eq!(challenge.is_some(), has_challenge);
        let matches = |text: &[u8]| {
            let password = Password::new(text).unwrap();
            chap_matches(&response, challenge.as_ref(), packet.authenticator(), &password).unwrap()
        };
        assert!(matches(b"heart"));
        assert!(!matches(b"Heart"));
        assert!(!matches(b"heart\0"));
    }
}

#[test]
fn passwords_of_impossible_lengths_are_malformed() {
    let password = Password::new(b"x").unwrap();
    let value = [0; 256];
    for length in (0..=256).filter(|l| *l == 0 || *l > 128 || l % 16 != 0) {
        let attribute = Attribute { kind: Type::USER_PASSWORD, value: &value[..length], offset: 20 };
        assert!(pap_matches(&attribute, Authenticator::ZERO, &testing(), &password).is_err(), "{length}");
    }
    for length in (0..=32).filter(|l| *l != 17) {
        let attribute = Attribute { kind: Type::CHAP_PASSWORD, value: &value[..length], offset: 20 };
        assert!(chap_matches(&attribute, None, Authenticator::ZERO, &password).is_err(), "{length}");
    }
}

#[test]
fn requests_of_radclient_hold_and_one_flipped_bit_fails() {
    for hex in [
        vectors::RADCLIENT_PAP,
        vectors::RADCLIENT_CHAP,
        vectors::RADCLIENT_CHAP_CHALLENGE,
        vectors::RADCLIENT_ACCOUNTING,
        vectors::RADCLIENT_ACCOUNTING_SIGNED,
        vectors::RADCLIENT_STATUS,
        vectors::RADCLIENT_DISCONNECT,
        vectors::RADCLIENT_COA,
        vectors::HOSTAPD_REQUEST,
    ] {
        every_flipped_bit_fails(&octets(hex));
    }
}

fn every_flipped_bit_fails(bytes: &[u8]) {
    let verified = |bytes: &[u8], secret: &SharedSecret| {
        Packet::parse(bytes).is_ok_and(|packet| verify_request(packet, secret).is_ok())
    };
    assert!(verified(bytes, &testing()));
    assert!(!verified(bytes, &secret(b"testing124")));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!verified(&flipped, &testing()), "bit {bit}");
    }
}

#[test]
fn an_answer_of_hostapd_holds_and_one_flipped_bit_fails() {
    let (request, answer) = (octets(vectors::HOSTAPD_REQUEST), octets(vectors::HOSTAPD_CHALLENGE));
    let request = Packet::parse(&request).unwrap();
    let holds = |bytes: &[u8]| {
        Packet::parse(bytes)
            .is_ok_and(|p| verify_response(&p, (request.identifier(), request.authenticator()), &testing()).is_ok())
    };
    assert!(holds(&answer));
    for bit in 0..answer.len() * 8 {
        let mut flipped = answer.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!holds(&flipped), "bit {bit}");
    }
}

#[test]
fn an_access_request_without_a_message_authenticator_is_refused() {
    let bytes = octets(vectors::TELNET_REQUEST);
    let refused = verify_request(Packet::parse(&bytes).unwrap(), &secret(vectors::RFC_2865_SECRET)).unwrap_err();
    assert_eq!(refused, IntegrityError::MissingMessageAuthenticator);
}

#[test]
fn a_second_message_authenticator_and_one_of_another_length_are_refused() {
    let mut twice = octets(vectors::RADCLIENT_STATUS);
    let attribute = twice[20..].to_vec();
    twice.extend(attribute);
    twice[3] = 56;
    let refused = |bytes: &[u8]| verify_request(Packet::parse(bytes).unwrap(), &testing()).unwrap_err();
    assert_eq!(refused(&twice), IntegrityError::RepeatedMessageAuthenticator);
    let mut short = octets(vectors::RADCLIENT_STATUS);
    short.pop();
    short[3] = 37;
    short[21] = 17;
    assert_eq!(refused(&short), IntegrityError::BadMessageAuthenticator);
    short.truncate(22);
    short[3] = 22;
    short[21] = 2;
    assert_eq!(refused(&short), IntegrityError::BadMessageAuthenticator);
}

#[test]
fn what_is_no_request_is_refused_by_name() {
    for code in [Code::ACCESS_ACCEPT, Code::ACCOUNTING_RESPONSE, Code::STATUS_CLIENT, Code::COA_ACK, Code(200)] {
        let mut bytes = octets(vectors::RADCLIENT_STATUS);
        bytes[0] = code.0;
        let refused = verify_request(Packet::parse(&bytes).unwrap(), &testing()).unwrap_err();
        assert_eq!(refused, IntegrityError::NotARequest(code));
    }
}

proptest! {
    #[test]
    fn every_password_is_found_again(
        password in proptest::collection::vec(1_u8.., 1..=128),
        authenticator in any::<[u8; 16]>(),
        other in proptest::collection::vec(1_u8.., 1..=128),
    ) {
        let authenticator = Authenticator(authenticator);
        let hidden = hide_password(&Password::new(&password).unwrap(), authenticator, &testing());
        let attribute = Attribute { kind: Type::USER_PASSWORD, value: &hidden, offset: 20 };
        let matches = |text: &[u8]| {
            pap_matches(&attribute, authenticator, &testing(), &Password::new(text).unwrap()).unwrap()
        };
        prop_assert!(matches(&password));
        prop_assert_eq!(matches(&other), other == password);
    }
}
