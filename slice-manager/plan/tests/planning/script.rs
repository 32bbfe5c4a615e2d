//! Runs scripts of an operator's and the edges' doings and writes down what each step leads to.
//!
//! A script is a transcript: lines that start with `> ` are commands, the lines below are what they led to. Running it
//! writes the second kind anew and compares; `UPDATE=1` keeps what was written. What matters in a transcript is also
//! asserted by the test that runs it, so that a wrong one can't be kept by accident.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::world::{Manager, REFERENCE};

/// Runs the transcript of that name and gives the manager as it is at its end.
pub(crate) fn run(name: &str) -> Manager {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manager = Manager::default();
    let mut written = String::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(written, "> {command}").unwrap();
            written.push_str(&step(&mut manager, command));
        } else if line.starts_with('#') || line.is_empty() {
            writeln!(written, "{line}").unwrap();
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &written).unwrap();
    } else {
        assert!(written == text, "{} says otherwise; UPDATE=1 keeps this:\n{written}", path.display());
    }
    manager
}

/// One command:
/// `world [FROM => TO]` applies the reference topology and the slice `iot` alone, `apply FILE [FROM => TO]` a file of
/// the reference world, both with one text replaced; `segment NAME EDGE...` a segment of `iot` with its realm;
/// `delete ID...`; `confirm EDGE...`; `plan`.
fn step(manager: &mut Manager, command: &str) -> String {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let before = manager.plan.clone();
    let outcome = match verb {
        "world" => {
            let iot = REFERENCE[1].1.split("---").next().unwrap();
            manager.apply(&format!("{}---\n{iot}", replaced(REFERENCE[0].1, rest)))
        }
        "apply" => {
            let (file, change) = rest.split_once(' ').unwrap_or((rest, ""));
            let text = REFERENCE.iter().find(|(name, _)| *name == file).unwrap().1;
            manager.apply(&replaced(text, change))
        }
        "segment" => {
            let (name, edges) = rest.split_once(' ').unwrap();
            manager.apply(&segment(name, &edges.replace(' ', ", ")))
        }
        "delete" => manager.delete(&rest.split(' ').collect::<Vec<_>>()),
        "confirm" => {
            rest.split(' ').for_each(|edge| manager.confirm(edge));
            return String::new();
        }
        "plan" => manager.replan(),
        other => panic!("no command {other}"),
    };
    match outcome {
        Err(refusals) => refusals.iter().fold(String::new(), |text, refusal| text + "  refused: " + refusal + "\n"),
        Ok(()) if manager.plan == before => "  nothing changes\n".to_owned(),
        Ok(()) => state(manager),
    }
}

fn replaced(text: &str, change: &str) -> String {
    match change.split_once(" => ") {
        Some((from, to)) => {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        }
        None => text.to_owned(),
    }
}

fn segment(name: &str, edges: &str) -> String {
    format!(
        "apiVersion: microslice/v1\nkind: MicroSegment\nmetadata: {{ name: {name}, slice: iot }}\nspec: {{ profile: \
         smart-metering, at: [{edges}], share: 1 % }}\n---\napiVersion: microslice/v1\nkind: Realm\nmetadata: {{ name: \
         {name}, slice: iot }}\nspec: {{ clients: [] }}\n"
    )
}

fn state(manager: &Manager) -> String {
    let plan = &manager.plan;
    let mut text = format!("  generation {}\n", plan.generation);
    for (segment, numbers) in &plan.allocations {
        let (vni, port) = (numbers.vni, numbers.access_port);
        let on: Vec<&str> = plan
            .programs
            .iter()
            .filter(|(_, p)| p.content.slices.iter().any(|s| s.segments.iter().any(|s| s.id == *segment)))
            .map(|(edge, _)| edge.as_str())
            .collect();
        writeln!(text, "  {segment}: VNI {vni}, ports {port} and {}, on {}", port + 1, on.join(", ")).unwrap();
    }
    for entry in &plan.quarantine {
        let awaiting: Vec<String> = entry.awaiting.iter().map(|(edge, g)| format!("{edge} to run {g}")).collect();
        let (vni, port) = (entry.allocation.vni, entry.allocation.access_port);
        let awaiting = awaiting.join(", ");
        writeln!(text, "  quarantine: VNI {vni}, port {port} of {} until {awaiting}", entry.segment).unwrap();
    }
    let programs: Vec<String> = plan.programs.iter().map(|(edge, p)| format!("{edge} {}", p.generation)).collect();
    writeln!(text, "  programs: {}", programs.join(", ")).unwrap();
    text
}
