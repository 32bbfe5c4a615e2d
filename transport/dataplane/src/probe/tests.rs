use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::program::Steering;
use model::resource::Srh;
use model::{Label, PathId};
use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const INTERVAL: u64 = 10 * MS;
const FREE: StampClock = StampClock::FREE;
const PROBES: ProbeProgram = ProbeProgram { interval_nanos: INTERVAL, losses_max: 3, answers_min: 2 };

fn path(number: u16) -> PathProgram {
    PathProgram {
        id: PathId::new(u64::from(number) + 1).unwrap(),
        to: "edge-b".parse().unwrap(),
        local: Ipv4Addr::new(10, 0, 0, 1).into(),
        remote: Ipv4Addr::new(10, 0, 0, 2).into(),
        port: "core0".parse().unwrap(),
        next_hop: Ipv4Addr::new(192, 0, 2, 1).into(),
        mtu: 1_500,
        steering: Steering::Ip,
        srh: Srh::Reduced,
    }
}

fn paths(numbers: impl IntoIterator<Item = u16>, now: u64) -> Paths {
    let programs: Vec<_> = numbers.into_iter().map(path).collect();
    Paths::new(&programs, Some(&PROBES), Nanos(now)).unwrap()
}

/// All that are due, by id.
fn due(paths: &mut Paths, now: u64) -> Vec<(PathIndex, Probe)> {
    std::iter::from_fn(|| paths.due(Nanos(now), &FREE)).collect()
}

fn answer(paths: &mut Paths, path: PathIndex, probe: &Probe, now: u64) {
    paths.heard(path, &reflect(probe, 64, Nanos(now), Nanos(now), &FREE), Nanos(now), &FREE);
}

/// Polls every `step` from one moment to another and answers at once those probes whose path works.
fn run(paths: &mut Paths, from: u64, to: u64, step: u64, works: impl Fn(u16) -> bool) {
    for now in (from..to).step_by(usize::try_from(step).unwrap()) {
        for (path, probe) in due(paths, now) {
            if works(probe.session - 1) {
                answer(paths, path, &probe, now);
            }
        }
    }
}

fn state(paths: &Paths, number: u16) -> PathState {
    paths.iter().find(|(program, _)| program.id.get() == number + 1).unwrap().1.state()
}

#[test]
fn probes_are_spread_and_each_path_has_one_in_every_interval() {
    for count in [1_u16, 2, 3, 5, 8, 100, 1_000, 4_096] {
        let mut paths = paths(0..count, 7 * MS);
        let mut sent: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
        // In a part of the interval that would be one probe's if all were as far apart, there are at most two.
        let step = (INTERVAL / u64::from(count) - 1).min(MS);
        let mut now = 7 * MS;
        while now < 7 * MS + 5 * INTERVAL {
            let probes = due(&mut paths, now);
            assert!(probes.len() <= 2, "{} of {count} at once", probes.len());
            for (_, probe) in probes {
                let times = sent.entry(probe.session).or_default();
                assert_eq!(probe.sequence as usize, times.len());
                times.push(now);
            }
            now += step;
        }
        assert_eq!(sent.len(), usize::from(count));
        for times in sent.values() {
            assert!(times.len() >= 4 && times[0] <= 7 * MS + INTERVAL, "{times:?}");
            assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(INTERVAL) <= step), "{times:?}");
        }
    }
}

#[test]
fn a_host_that_waits_until_the_next_is_due_is_always_on_time() {
    let mut paths = paths(0..7, 0);
    let mut sent: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for _ in 0..70 {
        let now = paths.next_due().unwrap();
        assert!(now.0 == 0 || paths.due(Nanos(now.0 - 1), &FREE).is_none());
        let (_, probe) = paths.due(now, &FREE).unwrap();
        sent.entry(probe.session).or_default().push(now.0);
    }
    for times in sent.values() {
        assert!(times.len() == 10 && times.windows(2).all(|pair| pair[1] - pair[0] == INTERVAL), "{times:?}");
    }
}

/// A world in which answers take their time and some never come.
struct World {
    paths: Paths,
    /// By arrival.
    under_way: BTreeSet<(u64, u32)>,
    sent: BTreeMap<u32, Probe>,
}

impl World {
    fn poll(&mut self, now: u64, delay: impl Fn(u32) -> Option<u64>) {
        while let Some((arrived, number)) = self.under_way.first().copied().filter(|(arrived, _)| *arrived <= now) {
            self.under_way.pop_first();
            answer(&mut self.paths, PathIndex(0), &self.sent[&number], arrived);
        }
        for (_, probe) in due(&mut self.paths, now) {
            self.sent.insert(probe.sequence, probe);
            self.under_way.extend(delay(probe.sequence).map(|delay| (now + delay, probe.sequence)));
        }
    }
}

