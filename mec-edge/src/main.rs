//! The `mec-edge` daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    mec_edge::run(std::env::args_os())
}
