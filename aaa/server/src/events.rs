//! Which accounting events are recorded already, so that one that is reported again is confirmed and not recorded twice.

use std::collections::{HashMap, VecDeque};

use model::ClientName;

use crate::grant::NasId;
use crate::record::{AccountingEvent, Fingerprint, Record};

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    New,
    /// It is being written.
    InProgress,
    /// It is on the disk.
    Recorded,
}

#[derive(Debug)]
struct Seen {
    client: ClientName,
    nas: NasId,
    event: AccountingEvent,
    event_seconds: u64,
    durable: bool,
    /// Which of the places in the order is this one's.
    turn: u64,
}

/// A NAS says that it has restarted or is about to stop, and that is being written.
#[derive(Debug)]
struct Restart {
    fingerprint: Fingerprint,
    client: ClientName,
    nas: NasId,
}

/// Bounded: the oldest events are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Events {
    seen: HashMap<Fingerprint, Seen>,
    order: VecDeque<(u64, Fingerprint)>,
    /// As many as there are requests in work, at most.
    restarting: Vec<Restart>,
    turns: u64,
}

impl Events {
    /// Is it known? A report of the NAS itself may say the same after each restart; it is known only if it happened at the
    /// same time, too.
    pub(crate) fn look(&self, record: &Record) -> Event {
        // While it is being written that the NAS has restarted, nobody knows what its names mean.
        if !record.event.is_of_nas() && self.restarting.iter().any(|restart| restart.covers(record)) {
            return Event::InProgress;
        }
        match self.seen.get(&record.fingerprint) {
            Some(seen) if record.event.is_of_nas() && !same_moment(seen.event_seconds, record.event_seconds) => {
                Event::New
            }
            Some(seen) if seen.durable => Event::Recorded,
            Some(_) => Event::InProgress,
            None => Event::New,
        }
    }

    /// It is being written, or was read from the disk.
    pub(crate) fn insert(&mut self, record: &Record, durable: bool) {
        if record.event.is_of_nas() {
            let restart = Restart { fingerprint: record.fingerprint, client: record.client.clone(), nas: record.nas() };
            if durable { self.restarted(&restart) } else { self.restarting.push(restart) }
        }
        self.turns += 1;
        let seen = Seen {
            client: record.client.clone(),
            nas: record.nas(),
            event: record.event,
            event_seconds: record.event_seconds,
            durable,
            turn: self.turns,
        };
        self.seen.insert(record.fingerprint, seen);
        self.order.push_back((self.turns, record.fingerprint));
        while self.order.len() > EVENTS_MAX {
            if let Some((turn, fingerprint)) = self.order.pop_front()
                && self.seen.get(&fingerprint).is_some_and(|seen| seen.turn == turn)
            {
                self.seen.remove(&fingerprint);
            }
        }
    }

    /// It is on the disk.
    pub(crate) fn confirm(&mut self, fingerprint: Fingerprint) {
        if let Some(seen) = self.seen.get_mut(&fingerprint) {
            seen.durable = true;
        }
        for restart in self.written(fingerprint) {
            self.restarted(&restart);
        }
    }

    /// It could not be written.
    pub(crate) fn forget(&mut self, fingerprint: Fingerprint) {
        self.seen.remove(&fingerprint);
        drop(self.written(fingerprint));
    }

    fn written(&mut self, fingerprint: Fingerprint) -> Vec<Restart> {
        self.restarting.extract_if(.., |restart| restart.fingerprint == fingerprint).collect()
    }

    /// A NAS has forgotten its sessions and may use their names again.
    fn restarted(&mut self, restart: &Restart) {
        self.seen.retain(|_, seen| {
            seen.event.is_of_nas() || seen.client != restart.client || !seen.nas.may_be(&restart.nas)
        });
    }
}

impl Restart {
    fn covers(&self, record: &Record) -> bool {
        self.client == record.client && record.nas().may_be(&self.nas)
    }
}

fn same_moment(a: u64, b: u64) -> bool {
    a.abs_diff(b) <= SAME_EVENT_SECONDS_MAX
}

/// How many events are remembered: of 2000 sessions that report every minute, those of half an hour.
pub(crate) const EVENTS_MAX: usize = 65_536;
/// How far apart the times of one event may be, as computed from two reports of it whose delay is in whole seconds.
const SAME_EVENT_SECONDS_MAX: u64 = 5;
