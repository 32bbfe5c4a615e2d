//! Where the manager keeps what must not be forgotten: keys with versions, and transactions over several of them.
//!
//! The trait is what every engine can do alike, an embedded one and a replicated one: read one key, read the keys of a
//! prefix, and change several keys all or none, under the condition that others are as they were read. An engine answers
//! a commit only when it is durable. It knows nothing of what the values mean; `records` does.

mod embedded;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod kill;
#[cfg(test)]
pub(crate) mod memory;

use std::path::PathBuf;

pub use embedded::EmbeddedStore;

/// A store of the manager's records.
pub trait Store: Send + Sync + 'static {
    /// The value of a key, if it has one.
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Every key that starts with `prefix`, in ascending order of octets.
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Entry)>, StoreError>;

    /// Changes everything that the transaction says, or nothing. When it answers, the change survives a crash.
    fn commit(&self, transaction: &Transaction) -> Result<Revision, StoreError>;
}

/// Counts the transactions of a store; every commit has a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// A value, and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The commit that wrote it: the key's version.
    pub version: Revision,
    /// The value.
    pub value: Vec<u8>,
}

/// A change of several keys, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    checks: Vec<(String, Option<Revision>)>,
    puts: Vec<(String, Vec<u8>)>,
    deletes: Vec<String>,
}

impl Transaction {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on only if the key has this version, or, for `None`, is absent.
    #[must_use]
    pub fn check(mut self, key: impl Into<String>, version: Option<Revision>) -> Self {
        self.checks.push((key.into(), version));
        self
    }

    /// Writes a value.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: Vec<u8>) -> Self {
        self.puts.push((key.into(), value));
        self
    }

    /// Removes a key; one that is absent stays so.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.deletes.push(key.into());
        self
    }
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another change came first.
    #[error("`{key}` was changed by another: its version is {found:?}, not {expected:?}")]
    Conflict {
        /// The key that was checked.
        key: String,
        /// The version that was expected.
        expected: Option<Revision>,
        /// The version that it has.
        found: Option<Revision>,
    },
    /// Another process has it open.
    #[error("the store at {} is in use by another process; is a manager running?", path.display())]
    InUse {
        /// Where it lies.
        path: PathBuf,
    },
    /// It can't be opened: damaged, not to be read or written, or on a disk that is full.
    #[error("the store at {} can't be opened", path.display())]
    Open {
        /// Where it lies.
        path: PathBuf,
        /// What the engine says.
        source: sled::Error,
    },
    /// Reading or writing failed. A commit that failed so may be in the store or not.
    #[error("the store failed")]
    Engine(#[source] sled::Error),
    /// A value that no transaction of this build can have written.
    #[error("the value of `{0}` in the store is damaged")]
    Damaged(String),
}
