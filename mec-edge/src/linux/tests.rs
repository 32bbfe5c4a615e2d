//! The keeper, on a device in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use model::program::{
    Adjacency, CorePort, Flavours, PortShaping, ProgramContent, SliceClass, TransitBehaviour, TransitLabel,
    TransitProgram, TransitSid, UnderlayRoute,
};
use model::{ClassNumber, Label, Rate, RateLimits, Vni};
use transport_southbound::{
    ApplyError, Cause, Change, Forwarding, Found, Key, LinkName, LinkUp, Object, ObserveError, Observed, Unsupported,
};

use super::*;
use crate::state::StateFolder;

/// What a device has.
#[derive(Debug, Default)]
struct Contents {
    ours: BTreeMap<Key, Found>,
    others: BTreeMap<Key, Object>,
    /// Why nothing can be read.
    broken: bool,
    /// These can't be made.
    refuses: BTreeSet<Key>,
    changes: usize,
}

/// The keeper has one, and the test another hold on it.
#[derive(Debug, Clone)]
struct Memory(std::sync::Arc<std::sync::Mutex<Contents>>);

impl Memory {
    /// A box whose owner has seen to everything.
    fn new() -> Self {
        let objects = [
            Object::LinkUp(LinkUp { link: LinkName::new("to-b").unwrap(), mtu: 1_600 }),
            Object::Forwarding(Forwarding::Ipv6),
            Object::Forwarding(Forwarding::Ipv4),
        ];
        let others = objects.into_iter().map(|object| (object.key(), object)).collect();
        Self(std::sync::Arc::new(std::sync::Mutex::new(Contents { others, ..Contents::default() })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Contents) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// The owner, or somebody else, takes away what is called so.
    fn take(&self, what: &str) {
        self.with(|memory| {
            let key =
                memory.ours.keys().chain(memory.others.keys()).find(|key| key.to_string() == what).unwrap().clone();
            memory.ours.remove(&key);
            memory.others.remove(&key);
        });
    }
}

impl Device for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn observe(&mut self) -> Result<Observed, ObserveError> {
        self.with(|memory| {
            if memory.broken {
                let source = io::Error::from_raw_os_error(1);
                return Err(ObserveError { device: "memory".into(), what: "routes", source });
            }
            Ok(Observed { ours: memory.ours.clone(), others: memory.others.clone() })
        })
    }

    fn supports(&self, object: &Object) -> Result<(), Unsupported> {
        match object {
            Object::LocalSid(sid) if sid.action.to_string().contains("USD") => {
                Err(Unsupported { device: "memory".into(), object: object.to_string(), why: "no USD" })
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        self.with(|memory| {
            memory.changes += 1;
            let failed = |cause| ApplyError { device: "memory".into(), change: Box::new(change.clone()), cause };
            match change {
                Change::Remove(key) => drop(memory.ours.remove(key)),
                Change::Add(object) | Change::Replace(object) | Change::Remake(object) => {
                    if matches!(object, Object::LinkUp(_) | Object::Forwarding(_)) {
                        return Err(failed(Cause::OfOwner));
                    }
                    if memory.refuses.contains(&object.key()) {
                        return Err(failed(Cause::Occupied(String::new())));
                    }
                    memory.ours.insert(object.key(), Found::As(object.clone()));
                }
            }
            Ok(())
        })
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn program(generation: u64) -> Program {
    let via = Adjacency { port: "to-b".parse().unwrap(), next_hop: "fd00:2::b".parse().unwrap() };
    let sid = |sid: &str, behaviour| TransitSid {
        sid: sid.parse().unwrap(),
        flavours: Flavours { psp: behaviour == TransitBehaviour::End, ..Flavours::default() },
        behaviour,
    };
    let mbit = |rate: u64| Rate::from_bits_per_second(rate * 1_000_000);
    let class = SliceClass {
        number: ClassNumber::MIN,
        slice: "iot".parse().unwrap(),
        limits: RateLimits::new(mbit(10), mbit(20)).unwrap(),
        weight: model::Weight::MAX,
        vnis: vec![Vni::MIN, Vni::MAX],
    };
    let content = ProgramContent {
        core_ports: vec![CorePort {
            port: "to-b".parse().unwrap(),
            addresses: vec!["fd00:2::c/64".parse().unwrap(), "10.0.2.1/24".parse().unwrap()],
            mtu: 1600,
        }],
        transit: TransitProgram {
            sids: vec![sid("fc00:c::1", TransitBehaviour::End), sid("fc00:c::2", TransitBehaviour::EndX(via.clone()))],
            labels: Vec::new(),
            routes: vec![UnderlayRoute { prefix: "fc00:b::/48".parse().unwrap(), via }],
            queues: Vec::new(),
        },
        shaping: vec![PortShaping { port: "to-b".parse().unwrap(), rate: mbit(100), classes: vec![class] }],
        ..ProgramContent::empty("core-1".parse().unwrap())
    };
    Program { generation: Generation::new(generation), content }
}

fn keeper(folder: &std::path::Path, memory: &Memory) -> Keeper<Memory> {
    let programs = Programs::new("core-1".parse().unwrap(), StateFolder::open(folder).unwrap());
    let mut keeper = Keeper::new(memory.clone(), programs);
    keeper.resume(at(1));
    keeper
}

/// What is claimed: the generation, whether the digest is the program's, what differs, what was refused.
fn claims(keeper: &Keeper<Memory>, program: &Program) -> (u64, bool, Vec<String>, String) {
    let realised = keeper.realised();
    let is_whole = realised.digest == program.digest().as_bytes();
    assert!(is_whole || realised.digest.is_empty());
    let drift = realised.drift.iter().map(|drift| {
        let difference = drift.difference.clone().unwrap();
        let since = drift.since.as_ref().unwrap().seconds;
        format!("{} since {since}: wanted `{}`, found `{}`", difference.what, difference.wanted, difference.found)
    });
    let refusal = realised.refusal.map(|refusal| refusal.reason).unwrap_or_default();
    (realised.generation, is_whole, drift.collect(), refusal)
}

#[test]
fn a_program_is_claimed_when_it_is_read_back_and_everything_of_it_is_told() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut keeper = keeper(folder.path(), &memory);
    assert_eq!(keeper.realised(), v1::Realised::default(), "nothing was ever told");
    keeper.apply(program(1), at(2));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
    let running = keeper.running(at(3)).unwrap();
    let told = v1::Program::from(&program(1));
    assert_eq!(running.program.as_ref().unwrap().digest, told.digest);
    let sids: Vec<_> = running
        .sids
        .iter()
        .map(|sid| match sid.sid.clone().unwrap() {
            v1::running_sid::Sid::Transit(sid) => sid,
            v1::running_sid::Sid::Service(sid) => panic!("{sid:?}"),
        })
        .collect();
    let transit = told.transit.unwrap();
    assert_eq!((sids, running.routes.clone()), (transit.sids, transit.routes));
    let mut shaping = told.shaping;
    // A kernel knows numbers, and no weight.
    shaping[0].classes[0].slice.clear();
    shaping[0].classes[0].weight = None;
    assert_eq!(running.shaping, shaping);
    // A program without anything takes away what is ours, and nothing else.
    let others = memory.with(|memory| memory.others.clone());
    let empty = Program { generation: Generation::new(2), content: ProgramContent::empty("core-1".parse().unwrap()) };
    keeper.apply(empty.clone(), at(4));
    assert_eq!(claims(&keeper, &empty), (2, true, vec![], String::new()));
    memory.with(|memory| assert!(memory.ours.is_empty() && memory.others == others));
}

#[test]
fn what_is_changed_by_hand_is_named_since_when_and_left_until_the_program_comes_again() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(program(1), at(2));
    keeper.look(at(3));
    let sid = "route fc00:c::1/128 in table 254, metric 201";
    memory.take(sid);
    let changes = memory.with(|memory| memory.changes);
    for second in 10..40 {
        keeper.look(at(second));
    }
    let wanted = "SID fc00:c::1/128 End PSP in table 254, metric 201, on ms-sid";
    let drift = format!("{sid} since 10: wanted `{wanted}`, found ``");
    assert_eq!(claims(&keeper, &program(1)), (1, false, vec![drift], String::new()));
    assert_eq!(keeper.running(at(41)).unwrap().program.unwrap().digest, Vec::<u8>::new());
    assert_eq!(memory.with(|memory| memory.changes), changes, "nobody asked for a repair");
    keeper.apply(program(1), at(50));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
    assert_eq!(memory.with(|memory| memory.changes), changes + 1);
    // Somebody mends it by hand.
    memory.take(sid);
    keeper.look(at(60));
    memory.with(|memory| memory.ours.insert(wish(sid).key(), Found::As(wish(sid))));
    keeper.look(at(61));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
}

/// The object of the program that is called so.
fn wish(what: &str) -> Object {
    let desired = transport_southbound::core_node("core-1", &program(1).content).unwrap();
    desired.objects().values().find(|object| object.key().to_string() == what).unwrap().clone()
}

#[test]
fn nothing_is_claimed_of_a_box_that_forwards_nothing() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    memory.take("net.ipv6.conf.all.forwarding=1");
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(program(1), at(2));
    let why = "it is for the owner of the box to do";
    let switch = "net.ipv6.conf.all.forwarding=1";
    let drift = format!("{switch} since 2: wanted `{switch}`, found `nothing; {why}`");
    assert_eq!(claims(&keeper, &program(1)), (1, false, vec![drift], String::new()));
    memory.with(|memory| memory.others.insert(wish(switch).key(), wish(switch)));
    keeper.look(at(3));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
}

#[test]
fn what_could_not_be_had_is_tried_again_and_what_went_with_a_port_comes_back_with_it() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let route = "route fc00:b::/48 in table 254, metric 201";
    memory.with(|memory| memory.refuses.insert(wish(route).key()));
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(program(1), at(2));
    let why = "something that isn't ours is in its place";
    let drift = format!("{route} since 2: wanted `{}`, found `nothing; {why}`", wish(route));
    assert_eq!(claims(&keeper, &program(1)), (1, false, vec![drift], String::new()));
    memory.with(|memory| memory.refuses.clear());
    for second in 3..20 {
        keeper.look(at(second));
    }
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
    // The port goes down and takes its routes and addresses along.
    for what in ["link to-b up", route, "address fd00:2::c/64 of to-b"] {
        memory.take(what);
    }
    for second in 20..40 {
        keeper.look(at(second));
    }
    let (_, is_whole, drift, _) = claims(&keeper, &program(1));
    assert_eq!((is_whole, drift.len()), (false, 3), "{drift:?}");
    memory.with(|memory| memory.others.insert(wish("link to-b up").key(), wish("link to-b up")));
    keeper.look(at(40));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
}

#[test]
fn a_kernel_that_can_not_be_read_is_not_spoken_for() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(program(1), at(2));
    memory.with(|memory| memory.broken = true);
    keeper.look(at(5));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()), "once may be bad luck");
    keeper.look(at(6));
    let (generation, is_whole, drift, _) = claims(&keeper, &program(1));
    assert_eq!((generation, is_whole), (1, false));
    assert!(
        drift[0].starts_with("kernel since 5: wanted `read back`, found `memory: its routes can't be read"),
        "{drift:?}"
    );
    assert!(keeper.running(at(7)).unwrap_err().starts_with("memory: its routes can't be read"));
    memory.with(|memory| memory.broken = false);
    keeper.look(at(8));
    assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
    // Not in a row.
    for second in 10..20 {
        memory.with(|memory| memory.broken = second % 2 == 0);
        keeper.look(at(second));
        assert_eq!(claims(&keeper, &program(1)), (1, true, vec![], String::new()));
    }
    // A program that was never read back is not claimed, whatever is known of the one before.
    memory.with(|memory| memory.broken = true);
    keeper.apply(program(2), at(30));
    let (generation, is_whole, drift, _) = claims(&keeper, &program(2));
    assert!((generation, is_whole, drift.len()) == (2, false, 1), "{drift:?}");
    memory.with(|memory| memory.broken = false);
    keeper.look(at(31));
    // What there is of it is what generation 1 had.
    assert_eq!(claims(&keeper, &program(2)), (2, true, vec![], String::new()));
}

