use std::sync::Arc;

use model::plan::{Path, PathForm, Plan};
use model::program::{Program, ProgramContent};
use model::{Generation, NodeName};

use super::*;
use crate::decided::Issued;
use crate::observed::{EdgeObserved, Report, SessionId};

/// Edge `a` reaches `c` by links `near` and `far`, or by `other`; and `b` by `near` and `third`.
fn decided() -> Decided {
    let path = |to: &str, id: u64, links: &[&str]| {
        let key = path_key(&name("a"), &name(to), PathId::new(id).unwrap());
        let links = links.iter().map(|link| link.parse().unwrap()).collect();
        (key, Path { links, delay: model::Latency::from_nanos(1), form: PathForm::Ip })
    };
    let paths = [path("c", 1, &["near", "far"]), path("c", 2, &["other"]), path("b", 1, &["near", "third"])];
    let programs = ["a", "c"].map(|edge| (name(edge), program(edge))).into();
    let plan = Plan { generation: Generation::new(1), paths: paths.into(), programs, ..Plan::default() };
    Decided { issued: Arc::new(Issued::default().with(&plan)), plan: Arc::new(plan), ..Decided::default() }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn program(edge: &str) -> Program {
    Program { generation: Generation::new(1), content: ProgramContent::empty(name(edge)) }
}

fn says(to: &str, id: u32, state: v1::PathState, since_seconds: i64) -> v1::RealisedPath {
    let since = Some(prost_types::Timestamp { seconds: since_seconds, nanos: 0 });
    v1::RealisedPath { to: to.to_owned(), id, state: state.into(), since, proven: true }
}

fn observations(paths: Vec<v1::RealisedPath>) -> Observations {
    [says_all("a", paths)].into()
}

fn says_all(edge: &str, paths: Vec<v1::RealisedPath>) -> (NodeName, Arc<EdgeObserved>) {
    let report = Report {
        drift: Vec::new(),
        at: Timestamp(1),
        generation: Generation::new(1),
        digest: Some(program(edge).digest()),
        segments: Vec::new(),
        paths,
        refusal: None,
    };
    let observed = EdgeObserved { session: Some(SessionId(1)), report: Some(report), ..EdgeObserved::default() };
    (name(edge), Arc::new(observed))
}

fn named(suspects: &Suspects) -> Vec<&str> {
    suspects.iter().map(LinkName::as_str).collect()
}

const DOWN: v1::PathState = v1::PathState::Down;
const UP: v1::PathState = v1::PathState::Up;

/// What is suspected once something has been said for as long as is asked.
fn found(decided: &Decided, observations: &Observations) -> Suspects {
    let mut lookout = Lookout::default();
    assert_eq!(named(&lookout.look(decided, observations, Timestamp(100_000))), [""; 0]);
    lookout.look(decided, observations, Timestamp(102_000))
}

#[test]
fn a_path_that_fails_for_less_than_two_seconds_moves_nothing() {
    let decided = decided();
    let mut lookout = Lookout::default();
    let mut after = |now, state, since| {
        let suspects = lookout.look(&decided, &observations(vec![says("c", 1, state, since)]), Timestamp(now));
        (suspects.len(), lookout.due().map(|due| due.0))
    };
    assert_eq!(after(100_000, DOWN, 99), (0, Some(102_000)));
    assert_eq!(after(101_999, DOWN, 99), (0, Some(102_000)));
    assert_eq!(after(101_999, UP, 101), (0, None));
    // It worked for as long: that is forgotten.
    assert_eq!(after(103_999, UP, 101), (0, None));
    assert_eq!(after(104_000, DOWN, 104), (0, Some(106_000)));
    assert_eq!(after(106_000, DOWN, 104), (2, None));
}

#[test]
fn a_path_that_comes_and_goes_counts_as_down() {
    let decided = decided();
    let mut lookout = Lookout::default();
    let mut after = |now, state, since| {
        let suspects = lookout.look(&decided, &observations(vec![says("c", 1, state, since)]), Timestamp(now));
        (suspects.len(), lookout.due().map(|due| due.0))
    };
    assert_eq!(after(100_000, DOWN, 100), (0, Some(102_000)));
    assert_eq!(after(101_500, UP, 101), (0, None));
    // Down again, or up and down between two looks: it has failed since 100.
    assert_eq!(after(101_900, DOWN, 102), (0, Some(102_000)));
    assert_eq!(after(102_000, DOWN, 103), (2, None));
}

#[test]
fn what_an_edge_said_is_remembered_while_it_changes() {
    let decided = decided();
    let mut lookout = Lookout::default();
    let down = observations(vec![says("c", 1, DOWN, 99)]);
    let mut changing = observations(vec![says("c", 1, DOWN, 99)]);
    let report = Arc::make_mut(changing.get_mut(&name("a")).unwrap()).report.as_mut().unwrap();
    report.digest = Some(model::Digest::from_bytes([7; 32]));
    assert_eq!(lookout.look(&decided, &down, Timestamp(100_000)), Suspects::new());
    assert_eq!(lookout.look(&decided, &changing, Timestamp(101_000)), Suspects::new());
    assert_eq!(named(&lookout.look(&decided, &down, Timestamp(102_000))), ["far", "near"]);
    // A clock that was set is no reason to wait for an hour.
    let mut lookout = Lookout::default();
    assert_eq!(lookout.look(&decided, &down, Timestamp(3_700_000)), Suspects::new());
    assert_eq!(named(&lookout.look(&decided, &down, Timestamp(100_000))), ["far", "near"]);
}

#[test]
fn a_link_is_suspected_if_paths_over_it_fail_and_none_works() {
    let decided = decided();
    let found = |paths| found(&decided, &observations(paths));
    assert_eq!(named(&found(vec![says("c", 1, DOWN, 99)])), ["far", "near"]);
    // The way to b leads over one of them, and works.
    assert_eq!(named(&found(vec![says("c", 1, DOWN, 99), says("b", 1, UP, 99)])), ["far"]);
    assert_eq!(named(&found(vec![says("c", 1, UP, 99), says("c", 2, UP, 99)])), [""; 0]);
    // Nothing is known of what was never up, nor of paths that are not planned.
    let new = v1::RealisedPath { proven: false, ..says("c", 1, DOWN, 99) };
    assert_eq!(named(&found(vec![new, says("c", 9, DOWN, 99), says("C?", 1, DOWN, 99)])), [""; 0]);
}

#[test]
fn one_end_that_says_up_does_not_vouch_for_what_the_other_says_is_down() {
    let decided = decided();
    let both = |a, c| [says_all("a", vec![says("c", 1, a, 99)]), says_all("c", vec![says("a", 1, c, 99)])].into();
    for (a, c, suspected) in [(UP, DOWN, 2), (DOWN, UP, 2), (DOWN, DOWN, 2), (UP, UP, 0)] {
        let found = found(&decided, &both(a, c));
        assert_eq!(found.len(), suspected, "{a:?} {c:?}");
    }
}

#[test]
fn an_edge_that_is_away_or_runs_another_program_is_not_asked() {
    let decided = decided();
    let found = |observations: &Observations| found(&decided, observations);
    let mut away = observations(vec![says("c", 1, DOWN, 99)]);
    Arc::make_mut(away.get_mut(&name("a")).unwrap()).session = None;
    assert_eq!(found(&away), Suspects::new());
    let mut behind = observations(vec![says("c", 1, DOWN, 99)]);
    let report = Arc::make_mut(behind.get_mut(&name("a")).unwrap()).report.as_mut().unwrap();
    report.digest = Some(model::Digest::from_bytes([7; 32]));
    assert_eq!(found(&behind), Suspects::new());
}

#[test]
fn a_suspect_is_trusted_after_a_path_over_it_has_worked_for_ten_seconds_by_the_managers_clock() {
    let decided = decided();
    let mut lookout = Lookout::default();
    let mut after = |now, paths| lookout.look(&decided, &observations(paths), Timestamp(now));
    assert_eq!(named(&after(88_000, vec![says("c", 1, DOWN, 90)])), [""; 0]);
    assert_eq!(named(&after(90_000, vec![says("c", 1, DOWN, 90)])), ["far", "near"]);
    // Whatever the edge's clock says of it: here, that it was decades ago, or is yet to be.
    assert_eq!(named(&after(100_000, vec![says("c", 1, UP, 0)])), ["far", "near"]);
    assert_eq!(named(&after(105_000, vec![says("c", 1, UP, 9_999_999)])), ["far", "near"], "it has failed between");
    assert_eq!(named(&after(114_999, vec![says("c", 1, UP, 9_999_999)])), ["far", "near"]);
    assert_eq!(named(&after(115_000, vec![says("c", 1, UP, 9_999_999)])), [""; 0]);
    // It fails again; when nothing more is heard of it, it gets another chance after five minutes.
    assert_eq!(named(&after(116_000, vec![says("c", 1, DOWN, 116)])), [""; 0]);
    assert_eq!(named(&after(118_000, vec![says("c", 1, DOWN, 116)])), ["far", "near"]);
    assert_eq!(named(&after(417_999, vec![])), ["far", "near"]);
    assert_eq!(named(&after(418_000, vec![])), [""; 0]);
}
