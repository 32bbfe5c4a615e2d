//! A manager that does as a test tells it, and the certificates that it takes.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use api::v1;
use model::program::Program;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use v1::edge_command::Command;
use v1::edge_report::Report;
use v1::edge_service_server::{EdgeService, EdgeServiceServer};

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, names: Vec<SanType>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.subject_alt_names = names;
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes the certificate folder of an edge.
    pub(crate) fn write_edge(&self, folder: &Path, edge: &str) {
        let uri = format!("urn:microslice:edge:{edge}");
        let (certificate, key) = self.issue(vec![SanType::URI(uri.as_str().try_into().unwrap())]);
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("ca.pem"), &self.pem).unwrap();
        std::fs::write(folder.join("certificate.pem"), certificate).unwrap();
        std::fs::write(folder.join("key.pem"), key).unwrap();
    }
}

/// A manager that listens; it ends when it is dropped.
pub(crate) struct FakeManager {
    pub(crate) address: SocketAddr,
    attached: mpsc::Receiver<Attached>,
    task: JoinHandle<()>,
}

/// The stream of one edge.
pub(crate) struct Attached {
    pub(crate) hello: v1::Hello,
    reports: Streaming<v1::EdgeReport>,
    commands: mpsc::Sender<Result<v1::EdgeCommand, Status>>,
    reads: u64,
    /// The most rows that came in one part.
    pub(crate) largest_part: usize,
}

struct Service(mpsc::Sender<Attached>);

#[tonic::async_trait]
impl EdgeService for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::EdgeCommand, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::EdgeReport>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        assert!(!request.peer_certs().unwrap().is_empty());
        let mut reports = request.into_inner();
        let first = reports.message().await?.and_then(|report| report.report);
        let Some(Report::Hello(hello)) = first else { panic!("the first report is {first:?}") };
        let (commands, outgoing) = mpsc::channel(16);
        let _ = self.0.send(Attached { hello, reports, commands, reads: 0, largest_part: 0 }).await;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

impl FakeManager {
    pub(crate) async fn start(authority: &Authority) -> Self {
        Self::start_at(authority, "127.0.0.1:0".parse().unwrap(), &[]).await
    }

    /// Listens there; its certificate has these addresses, too.
    pub(crate) async fn start_at(authority: &Authority, address: SocketAddr, also: &[IpAddr]) -> Self {
        let mut names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        names.extend(also.iter().map(|address| SanType::IpAddress(*address)));
        let (certificate, key) = authority.issue(names);
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(&authority.pem));
        // The one that had the address before may not be quite gone.
        let deadline = Instant::now() + PATIENCE;
        let listener = loop {
            match TcpListener::bind(address).await {
                Err(taken) if taken.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                bound => break bound.unwrap(),
            }
        };
        let address = listener.local_addr().unwrap();
        let (sender, attached) = mpsc::channel(16);
        let server = Server::builder().tls_config(tls).unwrap().add_service(EdgeServiceServer::new(Service(sender)));
        let task = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, attached, task }
    }

    pub(crate) fn uri(&self) -> tonic::transport::Uri {
        format!("https://localhost:{}", self.address.port()).parse().unwrap()
    }

    /// The next edge that attaches.
    pub(crate) async fn attached(&mut self) -> Attached {
        tokio::time::timeout(PATIENCE, self.attached.recv()).await.expect("no edge attached").unwrap()
    }
}

impl Drop for FakeManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Attached {
    /// The next report; `None` if the edge has gone.
    async fn report(&mut self) -> Option<Report> {
        let report = tokio::time::timeout(PATIENCE, self.reports.message()).await.expect("no report");
        report.ok().flatten().map(|report| report.report.unwrap())
    }

    /// The next report of what the edge runs.
    pub(crate) async fn realised(&mut self) -> v1::Realised {
        match self.report().await {
            Some(Report::Realised(realised)) => realised,
            other => panic!("expected what the edge runs, found {other:?}"),
        }
    }

    /// Reports until one is as wanted.
    pub(crate) async fn realised_when(&mut self, wanted: impl Fn(&v1::Realised) -> bool) -> v1::Realised {
        loop {
            let realised = self.realised().await;
            if wanted(&realised) {
                return realised;
            }
        }
    }

    /// The next report of what the edge runs, if the edge stays.
    pub(crate) async fn try_realised(&mut self) -> Option<v1::Realised> {
        match self.report().await? {
            Report::Realised(realised) => Some(realised),
            other => panic!("expected what the edge runs, found {other:?}"),
        }
    }

    /// Sends a program.
    pub(crate) async fn send(&self, program: impl Into<v1::Program>) {
        self.sender().send(program).await;
    }

    /// Sends programs while reports are waited for.
    pub(crate) fn sender(&self) -> Programs {
        Programs(self.commands.clone())
    }

    /// Sends a program and waits until it runs, its AAA included.
    pub(crate) async fn run(&mut self, program: &Program) -> v1::Realised {
        self.send(program).await;
        let generation = program.generation.get();
        let realised = self.realised_when(|realised| realised.generation == generation).await;
        assert_eq!(realised.digest, program.digest().as_bytes());
        assert_eq!(realised.refusal, None);
        realised
    }

    /// Asks, and gathers the parts of the answer.
    pub(crate) async fn read(&mut self, kind: v1::ReadKind) -> v1::Reading {
        self.ask(v1::Read { kind: kind.into(), ..v1::Read::default() }).await
    }

    /// Asks as the message says.
    pub(crate) async fn ask(&mut self, read: v1::Read) -> v1::Reading {
        self.reads += 1;
        let read = Command::Read(v1::Read { id: self.reads, ..read });
        self.commands.send(Ok(v1::EdgeCommand { command: Some(read) })).await.unwrap();
        let mut all = v1::Reading::default();
        loop {
            match self.report().await.unwrap() {
                Report::Realised(_) => {}
                Report::Hello(_) => panic!("a second Hello"),
                Report::Reading(part) => {
                    assert_eq!(part.id, self.reads);
                    let rows = part.drops.len() + part.meters.len() + part.sessions.len() + part.queues.len();
                    self.largest_part = self.largest_part.max(rows);
                    all.drops.extend(part.drops);
                    all.meters.extend(part.meters);
                    all.sessions.extend(part.sessions);
                    all.queues.extend(part.queues);
                    all.ports.extend(part.ports);
                    all.program = all.program.or(part.program);
                    all.paths.extend(part.paths);
                    all.sids.extend(part.sids);
                    all.labels.extend(part.labels);
                    all.segments.extend(part.segments);
                    all.slices.extend(part.slices);
                    all.shaping.extend(part.shaping);
                    all.shares.extend(part.shares);
                    all.problem.push_str(&part.problem);
                    if part.last {
                        return all;
                    }
                }
            }
        }
    }

    /// Packets dropped for a reason; all ports and segments together.
    pub(crate) async fn drops(&mut self, reason: &str) -> u64 {
        let drops = self.read(v1::ReadKind::Drops).await.drops;
        drops.iter().filter(|drop| drop.reason == reason).map(|drop| drop.packets).sum()
    }
}

/// The way down to an edge.
pub(crate) struct Programs(mpsc::Sender<Result<v1::EdgeCommand, Status>>);

impl Programs {
    /// Sends a program; it is lost if the edge has gone.
    pub(crate) async fn send(&self, program: impl Into<v1::Program>) {
        let command = v1::EdgeCommand { command: Some(Command::Program(program.into())) };
        let _ = self.0.send(Ok(command)).await;
    }
}

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
