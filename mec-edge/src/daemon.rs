//! The process: arguments, log, signals. `mec-edge` is nothing but [`run`]; the testbed runs it from its own binary.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use model::{NodeName, PortName};
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Uri;
use tracing_subscriber::EnvFilter;
use transport_dataplane::{SESSIONS_MAX, WORKERS_MAX};

use crate::config::{Config, KernelConfig, SESSIONS_DEFAULT};
use crate::edge::{Edge, RunningEdge};
use crate::ports::{EdgePort, Polling, PortConfig};
use crate::told::in_full;

/// Runs the micro-segments of one MEC site: their packets, their AAA, their limits. Or a core node.
///
/// The log goes to standard error; RUST_LOG says what is in it (such as `info` or `mec_edge=debug`).
#[derive(Debug, Parser)]
#[command(name = "mec-edge", version)]
struct Args {
    /// Name of this node, as the topology and its certificate have it.
    #[arg(long)]
    name: NodeName,
    /// Where the manager is, such as https://manager:7443. Without it, the program that was kept is run.
    #[arg(long, value_name = "URL")]
    manager: Option<Uri>,
    /// Folder with ca.pem, certificate.pem and key.pem, as `slicectl certificate issue` makes it.
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// Folder for the program and the accounting records; made if it is not there.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Have the kernel of this box do the work of a core node, instead of a dataplane of ours; ports are then the network
    /// devices that the topology names. Needs CAP_NET_ADMIN.
    #[arg(long, value_enum, conflicts_with_all = ["secrets", "aaa_address", "ports", "poll", "workers", "cores", "sessions_max"])]
    device: Option<DeviceKind>,
    /// Folder of secrets: SLICE/SEGMENT.yaml, readable by nobody else.
    #[arg(long, value_name = "DIR", required_unless_present = "device")]
    secrets: Option<PathBuf>,
    /// Address that the segments' AAA listens on; their ports are decided by the manager.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    aaa_address: IpAddr,
    /// A port: NAME=kernel:INTERFACE takes a network interface by the best driver that works on it, af-xdp or af-packet;
    /// NAME=af-xdp:INTERFACE and NAME=af-packet:INTERFACE name one; NAME=tap:INTERFACE is a TAP device for what runs on this
    /// machine. These need root. NAME=pcap:INPUT,OUTPUT is capture files (INPUT may be `none`).
    #[arg(long = "port", value_name = "PORT", required_unless_present = "device")]
    ports: Vec<PortConfig>,
    /// How the edge learns of frames: woken by the kernel when it rests, or by looking all the time, which takes a core.
    #[arg(long, value_enum, default_value = "interrupt")]
    poll: PollKind,
    /// How many workers share the ports and slices, each a thread: 1, or as many as cores are named. The first port is the first
    /// one's, the second the second one's, and so on, round and round.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=WORKERS_MAX as i64))]
    workers: Option<u8>,
    /// The processor cores that work on packets, as the kernel numbers them, one for each worker, such as 2,3; whichever are free
    /// if left out.
    #[arg(long = "core", value_name = "CORE", value_delimiter = ',')]
    cores: Vec<usize>,
    /// How many sessions there is room for; where there are several workers, on each of them.
    #[arg(long, value_name = "COUNT", default_value_t = SESSIONS_DEFAULT, value_parser = sessions)]
    sessions_max: usize,
    /// Address on which Prometheus finds metrics under /metrics, or `none` [default: 127.0.0.1:7481, if it is free].
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<metrics::Address>,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    log: LogForm,
}

/// Whose work a kernel does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DeviceKind {
    /// The Linux kernel of the network namespace that this runs in.
    Linux,
}

/// How frames are waited for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PollKind {
    /// The edge rests when nothing is to be done.
    Interrupt,
    /// It never rests.
    Busy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn sessions(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=SESSIONS_MAX).contains(count));
    count.ok_or_else(|| format!("expected 1 to {SESSIONS_MAX}"))
}

/// The command line as clap sees it.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs the daemon until it is told to stop (SIGTERM, SIGINT). The first argument is the program's name. Exit code 0:
/// stopped when told; 1: could not start; 2: the arguments are wrong.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    start_log(args.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime can't be started");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let metrics = metrics::listen(args.metrics, METRICS_USUAL).await?;
    let edge = start(args).await?;
    if let Some(listener) = metrics {
        edge.serve_metrics(listener);
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stops");
    edge.shutdown().await;
    Ok(())
}

async fn start(args: Args) -> Result<RunningEdge, Box<dyn std::error::Error>> {
    if let Some(DeviceKind::Linux) = args.device {
        let config = KernelConfig { name: args.name, manager: args.manager, tls: args.tls_dir, state: args.state };
        return Ok(Edge::start_on_kernel(config).await?);
    }
    let workers = workers(args.workers, &args.cores)?;
    let polling = match args.poll {
        PollKind::Interrupt => Polling::Interrupt,
        PollKind::Busy => Polling::Busy,
    };
    let mut ports: Vec<(PortName, Box<dyn EdgePort>)> = Vec::new();
    for (number, port) in (0_u8..).zip(&args.ports) {
        let open = port.open(number, polling)?;
        tracing::info!(port = %port.name, driver = %open.driver(), "port");
        ports.push((port.name.clone(), open));
    }
    let config = Config {
        name: args.name,
        manager: args.manager,
        tls: args.tls_dir,
        state: args.state,
        secrets: args.secrets.unwrap_or_default(),
        aaa_address: args.aaa_address,
        sessions_max: args.sessions_max,
        workers,
        cores: args.cores,
    };
    Ok(Edge::start(config, ports).await?)
}

