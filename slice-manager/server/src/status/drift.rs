//! What differs between an edge's program and its last report, and since when. Kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use api::v1;
use model::NodeName;
use model::operation::Timestamp;

use super::EdgeView;
use crate::decided::Decided;
use crate::observed::{EdgeObserved, Standing};

/// When each difference was first seen.
#[derive(Debug, Default)]
pub(crate) struct Drift(Mutex<BTreeMap<NodeName, BTreeMap<String, Timestamp>>>);

impl Drift {
    /// Looks at an edge: what differs, each with when it was first seen. What differs no more is forgotten.
    pub(crate) fn look(
        &self,
        decided: &Decided,
        edge: &NodeName,
        observed: Option<&EdgeObserved>,
        now: Timestamp,
    ) -> Vec<(v1::Difference, Timestamp)> {
        let view = EdgeView::new(decided, observed, edge);
        let differences = view.drift();
        let told = view.told_since();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.remove(edge).unwrap_or_default();
        let since = |what: &String| told.get(what.as_str()).or(before.get(what)).copied().unwrap_or(now);
        let differences: Vec<_> =
            differences.into_iter().map(|difference| (since(&difference.what), difference)).collect();
        if !differences.is_empty() {
            let known = differences.iter().map(|(since, difference)| (difference.what.clone(), *since));
            seen.insert(edge.clone(), known.collect());
        }
        drop(seen);
        differences.into_iter().map(|(since, difference)| (difference, since)).collect()
    }
}

impl EdgeView<'_> {
    /// Since when a difference is there, where the edge has told it itself.
    fn told_since(&self) -> BTreeMap<&str, Timestamp> {
        let drift = self.observed.and_then(|observed| observed.report.as_ref()).into_iter().flat_map(|r| &r.drift);
        let told = drift.filter_map(|drift| {
            let since = drift.since.as_ref()?;
            let millis = since.seconds.checked_mul(1_000)?.checked_add(i64::from(since.nanos) / 1_000_000)?;
            Some((drift.difference.as_ref()?.what.as_str(), Timestamp(u64::try_from(millis).ok()?)))
        });
        told.collect()
    }

    /// What the edge last reported otherwise than it should.
    fn drift(&self) -> Vec<v1::Difference> {
        let report = self.observed.and_then(|observed| observed.report.as_ref());
        let difference = |what: String, wanted: String, found: String| v1::Difference { what, wanted, found };
        let mut differences = Vec::new();
        if self.target.is_some() && !self.is_connected() {
            differences.push(difference("stream".to_owned(), "attached".to_owned(), "away".to_owned()));
        }
        let (Some(target), Some(report)) = (self.target, report) else { return differences };
        if self.standing == Standing::Drifted {
            differences.extend(report.drift.iter().filter_map(|drift| drift.difference.clone()));
            return differences;
        }
        if self.standing != Standing::InStep {
            let program = |generation: u64, digest: Option<model::Digest>| {
                let digest = digest.map(|digest| digest.to_string().chars().take(12).collect::<String>());
                format!("generation {generation}, digest {}", digest.as_deref().unwrap_or("none"))
            };
            let wanted = program(target.generation.get(), self.target_digest);
            let mut found = program(report.generation.get(), report.digest);
            let problem = self.problem();
            if !problem.is_empty() {
                found = format!("{found}; {problem}");
            }
            differences.push(difference("program".to_owned(), wanted, found));
            return differences;
        }
        for segment in self.slices.values().flat_map(|slice| &slice.segments) {
            let id = &segment.id;
            let Some(reported) = self.segments.get(&(id.slice.as_str(), id.segment.as_str())) else {
                differences.push(difference(format!("segment {id}"), format!("VNI {}", segment.vni), String::new()));
                continue;
            };
            if reported.vni != segment.vni.get() {
                let (wanted, found) = (format!("VNI {}", segment.vni), format!("VNI {}", reported.vni));
                differences.push(difference(format!("segment {id}"), wanted, found));
            }
            let wanted = if segment.realm.is_some() { v1::AaaState::Ready } else { v1::AaaState::Absent };
            if reported.aaa() != wanted {
                let found = format!("{} {}", aaa(reported.aaa()), reported.aaa_reason);
                differences.push(difference(format!("AAA of {id}"), aaa(wanted).to_owned(), found.trim().to_owned()));
            }
        }
        let is_wanted = |slice: &str, segment: &str| {
            self.slices
                .values()
                .flat_map(|s| &s.segments)
                .any(|s| s.id.slice.as_str() == slice && s.id.segment.as_str() == segment)
        };
        let more = self.segments.iter().filter(|((slice, segment), _)| !is_wanted(slice, segment));
        differences.extend(more.map(|((slice, segment), reported)| {
            difference(format!("segment {slice}/{segment}"), String::new(), format!("VNI {}", reported.vni))
        }));
        differences
    }
}

const fn aaa(state: v1::AaaState) -> &'static str {
    match state {
        v1::AaaState::Ready => "ready",
        v1::AaaState::NotReady => "not ready",
        v1::AaaState::Absent => "absent",
        v1::AaaState::Unspecified => "not told",
    }
}
