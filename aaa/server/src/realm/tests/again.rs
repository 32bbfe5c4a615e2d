//! Requests that come again (RFC 2865, section 2.5; RFC 5080, section 2.2.2).

use std::time::Duration;

use aaa_wire::Type;

use crate::answers::{ANSWER_AGE_MAX, AUTHENTICATORS_MAX, Replays};
use crate::reason::{DropReason, RejectReason, Tally};
use crate::support::*;
use crate::{Outcome, Service};

fn answer(outcome: Outcome) -> Vec<u8> {
    let Outcome::Answer(answer) = outcome else { panic!("expected an answer: {outcome:?}") };
    answer
}

#[test]
fn the_same_request_gets_the_same_octets_and_binds_once() {
    let mut world = World::full();
    let ask = Ask::meter(1);
    let pending = world.pend(&ask);
    // While the dataplane works, another binding must not be begun.
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::DuplicateInProgress)));
    let first = world.realm.bound(world.now(), pending, Ok(())).answer.unwrap();
    let before = world.realm.counters().clone();
    for _ in 0..3 {
        world.pass(5);
        assert_eq!(answer(world.ask(&ask)), first);
    }
    assert_eq!(changed(&before, world.realm.counters()), [("count", "answered-again"); 3]);
    assert_eq!((world.realm.session_count(), world.realm.counters().tally(Tally::Accepted)), (1, 1));
}

#[test]
fn a_rejected_request_gets_the_same_octets_again_and_is_counted_once() {
    let mut world = World::full();
    let ask = Ask::user("guest", 1, 1).pap(b"wrong");
    let first = answer(world.ask(&ask));
    assert_eq!(answer(world.ask(&ask)), first);
    assert_eq!(world.realm.counters().rejected(RejectReason::WrongCredentials), 1);
}

#[test]
fn the_same_identifier_with_another_authenticator_is_a_new_request() {
    let mut world = World::full();
    let (first, one) = world.admit(&Ask::guest(1, 1));
    let (second, two) = world.admit(&Ask::user("guest", 1, 1).fresh(2).pap(GUEST_PASSWORD));
    assert_ne!(first.session, second.session);
    assert_ne!(one, two);
    assert_eq!(world.realm.counters().tally(Tally::AnsweredAgain), 0);
}

#[test]
fn the_same_authenticator_under_another_identifier_or_from_another_port_is_a_replay() {
    let mut world = World::full();
    let mut ask = Ask::guest(1, 1);
    world.admit(&ask);
    ask.identifier = 2;
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::RequestReplayed)));
    world.from.set_port(40_001);
    ask.identifier = 1;
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::RequestReplayed)));
}

#[test]
fn the_answer_to_one_client_is_not_given_to_another() {
    let mut world = World::full();
    let ask = Ask::guest(1, 1);
    world.admit(&ask);
    world.from = harbour_switch();
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::MessageAuthenticatorWrong)));
}

#[test]
fn a_request_that_comes_after_its_answer_is_forgotten_lets_nobody_in_again() {
    let mut world = World::full();
    let ask = Ask::guest(1, 1);
    let (grant, _) = world.admit(&ask);
    world.clock = ANSWER_AGE_MAX.saturating_sub(Duration::from_nanos(1));
    answer(world.ask(&ask));
    world.clock = ANSWER_AGE_MAX;
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::RequestReplayed)));
    // Nor after the session has ended.
    let _ = world.account(&Ask::accounting(1, STOP, "s").add(Type::CLASS, grant.session.to_string()));
    assert_eq!(world.realm.session_count(), 0);
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::RequestReplayed)));
}

#[test]
fn so_many_authenticators_are_remembered() {
    let mut replays = Replays::default();
    let authenticator = |number: usize| {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&number.to_be_bytes());
        aaa_wire::Authenticator(octets)
    };
    for number in 0..=AUTHENTICATORS_MAX {
        replays.note(authenticator(number));
    }
    assert!(!replays.knows(authenticator(0)) && replays.knows(authenticator(1)));
    assert!(replays.knows(authenticator(AUTHENTICATORS_MAX)));
}

#[test]
fn a_request_with_other_octets_under_the_same_key_needs_a_seal_of_its_own() {
    let mut world = World::full();
    let ask = Ask::guest(1, 1);
    world.admit(&ask);
    // The answer is not told to somebody who can't sign.
    let mut forged = ask.sealed();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let outcome = world.hand(Service::Access, &forged);
    assert!(matches!(outcome, Outcome::Dropped(DropReason::MessageAuthenticatorWrong)), "{outcome:?}");
}

#[test]
fn an_access_and_an_accounting_request_of_the_same_identifier_are_two() {
    let mut world = World::full();
    world.admit(&Ask::guest(1, 1));
    let (record, _) = world.account(&Ask::accounting(1, START, "s").add(Type::USER_NAME, "guest"));
    assert_eq!(record.accounting_session.as_deref(), Some("s"));
}

#[test]
fn the_same_accounting_request_gets_the_same_octets_and_is_recorded_once() {
    let mut world = World::full();
    let ask = Ask::accounting(1, START, "s");
    let pending = world.record(&ask);
    assert!(matches!(world.ask(&ask), Outcome::Dropped(DropReason::DuplicateInProgress)));
    let first = world.realm.recorded(world.now(), pending, true).answer.unwrap();
    assert_eq!(answer(world.ask(&ask)), first);
    assert_eq!(world.realm.counters().tally(Tally::Recorded), 1);
}
