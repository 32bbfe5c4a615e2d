//! Accounting: what is recorded, how often, and what a record ends.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use aaa_wire::Type;
use model::profile::AaaFeature;

use crate::grant::EndCause;
use crate::reason::{DropReason, Tally};
use crate::record::AccountingEvent;
use crate::sessions::ENDED_SESSIONS_MAX;
use crate::support::*;
use crate::{Completion, Credentials, Grant, Outcome, Realm, Record, Service};

/// Made by radclient 3.2.1 under `testing123`: accounting start, without and with a Message-Authenticator.
const RADCLIENT_ACCOUNTING: [&str; 2] = [
    "0440002c208b49583b391dd9828d92b89dc176692806000000012c0630303031010c6d657465722d30303432",
    "0443003e80056f47308b1b1804e6f3264903cb242806000000012c0630303031010c6d657465722d303034325012e3cd3f37a7deaf0c65e23b8a
     5899e845",
];

fn of(grant: &Grant, identifier: u8, status: u32) -> Ask {
    Ask::accounting(identifier, status, "s-1").add(Type::CLASS, grant.session.to_string())
}

fn dropped(world: &mut World, ask: &Ask) -> DropReason {
    let before = world.realm.counters().clone();
    let outcome = world.ask(ask);
    assert!(matches!(outcome, Outcome::Dropped(_)), "{outcome:?}");
    dropped_since(&before, world.realm.counters())
}

/// What a completion unbinds: which session, and why.
fn ended(completion: &Completion) -> Vec<(crate::SessionId, EndCause)> {
    completion.unbind.iter().map(|unbind| (unbind.session, unbind.cause)).collect()
}

#[test]
fn accounting_requests_of_radclient_are_recorded_and_answered() {
    for hex in RADCLIENT_ACCOUNTING {
        let mut world = World::full();
        let request = octets(hex);
        let Outcome::Record(pending) = world.hand(Service::Accounting, &request) else { panic!("{hex}") };
        let record = pending.record().clone();
        assert_eq!((record.event, record.identity.as_deref()), (AccountingEvent::Start, Some("meter-0042")));
        assert_eq!(record.accounting_session.as_deref(), Some("0001"));
        let done = world.realm.recorded(world.now(), *pending, true);
        assert_eq!(Reply::read(&request, &done.answer.unwrap(), SECRET).code, ACCOUNTING_RESPONSE);
    }
}

#[test]
fn a_record_has_everything_that_the_request_says() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    world.pass(100);
    let six: std::net::Ipv6Addr = "2001:db8::42".parse().unwrap();
    let ask = of(&grant, 2, STOP)
        .add(Type::USER_NAME, "meter-0042")
        .add(Type::NAS_IDENTIFIER, "access-switch")
        .add(Type::NAS_IP_ADDRESS, [192, 0, 2, 9])
        .add(Type::CALLING_STATION_ID, station(0x2a))
        .add(Type::FRAMED_IP_ADDRESS, [10, 110, 0, 42])
        .add(Type::FRAMED_IPV6_ADDRESS, six.octets())
        .number(Type::ACCT_DELAY_TIME, 3)
        .number(Type::ACCT_SESSION_TIME, 97)
        .number(Type::ACCT_INPUT_OCTETS, 5)
        .number(Type::ACCT_INPUT_GIGAWORDS, 2)
        .number(Type::ACCT_OUTPUT_OCTETS, u32::MAX)
        .number(Type::ACCT_INPUT_PACKETS, 6)
        .number(Type::ACCT_OUTPUT_PACKETS, 7)
        .number(Type::ACCT_TERMINATE_CAUSE, 1);
    let (record, _) = world.account(&ask);
    let expected = Record {
        // 2023-11-14 22:13:20 UTC and 100 s; it happened 3 s before (RFC 2866, section 5.2).
        received_millis: 1_700_000_100_000,
        event_seconds: 1_700_000_097,
        event: AccountingEvent::Stop,
        client: "city-switch".parse().unwrap(),
        nas_identifier: Some("access-switch".into()),
        nas_address: Some([192, 0, 2, 9].into()),
        accounting_session: Some("s-1".into()),
        session: Some(grant.session.to_string()),
        authenticated: true,
        identity: Some("meter-0042".into()),
        mac: Some(mac(0x2a)),
        addresses: vec![[10, 110, 0, 42].into(), IpAddr::V6(six)],
        session_seconds: Some(97),
        // RFC 2869, section 5.1: how often 2^32 octets went by.
        input_octets: Some(2 * 4_294_967_296 + 5),
        output_octets: Some(4_294_967_295),
        input_packets: Some(6),
        output_packets: Some(7),
        terminate_cause: Some(1),
        fingerprint: record.fingerprint,
    };
    assert_eq!(record, expected);
}

