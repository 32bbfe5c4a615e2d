//! What every service has in hand: the decisions, the observations, and the ways to writer and edges.

use std::sync::Arc;

use model::profile::Catalog;
use tokio::sync::watch;

use crate::decided::Decided;
use crate::edges::Registry;
use crate::observed::Observed;
use crate::status::Drift;
use crate::writer::WriterHandle;

/// Shared by all services and sessions.
pub(crate) struct Core {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) sessions: Registry,
    pub(crate) drift: Drift,
    pub(crate) writer: WriterHandle,
    decided: watch::Receiver<Arc<Decided>>,
    stopping: watch::Receiver<bool>,
}

impl Core {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        observed: Arc<Observed>,
        writer: WriterHandle,
        decided: watch::Receiver<Arc<Decided>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { catalog, observed, sessions: Registry::default(), drift: Drift::default(), writer, decided, stopping }
    }

    /// What is decided now.
    pub(crate) fn decided(&self) -> Arc<Decided> {
        self.decided.borrow().clone()
    }

    /// What is decided, now and from now on; ends with the writer.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Decided>> {
        self.decided.clone()
    }

    /// Turns true when everything that lasts must end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }
}
