//! Paths against an oracle that tries them all: on small networks, what is found is the best that there is, what is refused
//! can't be had, and what is offered can.

use std::collections::BTreeSet;

use model::plan::{PathKey, Plan};
use model::resource::{BackupMode, LatencyObjective, Link, NodeRole, Resource, TopologySpec, Transport};
use model::{Latency, LinkName, Rate, RateLimits};
use plan::{Input, Intents, Obstacle, Refusal, RefusalReason, plan};
use proptest::prelude::*;

use crate::net::{Line, declared, name, slice, topology};
use crate::world::{CATALOG, assert_clean, read};

/// One slice between two edges.
#[derive(Debug, Clone)]
struct Ask {
    transport: Transport,
    mbit: u64,
    microseconds: u64,
    without_node: Option<u8>,
    without_link: Option<u8>,
    with: Option<&'static str>,
    without: Option<&'static str>,
    backup: Option<BackupMode>,
}

fn networks() -> impl Strategy<Value = Vec<Line>> {
    let node = |number: usize| ["e1", "e2", "c1", "c2", "c3", "c4"][number];
    let word = |words: &'static [&'static str]| {
        proptest::option::weighted(0.4, proptest::sample::select(words))
            .prop_map(|word| word.into_iter().map(String::from).collect())
    };
    let line = (0_usize..6, 1_usize..6, 1_u32..5, 1_u64..9, proptest::sample::select(&[10_u64, 20, 40][..]));
    let line = (line, word(&["duct", "mast"]), word(&["red", "blue"]), proptest::bool::weighted(0.05));
    let line = line.prop_map(move |((a, step, cost, delay, mbit), risks, affinities, drained)| Line {
        a: node(a).to_owned(),
        b: node((a + step) % 6).to_owned(),
        cost,
        delay: delay * 100,
        mbit,
        risks,
        affinities,
        drained,
        number: None,
    });
    proptest::collection::vec(line, 4..12)
}

fn asks() -> impl Strategy<Value = Ask> {
    let transport = proptest::sample::select(&[Transport::Srv6, Transport::Mpls, Transport::Vxlan][..]);
    let modes = [BackupMode::None, BackupMode::Link, BackupMode::Srlg, BackupMode::Node];
    let backup = proptest::option::weighted(0.7, proptest::sample::select(modes.to_vec()));
    let few = |range: std::ops::Range<u8>| proptest::option::weighted(0.2, range);
    let affinity = || proptest::option::weighted(0.2, proptest::sample::select(&["red", "blue"][..]));
    let bounds = (prop_oneof![Just(1_u64), 5_u64..45], prop_oneof![Just(9_999_u64), 3_u64..30]);
    (transport, bounds, few(1..5), few(1..12), affinity(), affinity(), backup).prop_map(
        |(transport, (mbit, hundreds), without_node, without_link, with, without, backup)| Ask {
            transport,
            mbit,
            microseconds: hundreds * 100,
            without_node,
            without_link,
            with,
            without,
            backup,
        },
    )
}

/// The intents, with everything left out of the ask that the network does not know.
fn intents(spec: &TopologySpec, ask: &Ask) -> Intents {
    let transport = ask.transport.as_str();
    let resources = read("slice.yaml", &slice(&["e1", "e2"], &format!("transport: {transport}")));
    let mut intents: Intents = resources.into_iter().chain([declared(spec.clone())]).collect();
    let (id, mut asked) = intents.slices.first_key_value().map(|(id, asked)| (id.clone(), asked.clone())).unwrap();
    let mbit = |rate: u64| Rate::from_bits_per_second(rate * 1_000_000);
    asked.rate = Some(RateLimits::new(mbit(ask.mbit), mbit(1000)).unwrap());
    asked.latency = Some(LatencyObjective { max: Latency::from_nanos(ask.microseconds * 1000) });
    let list = |one: Option<String>| model::UniqueList::new(one.map(|one| name(&one)).into_iter().collect()).unwrap();
    let node = ask.without_node.map(|number| format!("c{number}")).filter(|node| spec.nodes.get(node).is_some());
    asked.paths.exclude_nodes = model::UniqueList::new(node.map(|node| name(&node)).into_iter().collect()).unwrap();
    let link = ask.without_link.map(|number| format!("l{number:02}")).filter(|link| spec.links.get(link).is_some());
    asked.paths.exclude_links = model::UniqueList::new(link.map(|link| name(&link)).into_iter().collect()).unwrap();
    let known =
        |affinity: &&str| spec.links.iter().any(|link| link.affinities.iter().any(|one| one.as_str() == *affinity));
    asked.paths.include_affinities = list(ask.with.filter(known).map(String::from));
    asked.paths.exclude_affinities = list(ask.without.filter(known).map(String::from));
    asked.paths.backup = ask.backup;
    intents.apply(Resource::Slice(model::resource::Slice { name: id, spec: asked }));
    intents
}