type Spoil = fn(&mut Program);

#[test]
fn what_a_kernel_can_not_do_is_refused_by_name_and_what_was_done_goes_on() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(program(5), at(2));
    let changes = memory.with(|memory| memory.changes);
    let refused: [(Spoil, &str); 5] = [
        (
            |program| {
                let out = program.content.transit.routes[0].via.clone();
                program.content.transit.labels = vec![TransitLabel { label: Label::MIN, swap: None, out }];
            },
            "1 entries can't be had; the first: core-1: `label 16 popped via fd00:2::b by to-b` can't be had: the driver \
             makes no MPLS entries",
        ),
        (|program| program.content.transit.sids[0].flavours.usd = true, "can't be had: no USD"),
        (|program| program.content.edge = "core-2".parse().unwrap(), "the program is for core-2, and this is core-1"),
        (|program| program.generation = Generation::new(4), "generation 4 is older than generation 5, which runs"),
        (
            |program| {
                program.generation = Generation::new(5);
                program.content.core_ports.clear();
            },
            "generation 5 runs already, and says something else",
        ),
    ];
    for (change, expected) in refused {
        let mut other = program(6);
        change(&mut other);
        keeper.apply(other, at(3));
        let (generation, is_whole, drift, refusal) = claims(&keeper, &program(5));
        assert_eq!((generation, is_whole, drift), (5, true, vec![]));
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert_eq!(memory.with(|memory| memory.changes), changes);
    keeper.apply(program(7), at(4));
    assert_eq!(claims(&keeper, &program(7)), (7, true, vec![], String::new()));
}

