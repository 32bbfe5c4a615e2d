//! Paths and numbers, and whether nodes run them.

use std::collections::BTreeMap;

use api::{timestamp, v1};
use model::{NodeName, SliceName};
use tonic::{Request, Response, Status};

use super::{Services, narrowing};
use crate::audit::Caller;
use crate::decided::Decided;
use crate::edges::{Gathered, NotRepaired, ReadError, read_each};
use crate::observed::{Standing, now, standing};
use crate::status::View;
use crate::transport;

#[tonic::async_trait]
impl v1::transport_service_server::TransportService for Services {
    async fn list_paths(
        &self,
        request: Request<v1::ListPathsRequest>,
    ) -> Result<Response<v1::ListPathsResponse>, Status> {
        let request = request.into_inner();
        let slice: Option<SliceName> = narrowing("slice", &request.slice)?;
        let node: Option<NodeName> = narrowing("node", &request.node)?;
        let decided = self.0.decided();
        if let Some(slice) = slice.as_ref().filter(|slice| !decided.intents.slices.contains_key(*slice)) {
            return Err(Status::not_found(format!("there is no slice `{slice}`")));
        }
        self.managed(node.as_ref())?;
        let concerned = transport::paths(&decided, &self.0.catalog, slice.as_ref(), node.as_ref(), Vec::new());
        let from = decided.plan.programs.keys().filter(|name| concerned.iter().any(|path| path.from == name.as_str()));
        let (gathered, unreachable) = self.gather(v1::ReadKind::Paths, from.cloned().collect()).await;
        let paths = transport::paths(&decided, &self.0.catalog, slice.as_ref(), node.as_ref(), gathered.paths);
        Ok(Response::new(v1::ListPathsResponse { paths, unreachable }))
    }

    async fn list_sids(&self, request: Request<v1::ListNumbersRequest>) -> Numbers {
        self.numbers(&request, transport::sids)
    }

    async fn list_labels(&self, request: Request<v1::ListNumbersRequest>) -> Numbers {
        self.numbers(&request, transport::labels)
    }

    async fn list_vnis(&self, request: Request<v1::ListNumbersRequest>) -> Numbers {
        self.numbers(&request, transport::vnis)
    }

    async fn list_route_targets(&self, request: Request<v1::ListNumbersRequest>) -> Numbers {
        self.numbers(&request, transport::route_targets)
    }

    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        let node: Option<NodeName> = narrowing("node", &request.into_inner().node)?;
        let nodes = self.managed(node.as_ref())?;
        Ok(Response::new(self.verdicts(nodes).await))
    }

    async fn list_drift(&self, _: Request<v1::ListDriftRequest>) -> Result<Response<v1::ListDriftResponse>, Status> {
        let (decided, observations) = (self.0.decided(), self.0.observed.snapshot());
        let mut drift = Vec::new();
        for node in View::new(&decided, &observations).edge_names() {
            let observed = observations.get(node).map(AsRef::as_ref);
            let differences = self.0.drift.look(&decided, node, observed, now());
            drift.extend(differences.into_iter().map(|(difference, since)| v1::Drift {
                node: node.to_string(),
                difference: Some(difference),
                since: Some(timestamp(since)),
            }));
        }
        Ok(Response::new(v1::ListDriftResponse { drift }))
    }

    async fn repair(&self, request: Request<v1::RepairRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let node = caller.checked("repair", narrowing::<NodeName, _>("node", &request.into_inner().node))?;
        let nodes = caller.checked("repair", self.managed(node.as_ref()))?;
        let mut refused = BTreeMap::new();
        for name in &nodes {
            let told = self.tell_anew(name);
            caller.repaired(name, told.as_ref().err());
            // Whoever is away is named by what is read back.
            match told {
                Err(why @ (NotRepaired::Unknown | NotRepaired::Foreign)) => drop(refused.insert(name.clone(), why)),
                Err(NotRepaired::Unasked(_) | NotRepaired::NoProgram) | Ok(()) => {}
            }
        }
        if let Some((node, why)) = refused.first_key_value().filter(|_| node.is_some()) {
            return Err(Status::failed_precondition(format!("`{node}` can't be repaired: {why}")));
        }
        let mut answer = self.verdicts(nodes).await;
        for verdict in &mut answer.nodes {
            if let Some(why) = refused.get(verdict.node.as_str()) {
                *verdict = v1::NodeVerdict {
                    node: verdict.node.clone(),
                    unread: format!("it is not repaired, for {why}"),
                    target_generation: verdict.target_generation,
                    ..v1::NodeVerdict::default()
                };
            }
        }
        Ok(Response::new(answer))
    }
}

