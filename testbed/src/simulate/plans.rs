//! From resources to programs, as the manager does it: planned, audited, and one program for each node.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::Plan;
use model::profile::Catalog;
use model::resource::{self, TopologySpec};
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

impl Planned {
    /// The plan for the resources of a text.
    pub fn new(text: &str) -> Result<Self, PlanError> {
        let empty = Self { catalog: Catalog::builtin()?, intents: Intents::default(), plan: Plan::default() };
        empty.and(text)
    }

    /// The plan after more resources are declared, or others in the place of some. Every node has confirmed the one before.
    pub fn and(&self, text: &str) -> Result<Self, PlanError> {
        let mut intents = self.intents.clone();
        for declared in resource::read("simulated.yaml", text)? {
            intents.apply(declared.resource);
        }
        let confirmed: BTreeMap<NodeName, Generation> =
            self.plan.programs.iter().map(|(node, program)| (node.clone(), program.generation)).collect();
        let suspects = BTreeSet::new();
        let (catalog, parent) = (&self.catalog, &self.plan);
        let input = Input { catalog, intents: &intents, parent, confirmed: &confirmed, suspects: &suspects };
        let list = |items: Vec<String>| items.join("; ");
        let plan = plan::plan(&input).map_err(|refusals| {
            PlanError::Refused(list(refusals.iter().map(|r| format!("{}: {}", r.path, r.reason)).collect()))
        })?;
        let notes = plan::audit(&plan, &intents, &self.catalog);
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