proptest! {
    /// A path that breaks is found to be down within one interval more than losses are allowed, and one poll; it was not
    /// before. One that works again is up as many answers later.
    #[test]
    fn a_break_is_found_in_time(
        losses_max in 1_u8..=16,
        answers_min in 1_u8..=16,
        delays in proptest::collection::vec(0_u64..INTERVAL * 3 / 4, 32),
        step in 1_000_u64..INTERVAL / 4,
        broken_at in 0..20 * INTERVAL,
    ) {
        let probes = ProbeProgram { losses_max, answers_min, ..PROBES };
        let start = 5 * MS;
        let (broken_at, losses, answers) = (start + broken_at, u64::from(losses_max), u64::from(answers_min));
        let mended_at = broken_at + (losses + 5) * INTERVAL;
        let paths = Paths::new(&[path(0)], Some(&probes), Nanos(start)).unwrap();
        let mut world = World { paths, under_way: BTreeSet::new(), sent: BTreeMap::new() };
        let (mut down_at, mut up_at) = (None, None);
        let mut now = start;
        while now < mended_at + (answers + 5) * INTERVAL {
            let works = |at: u64| at < broken_at || at >= mended_at;
            world.poll(now, |number| {
                let delay = delays[number as usize % delays.len()];
                (works(now) && works(now + delay)).then_some(delay)
            });
            match state(&world.paths, 0) {
                PathState::Down => {
                    prop_assert!(now >= broken_at && up_at.is_none());
                    down_at.get_or_insert(now);
                }
                PathState::Up if down_at.is_some() => {
                    up_at.get_or_insert(now);
                }
                _ => {}
            }
            prop_assert_eq!(world.paths.is_usable(PathIndex(0)), state(&world.paths, 0) != PathState::Down);
            now += step;
        }
        let (down_at, up_at) = (down_at.unwrap(), up_at.unwrap());
        prop_assert!(down_at <= broken_at + (losses + 1) * INTERVAL + step, "after {}", down_at - broken_at);
        prop_assert!(up_at <= mended_at + (answers + 1) * INTERVAL + 2 * step, "after {}", up_at - mended_at);
    }

    /// Paths come and go at any moment; those that stay have their probes when they are due, one after the other.
    #[test]
    fn an_exchange_is_not_seen_by_a_path_that_stays(
        sets in proptest::collection::vec((proptest::collection::btree_set(0_u16..12, 1..12), 1_u64..3 * INTERVAL), 1..12),
    ) {
        let mut now = 0;
        let mut running: Option<Paths> = None;
        let mut before: BTreeMap<u16, (u32, u64)> = BTreeMap::new();
        for (set, time) in sets {
            let mut new = paths(set.iter().copied(), now);
            if let Some(old) = &mut running {
                new.carry_over(old);
            }
            before.retain(|session, _| set.contains(&(session - 1)));
            let until = now + time;
            let started = now;
            while new.next_due().unwrap().0 < until {
                now = new.next_due().unwrap().0;
                let (_, probe) = new.due(Nanos(now), &FREE).unwrap();
                match before.insert(probe.session, (probe.sequence, now)) {
                    Some((number, last)) => prop_assert_eq!((probe.sequence, now), (number + 1, last + INTERVAL)),
                    None => prop_assert!(probe.sequence == 0 && now <= started + INTERVAL),
                }
            }
            now = until;
            running = Some(new);
        }
    }
}

#[test]
fn a_host_that_stood_still_sends_no_burst_and_finds_no_path_down() {
    let mut paths = paths(0..10, 0);
    run(&mut paths, 0, 100 * MS, MS / 10, |_| true);
    // Half a second later: the first poll sends one probe, and the round goes on from there.
    assert_eq!(due(&mut paths, 600 * MS).len(), 1);
    run(&mut paths, 600 * MS, 700 * MS, MS / 10, |_| true);
    for (_, prober) in paths.iter() {
        assert_eq!((prober.state(), prober.failures()), (PathState::Up, 0));
        // One was sent when the host woke and was never answered.
        assert!(prober.measures().lost <= 1 && (19..=21).contains(&prober.measures().answered));
    }
}

