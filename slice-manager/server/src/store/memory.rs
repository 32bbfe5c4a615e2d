//! An engine in memory, for tests of what stands on a store. It keeps the suite honest, too: two engines that have
//! nothing in common pass it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::{Entry, Revision, Store, StoreError, Transaction};

#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    last: u64,
    entries: BTreeMap<String, Entry>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.lock().entries.get(key).cloned())
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Entry)>, StoreError> {
        let memory = self.lock();
        let found = memory.entries.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, entry)| (key.clone(), entry.clone())).collect())
    }

    fn commit(&self, transaction: &Transaction) -> Result<Revision, StoreError> {
        let mut memory = self.lock();
        for (key, expected) in &transaction.checks {
            let found = memory.entries.get(key).map(|entry| entry.version);
            if found != *expected {
                return Err(StoreError::Conflict { key: key.clone(), expected: *expected, found });
            }
        }
        memory.last += 1;
        let version = Revision(memory.last);
        for key in &transaction.deletes {
            memory.entries.remove(key);
        }
        for (key, value) in &transaction.puts {
            memory.entries.insert(key.clone(), Entry { version, value: value.clone() });
        }
        Ok(version)
    }
}

#[test]
fn it_conforms() {
    super::conformance::run(MemoryStore::default);
}
