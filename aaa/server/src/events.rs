//! Which accounting events are recorded already, so that one that is reported again is confirmed and not recorded twice.

use std::collections::{HashMap, VecDeque};

use model::ClientName;

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
    event: AccountingEvent,
    event_seconds: u64,
    durable: bool,
    /// Which of the places in the order is this one's.
    turn: u64,
}

/// Bounded: the oldest events are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Events {
    seen: HashMap<Fingerprint, Seen>,
    order: VecDeque<(u64, Fingerprint)>,
    turns: u64,
}

impl Events {
    /// Is it known? A report of the NAS itself says the same after each restart; it is known only if it happened at the
    /// same time, too.
    pub(crate) fn look(&self, record: &Record) -> Event {
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
            // The NAS has forgotten its sessions and may use their names again.
            self.seen.retain(|_, seen| seen.client != record.client || seen.event.is_of_nas());
        }
        self.turns += 1;
        let seen = Seen {
            client: record.client.clone(),
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
    }

    /// It could not be written.
    pub(crate) fn forget(&mut self, fingerprint: Fingerprint) {
        self.seen.remove(&fingerprint);
    }
}

fn same_moment(a: u64, b: u64) -> bool {
    a.abs_diff(b) <= SAME_EVENT_SECONDS_MAX
}

/// How many events are remembered: of 2000 sessions that report every minute, those of half an hour.
pub(crate) const EVENTS_MAX: usize = 65_536;
/// How far apart the times of one event may be, as computed from two reports of it whose delay is in whole seconds.
const SAME_EVENT_SECONDS_MAX: u64 = 5;