#[test]
fn event_timestamp_goes_before_the_delay() {
    let mut world = World::full();
    let ask =
        Ask::accounting(1, START, "s").number(Type::EVENT_TIMESTAMP, 1_600_000_000).number(Type::ACCT_DELAY_TIME, 9);
    assert_eq!(world.account(&ask).0.event_seconds, 1_600_000_000);
    // A delay that is longer than time itself.
    let mut world = World::full();
    let ask = Ask::accounting(1, START, "s").number(Type::ACCT_DELAY_TIME, u32::MAX);
    assert_eq!(world.account(&ask).0.event_seconds, 0);
}

#[test]
fn start_interim_and_stop_are_one_record_each_and_the_stop_ends_the_session() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    for (identifier, status) in [(2, START), (3, INTERIM), (4, INTERIM)] {
        let ask = of(&grant, identifier, status).number(Type::ACCT_SESSION_TIME, identifier.into());
        let (record, done) = world.account(&ask);
        assert_eq!((record.session, record.authenticated), (Some(grant.session.to_string()), true));
        assert_eq!((ended(&done), world.realm.session_count()), (vec![], 1));
    }
    let (record, done) = world.account(&of(&grant, 5, STOP));
    assert!(record.authenticated);
    assert_eq!(ended(&done), [(grant.session, EndCause::ClientStop)]);
    assert_eq!((done.unbind[0].mac, world.realm.session_count()), (grant.mac, 0));
    let counters = world.realm.counters();
    assert_eq!((counters.tally(Tally::Recorded), counters.tally(Tally::SessionStopped)), (4, 1));
    assert_eq!(counters.tally(Tally::RecordedUnauthenticated), 0);
}

#[test]
fn a_stop_ends_the_session_only_when_it_is_on_the_disk() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let stop = of(&grant, 2, STOP);
    let pending = world.record(&stop);
    assert_eq!(world.realm.session_count(), 1);
    let before = world.realm.counters().clone();
    let done = world.realm.recorded(world.now(), pending, false);
    assert_eq!((done.unbind, done.answer), (vec![], None), "no answer, so that the NAS asks again");
    assert_eq!(dropped_since(&before, world.realm.counters()), DropReason::NotRecorded);
    assert_eq!(world.realm.session_count(), 1);
    // The same request again.
    let (_, done) = world.account(&stop);
    assert_eq!(ended(&done), [(grant.session, EndCause::ClientStop)]);
}

#[test]
fn an_event_that_is_reported_again_in_a_new_request_is_confirmed_and_not_recorded() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let (_, done) = world.account(&of(&grant, 2, STOP).number(Type::ACCT_DELAY_TIME, 0));
    assert_eq!(done.unbind.len(), 1);
    // RFC 2866, section 5.2: with another Acct-Delay-Time the request has another identifier and authenticator.
    for (identifier, delay) in [(3, 5), (4, 60), (5, 3_600)] {
        world.pass(delay);
        let again =
            of(&grant, identifier, STOP).number(Type::ACCT_DELAY_TIME, delay).add(Type::PROXY_STATE, [identifier]);
        let Outcome::Answer(answer) = world.ask(&again) else { panic!("expected an answer") };
        assert_eq!(again.read(&answer).code, ACCOUNTING_RESPONSE);
    }
    let counters = world.realm.counters();
    assert_eq!((counters.tally(Tally::Recorded), counters.tally(Tally::RecordedAgain)), (1, 3));
}

#[test]
fn an_event_that_is_being_written_is_not_written_twice() {
    let mut world = World::full();
    let pending = world.record(&Ask::accounting(1, START, "s"));
    let again = Ask::accounting(2, START, "s").number(Type::ACCT_DELAY_TIME, 1);
    assert_eq!(dropped(&mut world, &again), DropReason::DuplicateInProgress);
    let _ = world.realm.recorded(world.now(), pending, true);
    assert!(matches!(world.ask(&again), Outcome::Answer(_)));
}