type Numbers = Result<Response<v1::ListNumbersResponse>, Status>;

impl Services {
    fn numbers(
        &self,
        request: &Request<v1::ListNumbersRequest>,
        list: fn(&Decided, Option<&NodeName>) -> Vec<v1::Number>,
    ) -> Numbers {
        let node: Option<NodeName> = narrowing("node", &request.get_ref().node)?;
        let decided = self.0.decided();
        // Nodes without an agent have numbers, too.
        let topology = decided.intents.topology().map(|(_, topology)| topology);
        let is_there = |node: &NodeName| topology.is_some_and(|topology| topology.nodes.get(node.as_str()).is_some());
        if !node.as_ref().is_some_and(is_there) {
            self.managed(node.as_ref())?;
        }
        let numbers = list(&decided, node.as_ref());
        Ok(Response::new(v1::ListNumbersResponse { numbers }))
    }

    /// The node that is asked for, or every one that has a program or should have one.
    fn managed(&self, node: Option<&NodeName>) -> Result<Vec<NodeName>, Status> {
        let (decided, observations) = (self.0.decided(), self.0.observed.snapshot());
        let mut nodes: Vec<NodeName> = View::new(&decided, &observations).edge_names().cloned().collect();
        if let Some(node) = node {
            nodes.retain(|name| name == node);
            if nodes.is_empty() {
                return Err(Status::not_found(format!("there is no node `{node}` that is told what to run")));
            }
        }
        Ok(nodes)
    }

    /// Has a node run its program anew, if it would.
    fn tell_anew(&self, node: &NodeName) -> Result<(), NotRepaired> {
        let (decided, observed) = (self.0.decided(), self.0.observed.of(node));
        let observed = observed.filter(|observed| observed.session.is_some()).ok_or(ReadError::Away)?;
        match standing(&decided, node, observed.report.as_ref()) {
            Standing::Unknown => Err(NotRepaired::Unknown),
            Standing::Foreign => Err(NotRepaired::Foreign),
            _ if !decided.plan.programs.contains_key(node) => Err(NotRepaired::NoProgram),
            Standing::InStep | Standing::Behind | Standing::Drifted => Ok(self.0.sessions.repair(node)?),
        }
    }

    async fn verdicts(&self, nodes: Vec<NodeName>) -> v1::VerifyResponse {
        let answers = read_each(&self.0.sessions, v1::ReadKind::Running.into(), nodes).await;
        let decided = self.0.decided();
        v1::VerifyResponse { nodes: verdicts(&decided, &answers) }
    }
}

fn verdicts(decided: &Decided, answers: &BTreeMap<NodeName, Result<Gathered, ReadError>>) -> Vec<v1::NodeVerdict> {
    let verdict = |(node, answer): (&NodeName, &Result<Gathered, ReadError>)| {
        let target = decided.plan.programs.get(node);
        match answer {
            Ok(found) => transport::verdict(node, target, found),
            Err(error) => v1::NodeVerdict {
                node: node.to_string(),
                unread: error.to_string(),
                target_generation: target.map_or(0, |program| program.generation.get()),
                ..v1::NodeVerdict::default()
            },
        }
    };
    answers.iter().map(verdict).collect()
}
