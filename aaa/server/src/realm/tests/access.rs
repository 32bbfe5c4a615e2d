//! Who is let in, and what the answer says.

use std::net::Ipv4Addr;

use aaa_wire::Type;
use model::profile::AaaFeature;

use crate::reason::{RejectReason, Tally};
use crate::support::*;
use crate::{Outcome, Service};

/// Made by radclient 3.2.1 under `testing123`: PAP with a password of three blocks, Message-Authenticator last.
const RADCLIENT_PAP: &str = "0151008c2541723cd44714c5648f07353727225e010c6d657465722d3030343202328e168d029b
    529003c0461e5fe8b4fb73c2d19f3653f94278930de07a87878240b0116bb3eb08593feea01265336928f71f1330322d30302d30302d30302d
    30302d324108060a00002a200f6163636573732d73776974636850126685123ef79509f4da3a763f419afd5b";
/// Made by radclient 3.2.1: CHAP, password `heart`, the Request Authenticator as the challenge (RFC 2865, section 2.2).
const RADCLIENT_CHAP: &str = "01ed0057241aeb6d832a53e35aaa60ae25ed532b010b6d6f6e69746f722d37031352176b078c5b
    663981dffe6a8be8bf07171f1330322d30302d30302d30302d30302d30375012f0c4740a1e3429ff83b42879fe86b940";
/// Made by radclient 3.2.1: CHAP, password `heart`, with a CHAP-Challenge.
const RADCLIENT_CHAP_CHALLENGE: &str = "01d8006be7e8f21b5d19002cd8ae0ce22cc5b853010b6d6f6e69746f722d3703138
    20de551430a824cd56c2146845c1ae0ca3c14000102030405060708090a0b0c0d0e0f10111f1330322d30302d30302d30302d30302d30375012
    b7ee0ce2f0c2730632e129f1f794b480";

#[test]
fn requests_of_radclient_by_pap_and_by_chap_are_granted() {
    for (hex, identity, last) in [
        (RADCLIENT_PAP, "meter-0042", 0x2a),
        (RADCLIENT_CHAP, "monitor-7", 7),
        (RADCLIENT_CHAP_CHALLENGE, "monitor-7", 7),
    ] {
        let mut world = World::full();
        let request = octets(hex);
        let Outcome::Bind(pending) = world.hand(Service::Access, &request) else { panic!("{identity}") };
        assert_eq!((pending.grant().identity.as_str(), pending.grant().mac), (identity, mac(last)));
        let done = world.realm.bound(world.now(), *pending, Ok(()));
        assert_eq!(Reply::read(&request, &done.answer.unwrap(), SECRET).code, ACCESS_ACCEPT);
        assert_eq!(world.realm.counters().tally(Tally::Accepted), 1);
    }
}

#[test]
fn an_accept_says_the_address_the_time_the_class_and_how_often_to_report() {
    let mut world = World::full();
    let (grant, reply) = world.admit(&Ask::meter(1));
    assert_eq!(grant.address, Some(Ipv4Addr::new(10, 110, 0, 42)));
    // Four octets each (RFC 2865, sections 5.8 and 5.27; RFC 2869, section 5.16).
    assert_eq!(reply.only(Type::FRAMED_IP_ADDRESS), [10, 110, 0, 42]);
    assert_eq!(reply.only(Type::SESSION_TIMEOUT), SESSION_SECONDS.to_be_bytes());
    assert_eq!(reply.only(Type::ACCT_INTERIM_INTERVAL), INTERIM_SECONDS.to_be_bytes());
    assert_eq!(reply.class(), grant.session.to_string());
    assert_eq!(reply.attributes.len(), 5, "{reply:?}");
    assert_eq!(grant.lifetime, std::time::Duration::from_secs(SESSION_SECONDS.into()));
    assert_eq!((grant.segment, grant.client.as_str(), grant.since), (segment(), "city-switch", wall_start()));
}

#[test]
fn an_accept_without_accounting_and_without_an_address_speaks_of_neither() {
    let mut world = World::with(&[AaaFeature::Pap]);
    let (grant, reply) = world.admit(&Ask::guest(1, 1));
    assert_eq!((grant.address, grant.address6), (None, None));
    let kinds: Vec<Type> = reply.attributes.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Type::MESSAGE_AUTHENTICATOR, Type::SESSION_TIMEOUT, Type::CLASS]);
}

