//! The matrix: service, transport, peer, what was sent, what arrived. Kept in a file, so that it can be printed when all
//! tests have run.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use crate::capture::{Capture, malformed};
use crate::program::{Plan, Service, Transport};
use crate::traffic::{Families, Tally, exchange};
use crate::world::World;

/// What came of the combinations of one test.
#[derive(Default)]
pub(crate) struct Matrix {
    failures: Vec<String>,
}

/// A combination.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) service: Service,
    pub(crate) transport: Transport,
    pub(crate) peer: &'a str,
}

impl Matrix {
    /// Runs the traffic of a combination whose nodes have been started, and notes what came of it. Answers the capture
    /// of the core.
    pub(crate) fn run(
        &mut self,
        world: &World,
        plan: &Plan,
        cell: Cell<'_>,
        capture: Capture,
        families: Families,
    ) -> PathBuf {
        let result = exchange(world, cell.service, families);
        let (file, frames) = capture.finish();
        let bad = malformed(&file, plan.below_label());
        let tally = result.as_ref().cloned().unwrap_or_default();
        let verdict = match &result {
            Err(error) => error.clone(),
            Ok(tally) if !tally.is_equal() => format!("not equal: {}", tally.losses.join(", ")),
            Ok(_) if !bad.is_empty() => format!("malformed: {}", bad[0]),
            Ok(_) => "equal".to_owned(),
        };
        row(cell, &counts(&tally, frames, bad.len()), &verdict);
        if verdict != "equal" {
            let mut text = format!("{} over {}, {}: {verdict}", cell.service, cell.transport, cell.peer);
            let _ = write!(text, " ({})", file.display());
            self.failures.push(text);
        }
        file
    }

    /// Notes a combination that can't be, and why.
    pub(crate) fn cannot(cell: Cell<'_>, why: &str) {
        row(cell, &format!("{:>38}", ""), &format!("can't be: {why}"));
    }

    /// Notes something else that was found wrong.
    pub(crate) fn fail(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Fails if anything was not as it should be.
    pub(crate) fn finish(self) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}

fn counts(tally: &Tally, frames: u64, malformed: usize) -> String {
    let Tally { sent, received, octets_sent, octets_received, .. } = tally;
    let mebi = |octets: &u64| octets >> 20;
    format!("{sent:>6}{received:>6}{:>4}/{:<3}{frames:>8}{malformed:>11}", mebi(octets_sent), mebi(octets_received))
}

fn row(Cell { service, transport, peer }: Cell<'_>, counts: &str, verdict: &str) {
    note("matrix.txt", HEADER, &format!("{service:<18}{transport:<12}{peer:<42}{counts}  {verdict}"));
}

/// Adds a line to a file of the logs, after a header if it is the first; and to what the test says.
pub(crate) fn note(name: &str, header: &str, line: &str) {
    println!("{line}");
    let Some(logs) = std::env::var_os("MICROSLICE_LOGS") else { return };
    let path = PathBuf::from(logs).join(name);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    if is_new {
        writeln!(file, "{header}").unwrap();
    }
    writeln!(file, "{line}").unwrap();
}

const HEADER: &str = "\
service           transport   peer                                        sent   got tcp MiB  frames  malformed  verdict";