#[test]
fn a_clock_that_is_set_does_not_stop_the_probes() {
    let hour = 3_600_000 * MS;
    let mut paths = paths(0..3, 2 * hour);
    run(&mut paths, 2 * hour, 2 * hour + 100 * MS, MS / 10, |_| true);
    run(&mut paths, hour, hour + 100 * MS, MS / 10, |_| true);
    run(&mut paths, 0, 100 * MS, MS / 10, |_| true);
    run(&mut paths, 5 * hour, 5 * hour + 100 * MS, MS / 10, |_| true);
    for (_, prober) in paths.iter() {
        assert_eq!((prober.state(), prober.failures(), prober.measures().lost), (PathState::Up, 0, 0));
        assert!((39..=42).contains(&prober.measures().answered), "{}", prober.measures().answered);
    }
    // A step back that is shorter than the interval waits for the clock to catch up.
    let now = paths.next_due().unwrap().0;
    assert!(due(&mut paths, now - INTERVAL / 2).is_empty());
    assert_eq!(due(&mut paths, now).len(), 1);
}

#[test]
fn the_working_path_is_taken_unless_it_is_down_and_the_backup_is_not() {
    // Two that were never probed, two that are up, two that are down.
    let [new, up, down] = [[0_u16, 1], [2, 3], [4, 5]];
    let mut paths = paths(0..6, 0);
    for path in (0..6).map(PathIndex) {
        let last = paths.probers[usize::from(path.0)].number;
        let state = [PathState::Unknown, PathState::Up, PathState::Down][last as usize / 2];
        paths.mark(path, state);
    }
    for (working, backup, takes_backup) in [
        (new, new, false),
        (new, up, false),
        (new, down, false),
        (up, new, false),
        (up, up, false),
        (up, down, false),
        (down, new, true),
        (down, up, true),
        (down, down, false),
    ] {
        let (working, backup) = (PathIndex(working[0]), PathIndex(backup[1]));
        let taken = if takes_backup { backup } else { working };
        assert_eq!(paths.choose(working, Some(backup)), taken, "{working:?} {backup:?}");
        assert_eq!(paths.choose(working, None), working);
    }
    // A place that no path has is never taken over one that has.
    assert_eq!(paths.choose(PathIndex(4), Some(PathIndex(64))), PathIndex(4));
}

#[test]
fn traffic_moves_to_the_backup_and_back() {
    let mut paths = paths([0, 1], 0);
    let (working, backup) = (PathIndex(0), PathIndex(1));
    let taken = |paths: &Paths| paths.choose(working, Some(backup));
    assert_eq!(taken(&paths), working, "before the first answer");
    run(&mut paths, 0, 100 * MS, MS, |_| true);
    assert_eq!(taken(&paths), working);
    run(&mut paths, 100 * MS, 150 * MS, MS, |path| path != 0);
    assert_eq!(taken(&paths), backup);
    run(&mut paths, 150 * MS, 200 * MS, MS, |_| false);
    assert_eq!(taken(&paths), working, "both are down");
    run(&mut paths, 200 * MS, 230 * MS, MS, |path| path == 1);
    assert_eq!(taken(&paths), backup);
    run(&mut paths, 230 * MS, 260 * MS, MS, |_| true);
    assert_eq!(taken(&paths), working);
}

#[test]
fn without_probes_every_path_is_used_and_none_is_sent() {
    let mut paths = Paths::new(&[path(0), path(1)], None, Nanos(0)).unwrap();
    assert_eq!((paths.next_due(), due(&mut paths, 10 * INTERVAL)), (None, vec![]));
    assert!(paths.is_usable(PathIndex(0)) && paths.is_usable(PathIndex(1)));
    let mut none = Paths::new(&[], Some(&PROBES), Nanos(0)).unwrap();
    assert_eq!((none.next_due(), due(&mut none, 10 * INTERVAL)), (None, vec![]));
    none.heard(PathIndex(0), &reflect(&PROBE, 1, Nanos(0), Nanos(0), &FREE), Nanos(0), &FREE);
}

