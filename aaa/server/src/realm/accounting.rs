//! Accounting requests: which event it is, whether it is known, whose session it is, and what ends with it.

use std::time::Duration;

use aaa_wire::{Answer, Code, Packet, Type, Verified};
use model::ClientName;
use model::profile::AaaFeature;

use super::{Completion, Outcome, PendingRecord, Realm};
use crate::answers::RequestKey;
use crate::config::Now;
use crate::events::Event;
use crate::grant::{EndCause, SessionId, Unbind};
use crate::reason::{DropReason, Tally};
use crate::record::{AccountingEvent, Record, Unrecordable};

impl Realm {
    pub(super) fn accounting(
        &mut self,
        now: Now,
        key: RequestKey,
        client: &ClientName,
        request: &Verified<'_>,
    ) -> Result<Outcome, DropReason> {
        if !self.config.program.features.has(AaaFeature::Accounting) {
            return Err(DropReason::AccountingLeftOut);
        }
        let packet = request.packet();
        let mut record = Record::read(packet, client, now.wall).map_err(|error| match error {
            Unrecordable::Status(_) => DropReason::AccountingStatusLeftOut,
            Unrecordable::Malformed(_) | Unrecordable::Missing(_) => DropReason::AccountingInvalid,
        })?;
        let answer = Answer::to(request, Code::ACCOUNTING_RESPONSE);
        let look = match self.events.look(&record) {
            // A NAS that starts anew says so with another authenticator.
            Event::New if record.event.is_of_nas() && self.replays.knows(key.authenticator) => Event::Recorded,
            look => look,
        };
        match look {
            Event::New => {}
            Event::InProgress => return Err(DropReason::DuplicateInProgress),
            Event::Recorded => {
                let answer = self.seal(now, key, answer, client).ok_or(DropReason::ClientWithoutSecret)?;
                self.counters.add(Tally::RecordedAgain);
                return Ok(Outcome::Answer(answer));
            }
        }
        if !self.answers.begin(key) {
            return Err(DropReason::TooManyPending);
        }
        if record.event.is_of_nas() {
            self.replays.note(key.authenticator);
        } else {
            let session = self.session_of(&record, packet);
            record.authenticated = session.is_some();
            record.session = session.map(|id| id.to_string());
        }
        self.events.insert(&record, false);
        Ok(Outcome::Record(Box::new(PendingRecord { key, record, answer })))
    }

    /// The record is on the disk, or could not be written.
    pub fn recorded(&mut self, now: Now, pending: PendingRecord, written: bool) -> Completion {
        if !written {
            self.not_recorded(&pending, DropReason::NotRecorded);
            return Completion::default();
        }
        let PendingRecord { key, record, answer } = pending;
        self.events.confirm(record.fingerprint);
        self.counters.add(Tally::Recorded);
        if !record.authenticated {
            self.counters.add(Tally::RecordedUnauthenticated);
        }
        let unbind = self.follow(now, &record);
        Completion { unbind, answer: self.seal(now, key, answer, &record.client) }
    }

    /// The record is not on the disk: no answer, so that the client reports it again.
    pub(crate) fn not_recorded(&mut self, pending: &PendingRecord, reason: DropReason) {
        self.events.forget(pending.record.fingerprint);
        self.answers.abandon(&pending.key);
        self.counters.drop(reason);
    }

    /// What a record means for the sessions.
    fn follow(&mut self, now: Now, record: &Record) -> Vec<Unbind> {
        let id = record.session.as_ref().and_then(|id| id.parse().ok());
        match record.event {
            AccountingEvent::Start | AccountingEvent::Interim => {
                if let Some(entry) = id.and_then(|id| self.sessions.by_id_mut(id)) {
                    entry.accounting.clone_from(&record.accounting_session);
                }
                Vec::new()
            }
            AccountingEvent::Stop => id.and_then(|id| self.end(id, EndCause::ClientStop)).into_iter().collect(),
            // Long ago: whatever sessions it had then, those that there are began later.
            AccountingEvent::On | AccountingEvent::Off if record.age(now.wall) > RESTART_AGE_MAX => Vec::new(),
            AccountingEvent::On | AccountingEvent::Off => {
                let nas = record.nas();
                let gone: Vec<SessionId> = self
                    .sessions
                    .iter()
                    .chain(self.replaced.values())
                    // One that is being bound was asked for after the NAS came up.
                    .filter(|entry| entry.bound && entry.grant.client == record.client && entry.grant.nas.may_be(&nas))
                    .map(|entry| entry.grant.session)
                    .collect();
                gone.into_iter().filter_map(|id| self.end(id, EndCause::NasRestart)).collect()
            }
        }
    }

    /// The session, authenticated here on request of the same client, of which a record speaks: the one in Class, or, from
    /// a client that does not send Class back, that of the same endpoint and user.
    fn session_of(&self, record: &Record, packet: &Packet<'_>) -> Option<SessionId> {
        if packet.has(Type::CLASS) {
            return packet
                .iter()
                .filter(|attribute| attribute.kind == Type::CLASS)
                .filter_map(|attribute| std::str::from_utf8(attribute.value).ok()?.parse().ok())
                .find(|id| {
                    let live = self.sessions.by_id(*id).is_some_and(|entry| entry.grant.client == record.client);
                    live || self.sessions.has_ended(*id, &record.client)
                });
        }
        let entry = self.sessions.get(record.mac?)?;
        let same_name = entry.accounting.is_none() || entry.accounting == record.accounting_session;
        let same = entry.grant.client == record.client
            && record.identity.as_ref() == Some(&entry.grant.identity)
            && same_name
            && entry.bound;
        same.then_some(entry.grant.session)
    }
}

/// How late a NAS may say that it has restarted; later it is recorded, and ends nothing.
const RESTART_AGE_MAX: Duration = Duration::from_hours(1);
