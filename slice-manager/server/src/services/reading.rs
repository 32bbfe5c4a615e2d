//! Counters and sessions, read from the edges when they are asked for.

use api::v1;
use model::resource::{Control, SegmentId};
use model::{NodeName, SegmentName, SliceName};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::{Services, narrowing};
use crate::edges::{Gathered, Question, Unreached, gather};
use crate::manager::MESSAGE_OCTETS_MAX;
use crate::status::View;

#[tonic::async_trait]
impl v1::dataplane_service_server::DataplaneService for Services {
    async fn get_drops(&self, request: Request<v1::DataplaneRequest>) -> Result<Response<v1::DropsResponse>, Status> {
        let (gathered, unreachable) = self.read(v1::ReadKind::Drops, &request.into_inner().edge).await?;
        Ok(Response::new(v1::DropsResponse { drops: gathered.drops, unreachable }))
    }

    async fn get_meters(&self, request: Request<v1::DataplaneRequest>) -> Result<Response<v1::MetersResponse>, Status> {
        let (gathered, unreachable) = self.read(v1::ReadKind::Meters, &request.into_inner().edge).await?;
        Ok(Response::new(v1::MetersResponse { meters: gathered.meters, unreachable }))
    }

    async fn list_queues(
        &self,
        request: Request<v1::ListQueuesRequest>,
    ) -> Result<Response<v1::ListQueuesResponse>, Status> {
        let request = request.into_inner();
        let slice: Option<SliceName> = narrowing("slice", &request.slice)?;
        let segment: Option<SegmentName> = narrowing("segment", &request.segment)?;
        let watch = slice.clone().zip(segment.clone()).map(|(slice, segment)| SegmentId { slice, segment });
        let question = Question { kind: v1::ReadKind::Queues, watch };
        let (mut gathered, unreachable) = self.read(question, &request.edge).await?;
        gathered.queues.retain(|queue| {
            slice.as_ref().is_none_or(|slice| queue.slice == slice.as_str())
                && segment.as_ref().is_none_or(|segment| queue.segment == segment.as_str())
        });
        let answer = v1::ListQueuesResponse { queues: gathered.queues, ports: gathered.ports, unreachable };
        let octets = answer.encoded_len();
        if octets > MESSAGE_OCTETS_MAX {
            let (queues, most) = (answer.queues.len(), MESSAGE_OCTETS_MAX);
            let why =
                format!("{queues} queues take {octets} octets; expected at most {most}: ask for one edge or slice");
            return Err(Status::resource_exhausted(why));
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl v1::aaa_service_server::AaaService for Services {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let request = request.into_inner();
        let slice: Option<SliceName> = narrowing("slice", &request.slice)?;
        let segment: Option<SegmentName> = narrowing("segment", &request.segment)?;
        let (mut gathered, unreachable) = self.read(v1::ReadKind::Sessions, &request.edge).await?;
        gathered.sessions.retain(|session| {
            slice.as_ref().is_none_or(|slice| session.slice == slice.as_str())
                && segment.as_ref().is_none_or(|segment| session.segment == segment.as_str())
        });
        Ok(Response::new(v1::ListSessionsResponse { sessions: gathered.sessions, unreachable }))
    }

    async fn list_counters(
        &self,
        request: Request<v1::ListCountersRequest>,
    ) -> Result<Response<v1::ListCountersResponse>, Status> {
        let request = request.into_inner();
        let slice: Option<SliceName> = narrowing("slice", &request.slice)?;
        let segment: Option<SegmentName> = narrowing("segment", &request.segment)?;
        let (mut gathered, unreachable) = self.read(v1::ReadKind::AaaCounters, &request.edge).await?;
        gathered.aaa_counters.retain(|counter| {
            slice.as_ref().is_none_or(|slice| counter.slice == slice.as_str())
                && segment.as_ref().is_none_or(|segment| counter.segment == segment.as_str())
        });
        Ok(Response::new(v1::ListCountersResponse { counters: gathered.aaa_counters, unreachable }))
    }
}

impl Services {
    /// Asks one edge, or every edge that there is.
    async fn read(
        &self,
        question: impl Into<Question>,
        edge: &str,
    ) -> Result<(Gathered, Vec<v1::Unreachable>), Status> {
        let only: Option<NodeName> = narrowing("edge", edge)?;
        let (decided, observations) = (self.0.decided(), self.0.observed.snapshot());
        let mut edges: Vec<NodeName> = View::new(&decided, &observations).edge_names().cloned().collect();
        // A kernel counts for itself; it is asked only by name, and then says so.
        let topology = decided.intents.topology().map(|(_, topology)| topology);
        let is_kernel = |node: &NodeName| {
            let node = topology.and_then(|topology| topology.nodes.get(node.as_str()));
            node.is_some_and(|node| node.control() == Control::Linux)
        };
        edges.retain(|edge| only.as_ref() == Some(edge) || !is_kernel(edge));
        if let Some(only) = only {
            edges.retain(|edge| *edge == only);
            if edges.is_empty() {
                return Err(Status::not_found(format!("there is no edge `{only}`")));
            }
        }
        Ok(self.gather(question, edges).await)
    }

    /// Asks these edges.
    pub(super) async fn gather(
        &self,
        question: impl Into<Question>,
        edges: Vec<NodeName>,
    ) -> (Gathered, Vec<v1::Unreachable>) {
        let (gathered, unreached) = gather(&self.0.sessions, question.into(), edges).await;
        (gathered, unreachable(unreached))
    }
}

fn unreachable(unreached: Unreached) -> Vec<v1::Unreachable> {
    let message = |(edge, error): (NodeName, crate::edges::ReadError)| v1::Unreachable {
        edge: edge.to_string(),
        reason: error.to_string(),
    };
    unreached.into_iter().map(message).collect()
}
