//! From what is to what should be: observe, change, observe again, until nothing differs.

use crate::device::{ApplyError, Device, ObserveError, Unsupported};
use crate::diff::{Change, Difference, diff, differences};
use crate::object::Desired;

/// What a reconciliation has come to; true of the device when it was last observed.
#[derive(Debug, Default)]
pub struct Report {
    /// How often changes were made.
    pub passes: usize,
    /// What was changed, in order.
    pub changed: Vec<Change>,
    /// What still differs.
    pub differs: Vec<Difference>,
    /// What failed in the last pass, and why; nothing, if nothing differs.
    pub failed: Vec<ApplyError>,
}

impl Report {
    /// Is everything as it should be?
    pub fn is_realised(&self) -> bool {
        self.differs.is_empty()
    }
}

/// Why nothing was reconciled, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The device can't do some of it; nothing was changed.
    #[error("{} of the objects can't be had; the first: {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Unsupported(Vec<Unsupported>),
    /// The device could not be observed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// Makes a device have exactly what it should have of ours.
///
/// One pass is the rule. Another is needed when something got lost with what it hung on, or a change failed because of
/// the order; a pass in which nothing could be changed is the last.
pub fn reconcile(device: &mut impl Device, desired: &Desired) -> Result<Report, ReconcileError> {
    let refused: Vec<Unsupported> = desired.objects().values().filter_map(|o| device.supports(o).err()).collect();
    if !refused.is_empty() {
        return Err(ReconcileError::Unsupported(refused));
    }
    let mut report = Report::default();
    loop {
        let observed = device.observe()?;
        report.differs = differences(desired, &observed);
        if report.differs.is_empty() {
            report.failed.clear();
            return Ok(report);
        }
        let done = report.changed.len();
        if report.passes == PASSES_MAX {
            return Ok(report);
        }
        report.passes += 1;
        report.failed.clear();
        for change in diff(desired, &observed) {
            match device.apply(&change) {
                Ok(()) => report.changed.push(change),
                Err(error) => report.failed.push(error),
            }
        }
        if report.changed.len() == done {
            // Nothing could be done; what failed may have had an effect all the same.
            report.differs = differences(desired, &device.observe()?);
            return Ok(report);
        }
    }
}

/// Reads a device back and compares; changes nothing.
pub fn verify(device: &mut impl Device, desired: &Desired) -> Result<Vec<Difference>, ObserveError> {
    Ok(differences(desired, &device.observe()?))
}

/// How often changes are made before a device is given up on.
pub const PASSES_MAX: usize = 4;
