//! Who changed what, from where, with what result: one event under the target `audit` for each call that would change
//! something, granted or refused. It has names only, never contents.

use std::net::SocketAddr;
use std::sync::Arc;

use model::operation::Operation;
use model::resource::ResourceId;
use model::{NodeName, Principal};
use tonic::{Request, Status};

use crate::auth;
use crate::decided::ChangeError;
use crate::edges::NotRepaired;

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    peer: Option<SocketAddr>,
}

impl Caller {
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        Ok(Self { principal: auth::caller(request)?, peer: request.remote_addr() })
    }

    /// Records a request that is ill-formed; others are recorded when their result is known.
    pub(crate) fn checked<T>(&self, action: &'static str, result: Result<T, Status>) -> Result<T, Status> {
        if let Err(status) = &result {
            self.event(action, "", "ill-formed", status.message());
        }
        result
    }

    /// Records the result of a change.
    pub(crate) fn record(
        &self,
        action: &'static str,
        resources: &[ResourceId],
        result: &Result<Option<Arc<Operation>>, ChangeError>,
    ) {
        let shown = resources.iter().take(RESOURCES_SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let more = resources.len().saturating_sub(RESOURCES_SHOWN_MAX);
        let shown = if more == 0 { shown } else { format!("{shown} and {more} more") };
        match result {
            Ok(Some(operation)) => self.event(action, &shown, "accepted", &operation.id.to_string()),
            Ok(None) => self.event(action, &shown, "unchanged", ""),
            Err(error) => self.event(action, &shown, "refused", &error.to_string()),
        }
    }

    /// Records that a node was to run its program anew.
    pub(crate) fn repaired(&self, node: &NodeName, error: Option<&NotRepaired>) {
        let node = format!("node/{node}");
        match error {
            None => self.event("repair", &node, "accepted", ""),
            Some(error) => self.event("repair", &node, "refused", &error.to_string()),
        }
    }

    fn event(&self, action: &str, resources: &str, result: &str, detail: &str) {
        let (principal, peer) = (&self.principal, self.peer.map_or_else(String::new, |peer| peer.to_string()));
        tracing::info!(target: "audit", %principal, peer, action, resources, result, detail);
    }
}

const RESOURCES_SHOWN_MAX: usize = 100;
