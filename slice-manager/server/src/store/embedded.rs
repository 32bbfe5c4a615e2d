//! The embedded engine: sled, one tree, flushed before a commit is answered.
//!
//! Each value is stored behind the eight octets of its version. One more key, outside the names that a caller can give,
//! counts the revisions. sled replays a transaction whole or not at all (its log pins them), so there is no log here.

use std::path::Path;
use std::time::Duration;

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};

use super::{Entry, Revision, Store, StoreError, Transaction};

/// A store in a folder of this machine. One process at a time can have it open.
pub struct EmbeddedStore {
    db: sled::Db,
}

impl EmbeddedStore {
    /// Opens the store in `path`, or makes one there. Waits up to a second for another that is closing it; blocks.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_OCTETS)
            .mode(sled::Mode::LowSpace)
            // Nothing waits for a timer: each commit flushes.
            .flush_every_ms(None);
        let mut attempt = 1;
        let db = loop {
            match config.open() {
                Ok(db) => break db,
                // One who has just ended, or was killed, may hold the lock a moment longer.
                Err(error) if is_locked(&error) && attempt < LOCK_ATTEMPTS_MAX => attempt += 1,
                Err(error) if is_locked(&error) => return Err(StoreError::InUse { path: path.to_owned() }),
                Err(source) => return Err(StoreError::Open { path: path.to_owned(), source }),
            }
            std::thread::sleep(Duration::from_millis(LOCK_PAUSE_MILLISECONDS));
        };
        Ok(Self { db })
    }
}

impl Store for EmbeddedStore {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.db.get(key).map_err(StoreError::Engine)?.map(|stored| read(key, &stored)).transpose()
    }

    fn scan(&self, prefix: &str) -> Result<Vec<(String, Entry)>, StoreError> {
        let named =
            self.db.scan_prefix(prefix).filter(|item| !matches!(item, Ok((key, _)) if key.as_ref() == REVISION));
        let read = named.map(|item| {
            let (key, stored) = item.map_err(StoreError::Engine)?;
            let key = String::from_utf8(key.to_vec())
                .map_err(|error| StoreError::Damaged(String::from_utf8_lossy(error.as_bytes()).into_owned()))?;
            let entry = read(&key, &stored)?;
            Ok((key, entry))
        });
        read.collect()
    }

    fn commit(&self, transaction: &Transaction) -> Result<Revision, StoreError> {
        let revision = self.db.transaction(|tree| change(tree, transaction)).map_err(|error| match error {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => StoreError::Engine(error),
        })?;
        self.db.flush().map_err(StoreError::Engine)?;
        Ok(revision)
    }
}

/// The body of a commit; sled runs it again if another thread came between.
fn change(
    tree: &TransactionalTree,
    transaction: &Transaction,
) -> Result<Revision, ConflictableTransactionError<StoreError>> {
    let abort = ConflictableTransactionError::Abort;
    for (key, expected) in &transaction.checks {
        let found = tree.get(key)?.map(|stored| read(key, &stored)).transpose().map_err(abort)?.map(|e| e.version);
        if found != *expected {
            return Err(abort(StoreError::Conflict { key: key.clone(), expected: *expected, found }));
        }
    }
    let damaged = || abort(StoreError::Damaged("revision".to_owned()));
    let last = match tree.get(REVISION)? {
        Some(stored) => u64::from_be_bytes(stored.as_ref().try_into().map_err(|_| damaged())?),
        None => 0,
    };
    let revision = Revision(last.checked_add(1).ok_or_else(damaged)?);
    tree.insert(REVISION, &revision.0.to_be_bytes())?;
    for key in &transaction.deletes {
        tree.remove(key.as_str())?;
    }
    for (key, value) in &transaction.puts {
        let mut stored = Vec::with_capacity(VERSION_OCTETS + value.len());
        stored.extend_from_slice(&revision.0.to_be_bytes());
        stored.extend_from_slice(value);
        tree.insert(key.as_str(), stored)?;
    }
    Ok(revision)
}

/// sled has no variant for this; its text is all there is to tell it by.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn read(key: &str, stored: &[u8]) -> Result<Entry, StoreError> {
    let (version, value) =
        stored.split_first_chunk::<VERSION_OCTETS>().ok_or_else(|| StoreError::Damaged(key.into()))?;
    Ok(Entry { version: Revision(u64::from_be_bytes(*version)), value: value.to_vec() })
}

/// No text starts with this octet, so no caller's key is it.
const REVISION: &[u8] = &[0xff];
const VERSION_OCTETS: usize = 8;
const CACHE_OCTETS: u64 = 64 << 20;
/// How often it is tried to open a store that another holds, and how long between.
const LOCK_ATTEMPTS_MAX: u32 = 20;
const LOCK_PAUSE_MILLISECONDS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let mut folders = 0;
        crate::store::conformance::run(|| {
            folders += 1;
            EmbeddedStore::open(&folder.path().join(folders.to_string())).unwrap()
        });
    }

    #[test]
    fn what_was_committed_is_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let before = {
            let store = EmbeddedStore::open(folder.path()).unwrap();
            store.commit(&Transaction::new().put("a", vec![1]).put("b", vec![2])).unwrap();
            store.commit(&Transaction::new().delete("b").put("c", vec![3])).unwrap();
            store.scan("").unwrap()
        };
        let store = EmbeddedStore::open(folder.path()).unwrap();
        assert_eq!(store.scan("").unwrap(), before);
        assert!(store.commit(&Transaction::new()).unwrap() > before.iter().map(|(_, e)| e.version).max().unwrap());
    }

    #[test]
    fn a_store_that_another_has_open_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let _held = EmbeddedStore::open(folder.path()).unwrap();
        let error = EmbeddedStore::open(folder.path()).err().unwrap();
        assert!(matches!(&error, StoreError::InUse { path } if path == folder.path()));
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_store_that_is_being_closed_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let held = EmbeddedStore::open(folder.path()).unwrap();
        assert!(is_locked(&sled::Config::new().path(folder.path()).open().unwrap_err()), "sled says it otherwise now");
        let path = folder.path().to_owned();
        let opening = std::thread::spawn(move || EmbeddedStore::open(&path).map(drop));
        drop(held);
        opening.join().unwrap().unwrap();
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "not a store").unwrap();
        let error = EmbeddedStore::open(&path).err().unwrap();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn a_value_without_its_version_is_damage_that_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        store.db.insert("target", &[1, 2, 3][..]).unwrap();
        assert!(matches!(store.get("target"), Err(StoreError::Damaged(key)) if key == "target"));
        assert!(matches!(store.scan("t"), Err(StoreError::Damaged(key)) if key == "target"));
    }
}
