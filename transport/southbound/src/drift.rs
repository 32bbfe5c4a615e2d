//! What differs on a device, and since when.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::device::{Device, ObserveError};
use crate::diff::Difference;
use crate::object::{Desired, Key};
use crate::reconcile::{ReconcileError, Report, reconcile, verify};

/// A difference that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What differs.
    pub difference: Difference,
    /// When the object was first seen not to be as it should; it has not been so since.
    pub since: SystemTime,
}

/// The drift of one device. Time is given by the caller.
#[derive(Debug, Default, Clone)]
pub struct DriftLog(BTreeMap<Key, Drift>);

impl DriftLog {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Looks at the device; changes nothing.
    pub fn check(
        &mut self,
        device: &mut impl Device,
        desired: &Desired,
        now: SystemTime,
    ) -> Result<impl ExactSizeIterator<Item = &Drift>, ObserveError> {
        self.note(verify(device, desired)?, now);
        Ok(self.0.values())
    }

    /// Makes the device as it should be; what could not be repaired stays in the log.
    pub fn repair(
        &mut self,
        device: &mut impl Device,
        desired: &Desired,
        now: SystemTime,
    ) -> Result<Report, ReconcileError> {
        let report = reconcile(device, desired)?;
        self.note(report.differs.clone(), now);
        Ok(report)
    }

    /// What differed when it was last looked at, by key.
    pub fn list(&self) -> impl ExactSizeIterator<Item = &Drift> {
        self.0.values()
    }

    /// Notes what differs now, and nothing else any more.
    pub fn note(&mut self, differences: Vec<Difference>, now: SystemTime) {
        let before = std::mem::take(&mut self.0);
        self.0 = differences
            .into_iter()
            .map(|difference| {
                let key = difference.key();
                let since = before.get(&key).map_or(now, |drift| drift.since);
                (key, Drift { difference, since })
            })
            .collect();
    }
}
