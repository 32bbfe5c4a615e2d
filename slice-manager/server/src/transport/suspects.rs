//! Links that edges have found to lead nowhere. A link is suspected when a path over it has failed and no path over it
//! works; it is trusted again when one has worked for a while. The planner leaves suspects if there is another way.

use std::collections::{BTreeMap, BTreeSet};

use api::v1;
use model::operation::Timestamp;
use model::{LinkName, PathId};

use super::paths::path_key;
use crate::decided::Decided;
use crate::observed::{Observations, Standing, standing};

/// Links, each with when it was last found to lead nowhere.
pub(crate) type Suspects = BTreeMap<LinkName, Timestamp>;

/// Which links are suspected now, given which were. An edge is believed only about paths that it has by its target.
pub(crate) fn suspects(decided: &Decided, observations: &Observations, now: Timestamp) -> Suspects {
    let (mut failed, mut works, mut proven) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (edge, observed) in observations {
        let Some(report) = observed.report.as_ref().filter(|_| observed.session.is_some()) else { continue };
        if standing(decided, edge, Some(report)) != Standing::InStep {
            continue;
        }
        for path in &report.paths {
            let ends = path.to.parse().ok().zip(PathId::try_from(path.id).ok());
            let planned = ends.and_then(|(to, id)| decided.plan.paths.get(&path_key(edge, &to, id)));
            let Some(planned) = planned else { continue };
            match path.state() {
                v1::PathState::Down if path.proven => failed.extend(&planned.links),
                v1::PathState::Up => {
                    works.extend(&planned.links);
                    if age(path.since.as_ref(), now) >= TRUST_MILLIS {
                        proven.extend(&planned.links);
                    }
                }
                _ => {}
            }
        }
    }
    let mut suspects = Suspects::clone(&decided.suspects);
    // One that no path leads over any more can't be found to work again; it gets another chance after a time.
    suspects.retain(|link, since| !proven.contains(link) && now.0.saturating_sub(since.0) < FORGET_MILLIS);
    suspects.extend(failed.difference(&works).map(|link| ((*link).clone(), now)));
    suspects
}

/// How long ago, in milliseconds.
fn age(since: Option<&prost_types::Timestamp>, now: Timestamp) -> u64 {
    let since = since.map_or(u64::MAX, |since| {
        let seconds = u64::try_from(since.seconds).unwrap_or(0);
        seconds.saturating_mul(1_000).saturating_add(u64::try_from(since.nanos / 1_000_000).unwrap_or(0))
    });
    now.0.saturating_sub(since)
}

/// How long a path must have worked before its links are trusted again.
const TRUST_MILLIS: u64 = 10_000;
/// How long a link is suspected that nothing is heard of.
const FORGET_MILLIS: u64 = 300_000;

#[cfg(test)]
mod tests;
