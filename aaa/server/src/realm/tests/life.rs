//! How sessions end, and what a new program means for them.

use std::time::Duration;

use aaa_wire::Type;
use model::profile::AaaFeature;

use crate::grant::EndCause;
use crate::readiness::NotReady;
use crate::reason::Tally;
use crate::support::*;
use crate::{BindRefused, Credentials, Grant, Outcome, RealmConfig, SecretsError, Unbind};

const SECOND: Duration = Duration::from_secs(1);

/// What must be unbound for a session that ended.
fn unbind(grant: &Grant, cause: EndCause) -> Unbind {
    Unbind { segment: segment(), session: grant.session, mac: grant.mac, cause }
}

fn secrets(text: &str) -> Result<Credentials, SecretsError> {
    Credentials::parse("secrets.yaml", text)
}

/// Replaces the program and the secrets; what must be unbound, by MAC address.
fn reconfigure(world: &mut World, config: RealmConfig, text: &str) -> Vec<Unbind> {
    let mut ended = world.realm.reconfigure(config, secrets(text), world.now());
    ended.sort_by_key(|unbind| unbind.mac);
    ended
}

#[test]
fn a_session_ends_when_its_session_seconds_have_passed_and_not_before() {
    let mut world = World::full();
    let (first, _) = world.admit(&Ask::guest(1, 1));
    world.pass(10);
    let (second, _) = world.admit(&Ask::meter(2));
    let end = Duration::from_secs(SESSION_SECONDS.into());
    assert_eq!(world.realm.next_deadline(), Some(end));
    world.clock = end.saturating_sub(Duration::from_nanos(1));
    assert_eq!(world.realm.on_time(world.now()), []);
    world.clock = end;
    assert_eq!(world.realm.on_time(world.now()), [unbind(&first, EndCause::Timeout)]);
    assert_eq!(world.realm.next_deadline(), Some(end + 10 * SECOND));
    world.clock = end + 3_600 * SECOND;
    assert_eq!(world.realm.on_time(world.now()), [unbind(&second, EndCause::Timeout)]);
    assert_eq!((world.realm.on_time(world.now()), world.realm.next_deadline()), (vec![], None));
    assert_eq!(world.realm.counters().tally(Tally::SessionTimedOut), 2);
    // Its place, its address and its user's place are free again.
    world.admit(&Ask::guest(3, 3));
    world.admit(&Ask::meter(4));
}

#[test]
fn a_session_says_when_it_ends() {
    let mut world = World::full();
    world.pass(7);
    let (grant, _) = world.admit(&Ask::guest(1, 1));
    let [session] = &world.realm.sessions()[..] else { panic!("one session") };
    assert_eq!(session.grant, grant);
    assert_eq!(session.expires, wall_start() + Duration::from_secs(7 + u64::from(SESSION_SECONDS)));
}

#[test]
fn a_new_authentication_replaces_the_session_and_starts_its_time_anew() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::meter(1));
    world.pass(SESSION_SECONDS - 1);
    let (new, reply) = world.admit(&Ask::meter(2));
    assert_ne!(new.session, old.session);
    assert_eq!(reply.class(), new.session.to_string());
    world.pass(1);
    assert_eq!(world.realm.on_time(world.now()), [], "the old one's time is not the new one's");
    let sessions: Vec<_> = world.realm.sessions().into_iter().map(|session| session.grant).collect();
    assert_eq!(sessions, [new]);
    assert_eq!(world.realm.counters().tally(Tally::SessionReplaced), 1);
}

#[test]
fn another_user_at_the_same_endpoint_replaces_the_session() {
    let mut world = World::full();
    world.admit(&Ask::guest(1, 1));
    world.admit(&Ask::user("monitor-7", 2, 1).pap(b"heart"));
    let who: Vec<_> = world.realm.sessions().into_iter().map(|session| session.grant.identity).collect();
    assert_eq!(who, ["monitor-7"]);
    world.admit(&Ask::guest(3, 3));
}