#[test]
fn events_that_differ_in_anything_are_two() {
    let mut world = World::full();
    let base = |identifier| Ask::accounting(identifier, INTERIM, "s").number(Type::ACCT_SESSION_TIME, 60);
    let _ = world.account(&base(1));
    let _ = world.account(&Ask::accounting(2, INTERIM, "s").number(Type::ACCT_SESSION_TIME, 120));
    let _ = world.account(&Ask::accounting(3, STOP, "s").number(Type::ACCT_SESSION_TIME, 60));
    let _ = world.account(&Ask::accounting(4, INTERIM, "t").number(Type::ACCT_SESSION_TIME, 60));
    let _ = world.account(&base(5).add(Type::NAS_IDENTIFIER, "n"));
    // And so are the same words of two clients.
    world.from = harbour_switch();
    let _ = world.account(&base(6).under(HARBOUR_SECRET));
    assert_eq!(world.realm.counters().tally(Tally::Recorded), 6);
}

#[test]
fn what_a_restarted_realm_reads_in_its_journal_is_not_recorded_again() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let stop = of(&grant, 2, STOP);
    let (record, _) = world.account(&stop);
    let mut world = World::full();
    world.realm = Realm::new(config(&AaaFeature::ALL), Credentials::parse("s", SECRETS), 0xbeef, world.now());
    world.realm.restore(std::slice::from_ref(&record));
    assert!(matches!(world.ask(&stop), Outcome::Answer(_)));
    assert_eq!(world.realm.counters().tally(Tally::RecordedAgain), 1);
    // The session of the time before is still known as one that was authenticated, and only to its client.
    let late = of(&grant, 3, INTERIM);
    let (record, done) = world.account(&late);
    assert_eq!((record.session, record.authenticated, done.unbind), (Some(grant.session.to_string()), true, vec![]));
    world.from = harbour_switch();
    assert!(!world.account(&of(&grant, 4, INTERIM).under(HARBOUR_SECRET)).0.authenticated);
}

#[test]
fn a_stop_for_a_session_that_was_never_authenticated_is_recorded_as_such_and_ends_nothing() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let unknown = ["", "nonsense", "000000000000feed-2", "000000000000FEED-1", "000000000000beef-1"];
    for (identifier, class) in (2..).zip(unknown) {
        let ask = Ask::accounting(identifier, STOP, "s").add(Type::CLASS, class).add(Type::USER_NAME, "meter-0042");
        let (record, done) = world.account(&ask.add(Type::CALLING_STATION_ID, station(0x2a)));
        assert_eq!((record.session, record.authenticated, done.unbind), (None, false, vec![]), "{class}");
    }
    assert_eq!(world.realm.counters().tally(Tally::RecordedUnauthenticated), 5);
    assert_eq!(world.realm.sessions()[0].grant, grant);
}

#[test]
fn a_stop_with_the_class_of_an_older_session_leaves_the_newer_one_alone() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::meter(1));
    let (new, _) = world.admit(&Ask::meter(2));
    let (record, done) = world.account(&of(&old, 3, STOP));
    assert_eq!((record.session, record.authenticated), (Some(old.session.to_string()), true));
    assert_eq!(done.unbind, []);
    assert_eq!(world.realm.sessions()[0].grant, new);
    assert_eq!(ended(&world.account(&of(&new, 4, STOP)).1), [(new.session, EndCause::ClientStop)]);
}

#[test]
fn a_session_is_another_client_s_to_end_in_no_way() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    world.from = harbour_switch();
    let by_class = of(&grant, 2, STOP).under(HARBOUR_SECRET);
    let by_endpoint = Ask::accounting(3, STOP, "s")
        .under(HARBOUR_SECRET)
        .add(Type::USER_NAME, "meter-0042")
        .add(Type::CALLING_STATION_ID, station(0x2a));
    for ask in [by_class, by_endpoint] {
        let (record, done) = world.account(&ask);
        assert_eq!((record.authenticated, done.unbind), (false, vec![]));
    }
    let (_, done) = world.account(&Ask::accounting(4, ON, "").under(HARBOUR_SECRET));
    assert_eq!((done.unbind, world.realm.session_count()), (vec![], 1));
}

