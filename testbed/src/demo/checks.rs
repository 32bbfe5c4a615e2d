//! What the demo claims, and whether it held.

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

/// One claim.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    /// What is claimed.
    pub name: String,
    /// What must be measured.
    pub expected: String,
    /// What was measured.
    pub measured: String,
    /// Did it hold?
    pub pass: bool,
}

/// Claims and figures, gathered and printed as they come.
#[derive(Debug)]
pub(super) struct Report {
    started: Instant,
    checks: Vec<Check>,
    figures: Vec<(String, String)>,
}

impl Default for Report {
    fn default() -> Self {
        Self { started: Instant::now(), checks: Vec::new(), figures: Vec::new() }
    }
}

impl Report {
    /// Says that a step begins.
    pub(super) fn step(&self, text: impl Display) {
        say(&format!("\n[{:6.2} s] {text}", self.started.elapsed().as_secs_f64()));
    }

    /// Says something about the step.
    #[allow(clippy::unused_self, reason = "what is noted belongs to the report")]
    pub(super) fn note(&self, text: impl Display) {
        for line in text.to_string().lines() {
            say(&format!("           {line}"));
        }
    }

    /// A claim that two things are the same.
    pub(super) fn equal<T: PartialEq + Display>(&mut self, name: &str, expected: T, measured: T) {
        let pass = expected == measured;
        self.check(name, expected, measured, pass);
    }

    /// A claim.
    pub(super) fn check(&mut self, name: &str, expected: impl Display, measured: impl Display, pass: bool) {
        let check =
            Check { name: name.to_owned(), expected: expected.to_string(), measured: measured.to_string(), pass };
        let mark = if pass { "ok  " } else { "FAIL" };
        self.note(format!("{mark} {name}: {} (expected {})", check.measured, check.expected));
        self.checks.push(check);
    }

    /// A figure for the table at the end.
    pub(super) fn figure(&mut self, name: &str, value: impl Display) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    /// Keeps the files of a run that could not go on, for a look at its logs.
    pub(super) fn keep(&self, files: &Path) {
        let kept = std::env::temp_dir().join(format!("microslice-kept-{}", std::process::id()));
        let copied = std::process::Command::new("cp").arg("-r").arg(files).arg(&kept).status();
        if copied.is_ok_and(|status| status.success()) {
            self.note(format!("files and logs are kept in {}", kept.display()));
        }
    }

    /// Prints the figures and the verdict; answers whether every claim held.
    pub(super) fn finish(&self) -> bool {
        say("\nMeasured");
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.figures {
            say(&format!("  {name:width$}  {value}"));
        }
        let failed: Vec<&Check> = self.checks.iter().filter(|check| !check.pass).collect();
        say(&format!(
            "\n{} checks, {} failed, {:.1} s",
            self.checks.len(),
            failed.len(),
            self.started.elapsed().as_secs_f64()
        ));
        for check in &failed {
            say(&format!("  FAIL {}: measured {}, expected {}", check.name, check.measured, check.expected));
        }
        failed.is_empty() && !self.checks.is_empty()
    }

    /// Writes the claims as JSON.
    pub(super) fn write(&self, file: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(&self.checks).map_err(std::io::Error::other)?;
        std::fs::write(file, text + "\n")
    }
}

/// Prints a line; a closed pipe ends nothing.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
