//! What every test needs: an authority and its certificates, a manager, an operator, edges that do as they are told,
//! and the reference world's resources.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::v1;
use model::program::{Program, Remote};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use slice_manager::store::{EmbeddedStore, Entry, Store};
use slice_manager::{Config, Manager, RunningManager, TlsPaths};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Status, Streaming};
use v1::edge_service_client::EdgeServiceClient;
use v1::intent_service_client::IntentServiceClient;
use v1::node_service_client::NodeServiceClient;
use v1::operation_service_client::OperationServiceClient;
use v1::slice_service_client::SliceServiceClient;

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, names: Vec<SanType>, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }

    pub(crate) fn principal(&self, role: &str, name: &str) -> Leaf {
        self.issue(vec![uri(&format!("urn:microslice:{role}:{name}"))], |_| {})
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A manager and everything around it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    manager: Option<RunningManager>,
    address: Option<SocketAddr>,
}

impl World {
    /// The folder and the certificates, without a manager.
    pub(crate) fn prepare() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("microslice");
        let server = authority.issue(
            vec![SanType::DnsName("localhost".try_into().unwrap()), uri("urn:microslice:manager:manager")],
            |_| {},
        );
        let tls = folder.path().join("tls");
        std::fs::create_dir(&tls).unwrap();
        std::fs::write(tls.join("ca.pem"), &authority.pem).unwrap();
        std::fs::write(tls.join("certificate.pem"), server.certificate).unwrap();
        std::fs::write(tls.join("key.pem"), server.key).unwrap();
        Self { folder, authority, manager: None, address: None }
    }

    /// With a running manager.
    pub(crate) async fn start() -> Self {
        let mut world = Self::prepare();
        world.resume().await;
        world
    }

    /// With a running manager, the reference topology and the slice `iot`, and no edge.
    pub(crate) async fn with_iot() -> Self {
        let world = Self::start().await;
        world.apply(reference(&["topology", "iot"])).await.unwrap();
        world
    }

    pub(crate) fn tls_dir(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    pub(crate) fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsPaths::in_dir(&self.tls_dir()),
            store: self.store_dir(),
            profiles: None,
        }
    }

    /// Starts the manager on the store as it is.
    pub(crate) async fn resume(&mut self) {
        let manager = Manager::start(self.config()).await.unwrap();
        self.address = Some(manager.address());
        self.manager = Some(manager);
    }

    pub(crate) async fn stop(&mut self) {
        self.manager.take().unwrap().shutdown().await;
    }

    /// Shows the manager's metrics.
    pub(crate) fn serve_metrics(&self, listener: tokio::net::TcpListener) {
        self.manager.as_ref().unwrap().serve_metrics(listener);
    }

    /// A manager that another process runs.
    pub(crate) fn at(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    /// Everything that is in the store; the manager must be stopped.
    pub(crate) fn dump(&self) -> Vec<(String, Entry)> {
        assert!(self.manager.is_none());
        EmbeddedStore::open(&self.store_dir()).unwrap().scan("").unwrap()
    }

    pub(crate) fn endpoint(&self, authority: &str, leaf: Option<&Leaf>) -> Endpoint {
        let address = self.address.unwrap();
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
        if let Some(leaf) = leaf {
            tls = tls.identity(Identity::from_pem(&leaf.certificate, &leaf.key));
        }
        Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap()
    }

    /// Where the manager listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// A channel with a certificate of our authority.
    pub(crate) fn channel(&self, role: &str, name: &str) -> Channel {
        let leaf = self.authority.principal(role, name);
        self.endpoint(&self.authority.pem, Some(&leaf)).connect_lazy()
    }

    pub(crate) fn operator(&self) -> Channel {
        self.channel("operator", "olga")
    }

    pub(crate) async fn apply(&self, resources: Vec<v1::Resource>) -> Result<Option<v1::Operation>, Status> {
        let mut client = IntentServiceClient::new(self.operator());
        client.apply(v1::ApplyRequest { resources }).await.map(|answer| answer.into_inner().operation)
    }

    pub(crate) async fn delete(&self, ids: &[&str]) -> Result<Option<v1::Operation>, Status> {
        let mut client = IntentServiceClient::new(self.operator());
        let resources = ids.iter().map(|id| v1::ResourceRef { id: (*id).to_owned() }).collect();
        client.delete(v1::DeleteRequest { resources }).await.map(|answer| answer.into_inner().operation)
    }

    pub(crate) async fn plan(&self, resources: Vec<v1::Resource>) -> Result<v1::PlanResponse, Status> {
        let mut client = IntentServiceClient::new(self.operator());
        client.plan(v1::PlanRequest { resources }).await.map(tonic::Response::into_inner)
    }

    /// The plan as it stands: what planning something that is declared already would decide.
    pub(crate) async fn target(&self) -> v1::Plan {
        self.plan(reference(&["topology"])).await.unwrap().plan.unwrap()
    }

    /// Asks for the plan until it is as wanted.
    pub(crate) async fn target_when(&self, wanted: impl Fn(&v1::Plan) -> bool) -> v1::Plan {
        self.plan_when(&reference(&["topology"]), wanted).await
    }

    /// Asks what would be planned, with resources that are declared already, until it is as wanted.
    pub(crate) async fn plan_when(&self, declared: &[v1::Resource], wanted: impl Fn(&v1::Plan) -> bool) -> v1::Plan {
        let mut last = None;
        for _ in 0..POLLS {
            let plan = self.plan(declared.to_vec()).await.unwrap().plan.unwrap();
            if wanted(&plan) {
                return plan;
            }
            last = Some(plan);
            tokio::time::sleep(POLL).await;
        }
        panic!("the plan never came to be as wanted; at last {last:?}");
    }

    pub(crate) async fn operation(&self, id: &str) -> v1::Operation {
        let mut client = OperationServiceClient::new(self.operator());
        client.get_operation(v1::GetOperationRequest { id: id.to_owned() }).await.unwrap().into_inner()
    }

    /// Asks for an operation until it is as wanted.
    pub(crate) async fn operation_when(&self, id: &str, wanted: impl Fn(&v1::Operation) -> bool) -> v1::Operation {
        for _ in 0..POLLS {
            let operation = self.operation(id).await;
            if wanted(&operation) {
                return operation;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("{id} never came to be as wanted");
    }

    /// Watches an operation until it is in one of the states.
    pub(crate) async fn operation_in(&self, id: &str, states: &[v1::OperationState]) -> v1::Operation {
        let mut client = OperationServiceClient::new(self.operator());
        let request = v1::GetOperationRequest { id: id.to_owned() };
        let mut stream = client.watch_operation(request).await.unwrap().into_inner();
        loop {
            let next = soon(stream.message()).await.unwrap();
            let operation = next.unwrap_or_else(|| panic!("{id} ended in another state than {states:?}"));
            if states.contains(&operation.state()) {
                return operation;
            }
        }
    }

    pub(crate) async fn completed(&self, id: &str) -> v1::Operation {
        self.operation_in(id, &[v1::OperationState::Completed]).await
    }

    pub(crate) async fn slice(&self, name: &str) -> Result<v1::SliceStatus, Status> {
        let mut client = SliceServiceClient::new(self.operator());
        let request = v1::GetSliceRequest { name: name.to_owned() };
        client.get_slice(request).await.map(tonic::Response::into_inner)
    }

    /// Asks for a slice until it is as wanted.
    pub(crate) async fn slice_when(&self, name: &str, wanted: impl Fn(&v1::SliceStatus) -> bool) -> v1::SliceStatus {
        let mut last = None;
        for _ in 0..POLLS {
            let status = self.slice(name).await.unwrap();
            if wanted(&status) {
                return status;
            }
            last = Some(status);
            tokio::time::sleep(POLL).await;
        }
        panic!("{name} never came to be as wanted; at last {last:?}");
    }

    /// Attaches an edge that does what the test says.
    pub(crate) async fn attach(&self, name: &str) -> FakeEdge {
        let edge = FakeEdge::attach(self.channel("edge", name), name).await;
        let mut nodes = NodeServiceClient::new(self.operator());
        for _ in 0..POLLS {
            let node = nodes.get_node(v1::GetNodeRequest { name: name.to_owned() }).await;
            if node.is_ok_and(|node| node.into_inner().realisation.is_some_and(|edge| edge.connected)) {
                return edge;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("{name} is never seen");
    }

    /// Attaches an edge that runs whatever it is sent, and has run nothing before.
    pub(crate) async fn obedient(&self, name: &str) -> tokio::task::JoinHandle<FakeEdge> {
        let mut edge = self.attach(name).await;
        edge.report(None).await;
        edge.obey()
    }
}

/// An edge in the test's hands.
pub(crate) struct FakeEdge {
    pub(crate) name: String,
    reports: mpsc::Sender<v1::EdgeReport>,
    commands: Streaming<v1::EdgeCommand>,
    /// The connection stays with the stream.
    _client: EdgeServiceClient<Channel>,
    /// What it runs.
    pub(crate) runs: Option<Program>,
}

impl FakeEdge {
    pub(crate) async fn attach(channel: Channel, name: &str) -> Self {
        let (reports, stream) = mpsc::channel(8);
        let hello = v1::Hello {
            edge: name.to_owned(),
            version: "0.1.0-test".to_owned(),
            ports: vec![v1::PortStatus { port: "access0".to_owned(), driver: "ring".to_owned() }],
        };
        reports.send(report(v1::edge_report::Report::Hello(hello))).await.unwrap();
        let mut client = EdgeServiceClient::new(channel).max_decoding_message_size(16 << 20);
        let commands = client.attach(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Self { name: name.to_owned(), reports, commands, _client: client, runs: None }
    }

    pub(crate) async fn send(&self, what: v1::edge_report::Report) {
        let _ = self.reports.send(report(what)).await;
    }

    /// The next command, or how the stream ended.
    pub(crate) async fn command(&mut self) -> Result<v1::edge_command::Command, Status> {
        match soon(self.commands.message()).await {
            Ok(Some(command)) => Ok(command.command.unwrap()),
            Ok(None) => Err(Status::ok("ended")),
            Err(status) => Err(status),
        }
    }

    /// The next program; it must be well-formed and this edge's.
    pub(crate) async fn program(&mut self) -> Program {
        match self.command().await.unwrap() {
            v1::edge_command::Command::Program(message) => {
                let program = Program::try_from(message).unwrap();
                assert_eq!(program.content.edge.as_str(), self.name);
                program
            }
            v1::edge_command::Command::Read(read) => panic!("{read:?}"),
        }
    }

    /// Says that it runs a program, AAA and all, or nothing.
    pub(crate) async fn report(&mut self, program: Option<&Program>) {
        self.runs = program.cloned();
        self.send(v1::edge_report::Report::Realised(realised(program))).await;
    }

    /// Takes the next program and says that it runs it.
    pub(crate) async fn realise(&mut self) -> Program {
        let program = self.program().await;
        self.report(Some(&program)).await;
        program
    }

    pub(crate) async fn refuse(&mut self, generation: u64, reason: &str) {
        let refusal = Some(v1::Refusal { generation, reason: reason.to_owned() });
        let report = v1::Realised { refusal, ..realised(self.runs.as_ref()) };
        self.send(v1::edge_report::Report::Realised(report)).await;
    }

    /// Runs whatever it is sent until the stream ends.
    pub(crate) fn obey(mut self) -> tokio::task::JoinHandle<Self> {
        tokio::spawn(async move {
            while let Ok(Some(command)) = self.commands.message().await {
                if let Some(v1::edge_command::Command::Program(message)) = command.command {
                    let program = Program::try_from(message).unwrap();
                    // What a real edge does: it never goes back.
                    let older = self.runs.as_ref().is_some_and(|runs| runs.generation > program.generation);
                    assert!(!older, "{} was sent generation {} after a later one", self.name, program.generation);
                    self.report(Some(&program)).await;
                }
            }
            self
        })
    }
}

fn report(report: v1::edge_report::Report) -> v1::EdgeReport {
    v1::EdgeReport { report: Some(report) }
}

/// What an edge reports that runs just this program.
pub(crate) fn realised(program: Option<&Program>) -> v1::Realised {
    let Some(program) = program else { return v1::Realised::default() };
    let tunnel = |remote: &Remote| {
        let mut paths = program.content.paths.iter();
        let path = paths.find(|path| path.to == remote.edge && path.id == remote.working).unwrap();
        v1::RealisedTunnel { remote: path.remote.to_string(), path: path.id.get().into(), lanes: Vec::new() }
    };
    let paths = program.content.paths.iter().map(|path| v1::RealisedPath {
        to: path.to.to_string(),
        id: path.id.get().into(),
        state: v1::PathState::Up.into(),
        since: None,
        proven: true,
    });
    let segments = program.content.slices.iter().flat_map(|slice| &slice.segments).map(|segment| v1::RealisedSegment {
        edge: program.content.edge.to_string(),
        slice: segment.id.slice.to_string(),
        segment: segment.id.segment.to_string(),
        vni: segment.vni.get(),
        tunnels: segment.remotes.iter().map(tunnel).collect(),
        limits: Some(segment.limits.into()),
        sessions: 0,
        sessions_max: segment.sessions_max,
        takes_vxlan: segment.takes_vxlan(),
        aaa: if segment.realm.is_some() { v1::AaaState::Ready } else { v1::AaaState::Absent }.into(),
        aaa_reason: String::new(),
    });
    v1::Realised {
        generation: program.generation.get(),
        digest: program.digest().as_bytes().to_vec(),
        segments: segments.collect(),
        refusal: None,
        paths: paths.collect(),
        drift: Vec::new(),
    }
}

/// Resources of the reference world.
pub(crate) fn reference(files: &[&str]) -> Vec<v1::Resource> {
    let read = |file: &&str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../profiles/reference/{file}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        model::resource::read(file, &text).unwrap().into_iter().map(|declared| (&declared.resource).into())
    };
    files.iter().flat_map(read).collect()
}

/// Resources as an operator would write them.
pub(crate) fn yaml(text: &str) -> Vec<v1::Resource> {
    model::resource::read("test.yaml", text).unwrap().iter().map(|declared| (&declared.resource).into()).collect()
}

/// A test must end, even if what it waits for never comes; how long that takes says nothing.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("what the test waits for does not come")
}

pub(crate) const EDGES: [&str; 3] = ["edge-a", "edge-b", "edge-c"];
const POLLS: usize = 1_500;
const POLL: Duration = Duration::from_millis(20);
