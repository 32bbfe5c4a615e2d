//! Whatever is sent: no panic, no grant without a proof, and one reason for each datagram.

use std::net::SocketAddr;

use aaa_wire::Type;
use proptest::prelude::*;

use crate::reason::DropReason;
use crate::support::*;
use crate::{Outcome, Service};

/// Requests of every kind that is served.
fn valid() -> Vec<Ask> {
    vec![
        Ask::meter(1).add(Type::PROXY_STATE, b"proxy"),
        Ask::user("guest", 2, 1).chap_of(GUEST_PASSWORD, b"0123456789abcdef"),
        Ask::accounting(3, START, "s").add(Type::CLASS, b"000000000000feed-1"),
        Ask::accounting(4, STOP, "s").add(Type::MESSAGE_AUTHENTICATOR, [0; 16]),
        Ask::new(STATUS_SERVER, 5),
    ]
}

/// Hands a datagram over and checks that it was dropped, for one reason, and left nothing behind.
fn dropped(world: &mut World, service: Service, datagram: &[u8]) -> DropReason {
    let before = world.realm.counters().clone();
    let outcome = world.hand(service, datagram);
    let Outcome::Dropped(reason) = outcome else { panic!("{datagram:02x?}: not dropped") };
    assert_eq!(dropped_since(&before, world.realm.counters()), reason);
    assert_eq!(world.realm.session_count(), 0);
    reason
}

fn service(code: u8) -> Service {
    if code == ACCOUNTING_REQUEST { Service::Accounting } else { Service::Access }
}

#[test]
fn a_request_cut_at_any_length_is_dropped_as_malformed() {
    let mut world = World::full();
    for ask in valid() {
        let whole = ask.sealed();
        for length in 0..whole.len() {
            assert_eq!(dropped(&mut world, service(ask.code), &whole[..length]), DropReason::Malformed);
        }
    }
}

#[test]
fn a_request_cut_at_any_length_with_its_length_made_to_fit_is_dropped() {
    let mut world = World::full();
    for ask in valid() {
        let whole = ask.sealed();
        for length in 20..whole.len() {
            let mut cut = whole[..length].to_vec();
            cut[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            let reason = dropped(&mut world, service(ask.code), &cut);
            let expected = [
                DropReason::Malformed,
                DropReason::MessageAuthenticatorMissing,
                DropReason::MessageAuthenticatorWrong,
                DropReason::RequestAuthenticatorWrong,
            ];
            assert!(expected.contains(&reason), "{reason}");
        }
    }
}

#[test]
fn a_request_with_any_one_bit_flipped_is_dropped_for_one_reason() {
    for ask in valid() {
        let whole = ask.sealed();
        let mut world = World::full();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            dropped(&mut world, service(ask.code), &flipped);
        }
    }
}

#[test]
fn a_wrong_length_in_the_header_is_dropped() {
    // RFC 2865, section 3: 20 to 4096; and no more than is there.
    let whole = Ask::meter(1).sealed();
    let mut world = World::full();
    for length in 0..=u16::MAX {
        if usize::from(length) == whole.len() {
            continue;
        }
        let mut wrong = whole.clone();
        wrong[2..4].copy_from_slice(&length.to_be_bytes());
        let reason = dropped(&mut world, Service::Access, &wrong);
        if usize::from(length) > whole.len() || length < 20 {
            assert_eq!(reason, DropReason::Malformed, "{length}");
        }
    }
}

#[test]
fn a_wrong_length_of_any_attribute_is_dropped() {
    let ask = Ask::meter(1);
    let whole = ask.sealed();
    let mut world = World::full();
    let mut at = 20;
    while at < whole.len() {
        for length in (0..=255).filter(|length| *length != whole[at + 1]) {
            let mut wrong = whole.clone();
            wrong[at + 1] = length;
            dropped(&mut world, Service::Access, &wrong);
        }
        at += usize::from(whole[at + 1]);
    }
}

#[test]
fn a_message_authenticator_of_another_length_is_wrong() {
    let mut world = World::full();
    for length in (0..=253).filter(|length| *length != 16) {
        let ask = Ask::guest(1, 1).without(Type::MESSAGE_AUTHENTICATOR);
        let unsealed = ask.add(Type::MESSAGE_AUTHENTICATOR, vec![0; length]).plain();
        assert_eq!(dropped(&mut world, Service::Access, &unsealed), DropReason::MessageAuthenticatorWrong);
    }
}

#[test]
fn a_seal_of_zeros_a_foreign_one_and_one_of_another_request_are_wrong() {
    let mut world = World::full();
    let ask = Ask::guest(1, 1);
    assert_eq!(dropped(&mut world, Service::Access, &ask.plain()), DropReason::MessageAuthenticatorWrong);
    let foreign = ask.clone().under(HARBOUR_SECRET).sealed();
    assert_eq!(dropped(&mut world, Service::Access, &foreign), DropReason::MessageAuthenticatorWrong);
    let mut other = ask.clone();
    other.identifier = 2;
    let mut borrowed = other.plain();
    borrowed[20..38].copy_from_slice(&ask.sealed()[20..38]);
    assert_eq!(dropped(&mut world, Service::Access, &borrowed), DropReason::MessageAuthenticatorWrong);
    // An accounting request: the Request Authenticator is right, the Message-Authenticator is not.
    let report = Ask::accounting(3, START, "s").add(Type::MESSAGE_AUTHENTICATOR, [7; 16]);
    let mut octets = report.plain();
    octets[4..20].fill(0);
    let digest = md5(&[&octets, SECRET].concat());
    octets[4..20].copy_from_slice(&digest);
    assert_eq!(dropped(&mut world, Service::Accounting, &octets), DropReason::MessageAuthenticatorWrong);
}

