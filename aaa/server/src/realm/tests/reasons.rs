//! Every reason for a drop and for a rejection, provoked by name.

use std::collections::BTreeSet;

use aaa_wire::Type;
use model::profile::AaaFeature;

use crate::answers::PENDING_REQUESTS_MAX;
use crate::reason::{DropReason, RejectReason};
use crate::support::*;
use crate::{BindRefused, Outcome, Service};

const STRICT: [AaaFeature; 2] = [AaaFeature::Chap, AaaFeature::FramedAddressHint];

/// A case of a drop: a realm that is ready for it, the port, the datagram.
type Drop = (World, Service, Vec<u8>);

/// A case by the reason that it must have.
fn drop_case(reason: DropReason) -> Drop {
    let mut world = World::full();
    let from_switch = |ask: &Ask| (World::full(), Service::Access, ask.sealed());
    match reason {
        DropReason::UnknownClient => {
            world.from = ([198, 51, 100, 1], 40_000).into();
            (world, Service::Access, Ask::guest(1, 1).sealed())
        }
        DropReason::ClientWithoutSecret => {
            world.from = mute_switch();
            (world, Service::Access, Ask::guest(1, 1).sealed())
        }
        DropReason::RateLimited => {
            let mut config = config(&AaaFeature::ALL);
            config.program.features.requests_per_second_max = 1;
            let mut world = World::of(config);
            world.admit(&Ask::guest(1, 1));
            (world, Service::Access, Ask::guest(2, 1).sealed())
        }
        DropReason::Malformed => (world, Service::Access, Ask::guest(1, 1).sealed()[..19].to_vec()),
        DropReason::WrongPort => (world, Service::Accounting, Ask::guest(1, 1).sealed()),
        // An Access-Accept.
        DropReason::NotARequest => from_switch(&Ask::new(ACCESS_ACCEPT, 1)),
        DropReason::MessageAuthenticatorMissing => from_switch(&Ask::guest(1, 1).without(Type::MESSAGE_AUTHENTICATOR)),
        DropReason::MessageAuthenticatorRepeated => {
            from_switch(&Ask::guest(1, 1).add(Type::MESSAGE_AUTHENTICATOR, [0; 16]))
        }
        DropReason::MessageAuthenticatorWrong => from_switch(&Ask::guest(1, 1).under(HARBOUR_SECRET)),
        DropReason::RequestAuthenticatorWrong => {
            let ask = Ask::accounting(1, START, "s").under(HARBOUR_SECRET);
            (world, Service::Accounting, ask.sealed())
        }
        DropReason::DuplicateInProgress => {
            let ask = Ask::guest(1, 1);
            let _ = world.pend(&ask);
            (world, Service::Access, ask.sealed())
        }
        DropReason::EndpointBusy => {
            let _ = world.pend(&Ask::guest(1, 1));
            (world, Service::Access, Ask::guest(2, 1).sealed())
        }
        DropReason::RequestReplayed => {
            let ask = Ask::guest(1, 1);
            world.admit(&ask);
            world.pass(30);
            (world, Service::Access, ask.sealed())
        }
        DropReason::TooManyPending => {
            for number in 0..PENDING_REQUESTS_MAX {
                let _ = world.record(&Ask::accounting(1, START, &format!("session {number}")));
            }
            (world, Service::Access, Ask::guest(1, 1).sealed())
        }
        DropReason::DisconnectLeftOut => from_switch(&Ask::new(DISCONNECT_REQUEST, 1)),
        DropReason::CoaLeftOut => from_switch(&Ask::new(COA_REQUEST, 1)),
        DropReason::StatusServerLeftOut => {
            (World::with(&[AaaFeature::Pap]), Service::Access, Ask::new(STATUS_SERVER, 1).sealed())
        }
        DropReason::AccountingLeftOut => {
            (World::with(&STRICT), Service::Accounting, Ask::accounting(1, START, "s").sealed())
        }
        // Acct-Status-Type Tunnel-Start (RFC 2867, section 3).
        DropReason::AccountingStatusLeftOut => (world, Service::Accounting, Ask::accounting(1, 9, "s").sealed()),
        DropReason::AccountingInvalid => {
            let ask = Ask::accounting(1, START, "s").without(Type::ACCT_SESSION_ID);
            (world, Service::Accounting, ask.sealed())
        }
        DropReason::AnswerTooLong => {
            // What the answer adds is longer than what the request has beside the Proxy-States.
            let mut ask = Ask::user("six", 1, 1).pap(b"heart");
            while ask.plain().len() + 255 <= 4_096 {
                ask = ask.add(Type::PROXY_STATE, [1; 253]);
            }
            let left = 4_096 - ask.plain().len() - 2;
            from_switch(&ask.add(Type::PROXY_STATE, vec![1; left]))
        }
        DropReason::NotRecorded | DropReason::QueueFull => unreachable!("the disk's, below"),
    }
}

