//! Slices, micro-segments and nodes, as they are observed.

use std::sync::Arc;

use api::v1;
use model::resource::SegmentId;
use model::{NodeName, SliceName};
use tonic::{Request, Response, Status};

use super::{Services, name, narrowing};
use crate::decided::Decided;
use crate::observed::Observations;
use crate::status::View;

impl Services {
    /// Target and observations of one moment.
    fn now(&self) -> (Arc<Decided>, Observations) {
        (self.0.decided(), self.0.observed.snapshot())
    }
}

#[tonic::async_trait]
impl v1::slice_service_server::SliceService for Services {
    async fn list_slices(&self, _: Request<v1::ListSlicesRequest>) -> Result<Response<v1::ListSlicesResponse>, Status> {
        let (decided, observations) = self.now();
        Ok(Response::new(v1::ListSlicesResponse { slices: View::new(&decided, &observations).slices() }))
    }

    async fn get_slice(&self, request: Request<v1::GetSliceRequest>) -> Result<Response<v1::SliceStatus>, Status> {
        let wanted: SliceName = name("name", &request.into_inner().name)?;
        let (decided, observations) = self.now();
        let status = View::new(&decided, &observations).slice(&wanted);
        status.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no slice `{wanted}`")))
    }
}

#[tonic::async_trait]
impl v1::segment_service_server::SegmentService for Services {
    async fn list_segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        let slice: Option<SliceName> = narrowing("slice", &request.into_inner().slice)?;
        let (decided, observations) = self.now();
        if let Some(slice) = slice.as_ref().filter(|slice| !decided.intents.slices.contains_key(*slice)) {
            return Err(Status::not_found(format!("there is no slice `{slice}`")));
        }
        let segments = View::new(&decided, &observations).segments(slice.as_ref());
        Ok(Response::new(v1::ListSegmentsResponse { segments }))
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::SegmentStatus>, Status> {
        let request = request.into_inner();
        let id = SegmentId { slice: name("slice", &request.slice)?, segment: name("name", &request.name)? };
        let (decided, observations) = self.now();
        let status = View::new(&decided, &observations).segment(&id);
        status.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no micro-segment `{id}`")))
    }
}

#[tonic::async_trait]
impl v1::node_service_server::NodeService for Services {
    async fn list_nodes(&self, _: Request<v1::ListNodesRequest>) -> Result<Response<v1::ListNodesResponse>, Status> {
        let (decided, observations) = self.now();
        Ok(Response::new(v1::ListNodesResponse { nodes: View::new(&decided, &observations).nodes() }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::NodeStatus>, Status> {
        let wanted: NodeName = name("name", &request.into_inner().name)?;
        let (decided, observations) = self.now();
        let status = View::new(&decided, &observations).node(&wanted);
        status.map(Response::new).ok_or_else(|| Status::not_found(format!("there is no node `{wanted}`")))
    }
}
