//! The sessions of a realm: one for each MAC address, bounded, found by name, by user and by address.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use model::{ClientName, Mac};

use crate::grant::{Grant, Session, SessionId};

/// A session and what is known of it beside its grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) grant: Grant,
    /// When it ends by itself.
    pub(crate) deadline: Duration,
    /// False while the dataplane has not confirmed it.
    pub(crate) bound: bool,
    /// The name that its client gave it in accounting.
    pub(crate) accounting: Option<String>,
}

/// Every index says the same as the sessions do.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_mac: HashMap<Mac, Entry>,
    by_id: HashMap<SessionId, Mac>,
    by_address: HashMap<IpAddr, Mac>,
    by_identity: HashMap<Box<str>, u32>,
    deadlines: BTreeSet<(Duration, Mac)>,
    /// Sessions that have ended: their accounting may still come.
    ended: HashMap<SessionId, ClientName>,
    ended_order: VecDeque<SessionId>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.by_mac.len()
    }

    pub(crate) fn get(&self, mac: Mac) -> Option<&Entry> {
        self.by_mac.get(&mac)
    }

    pub(crate) fn by_id(&self, id: SessionId) -> Option<&Entry> {
        self.by_id.get(&id).and_then(|mac| self.by_mac.get(mac))
    }

    pub(crate) fn by_id_mut(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.by_id.get(&id).and_then(|mac| self.by_mac.get_mut(mac))
    }

    /// The endpoint to which an address is bound.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<Mac> {
        self.by_address.get(&address).copied()
    }

    /// How many sessions a user has.
    pub(crate) fn count_of(&self, identity: &str) -> u32 {
        self.by_identity.get(identity).copied().unwrap_or(0)
    }

    /// Was there such a session of that client?
    pub(crate) fn has_ended(&self, id: SessionId, client: &ClientName) -> bool {
        self.ended.get(&id) == Some(client)
    }

    /// Adds a session; the one of the same MAC address gives way and is returned.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let mac = entry.grant.mac;
        let previous = self.take(mac);
        self.by_id.insert(entry.grant.session, mac);
        self.by_address.extend(entry.grant.addresses().map(|address| (address, mac)));
        *self.by_identity.entry(entry.grant.identity.as_str().into()).or_default() += 1;
        self.deadlines.insert((entry.deadline, mac));
        self.by_mac.insert(mac, entry);
        if let Some(previous) = &previous {
            self.note_ended(previous.grant.session, previous.grant.client.clone());
        }
        previous
    }

    /// Ends a session.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Entry> {
        let mac = *self.by_id.get(&id)?;
        let entry = self.take(mac)?;
        self.note_ended(id, entry.grant.client.clone());
        Some(entry)
    }

    /// Keeps the name of a session that was authenticated, for accounting that is still to come.
    pub(crate) fn note_ended(&mut self, id: SessionId, client: ClientName) {
        if self.ended.insert(id, client).is_none() {
            self.ended_order.push_back(id);
        }
        if self.ended_order.len() > ENDED_SESSIONS_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// The first moment at which a session ends by itself.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A session whose time has passed.
    pub(crate) fn overdue(&self, now: Duration) -> Option<SessionId> {
        let (_, mac) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.by_mac.get(mac).map(|entry| entry.grant.session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_mac.values()
    }

    /// Those that the dataplane has confirmed, by MAC address.
    pub(crate) fn list(&self) -> Vec<Session> {
        let mut list: Vec<Session> = self
            .iter()
            .filter(|entry| entry.bound)
            .map(|entry| Session { grant: entry.grant.clone(), expires: entry.grant.since + entry.grant.lifetime })
            .collect();
        list.sort_by_key(|session| session.grant.mac);
        list
    }

    fn take(&mut self, mac: Mac) -> Option<Entry> {
        let entry = self.by_mac.remove(&mac)?;
        self.by_id.remove(&entry.grant.session);
        for address in entry.grant.addresses() {
            // A session that came back may have taken it.
            if self.holder(address) == Some(mac) {
                self.by_address.remove(&address);
            }
        }
        if let Some(count) = self.by_identity.get_mut(entry.grant.identity.as_str()) {
            *count -= 1;
            if *count == 0 {
                self.by_identity.remove(entry.grant.identity.as_str());
            }
        }
        self.deadlines.remove(&(entry.deadline, mac));
        Some(entry)
    }
}

/// How many ended sessions are remembered.
pub(crate) const ENDED_SESSIONS_MAX: usize = 8192;

#[cfg(test)]
mod tests;