#[test]
fn an_agent_that_died_in_the_middle_is_followed_by_one_that_goes_on_from_the_disk() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut first = keeper(folder.path(), &memory);
    first.apply(program(1), at(2));
    drop(first);
    // Half of it is there, and something that was ours before.
    for what in ["route fc00:b::/48 in table 254, metric 201", "link ms-sid", "class 3 of to-b"] {
        memory.take(what);
    }
    let route = "route fc00:b::/48 in table 254, metric 201";
    let Object::Route(left) = wish(route) else { panic!("a route") };
    let left = Object::Route(transport_southbound::Route { prefix: "fc00:9::/48".parse().unwrap(), ..left });
    memory.with(|memory| memory.ours.insert(left.key(), Found::As(left.clone())));
    let second = keeper(folder.path(), &memory);
    assert_eq!(claims(&second, &program(1)), (1, true, vec![], String::new()));
    memory.with(|memory| assert!(!memory.ours.contains_key(&left.key())));
}

#[test]
fn more_differences_than_are_told_are_counted() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let mut many = program(1);
    let route = many.content.transit.routes[0].clone();
    many.content.transit.routes = (0..150)
        .map(|n| UnderlayRoute { prefix: format!("fc00:{n:x}::/48").parse().unwrap(), ..route.clone() })
        .collect();
    let mut keeper = keeper(folder.path(), &memory);
    keeper.apply(many.clone(), at(2));
    memory.with(|memory| memory.ours.retain(|key, _| !key.to_string().starts_with("route fc00:")));
    keeper.look(at(9));
    let (_, _, drift, _) = claims(&keeper, &many);
    assert_eq!(drift.len(), 101);
    assert_eq!(drift[100], "the rest since 9: wanted `no difference`, found `52 more differences`");
}

