//! The core of a realm: a datagram and the time in, a decision out. No socket, no clock.
//!
//! The order is fixed: who may ask from that address, is it RADIUS, does the seal hold, may they ask now, is it a request
//! that came again; only then is its meaning read. A seal that does not hold costs the client none of its requests, for
//! anybody can send such a thing in its name. Endpoints are bound and records are written by the host, between
//! [`Realm::handle`] and [`Realm::bound`] or [`Realm::recorded`]; the answer comes from the latter, so that none is sent
//! too early.

mod access;
mod accounting;
mod refusal;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use aaa_wire::authenticator::verify_request;
use aaa_wire::{Answer, Code, IntegrityError, Packet, Password, Verified};
use model::ClientName;

use crate::answers::{Answers, Known, Replays, RequestKey};
use crate::binder::BindRefused;
use crate::clients::Clients;
use crate::config::{Now, RealmConfig};
use crate::credentials::{Credentials, SecretsError, User};
use crate::events::Events;
use crate::grant::{EndCause, Grant, Session, SessionId, Unbind};
use crate::readiness::NotReady;
use crate::reason::{Counters, DropReason, RejectReason, Tally};
use crate::record::Record;
use crate::sessions::{Entry, Sessions};

use refusal::Rejection;

/// Which of a realm's two ports a datagram came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Access requests.
    Access,
    /// Accounting requests.
    Accounting,
}

/// What to do about a datagram.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Nothing; it is counted.
    Dropped(DropReason),
    /// Send this back.
    Answer(Vec<u8>),
    /// Bind an endpoint, then call [`Realm::bound`].
    Bind(Box<PendingBind>),
    /// Write a record, then call [`Realm::recorded`].
    Record(Box<PendingRecord>),
}

/// An access request that waits for the dataplane.
#[derive(Debug)]
#[must_use]
pub struct PendingBind {
    key: RequestKey,
    grant: Grant,
    accept: Answer,
    reject: Answer,
}

impl PendingBind {
    /// What the dataplane must bind.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// An accounting request that waits for the disk.
#[derive(Debug)]
#[must_use]
pub struct PendingRecord {
    key: RequestKey,
    record: Record,
    answer: Answer,
}

impl PendingRecord {
    /// What must be written.
    pub const fn record(&self) -> &Record {
        &self.record
    }
}

/// What to do when a request is done with: unbind, and then answer.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Completion {
    /// Take these bindings away.
    pub unbind: Vec<Unbind>,
    /// Then send this back, if there is something.
    pub answer: Option<Vec<u8>>,
}

/// The AAA of one segment.
#[derive(Debug)]
pub struct Realm {
    config: RealmConfig,
    credentials: Credentials,
    /// Why the credentials are not those of the file.
    problem: Option<SecretsError>,
    clients: Clients,
    sessions: Sessions,
    /// Sessions that gave way to one that is being bound, by that one: the dataplane may still have them.
    replaced: HashMap<SessionId, Entry>,
    answers: Answers,
    replays: Replays,
    events: Events,
    counters: Counters,
    /// Stands in for users that don't exist, so that asking for one takes as long as asking for another.
    decoy: User,
    last: SessionId,
}

impl Realm {
    /// A realm without sessions. `start` is a random number that makes its sessions' names its own. Without credentials
    /// it serves nobody, and says why.
    pub fn new(config: RealmConfig, credentials: Result<Credentials, SecretsError>, start: u64, now: Now) -> Self {
        let (credentials, problem) = match credentials {
            Ok(credentials) => (credentials, None),
            Err(problem) => (Credentials::default(), Some(problem)),
        };
        Self {
            clients: Clients::new(&config.program, now.monotonic),
            config,
            credentials,
            problem,
            sessions: Sessions::default(),
            replaced: HashMap::new(),
            answers: Answers::default(),
            replays: Replays::default(),
            events: Events::default(),
            counters: Counters::default(),
            decoy: User::decoy(),
            last: SessionId { start, number: 0 },
        }
    }

    /// Remembers what the journal has, oldest first: which events are recorded, and which sessions were authenticated.
    pub fn restore(&mut self, records: &[Record]) {
        for record in records {
            self.events.insert(record, true);
            if let Some(id) = record.session.as_ref().and_then(|id| id.parse().ok()) {
                self.sessions.note_ended(id, record.client.clone());
            }
        }
    }

    /// Takes a new program, and what its secrets file has. Sessions whose client is no longer in it end.
    pub fn reconfigure(
        &mut self,
        config: RealmConfig,
        credentials: Result<Credentials, SecretsError>,
        now: Now,
    ) -> Vec<Unbind> {
        self.clients = Clients::new(&config.program, now.monotonic);
        self.config = config;
        self.take_secrets(credentials)
    }

