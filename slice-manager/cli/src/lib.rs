//! `slicectl`: the operator's command line, and the tools that need no manager (certificates, packet decoding).
//!
//! Everything is reachable as a library, so that the testbed drives it in its own process: [`run_with`] takes arguments
//! and two writers and answers an [`Exit`].
#![forbid(unsafe_code)]

mod args;
mod client;
mod commands;
pub mod decode;
mod error;
mod files;
mod output;
pub mod pki;
mod table;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use error::Exit;

/// The command line as clap sees it.
pub fn command() -> clap::Command {
    args::Args::command()
}

/// Runs `slicectl` as a process: the first argument is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut out = std::io::stdout();
    let is_terminal = out.is_terminal();
    ExitCode::from(run_on_runtime(arguments, is_terminal, &mut out, &mut std::io::stderr()).code())
}

/// Runs `slicectl` on a runtime of its own.
pub fn run_blocking(arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    run_on_runtime(arguments, false, out, err)
}

fn run_on_runtime(
    arguments: impl IntoIterator<Item = OsString>,
    is_terminal: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run_for(arguments, is_terminal, out, err)),
        Err(error) => {
            let _ = writeln!(err, "error: the runtime can't be started: {error}");
            Exit::Failed
        }
    }
}

/// Runs `slicectl`: what it answers goes to `out`, what it has to say about that to `err`.
pub async fn run_with(arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    run_for(arguments, false, out, err).await
}

async fn run_for(
    arguments: impl IntoIterator<Item = OsString>,
    is_terminal: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    // Another part of the process may have chosen already; that choice is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = match args::Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { err } else { out };
            let _ = write!(to, "{}", error.render());
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    match commands::run(args, is_terminal, out, err).await {
        Ok(()) => Exit::Success,
        Err(error) => {
            // Someone who has read enough (`| head`) is no failure worth a word.
            if !error.is_closed_pipe() {
                let _ = write!(err, "{}", error.text());
            }
            error.exit()
        }
    }
}
