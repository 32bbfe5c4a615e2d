//! Paths, the slices that take them, and what their edges measure.

use std::collections::BTreeMap;

use api::v1;
use model::plan::{PathKey, Plan};
use model::profile::Catalog;
use model::program::PathProgram;
use model::{Latency, NodeName, PathId, SliceName};

use crate::decided::Decided;

/// Readings by edge, far end and id.
type Readings = BTreeMap<(String, String, u32), v1::PathReading>;

/// Who takes a path: by slice, whether it is its backup.
type Uses<'a> = BTreeMap<(&'a NodeName, PathId), BTreeMap<&'a SliceName, bool>>;

/// Every path, or those that a slice takes or that begin or end at a node.
pub(crate) fn paths(
    decided: &Decided,
    catalog: &Catalog,
    slice: Option<&SliceName>,
    node: Option<&NodeName>,
    readings: Vec<v1::PathReading>,
) -> Vec<v1::PathStatus> {
    let mut readings = by_path(readings);
    let bounds: BTreeMap<&SliceName, Latency> = decided
        .intents
        .slices
        .iter()
        .filter_map(|(name, spec)| Some((name, plan::derive(catalog, name, spec).ok()?.latency?)))
        .collect();
    let mut paths = Vec::new();
    for (edge, program) in &decided.plan.programs {
        let mut uses = uses(program);
        for path in &program.content.paths {
            let uses = uses.remove(&(&path.to, path.id)).unwrap_or_default();
            let is_wanted = slice.is_none_or(|slice| uses.contains_key(slice))
                && node.is_none_or(|node| node == edge || *node == path.to);
            if !is_wanted {
                continue;
            }
            let (links, delay) = planned(&decided.plan, edge, path);
            let uses = uses.into_iter().map(|(slice, backup)| v1::PathUse {
                slice: slice.to_string(),
                backup,
                delay_nanoseconds_max: bounds.get(slice).map(|bound| bound.as_nanos()),
            });
            paths.push(v1::PathStatus {
                from: edge.to_string(),
                program: Some(path.into()),
                links,
                delay_nanoseconds: delay,
                uses: uses.collect(),
                reading: readings
                    .remove(&(edge.to_string(), path.to.to_string(), path.id.get().into()))
                    .filter(|reading| is_of(reading, path)),
            });
        }
    }
    paths
}

/// The slices that take each path of an edge. One that takes it both ways, in different segments, takes it for its work.
fn uses(program: &model::program::Program) -> Uses<'_> {
    let mut uses = Uses::new();
    for slice in &program.content.slices {
        for remote in slice.segments.iter().flat_map(|segment| &segment.remotes) {
            let ids = [(Some(remote.working), false), (remote.backup, true)];
            for (id, backup) in ids.into_iter().filter_map(|(id, backup)| Some((id?, backup))) {
                let of_path = uses.entry((&remote.edge, id)).or_default();
                of_path.entry(&slice.slice).and_modify(|known| *known &= backup).or_insert(backup);
            }
        }
    }
    uses
}

/// Is it a reading of the path as it is now? An edge that is behind may have another one under its number.
fn is_of(reading: &v1::PathReading, path: &PathProgram) -> bool {
    let program = reading.program.clone().and_then(|program| PathProgram::try_from(program).ok());
    program.as_ref() == Some(path)
}

/// By what the plan knows a path.
pub(crate) fn path_key(one: &NodeName, other: &NodeName, id: PathId) -> PathKey {
    PathKey { a: one.min(other).clone(), b: one.max(other).clone(), id }
}

/// The links of a path and the sum of their delays, as they were planned.
fn planned(plan: &Plan, from: &NodeName, path: &PathProgram) -> (Vec<String>, u64) {
    let Some(planned) = plan.paths.get(&path_key(from, &path.to, path.id)) else { return Default::default() };
    let mut links: Vec<String> = planned.links.iter().map(ToString::to_string).collect();
    // They are kept from the smaller name to the other.
    if *from > path.to {
        links.reverse();
    }
    (links, planned.delay.as_nanos())
}

fn by_path(readings: Vec<v1::PathReading>) -> Readings {
    let key = |reading: &v1::PathReading| {
        let program = reading.program.as_ref()?;
        Some((reading.edge.clone(), program.to.clone(), program.id))
    };
    readings.into_iter().filter_map(|reading| Some((key(&reading)?, reading))).collect()
}
