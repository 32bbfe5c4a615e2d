//! A running manager: store, writer, services and the port that they listen on. A process hosts one by
//! [`daemon`](crate::daemon), a test or the demo by [`Manager::start`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::v1;
use model::profile::Catalog;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;

use crate::auth::Guarded;
use crate::core::Core;
use crate::decided::{self, ChangeError, Decided};
use crate::incoming;
use crate::observed::Observed;
use crate::profiles::{self, ProfilesError};
use crate::records::{self, RecordError, Records};
use crate::services::Services;
use crate::store::{EmbeddedStore, Store as _, StoreError, Transaction};
use crate::tls::{TlsError, TlsPaths};
use crate::writer;

/// What a manager needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its certificates.
    pub tls: TlsPaths,
    /// The folder of its store; made if it is not there.
    pub store: PathBuf,
    /// A folder of profiles; without one, those that are built in.
    pub profiles: Option<PathBuf>,
}

/// Why a manager does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its profiles.
    #[error("the profiles can't be used")]
    Profiles(#[from] ProfilesError),
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the store.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// What is in the store contradicts itself.
    #[error("the store is inconsistent: {}", _0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inconsistent(Vec<plan::Note>),
    /// The profiles have changed since the plan was made, and by the new ones what is declared can't be planned.
    #[error("the profiles have changed, and what is declared does not go with them: {0}")]
    Misfit(String),
    /// The address.
    #[error("can't listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The machine has no thread left, or the runtime is ending.
    #[error("the writer can't be started")]
    Thread(#[source] std::io::Error),
    /// The descriptors of this build are damaged.
    #[error("reflection can't be served")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Starts managers.
#[derive(Debug)]
pub struct Manager;

impl Manager {
    /// Reads the store, checks it, listens and serves. Needs a tokio runtime.
    pub async fn start(config: Config) -> Result<RunningManager, StartError> {
        // Another part of the process may have chosen already; that choice is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = config.tls.load()?;
        let catalog = Arc::new(profiles::load(config.profiles.as_deref())?);
        let (opening, profiles) = (config.store.clone(), catalog.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let store = EmbeddedStore::open(&opening)?;
            let records = Records::load(&store)?;
            let records = sound(&store, records, &profiles)?;
            Ok::<_, StartError>((store, records))
        });
        let (store, records) = opened.await.map_err(|error| StartError::Thread(std::io::Error::other(error)))??;
        let listen = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let observed = Arc::new(Observed::default());
        let unfinished = records.operations.values().filter(|operation| !operation.state.is_final()).count();
        tracing::info!(%address, generation = %records.plan.generation, unfinished, "the manager starts");
        let (writer, decided, thread) =
            writer::start(Box::new(store), records, catalog.clone(), observed.clone()).map_err(StartError::Thread)?;
        let (stop, stopping) = watch::channel(false);
        let core = Arc::new(Core::new(catalog, observed, writer.clone(), decided.clone(), stopping.clone()));
        let router = match router(core.clone()).await {
            Ok(router) => router,
            Err(error) => {
                end(&writer, thread).await;
                return Err(error);
            }
        };
        tokio::spawn(look_again(writer.clone(), stopping.clone()));
        let incoming = incoming::take(listener, tls, stopping.clone());
        let mut stopping = stopping;
        let serving = tokio::spawn(router.serve_with_incoming_shutdown(incoming, async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }));
        Ok(RunningManager { address, core, writer, decided, stop, serving, thread: Some(thread) })
    }
}

