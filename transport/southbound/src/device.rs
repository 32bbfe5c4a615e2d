//! What a device is to us: it can be observed, it can be changed one object at a time, and it knows what it can't do.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use crate::diff::Change;
use crate::object::{Key, Object};
use crate::value::LinkName;

/// A device that takes part in a slice without being an edge of ours.
pub trait Device {
    /// What people call it.
    fn name(&self) -> &str;

    /// Everything on it that is ours, and of what is not, what ours can rest on.
    fn observe(&mut self) -> Result<Observed, ObserveError>;

    /// Can it do this at all, as far as that can be known without trying?
    fn supports(&self, object: &Object) -> Result<(), Unsupported>;

    /// Makes one change. Removing what has gone already is no error.
    fn apply(&mut self, change: &Change) -> Result<(), ApplyError>;
}

/// What a device has.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Of ours.
    pub ours: BTreeMap<Key, Found>,
    /// Of others, where that does as well as ours would: addresses, ports that are up, forwarding that is on.
    pub others: BTreeMap<Key, Object>,
}

/// One object as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Something that we could have wished for.
    As(Object),
    /// The same, but the device does something else instead, because of what isn't ours; in words.
    Unused(Object, String),
    /// It was ours, but has been changed into something that we never make; in words.
    Altered(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As(object) => object.fmt(f),
            Self::Unused(object, why) => write!(f, "{object}, which isn't used: {why}"),
            Self::Altered(how) => f.write_str(how),
        }
    }
}

/// An object that a device can't do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{device}: `{object}` can't be had: {why}")]
pub struct Unsupported {
    /// The device.
    pub device: String,
    /// The object.
    pub object: String,
    /// What is missing.
    pub why: &'static str,
}

/// A change that failed. Whether it had an effect is seen by observing.
#[derive(Debug, thiserror::Error)]
#[error("{device}: could not {change}")]
pub struct ApplyError {
    /// The device.
    pub device: String,
    /// What was tried.
    pub change: Box<Change>,
    /// Why not.
    #[source]
    pub cause: Cause,
}

/// Why a change failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The device can't do it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The object hangs on a link that the device doesn't have.
    #[error("there is no link `{0}`")]
    NoLink(LinkName),
    /// Something that isn't ours is where the object should be; it stays.
    #[error("something that isn't ours is in its place{}", in_its_words(.0))]
    Occupied(String),
    /// It is for who owns the device to say.
    #[error("it is for the owner of the box to do")]
    OfOwner,
    /// Removing it would take away something that isn't ours.
    #[error("`{0}`, which isn't ours, would go with it")]
    WouldTakeAway(String),
    /// The device refused.
    #[error("refused{}", in_its_words(.said))]
    Refused {
        /// In the device's own words; may be empty.
        said: String,
        /// As a system error.
        #[source]
        source: io::Error,
    },
}

/// A device that could not be observed.
#[derive(Debug, thiserror::Error)]
#[error("{device}: its {what} can't be read")]
pub struct ObserveError {
    /// The device.
    pub device: String,
    /// What was asked for.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

fn in_its_words(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" (the device says: {words})") }
}
