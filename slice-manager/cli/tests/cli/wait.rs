//! Waiting for an operation: `--wait` and `op watch`, by how the operation ends, and if it does not.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use api::v1;
use serde_json::Value;
use tonic::Status;
use v1::OperationState::{Completed, Failed, FailedTemp, Processing, RolledBack, RollingBack};

use crate::intent::{IOT, operation};
use crate::manager::{Answers, Manager, Step};
use crate::process::{self, text, yaml};

/// The operation `op-7`, generation 4, in a state, awaiting edges.
fn at(state: v1::OperationState, awaiting: &[&str]) -> v1::Operation {
    let awaiting = awaiting.iter().map(|edge| v1::Awaiting { edge: text(edge), generation: 4 });
    v1::Operation { state: state.into(), generation: 4, awaiting: awaiting.collect(), ..operation() }
}

fn troubled(state: v1::OperationState, reason: &str) -> v1::Operation {
    let problem = v1::OperationProblem { edge: text("edge-c"), generation: 4, reason: text(reason) };
    v1::Operation { problem: Some(problem), ..at(state, &["edge-c"]) }
}

/// The slice in a state, and why.
fn slice(state: v1::SliceState, reason: &str) -> v1::SliceStatus {
    v1::SliceStatus { name: text("iot"), state: state.into(), reason: text(reason), ..v1::SliceStatus::default() }
}

/// A manager whose operation goes through these.
fn going(steps: Vec<Step>) -> Manager {
    let operation = Some(at(Processing, &["edge-a", "edge-c"]));
    let manager = Manager::start(Answers {
        apply: v1::ApplyResponse { operation: operation.clone() },
        delete: v1::DeleteResponse { operation },
        watch: steps,
        slice: slice(v1::SliceState::Active, ""),
        ..Answers::default()
    });
    manager.file("iot.yaml", IOT);
    manager
}

const APPLY: [&str; 4] = ["apply", "-f", "iot.yaml", "--wait"];
const BEGUN: &str = "op-7: generation 4, decided and stored; awaiting edge-a, edge-c\n";

fn completing() -> Manager {
    going(vec![
        Step::tell(at(Processing, &["edge-a", "edge-c"])),
        Step::tell(at(Processing, &["edge-c"])),
        Step::tell(at(Completed, &[])),
        // What comes after the end is not read.
        Step::Silence,
    ])
}

#[test]
fn an_operation_that_is_completed_is_success_and_each_edge_is_told_as_it_comes() {
    let manager = completing();
    let ended = manager.slicectl(&[&APPLY[..], &["-o", "json"]].concat());
    assert_eq!(ended.code, 0);
    assert_eq!(ended.err, format!("{BEGUN}edge-a runs generation 4\nedge-c runs generation 4\n"));
    let out: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&out["id"], &out["state"]), (&"op-7".into(), &"COMPLETED".into()));
    assert_eq!(manager.asked(), ["Apply", "WatchOperation", "GetSlice"]);
}

