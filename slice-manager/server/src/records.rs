//! The manager's records in the store: what is declared, what was decided, and the operations.
//!
//! Each is a message of the API, so that a store can be read with the same descriptors as the wire. One more key says
//! which format the store has; a newer one than this build knows is refused, never guessed at.
//!
//! ```text
//! format                      "1"
//! intent/<resource id>        microslice.v1.Resource
//! target                      microslice.v1.Plan
//! profiles                    32 octets: which profiles the target was made with
//! operation/<16 hex digits>   microslice.v1.Operation
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{ConvertError, v1};
use model::Digest;
use model::operation::{Operation, OperationId};
use model::plan::Plan;
use model::profile::Catalog;
use model::resource::{Resource, ResourceId};
use plan::Intents;
use prost::Message;

use crate::store::{Entry, Revision, Store, StoreError, Transaction};

/// Everything that is in a store.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) intents: Intents,
    pub(crate) plan: Plan,
    /// The version of the target, by which a later one is compared and set.
    pub(crate) target: Option<Revision>,
    /// The profiles that the plan was made with.
    pub(crate) profiles: Option<Digest>,
    pub(crate) operations: BTreeMap<OperationId, Arc<Operation>>,
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was written by a newer build.
    #[error("the store has format {found}; this build reads formats up to {FORMAT}; run the newer slice-manager")]
    NewerFormat {
        /// The format that it has.
        found: u32,
    },
    /// The format is no number, or there are records and no format.
    #[error("the store does not say which format it has; is it a store of slice-manager?")]
    NoFormat,
    /// A record is no message.
    #[error("the record `{key}` in the store is damaged")]
    Decode {
        /// Its key.
        key: String,
        /// What the decoder says.
        source: prost::DecodeError,
    },
    /// A record is a message that means nothing.
    #[error("the record `{key}` in the store is ill-formed")]
    Convert {
        /// Its key.
        key: String,
        /// Which field, and why.
        source: ConvertError,
    },
    /// A record that stands under a key that is not its own, or under one that nothing is kept under.
    #[error("the record `{key}` does not belong there")]
    Misplaced {
        /// The key.
        key: String,
    },
}

impl Records {
    /// Reads a store; one that is empty is given its format first.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, RecordError> {
        check_format(store)?;
        let mut records = Self::default();
        for (key, entry) in store.scan("")? {
            match key.split_once('/') {
                None if key == FORMAT_KEY => {}
                None if key == PROFILES_KEY => {
                    let octets = <[u8; 32]>::try_from(entry.value).map_err(|_| StoreError::Damaged(key))?;
                    records.profiles = Some(Digest::from_bytes(octets));
                }
                None if key == TARGET_KEY => {
                    records.plan = read::<v1::Plan, _>(&key, &entry)?;
                    records.target = Some(entry.version);
                }
                Some((INTENT, id)) => {
                    let resource: Resource = read::<v1::Resource, _>(&key, &entry)?;
                    if resource.id().to_string() != id {
                        return Err(RecordError::Misplaced { key });
                    }
                    records.intents.apply(resource);
                }
                Some((OPERATION, _)) => {
                    let operation: Operation = read::<v1::Operation, _>(&key, &entry)?;
                    if operation_key(operation.id) != key {
                        return Err(RecordError::Misplaced { key });
                    }
                    records.operations.insert(operation.id, Arc::new(operation));
                }
                _ => return Err(RecordError::Misplaced { key }),
            }
        }
        Ok(records)
    }
}

fn check_format(store: &dyn Store) -> Result<(), RecordError> {
    match store.get(FORMAT_KEY)? {
        Some(entry) => {
            let found = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
            match found.ok_or(RecordError::NoFormat)? {
                FORMAT => Ok(()),
                found if found > FORMAT => Err(RecordError::NewerFormat { found }),
                _ => Err(RecordError::NoFormat),
            }
        }
        None if store.scan("")?.is_empty() => {
            let value = FORMAT.to_string().into_bytes();
            store.commit(&Transaction::new().check(FORMAT_KEY, None).put(FORMAT_KEY, value))?;
            Ok(())
        }
        None => Err(RecordError::NoFormat),
    }
}

fn read<M, T>(key: &str, entry: &Entry) -> Result<T, RecordError>
where
    M: Message + Default,
    T: TryFrom<M, Error = ConvertError>,
{
    let message =
        M::decode(entry.value.as_slice()).map_err(|source| RecordError::Decode { key: key.to_owned(), source })?;
    T::try_from(message).map_err(|source| RecordError::Convert { key: key.to_owned(), source })
}

/// Adds a resource as it is declared now; `None` if it is declared no more.
pub(crate) fn put_intent(transaction: Transaction, id: &ResourceId, resource: Option<&Resource>) -> Transaction {
    let key = format!("{INTENT}/{id}");
    match resource {
        Some(resource) => transaction.put(key, v1::Resource::from(resource).encode_to_vec()),
        None => transaction.delete(key),
    }
}

/// Adds the target, on the condition that it is still the one that the decision was made from.
pub(crate) fn put_target(transaction: Transaction, plan: &Plan, parent: Option<Revision>) -> Transaction {
    transaction.check(TARGET_KEY, parent).put(TARGET_KEY, v1::Plan::from(plan).encode_to_vec())
}

/// By what profiles are known to be the same.
pub(crate) fn profiles_digest(catalog: &Catalog) -> Digest {
    Digest::of(&format!("{catalog:?}"))
}

/// Adds which profiles the target was made with.
pub(crate) fn put_profiles(transaction: Transaction, profiles: Digest) -> Transaction {
    transaction.put(PROFILES_KEY, profiles.as_bytes().to_vec())
}

/// Adds an operation.
pub(crate) fn put_operation(transaction: Transaction, operation: &Operation) -> Transaction {
    transaction.put(operation_key(operation.id), v1::Operation::from(operation).encode_to_vec())
}

/// Adds a new operation, on the condition that its number is free.
pub(crate) fn add_operation(transaction: Transaction, operation: &Operation) -> Transaction {
    put_operation(transaction.check(operation_key(operation.id), None), operation)
}

/// Forgets an operation.
pub(crate) fn delete_operation(transaction: Transaction, id: OperationId) -> Transaction {
    transaction.delete(operation_key(id))
}

fn operation_key(id: OperationId) -> String {
    format!("{OPERATION}/{:016x}", id.0)
}

/// The format that this build writes.
const FORMAT: u32 = 1;
const FORMAT_KEY: &str = "format";
const TARGET_KEY: &str = "target";
const PROFILES_KEY: &str = "profiles";
const INTENT: &str = "intent";
const OPERATION: &str = "operation";