#[test]
fn an_ipv6_address_of_the_credential_is_granted_and_told() {
    let mut world = World::full();
    let (grant, reply) = world.admit(&Ask::user("six", 1, 6).pap(b"heart"));
    let address: std::net::Ipv6Addr = "2001:db8::6".parse().unwrap();
    assert_eq!(grant.address6, Some(address));
    assert_eq!(reply.only(Type::FRAMED_IPV6_ADDRESS), address.octets());
}

#[test]
fn passwords_of_every_length_of_block_are_compared_whole() {
    for length in [1, 15, 16, 17, 31, 32, 33, 127, 128] {
        let password = "p".repeat(length);
        let secrets = format!(
            "clients: [{{ name: city-switch, secret: testing123 }}]\nusers: [{{ name: u, password: \"{password}\" }}]"
        );
        let credentials = crate::Credentials::parse("s.yaml", &secrets);
        let mut world = World::full();
        world.realm = crate::Realm::new(config(&AaaFeature::ALL), credentials, 1, world.now());
        let user = |identifier| Ask::user("u", identifier, 1);
        assert_eq!(world.reject(&user(1).pap(&password.as_bytes()[1..])).0, RejectReason::WrongCredentials);
        if length < 128 {
            assert_eq!(world.reject(&user(2).pap(format!("{password}p").as_bytes())).0, RejectReason::WrongCredentials);
        }
        let mut last = password.clone().into_bytes();
        last[length - 1] = b'q';
        assert_eq!(world.reject(&user(3).pap(&last)).0, RejectReason::WrongCredentials);
        world.admit(&user(4).pap(password.as_bytes()));
    }
}

#[test]
fn a_wrong_password_is_rejected_by_pap_and_by_chap() {
    let mut world = World::full();
    let user = |identifier| Ask::user("guest", identifier, 1);
    for (identifier, wrong) in
        [b"".as_slice(), b"Heart", b"heart ", b"hear", b"heart\0x", &[b'x'; 128]].iter().enumerate()
    {
        let identifier = u8::try_from(identifier).unwrap();
        assert_eq!(world.reject(&user(identifier).pap(wrong)).0, RejectReason::WrongCredentials);
        let chap = user(100 + identifier);
        assert_eq!(world.reject(&chap.chap(wrong)).0, RejectReason::WrongCredentials);
        assert_eq!(
            world.reject(&user(200 + identifier).chap_of(wrong, b"0123456789abcdef")).0,
            RejectReason::WrongCredentials
        );
    }
    assert_eq!(world.realm.session_count(), 0);
}

#[test]
fn a_chap_response_to_another_challenge_is_rejected() {
    let mut world = World::full();
    // Made for the Request Authenticator, but a CHAP-Challenge is there, and it counts (RFC 2865, section 5.3).
    let ask = Ask::user("guest", 1, 1).chap(GUEST_PASSWORD).add(Type::CHAP_CHALLENGE, [1; 16]);
    assert_eq!(world.reject(&ask).0, RejectReason::WrongCredentials);
    // Overheard, and sent again under a new Request Authenticator.
    let mut ask = Ask::user("guest", 2, 1).chap(GUEST_PASSWORD);
    ask.authenticator[0] ^= 1;
    assert_eq!(world.reject(&ask).0, RejectReason::WrongCredentials);
}

#[test]
fn a_chap_challenge_of_any_length_is_taken() {
    let mut world = World::full();
    // RFC 2865, section 5.40: of at least 5 octets on the wire, so that it may be short or long.
    for (identifier, length) in [(1, 1), (2, 16), (3, 253)] {
        world.admit(&Ask::user("guest", identifier, 1).chap_of(GUEST_PASSWORD, &vec![identifier; length]));
    }
}

