//! The AAA of the micro-segments that run here: one host each, and the way from a grant to a binding in the dataplane.
//!
//! A session lives as long as its realm: an edge that starts anew has none, and its devices authenticate again. Whatever
//! becomes of a realm, what was bound for it is unbound when it ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use aaa_server::host::{Host, Place, Status, StatusWatch};
use aaa_server::{BindRefused, Binder, Counters, Grant, Readiness, RealmConfig, Session, SessionId, Unbind};
use api::v1;
use model::Mac;
use model::program::ProgramContent;
use model::resource::SegmentId;
use tokio::sync::Mutex;
use transport_dataplane::{BindError, Binding, Compiler, SegmentUid, SessionKey};

use crate::state::StateFolder;
use crate::worker::Workers;

/// The realms of an edge.
#[derive(Debug)]
pub(crate) struct Realms {
    workers: Workers,
    secrets: PathBuf,
    address: IpAddr,
    running: BTreeMap<SegmentId, Running>,
    watched: RealmsWatch,
}

/// Tells how realms are, whatever those who direct them are busy with.
#[derive(Debug, Clone, Default)]
pub(crate) struct RealmsWatch(Arc<std::sync::Mutex<BTreeMap<SegmentId, StatusWatch>>>);

impl RealmsWatch {
    /// How each is.
    pub(crate) fn all(&self) -> Vec<(SegmentId, Status)> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.iter().map(|(id, realm)| (id.clone(), realm.status())).collect()
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    binder: Arc<SegmentBinder>,
}

impl Realms {
    pub(crate) fn new(workers: Workers, secrets: PathBuf, address: IpAddr) -> Self {
        Self { workers, secrets, address, running: BTreeMap::new(), watched: RealmsWatch::default() }
    }

    /// Becomes what a program says, whose tables run already: ends realms that it does not have, then changes those that
    /// stay (their secrets are read anew), then starts those that are new, so that a port that one gives up is free for
    /// another. Returns when each has tried to open what it needs.
    pub(crate) async fn follow(&mut self, content: &ProgramContent, compiler: &Compiler, state: &StateFolder) {
        let segments = content.slices.iter().flat_map(|slice| &slice.segments);
        let wanted: Vec<(RealmConfig, SegmentUid)> =
            segments.filter_map(|segment| Some((RealmConfig::of(segment)?, compiler.uid(&segment.id)?))).collect();
        let stays: BTreeSet<(&SegmentId, SegmentUid)> = wanted.iter().map(|(config, uid)| (&config.id, *uid)).collect();
        let gone = self.running.extract_if(.., |id, realm| !stays.contains(&(id, realm.binder.segment)));
        for (id, realm) in gone.collect::<Vec<_>>() {
            realm.stop().await;
            tracing::info!(realm = %id, "a realm has ended");
        }
        for (config, _) in &wanted {
            if let Some(realm) = self.running.get(&config.id) {
                realm.host.reconfigure(config.clone()).await;
            }
        }
        for (config, uid) in wanted {
            let id = config.id.clone();
            self.running.entry(id).or_insert_with_key(|id| {
                tracing::info!(realm = %id, port = config.program.access_port, "a realm starts");
                let place =
                    Place { address: self.address, secrets: self.secrets.clone(), journal: state.accounting(id) };
                let binder = Arc::new(SegmentBinder::new(self.workers.clone(), uid));
                Running { host: Host::start(config, place, binder.clone()), binder }
            });
        }
        self.tell_watch();
        for realm in self.running.values() {
            // A host answers after it has opened what it needs and said how it is.
            realm.host.sessions().await;
        }
    }

    /// Ends all of them.
    pub(crate) async fn stop(&mut self) {
        for (_, realm) in std::mem::take(&mut self.running) {
            realm.stop().await;
        }
        self.tell_watch();
    }

