//! Keeps a device as its program says, and knows what is not so. It blocks, and is told the time.
//!
//! The order of an apply: say it in objects, ask whether the device can have them, keep the program on disk, change the
//! device, read it back. Until the program is kept, an error leaves everything as it was; after that, whatever happens,
//! the next start goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use api::{ConvertError, v1};
use model::program::Program;
use model::{Generation, PortName};
use transport_southbound::{
    Desired, Device, DriftLog, Key, ObserveError, Observed, ReconcileError, RenderError, core_node, differences,
    reconcile,
};

use super::tell;
use crate::programs::{NotAdmitted, Programs};
use crate::state::StateError;
use crate::told::in_full;

/// A device and the program that it is to do.
#[derive(Debug)]
pub(super) struct Keeper<D> {
    device: D,
    programs: Programs,
    /// What the device should have; nothing before the first program.
    desired: Desired,
    log: DriftLog,
    /// Why something could not be put right when it was last tried.
    failed: BTreeMap<Key, String>,
    /// Why the device was not read when it was last looked at.
    unread: Option<Unread>,
    /// Its ports that were up then.
    up: Option<BTreeSet<Key>>,
    /// Was the device read back since the program was taken?
    is_read: bool,
    /// Has nothing differed since the program was taken? Until then it is tried again.
    is_settled: bool,
    /// Looks until that.
    patience: u32,
}

/// A device that can't be read.
#[derive(Debug)]
struct Unread {
    /// Why it could not be read the last time.
    why: String,
    /// Since when not.
    since: SystemTime,
    /// How often in a row.
    times: u32,
}

