//! A running edge: worker, control, realms and agent; or the agent of a Linux kernel. A process hosts one, or the testbed
//! several.

use std::borrow::Cow;
use std::path::Path;

use model::PortName;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Uri;
use transport_dataplane::{CompileError, Compiler, PortIndex, PortSpec, WorkerPlace};
use transport_southbound::{Linux, OpenError};

use crate::agent::{self, Manager};
use crate::config::{Config, KernelConfig, TlsError, TlsMaterial};
use crate::control::{Control, Parts, Site};
use crate::linux::KeeperThread;
use crate::neighbours::{KernelPorts, KernelSide};
use crate::ports::EdgePort;
use crate::programs::Programs;
use crate::realms::Realms;
use crate::shown::Shown;
use crate::state::{StateError, StateFolder};
use crate::told::in_full;
use crate::worker::WorkerThreads;

/// Starts edges.
#[derive(Debug)]
pub struct Edge;

/// An edge that runs; [`RunningEdge::shutdown`] ends it in order. Dropped without that, packets stop at once and the rest
/// ends soon after.
#[derive(Debug)]
pub struct RunningEdge {
    stop: watch::Sender<bool>,
    agent: JoinHandle<()>,
    shown: Shown,
    /// Last, so that it outlives the realms that unbind their sessions.
    _thread: Thread,
}

/// Who does the work; held for its end.
#[derive(Debug)]
enum Thread {
    Worker { _thread: WorkerThreads },
    Keeper { _thread: KeeperThread },
}

/// Why an edge does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It is to reach a manager and has no certificates.
    #[error("a manager is given and no certificates; expected --tls-dir, too")]
    NoTls,
    /// Its folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its ports.
    #[error(transparent)]
    Ports(#[from] CompileError),
    /// The kernel can't be talked to.
    #[error(transparent)]
    Kernel(#[from] OpenError),
    /// The machine has no thread left, or not the core that is named.
    #[error("the thread that works on packets can't be started")]
    Thread(#[source] std::io::Error),
}

impl Edge {
    /// Starts an edge on ports that are open. Needs a tokio runtime. When this returns, it runs the program that it has
    /// kept, and looks for its manager in the background.
    pub async fn start(config: Config, ports: Vec<(PortName, Box<dyn EdgePort>)>) -> Result<RunningEdge, StartError> {
        let manager = manager(config.manager, config.tls.as_deref())?;
        let state = StateFolder::open(&config.state)?;
        let specs = ports.iter().map(|(name, port)| PortSpec { name: name.clone(), mac: port.mac() }).collect();
        let compiler = Compiler::new(specs)?;
        let drivers = (0_u8..)
            .zip(&ports)
            .map(|(at, (name, port))| (name.clone(), driver(port.as_ref(), PortIndex(at), config.workers)));
        let drivers = drivers.collect();
        let kernels = kernels(&ports);
        let thread =
            WorkerThreads::start(config.name.as_str(), ports, config.sessions_max, (config.workers, &config.cores))
                .map_err(StartError::Thread)?;
        let workers = thread.workers();
        let realms = Realms::new(workers.clone(), config.secrets, config.aaa_address);
        let kernels = KernelPorts::start(kernels, workers);
        let site = Site { name: config.name, ports: drivers, workers: workers.clone() };
        let shown = Shown::Site { site: site.clone(), realms: realms.watch() };
        let mut control = Control::new(site, Parts { compiler, kernels, state, realms });
        control.resume().await;
        let (stop, stopping) = watch::channel(false);
        let agent = tokio::spawn(agent::run(control, manager, stopping));
        Ok(RunningEdge { stop, agent, shown, _thread: Thread::Worker { _thread: thread } })
    }

    /// Starts the agent of the kernel of the network namespace that this thread is in. Needs a tokio runtime. When this
    /// returns, the kernel has been told the program that was kept; the manager is looked for in the background.
    pub async fn start_on_kernel(config: KernelConfig) -> Result<RunningEdge, StartError> {
        let manager = manager(config.manager, config.tls.as_deref())?;
        let device = Linux::open(config.name.as_str())?;
        let programs = Programs::new(config.name, StateFolder::open(&config.state)?);
        let (thread, node) = KeeperThread::start(device, programs).await.map_err(StartError::Thread)?;
        let (stop, stopping) = watch::channel(false);
        let agent = tokio::spawn(agent::run(node, manager, stopping));
        Ok(RunningEdge { stop, agent, shown: Shown::Kernel, _thread: Thread::Keeper { _thread: thread } })
    }
}

/// How a port works, for listings, and who works on it if there are several.
fn driver(port: &dyn EdgePort, at: PortIndex, workers: u8) -> Cow<'static, str> {
    match WorkerPlace::new(0, workers).filter(|place| place.count() > 1) {
        Some(place) => format!("{}, worker {}", port.driver(), place.of_port(at)).into(),
        None => port.driver(),
    }
}

fn manager(uri: Option<Uri>, tls: Option<&Path>) -> Result<Option<Manager>, StartError> {
    // Another part of the process may have chosen already; that choice is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match (uri, tls) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(StartError::NoTls),
        (Some(uri), Some(folder)) => Ok(Some(Manager { uri, tls: TlsMaterial::read(folder)? })),
    }
}

/// The kernels of the ports that have one. Where one can't be asked, the edge resolves neighbours itself.
fn kernels(ports: &[(PortName, Box<dyn EdgePort>)]) -> Vec<(PortIndex, PortName, KernelSide)> {
    let mut kernels = Vec::new();
    for (at, (name, port)) in (0..).zip(ports) {
        match port.kernel() {
            Some(Ok(kernel)) => kernels.push((PortIndex(at), name.clone(), kernel)),
            Some(Err(error)) => {
                let error = in_full(&error);
                tracing::warn!(port = %name, error, "the kernel can't be asked for neighbours: the edge resolves them itself");
            }
            None => {}
        }
    }
    kernels
}

impl RunningEdge {
    /// Shows metrics to whoever connects, until the edge ends. Needs a tokio runtime.
    pub fn serve_metrics(&self, listener: TcpListener) {
        let shown = self.shown.clone();
        let make = move || {
            let shown = shown.clone();
            async move { shown.page().await }
        };
        tokio::spawn(metrics::serve(listener, make, self.stop.subscribe()));
    }

    /// Ends the realms, then the agent, then the worker.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.agent.await {
            tracing::error!(%error, "the agent ended by a fault of its own");
        }
    }
}
