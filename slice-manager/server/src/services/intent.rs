//! Declaring and removing.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::v1;
use model::resource::{Resource, ResourceId};
use tonic::{Request, Response, Status};

use super::{Services, diff, refuse};
use crate::audit::Caller;
use crate::decided::{self, ChangeError, Decided, Wish};
use crate::observed::confirmed;

#[tonic::async_trait]
impl v1::intent_service_server::IntentService for Services {
    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Result<Response<v1::ApplyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let resources = caller.checked("apply", resources(request.into_inner().resources))?;
        let ids: Vec<ResourceId> = resources.iter().map(Resource::id).collect();
        let operation = self.change(&caller, "apply", &ids, Wish::Apply(resources)).await?;
        Ok(Response::new(v1::ApplyResponse { operation }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        let resources = resources(request.into_inner().resources)?;
        let decided = self.0.decided();
        let confirmed = confirmed(&decided, &self.0.observed.snapshot());
        let catalog = self.0.catalog.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let decision = decided::decide(&decided, Wish::Apply(resources), &catalog, &confirmed)?;
            Ok::<_, ChangeError>(what_if(&decided, decision.as_ref()))
        });
        let response = planned.await.map_err(|_| Status::internal("planning was cut off"))??;
        Ok(Response::new(response))
    }

    async fn diff(&self, request: Request<v1::DiffRequest>) -> Result<Response<v1::DiffResponse>, Status> {
        let resources = resources(request.into_inner().resources)?;
        let decided = self.0.decided();
        let diffs = resources.iter().filter_map(|wanted| {
            let declared = decided.intents.get(&wanted.id());
            diff::resource(declared.as_ref(), wanted).transpose()
        });
        let resources = diffs.collect::<Result<_, _>>().map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(v1::DiffResponse { resources }))
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ids = caller.checked("delete", references(&request.into_inner().resources))?;
        let operation = self.change(&caller, "delete", &ids.clone(), Wish::Delete(ids)).await?;
        Ok(Response::new(v1::DeleteResponse { operation }))
    }
}

impl Services {
    async fn change(
        &self,
        caller: &Caller,
        action: &'static str,
        ids: &[ResourceId],
        wish: Wish,
    ) -> Result<Option<v1::Operation>, Status> {
        let result = self.0.writer.change(wish, caller.principal.to_string()).await;
        caller.record(action, ids, &result);
        if let Err(error @ (ChangeError::Unsound(_) | ChangeError::Store(_))) = &result {
            tracing::error!(%error, source = ?std::error::Error::source(error), "a change failed");
        }
        let operation: Option<Arc<_>> = result?;
        Ok(operation.map(|operation| operation.as_ref().into()))
    }
}

fn what_if(decided: &Decided, decision: Option<&decided::Decision>) -> v1::PlanResponse {
    let (changes, edges) = decision.map_or_else(Default::default, |decision| {
        let changed = decided::changed(&decided.plan, &decision.plan);
        let edges = changed.into_iter().map(|(edge, _)| edge.to_string()).collect();
        (decision.changes.iter().map(Into::into).collect(), edges)
    });
    let (intents, plan) = match decision {
        Some(decision) => (&decision.intents, &decision.plan),
        None => (decided.intents.as_ref(), decided.plan.as_ref()),
    };
    let headroom = intents.topology().map_or_else(Vec::new, |(_, topology)| plan::headroom(plan, topology));
    let headroom = headroom.into_iter().map(|link| v1::LinkHeadroom {
        link: link.link.to_string(),
        from: link.from.to_string(),
        capacity_bits_per_second: link.capacity.bits_per_second(),
        booked_bits_per_second: link.booked.bits_per_second(),
    });
    v1::PlanResponse { changes, plan: Some(plan.into()), edges, headroom: headroom.collect() }
}

/// The resources of a request, all of them well-formed and each named once; else all that is wrong.
fn resources(messages: Vec<v1::Resource>) -> Result<Vec<Resource>, Status> {
    count(messages.len())?;
    let (mut resources, mut violations, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, message) in messages.into_iter().enumerate() {
        match Resource::try_from(message) {
            Ok(resource) if !seen.insert(resource.id()) => violations.push(twice(index, &resource.id())),
            Ok(resource) => resources.push(resource),
            Err(error) => violations.push((format!("resources[{index}].{}", error.path), error.problem.to_string())),
        }
    }
    if violations.is_empty() { Ok(resources) } else { Err(refuse::invalid(violations)) }
}

fn references(messages: &[v1::ResourceRef]) -> Result<Vec<ResourceId>, Status> {
    count(messages.len())?;
    let (mut ids, mut violations, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, message) in messages.iter().enumerate() {
        match message.id.parse::<ResourceId>() {
            Ok(id) if !seen.insert(id.clone()) => violations.push(twice(index, &id)),
            Ok(id) => ids.push(id),
            Err(error) => violations.push((format!("resources[{index}].id"), error.to_string())),
        }
    }
    if violations.is_empty() { Ok(ids) } else { Err(refuse::invalid(violations)) }
}

fn count(found: usize) -> Result<(), Status> {
    let problem = match found {
        0 => "none; expected at least one resource".to_owned(),
        found if found > RESOURCES_MAX => format!("{found} resources; expected at most {RESOURCES_MAX} a request"),
        _ => return Ok(()),
    };
    Err(refuse::invalid(vec![("resources".to_owned(), problem)]))
}

fn twice(index: usize, id: &ResourceId) -> (String, String) {
    (format!("resources[{index}]"), format!("{id} stands twice in the request; expected it once"))
}

/// How many resources one request may hold.
const RESOURCES_MAX: usize = 32_768;