#[test]
fn a_client_s_secret_is_good_from_its_own_address_only() {
    let mut world = World::full();
    world.from = harbour_switch();
    assert_eq!(dropped(&mut world, Service::Access, &Ask::guest(1, 1).sealed()), DropReason::MessageAuthenticatorWrong);
    for unknown in ["192.0.2.0:1812", "192.0.2.4:1812", "[2001:db8::1]:1812", "127.0.0.1:1812", "0.0.0.0:0"] {
        world.from = unknown.parse().unwrap();
        let reason = dropped(&mut world, Service::Access, &Ask::guest(1, 1).sealed());
        assert_eq!(reason, DropReason::UnknownClient, "{unknown}");
    }
    // An IPv4 client seen by a socket of both families.
    world.from = "[::ffff:192.0.2.1]:1812".parse::<SocketAddr>().unwrap();
    world.admit(&Ask::guest(1, 1));
}

#[test]
fn user_passwords_and_chap_values_of_any_length_are_rejected_or_wrong_and_never_right() {
    for length in 0..=253 {
        let mut world = World::full();
        for (identifier, kind) in [(1, Type::USER_PASSWORD), (2, Type::CHAP_PASSWORD)] {
            let ask = Ask::user("guest", identifier, 1).add(kind, vec![0; length]);
            let (reason, _) = world.reject(&ask);
            let formed = if kind == Type::USER_PASSWORD {
                // RFC 2865, section 5.2.
                (16..=128).contains(&length) && length % 16 == 0
            } else {
                // RFC 2865, section 5.3.
                length == 17
            };
            let expected =
                if formed { crate::RejectReason::WrongCredentials } else { crate::RejectReason::MalformedValue };
            assert_eq!(reason, expected, "{kind} of {length} octets");
        }
    }
}

/// Attributes with any type and any value, some of the types that the realm reads.
fn soup() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let kind =
        prop_oneof![any::<u8>(), proptest::sample::select(vec![1u8, 2, 3, 4, 6, 8, 24, 25, 31, 32, 40, 44, 60, 79])];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(vec![b"guest".to_vec(), b"02-00-00-00-00-01".to_vec(), vec![0, 0, 0, 1], vec![0; 16]]),
    ];
    proptest::collection::vec((kind, value), 0..12)
}

proptest! {
    #[test]
    fn any_octets_are_dropped_for_one_reason(datagram in proptest::collection::vec(any::<u8>(), 0..4200), access: bool) {
        let mut world = World::full();
        dropped(&mut world, if access { Service::Access } else { Service::Accounting }, &datagram);
    }

    #[test]
    fn a_request_with_some_octets_changed_is_dropped_for_one_reason(
        which in 0usize..5,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 1u8..), 1..8),
    ) {
        let ask = valid().swap_remove(which);
        let whole = ask.sealed();
        let mut changed = whole.clone();
        for (at, by) in changes {
            changed[at.index(whole.len())] ^= by;
        }
        prop_assume!(changed != whole);
        dropped(&mut World::full(), service(ask.code), &changed);
    }

    #[test]
    fn any_attributes_under_a_good_seal_are_counted_once_and_grant_nothing_without_a_password(
        code in proptest::sample::select(vec![ACCESS_REQUEST, ACCOUNTING_REQUEST, STATUS_SERVER, DISCONNECT_REQUEST]),
        attributes in soup(),
    ) {
        let mut world = World::full();
        let before = world.realm.counters().clone();
        let attributes = attributes.iter().filter(|(kind, _)| *kind != Type::MESSAGE_AUTHENTICATOR.0);
        let ask = attributes.fold(Ask::new(code, 1), |ask, (kind, value)| ask.add(Type(*kind), value));
        match world.ask(&ask) {
            Outcome::Dropped(reason) => assert_eq!(dropped_since(&before, world.realm.counters()), reason),
            Outcome::Answer(answer) => {
                let reply = ask.read(&answer);
                let counted = changed(&before, world.realm.counters());
                assert_eq!(counted.len(), 1);
                assert!((code, reply.code) == (STATUS_SERVER, ACCESS_ACCEPT) || reply.code == ACCESS_REJECT);
            }
            Outcome::Bind(_) => panic!("granted"),
            Outcome::Record(pending) => {
                assert!(!pending.record().authenticated || pending.record().event.is_of_nas());
                assert_eq!(changed(&before, world.realm.counters()), []);
            }
        }
        prop_assert_eq!(world.realm.session_count(), 0);
    }

    #[test]
    fn any_attributes_beside_a_password_do_not_panic_and_bind_at_most_once(attributes in soup()) {
        let mut world = World::full();
        let attributes = attributes.iter().filter(|(kind, _)| *kind != Type::MESSAGE_AUTHENTICATOR.0);
        let ask = attributes.fold(Ask::guest(1, 1), |ask, (kind, value)| ask.add(Type(*kind), value));
        let before = world.realm.counters().clone();
        if let Outcome::Bind(pending) = world.ask(&ask) {
            let done = world.realm.bound(world.now(), *pending, Ok(()));
            assert_eq!(ask.read(&done.answer.unwrap()).code, ACCESS_ACCEPT);
        }
        assert_eq!(changed(&before, world.realm.counters()).len(), 1);
        prop_assert!(world.realm.session_count() <= 1);
    }
}