    fn tell_watch(&self) {
        let watched = self.running.iter().map(|(id, realm)| (id.clone(), realm.host.watch())).collect();
        *self.watched.0.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    /// Tells from now on how they are.
    pub(crate) fn watch(&self) -> RealmsWatch {
        self.watched.clone()
    }

    /// Is the AAA of a segment at work, and if not, why?
    pub(crate) fn state(&self, id: &SegmentId) -> (v1::AaaState, String) {
        let Some(realm) = self.running.get(id) else { return (v1::AaaState::Absent, String::new()) };
        match realm.host.status().readiness {
            Readiness::Ready => (v1::AaaState::Ready, String::new()),
            not_ready @ Readiness::NotReady(_) => (v1::AaaState::NotReady, not_ready.reason()),
        }
    }

    /// How every realm is.
    pub(crate) fn states(&self) -> Vec<Readiness> {
        self.running.values().map(|realm| realm.host.status().readiness).collect()
    }

    /// What each realm has counted.
    pub(crate) fn counters(&self) -> Vec<(SegmentId, Counters)> {
        self.running.iter().map(|(id, realm)| (id.clone(), realm.host.status().counters)).collect()
    }

    /// The sessions that were bound, each with its key in the dataplane.
    pub(crate) async fn sessions(&self) -> Vec<(Session, SessionKey)> {
        let mut all = Vec::new();
        for realm in self.running.values() {
            let sessions = realm.host.sessions().await;
            let bound = realm.binder.bound.lock().await;
            all.extend(sessions.into_iter().filter_map(|session| {
                let bound = bound.get(&session.grant.mac).filter(|bound| bound.session == session.grant.session)?;
                Some((session, bound.key))
            }));
        }
        all
    }
}

impl Running {
    async fn stop(self) {
        self.host.stop().await;
        // A realm unbinds its sessions when it ends; this is for one that ended by a fault.
        for (_, bound) in self.binder.bound.lock().await.drain() {
            let _ = self.binder.workers.unbind(bound.key).await;
        }
    }
}

/// Binds the endpoints of one segment.
#[derive(Debug)]
struct SegmentBinder {
    workers: Workers,
    segment: SegmentUid,
    /// Held while the worker is asked, so that what is bound and what stands here change in the same order.
    bound: Arc<Mutex<HashMap<Mac, Bound>>>,
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    session: SessionId,
    key: SessionKey,
}

impl SegmentBinder {
    fn new(workers: Workers, segment: SegmentUid) -> Self {
        Self { workers, segment, bound: Arc::default() }
    }
}

impl Binder for SegmentBinder {
    async fn bind(&self, grant: Grant) -> Result<(), BindRefused> {
        let (workers, bound) = (self.workers.clone(), self.bound.clone());
        let binding = Binding { segment: self.segment, mac: grant.mac, ipv4: grant.address, ipv6: grant.address6 };
        // In a task of its own: if the caller waits no longer, what came of it still gets noted, and can be unbound.
        let task = tokio::spawn(async move {
            let mut bound = bound.lock().await;
            match workers.bind(binding).await {
                Ok(Ok(key)) => {
                    bound.insert(grant.mac, Bound { session: grant.session, key });
                    Ok(())
                }
                Ok(Err(error)) => {
                    tracing::warn!(realm = %grant.segment, mac = %grant.mac, %error, "an endpoint was not bound");
                    Err(refused(error))
                }
                Err(_) => Err(BindRefused::NotRunning),
            }
        });
        // It can only end by a fault of the program; then nobody knows.
        task.await.unwrap_or(Err(BindRefused::TimedOut))
    }

    async fn unbind(&self, unbind: Unbind) {
        let mut bound = self.bound.lock().await;
        if let Some(key) = bound.get(&unbind.mac).filter(|bound| bound.session == unbind.session).map(|bound| bound.key)
        {
            bound.remove(&unbind.mac);
            // A worker that has stopped forwards nothing.
            let _ = self.workers.unbind(key).await;
        }
    }
}

const fn refused(error: BindError) -> BindRefused {
    match error {
        BindError::SegmentFull { .. } | BindError::EdgeFull { .. } => BindRefused::TableFull,
        BindError::AddressInUse { .. } => BindRefused::AddressInUse,
        BindError::InOtherSegment => BindRefused::BoundElsewhere,
        BindError::UnknownSegment => BindRefused::NotRunning,
        BindError::NotUnicast(_) | BindError::NotHostAddress(_) => BindRefused::NotAStation,
    }
}
