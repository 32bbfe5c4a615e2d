//! The peer: built where its harness and library are, run for a figure at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The peer's harness, built.
#[derive(Debug)]
pub(super) struct Peer {
    /// Removed with it.
    folder: tempfile::TempDir,
}

impl Peer {
    /// Builds it, if everything is there.
    pub(super) fn find() -> Option<Self> {
        let sources = PathBuf::from(std::env::var_os("MICROSLICE_PEERS")?).join("a_dpdk");
        let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libdpdk"]).output().ok()?;
        let flags = String::from_utf8(flags.status.success().then_some(flags.stdout)?).ok()?;
        let folder = tempfile::tempdir().ok()?;
        for name in ["sched", "throttle"] {
            build(&sources.join(name).with_extension("c"), &folder.path().join(name), &flags)?;
        }
        Some(Self { folder })
    }

    /// A figure of the scheduler that nothing throttles, or of the meters.
    pub(super) fn scheduler(&self, arguments: &[&str], figure: &str) -> Option<f64> {
        self.figure("sched", arguments, figure)
    }

    /// A figure of the throttled scheduler.
    pub(super) fn throttled(&self, arguments: &[&str], figure: &str) -> Option<f64> {
        self.figure("throttle", arguments, figure)
    }

    fn figure(&self, name: &str, arguments: &[&str], figure: &str) -> Option<f64> {
        let library =
            ["--no-huge", "--no-pci", "-m", "6000", "-l", "0", "--log-level=4", "--no-telemetry", "--no-shconf"];
        let mut command = Command::new(self.folder.path().join(name));
        let output = command.args(library).arg("--").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let found = text.split_whitespace().find_map(|word| word.strip_prefix(figure)?.strip_prefix('='))?;
        found.parse().ok()
    }
}

fn build(source: &Path, program: &Path, flags: &str) -> Option<()> {
    let mut command = Command::new("gcc");
    command.args(["-O3", "-march=native", "-Wno-deprecated-declarations"]).arg(source).arg("-o").arg(program);
    command.args(flags.split_whitespace()).arg("-lm").status().ok()?.success().then_some(())
}