/// Why a program is not done.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Device(#[from] ReconcileError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl<D: Device> Keeper<D> {
    pub(super) const fn new(device: D, programs: Programs) -> Self {
        Self {
            device,
            programs,
            desired: Desired::EMPTY,
            log: DriftLog::new(),
            failed: BTreeMap::new(),
            unread: None,
            up: None,
            is_read: false,
            is_settled: false,
            patience: 0,
        }
    }

    /// Starts from the program on disk. Without one the device is left as it is.
    pub(super) fn resume(&mut self, now: SystemTime) {
        let (program, passed_over) = self.programs.load();
        if let Some(program) = program {
            let generation = program.generation;
            let result = match self.programs.admit(&program) {
                Ok(_) => self.take(program, false, now),
                Err(error) => Err(error.into()),
            };
            self.programs.came_of(generation, result);
        }
        for file in &passed_over {
            self.programs.refuse(Generation::NONE, file);
        }
    }

    /// Does a program. The one that is done already is done anew, which repairs what differs.
    pub(super) fn apply(&mut self, program: Program, now: SystemTime) {
        let generation = program.generation;
        let result = match self.programs.admit(&program) {
            Ok(is_new) => self.take(program, is_new, now),
            Err(error) => Err(error.into()),
        };
        self.programs.came_of(generation, result);
    }

    /// Notes a program that could not even be read.
    pub(super) fn refuse(&mut self, generation: Generation, why: &ConvertError) {
        self.programs.refuse(generation, why);
    }

    fn take(&mut self, program: Program, keep: bool, now: SystemTime) -> Result<(), NotDone> {
        let desired = core_node(self.programs.name().as_str(), &program.content)?;
        let refused: Vec<_> =
            desired.objects().values().filter_map(|object| self.device.supports(object).err()).collect();
        if !refused.is_empty() {
            return Err(ReconcileError::Unsupported(refused).into());
        }
        if keep {
            self.programs.keep(&program)?;
        }
        self.desired = desired;
        self.programs.runs(program);
        (self.is_read, self.is_settled) = (false, false);
        self.reconcile(now);
        Ok(())
    }

    /// Changes the device until nothing differs, or nothing more can be done.
    fn reconcile(&mut self, now: SystemTime) {
        self.patience = PATIENCE_LOOKS;
        match reconcile(&mut self.device, &self.desired) {
            Ok(report) => {
                for change in &report.changed {
                    tracing::debug!(%change, "changed");
                }
                let failed = report.failed.iter().map(|failed| (failed.change.key(), in_full(&failed.cause)));
                self.failed = failed.collect();
                for failed in &report.failed {
                    tracing::warn!(reason = in_full(failed), "can't be had");
                }
                self.is_settled |= report.is_realised();
                self.log.note(report.differs, now);
                (self.unread, self.is_read) = (None, true);
            }
            Err(error) => self.not_read(&error, now),
        }
    }

    /// Looks at the device. What somebody has changed is noted and left; what could not be done yet, or has gone with a
    /// port that is up again, is done.
    pub(super) fn look(&mut self, now: SystemTime) {
        if self.programs.running().is_none() {
            return;
        }
        let Ok(observed) = self.observe(now) else { return };
        let is_whole = self.log.list().len() == 0;
        let wanted = self.desired.objects();
        let is_port = |key: &Key| matches!(key, Key::LinkUp(_)) && wanted.contains_key(key);
        let up: BTreeSet<Key> = observed.others.into_keys().filter(is_port).collect();
        let is_back = self.up.as_ref().is_some_and(|before| !up.is_subset(before));
        self.up = Some(up);
        self.patience = self.patience.saturating_sub(1);
        if !is_whole && (is_back || !self.is_settled && self.patience == 0) {
            self.reconcile(now);
        }
    }

    fn observe(&mut self, now: SystemTime) -> Result<Observed, ObserveError> {
        let observed = match self.device.observe() {
            Ok(observed) => observed,
            Err(error) => {
                self.not_read(&error, now);
                return Err(error);
            }
        };
        let before = self.log.list().len();
        let differs = differences(&self.desired, &observed);
        for difference in differs.iter().filter(|_| before == 0) {
            tracing::warn!(%difference, "the kernel is not as it should be");
        }
        self.is_settled |= differs.is_empty();
        self.log.note(differs, now);
        let log = &self.log;
        self.failed.retain(|key, _| log.list().any(|drift| drift.difference.key() == *key));
        (self.unread, self.is_read) = (None, true);
        Ok(observed)
    }

    fn not_read(&mut self, why: &(dyn std::error::Error + 'static), now: SystemTime) {
        let (since, times) = self.unread.as_ref().map_or((now, 0), |unread| (unread.since, unread.times));
        self.unread = Some(Unread { why: in_full(why), since, times: times.saturating_add(1) });
    }

    /// The ports that the program speaks of.
    pub(super) fn ports(&self) -> Vec<PortName> {
        let ports = self.programs.running().into_iter().flat_map(|program| &program.content.core_ports);
        ports.map(|port| port.port.clone()).collect()
    }

    /// What it does, by what was last read back. One look at which the device can't be read takes nothing back: tables that
    /// change too fast, or a kernel that is short of memory, are read the next time. Before a program was read back once,
    /// nothing is claimed of it.
    pub(super) fn realised(&self) -> v1::Realised {
        let refusal = self.programs.refused();
        let refusal =
            refusal.map(|(generation, reason)| v1::Refusal { generation: generation.get(), reason: reason.clone() });
        let Some(program) = self.programs.running() else {
            return v1::Realised { refusal, ..v1::Realised::default() };
        };
        let reads_min = if self.is_read { UNREAD_MIN } else { 1 };
        let unread = self.unread.as_ref().filter(|unread| unread.times >= reads_min);
        let unread = unread.map(|unread| (unread.why.as_str(), unread.since));
        let drift = tell::drift(self.programs.name(), &self.log, &self.failed, unread);
        let digest = if drift.is_empty() { program.digest().as_bytes().to_vec() } else { Vec::new() };
        v1::Realised { generation: program.generation.get(), digest, refusal, drift, ..v1::Realised::default() }
    }

    /// Everything that a program says of a kernel, as it is there now.
    pub(super) fn running(&mut self, now: SystemTime) -> Result<v1::Reading, String> {
        let observed = self.observe(now).map_err(|error| in_full(&error))?;
        let v1::Realised { generation, digest, .. } = self.realised();
        Ok(v1::Reading { program: Some(v1::RunningProgram { generation, digest }), ..tell::found(&observed) })
    }
}

/// So many looks, and what could not be done is tried again.
const PATIENCE_LOOKS: u32 = 10;

/// So many looks in a row at which the device can't be read, and nothing is claimed of it.
const UNREAD_MIN: u32 = 2;