#[test]
fn a_deletion_is_waited_for_too() {
    let operation = Some(at(Processing, &["edge-a"]));
    let manager = Manager::start(Answers {
        delete: v1::DeleteResponse { operation },
        watch: vec![Step::tell(at(Completed, &[]))],
        slice_before: vec![Some(slice(v1::SliceState::Terminating, "edge-b is away"))],
        slice_is_gone: true,
        ..Answers::default()
    });
    let ended = manager.slicectl(&["delete", "slice/iot", "--wait"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("state        COMPLETED\n"), "{}", ended.out);
    assert!(ended.err.ends_with("iot is terminating: edge-b is away\n"), "{}", ended.err);
    assert_eq!(manager.asked(), ["Delete", "WatchOperation", "GetSlice", "GetSlice"]);
}

#[test]
fn what_is_deleted_already_is_waited_for_until_it_is_gone() {
    let manager = Manager::start(Answers {
        delete_refusal: Some(Status::not_found("slice/iot is not declared")),
        slice_before: vec![
            Some(slice(v1::SliceState::Terminating, "edge-b is away")),
            Some(slice(v1::SliceState::Terminating, "edge-b is away")),
        ],
        slice_is_gone: true,
        ..Answers::default()
    });
    let ended = manager.slicectl(&["delete", "slice/iot", "--wait"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, "deleted already\niot is terminating: edge-b is away\n"));
    // Of what never was there is nothing to wait for.
    let never = Manager::start(Answers {
        delete_refusal: Some(Status::not_found("slice/iot is not declared")),
        slice_is_gone: true,
        ..Answers::default()
    });
    assert_eq!(never.slicectl(&["delete", "slice/iot", "--wait"]).code, 1);
}

#[test]
fn a_slice_that_is_not_active_yet_is_waited_for_though_the_operation_is_completed_or_nothing_changes() {
    let degraded = || slice(v1::SliceState::Degraded, "the AAA of iot/smart-metering on edge-a is not ready");
    for operation in [None, Some(at(Processing, &["edge-a"]))] {
        let answers = || Answers {
            apply: v1::ApplyResponse { operation: operation.clone() },
            watch: vec![Step::tell(at(Completed, &[]))],
            slice_before: vec![Some(degraded()), Some(degraded())],
            slice: slice(v1::SliceState::Active, ""),
            ..Answers::default()
        };
        let manager = Manager::start(answers());
        manager.file("iot.yaml", IOT);
        let ended = manager.slicectl(&APPLY);
        assert_eq!(ended.code, 0, "{}", ended.err);
        let why = "iot is degraded: the AAA of iot/smart-metering on edge-a is not ready\n";
        assert_eq!(ended.err.matches(why).count(), 1, "{}", ended.err);
        let never = Manager::start(Answers { slice: degraded(), ..answers() });
        never.file("iot.yaml", IOT);
        let ended = never.slicectl(&[&APPLY[..], &["--timeout", "2s"]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (4, ""));
        let over = "error: slice `iot` is degraded after 2s: the AAA of iot/smart-metering on edge-a is not ready\n";
        assert!(ended.err.ends_with(over), "{}", ended.err);
    }
}

#[test]
fn a_manager_that_is_busy_is_asked_again() {
    let manager = Manager::start(Answers {
        busy: 2,
        apply: v1::ApplyResponse { operation: Some(at(Completed, &[])) },
        ..Answers::default()
    });
    manager.file("iot.yaml", IOT);
    assert_eq!(manager.slicectl(&["apply", "-f", "iot.yaml"]).code, 0);
    assert_eq!(manager.asked(), ["Apply"; 3]);
}

#[test]
fn where_nothing_changes_json_is_an_empty_answer() {
    let manager = Manager::start(Answers::default());
    manager.file("iot.yaml", IOT);
    let ended = manager.slicectl(&["apply", "-f", "iot.yaml", "-o", "json"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, "nothing changes\n"));
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), serde_json::json!({}));
    assert_eq!(manager.slicectl(&["apply", "-f", "iot.yaml"]).out, "");
}

#[test]
fn an_operation_that_fails_is_failure_with_its_reason() {
    for (state, name) in [(Failed, "FAILED"), (FailedTemp, "FAILED_TEMP"), (RolledBack, "ROLLED_BACK")] {
        let manager = going(vec![
            Step::tell(at(Processing, &["edge-a", "edge-c"])),
            Step::tell(troubled(RollingBack, "no port core1")),
            Step::tell(troubled(state, "no port core1")),
            Step::Silence,
        ]);
        let ended = manager.slicectl(&APPLY);
        assert_eq!(ended.code, 1, "{name}");
        // The problem is told once, when it comes up, and again as the verdict.
        let told = "edge-a runs generation 4\nedge-c can't run generation 4: no port core1\n";
        assert_eq!(ended.err, format!("{BEGUN}{told}error: op-7 is {name}: edge-c: no port core1\n"));
        assert!(ended.out.contains(&format!("state        {name}\n")), "{}", ended.out);
    }
}