/// How many workers there are to be.
fn workers(asked: Option<u8>, cores: &[usize]) -> Result<u8, String> {
    let named = cores.len();
    if let Some(core) = cores.iter().enumerate().find(|(at, core)| cores[..*at].contains(core)).map(|(_, core)| core) {
        return Err(format!("--core: core {core} twice; expected one for each worker"));
    }
    match asked {
        Some(count) if named == 0 || named == usize::from(count) => Ok(count),
        Some(count) => Err(format!("--core: {named} cores for {count} workers; expected one for each, or none")),
        None if named <= WORKERS_MAX => Ok(u8::try_from(named).unwrap_or(u8::MAX).max(1)),
        None => Err(format!("--core: {named} cores; expected {WORKERS_MAX} at most")),
    }
}

fn start_log(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A log that was started already, by whoever hosts this, stays.
    let _ = match form {
        LogForm::Text => log.try_init(),
        LogForm::Json => log.json().try_init(),
    };
}

/// The worker has its own thread; what runs here is light.
const RUNTIME_THREADS: usize = 2;
const EXIT_USAGE: u8 = 2;
const METRICS_USUAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7481));

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Args, clap::Error> {
        let given =
            ["mec-edge", "--name", "edge-a", "--state", "s", "--secrets", "x", "--port", "access0=af-packet:eth0"];
        Args::try_parse_from(given.iter().chain(more))
    }

    #[test]
    fn what_is_wrong_on_the_command_line_is_refused_by_name() {
        Args::command().debug_assert();
        let args = parse(&["--port", "core0=pcap:none,out.pcap", "--aaa-address", "::1"]).unwrap();
        assert_eq!((args.ports.len(), args.sessions_max), (2, SESSIONS_DEFAULT));
        for (more, expected) in [
            (["--sessions-max", "0"], "expected 1 to 1000000"),
            (["--sessions-max", "1000001"], "expected 1 to 1000000"),
            (["--port", "core0=eth1"], "expected NAME=kernel:INTERFACE"),
            (["--poll", "often"], "[possible values: interrupt, busy]"),
            (["--aaa-address", "localhost"], "--aaa-address"),
            (["--name", "edge-b"], "--name"),
            (["--metrics", "7481"], "expected ADDRESS:PORT or `none`"),
            (["--workers", "9"], "9 is not in 1..=8"),
            (["--workers", "0"], "0 is not in 1..=8"),
            (["--core", "two"], "--core"),
            (["--dpdk", "on"], "--dpdk"),
        ] {
            let error = parse(&more).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn there_is_a_worker_for_each_core_that_is_named() {
        for (asked, cores, expected) in [
            (None, &[][..], Ok(1)),
            (None, &[2, 3], Ok(2)),
            (Some(3), &[], Ok(3)),
            (Some(2), &[0, 1], Ok(2)),
            (Some(2), &[0], Err("--core: 1 cores for 2 workers; expected one for each, or none")),
            (None, &[0, 1, 2, 3, 4, 5, 6, 7, 8], Err("--core: 9 cores; expected 8 at most")),
            (None, &[2, 3, 2], Err("--core: core 2 twice; expected one for each worker")),
        ] {
            assert_eq!(workers(asked, cores), expected.map_err(str::to_owned), "{asked:?} {cores:?}");
        }
        assert_eq!(parse(&["--core", "2,3"]).unwrap().cores, [2, 3]);
    }

    #[test]
    fn a_kernel_needs_no_ports_and_no_secrets_and_takes_none() {
        let parse = |more: &[&str]| {
            let given = ["mec-edge", "--name", "core-1", "--state", "s"];
            Args::try_parse_from(given.iter().chain(more))
        };
        let args = parse(&["--device", "linux"]).unwrap();
        assert!(matches!(args.device, Some(DeviceKind::Linux)) && args.ports.is_empty());
        assert!(parse(&[]).unwrap_err().to_string().contains("--secrets"));
        for more in [["--secrets", "x"], ["--port", "a=af-packet:b"], ["--sessions-max", "1"], ["--aaa-address", "::1"]]
        {
            let error = parse(&[&["--device", "linux"], &more[..]].concat()).unwrap_err().to_string();
            assert!(error.contains("cannot be used with"), "{error}");
        }
        assert!(parse(&["--device", "freebsd"]).unwrap_err().to_string().contains("[possible values: linux]"));
    }

    #[test]
    fn the_exit_code_says_who_erred() {
        let code = |arguments: &[&str]| {
            let code = run(arguments.iter().map(OsString::from));
            if code == ExitCode::SUCCESS {
                0
            } else if code == ExitCode::from(EXIT_USAGE) {
                2
            } else {
                1
            }
        };
        assert_eq!(code(&["mec-edge", "--version"]), 0);
        assert_eq!(code(&["mec-edge"]), 2);
        let port = "access0=af-packet:no-such-if";
        assert_eq!(code(&["mec-edge", "--name", "edge-a", "--state", "s", "--secrets", "x", "--port", port]), 1);
    }
}
