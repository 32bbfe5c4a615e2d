//! The `slice-manager` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    slice_manager::run(std::env::args_os())
}
