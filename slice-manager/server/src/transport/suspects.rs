//! Links that edges have found to lead nowhere. A link is suspected when a path over it has failed for a while and no path
//! over it works; it is trusted again when one has worked for a while. The planner leaves suspects if there is another way.
//! Edges take their backups in milliseconds and without being asked, so nothing is lost by the wait: it keeps a stutter of a
//! busy host from moving what need not move.
//!
//! Time is the manager's own: the clock of an edge says when a state is another one, and nothing more.

use std::collections::{BTreeMap, BTreeSet};

use api::v1;
use model::operation::Timestamp;
use model::plan::PathKey;
use model::{LinkName, NodeName, PathId};

use super::paths::path_key;
use crate::decided::Decided;
use crate::observed::{Observations, Standing, standing};

/// Links that lead nowhere, as far as is known.
pub(crate) type Suspects = BTreeSet<LinkName>;

/// What is remembered from one look to the next. In memory only: after a restart edges say it again.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    /// Each with when it was last found to lead nowhere.
    suspects: BTreeMap<LinkName, Timestamp>,
    /// What each edge says of its paths.
    heard: BTreeMap<(NodeName, PathKey), Heard>,
    /// When a path that has failed will have done so for long enough.
    due: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Heard {
    state: v1::PathState,
    /// Since when, by the clock of the edge.
    since: Option<prost_types::Timestamp>,
    /// When this was first heard.
    at: Timestamp,
    /// When it was first heard to be down, if it has not worked for a while since. One that comes and goes counts as down.
    failing: Option<Timestamp>,
    /// Does its edge run what it should, so that this counts?
    counts: bool,
}

/// What the two ends of a path say of it together.
#[derive(Debug, Default)]
struct Said {
    down_since: Option<Timestamp>,
    up_since: Option<Timestamp>,
}

impl Lookout {
    /// Which links are suspected now.
    pub(crate) fn look(&mut self, decided: &Decided, observations: &Observations, now: Timestamp) -> Suspects {
        self.hear(decided, observations, now);
        let mut said: BTreeMap<&PathKey, Said> = BTreeMap::new();
        for ((_, path), heard) in self.heard.iter().filter(|(_, heard)| heard.counts) {
            let said = said.entry(path).or_default();
            let (since, at) = match heard.state {
                v1::PathState::Up => (&mut said.up_since, heard.at),
                _ => (&mut said.down_since, heard.failing.unwrap_or(heard.at)),
            };
            *since = Some(since.map_or(at, |other| at.min(other)));
        }
        let (mut failed, mut works, mut proven) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        self.due = None;
        for (path, said) in said {
            let Some(planned) = decided.plan.paths.get(path) else { continue };
            match (said.down_since, said.up_since) {
                // A path leads there and back: one end alone can't vouch for links on which the other gets nothing.
                (Some(since), _) if now.0.abs_diff(since.0) >= HOLD_OFF_MILLIS => failed.extend(&planned.links),
                (Some(since), _) => {
                    let due = Timestamp(since.0.saturating_add(HOLD_OFF_MILLIS));
                    self.due = Some(self.due.map_or(due, |other| other.min(due)));
                }
                (None, Some(since)) => {
                    works.extend(&planned.links);
                    if now.0.saturating_sub(since.0) >= TRUST_MILLIS {
                        proven.extend(&planned.links);
                    }
                }
                (None, None) => {}
            }
        }
        // One that no path leads over any more can't be found to work again; it gets another chance after a time.
        self.suspects.retain(|link, since| !proven.contains(link) && now.0.saturating_sub(since.0) < FORGET_MILLIS);
        self.suspects.extend(failed.difference(&works).map(|link| ((*link).clone(), now)));
        self.suspects.keys().cloned().collect()
    }

    /// When to look again, if nothing is heard until then.
    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Takes in what edges say. An edge is believed only while it is there, and about paths that it has by its target; of one that
    /// is about to change, what it said is remembered.
    fn hear(&mut self, decided: &Decided, observations: &Observations, now: Timestamp) {
        let mut heard = BTreeMap::new();
        for (edge, observed) in observations {
            let Some(report) = observed.report.as_ref().filter(|_| observed.session.is_some()) else { continue };
            if standing(decided, edge, Some(report)) != Standing::InStep {
                let of_edge = self.heard.iter().filter(|((teller, _), _)| teller == edge);
                heard.extend(of_edge.map(|(teller, said)| (teller.clone(), Heard { counts: false, ..said.clone() })));
                continue;
            }
            for path in &report.paths {
                let ends = path.to.parse().ok().zip(PathId::try_from(path.id).ok());
                let Some(key) = ends.map(|(to, id)| path_key(edge, &to, id)) else { continue };
                let state = path.state();
                let counts = state == v1::PathState::Up || state == v1::PathState::Down && path.proven;
                if !counts || !decided.plan.paths.contains_key(&key) {
                    continue;
                }
                let teller = (edge.clone(), key);
                let said = Heard::again(self.heard.get(&teller), state, path.since, now);
                heard.insert(teller, said);
            }
        }
        self.heard = heard;
    }
}

impl Heard {
    /// What is heard now, after what was heard before.
    fn again(
        before: Option<&Self>,
        state: v1::PathState,
        since: Option<prost_types::Timestamp>,
        now: Timestamp,
    ) -> Self {
        let same = before.filter(|before| before.state == state && before.since == since);
        let at = same.map_or(now, |same| same.at);
        let failing = before.and_then(|before| before.failing);
        let failing = match state {
            v1::PathState::Up => failing.filter(|_| now.0.abs_diff(at.0) < HOLD_OFF_MILLIS),
            _ => Some(failing.unwrap_or(at)),
        };
        Self { state, since, at, failing, counts: true }
    }
}

/// How long a path must have failed before its links are suspected, and have worked before that is forgotten.
const HOLD_OFF_MILLIS: u64 = 2_000;
/// How long a path must have worked before its links are trusted again.
const TRUST_MILLIS: u64 = 10_000;
/// How long a link is suspected that nothing is heard of.
const FORGET_MILLIS: u64 = 300_000;

#[cfg(test)]
mod tests;
