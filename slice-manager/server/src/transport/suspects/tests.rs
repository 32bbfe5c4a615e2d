use std::sync::Arc;

use model::plan::{Path, PathForm, Plan};
use model::program::{Program, ProgramContent};
use model::{Generation, NodeName};

use super::*;
use crate::decided::Issued;
use crate::observed::{EdgeObserved, Report, SessionId};

/// Edge `a` reaches `c` by links `near` and `far`, or by `other`; and `b` by `near` and `third`.
fn decided(suspects: Suspects) -> Decided {
    let path = |to: &str, id: u64, links: &[&str]| {
        let key = path_key(&name("a"), &name(to), PathId::new(id).unwrap());
        let links = links.iter().map(|link| link.parse().unwrap()).collect();
        (key, Path { links, delay: model::Latency::from_nanos(1), form: PathForm::Ip })
    };
    let paths = [path("c", 1, &["near", "far"]), path("c", 2, &["other"]), path("b", 1, &["near", "third"])];
    let programs = [(name("a"), program())].into();
    let plan = Plan { generation: Generation::new(1), paths: paths.into(), programs, ..Plan::default() };
    Decided {
        issued: Arc::new(Issued::default().with(&plan)),
        plan: Arc::new(plan),
        suspects: Arc::new(suspects),
        ..Decided::default()
    }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn program() -> Program {
    Program { generation: Generation::new(1), content: ProgramContent::empty(name("a")) }
}

fn says(to: &str, id: u32, state: v1::PathState, since_seconds: i64) -> v1::RealisedPath {
    let since = Some(prost_types::Timestamp { seconds: since_seconds, nanos: 0 });
    v1::RealisedPath { to: to.to_owned(), id, state: state.into(), since, proven: true }
}

fn observations(paths: Vec<v1::RealisedPath>) -> Observations {
    let report = Report {
        at: Timestamp(1),
        generation: Generation::new(1),
        digest: Some(program().digest()),
        segments: Vec::new(),
        paths,
        refusal: None,
    };
    let observed = EdgeObserved { session: Some(SessionId(1)), report: Some(report), ..EdgeObserved::default() };
    [(name("a"), Arc::new(observed))].into()
}

fn named(suspects: &Suspects) -> Vec<&str> {
    suspects.keys().map(LinkName::as_str).collect()
}

const DOWN: v1::PathState = v1::PathState::Down;
const UP: v1::PathState = v1::PathState::Up;

#[test]
fn a_link_is_suspected_if_paths_over_it_fail_and_none_works() {
    let decided = decided(Suspects::new());
    let at = Timestamp(100_000);
    let found = |paths| suspects(&decided, &observations(paths), at);
    assert_eq!(named(&found(vec![says("c", 1, DOWN, 99)])), ["far", "near"]);
    // The way to b leads over one of them, and works.
    assert_eq!(named(&found(vec![says("c", 1, DOWN, 99), says("b", 1, UP, 99)])), ["far"]);
    assert_eq!(named(&found(vec![says("c", 1, UP, 99), says("c", 2, UP, 99)])), [""; 0]);
    // Nothing is known of what was never up, nor of paths that are not planned.
    let new = v1::RealisedPath { proven: false, ..says("c", 1, DOWN, 99) };
    assert_eq!(named(&found(vec![new, says("c", 9, DOWN, 99), says("C?", 1, DOWN, 99)])), [""; 0]);
}

#[test]
fn an_edge_that_is_away_or_runs_another_program_is_not_asked() {
    let decided = decided(Suspects::new());
    let mut away = observations(vec![says("c", 1, DOWN, 99)]);
    Arc::make_mut(away.get_mut(&name("a")).unwrap()).session = None;
    assert_eq!(suspects(&decided, &away, Timestamp(100_000)), Suspects::new());
    let mut behind = observations(vec![says("c", 1, DOWN, 99)]);
    let report = Arc::make_mut(behind.get_mut(&name("a")).unwrap()).report.as_mut().unwrap();
    report.digest = Some(model::Digest::from_bytes([7; 32]));
    assert_eq!(suspects(&decided, &behind, Timestamp(100_000)), Suspects::new());
}

#[test]
fn a_suspect_is_trusted_after_a_path_over_it_has_worked_for_ten_seconds_and_not_before() {
    let decided =
        decided([("far".parse().unwrap(), Timestamp(90_000)), ("gone".parse().unwrap(), Timestamp(0))].into());
    let after = |now, paths| suspects(&decided, &observations(paths), Timestamp(now));
    assert_eq!(named(&after(109_999, vec![says("c", 1, UP, 100)])), ["far", "gone"]);
    assert_eq!(named(&after(110_000, vec![says("c", 1, UP, 100)])), ["gone"]);
    // One that nothing is heard of gets another chance after five minutes.
    assert_eq!(named(&after(300_000, vec![])), ["far"]);
    // It fails again.
    let again = after(300_000, vec![says("c", 1, DOWN, 299)]);
    assert_eq!(again.get(&"far".parse::<LinkName>().unwrap()), Some(&Timestamp(300_000)));
}