#[test]
fn a_rollback_that_goes_on_is_not_the_end() {
    let manager = going(vec![
        Step::tell(troubled(RollingBack, "no port core1")),
        Step::tell(troubled(RollingBack, "no port core2")),
        Step::Silence,
    ]);
    let ended = manager.slicectl(&[&APPLY[..], &["--timeout", "4500ms"]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (4, ""));
    let last = "error: op-7 is still ROLLING_BACK after 4.5s; it goes on, awaiting edge-c (generation 4)\n";
    assert!(ended.err.ends_with(last), "{}", ended.err);
    assert!(ended.err.contains("core1\nedge-c can't run generation 4: no port core2\n"), "{}", ended.err);
}

#[test]
fn a_wait_that_is_over_has_a_code_of_its_own() {
    let manager = going(vec![Step::tell(at(Processing, &["edge-c"])), Step::Silence]);
    let ended = manager.slicectl(&[&APPLY[..], &["--timeout", "5s"]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (4, ""));
    let over = "error: op-7 is still PROCESSING after 5s; it goes on, awaiting edge-c (generation 4)\n";
    assert_eq!(ended.err, format!("{BEGUN}edge-a runs generation 4\n{over}"));
}

#[test]
fn a_time_without_a_wait_or_without_a_unit_is_a_wrong_command_line() {
    let manager = going(vec![]);
    assert!(manager.slicectl(&["apply", "-f", "iot.yaml", "--timeout", "1s"]).refused(2).contains("--wait"));
    let said = manager.slicectl(&[&APPLY[..], &["--timeout", "1"]].concat()).refused(2);
    assert!(said.contains("`1` is not a time; expected a number with ms, s or m, such as 30s"), "{said}");
    assert!(manager.asked().is_empty());
}

#[test]
fn a_stream_that_ends_before_the_operation_is_no_success() {
    let manager = going(vec![Step::tell(at(Processing, &["edge-c"]))]);
    let ended = manager.slicectl(&APPLY);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let lost = "error: the manager ended the watch of op-7 before it had ended\n";
    assert_eq!(ended.err, format!("{BEGUN}edge-a runs generation 4\n{lost}"));
    let ended = manager.slicectl(&["op", "watch", "op-7"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, lost));
}

#[test]
fn a_stream_that_fails_is_shown_in_the_manager_s_words() {
    let manager = going(vec![Step::Fail(Status::resource_exhausted("too slow"))]);
    let ended = manager.slicectl(&APPLY);
    assert_eq!((ended.code, ended.err), (1, format!("{BEGUN}error: too slow\n")));
    let stopping = going(vec![Step::Fail(Status::unavailable("the manager is stopping"))]);
    let ended = stopping.slicectl(&APPLY);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("the manager is stopping\n"), "{}", ended.err);
}

#[test]
fn a_manager_that_goes_away_ends_the_wait() {
    for arguments in [&APPLY[..], &["op", "watch", "op-7"]] {
        let mut manager = going(vec![Step::tell(at(Processing, &["edge-c"])), Step::Silence]);
        let mut command = manager.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It waits: what is known so far has been told, by `--wait` beside the answer.
        let told: &mut dyn Read =
            if arguments == APPLY { child.stderr.as_mut().unwrap() } else { child.stdout.as_mut().unwrap() };
        let mut line = String::new();
        BufReader::with_capacity(1, told).read_line(&mut line).unwrap();
        assert!(line.starts_with("op-7: generation 4, decided and stored"), "{line}");
        manager.die();
        let ended = process::end(child);
        assert_eq!(ended.code, 3, "{}", ended.err);
        let lost = format!("error: can't reach the manager at {}/: ", manager.url());
        assert!(ended.err.contains(&lost), "{}", ended.err);
    }
}

#[test]
fn watching_tells_each_change_and_ends_with_the_verdict() {
    let manager = completing();
    let out = manager.slicectl(&["op", "watch", "op-7"]).quietly();
    assert_eq!(out, format!("{BEGUN}edge-a runs generation 4\nedge-c runs generation 4\n"));
    assert_eq!(manager.request::<v1::GetOperationRequest>("WatchOperation").id, "op-7");
    let failing = going(vec![Step::tell(troubled(Failed, "no port core1"))]);
    let ended = failing.slicectl(&["op", "watch", "op-7"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: op-7 is FAILED: edge-c: no port core1\n"));
}

#[test]
fn watching_an_operation_that_touches_no_edge_says_so() {
    let manager = going(vec![Step::tell(at(Completed, &[]))]);
    assert_eq!(manager.slicectl(&["op", "watch", "op-7"]).quietly(), "op-7: generation 4, no edge changes\n");
}

#[test]
fn watching_in_json_and_yaml_is_one_document_a_change() {
    let manager = completing();
    let states = ["PROCESSING", "PROCESSING", "COMPLETED"];
    let out = manager.slicectl(&["op", "watch", "op-7", "-o", "json"]).quietly();
    let documents = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
    let found: Vec<Value> = documents.map(|document| document.unwrap()["state"].clone()).collect();
    assert_eq!(found, states);
    // Documents of YAML are set apart by `---` (YAML 1.2.2, section 9.1.4).
    let out = manager.slicectl(&["op", "watch", "op-7", "-o", "yaml"]).quietly();
    let documents = out.split("---\n").filter(|document| !document.is_empty());
    let found: Vec<Value> = documents.map(|document| yaml(document)["state"].clone()).collect();
    assert_eq!(found, states);
}
