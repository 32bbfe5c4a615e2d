use proptest::prelude::*;
use transport_wire::stamp::{Clock, ErrorEstimate, Probe};

use super::super::reflect::reflect;
use super::*;

const MS: u64 = 1_000_000;
const FREE: StampClock = StampClock::FREE;

fn timing(losses_max: u8, answers_min: u8) -> Timing {
    Timing::new(&ProbeProgram { interval_nanos: 10 * MS, losses_max, answers_min }).unwrap()
}

fn probe(number: u32, sent: u64) -> Probe {
    Probe { sequence: number, timestamp: FREE.stamp(Nanos(sent)), error: FREE.error(), session: 1 }
}

/// The answer to a probe, by a reflector whose clock is ours.
fn answer(number: u32, sent: u64) -> Reply {
    reflect(&probe(number, sent), 64, Nanos(sent), Nanos(sent), &FREE)
}

fn send(prober: &mut Prober, now: u64, timing: &Timing) -> u32 {
    prober.send(Nanos(now), FREE.stamp(Nanos(now)), timing)
}

/// Where the rows of probes that are answered within the interval, or not at all, lead.
fn judged(answers: &[bool], losses_max: usize, answers_min: usize) -> PathState {
    let mut state = PathState::Unknown;
    for at in 1..=answers.len() {
        let row = |of: bool, length: usize| at >= length && answers[at - length..at].iter().all(|a| *a == of);
        state = match state {
            _ if row(true, answers_min) => PathState::Up,
            _ if row(false, losses_max) => PathState::Down,
            same => same,
        };
    }
    state
}