#[test]
fn a_client_that_does_not_send_class_back_is_understood_by_endpoint_user_and_session_name() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    let bare = |identifier, status, session: &str, user: &str, last| {
        Ask::accounting(identifier, status, session)
            .add(Type::USER_NAME, user)
            .add(Type::CALLING_STATION_ID, station(last))
    };
    assert!(!world.account(&bare(2, START, "a", "guest", 0x2a)).0.authenticated, "another user");
    assert!(!world.account(&bare(3, START, "a", "meter-0042", 0x2b)).0.authenticated, "another endpoint");
    assert!(world.account(&bare(4, START, "a", "meter-0042", 0x2a)).0.authenticated);
    // From here on the session is the client's `a`.
    let (record, done) = world.account(&bare(5, STOP, "b", "meter-0042", 0x2a));
    assert_eq!((record.authenticated, done.unbind), (false, vec![]), "another session's stop");
    let (record, done) = world.account(&bare(6, STOP, "a", "meter-0042", 0x2a));
    assert_eq!(record.session, Some(grant.session.to_string()));
    assert_eq!(ended(&done), [(grant.session, EndCause::ClientStop)]);
}

#[test]
fn of_several_classes_the_one_that_is_ours_counts() {
    let mut world = World::full();
    let (grant, _) = world.admit(&Ask::meter(1));
    // RFC 2865, section 5.44: Class may stand more than once.
    let ask = Ask::accounting(2, STOP, "s").add(Type::CLASS, [0xff; 20]).add(Type::CLASS, grant.session.to_string());
    assert_eq!(ended(&world.account(&ask).1), [(grant.session, EndCause::ClientStop)]);
}

#[test]
fn a_nas_that_starts_or_stops_ends_its_own_sessions() {
    for status in [ON, 8] {
        let mut world = World::full();
        let at = |ask: Ask, nas: &str| ask.add(Type::NAS_IDENTIFIER, nas);
        let (one, _) = world.admit(&at(Ask::guest(1, 1), "one"));
        let (two, _) = world.admit(&at(Ask::meter(2), "two"));
        let pending = world.pend(&at(Ask::user("monitor-7", 3, 7).pap(b"heart"), "one"));
        let (record, done) =
            world.account(&at(Ask::new(ACCOUNTING_REQUEST, 4), "one").number(Type::ACCT_STATUS_TYPE, status));
        assert!(record.authenticated && record.event.is_of_nas());
        assert_eq!(ended(&done), [(one.session, EndCause::NasRestart)]);
        // One that is being bound was asked for after the NAS came up.
        let _ = world.realm.bound(world.now(), pending, Ok(()));
        let left: Vec<_> = world.realm.sessions().into_iter().map(|session| session.grant.mac).collect();
        assert_eq!(left, [mac(7), two.mac]);
    }
}

#[test]
fn a_nas_that_starts_a_second_time_is_recorded_a_second_time_and_its_names_are_new() {
    let mut world = World::full();
    let on = |identifier| Ask::new(ACCOUNTING_REQUEST, identifier).number(Type::ACCT_STATUS_TYPE, ON);
    let _ = world.account(&on(1));
    let _ = world.account(&Ask::accounting(2, START, "0001"));
    // The same report, sent again 3 s later with its delay.
    world.pass(3);
    assert!(matches!(world.ask(&on(3).number(Type::ACCT_DELAY_TIME, 3)), Outcome::Answer(_)));
    world.pass(600);
    let _ = world.account(&on(4));
    // Acct-Session-Id is unique only until the NAS starts again (RFC 2866, section 5.5).
    let _ = world.account(&Ask::accounting(5, START, "0001"));
    assert_eq!(world.realm.counters().tally(Tally::Recorded), 4);
}