#[test]
fn a_realm_that_stops_ends_every_session_also_one_that_is_being_bound() {
    let mut world = World::full();
    let (one, _) = world.admit(&Ask::guest(1, 1));
    let two = world.pend(&Ask::meter(2)).grant().clone();
    let mut ended = world.realm.stop();
    ended.sort_by_key(|unbind| unbind.mac);
    assert_eq!(ended, [unbind(&one, EndCause::RealmStop), unbind(&two, EndCause::RealmStop)]);
    assert_eq!((world.realm.session_count(), world.realm.stop()), (0, vec![]));
}

#[test]
fn a_new_program_with_the_same_credentials_ends_nothing() {
    let mut world = World::full();
    world.admit(&Ask::guest(1, 1));
    world.admit(&Ask::meter(2));
    assert_eq!(reconfigure(&mut world, config(&[AaaFeature::Chap]), SECRETS), []);
    assert_eq!(world.realm.session_count(), 2);
    // Another secret of the client is no other client.
    assert_eq!(reconfigure(&mut world, config(&AaaFeature::ALL), &SECRETS.replace("testing123", "another secret")), []);
}

#[test]
fn a_session_ends_when_its_credential_is_another_one() {
    let guest = "{ name: guest, password: \"heart\" }";
    let meter = "mac: \"02-00-00-00-00-2A\", address: 10.110.0.42";
    for (from, to, last) in [
        (guest, "{ name: guest, password: \"other\" }", 1),
        (guest, "{ name: guests, password: \"heart\" }", 1),
        (guest, "{ name: guest, password: \"heart\", mac: \"02-00-00-00-00-02\" }", 1),
        (guest, "{ name: guest, password: \"heart\", address: 10.110.0.1 }", 1),
        (guest, "{ name: guest, password: \"heart\", address6: \"2001:db8::1\" }", 1),
        (meter, "mac: \"02-00-00-00-00-2B\", address: 10.110.0.42", 0x2a),
        (meter, "mac: \"02-00-00-00-00-2A\", address: 10.110.0.43", 0x2a),
    ] {
        let mut world = World::full();
        let grants = [world.admit(&Ask::guest(1, 1)).0, world.admit(&Ask::meter(2)).0];
        let ended = reconfigure(&mut world, config(&AaaFeature::ALL), &SECRETS.replace(from, to));
        let gone = grants.iter().find(|grant| grant.mac == mac(last)).unwrap();
        assert_eq!(ended, [unbind(gone, EndCause::Revoked)], "{to}");
        assert_eq!((world.realm.session_count(), world.realm.counters().tally(Tally::SessionRevoked)), (1, 1));
    }
}

#[test]
fn a_session_ends_when_its_client_goes_from_the_program_or_from_the_secrets() {
    let mut without = config(&AaaFeature::ALL);
    without.program.clients.remove(0);
    let silent = SECRETS.replace("{ name: city-switch, secret: \"testing123\" }", "{ name: other, secret: \"x\" }");
    for (program, text) in [(without, SECRETS), (config(&AaaFeature::ALL), silent.as_str())] {
        let mut world = World::full();
        let (ours, _) = world.admit(&Ask::guest(1, 1));
        world.from = harbour_switch();
        let harbour = Ask::user("head-end", 2, 2).under(HARBOUR_SECRET).pap(b"arctangent");
        world.admit(&harbour);
        assert_eq!(reconfigure(&mut world, program, text), [unbind(&ours, EndCause::Revoked)]);
        assert_eq!(world.realm.session_count(), 1);
    }
}

#[test]
fn an_unreadable_secrets_file_leaves_the_secrets_that_were_read_and_is_told() {
    let mut world = World::full();
    world.admit(&Ask::guest(1, 1));
    let missing = SecretsError::Missing { file: "secrets.yaml".into() };
    let ended = world.realm.reconfigure(config(&AaaFeature::ALL), Err(missing.clone()), world.now());
    assert_eq!(ended, []);
    assert_eq!(world.realm.missing(), [NotReady::Secrets(missing)]);
    world.admit(&Ask::meter(2));
    assert_eq!(reconfigure(&mut world, config(&AaaFeature::ALL), SECRETS), []);
    assert_eq!(world.realm.missing(), [NotReady::ClientWithoutSecret("mute-switch".parse().unwrap())]);
}

