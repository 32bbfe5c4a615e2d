//! From resources to programs, as the manager does it: planned, audited, and one program for each node.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::Plan;
use model::profile::Catalog;
use model::resource::{Resource, TopologySpec};
use model::{Generation, NodeName};
use plan::{Input, Intents, Severity};

/// What is declared, and the plan for it.
#[derive(Debug, Clone)]
pub struct Planned {
    catalog: Catalog,
    intents: Intents,
    plan: Plan,
}

/// What can't be planned, and why.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The profiles that come with the product.
    #[error(transparent)]
    Profiles(#[from] model::profile::CatalogError),
    /// A file.
    #[error(transparent)]
    File(#[from] model::file::FileError),
    /// It does not fit.
    #[error("{0}")]
    Refused(String),
    /// The auditor does not accept it.
    #[error("the plan does not pass the audit: {0}")]
    Unsound(String),
}

/// The generation that each node is known to run.
pub type Confirmed = BTreeMap<NodeName, Generation>;

impl Planned {
    /// The plan for these resources.
    pub fn new(resources: Vec<Resource>) -> Result<Self, PlanError> {
        let empty = Self { catalog: Catalog::builtin()?, intents: Intents::default(), plan: Plan::default() };
        empty.and(resources, &Confirmed::new())
    }

    /// The plan after more resources are declared, or others in the place of some; without any, the next step of a change.
    pub fn and(&self, resources: Vec<Resource>, confirmed: &Confirmed) -> Result<Self, PlanError> {
        let mut intents = self.intents.clone();
        for resource in resources {
            intents.apply(resource);
        }
        let suspects = BTreeSet::new();
        let (catalog, parent) = (&self.catalog, &self.plan);
        let input = Input { catalog, intents: &intents, parent, confirmed, suspects: &suspects };
        let list = |items: Vec<String>| items.join("; ");
        let plan = plan::plan(&input).map_err(|refusals| {
            PlanError::Refused(list(refusals.iter().map(|r| format!("{}: {}", r.path, r.reason)).collect()))
        })?;
        let mut notes = plan::audit(&plan, &intents, &self.catalog);
        notes.extend(plan::audit_change(parent, &plan, &intents));
        let faults: Vec<String> =
            notes.iter().filter(|note| note.severity == Severity::Error).map(ToString::to_string).collect();
        if !faults.is_empty() {
            return Err(PlanError::Unsound(list(faults)));
        }
        Ok(Self { catalog: self.catalog.clone(), intents, plan })
    }

    /// What was decided.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The network that it was decided on.
    pub fn topology(&self) -> Option<&TopologySpec> {
        self.intents.topology().map(|(_, topology)| topology)
    }
}