    /// Takes what its secrets file has. Sessions whose credential or client is no longer what it was end. If the file can't
    /// be read, the secrets that were read before go on to serve, and the realm says so.
    pub fn take_secrets(&mut self, credentials: Result<Credentials, SecretsError>) -> Vec<Unbind> {
        let former = match credentials {
            Ok(credentials) => {
                self.problem = None;
                Some(std::mem::replace(&mut self.credentials, credentials))
            }
            Err(problem) => {
                self.problem = Some(problem);
                None
            }
        };
        let holds = |entry: &Entry| {
            let grant = &entry.grant;
            let of_client = self.clients.names().any(|name| *name == grant.client)
                && self.credentials.secret(&grant.client).is_some();
            let of_user = former.as_ref().is_none_or(|former| {
                let (old, new) = (former.user(&grant.identity), self.credentials.user(&grant.identity));
                old.zip(new).is_some_and(|(old, new)| new.password == old.password && new.fits(grant))
            });
            of_client && of_user
        };
        let all = self.sessions.iter().chain(self.replaced.values());
        let revoked: Vec<SessionId> = all.filter(|entry| !holds(entry)).map(|entry| entry.grant.session).collect();
        revoked.into_iter().filter_map(|id| self.end(id, EndCause::Revoked)).collect()
    }

    /// Decides about a datagram.
    pub fn handle(&mut self, now: Now, service: Service, from: SocketAddr, datagram: &[u8]) -> Outcome {
        self.try_handle(now, service, from, datagram).unwrap_or_else(|reason| {
            self.counters.drop(reason);
            Outcome::Dropped(reason)
        })
    }

    /// The dataplane has bound the endpoint, or has not.
    pub fn bound(&mut self, now: Now, pending: PendingBind, result: Result<(), BindRefused>) -> Completion {
        let PendingBind { key, grant, accept, mut reject } = pending;
        let previous = self.replaced.remove(&grant.session);
        let entry = self.sessions.by_id_mut(grant.session);
        let (why, unbind) = match (result, entry) {
            (Ok(()), Some(entry)) => {
                entry.bound = true;
                if previous.is_some() {
                    self.counters.add(Tally::SessionReplaced);
                }
                self.counters.add(Tally::Accepted);
                return Completion { unbind: Vec::new(), answer: self.seal(now, key, accept, &grant.client) };
            }
            (Err(refused), Some(_)) if refused != BindRefused::TimedOut => {
                self.sessions.remove(grant.session);
                // The dataplane kept the old binding.
                if let Some(previous) = previous {
                    self.sessions.insert(previous);
                }
                (refused.to_string(), Vec::new())
            }
            // Whether the new binding, the old one or none is there, nobody knows: so none may be. If the session ended
            // meanwhile, the dataplane may have bound it after it was told to unbind it.
            (_, entry) => {
                let why = if entry.is_some() { BindRefused::TimedOut.to_string() } else { "it has ended".to_owned() };
                self.sessions.remove(grant.session);
                let both = previous.iter().map(|entry| &entry.grant).chain([&grant]);
                (why, both.map(|grant| grant.unbind(EndCause::BindUnknown)).collect())
            }
        };
        let rejection = Rejection::new(RejectReason::BindRefused, format!("not admitted: {why}"));
        let answer = rejection.write(&mut reject).ok().and_then(|()| self.seal(now, key, reject, &grant.client));
        self.counters.reject(RejectReason::BindRefused);
        Completion { unbind, answer }
    }

    /// Ends the sessions whose time has passed.
    pub fn on_time(&mut self, now: Now) -> Vec<Unbind> {
        let mut unbind = Vec::new();
        while let Some(id) = self.sessions.overdue(now.monotonic) {
            unbind.extend(self.end(id, EndCause::Timeout));
        }
        unbind
    }