fn answer(intents: &Intents) -> Result<Plan, Vec<Refusal>> {
    let (parent, confirmed) = (Plan::default(), std::collections::BTreeMap::new());
    plan(&Input {
        catalog: &CATALOG,
        intents,
        parent: &parent,
        confirmed: &confirmed,
        suspects: &std::collections::BTreeSet::new(),
    })
}

type Way<'a> = Vec<&'a Link>;

/// Every way from one node to another that visits none twice, leads through core nodes only and over no drained link.
fn every_way<'a>(spec: &'a TopologySpec, from: &str, to: &str) -> Vec<Way<'a>> {
    fn go<'a>(
        spec: &'a TopologySpec,
        at: &'a str,
        to: &str,
        seen: &mut Vec<&'a str>,
        way: &mut Way<'a>,
        all: &mut Vec<Way<'a>>,
    ) {
        if at == to {
            all.push(way.clone());
            return;
        }
        if seen.len() > 1 && spec.nodes.get(at).unwrap().role == NodeRole::Edge {
            return;
        }
        for link in spec.links.iter().filter(|link| !link.drained) {
            for (near, far) in [(&link.a.node, &link.b.node), (&link.b.node, &link.a.node)] {
                if near.as_str() == at && !seen.contains(&far.as_str()) {
                    seen.push(far.as_str());
                    way.push(link);
                    go(spec, far.as_str(), to, seen, way, all);
                    way.pop();
                    seen.pop();
                }
            }
        }
    }
    let mut all = Vec::new();
    let Some(start) = spec.nodes.get(from) else { return all };
    go(spec, start.name.as_str(), to, &mut vec![start.name.as_str()], &mut Vec::new(), &mut all);
    all
}

fn rank(way: &Way<'_>) -> (u64, u64, Vec<LinkName>) {
    let cost = way.iter().map(|link| u64::from(link.cost)).sum();
    let delay = way.iter().map(|link| link.delay.as_nanos()).sum();
    (cost, delay, way.iter().map(|link| link.name.clone()).collect())
}

fn allowed(intents: &Intents, way: &Way<'_>) -> bool {
    let asked = intents.slices.values().next().unwrap();
    let (paths, rate) = (&asked.paths, asked.rate.unwrap().guaranteed());
    let nodes: Vec<_> = way.iter().flat_map(|link| [&link.a.node, &link.b.node]).collect();
    let ok = |link: &&&Link| {
        let has = |list: &[model::AffinityName]| link.affinities.iter().any(|one| list.contains(one));
        link.capacity >= rate
            && !paths.exclude_links.contains(&link.name)
            && (paths.include_affinities.is_empty() || has(&paths.include_affinities))
            && !has(&paths.exclude_affinities)
    };
    way.iter().filter(ok).count() == way.len()
        && rank(way).1 <= asked.latency.unwrap().max.as_nanos()
        && !nodes.iter().any(|node| paths.exclude_nodes.contains(node))
}

fn apart(mode: BackupMode, one: &Way<'_>, other: &Way<'_>) -> bool {
    let names = |way: &Way<'_>| way.iter().map(|link| link.name.to_string()).collect::<BTreeSet<_>>();
    let risks =
        |way: &Way<'_>| way.iter().flat_map(|l| l.srlgs.iter().map(ToString::to_string)).collect::<BTreeSet<_>>();
    let cores = |way: &Way<'_>| {
        let ends = way.iter().flat_map(|link| [link.a.node.to_string(), link.b.node.to_string()]);
        ends.filter(|node| node.starts_with('c')).collect::<BTreeSet<_>>()
    };
    names(one).is_disjoint(&names(other))
        && (mode < BackupMode::Srlg || risks(one).is_disjoint(&risks(other)))
        && (mode < BackupMode::Node || cores(one).is_disjoint(&cores(other)))
}

/// What the underlay does with a packet that enters at a core node: the ways of least cost, and of those of least delay.
/// `None` where two are as good: which of them it is, is not for the oracle to say.
fn routed<'a>(spec: &'a TopologySpec, from: &str, to: &str) -> Option<Way<'a>> {
    let mut ways = every_way(spec, from, to);
    ways.sort_by_key(rank);
    match ways.as_slice() {
        [one, other, ..] if (rank(one).0, rank(one).1) == (rank(other).0, rank(other).1) => None,
        [one, ..] => Some(one.clone()),
        [] => None,
    }
}

