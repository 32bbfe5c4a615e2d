//! The testbed's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    testbed::run(std::env::args_os())
}