#[test]
fn every_drop_reason_is_provoked_and_counted_alone_and_binds_nothing() {
    let of_the_disk = [DropReason::NotRecorded, DropReason::QueueFull];
    let mut provoked = BTreeSet::from(of_the_disk);
    for reason in DropReason::ALL.iter().copied().filter(|reason| !of_the_disk.contains(reason)) {
        let (mut world, service, datagram) = drop_case(reason);
        let before = world.realm.counters().clone();
        let sessions = world.realm.session_count();
        match world.hand(service, &datagram) {
            Outcome::Dropped(dropped) => assert_eq!(dropped, reason),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(dropped_since(&before, world.realm.counters()), reason);
        assert_eq!(world.realm.session_count(), sessions, "{reason}");
        provoked.insert(reason);
    }
    for reason in of_the_disk {
        let mut world = World::full();
        let before = world.realm.counters().clone();
        let ask = Ask::accounting(1, START, "s");
        let pending = world.record(&ask);
        world.realm.not_recorded(&pending, reason);
        assert_eq!(dropped_since(&before, world.realm.counters()), reason);
        // Reported again, it is written.
        let _ = world.account(&ask);
    }
    assert_eq!(provoked, DropReason::ALL.iter().copied().collect());
}

/// A request that is rejected for a reason, and what Reply-Message must say; nothing where it would help an attacker.
fn reject_case(reason: RejectReason) -> (World, Ask, &'static str) {
    let mut world = World::full();
    let guest = Ask::guest(1, 1);
    let (ask, message) = match reason {
        RejectReason::WrongCredentials => (Ask::user("guest", 1, 1).pap(b"wrong"), ""),
        // The endpoint that a meter's credential names.
        RejectReason::CallingStationTaken => (Ask::guest(1, 0x2a), "belongs to another user"),
        // EAP-Response, Identity (RFC 3579, section 3.1).
        RejectReason::EapLeftOut => {
            (Ask::user("guest", 1, 1).add(Type::EAP_MESSAGE, [2, 1, 0, 5, 1]), "EAP is left out")
        }
        RejectReason::PapLeftOut => {
            world = World::with(&STRICT);
            (guest, "PAP is left out")
        }
        RejectReason::ChapLeftOut => {
            world = World::with(&[AaaFeature::Pap]);
            (Ask::user("guest", 1, 1).chap(GUEST_PASSWORD), "CHAP is left out")
        }
        RejectReason::ArapLeftOut => (Ask::user("guest", 1, 1).add(Type::ARAP_PASSWORD, [0; 16]), "ARAP is left out"),
        // Administrative (RFC 2865, section 5.6).
        RejectReason::ServiceTypeLeftOut => {
            (guest.number(Type::SERVICE_TYPE, 6), "Service-Type Administrative is left out")
        }
        RejectReason::MobilityLeftOut => {
            (guest.add(Type::MIP6_FEATURE_VECTOR, [0; 8]), "mobility (MIP6-Feature-Vector) is left out")
        }
        RejectReason::LocationLeftOut => {
            (guest.add(Type::LOCATION_INFORMATION, [0; 21]), "location (Location-Information) is left out")
        }
        RejectReason::UnexpectedState => (guest.add(Type::STATE, b"x"), "State"),
        RejectReason::UserNameMissing => (guest.without(Type::USER_NAME), "User-Name"),
        RejectReason::NoCredentials => (Ask::user("guest", 1, 1), "no User-Password and no CHAP-Password"),
        RejectReason::TwoCredentials => (guest.chap(GUEST_PASSWORD), "User-Password and CHAP-Password"),
        // Three octets where a number has four (RFC 2865, section 5).
        RejectReason::MalformedValue => (guest.add(Type::NAS_PORT, [0; 3]), "NAS-Port"),
        RejectReason::CallingStationMissing => (guest.without(Type::CALLING_STATION_ID), "Calling-Station-Id"),
        RejectReason::CallingStationUnusable => {
            let bare = guest.without(Type::CALLING_STATION_ID);
            (bare.add(Type::CALLING_STATION_ID, "+41 31 000 00 00"), "Calling-Station-Id is no unicast MAC")
        }
        RejectReason::CallingStationForeign => {
            (Ask::user("meter-0042", 1, 1).pap(METER_PASSWORD), "Calling-Station-Id is not the credential's")
        }
        RejectReason::AddressUnusable => {
            (guest.add(Type::FRAMED_IP_ADDRESS, [224, 0, 0, 1]), "224.0.0.1 is no address")
        }
        RejectReason::AddressTaken => (guest.add(Type::FRAMED_IP_ADDRESS, [10, 110, 0, 42]), "10.110.0.42 is taken"),
        RejectReason::UserSessions => {
            world.admit(&Ask::guest(9, 9));
            (guest, "the user has no room")
        }
        RejectReason::SegmentSessions => {
            let mut config = config(&AaaFeature::ALL);
            config.sessions_max = 1;
            world = World::of(config);
            world.admit(&Ask::meter(9));
            (guest, "the segment has no room")
        }
        RejectReason::BindRefused => unreachable!("the dataplane's, below"),
    };
    (world, ask, message)
}

#[test]
fn every_reject_reason_is_provoked_and_counted_alone_and_told_unless_that_helps_an_attacker() {
    let mut provoked = BTreeSet::from([RejectReason::BindRefused]);
    for reason in RejectReason::ALL.iter().copied().filter(|reason| *reason != RejectReason::BindRefused) {
        let (mut world, ask, message) = reject_case(reason);
        let sessions = world.realm.session_count();
        let (found, reply) = world.reject(&ask);
        assert_eq!(found, reason);
        match reply.all(Type::REPLY_MESSAGE)[..] {
            [] => assert_eq!(message, "", "{reason}"),
            [text] => {
                let text = std::str::from_utf8(text).unwrap();
                assert!(!message.is_empty() && text.contains(message), "{reason}: {text}");
            }
            _ => panic!("{reason}: {reply:?}"),
        }
        // A rejection says nothing else (RFC 2865, section 5.44).
        assert!(reply.attributes.len() <= 2, "{reply:?}");
        assert_eq!(world.realm.session_count(), sessions, "{reason}");
        provoked.insert(reason);
    }
    let mut world = World::full();
    let before = world.realm.counters().clone();
    let pending = world.pend(&Ask::guest(1, 1));
    let done = world.realm.bound(world.now(), pending, Err(BindRefused::TableFull));
    assert_eq!(Ask::guest(1, 1).read(&done.answer.unwrap()).code, ACCESS_REJECT);
    assert_eq!(rejected_since(&before, world.realm.counters()), RejectReason::BindRefused);
    assert_eq!(provoked, RejectReason::ALL.iter().copied().collect());
}

#[test]
fn what_a_profile_leaves_out_is_refused_whatever_else_it_includes() {
    for left_out in AaaFeature::ALL {
        let include: Vec<AaaFeature> = AaaFeature::ALL.into_iter().filter(|feature| *feature != left_out).collect();
        let mut world = World::with(&include);
        let (pap, chap) = (Ask::guest(1, 1), Ask::user("guest", 2, 1).chap(GUEST_PASSWORD));
        let (start, status) = (Ask::accounting(3, START, "s"), Ask::new(STATUS_SERVER, 4));
        match left_out {
            AaaFeature::Pap => assert_eq!(world.reject(&pap).0, RejectReason::PapLeftOut),
            _ => drop(world.admit(&pap)),
        }
        match left_out {
            AaaFeature::Chap => assert_eq!(world.reject(&chap).0, RejectReason::ChapLeftOut),
            _ => drop(world.admit(&chap)),
        }
        match (left_out, world.ask(&start)) {
            (AaaFeature::Accounting, Outcome::Dropped(reason)) => assert_eq!(reason, DropReason::AccountingLeftOut),
            (_, outcome) => assert!(matches!(outcome, Outcome::Record(_)), "{left_out}: {outcome:?}"),
        }
        match (left_out, world.ask(&status)) {
            (AaaFeature::StatusServer, Outcome::Dropped(reason)) => assert_eq!(reason, DropReason::StatusServerLeftOut),
            (_, outcome) => assert!(matches!(outcome, Outcome::Answer(_)), "{left_out}: {outcome:?}"),
        }
        // On the port of what is left out, Status-Server would say that it is there.
        if left_out == AaaFeature::Accounting {
            let outcome = world.hand(Service::Accounting, &status.sealed());
            assert!(matches!(outcome, Outcome::Dropped(DropReason::AccountingLeftOut)), "{outcome:?}");
        }
    }
}

#[test]
fn every_attribute_of_mobility_and_of_location_is_refused_by_name() {
    // RFC 5447 and RFC 6572 (mobility), RFC 5580 (location), with values of the form that those documents give.
    let number: [u8; 4] = [0, 0, 0, 1];
    let prefix6: [u8; 2] = [0, 0];
    let prefix4: [u8; 6] = [0, 0, 0, 0, 0, 0];
    let cases: [(u8, &[u8], RejectReason); 26] = [
        (124, &[0; 8], RejectReason::MobilityLeftOut),
        (125, &[0; 17], RejectReason::MobilityLeftOut),
        (145, b"x", RejectReason::MobilityLeftOut),
        (146, b"x", RejectReason::MobilityLeftOut),
        (147, &[0; 16], RejectReason::MobilityLeftOut),
        (148, &[0; 16], RejectReason::MobilityLeftOut),
        (149, &number, RejectReason::MobilityLeftOut),
        (150, &number, RejectReason::MobilityLeftOut),
        (151, &prefix6, RejectReason::MobilityLeftOut),
        (152, &prefix6, RejectReason::MobilityLeftOut),
        (153, &[0; 8], RejectReason::MobilityLeftOut),
        (154, &[0; 8], RejectReason::MobilityLeftOut),
        (155, &prefix4, RejectReason::MobilityLeftOut),
        (156, &prefix4, RejectReason::MobilityLeftOut),
        (157, &number, RejectReason::MobilityLeftOut),
        (158, &number, RejectReason::MobilityLeftOut),
        (159, &[0; 16], RejectReason::MobilityLeftOut),
        (160, &[0; 16], RejectReason::MobilityLeftOut),
        (161, &number, RejectReason::MobilityLeftOut),
        (162, &number, RejectReason::MobilityLeftOut),
        (127, b"x", RejectReason::LocationLeftOut),
        (128, b"x", RejectReason::LocationLeftOut),
        (129, b"x", RejectReason::LocationLeftOut),
        (130, b"x", RejectReason::LocationLeftOut),
        (131, &number, RejectReason::LocationLeftOut),
        (132, &number, RejectReason::LocationLeftOut),
    ];
    let mut world = World::full();
    for (kind, value, reason) in cases {
        assert_eq!(world.reject(&Ask::guest(kind, 1).add(Type(kind), value)).0, reason, "attribute {kind}");
    }
}

#[test]
fn every_service_type_but_framed_is_refused_by_name() {
    // RFC 2865, section 5.6; 17 is RFC 5176, section 3.1; 99 is nobody's.
    for (number, name) in [
        (1, "Login"),
        (3, "Callback-Login"),
        (4, "Callback-Framed"),
        (5, "Outbound"),
        (6, "Administrative"),
        (7, "NAS-Prompt"),
        (8, "Authenticate-Only"),
        (9, "Callback-NAS-Prompt"),
        (10, "Call-Check"),
        (11, "Callback-Administrative"),
        (17, "Authorize-Only"),
        (99, "99"),
    ] {
        let mut world = World::full();
        let (reason, reply) = world.reject(&Ask::guest(1, 1).number(Type::SERVICE_TYPE, number));
        assert_eq!(reason, RejectReason::ServiceTypeLeftOut);
        assert_eq!(reply.message(), format!("Service-Type {name} is left out of this AAA"));
    }
}

#[test]
fn a_station_that_is_no_unicast_mac_address_can_t_be_bound() {
    for text in
        ["", "02-00-00-00-00", "02-00-00-00-00-2A-00", "01-00-5E-00-00-01", "FF-FF-FF-FF-FF-FF", "00-00-00-00-00-00"]
    {
        let mut world = World::full();
        let ask = Ask::guest(1, 1).without(Type::CALLING_STATION_ID).add(Type::CALLING_STATION_ID, text);
        assert_eq!(world.reject(&ask).0, RejectReason::CallingStationUnusable, "{text}");
    }
}

#[test]
fn codes_that_nobody_may_ask_by_are_dropped_by_name_on_both_ports() {
    for code in 0..=255 {
        for service in [Service::Access, Service::Accounting] {
            let mut world = World::full();
            let reason = match (code, service) {
                (ACCESS_REQUEST, Service::Access) | (ACCOUNTING_REQUEST, Service::Accounting) | (STATUS_SERVER, _) => {
                    continue;
                }
                (ACCESS_REQUEST | ACCOUNTING_REQUEST, _) => DropReason::WrongPort,
                (DISCONNECT_REQUEST, _) => DropReason::DisconnectLeftOut,
                (COA_REQUEST, _) => DropReason::CoaLeftOut,
                _ => DropReason::NotARequest,
            };
            let outcome = world.hand(service, &Ask::new(code, 1).sealed());
            assert!(matches!(outcome, Outcome::Dropped(found) if found == reason), "{code}: {outcome:?}");
        }
    }
}