#[test]
fn a_request_that_rfc_2866_does_not_allow_is_dropped_by_name() {
    let mut world = World::full();
    let start = |identifier| Ask::accounting(identifier, START, "s");
    for (ask, reason) in [
        (start(1).without(Type::ACCT_STATUS_TYPE), DropReason::AccountingInvalid),
        (start(2).without(Type::ACCT_SESSION_ID), DropReason::AccountingInvalid),
        (start(3).add(Type::ACCT_SESSION_TIME, [0; 3]), DropReason::AccountingInvalid),
        (start(4).add(Type::USER_NAME, [0xff]), DropReason::AccountingInvalid),
        (start(5).add(Type::NAS_IP_ADDRESS, [1; 5]), DropReason::AccountingInvalid),
        (Ask::accounting(6, 0, "s"), DropReason::AccountingStatusLeftOut),
        (Ask::accounting(7, 15, "s"), DropReason::AccountingStatusLeftOut),
        (Ask::accounting(8, u32::MAX, "s"), DropReason::AccountingStatusLeftOut),
    ] {
        assert_eq!(dropped(&mut world, &ask), reason);
    }
    let mut wrong = start(9).sealed();
    wrong[4] ^= 1;
    let before = world.realm.counters().clone();
    assert!(matches!(world.hand(Service::Accounting, &wrong), Outcome::Dropped(_)));
    assert_eq!(dropped_since(&before, world.realm.counters()), DropReason::RequestAuthenticatorWrong);
    // The sixteen zeros over which the right one is computed are not it (RFC 2866, section 3).
    wrong[4..20].fill(0);
    let outcome = world.hand(Service::Accounting, &wrong);
    assert!(matches!(outcome, Outcome::Dropped(DropReason::RequestAuthenticatorWrong)), "{outcome:?}");
}

#[test]
fn so_many_sessions_of_the_past_are_remembered_and_no_more() {
    let mut world = World::full();
    let (first, _) = world.admit(&Ask::guest(1, 1));
    let mut seed = 0;
    let mut replace = |world: &mut World, times| {
        for _ in 0..times {
            seed += 1;
            world.pass(1);
            world.admit(&Ask::user("guest", 1, 1).fresh(seed).pap(GUEST_PASSWORD));
        }
    };
    replace(&mut world, ENDED_SESSIONS_MAX);
    assert!(world.account(&of(&first, 2, INTERIM)).0.authenticated);
    replace(&mut world, 1);
    assert!(!world.account(&of(&first, 3, STOP)).0.authenticated);
}

#[test]
fn a_nas_that_restarts_makes_nobody_forget_what_another_has_reported() {
    let mut world = World::full();
    let of = |ask: Ask, nas: &str| ask.add(Type::NAS_IDENTIFIER, nas);
    let on = |identifier, nas| of(Ask::new(ACCOUNTING_REQUEST, identifier).number(Type::ACCT_STATUS_TYPE, ON), nas);
    let _ = world.account(&of(Ask::accounting(1, START, "s"), "two"));
    let _ = world.account(&on(2, "one"));
    let outcome = world.ask(&of(Ask::accounting(3, START, "s"), "two"));
    assert!(matches!(outcome, Outcome::Answer(_)), "{outcome:?}");
    assert_eq!(world.realm.counters().tally(Tally::RecordedAgain), 1);
    // While it is being written that it has restarted itself, its names mean nothing certain; afterwards they are new.
    let pending = world.record(&on(4, "two"));
    let again = of(Ask::accounting(5, START, "s"), "two");
    assert_eq!(dropped(&mut world, &again), DropReason::DuplicateInProgress);
    let _ = world.realm.recorded(world.now(), pending, true);
    let _ = world.account(&again);
    assert_eq!(world.realm.counters().tally(Tally::Recorded), 4);
}

#[test]
fn a_restart_that_is_replayed_or_told_long_after_ends_nothing() {
    let mut world = World::full();
    let on = Ask::new(ACCOUNTING_REQUEST, 1).number(Type::ACCT_STATUS_TYPE, ON);
    let _ = world.account(&on);
    world.admit(&Ask::guest(1, 1));
    // The same octets, an hour later and from another port.
    world.pass(3_600);
    world.from.set_port(40_001);
    assert!(matches!(world.ask(&on), Outcome::Answer(_)));
    assert_eq!(world.realm.session_count(), 1);
    let long_ago = u32::try_from(world.now().wall.duration_since(UNIX_EPOCH).unwrap().as_secs() - 3_700).unwrap();
    let late =
        Ask::new(ACCOUNTING_REQUEST, 2).number(Type::ACCT_STATUS_TYPE, ON).number(Type::EVENT_TIMESTAMP, long_ago);
    let (_, done) = world.account(&late);
    assert_eq!((done.unbind.len(), world.realm.session_count()), (0, 1));
}
