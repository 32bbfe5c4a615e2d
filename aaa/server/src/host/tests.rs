//! A realm over real sockets, with a dataplane that does as it is told.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use aaa_wire::Type;
use model::profile::AaaFeature;
use tokio::sync::Notify;

use super::*;
use crate::grant::{EndCause, Grant};
use crate::reason::{RejectReason, Tally};
use crate::support::*;

mod disk;
mod readiness;
mod serving;

/// What the dataplane does when it is asked to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Bind,
    Refuse(BindRefused),
    /// Waits until it is told to go on, and binds.
    Wait,
    Hang,
}

/// A dataplane that writes down what it was asked.
struct Dataplane {
    manner: Mutex<Manner>,
    go_on: Notify,
    asked: Mutex<Vec<Grant>>,
    unbound: Mutex<Vec<Unbind>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// A binding in flight; ends also when the realm's patience ends.
struct Flight<'a>(&'a AtomicUsize);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Binder for Dataplane {
    async fn bind(&self, grant: Grant) -> Result<(), BindRefused> {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
        let _flight = Flight(&self.in_flight);
        self.asked.lock().unwrap().push(grant);
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Bind => Ok(()),
            Manner::Refuse(refused) => Err(refused),
            Manner::Wait => {
                self.go_on.notified().await;
                Ok(())
            }
            Manner::Hang => std::future::pending().await,
        }
    }

    async fn unbind(&self, unbind: Unbind) {
        self.unbound.lock().unwrap().push(unbind);
    }
}

impl Dataplane {
    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How many endpoints it was asked to bind.
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What it was told to unbind, by MAC address.
    fn unbound(&self) -> Vec<(model::Mac, EndCause)> {
        let mut list: Vec<_> = self.unbound.lock().unwrap().iter().map(|unbind| (unbind.mac, unbind.cause)).collect();
        list.sort_by_key(|(mac, _)| *mac);
        list
    }
}

/// An address of the loopback network, a folder, and a dataplane.
struct Site {
    folder: tempfile::TempDir,
    address: IpAddr,
    dataplane: Arc<Dataplane>,
}

impl Site {
    /// With secrets that can be read.
    fn new() -> Self {
        let site = Self::without_secrets();
        site.write_secrets(SITE_SECRETS, 0o600);
        site
    }

    fn without_secrets() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Apart from those of a run of the same tests by another process.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let address = [127, 64 | (high & 0x3f), low, NEXT.fetch_add(1, Ordering::Relaxed)].into();
        let dataplane = Dataplane {
            manner: Mutex::new(Manner::Bind),
            go_on: Notify::new(),
            asked: Mutex::default(),
            unbound: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        };
        Self { folder: tempfile::tempdir().unwrap(), address, dataplane: Arc::new(dataplane) }
    }

    fn secrets_file(&self) -> PathBuf {
        self.folder.path().join("secrets/iot/smart-metering.yaml")
    }

    fn write_secrets(&self, text: &str, mode: u32) {
        let file = self.secrets_file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn place(&self) -> Place {
        Place { address: self.address, secrets: self.folder.path().join("secrets"), journal: self.journal() }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Every feature, one client: whoever asks from the site's own address.
    fn config(&self) -> RealmConfig {
        let mut config = config(&AaaFeature::ALL);
        config.program.access_port = ACCESS_PORT;
        config.program.clients.truncate(1);
        config.program.clients[0].addresses = vec![format!("{}/32", self.address).parse().unwrap()];
        config
    }

    fn start(&self) -> Host {
        Host::start(self.config(), self.place(), self.dataplane.clone())
    }

    async fn start_ready(&self) -> Host {
        let host = self.start();
        until(&host, |status| status.readiness == Readiness::Ready).await;
        host
    }

    async fn nas(&self) -> Nas {
        let socket = UdpSocket::bind((self.address, 0)).await.unwrap();
        Nas { socket, server: self.address, access_port: ACCESS_PORT }
    }
}

/// A client with one socket, so that what is sent and received keeps its order.
struct Nas {
    socket: UdpSocket,
    server: IpAddr,
    access_port: u16,
}

impl Nas {
    async fn send(&self, ask: &Ask) {
        self.send_octets(&ask.sealed(), service(ask)).await;
    }

    async fn send_octets(&self, octets: &[u8], service: Service) {
        let port = if service == Service::Access { self.access_port } else { self.access_port + 1 };
        self.socket.send_to(octets, (self.server, port)).await.unwrap();
    }

    async fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 4_096];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await;
        let (length, _) = received.expect("an answer").unwrap();
        buffer[..length].to_vec()
    }

    /// The next answer of a code; others are left aside.
    async fn receive_code(&self, code: u8) -> Vec<u8> {
        loop {
            let answer = self.receive().await;
            if answer[0] == code {
                return answer;
            }
        }
    }

    async fn ask(&self, ask: &Ask) -> Reply {
        self.send(ask).await;
        ask.read(&self.receive().await)
    }

    /// Asks until there is an answer, as a client does.
    async fn ask_until_answered(&self, ask: &Ask) -> Reply {
        let mut buffer = [0; 4_096];
        for _ in 0..300 {
            self.send(ask).await;
            let received = tokio::time::timeout(Duration::from_millis(100), self.socket.recv_from(&mut buffer)).await;
            if let Ok(Ok((length, _))) = received {
                return ask.read(&buffer[..length]);
            }
        }
        panic!("no answer");
    }

    /// Is nothing under way to it? What was sent before on the port is handled when Status-Server is answered; so what has
    /// not come before that answer has not been sent.
    async fn has_no_answer_before_a_status(&self, service: Service, identifier: u8) -> bool {
        let ask = Ask::new(STATUS_SERVER, identifier);
        self.send_octets(&ask.sealed(), service).await;
        let answer = self.receive().await;
        answer[1] == identifier && ask.read(&answer).code != ACCESS_REJECT
    }
}

fn service(ask: &Ask) -> Service {
    if ask.code == ACCOUNTING_REQUEST { Service::Accounting } else { Service::Access }
}

/// Waits until the status is as wanted.
async fn until(host: &Host, wanted: impl Fn(&Status) -> bool) -> Status {
    for _ in 0..3_000 {
        let status = host.status();
        if wanted(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {:?}", host.status());
}

/// Waits until something is so.
async fn until_so(so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never");
}

/// The events in the journal's files, in order.
fn journalled(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let text: String = names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let event = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        value["event"].as_str().unwrap().to_owned()
    };
    text.lines().map(event).collect()
}

const SITE_SECRETS: &str = r#"
clients:
  - { name: city-switch, secret: "testing123" }
users:
  - { name: meter-0042, password: "a password of more than sixteen octets", mac: "02-00-00-00-00-2A", address: 10.110.0.42 }
  - { name: guest, password: "heart" }
  - { name: head-end, password: "arctangent", sessions: 1000 }
"#;
const ACCESS_PORT: u16 = 18_120;
/// Longer than anything takes; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);
