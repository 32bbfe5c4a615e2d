//! The process: arguments, log, signals. `slice-manager` is nothing but [`run`]; the testbed runs it from its own
//! binary.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::manager::{Config, Manager};
use crate::tls::TlsPaths;

/// Decides every label, VNI, queue and rate of network slices, and hands each edge its program.
///
/// The log goes to standard error; RUST_LOG says what is in it (such as `info` or `slice_manager=debug`). Who changed
/// what is always in it, under the target `audit`.
#[derive(Debug, Parser)]
#[command(name = "slice-manager", version)]
struct Args {
    /// Address to listen on for operators and edges.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:7443")]
    listen: SocketAddr,
    /// Folder with ca.pem, certificate.pem and key.pem, as `slicectl init` makes it.
    #[arg(long, value_name = "DIR")]
    tls_dir: PathBuf,
    /// Folder of the store; made if it is not there.
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Folder of profiles to use instead of those that are built in.
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Address on which Prometheus finds metrics under /metrics, or `none` [default: 127.0.0.1:7480, if it is free].
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<metrics::Address>,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    log: LogForm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The command line as clap sees it.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs the daemon until it is told to stop (SIGTERM, SIGINT). The first argument is the program's name. Exit code 0:
/// stopped when told; 1: could not start, or had to end; 2: the arguments are wrong.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    log(args.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed("the runtime can't be started", &error),
    };
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> ExitCode {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (mut terminate, mut interrupt) = match signals {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return failed("signals can't be caught", &error),
    };
    let tls = TlsPaths::in_dir(&args.tls_dir);
    let config = Config { listen: args.listen, tls, store: args.store, profiles: args.profiles };
    let metrics = match metrics::listen(args.metrics, METRICS_USUAL).await {
        Ok(listener) => listener,
        Err(error) => return failed("metrics can't be shown", &error),
    };
    let mut manager = match Manager::start(config).await {
        Ok(manager) => manager,
        Err(error) => return failed("the manager can't start", &error),
    };
    if let Some(listener) = metrics {
        manager.serve_metrics(listener);
    }
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = manager.failed() => Some(error),
    };
    manager.shutdown().await;
    ended.map_or(ExitCode::SUCCESS, |error| failed("the manager had to stop", &error))
}

/// Says why, with what caused it, on standard error; a log filter must not hide it.
fn failed(what: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("slice-manager: {what}: {}", crate::writer::chain(error));
    ExitCode::FAILURE
}

fn log(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Who changed what is told, whatever else is not.
    let filter = match "audit=info".parse() {
        Ok(audit) => filter.add_directive(audit),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A process that hosts more than one part may have a log already.
    let _ = match form {
        LogForm::Text => builder.try_init(),
        LogForm::Json => builder.json().try_init(),
    };
}

const EXIT_USAGE: u8 = 2;
const METRICS_USUAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7480));
