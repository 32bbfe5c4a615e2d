//! What the manager shows Prometheus. docs/reference/metrics.md explains each; what edges count, they show themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::v1;
use metrics::{Page, Value};

use crate::core::Core;
use crate::status::View;

/// All of it, now.
pub(crate) fn page(core: &Arc<Core>) -> String {
    let (decided, observations) = (core.decided(), core.observed.snapshot());
    let view = View::new(&decided, &observations);
    let mut page = Page::default();
    page.family(&BUILD_INFO).sample([env!("CARGO_PKG_VERSION")], Value::Count(1));
    page.family(&PLAN_GENERATION).sample([], Value::Count(decided.plan.generation.get()));
    let states = view.slices().into_iter().map(|slice| slice.state().as_str_name());
    counted(page.family(&SLICES), states.map(|state| state.trim_start_matches("SLICE_STATE_").to_lowercase()));
    page.family(&SEGMENTS).sample([], Value::Count(decided.intents.segments.len() as u64));
    let operations = decided.operations.values().map(|operation| operation.state.as_str().to_lowercase());
    counted(page.family(&OPERATIONS), operations);
    edges(&mut page, &view.nodes().into_iter().filter_map(|node| node.realisation).collect::<Vec<_>>());
    page.finish()
}

fn edges(page: &mut Page, edges: &[v1::EdgeRealisation]) {
    let mut show = |metric, value: fn(&v1::EdgeRealisation) -> Option<u64>| {
        let mut family = page.family(metric);
        for (edge, value) in edges.iter().filter_map(|edge| Some((edge, value(edge)?))) {
            family.sample([&edge.edge], Value::Count(value));
        }
    };
    show(&EDGE_ATTACHED, |edge| Some(edge.connected.into()));
    show(&EDGE_TARGET_GENERATION, |edge| Some(edge.target_generation));
    show(&EDGE_REALISED_GENERATION, |edge| edge.realised_generation);
    show(&EDGE_REALISED, |edge| {
        let is_realised = edge.realised_generation == Some(edge.target_generation);
        Some((is_realised && edge.realised_digest == edge.target_digest).into())
    });
}

/// How many there are of each.
fn counted(mut family: metrics::Family<'_>, states: impl Iterator<Item = String>) {
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    for (state, count) in counts {
        family.sample([&state], Value::Count(count));
    }
}

metrics::metrics! {
    /// Every metric of a manager, in the order of its page.
    METRICS:
    BUILD_INFO = Gauge "microslice_build_info" ["version"]
        "1; the version of the daemon is in the label.";
    PLAN_GENERATION = Gauge "microslice_plan_generation" []
        "The generation of the plan.";
    SLICES = Gauge "microslice_slices" ["state"]
        "Slices, by the state that they are observed to be in; a state that none is in is absent.";
    SEGMENTS = Gauge "microslice_segments" []
        "Micro-segments that are declared.";
    OPERATIONS = Gauge "microslice_operations" ["state"]
        "Operations that are remembered, by their state; a state that none is in is absent.";
    EDGE_ATTACHED = Gauge "microslice_edge_attached" ["edge"]
        "1: the edge has a stream to the manager.";
    EDGE_TARGET_GENERATION = Gauge "microslice_edge_target_generation" ["edge"]
        "The generation of the program that the edge should run.";
    EDGE_REALISED_GENERATION = Gauge "microslice_edge_realised_generation" ["edge"]
        "The generation that the edge has reported; absent: it has never reported.";
    EDGE_REALISED = Gauge "microslice_edge_realised" ["edge"]
        "1: the edge has reported that it runs its program, by generation and digest.";
}
