//! A manager of canned answers, behind mutual TLS with the certificates that `slicectl init` makes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use api::v1;
use prost::Message;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use v1::aaa_service_server::AaaServiceServer;
use v1::dataplane_service_server::DataplaneServiceServer;
use v1::intent_service_server::IntentServiceServer;
use v1::node_service_server::NodeServiceServer;
use v1::objective_service_server::ObjectiveServiceServer;
use v1::operation_service_server::OperationServiceServer;
use v1::segment_service_server::SegmentServiceServer;
use v1::slice_service_server::SliceServiceServer;
use v1::template_service_server::TemplateServiceServer;
use v1::transport_service_server::TransportServiceServer;

use crate::process::{self, Ended};

/// What the manager answers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answers {
    /// Instead of any other answer.
    pub(crate) refusal: Option<Status>,
    /// So many changes are turned away first.
    pub(crate) busy: usize,
    /// Instead of the answer to a deletion.
    pub(crate) delete_refusal: Option<Status>,
    /// Takes every request and answers none.
    pub(crate) silent: bool,
    pub(crate) apply: v1::ApplyResponse,
    pub(crate) plan: v1::PlanResponse,
    pub(crate) diff: v1::DiffResponse,
    pub(crate) delete: v1::DeleteResponse,
    pub(crate) slices: v1::ListSlicesResponse,
    pub(crate) slice: v1::SliceStatus,
    /// What a slice is said to be, one answer after another, before it is `slice`; NOT_FOUND where there is none.
    pub(crate) slice_before: Vec<Option<v1::SliceStatus>>,
    /// In the end there is no such slice.
    pub(crate) slice_is_gone: bool,
    pub(crate) segments: v1::ListSegmentsResponse,
    pub(crate) segment: v1::SegmentStatus,
    pub(crate) nodes: v1::ListNodesResponse,
    pub(crate) node: v1::NodeStatus,
    pub(crate) operations: v1::ListOperationsResponse,
    pub(crate) operation: v1::Operation,
    pub(crate) watch: Vec<Step>,
    pub(crate) drops: v1::DropsResponse,
    pub(crate) meters: v1::MetersResponse,
    pub(crate) objectives: v1::MeasureObjectivesResponse,
    pub(crate) queues: v1::ListQueuesResponse,
    /// One answer after another, before it is `queues`.
    pub(crate) queues_before: Vec<v1::ListQueuesResponse>,
    pub(crate) sessions: v1::ListSessionsResponse,
    pub(crate) aaa_counters: v1::ListCountersResponse,
    pub(crate) templates: v1::ListTemplatesResponse,
    pub(crate) template: v1::Template,
    pub(crate) paths: v1::ListPathsResponse,
    pub(crate) numbers: v1::ListNumbersResponse,
    pub(crate) verdicts: v1::VerifyResponse,
    pub(crate) drift: v1::ListDriftResponse,
}

/// What a watch does next; behind the last one, the stream ends.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Tell(Box<v1::Operation>),
    Fail(Status),
    /// Says nothing more, for as long as someone listens.
    Silence,
}

impl Step {
    pub(crate) fn tell(operation: v1::Operation) -> Self {
        Self::Tell(Box::new(operation))
    }
}

/// A running manager, its authority, and everything that it was asked.
pub(crate) struct Manager {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
    runtime: Option<Runtime>,
}

/// Where requests arrive.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) answers: Answers,
    requests: Mutex<Vec<(&'static str, Vec<u8>)>>,
    pub(crate) slices_told: AtomicUsize,
}

impl Desk {
    /// How often a method was asked for.
    pub(crate) fn asked_for(&self, method: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(asked, _)| *asked == method).count()
    }

    /// Notes a request, and refuses it if all are.
    pub(crate) async fn take<M: Message>(&self, method: &'static str, request: &M) -> Result<(), Status> {
        self.requests.lock().unwrap().push((method, request.encode_to_vec()));
        if self.answers.silent {
            std::future::pending::<()>().await;
        }
        self.answers.refusal.clone().map_or(Ok(()), Err)
    }
}

impl Manager {
    /// With the certificates of its own authority.
    pub(crate) fn start(answers: Answers) -> Self {
        let folder = authority();
        let pki = folder.path().join("pki");
        let (ca, own) = (pki.join("ca.pem"), pki.join("manager"));
        Self::start_with(folder, &ca, &own, answers)
    }

    /// With a certificate from that folder, for clients of that authority.
    pub(crate) fn start_with(folder: TempDir, ca: &Path, own: &Path, answers: Answers) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(read(own.join("certificate.pem")), read(own.join("key.pem"))))
            .client_ca_root(Certificate::from_pem(read(ca.to_owned())));
        let desk = Arc::new(Desk { answers, requests: Mutex::default(), slices_told: AtomicUsize::new(0) });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(IntentServiceServer::from_arc(desk.clone()))
            .add_service(SliceServiceServer::from_arc(desk.clone()))
            .add_service(SegmentServiceServer::from_arc(desk.clone()))
            .add_service(NodeServiceServer::from_arc(desk.clone()))
            .add_service(OperationServiceServer::from_arc(desk.clone()))
            .add_service(DataplaneServiceServer::from_arc(desk.clone()))
            .add_service(ObjectiveServiceServer::from_arc(desk.clone()))
            .add_service(AaaServiceServer::from_arc(desk.clone()))
            .add_service(TemplateServiceServer::from_arc(desk.clone()))
            .add_service(TransportServiceServer::from_arc(desk.clone()));
        runtime.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { folder, address, desk, runtime: Some(runtime) }
    }

    /// Its folder; the authority is in `pki/`.
    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The way to it.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Writes a file into its folder, and says how it is named from there.
    pub(crate) fn file<'n>(&self, name: &'n str, text: &str) -> &'n str {
        std::fs::write(self.home().join(name), text).unwrap();
        name
    }

    /// The command, with an operator's certificate.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::slicectl(self.home(), arguments);
        command.env("MICROSLICE_MANAGER", self.url()).env("MICROSLICE_TLS_DIR", self.home().join("pki/operator"));
        command
    }

    /// Runs a command as an operator.
    pub(crate) fn slicectl(&self, arguments: &[&str]) -> Ended {
        process::run_with_input(self.command(arguments), b"")
    }

    /// What was asked, method by method.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.desk.requests.lock().unwrap().iter().map(|(method, _)| *method).collect()
    }

    /// The only request, which must be of that method.
    #[track_caller]
    pub(crate) fn request<M: Message + Default>(&self, method: &str) -> M {
        assert_eq!(self.asked(), [method]);
        M::decode(self.desk.requests.lock().unwrap()[0].1.as_slice()).unwrap()
    }

    /// Goes away without a word: all connections are closed.
    pub(crate) fn die(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A folder with what `slicectl init` makes in `pki/`.
pub(crate) fn authority() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ended = process::run(folder.path(), &["init", "--dir", "pki"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    folder
}
