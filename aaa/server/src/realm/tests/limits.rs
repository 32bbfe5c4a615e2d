//! Rates, numbers of sessions, and a dataplane that says no or nothing.

use std::time::Duration;

use aaa_wire::Type;
use model::profile::AaaFeature;

use crate::grant::EndCause;
use crate::reason::{DropReason, RejectReason, Tally};
use crate::support::*;
use crate::{BindRefused, Completion, Credentials, Grant, Outcome, Service};

const REFUSED: [BindRefused; 6] = [
    BindRefused::TableFull,
    BindRefused::AddressInUse,
    BindRefused::BoundElsewhere,
    BindRefused::NotAStation,
    BindRefused::NotRunning,
    BindRefused::TimedOut,
];

fn refuse(world: &mut World, ask: &Ask, refused: BindRefused) -> (Grant, Completion) {
    let pending = world.pend(ask);
    let grant = pending.grant().clone();
    (grant, world.realm.bound(world.now(), pending, Err(refused)))
}

#[test]
fn a_client_s_requests_above_its_rate_are_dropped_and_another_client_s_are_not() {
    let mut config = config(&AaaFeature::ALL);
    config.program.features.requests_per_second_max = 10;
    let mut world = World::of(config);
    let asked = |world: &mut World, tries: u32| {
        let served = |world: &mut World, seed| {
            let ask = Ask::user("guest", 1, 1).fresh(seed).pap(b"wrong");
            matches!(world.ask(&ask), Outcome::Answer(_))
        };
        (0..tries).filter(|seed| served(world, *seed)).count()
    };
    assert_eq!(asked(&mut world, 30), 10);
    assert_eq!(world.realm.counters().dropped(DropReason::RateLimited), 20);
    world.from = harbour_switch();
    let harbour = Ask::guest(1, 1).under(HARBOUR_SECRET);
    assert!(matches!(world.ask(&harbour), Outcome::Answer(_) | Outcome::Bind(_)));
    world.from = city_switch();
    world.clock += Duration::from_millis(500);
    assert_eq!(asked(&mut world, 30), 5);
    world.pass(60);
    assert_eq!(asked(&mut world, 30), 10);
}

#[test]
fn only_what_the_client_has_sealed_uses_up_its_rate() {
    let mut config = config(&AaaFeature::ALL);
    config.program.features.requests_per_second_max = 2;
    let mut world = World::of(config);
    world.from = ([198, 51, 100, 1], 1).into();
    for _ in 0..9 {
        assert!(matches!(world.hand(Service::Access, b""), Outcome::Dropped(DropReason::UnknownClient)));
    }
    world.from = city_switch();
    // Anybody can send these in the client's name.
    for _ in 0..9 {
        assert!(matches!(world.hand(Service::Access, b""), Outcome::Dropped(DropReason::Malformed)));
        let forged = Ask::guest(1, 1).under(HARBOUR_SECRET);
        assert!(matches!(world.ask(&forged), Outcome::Dropped(DropReason::MessageAuthenticatorWrong)));
    }
    world.admit(&Ask::guest(1, 1));
    world.admit(&Ask::guest(2, 1));
    assert!(matches!(world.ask(&Ask::guest(3, 1)), Outcome::Dropped(DropReason::RateLimited)));
}

#[test]
fn a_segment_has_so_many_sessions_and_those_that_are_being_bound_count() {
    let mut config = config(&AaaFeature::ALL);
    config.sessions_max = 2;
    let mut world = World::of(config);
    world.admit(&Ask::guest(1, 1));
    let pending = world.pend(&Ask::user("head-end", 2, 2).pap(b"arctangent"));
    let third = |identifier| Ask::user("head-end", identifier, 3).pap(b"arctangent");
    assert_eq!(world.reject(&third(3)).0, RejectReason::SegmentSessions);
    // An endpoint that has a session may ask again.
    world.admit(&Ask::guest(4, 1));
    let _ = world.realm.bound(world.now(), pending, Err(BindRefused::TableFull));
    world.admit(&third(5));
    assert_eq!(world.realm.session_count(), 2);
}

#[test]
fn a_user_has_so_many_sessions_and_the_one_that_is_replaced_does_not_count() {
    let mut world = World::full();
    let head_end = |identifier, last| Ask::user("head-end", identifier, last).pap(b"arctangent");
    world.admit(&head_end(1, 1));
    world.admit(&head_end(2, 2));
    assert_eq!(world.reject(&head_end(3, 3)).0, RejectReason::UserSessions);
    world.admit(&head_end(4, 2));
    // Another user takes over the endpoint: one of head-end's is free again.
    world.admit(&Ask::guest(5, 2));
    world.admit(&head_end(6, 3));
    assert_eq!(world.reject(&Ask::guest(7, 9)).0, RejectReason::UserSessions);
}