#[test]
fn an_unknown_user_can_t_be_told_from_a_wrong_password() {
    let mut world = World::full();
    for (pap, identifier) in [(true, 1), (false, 3)] {
        let wrong = |ask: Ask| if pap { ask.pap(b"wrong") } else { ask.chap(b"wrong") };
        let known = world.reject(&wrong(Ask::user("guest", identifier, 1)));
        let unknown = world.reject(&wrong(Ask::user("nobody", identifier + 1, 1)));
        // The same attributes; Message-Authenticator covers the authenticator of the request and so must differ.
        let told =
            |reply: &Reply| reply.attributes.iter().map(|(kind, value)| (*kind, value.len())).collect::<Vec<_>>();
        assert_eq!((known.0, told(&known.1)), (unknown.0, told(&unknown.1)));
        assert_eq!(told(&known.1), [(Type::MESSAGE_AUTHENTICATOR, 16)], "no text");
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_octets_for_the_same_request() {
    // The same request, to two realms: one that knows the user under another password, one that doesn't know the user.
    let request = Ask::user("guest", 1, 1).pap(b"wrong");
    let mut known = World::full();
    let mut unknown = World::full();
    let credentials = crate::Credentials::parse("s.yaml", "clients: [{ name: city-switch, secret: testing123 }]");
    unknown.realm = crate::Realm::new(config(&AaaFeature::ALL), credentials, 0xfeed, unknown.now());
    let (Outcome::Answer(one), Outcome::Answer(two)) = (known.ask(&request), unknown.ask(&request)) else {
        panic!("expected answers")
    };
    assert_eq!(one, two);
}

#[test]
fn no_password_lets_an_unknown_user_in() {
    let mut world = World::full();
    // The decoy's own password among them.
    for (identifier, password) in [(1, &[0x2a; 16][..]), (2, b"heart"), (3, b"")] {
        assert_eq!(world.reject(&Ask::user("nobody", identifier, 1).pap(password)).0, RejectReason::WrongCredentials);
        let chap = Ask::user("nobody", 100 + identifier, 1).chap(password);
        assert_eq!(world.reject(&chap).0, RejectReason::WrongCredentials);
    }
}

#[test]
fn a_credential_is_good_at_its_own_endpoint_only() {
    let mut world = World::full();
    let elsewhere = Ask::user("meter-0042", 1, 0x2b).pap(METER_PASSWORD);
    let (reason, reply) = world.reject(&elsewhere);
    assert_eq!(reason, RejectReason::CallingStationForeign);
    // It says nothing of the endpoint that it is good at.
    assert!(!reply.message().contains("2A") && !reply.message().contains("2a"), "{}", reply.message());
    // Only to somebody who knows the password.
    let (reason, reply) = world.reject(&Ask::user("meter-0042", 2, 0x2b).pap(b"wrong"));
    assert_eq!((reason, reply.all(Type::REPLY_MESSAGE).len()), (RejectReason::WrongCredentials, 0));
    world.admit(&Ask::meter(3));
}

#[test]
fn the_endpoint_is_read_in_every_usual_notation() {
    let mut world = World::full();
    for (identifier, text) in ["02-00-00-00-00-2A", "02:00:00:00:00:2a", "02-00-00-00-00-2a"].iter().enumerate() {
        let ask = Ask::new(ACCESS_REQUEST, u8::try_from(identifier).unwrap())
            .add(Type::USER_NAME, "meter-0042")
            .add(Type::CALLING_STATION_ID, text)
            .pap(METER_PASSWORD);
        assert_eq!(world.admit(&ask).0.mac, mac(0x2a));
    }
}

#[test]
fn proxy_states_come_back_all_in_order_and_unchanged() {
    let mut world = World::full();
    let states = [b"one".as_slice(), b"", &[0xff; 253], b"one"];
    let proxied = |ask: Ask| states.iter().fold(ask, |ask, state| ask.add(Type::PROXY_STATE, state));
    // RFC 2865, section 5.33: in an accept and in a reject; RFC 2866, section 5.13: in an accounting response.
    let (_, accept) = world.admit(&proxied(Ask::guest(1, 1)));
    let (_, reject) = world.reject(&proxied(Ask::user("guest", 2, 1).pap(b"wrong")));
    let start = proxied(Ask::accounting(3, START, "s"));
    let (_, completion) = world.account(&start);
    let response = start.read(&completion.answer.unwrap());
    for reply in [accept, reject, response] {
        assert_eq!(reply.all(Type::PROXY_STATE), states);
    }
}

#[test]
fn a_hint_is_taken_where_the_credential_names_no_address() {
    let mut world = World::full();
    let hint = |ask: Ask, address: [u8; 4]| ask.add(Type::FRAMED_IP_ADDRESS, address);
    let (grant, reply) = world.admit(&hint(Ask::guest(1, 1), [10, 110, 0, 7]));
    assert_eq!(grant.address, Some([10, 110, 0, 7].into()));
    assert_eq!(reply.only(Type::FRAMED_IP_ADDRESS), [10, 110, 0, 7]);
    // The credential's goes before the hint.
    assert_eq!(world.admit(&hint(Ask::meter(2), [10, 110, 0, 8])).0.address, Some([10, 110, 0, 42].into()));
    // RFC 2865, section 5.8: these two leave the choice to others.
    for (identifier, last) in [(3, 255), (4, 254)] {
        let (grant, reply) = world.admit(&hint(Ask::guest(identifier, 1), [255, 255, 255, last]));
        assert_eq!((grant.address, reply.all(Type::FRAMED_IP_ADDRESS).len()), (None, 0));
    }
    let six: std::net::Ipv6Addr = "2001:db8::9".parse().unwrap();
    let (grant, _) = world.admit(&Ask::guest(5, 1).add(Type::FRAMED_IPV6_ADDRESS, six.octets()));
    assert_eq!(grant.address6, Some(six));
}

#[test]
fn a_hint_is_left_aside_where_the_profile_takes_none() {
    let mut world = World::with(&[AaaFeature::Pap]);
    for (identifier, address) in [(1, [10, 110, 0, 7]), (2, [10, 110, 0, 42]), (3, [224, 0, 0, 1])] {
        let (grant, reply) = world.admit(&Ask::guest(identifier, 1).add(Type::FRAMED_IP_ADDRESS, address));
        assert_eq!((grant.address, reply.all(Type::FRAMED_IP_ADDRESS).len()), (None, 0));
    }
}

#[test]
fn an_address_that_is_another_s_is_not_granted() {
    let mut world = World::full();
    let hint = |ask: Ask, last| ask.add(Type::FRAMED_IP_ADDRESS, [10, 110, 0, last]);
    // meter-0042's by its credential, though it has no session.
    assert_eq!(world.reject(&hint(Ask::guest(1, 1), 42)).0, RejectReason::AddressTaken);
    world.admit(&hint(Ask::guest(2, 1), 7));
    let other = |identifier| hint(Ask::user("head-end", identifier, 9).pap(b"arctangent"), 7);
    assert_eq!(world.reject(&other(3)).0, RejectReason::AddressTaken);
    // The same endpoint may ask for it again; once it holds another one, the address is free.
    world.admit(&hint(Ask::guest(4, 1), 7));
    world.admit(&hint(Ask::guest(5, 1), 8));
    world.admit(&other(6));
}

#[test]
fn the_nas_is_read_from_the_request() {
    let mut world = World::full();
    let ask = Ask::guest(1, 1)
        .add(Type::NAS_IDENTIFIER, "access-switch")
        .add(Type::NAS_IP_ADDRESS, [192, 0, 2, 9])
        .add(Type::NAS_PORT_ID, "ge-0/0/1");
    let nas = world.admit(&ask).0.nas;
    assert_eq!(nas.identifier.as_deref(), Some("access-switch"));
    assert_eq!(nas.address, Some([192, 0, 2, 9].into()));
    assert_eq!(nas.port.as_deref(), Some("ge-0/0/1"));
}

#[test]
fn framed_and_unknown_attributes_change_nothing() {
    let mut world = World::full();
    // Service-Type Framed; attribute 250 is nobody's; a vendor's own; octets behind Length are padding (RFC 2865, 3).
    let ask = Ask::guest(1, 1)
        .number(Type::SERVICE_TYPE, 2)
        .add(Type(250), b"x")
        .add(Type::VENDOR_SPECIFIC, [0, 0, 0x28, 0xaf, 1, 3, 0]);
    let padded = [ask.sealed(), vec![0xee; 9]].concat();
    assert!(matches!(world.hand(Service::Access, &padded), Outcome::Bind(_)));
}

#[test]
fn a_status_server_is_answered_on_both_ports_under_its_seal() {
    let mut world = World::full();
    // RFC 5997, section 3: Access-Accept on the one port, Accounting-Response on the other.
    let ask = Ask::new(STATUS_SERVER, 1).add(Type::PROXY_STATE, b"p");
    for (service, code) in [(Service::Access, ACCESS_ACCEPT), (Service::Accounting, ACCOUNTING_RESPONSE)] {
        let Outcome::Answer(answer) = world.hand(service, &ask.sealed()) else { panic!("expected an answer") };
        let reply = ask.read(&answer);
        assert_eq!((reply.code, reply.only(Type::PROXY_STATE)), (code, b"p".as_slice()));
    }
    assert_eq!((world.realm.counters().tally(Tally::StatusAnswered), world.realm.session_count()), (2, 0));
}

#[test]
fn a_credential_that_names_its_endpoint_needs_no_calling_station_id() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1).without(Type::CALLING_STATION_ID));
    assert_eq!(grant.mac, mac(0x2a));
}

#[test]
fn an_endpoint_that_a_credential_names_is_nobody_elses() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let (reason, _) = world.reject(&Ask::guest(2, 0x2a));
    assert_eq!(reason, RejectReason::CallingStationTaken);
    assert_eq!(world.realm.sessions()[0].grant.session, grant.session);
}