proptest! {
    #[test]
    fn it_is_down_after_so_many_losses_in_a_row_and_up_after_so_many_answers(
        answers in proptest::collection::vec(prop::bool::weighted(0.6), 0..200),
        (losses_max, answers_min) in (1_u8..=16, 1_u8..=16),
        start in prop_oneof![Just(0), Just(u64::from(u32::MAX) - 20), Just((7 << 32) - 1)],
        delay in 0..10 * MS,
    ) {
        let timing = timing(losses_max, answers_min);
        let mut prober = Prober::new(0, Nanos(0));
        (prober.sent, prober.first) = (start, start);
        let (losses_max, answers_min) = (usize::from(losses_max), usize::from(answers_min));
        let mut expected_failures = 0;
        let mut before = PathState::Unknown;
        for (at, answered) in answers.iter().enumerate() {
            let now = at as u64 * 10 * MS;
            let number = send(&mut prober, now, &timing);
            prop_assert_eq!(u64::from(number), (start + at as u64) % (1 << 32));
            let state = judged(&answers[..at], losses_max, answers_min);
            prop_assert_eq!(prober.state(), state, "when probe {} is sent", at);
            expected_failures += u64::from(state == PathState::Down && before != PathState::Down);
            before = state;
            if *answered {
                prober.heard(Nanos(now + delay), &answer(number, now), &timing, &FREE);
            }
            // What is older than the longest row is lost or answered.
            let old = (at + 1).saturating_sub(losses_max);
            let lost = answers[..old].iter().filter(|answered| !**answered).count() as u64;
            prop_assert_eq!(prober.measures.lost, lost);
        }
        prop_assert_eq!(prober.failures(), expected_failures);
        let measures = prober.measures();
        prop_assert_eq!(measures.answered, answers.iter().filter(|answered| **answered).count() as u64);
        prop_assert_eq!(measures.round_trip.count(), measures.answered);
        prop_assert_eq!((measures.late, measures.duplicates, measures.strays, measures.implausible), (0, 0, 0, 0));
    }

    /// Answers overtake one another and come twice, and each comes before it is too late: all is well.
    #[test]
    fn it_does_not_flap_as_long_as_answers_come_in_time(
        delays in proptest::collection::vec((0_u64..30 * MS, prop::option::of(0_u64..40 * MS)), 1..200),
    ) {
        let timing = timing(3, 2);
        let mut prober = Prober::new(0, Nanos(0));
        // (when, is it an answer, which probe): an answer that comes when a probe is sent comes first.
        let mut events = Vec::new();
        for (at, (delay, again)) in (0_u32..).zip(&delays) {
            let sent = u64::from(at) * 10 * MS;
            events.push((sent, 1, at, sent));
            events.push((sent + delay, 0, at, sent));
            events.extend(again.map(|again| (sent + delay + again, 0, at, sent)));
        }
        // A probe is sent before its own answer comes.
        events.sort_by_key(|(when, kind, at, sent)| (*when, if when == sent && *kind == 0 { 2 } else { *kind }, *at));
        let mut heard = 0;
        for (now, kind, number, sent) in events {
            if kind == 1 {
                prop_assert_eq!(send(&mut prober, now, &timing), number);
            } else {
                prober.heard(Nanos(now), &answer(number, sent), &timing, &FREE);
                heard += 1;
            }
            prop_assert_ne!(prober.state(), PathState::Down);
        }
        let measures = prober.measures();
        let repeated = delays.iter().filter(|(_, again)| again.is_some()).count() as u64;
        prop_assert_eq!(measures.answered, delays.len() as u64);
        prop_assert_eq!(measures.duplicates + measures.late, repeated);
        prop_assert_eq!(measures.answered + repeated, heard);
        prop_assert_eq!((prober.failures(), measures.lost, measures.strays), (0, 0, 0));
    }

    /// Answers that nobody asked for change a counter and nothing else.
    #[test]
    fn what_is_no_answer_changes_nothing(
        junk in proptest::collection::vec((any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..100),
        near in proptest::collection::vec((0_u32..20, 0_u64..200 * MS), 0..100),
    ) {
        let timing = timing(3, 2);
        let mut prober = Prober::new(0, Nanos(0));
        for at in 0..10 {
            send(&mut prober, at * 10 * MS, &timing);
        }
        let (bits, state, since) = (prober.answered, prober.state(), prober.since());
        let junk = junk.into_iter().map(|(number, sent, received, reflected)| {
            reflect(&probe(number, sent), 1, Nanos(received), Nanos(reflected), &FREE)
        });
        // Real numbers with times at which nothing was sent.
        let near = near.into_iter().filter(|(_, sent)| sent % (10 * MS) != 0).map(|(number, sent)| answer(number, sent));
        let mut count = 0;
        for reply in junk.chain(near) {
            prober.heard(Nanos(100 * MS), &reply, &timing, &FREE);
            count += 1;
        }
        prop_assert_eq!((prober.answered, prober.state(), prober.since()), (bits, state, since));
        let measures = prober.measures();
        prop_assert_eq!((measures.answered, measures.round_trip.count()), (0, 0));
        prop_assert_eq!(measures.strays + measures.late, count);
    }
}

#[test]
fn an_answer_that_comes_after_so_many_intervals_is_late() {
    let timing = timing(3, 1);
    let mut prober = Prober::new(0, Nanos(0));
    for at in 0..8_u64 {
        let now = at * 10 * MS;
        send(&mut prober, now, &timing);
        // 35 ms later than it was sent.
        if let Some(number) = at.checked_sub(3) {
            let number = u32::try_from(number).unwrap();
            prober.heard(Nanos(now + 5 * MS), &answer(number, now - 30 * MS), &timing, &FREE);
        }
    }
    assert_eq!((prober.state(), prober.since()), (PathState::Down, Nanos(30 * MS)));
    assert_eq!((prober.measures().late, prober.measures().lost, prober.measures().answered), (5, 5, 0));
}

#[test]
fn the_first_probe_may_be_answered_and_nothing_before_it() {
    let timing = timing(16, 1);
    let mut prober = Prober::new(0, Nanos(0));
    prober.heard(Nanos(0), &answer(0, 0), &timing, &FREE);
    assert_eq!(send(&mut prober, 0, &timing), 0);
    prober.heard(Nanos(1), &answer(u32::MAX, 0), &timing, &FREE);
    assert_eq!((prober.measures().strays, prober.state()), (2, PathState::Unknown));
    prober.heard(Nanos(1), &answer(0, 0), &timing, &FREE);
    assert_eq!((prober.measures().answered, prober.state()), (1, PathState::Up));
}

/// The reflector's clock is another one: in another form, and decades away.
#[test]
fn a_round_trip_is_what_is_left_when_the_reflector_is_taken_off() {
    let timing = timing(3, 3);
    let mut prober = Prober::new(0, Nanos(0));
    let number = send(&mut prober, 5 * MS, &timing);
    let far = 1_700_000_000_000_000_000;
    let reply = Reply {
        sequence: number,
        received: Timestamp::new(far, Clock::Ntp),
        timestamp: Timestamp::new(far + 300_000, Clock::Ntp),
        error: ErrorEstimate::new(true, Clock::Ntp, 1_000),
        probe: probe(number, 5 * MS),
        ttl: 61,
    };
    prober.heard(Nanos(7 * MS), &reply, &timing, &FREE);
    // 2 ms there and back, of which the reflector had 0.3.
    assert_eq!(prober.measures().round_trip.mean(), Some(Nanos(1_700_000)));
    assert_eq!(prober.measures().forward.count(), 0, "our clock follows nobody");
}

fn synchronized(
    unix: u64,
    received: u64,
    reflected: u64,
    arrived: u64,
) -> (Option<Nanos>, Option<Nanos>, Option<Nanos>, u64) {
    off_by(1_000, unix, received, reflected, arrived)
}

/// Clocks that say that they are off by so much.
fn off_by(
    error: u64,
    unix: u64,
    received: u64,
    reflected: u64,
    arrived: u64,
) -> (Option<Nanos>, Option<Nanos>, Option<Nanos>, u64) {
    let clock = StampClock::synchronized(unix, Nanos(error));
    let timing = timing(3, 3);
    let mut prober = Prober::new(0, Nanos(0));
    let timestamp = clock.stamp(Nanos(0));
    let sequence = prober.send(Nanos(0), timestamp, &timing);
    let sent = Probe { sequence, timestamp, error: clock.error(), session: 1 };
    let far = StampClock::synchronized(unix - 1_000_000_000, Nanos(error));
    let at = |time: u64| Nanos(1_000_000_000 + time);
    prober.heard(Nanos(arrived), &reflect(&sent, 64, at(received), at(reflected), &far), &timing, &clock);
    let m = prober.measures();
    (m.round_trip.mean(), m.forward.mean(), m.backward.mean(), m.implausible)
}

#[test]
fn with_clocks_that_agree_each_direction_is_measured() {
    let unix = 1_790_000_000_000_000_000;
    assert_eq!(
        synchronized(unix, 3 * MS, 4 * MS, 9 * MS),
        (Some(Nanos(8 * MS)), Some(Nanos(3 * MS)), Some(Nanos(5 * MS)), 0)
    );
    // The far end says that it has sent before it received, or had the probe for longer than we waited.
    assert_eq!(synchronized(unix, 4 * MS, 3 * MS, 9 * MS), (None, None, None, 1));
    assert_eq!(synchronized(unix, 0, 12 * MS, 9 * MS), (None, None, None, 1));
    // It says that the clocks agree, but received after we had the answer.
    assert_eq!(synchronized(unix, 10 * MS, 11 * MS, 9 * MS), (Some(Nanos(8 * MS)), None, None, 1));
}

#[test]
fn clocks_that_are_off_by_half_the_round_trip_tell_nothing_of_a_direction() {
    let unix = 1_790_000_000_000_000_000;
    // 8 ms there and back; each clock is off by up to a bit less than 2 ms, then by a bit more.
    let delays = (Some(Nanos(8 * MS)), Some(Nanos(3 * MS)), Some(Nanos(5 * MS)), 0);
    assert_eq!(off_by(1_900_000, unix, 3 * MS, 4 * MS, 9 * MS), delays);
    assert_eq!(off_by(2_100_000, unix, 3 * MS, 4 * MS, 9 * MS), (delays.0, None, None, 0));
}

#[test]
fn a_clock_that_was_read_twice_is_the_same_and_one_that_was_set_another() {
    let first = StampClock::synchronized(1_000_000_000, Nanos(1_000));
    let again = first.refreshed(StampClock::synchronized(1_000_015_000, Nanos(7_000)));
    // 15 µs from a reading that is off by up to 7 µs: the world is up to 22 µs away, and no less may be said.
    let off = again.error().nanoseconds();
    assert!(again.error().is_synchronized() && (22_000..23_000).contains(&off), "{off}");
    assert_eq!(again.stamp(Nanos(5)), first.stamp(Nanos(5)), "one clock");
    // Read again and again, it doesn't add up.
    let often = (0..100).fold(again, |clock, _| clock.refreshed(StampClock::synchronized(1_000_015_000, Nanos(7_000))));
    assert_eq!(often, again);
    let set = StampClock::synchronized(1_000_025_000, Nanos(7_000));
    assert_eq!(first.refreshed(set), set);
    assert_eq!(first.refreshed(StampClock::FREE), StampClock::FREE);
}

#[test]
fn a_clock_that_steps_spoils_a_figure_and_not_the_path() {
    let timing = timing(3, 2);
    let mut prober = Prober::new(0, Nanos(0));
    // Ten minutes back after the first five, and an hour forward after another five, each while a probe is on its way.
    let hour = 3_600_000 * MS;
    for at in 0..15_u64 {
        let set = |at: u64| match at {
            0..5 => hour,
            5..10 => hour - 600_000 * MS,
            _ => 2 * hour,
        };
        let sent = set(at) + at * 10 * MS;
        let number = send(&mut prober, sent, &timing);
        prober.heard(Nanos(set(at + 1) + at * 10 * MS + MS), &answer(number, sent), &timing, &FREE);
    }
    assert_eq!((prober.state(), prober.failures()), (PathState::Up, 0));
    let measures = prober.measures();
    assert_eq!((measures.answered, measures.implausible, measures.round_trip.count()), (15, 2, 13));
    assert_eq!(measures.round_trip.max(), Some(Nanos(MS)));
}

#[test]
fn a_reflector_repeats_the_probe_and_keeps_its_number() {
    let sent =
        Probe { sequence: 7, timestamp: Timestamp(0x0102), error: ErrorEstimate::new(true, Clock::Ntp, 5), session: 9 };
    let clock = StampClock::synchronized(1_000_000_000, Nanos(2_000));
    let reply = reflect(&sent, 61, Nanos(5), Nanos(8), &clock);
    assert_eq!(reply.probe, sent);
    assert_eq!((reply.sequence, reply.ttl), (7, 61));
    // Seconds above, nanoseconds below.
    assert_eq!((reply.received.0, reply.timestamp.0), (1 << 32 | 5, 1 << 32 | 8));
    assert!(reply.error.is_synchronized() && reply.error.nanoseconds() >= 2_000);
}

#[test]
fn a_timing_that_makes_no_sense_is_refused() {
    let refused = |interval_nanos, losses_max, answers_min| {
        Timing::new(&ProbeProgram { interval_nanos, losses_max, answers_min }).unwrap_err().to_string()
    };
    assert_eq!(
        refused(999_999, 3, 3),
        "probes: 999999 nanoseconds from probe to probe; expected 1000000 to 60000000000"
    );
    assert_eq!(
        refused(60_000_000_001, 3, 3).split(';').next(),
        Some("probes: 60000000001 nanoseconds from probe to probe")
    );
    assert_eq!(refused(10 * MS, 0, 3), "probes: 0 losses in a row; expected 1 to 16");
    assert_eq!(refused(10 * MS, 17, 3), "probes: 17 losses in a row; expected 1 to 16");
    assert_eq!(refused(10 * MS, 3, 0), "probes: 0 answers in a row; expected 1 to 16");
}