#[test]
fn a_credential_that_changed_under_an_unreadable_file_still_counts_when_the_file_is_read() {
    let mut world = World::full();
    let (guest, _) = world.admit(&Ask::guest(1, 1));
    let missing = SecretsError::Missing { file: "secrets.yaml".into() };
    assert_eq!(world.realm.reconfigure(config(&AaaFeature::ALL), Err(missing), world.now()), []);
    let ended = reconfigure(&mut world, config(&AaaFeature::ALL), &SECRETS.replace("heart", "other"));
    assert_eq!(ended, [unbind(&guest, EndCause::Revoked)]);
}

#[test]
fn a_new_program_s_features_and_times_hold_from_then_on() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::guest(1, 1));
    let mut program = config(&AaaFeature::ALL);
    program.program.features.session_seconds = 60;
    assert_eq!(reconfigure(&mut world, program, SECRETS), []);
    let (new, _) = world.admit(&Ask::meter(2));
    assert_eq!((old.lifetime.as_secs(), new.lifetime.as_secs()), (u64::from(SESSION_SECONDS), 60));
    world.pass(60);
    assert_eq!(world.realm.on_time(world.now()), [unbind(&new, EndCause::Timeout)]);
}

#[test]
fn a_fewer_sessions_max_ends_none_and_lets_none_in() {
    let mut world = World::full();
    world.admit(&Ask::guest(1, 1));
    world.admit(&Ask::meter(2));
    let mut program = config(&AaaFeature::ALL);
    program.sessions_max = 1;
    assert_eq!(reconfigure(&mut world, program, SECRETS), []);
    assert!(matches!(world.ask(&Ask::user("monitor-7", 3, 3).pap(b"heart")), Outcome::Answer(_)));
    assert_eq!(world.realm.session_count(), 2);
}

/// The dataplane refuses the session that should have replaced another one: what is left, and what was unbound.
fn refused(world: &mut World, pending: crate::PendingBind) -> (usize, Vec<Unbind>) {
    let done = world.realm.bound(world.now(), pending, Err(BindRefused::TableFull));
    (world.realm.session_count(), done.unbind)
}

#[test]
fn a_session_that_was_stopped_while_it_was_being_replaced_does_not_come_back() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::meter(1));
    let pending = world.pend(&Ask::meter(2));
    let (_, done) = world.account(&Ask::accounting(3, STOP, "s").add(Type::CLASS, old.session.to_string()));
    assert_eq!(done.unbind, [unbind(&old, EndCause::ClientStop)]);
    assert_eq!(refused(&mut world, pending), (0, vec![]));
    assert_eq!(world.realm.counters().tally(Tally::SessionStopped), 1);
}

#[test]
fn a_session_whose_nas_started_while_it_was_being_replaced_does_not_come_back() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::meter(1));
    let pending = world.pend(&Ask::meter(2));
    let (_, done) = world.account(&Ask::new(ACCOUNTING_REQUEST, 3).number(Type::ACCT_STATUS_TYPE, ON));
    assert_eq!(done.unbind, [unbind(&old, EndCause::NasRestart)]);
    assert_eq!(refused(&mut world, pending), (0, vec![]));
}

#[test]
fn a_session_whose_credential_went_while_another_user_replaced_it_does_not_come_back() {
    let mut world = World::full();
    let (old, _) = world.admit(&Ask::guest(1, 1));
    let pending = world.pend(&Ask::user("monitor-7", 2, 1).pap(b"heart"));
    let text = SECRETS.replace("name: guest, password: \"heart\"", "name: guest, password: \"other\"");
    assert_eq!(reconfigure(&mut world, config(&AaaFeature::ALL), &text), [unbind(&old, EndCause::Revoked)]);
    assert_eq!(refused(&mut world, pending), (0, vec![]));
}