    /// When [`Realm::on_time`] has something to do next.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.sessions.next_deadline()
    }

    /// Ends every session.
    pub fn stop(&mut self) -> Vec<Unbind> {
        let all = self.sessions.iter().chain(self.replaced.values());
        let all: Vec<SessionId> = all.map(|entry| entry.grant.session).collect();
        all.into_iter().filter_map(|id| self.end(id, EndCause::RealmStop)).collect()
    }

    /// The sessions that the dataplane has confirmed, by MAC address.
    pub fn sessions(&self) -> Vec<Session> {
        self.sessions.list()
    }

    /// How many endpoints are authenticated or being bound.
    pub fn session_count(&self) -> usize {
        self.sessions.iter().count()
    }

    /// What happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Its configuration.
    pub const fn config(&self) -> &RealmConfig {
        &self.config
    }

    /// What keeps it from serving everybody whom its program names.
    pub fn missing(&self) -> Vec<NotReady> {
        let mut missing: Vec<NotReady> = self.problem.iter().cloned().map(NotReady::Secrets).collect();
        // If there is no file, that every client lacks its secret goes without saying.
        if missing.is_empty() {
            let without = self.clients.names().filter(|name| self.credentials.secret(name).is_none());
            missing.extend(without.cloned().map(NotReady::ClientWithoutSecret));
        }
        missing
    }

    fn try_handle(
        &mut self,
        now: Now,
        service: Service,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Outcome, DropReason> {
        let index = self.clients.find(from.ip().to_canonical()).ok_or(DropReason::UnknownClient)?;
        let client = self.clients.name(index).cloned().ok_or(DropReason::UnknownClient)?;
        let secret = self.credentials.secret(&client).ok_or(DropReason::ClientWithoutSecret)?;
        let packet = Packet::parse(datagram).map_err(|_| DropReason::Malformed)?;
        let request = verify_request(packet, secret).map_err(seal_reason)?;
        if !self.clients.take(index, now.monotonic) {
            return Err(DropReason::RateLimited);
        }
        match (packet.code(), service) {
            (Code::ACCESS_REQUEST, Service::Access) | (Code::ACCOUNTING_REQUEST, Service::Accounting) => {}
            (Code::STATUS_SERVER, _) => return self.status(service, &client, &request).map(Outcome::Answer),
            (Code::DISCONNECT_REQUEST, _) => return Err(DropReason::DisconnectLeftOut),
            (Code::COA_REQUEST, _) => return Err(DropReason::CoaLeftOut),
            _ => return Err(DropReason::WrongPort),
        }
        let key = RequestKey {
            from,
            code: packet.code(),
            identifier: packet.identifier(),
            authenticator: packet.authenticator(),
        };
        match self.answers.look(&key, now.monotonic) {
            Known::Answered(answer) => {
                self.counters.add(Tally::AnsweredAgain);
                Ok(Outcome::Answer(answer))
            }
            Known::InProgress => Err(DropReason::DuplicateInProgress),
            Known::No if service == Service::Access && self.replays.knows(key.authenticator) => {
                Err(DropReason::RequestReplayed)
            }
            Known::No if service == Service::Access => self.access(now, key, &client, &request),
            Known::No => self.accounting(now, key, &client, &request),
        }
    }

    /// RFC 5997: says that it is alive, on either port.
    fn status(&mut self, service: Service, client: &ClientName, request: &Verified<'_>) -> Result<Vec<u8>, DropReason> {
        let features = &self.config.program.features;
        if !features.has(model::profile::AaaFeature::StatusServer) {
            return Err(DropReason::StatusServerLeftOut);
        }
        let code = match service {
            Service::Access => Code::ACCESS_ACCEPT,
            Service::Accounting if features.has(model::profile::AaaFeature::Accounting) => Code::ACCOUNTING_RESPONSE,
            Service::Accounting => return Err(DropReason::AccountingLeftOut),
        };
        let secret = self.credentials.secret(client).ok_or(DropReason::ClientWithoutSecret)?;
        self.counters.add(Tally::StatusAnswered);
        Ok(Answer::to(request, code).seal(secret))
    }

    /// Seals an answer and keeps it for the request's return. None if the client's secret has gone in the meantime.
    fn seal(&mut self, now: Now, key: RequestKey, answer: Answer, client: &ClientName) -> Option<Vec<u8>> {
        let Some(secret) = self.credentials.secret(client) else {
            self.answers.abandon(&key);
            return None;
        };
        let octets = answer.seal(secret);
        if self.answers.give(key, octets.clone(), now.monotonic) {
            self.counters.add(Tally::AnswerEvicted);
        }
        Some(octets)
    }

    fn end(&mut self, id: SessionId, cause: EndCause) -> Option<Unbind> {
        let mut replaced = self.replaced.extract_if(|_, entry| entry.grant.session == id).map(|(_, entry)| entry);
        let grant = self.sessions.remove(id).or_else(|| replaced.next())?.grant;
        drop(replaced);
        match cause {
            EndCause::Timeout => self.counters.add(Tally::SessionTimedOut),
            EndCause::ClientStop | EndCause::NasRestart => self.counters.add(Tally::SessionStopped),
            EndCause::Revoked => self.counters.add(Tally::SessionRevoked),
            EndCause::BindUnknown | EndCause::RealmStop => {}
        }
        Some(grant.unbind(cause))
    }
}

fn seal_reason(error: IntegrityError) -> DropReason {
    match error {
        IntegrityError::MissingMessageAuthenticator => DropReason::MessageAuthenticatorMissing,
        IntegrityError::RepeatedMessageAuthenticator => DropReason::MessageAuthenticatorRepeated,
        IntegrityError::BadMessageAuthenticator => DropReason::MessageAuthenticatorWrong,
        IntegrityError::BadRequestAuthenticator => DropReason::RequestAuthenticatorWrong,
        // The last two are found in answers only.
        IntegrityError::NotARequest(_)
        | IntegrityError::BadResponseAuthenticator
        | IntegrityError::ForeignIdentifier => DropReason::NotARequest,
    }
}

impl User {
    /// A user whom nobody is: every comparison with its password is thrown away.
    fn decoy() -> Self {
        // 16 octets, so that neither constructor nor comparison has anything special to do.
        let password = Password::new(&[0x2a; 16]).unwrap_or_else(|_| unreachable!("16 octets are a password"));
        Self { password, mac: None, address: None, address6: None, sessions_max: 0 }
    }

    /// Would the credential give what the session was granted?
    fn fits(&self, grant: &Grant) -> bool {
        self.mac.is_none_or(|mac| mac == grant.mac)
            && self.address.is_none_or(|address| Some(address) == grant.address)
            && self.address6.is_none_or(|address| Some(address) == grant.address6)
    }
}

#[cfg(test)]
mod tests;