#[test]
fn a_path_that_goes_another_way_is_another_path() {
    let mut old = paths([0, 1, 2], 0);
    run(&mut old, 0, 100 * MS, MS, |path| path != 1);
    let other_way = [
        PathProgram { steering: Steering::Mpls(vec![Label::new(16).unwrap()]), ..path(0) },
        PathProgram { next_hop: Ipv4Addr::new(192, 0, 2, 2).into(), ..path(0) },
        PathProgram { port: "core1".parse().unwrap(), ..path(0) },
        PathProgram { to: "edge-c".parse().unwrap(), ..path(0) },
        PathProgram { local: Ipv4Addr::new(10, 0, 0, 9).into(), ..path(0) },
        PathProgram { remote: Ipv4Addr::new(10, 0, 0, 9).into(), ..path(0) },
        PathProgram { id: PathId::new(9).unwrap(), ..path(0) },
    ];
    for changed in other_way {
        // Places change, too, and one path is new.
        let shorter = PathProgram { mtu: 1_400, ..path(2) };
        let programs = [path(5), shorter, path(1), changed];
        let mut new = Paths::new(&programs, Some(&PROBES), Nanos(100 * MS)).unwrap();
        new.carry_over(&mut old);
        let states: Vec<_> = new.iter().map(|(_, prober)| prober.state()).collect();
        assert_eq!(states, [PathState::Unknown, PathState::Up, PathState::Down, PathState::Unknown]);
        let usable: Vec<_> = (0..4).map(|at| new.is_usable(PathIndex(at))).collect();
        assert_eq!(usable, [true, true, false, true]);
        let probers: Vec<_> = new.iter().map(|(_, prober)| prober).collect();
        assert_eq!(probers[1].measures().round_trip.count(), probers[1].measures().answered);
        assert!(probers[1].measures().answered >= 9 && probers[2].measures().lost >= 6);
        assert_eq!(probers[2].failures(), 1);
        // Back again; the one that was left out is a new one.
        let mut again = paths([0, 1, 2], 100 * MS);
        again.carry_over(&mut new);
        assert_eq!(state(&again, 0), PathState::Unknown);
        assert_eq!((state(&again, 1), state(&again, 2)), (PathState::Down, PathState::Up));
        old = again;
    }
}

#[test]
fn another_timing_keeps_what_is_known_and_awaits_no_older_answer() {
    let mut old = paths([0, 1], 0);
    run(&mut old, 0, 100 * MS, MS, |path| path == 0);
    let slower = ProbeProgram { interval_nanos: 50 * MS, losses_max: 16, answers_min: 1 };
    let mut new = Paths::new(&[path(0), path(1)], Some(&slower), Nanos(100 * MS)).unwrap();
    new.carry_over(&mut old);
    assert_eq!((state(&new, 0), state(&new, 1)), (PathState::Up, PathState::Down));
    let lost = new.probers[1].measures().lost;
    // An answer to the last one that was sent under the old timing.
    let last = Probe { sequence: 9, timestamp: FREE.stamp(Nanos(99 * MS)), ..PROBE };
    answer(&mut new, PathIndex(1), &last, 100 * MS);
    assert_eq!((new.probers[1].measures().late, state(&new, 1)), (1, PathState::Down));
    run(&mut new, 100 * MS, 200 * MS, MS, |_| true);
    assert_eq!((state(&new, 1), new.probers[1].measures().lost), (PathState::Up, lost));
}

#[test]
fn how_many_probes_were_answered_is_known_after_an_exchange() {
    let mut old = paths([0, 1], 0);
    let flood = |paths: &mut Paths, at| (0..100).filter(|_| paths.admits(PathIndex(at), 7_000, Nanos(MS))).count();
    assert_eq!(flood(&mut old, 1), 32);
    // At another place; one beside it is new.
    let mut new = paths([1, 2], MS);
    new.carry_over(&mut old);
    assert_eq!((flood(&mut new, 0), flood(&mut new, 1)), (0, 32));
}

#[test]
fn a_far_end_and_an_id_name_a_path() {
    let elsewhere = PathProgram { remote: "fd00::2".parse().unwrap(), local: "fd00::1".parse().unwrap(), ..path(0) };
    let programs = [path(3), path(0), elsewhere];
    let paths = Paths::new(&programs, None, Nanos(0)).unwrap();
    let (near, far) = (path(0).remote, "fd00::2".parse().unwrap());
    let found = [(near, 4), (near, 1), (far, 1), (far, 4), (near, 0)].map(|(end, id)| paths.find(end, id));
    assert_eq!(found, [Some(PathIndex(0)), Some(PathIndex(1)), Some(PathIndex(2)), None, None]);
    let error = Paths::new(&[path(3), path(0), path(3)], None, Nanos(0)).unwrap_err();
    assert_eq!(error.to_string(), "two paths to 10.0.0.2 have the id 4");
    let many: Vec<_> = (0..=4_096).map(path).collect();
    let error = Paths::new(&many, None, Nanos(0)).unwrap_err();
    assert_eq!(error.to_string(), "probes: 4097 paths; expected 0 to 4096");
}

const PROBE: Probe = Probe {
    sequence: 0,
    timestamp: transport_wire::stamp::Timestamp(0),
    error: transport_wire::stamp::ErrorEstimate::new(false, transport_wire::stamp::Clock::Ptp, 0),
    session: 1,
};