#[test]
fn a_refusal_of_the_dataplane_is_told_in_a_reject_and_leaves_no_session() {
    for refused in REFUSED {
        let mut world = World::full();
        let ask = Ask::meter(1);
        let (grant, done) = refuse(&mut world, &ask, refused);
        let octets = done.answer.unwrap();
        let reply = ask.read(&octets);
        assert_eq!((reply.code, reply.message()), (ACCESS_REJECT, format!("not admitted: {refused}").as_str()));
        assert_eq!((reply.all(Type::CLASS).len(), reply.all(Type::FRAMED_IP_ADDRESS).len()), (0, 0));
        assert_eq!(world.realm.counters().rejected(RejectReason::BindRefused), 1);
        assert_eq!(world.realm.counters().tally(Tally::Accepted), 0);
        assert_eq!((world.realm.session_count(), world.realm.sessions()), (0, vec![]));
        assert_eq!(world.realm.next_deadline(), None);
        // Only where nobody knows what the dataplane did must it be told to undo it.
        let undone: Vec<_> = done.unbind.iter().map(|unbind| (unbind.session, unbind.mac, unbind.cause)).collect();
        match refused {
            BindRefused::TimedOut => assert_eq!(undone, [(grant.session, grant.mac, EndCause::BindUnknown)]),
            _ => assert_eq!(undone, []),
        }
        // The same request again: the same answer. A new one: a new try.
        assert!(matches!(world.ask(&ask), Outcome::Answer(again) if again == octets));
        world.admit(&Ask::meter(2));
    }
}

#[test]
fn an_endpoint_whose_new_binding_is_refused_keeps_the_old_one() {
    for refused in REFUSED {
        let mut world = World::full();
        let (old, _) = world.admit(&Ask::meter(1));
        let (new, done) = refuse(&mut world, &Ask::meter(2), refused);
        let left: Vec<_> = world.realm.sessions().into_iter().map(|session| session.grant.session).collect();
        if refused == BindRefused::TimedOut {
            assert_eq!(left, []);
            // Whichever the dataplane has.
            assert_eq!(done.unbind.iter().map(|unbind| unbind.session).collect::<Vec<_>>(), [old.session, new.session]);
        } else {
            assert_eq!((left, done.unbind), (vec![old.session], vec![]));
            assert_eq!(world.realm.next_deadline(), Some(Duration::from_secs(SESSION_SECONDS.into())));
        }
        assert_eq!(world.realm.counters().tally(Tally::SessionReplaced), 0);
    }
}

#[test]
fn an_endpoint_that_is_being_bound_is_in_no_list_and_blocks_nobody_else() {
    let mut world = World::full();
    let pending = world.pend(&Ask::guest(1, 1));
    assert_eq!((world.realm.sessions().len(), world.realm.session_count()), (0, 1));
    let busy = Ask::user("monitor-7", 2, 1).pap(b"heart");
    assert!(matches!(world.ask(&busy), Outcome::Dropped(DropReason::EndpointBusy)));
    world.admit(&Ask::meter(3));
    let _ = world.realm.bound(world.now(), pending, Ok(()));
    assert_eq!(world.realm.sessions().len(), 2);
    // The request that found it busy was not answered, so that it is worked on when it comes again.
    world.admit(&busy);
}

#[test]
fn a_credential_that_goes_while_the_dataplane_works_grants_nothing() {
    for result in [Ok(()), Err(BindRefused::TableFull), Err(BindRefused::TimedOut)] {
        let mut world = World::full();
        let (old, _) = world.admit(&Ask::guest(1, 1));
        let ask = Ask::guest(2, 1);
        let pending = world.pend(&ask);
        let new = pending.grant().session;
        let secrets = SECRETS.replace("name: guest, password: \"heart\"", "name: guest, password: \"other\"");
        let credentials = Credentials::parse("s.yaml", &secrets);
        let revoked = world.realm.reconfigure(config(&AaaFeature::ALL), credentials, world.now());
        assert_eq!(revoked.iter().map(|unbind| unbind.session).collect::<Vec<_>>(), [new, old.session]);
        // The dataplane may have bound it after it was told to unbind it.
        let done = world.realm.bound(world.now(), pending, result);
        let undone: Vec<_> = done.unbind.iter().map(|unbind| unbind.session).collect();
        assert_eq!(undone, [new], "{result:?}");
        assert_eq!(ask.read(&done.answer.unwrap()).code, ACCESS_REJECT, "{result:?}");
        assert_eq!((world.realm.session_count(), world.realm.sessions()), (0, vec![]), "{result:?}");
        assert_eq!(world.realm.counters().rejected(RejectReason::BindRefused), 1);
        assert_eq!(world.realm.counters().tally(Tally::Accepted), 1, "the first one's");
    }
}

#[test]
fn a_client_that_loses_its_secret_while_the_dataplane_works_gets_no_answer_and_its_session_ends() {
    let mut world = World::full();
    let pending = world.pend(&Ask::guest(1, 1));
    let session = pending.grant().session;
    let credentials = Credentials::parse("s.yaml", &SECRETS.replace("name: city-switch", "name: town-switch"));
    let revoked = world.realm.reconfigure(config(&AaaFeature::ALL), credentials, world.now());
    let done = world.realm.bound(world.now(), pending, Ok(()));
    assert_eq!(done.answer, None);
    let ended: Vec<_> = revoked.into_iter().chain(done.unbind).map(|unbind| unbind.session).collect();
    assert!(ended.contains(&session), "nobody was told that it is in");
    assert_eq!(world.realm.session_count(), 0);
}
