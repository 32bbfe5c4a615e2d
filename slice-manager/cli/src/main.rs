//! The `slicectl` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    slicectl::run(std::env::args_os())
}