/// The ways that an IP underlay makes of each first hop, both ways; `None` if a tie is in the way of saying so.
fn ip_ways(spec: &TopologySpec) -> Option<Vec<Way<'_>>> {
    let mut all = Vec::new();
    for way in every_way(spec, "e1", "e2") {
        let follows = |way: &Way<'_>, from: &str, to: &str| -> Option<bool> {
            let first = way[0];
            let far = if first.a.node.as_str() == from { &first.b.node } else { &first.a.node };
            if far.as_str() == to {
                return Some(way.len() == 1);
            }
            let rest = routed(spec, far.as_str(), to)?;
            Some(rank(&rest).2 == rank(&way[1..].to_vec()).2)
        };
        let back: Way<'_> = way.iter().rev().copied().collect();
        if follows(&way, "e1", "e2")? && follows(&back, "e2", "e1")? {
            all.push(way);
        }
    }
    Some(all)
}

/// The best pair, and whether it must be refused.
fn expected(mut ways: Vec<Way<'_>>, mode: Option<BackupMode>) -> Option<(Way<'_>, Option<Way<'_>>)> {
    ways.sort_by_key(rank);
    let wanted = mode.unwrap_or(BackupMode::Srlg);
    for working in &ways {
        if wanted == BackupMode::None {
            return Some((working.clone(), None));
        }
        if let Some(backup) = ways.iter().find(|way| apart(wanted, working, way)) {
            return Some((working.clone(), Some(backup.clone())));
        }
    }
    ways.into_iter().next().filter(|_| mode.is_none()).map(|working| (working, None))
}

/// The change to the ask that a refusal offers; `None` if it offers none.
fn offered(intents: &Intents, refusal: &Refusal, less: bool) -> Option<Intents> {
    let mut intents = intents.clone();
    let asked = intents.slices.values_mut().next().unwrap();
    match &refusal.reason {
        RefusalReason::LinkFull { fits, .. } => {
            let bits = fits.bits_per_second() + u64::from(less);
            asked.rate = RateLimits::new(Rate::from_bits_per_second(bits), asked.rate?.ceiling()).ok();
        }
        RefusalReason::PathTooSlow { delay, .. } => {
            asked.latency = Some(LatencyObjective { max: Latency::from_nanos(delay.as_nanos() - u64::from(less)) });
        }
        RefusalReason::ExcludedAway { what, .. } if !less => match what {
            Obstacle::Nodes(_) => asked.paths.exclude_nodes = model::UniqueList::default(),
            Obstacle::Links(_) => asked.paths.exclude_links = model::UniqueList::default(),
            Obstacle::Affinities(_) => asked.paths.exclude_affinities = model::UniqueList::default(),
            Obstacle::Without(_) => asked.paths.include_affinities = model::UniqueList::default(),
        },
        RefusalReason::NoBackup { .. } if !less => asked.paths.backup = Some(BackupMode::None),
        _ => return None,
    }
    Some(intents)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_best_pair_is_found_and_only_what_can_not_be_is_refused(net in networks(), ask in asks()) {
        let spec = topology(&net, |node| (node.sid_depth_max, node.label_depth_max) = (255, 255));
        prop_assume!(["e1", "e2"].iter().all(|edge| spec.nodes.get(edge).is_some()));
        let intents = intents(&spec, &ask);
        let all = every_way(&spec, "e1", "e2");
        prop_assume!(all.len() <= 32);
        let mut ways = if ask.transport == Transport::Vxlan { ip_ways(&spec) } else { Some(all) };
        prop_assume!(ways.is_some());
        let ways: Vec<_> = ways.take().unwrap().into_iter().filter(|way| allowed(&intents, way)).collect();
        let best = expected(ways, ask.backup);
        match (answer(&intents), best) {
            (Ok(plan), Some((working, backup))) => {
                assert_clean(&plan, &intents);
                let links = |id| {
                    let (a, b) = (name("e1"), name("e2"));
                    plan.paths[&PathKey { a, b, id }].links.clone()
                };
                let way = plan.slices.values().next().unwrap().ways.values().next().unwrap();
                prop_assert_eq!(links(way.working), rank(&working).2);
                prop_assert_eq!(way.backup.map(links), backup.map(|backup| rank(&backup).2));
            }
            (Err(refusals), None) => {
                // All offers together can be taken, and nothing beyond an offer that stands alone.
                let taken = refusals.iter().try_fold(intents.clone(), |intents, refusal| offered(&intents, refusal, false));
                if let Some(taken) = taken {
                    let again = answer(&taken);
                    prop_assert!(again.is_ok(), "{refusals:?}: still refused: {again:?}");
                }
                if let [refusal] = refusals.as_slice()
                    && let Some(beyond) = offered(&intents, refusal, true)
                {
                    prop_assert!(answer(&beyond).is_err(), "{refusal}: more can be had");
                }
            }
            (Ok(_), None) => prop_assert!(false, "granted, and there is no such path"),
            (Err(refusals), Some((working, _))) => {
                prop_assert!(false, "{} refused, and there is {:?}", refusals[0], rank(&working));
            }
        }
    }
}