/// Has the writer look at what edges have reported from time to time, since some of it means something only after a while.
async fn look_again(writer: writer::WriterHandle, mut stopping: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(Duration::from_secs(LOOK_SECONDS));
    loop {
        tokio::select! {
            _ = look.tick() => writer.reported(),
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// What was stored, with a plan that is sound. Profiles that have changed since it was made are a change like any other:
/// what is declared is planned again. Without such a change a plan that is not sound is damage, and nothing is made of it.
fn sound(store: &EmbeddedStore, records: Records, catalog: &Catalog) -> Result<Records, StartError> {
    let profiles = records::profiles_digest(catalog);
    let faults = decided::faults(&records.plan, &records.intents, catalog);
    if records.profiles == Some(profiles) {
        return if faults.is_empty() { Ok(records) } else { Err(StartError::Inconsistent(faults)) };
    }
    let plan = decided::next_plan(&records.intents, &records.plan, catalog, &BTreeMap::new(), &BTreeSet::new());
    let plan = plan.map_err(|error| match error {
        ChangeError::Unsound(faults) => StartError::Inconsistent(faults),
        error => StartError::Misfit(error.to_string()),
    })?;
    if records.profiles.is_some() || plan != records.plan {
        tracing::warn!(before = %records.plan.generation, generation = %plan.generation, "the profiles have changed; planned again");
    }
    let transaction = records::put_profiles(records::put_target(Transaction::new(), &plan, records.target), profiles);
    let target = Some(store.commit(&transaction)?);
    Ok(Records { plan, target, profiles: Some(profiles), ..records })
}

/// Every service behind the guard; health and reflection, too.
async fn router(core: Arc<Core>) -> Result<tonic::transport::server::Router, StartError> {
    let services = Services::new(core);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(api::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let mut server = Server::builder()
        .max_concurrent_streams(STREAMS_OF_CONNECTION_MAX)
        .http2_keepalive_interval(Some(Duration::from_secs(KEEPALIVE_SECONDS)))
        .http2_keepalive_timeout(Some(Duration::from_secs(KEEPALIVE_ANSWER_SECONDS)))
        .http2_max_header_list_size(HEADERS_OCTETS_MAX);
    macro_rules! guarded {
        ($($module:ident::$server:ident),* $(,)?) => {
            server
                .add_service(Guarded(health_service))
                .add_service(Guarded(reflection.build_v1().map_err(StartError::Reflection)?))
                $(.add_service(Guarded(
                    v1::$module::$server::new(services.clone())
                        .max_decoding_message_size(MESSAGE_OCTETS_MAX)
                        .max_encoding_message_size(MESSAGE_OCTETS_MAX),
                )))*
        };
    }
    Ok(guarded!(
        intent_service_server::IntentServiceServer,
        slice_service_server::SliceServiceServer,
        segment_service_server::SegmentServiceServer,
        template_service_server::TemplateServiceServer,
        node_service_server::NodeServiceServer,
        operation_service_server::OperationServiceServer,
        dataplane_service_server::DataplaneServiceServer,
        aaa_service_server::AaaServiceServer,
        transport_service_server::TransportServiceServer,
        objective_service_server::ObjectiveServiceServer,
        edge_service_server::EdgeServiceServer,
    ))
}

/// A manager that runs. Dropping it ends it without grace; [`shutdown`](Self::shutdown) lets calls end first.
pub struct RunningManager {
    address: SocketAddr,
    core: Arc<Core>,
    writer: writer::WriterHandle,
    decided: watch::Receiver<Arc<Decided>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Why a manager ended that was not told to.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The writer has given up: the store can't be read, or a fault of ours.
    #[error("the writer has ended; the log says why")]
    Writer,
    /// The services have ended.
    #[error("the services have ended")]
    Serving(#[source] Option<tonic::transport::Error>),
}

impl std::fmt::Debug for RunningManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningManager").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RunningManager {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows metrics to whoever connects, until the manager stops. Needs a tokio runtime.
    pub fn serve_metrics(&self, listener: TcpListener) {
        let core = self.core.clone();
        let make = move || std::future::ready(crate::shown::page(&core));
        tokio::spawn(metrics::serve(listener, make, self.stop.subscribe()));
    }

    /// Waits until it ends by itself, which it does only if something is badly wrong.
    pub async fn failed(&mut self) -> StopError {
        let decided = &mut self.decided;
        let writer_ended = async { while decided.changed().await.is_ok() {} };
        tokio::select! {
            () = writer_ended => StopError::Writer,
            ended = &mut self.serving => StopError::Serving(ended.ok().and_then(Result::err)),
        }
    }

    /// Ends streams, lets calls end, and closes the store.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if !self.serving.is_finished() {
            let grace = tokio::time::timeout(Duration::from_secs(GRACE_SECONDS), &mut self.serving);
            if grace.await.is_err() {
                self.serving.abort();
            }
        }
        if let Some(thread) = self.thread.take() {
            end(&self.writer, thread).await;
        }
        tracing::info!("the manager has stopped");
    }
}

/// Ends the writer and waits for it: when it has ended, the store is closed and can be opened again.
async fn end(writer: &writer::WriterHandle, thread: std::thread::JoinHandle<()>) {
    writer.stop().await;
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        tracing::error!("the writer has ended badly");
    }
}

impl Drop for RunningManager {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.serving.abort();
    }
}

/// The longest message, either way.
pub(crate) const MESSAGE_OCTETS_MAX: usize = 16 << 20;
/// How many calls may be open on one connection.
const STREAMS_OF_CONNECTION_MAX: u32 = 128;
/// All headers of a request together.
const HEADERS_OCTETS_MAX: u32 = 16 << 10;
/// How often a quiet peer is asked whether it is there, and how long it has for the answer: an edge that is dead is
/// noticed within the sum.
const KEEPALIVE_SECONDS: u64 = 10;
const KEEPALIVE_ANSWER_SECONDS: u64 = 5;
/// How often the writer looks without a report.
const LOOK_SECONDS: u64 = 2;
/// How long calls have to end when the manager stops.
const GRACE_SECONDS: u64 = 5;
