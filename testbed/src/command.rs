//! What the testbed can be asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{bench, demo, parts};

#[derive(Debug, Parser)]
#[command(name = "testbed", about = "Raises, measures and attacks the reference network", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Raises the reference world, moves packets through it, and checks what it claims.
    Demo(DemoArguments),
    /// Measures: nanoseconds for a packet, in memory.
    Bench(BenchArguments),
    /// Runs a part of the product as a process of its own; what the demo does in namespaces.
    #[command(hide = true)]
    Part(PartArguments),
}

#[derive(Debug, Args)]
struct DemoArguments {
    /// A process and a namespace for each part, kernel sockets and real traffic; needs root.
    #[arg(long)]
    netns: bool,
    /// Writes the checks as JSON: name, expected, measured, pass.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Writes what crossed the core as a capture file.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct BenchArguments {
    /// What to measure.
    #[arg(value_parser = ["dataplane", "transports", "qos", "workers", "ports"])]
    name: String,
    /// Writes the rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PartArguments {
    /// The part, then its own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// The command line as clap sees it; for the check of the documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the testbed.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::parse_from(arguments).command {
        Command::Demo(demo) => demo::run(&demo::Options { netns: demo.netns, report: demo.report, pcap: demo.pcap }),
        Command::Bench(bench) if bench.name == "transports" => bench::run_transports(bench.json.as_deref()),
        Command::Bench(bench) if bench.name == "qos" => bench::qos::run(bench.json.as_deref()),
        Command::Bench(bench) if bench.name == "workers" => bench::run_workers(bench.json.as_deref()),
        Command::Bench(bench) if bench.name == "ports" => bench::run_ports(bench.json.as_deref()),
        Command::Bench(bench) => bench::run(bench.json.as_deref()),
        Command::Part(part) => parts::run(part.arguments),
    }
}
