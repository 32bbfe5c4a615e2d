//! What a kernel was found to do, in the manager's words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::SystemTime;

use api::v1;
use model::program::{Adjacency, Flavours, TransitBehaviour, TransitSid, UnderlayRoute};
use model::{NodeName, PortName, Sid};
use transport_southbound::{
    Action, ClassId, Difference, DriftLog, Found, Key, LinkName, LocalSid, Metric, Object, Observed, Route, Table,
};

use crate::report::moment;

/// What differs, since when, and why it could not be put right; what is beyond the most that is told is counted.
pub(super) fn drift(
    node: &NodeName,
    log: &DriftLog,
    failed: &BTreeMap<Key, String>,
    unread: Option<(&str, SystemTime)>,
) -> Vec<v1::Drift> {
    let row = |what: String, wanted: String, found: String, since: SystemTime| v1::Drift {
        node: node.to_string(),
        difference: Some(v1::Difference { what, wanted, found }),
        since: Some(moment(since)),
    };
    let of_log = log.list().map(|drift| {
        let key = drift.difference.key();
        let (wanted, found) = match &drift.difference {
            Difference::Missing(want) => (want.to_string(), String::new()),
            Difference::Differs { want, found } => (want.to_string(), found.to_string()),
            Difference::Extra { found, .. } => (String::new(), found.to_string()),
        };
        let found = match failed.get(&key) {
            Some(why) if found.is_empty() => format!("nothing; {why}"),
            Some(why) => format!("{found}; {why}"),
            None => found,
        };
        row(key.to_string(), wanted, found, drift.since)
    });
    let of_log_more = of_log.len().saturating_sub(DRIFT_TOLD_MAX);
    let mut rows: Vec<v1::Drift> = of_log.take(DRIFT_TOLD_MAX).collect();
    if of_log_more > 0 {
        let since = log.list().skip(DRIFT_TOLD_MAX).map(|drift| drift.since).min();
        let found = format!("{of_log_more} more differences");
        rows.push(row(
            "the rest".to_owned(),
            "no difference".to_owned(),
            found,
            since.unwrap_or(SystemTime::UNIX_EPOCH),
        ));
    }
    rows.extend(unread.map(|(why, since)| row("kernel".to_owned(), "read back".to_owned(), why.to_owned(), since)));
    rows
}

/// SIDs, routes and classes, each as the kernel has it.
pub(super) fn found(observed: &Observed) -> v1::Reading {
    let mut reading = v1::Reading::default();
    let mut ports: BTreeMap<&LinkName, v1::PortShaping> = BTreeMap::new();
    for found in observed.ours.values() {
        let Found::As(object) = found else { continue };
        match object {
            Object::LocalSid(sid) => reading.sids.extend(running_sid(observed, sid)),
            Object::Route(route) => reading.routes.extend(underlay_route(route).map(|route| (&route).into())),
            Object::ShaperRoot(root) => {
                let shaping = shaping(&mut ports, &root.link);
                shaping.rate_bits_per_second = root.rate.rate().bits_per_second();
            }
            Object::Shaper(shaper) if shaper.class != ClassId::REST => {
                let limits = v1::RateLimits {
                    guaranteed_bits_per_second: shaper.rate.rate().bits_per_second(),
                    ceiling_bits_per_second: shaper.ceil.rate().bits_per_second(),
                };
                class(shaping(&mut ports, &shaper.link), shaper.class).limits = Some(limits);
            }
            Object::Classifier(classifier) => {
                let vnis = &mut class(shaping(&mut ports, &classifier.link), classifier.class).vnis;
                if !vnis.contains(&classifier.vni.get()) {
                    vnis.push(classifier.vni.get());
                }
            }
            _ => {}
        }
    }
    reading.shaping = ports.into_values().collect();
    reading
}

/// A SID of the kind that core nodes have; others are seen as what is left over.
fn running_sid(observed: &Observed, found: &LocalSid) -> Option<v1::RunningSid> {
    let IpAddr::V6(address) = found.sid.address() else { return None };
    let is_plain = found.sid.length() == 128 && found.table == Table::MAIN;
    let sid = Sid::new(address).ok().filter(|_| is_plain)?;
    let (behaviour, found) = match &found.action {
        Action::End(flavours) => (TransitBehaviour::End, flavours),
        Action::EndX(via, flavours) => (TransitBehaviour::EndX(neighbour(observed, *via)?), flavours),
        _ => return None,
    };
    let flavours = Flavours { psp: found.psp, usp: found.usp, usd: found.usd };
    let number = v1::running_sid::Sid::Transit((&TransitSid { sid, behaviour, flavours }).into());
    Some(v1::RunningSid { sid: Some(number), ..v1::RunningSid::default() })
}

/// A kernel keeps the neighbour of End.X alone; the port is the one on whose network it is, as the kernel itself sees it.
fn neighbour(observed: &Observed, via: Ipv6Addr) -> Option<Adjacency> {
    let ours =
        observed.ours.values().filter_map(|found| if let Found::As(object) = found { Some(object) } else { None });
    let link = ours.chain(observed.others.values()).find_map(|object| match object {
        Object::Address(address) if address.address.is_on_link(via.into()) => Some(&address.link),
        _ => None,
    });
    Some(Adjacency { port: PortName::new(link?.as_str()).ok()?, next_hop: via.into() })
}

/// A route of the kind that core nodes have.
fn underlay_route(route: &Route) -> Option<UnderlayRoute> {
    let is_plain = route.table == Table::MAIN && route.metric == Metric::DEFAULT && route.encap.is_none();
    let via = Adjacency { port: PortName::new(route.link.as_str()).ok()?, next_hop: route.via.filter(|_| is_plain)? };
    Some(UnderlayRoute { prefix: route.prefix, via })
}

fn shaping<'p, 'o>(
    ports: &'p mut BTreeMap<&'o LinkName, v1::PortShaping>,
    link: &'o LinkName,
) -> &'p mut v1::PortShaping {
    ports.entry(link).or_insert_with(|| v1::PortShaping { port: link.to_string(), ..v1::PortShaping::default() })
}

fn class(shaping: &mut v1::PortShaping, id: ClassId) -> &mut v1::SliceClass {
    let number = u32::from(id.get());
    let at = shaping.classes.iter().position(|class| class.number == number).unwrap_or_else(|| {
        shaping.classes.push(v1::SliceClass { number, ..v1::SliceClass::default() });
        shaping.classes.len() - 1
    });
    &mut shaping.classes[at]
}

/// So many differences are told one by one.
const DRIFT_TOLD_MAX: usize = 100;
