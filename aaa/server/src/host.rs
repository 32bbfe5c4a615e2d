//! A realm at work: a task that owns its sockets, its sessions and its journal.
//!
//! ```text
//!   access socket ──┐                    ┌── binds in flight ──▶ Binder
//!   accounting  ────┼──▶ task (Realm) ───┤
//!   commands    ────┘                    └── records ──▶ journal thread (append, sync, many at a time)
//! ```
//!
//! Each realm has a task of its own, with queues of its own, so that a flood at one leaves the others alone. An
//! Access-Accept goes out when the dataplane has confirmed the binding, an Accounting-Response when the record is on the
//! disk; records that wait for the disk together share one sync.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::binder::{BindRefused, Binder};
use crate::config::{Now, RealmConfig};
use crate::credentials::{Credentials, Stamp};
use crate::grant::{Session, Unbind};
use crate::journal::{Journal, JournalError};
use crate::readiness::{NotReady, Readiness};
use crate::realm::{Completion, Outcome, PendingBind, PendingRecord, Realm, Service};
use crate::reason::{Counters, DropReason};

/// Where a realm works.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address that it listens on; the ports are in its program.
    pub address: IpAddr,
    /// The folder of secrets.
    pub secrets: PathBuf,
    /// The folder of its journal.
    pub journal: PathBuf,
}

/// A realm at work. Dropped, it ends; [`Host::stop`] waits for that.
#[derive(Debug)]
pub struct Host {
    commands: mpsc::Sender<Command>,
    status: Arc<Mutex<Status>>,
    task: JoinHandle<()>,
}

/// Tells how a realm is, for as long as somebody wants to know; when it has ended, how it last was.
#[derive(Debug, Clone)]
pub struct StatusWatch(Arc<Mutex<Status>>);

impl StatusWatch {
    /// How it is.
    pub fn status(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a realm is.
#[derive(Debug, Clone)]
pub struct Status {
    /// Can it do its work?
    pub readiness: Readiness,
    /// What happened so far.
    pub counters: Counters,
    /// How many endpoints it has authenticated.
    pub sessions: usize,
}

#[derive(Debug)]
enum Command {
    Reconfigure(Box<RealmConfig>, oneshot::Sender<()>),
    Sessions(oneshot::Sender<Vec<Session>>),
    Stop(oneshot::Sender<()>),
}

impl Host {
    /// Starts a realm. Needs a tokio runtime. What it lacks (secrets, a socket, the journal) it says in its status, and
    /// tries again from time to time. Secrets that change are read anew.
    pub fn start<B: Binder>(config: RealmConfig, place: Place, binder: Arc<B>) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let readiness = Readiness::NotReady(Vec::new());
        let status = Arc::new(Mutex::new(Status { readiness, counters: Counters::default(), sessions: 0 }));
        let worker = Work::new(config, place, binder, status.clone());
        let task = tokio::spawn(worker.run(receiver));
        Self { commands, status, task }
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        self.watch().status()
    }

    /// For whoever wants to know how it is without holding it.
    pub fn watch(&self) -> StatusWatch {
        StatusWatch(self.status.clone())
    }

    /// Takes a new program, and reads the secrets anew. Returns when it works by them.
    pub async fn reconfigure(&self, config: RealmConfig) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Reconfigure(Box::new(config), done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// The authenticated endpoints, by MAC address.
    pub async fn sessions(&self) -> Vec<Session> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Sessions(reply)).await;
        if sent.is_ok() { answer.await.unwrap_or_default() } else { Vec::new() }
    }

    /// Ends it: every session is unbound, then the sockets close.
    pub async fn stop(self) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = wait.await;
        }
        let _ = self.task.await;
    }
}

/// What a binding came to.
struct Bound {
    pending: Box<PendingBind>,
    result: Result<(), BindRefused>,
    from: SocketAddr,
}

/// Records that came back from the journal.
struct Written {
    records: Vec<(Box<PendingRecord>, SocketAddr)>,
    error: Option<JournalError>,
}

struct Sockets {
    access: UdpSocket,
    accounting: UdpSocket,
}