#[tokio::test]
async fn the_thread_looks_by_itself_and_a_node_says_what_it_has_not() {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Memory::new());
    let programs = Programs::new("core-1".parse().unwrap(), StateFolder::open(folder.path()).unwrap());
    let (thread, mut node) = KeeperThread::start(memory.clone(), programs).await.unwrap();
    node.apply(program(1)).await;
    assert_eq!(node.realised().await.digest, program(1).digest().as_bytes());
    assert_eq!(node.hello().ports, [v1::PortStatus { port: "to-b".into(), driver: "linux".into() }]);
    let before = node.pulse().await;
    memory.take("link ms-sid");
    while node.pulse().await == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let realised = node.realised().await;
    assert_eq!((realised.digest.len(), realised.drift.len()), (0, 1));
    for (kind, why) in [
        (v1::ReadKind::Drops, "drops"),
        (v1::ReadKind::Meters, "no meters"),
        (v1::ReadKind::Queues, "its queues itself"),
        (v1::ReadKind::Sessions, "no AAA"),
        (v1::ReadKind::AaaCounters, "no AAA"),
        (v1::ReadKind::Paths, "at the end of none"),
    ] {
        assert!(node.read(kind).await.unwrap_err().contains(why));
    }
    assert_eq!(node.read(v1::ReadKind::Running).await.unwrap().sids.len(), 2);
    drop(thread);
    let gone = node.realised().await;
    assert_eq!(
        (gone.generation, gone.refusal.unwrap().reason.as_str()),
        (0, "the thread that keeps the kernel has stopped")
    );
}