struct Work<B> {
    realm: Realm,
    place: Place,
    binder: Arc<B>,
    status: Arc<Mutex<Status>>,
    started: Instant,
    /// When opening was tried last.
    tried: Instant,
    sockets: Option<Sockets>,
    socket_problem: Option<NotReady>,
    journal: Option<mpsc::Sender<(Box<PendingRecord>, SocketAddr)>>,
    journal_problem: Option<NotReady>,
    /// Of the secrets file that was read.
    stamp: Option<Stamp>,
    written: (mpsc::Sender<Written>, mpsc::Receiver<Written>),
    binds: JoinSet<Bound>,
}

impl<B: Binder> Work<B> {
    fn new(config: RealmConfig, place: Place, binder: Arc<B>, status: Arc<Mutex<Status>>) -> Self {
        let started = Instant::now();
        // The stamp first: if the file changes in between, it is read again.
        let stamp = Credentials::stamp(&place.secrets, &config.id);
        let credentials = Credentials::read(&place.secrets, &config.id);
        let realm = Realm::new(config, credentials, random(), now(started));
        Self {
            realm,
            place,
            binder,
            status,
            started,
            tried: started,
            sockets: None,
            socket_problem: None,
            journal: None,
            journal_problem: None,
            stamp,
            written: mpsc::channel(WRITTEN_MAX),
            binds: JoinSet::new(),
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.open().await;
        let mut access = [0; DATAGRAM_OCTETS_MAX];
        let mut accounting = [0; DATAGRAM_OCTETS_MAX];
        loop {
            self.publish();
            let busy = self.binds.len() >= BINDS_MAX;
            let deadline = self.deadline();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Reconfigure(config, done)) => {
                        self.reconfigure(*config).await;
                        let _ = done.send(());
                    }
                    Some(Command::Sessions(reply)) => drop(reply.send(self.realm.sessions())),
                    Some(Command::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop().await,
                },
                Some(bound) = self.binds.join_next() => match bound {
                    Ok(bound) => self.bound(bound).await,
                    Err(error) => tracing::error!(%error, "a wait for a binding ended by a fault of its own"),
                },
                Some(written) = self.written.1.recv() => self.recorded(written).await,
                datagram = receive(self.sockets.as_ref().map(|s| &s.accounting), &mut accounting) => {
                    self.datagrams(Service::Accounting, datagram, &mut accounting).await;
                }
                datagram = receive(self.sockets.as_ref().filter(|_| !busy).map(|s| &s.access), &mut access) => {
                    self.datagrams(Service::Access, datagram, &mut access).await;
                }
                () = tokio::time::sleep_until(deadline) => {
                    let ended = self.realm.on_time(now(self.started));
                    self.unbind(ended).await;
                    if self.tried.elapsed() >= LOOK {
                        self.open().await;
                    }
                }
            }
        }
    }

    /// The next moment at which something is due by itself.
    fn deadline(&self) -> tokio::time::Instant {
        let due = self.realm.next_deadline().map(|at| self.started + at);
        // From the last look on: however much happens meanwhile, the next one comes.
        let look = self.tried + LOOK;
        due.map_or(look, |due| due.min(look)).into()
    }

    /// Opens what is not open, sockets and journal, and reads the secrets anew if their file is another one or has not
    /// been read as it should be.
    async fn open(&mut self) {
        self.tried = Instant::now();
        let (folder, id) = (self.place.secrets.clone(), self.realm.config().id.clone());
        let (before, missing) = (self.stamp, !self.realm.missing().is_empty());
        let read = tokio::task::spawn_blocking(move || {
            let stamp = Credentials::stamp(&folder, &id);
            (stamp != before || missing).then(|| (stamp, Credentials::read(&folder, &id)))
        });
        if let Ok(Some((stamp, credentials))) = read.await {
            self.stamp = stamp;
            let revoked = self.realm.take_secrets(credentials);
            self.unbind(revoked).await;
        }
        if self.journal.is_none() {
            let folder = self.place.journal.clone();
            let opened = tokio::task::spawn_blocking(move || Journal::open(&folder)).await;
            match opened.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic())) {
                Ok((journal, recovered)) => {
                    if recovered.torn_octets > 0 {
                        tracing::warn!(realm = %self.realm.config().id, octets = recovered.torn_octets, "a torn end of the journal was cut off");
                    }
                    self.realm.restore(&recovered.records);
                    self.journal = Some(start_journal(journal, self.written.0.clone()));
                    self.journal_problem = None;
                }
                Err(error) => self.journal_problem = Some(error.into()),
            }
        }
        if self.sockets.is_none() {
            let program = &self.realm.config().program;
            let access = SocketAddr::new(self.place.address, program.access_port);
            let accounting = SocketAddr::new(self.place.address, program.accounting_port());
            match (bind(access).await, bind(accounting).await) {
                (Ok(access), Ok(accounting)) => {
                    self.sockets = Some(Sockets { access, accounting });
                    self.socket_problem = None;
                }
                (Err(problem), _) | (_, Err(problem)) => self.socket_problem = Some(problem),
            }
        }
    }

    async fn reconfigure(&mut self, config: RealmConfig) {
        self.stamp = Credentials::stamp(&self.place.secrets, &config.id);
        let credentials = Credentials::read(&self.place.secrets, &config.id);
        let moves = config.program.access_port != self.realm.config().program.access_port;
        let revoked = self.realm.reconfigure(config, credentials, now(self.started));
        self.unbind(revoked).await;
        if moves {
            self.sockets = None;
            self.open().await;
        }
    }

    /// Takes a datagram and those that wait behind it, up to a bound, so that the other socket gets its turn.
    async fn datagrams(&mut self, service: Service, first: std::io::Result<(usize, SocketAddr)>, buffer: &mut [u8]) {
        let mut next = first;
        for left in (0..DATAGRAMS_PER_TURN_MAX).rev() {
            match next {
                Ok((octets, from)) => self.datagram(service, from, &buffer[..octets]).await,
                // An ICMP error of an earlier answer, or an interrupted call: the socket is still good.
                Err(error) => {
                    if error.kind() != std::io::ErrorKind::WouldBlock {
                        tracing::debug!(%error, "a datagram could not be received");
                    }
                    return;
                }
            }
            let Some(sockets) = &self.sockets else { return };
            let socket = if service == Service::Access { &sockets.access } else { &sockets.accounting };
            // What is taken from the socket must be worked on.
            if left == 0 || (service == Service::Access && self.binds.len() >= BINDS_MAX) {
                return;
            }
            next = socket.try_recv_from(buffer);
        }
    }

    async fn datagram(&mut self, service: Service, from: SocketAddr, datagram: &[u8]) {
        match self.realm.handle(now(self.started), service, from, datagram) {
            Outcome::Dropped(reason) => {
                tracing::debug!(realm = %self.realm.config().id, client = %from.ip(), reason = reason.as_str(), "a datagram was dropped");
            }
            Outcome::Answer(answer) => self.send(service, from, &answer).await,
            Outcome::Bind(pending) => {
                let binder = self.binder.clone();
                self.binds.spawn(async move {
                    // In a task of its own, so that a fault of the binder ends that and not the wait for it.
                    let grant = pending.grant().clone();
                    let mut bind = tokio::spawn(async move { binder.bind(grant).await });
                    let result = match tokio::time::timeout(BIND_PATIENCE, &mut bind).await {
                        Ok(Ok(result)) => result,
                        Ok(Err(fault)) => {
                            tracing::error!(%fault, "a binding ended by a fault of its own");
                            Err(BindRefused::TimedOut)
                        }
                        Err(_) => {
                            bind.abort();
                            Err(BindRefused::TimedOut)
                        }
                    };
                    Bound { pending, result, from }
                });
            }
            Outcome::Record(pending) => {
                let refused = match &self.journal {
                    Some(journal) => journal.try_send((pending, from)).err().map(|error| match error {
                        mpsc::error::TrySendError::Full(back) => (back.0, DropReason::QueueFull),
                        mpsc::error::TrySendError::Closed(back) => (back.0, DropReason::NotRecorded),
                    }),
                    None => Some((pending, DropReason::NotRecorded)),
                };
                if let Some((pending, reason)) = refused {
                    self.realm.not_recorded(&pending, reason);
                }
            }
        }
    }

    async fn bound(&mut self, bound: Bound) {
        let completion = self.realm.bound(now(self.started), *bound.pending, bound.result);
        self.complete(Service::Access, bound.from, completion).await;
    }

    async fn recorded(&mut self, written: Written) {
        let ok = written.error.is_none();
        if let Some(error) = written.error {
            tracing::error!(realm = %self.realm.config().id, %error, "accounting can't be recorded");
            self.journal_problem = Some(error.into());
        } else {
            self.journal_problem = None;
        }
        for (pending, from) in written.records {
            let completion = self.realm.recorded(now(self.started), *pending, ok);
            self.complete(Service::Accounting, from, completion).await;
        }
    }

    async fn complete(&mut self, service: Service, from: SocketAddr, completion: Completion) {
        self.unbind(completion.unbind).await;
        if let Some(answer) = completion.answer {
            self.send(service, from, &answer).await;
        }
    }

    async fn unbind(&self, ended: Vec<Unbind>) {
        for unbind in ended {
            tracing::info!(realm = %unbind.segment, session = %unbind.session, cause = unbind.cause.as_str(), "a session ended");
            let session = unbind.session;
            if tokio::time::timeout(BIND_PATIENCE, self.binder.unbind(unbind)).await.is_err() {
                tracing::error!(%session, "the dataplane did not answer; it may forward for an endpoint whose session ended");
            }
        }
    }

    async fn send(&self, service: Service, to: SocketAddr, answer: &[u8]) {
        let Some(sockets) = &self.sockets else { return };
        let socket = if service == Service::Access { &sockets.access } else { &sockets.accounting };
        if let Err(error) = socket.send_to(answer, to).await {
            tracing::warn!(%error, client = %to, "an answer could not be sent; the client will ask again");
        }
    }

    fn publish(&self) {
        let mut reasons = self.realm.missing();
        reasons.extend(self.socket_problem.clone());
        reasons.extend(self.journal_problem.clone());
        let status = Status {
            readiness: Readiness::of(reasons),
            counters: self.realm.counters().clone(),
            sessions: self.realm.session_count(),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    async fn stop(&mut self) {
        // A binding that is still being made would outlive the realm.
        while let Some(bound) = self.binds.join_next().await {
            if let Ok(bound) = bound {
                self.bound(bound).await;
            }
        }
        let ended = self.realm.stop();
        self.unbind(ended).await;
        self.publish();
    }
}

/// The next datagram; never, without a socket.
async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

async fn bind(address: SocketAddr) -> Result<UdpSocket, NotReady> {
    UdpSocket::bind(address).await.map_err(|error| NotReady::Socket { address, kind: error.kind() })
}

/// A thread that appends: all records that wait are one batch, with one sync. It ends when its queue is dropped.
fn start_journal(
    mut journal: Journal,
    written: mpsc::Sender<Written>,
) -> mpsc::Sender<(Box<PendingRecord>, SocketAddr)> {
    let (sender, mut queue) = mpsc::channel::<(Box<PendingRecord>, SocketAddr)>(RECORDS_MAX);
    tokio::task::spawn_blocking(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut records = vec![first];
            while records.len() < BATCH_MAX
                && let Ok(next) = queue.try_recv()
            {
                records.push(next);
            }
            let batch: Vec<_> = records.iter().map(|(pending, _)| pending.record().clone()).collect();
            let error = journal.append(&batch).err();
            if written.blocking_send(Written { records, error }).is_err() {
                return;
            }
        }
    });
    sender
}

fn now(started: Instant) -> Now {
    Now { monotonic: started.elapsed(), wall: SystemTime::now() }
}

/// A number that makes the names of a realm's sessions its own.
fn random() -> u64 {
    let mut octets = [0; 8];
    if getrandom::fill(&mut octets).is_ok() {
        return u64::from_ne_bytes(octets);
    }
    // The names must differ from those of an earlier start, not be secret; the time does that, too.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The longest RADIUS packet (RFC 2865, section 3); a longer datagram is cut, and then malformed or padding.
const DATAGRAM_OCTETS_MAX: usize = 4_096;
const COMMANDS_MAX: usize = 16;
/// Bindings in flight; more access requests wait in the socket, whose queue the kernel bounds.
const BINDS_MAX: usize = 256;
/// Records that wait for the disk.
const RECORDS_MAX: usize = 4_096;
/// Records in one batch.
const BATCH_MAX: usize = 1_024;
/// Batches that wait for the realm.
const WRITTEN_MAX: usize = 4;
/// Datagrams of one socket before the other gets its turn.
const DATAGRAMS_PER_TURN_MAX: usize = 32;
/// How long the dataplane may take to bind, or to unbind.
const BIND_PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks whether its secrets are still those that it read, and tries to open what it could not.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
