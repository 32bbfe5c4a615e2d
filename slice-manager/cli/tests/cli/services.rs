//! The services of the canned manager: each notes what it was asked and answers what it was told to.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use api::v1;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use v1::aaa_service_server::AaaService;
use v1::dataplane_service_server::DataplaneService;
use v1::intent_service_server::IntentService;
use v1::node_service_server::NodeService;
use v1::objective_service_server::ObjectiveService;
use v1::operation_service_server::OperationService;
use v1::segment_service_server::SegmentService;
use v1::slice_service_server::SliceService;
use v1::template_service_server::TemplateService;
use v1::transport_service_server::TransportService;

use crate::manager::{Desk, Step};

type Answer<T> = Result<Response<T>, Status>;

/// The service, its trait function by function: the RPC's name, what it takes, what it answers, and the answer's place.
macro_rules! service {
    ($service:ident: $($function:ident $method:literal ($request:ident) -> $response:ident = $field:ident;)*) => {
        #[tonic::async_trait]
        impl $service for Desk {
            $(async fn $function(&self, request: Request<v1::$request>) -> Answer<v1::$response> {
                self.take($method, request.get_ref()).await?;
                Ok(Response::new(self.answers.$field.clone()))
            })*
        }
    };
}

#[tonic::async_trait]
impl IntentService for Desk {
    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ApplyResponse> {
        self.take("Apply", request.get_ref()).await?;
        if self.asked_for("Apply") <= self.answers.busy {
            return Err(Status::resource_exhausted("too many changes wait"));
        }
        Ok(Response::new(self.answers.apply.clone()))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        self.take("Plan", request.get_ref()).await?;
        Ok(Response::new(self.answers.plan.clone()))
    }

    async fn diff(&self, request: Request<v1::DiffRequest>) -> Answer<v1::DiffResponse> {
        self.take("Diff", request.get_ref()).await?;
        Ok(Response::new(self.answers.diff.clone()))
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::DeleteResponse> {
        self.take("Delete", request.get_ref()).await?;
        match &self.answers.delete_refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(Response::new(self.answers.delete.clone())),
        }
    }
}

#[tonic::async_trait]
impl SliceService for Desk {
    async fn list_slices(&self, request: Request<v1::ListSlicesRequest>) -> Answer<v1::ListSlicesResponse> {
        self.take("ListSlices", request.get_ref()).await?;
        Ok(Response::new(self.answers.slices.clone()))
    }

    async fn get_slice(&self, request: Request<v1::GetSliceRequest>) -> Answer<v1::SliceStatus> {
        self.take("GetSlice", request.get_ref()).await?;
        let at = self.slices_told.fetch_add(1, Ordering::Relaxed);
        let gone = (!self.answers.slice_is_gone).then(|| self.answers.slice.clone());
        let status = self.answers.slice_before.get(at).cloned().unwrap_or(gone);
        status.map(Response::new).ok_or_else(|| Status::not_found("there is no such slice"))
    }
}

service! { SegmentService:
    list_segments "ListSegments" (ListSegmentsRequest) -> ListSegmentsResponse = segments;
    get_segment "GetSegment" (GetSegmentRequest) -> SegmentStatus = segment;
}

service! { NodeService:
    list_nodes "ListNodes" (ListNodesRequest) -> ListNodesResponse = nodes;
    get_node "GetNode" (GetNodeRequest) -> NodeStatus = node;
}

#[tonic::async_trait]
impl DataplaneService for Desk {
    async fn get_drops(&self, request: Request<v1::DataplaneRequest>) -> Answer<v1::DropsResponse> {
        self.take("GetDrops", request.get_ref()).await?;
        Ok(Response::new(self.answers.drops.clone()))
    }

    async fn get_meters(&self, request: Request<v1::DataplaneRequest>) -> Answer<v1::MetersResponse> {
        self.take("GetMeters", request.get_ref()).await?;
        Ok(Response::new(self.answers.meters.clone()))
    }

    async fn list_queues(&self, request: Request<v1::ListQueuesRequest>) -> Answer<v1::ListQueuesResponse> {
        self.take("ListQueues", request.get_ref()).await?;
        let before = self.answers.queues_before.get(self.asked_for("ListQueues") - 1);
        Ok(Response::new(before.unwrap_or(&self.answers.queues).clone()))
    }
}

service! { ObjectiveService:
    measure_objectives "MeasureObjectives" (MeasureObjectivesRequest) -> MeasureObjectivesResponse = objectives;
}

service! { AaaService:
    list_sessions "ListSessions" (ListSessionsRequest) -> ListSessionsResponse = sessions;
    list_counters "ListCounters" (ListCountersRequest) -> ListCountersResponse = aaa_counters;
}

service! { TransportService:
    list_paths "ListPaths" (ListPathsRequest) -> ListPathsResponse = paths;
    list_sids "ListSids" (ListNumbersRequest) -> ListNumbersResponse = numbers;
    list_labels "ListLabels" (ListNumbersRequest) -> ListNumbersResponse = numbers;
    list_vnis "ListVnis" (ListNumbersRequest) -> ListNumbersResponse = numbers;
    list_route_targets "ListRouteTargets" (ListNumbersRequest) -> ListNumbersResponse = numbers;
    verify "Verify" (VerifyRequest) -> VerifyResponse = verdicts;
    list_drift "ListDrift" (ListDriftRequest) -> ListDriftResponse = drift;
    repair "Repair" (RepairRequest) -> VerifyResponse = verdicts;
}

service! { TemplateService:
    list_templates "ListTemplates" (ListTemplatesRequest) -> ListTemplatesResponse = templates;
    get_template "GetTemplate" (GetTemplateRequest) -> Template = template;
}

#[tonic::async_trait]
impl OperationService for Desk {
    type WatchOperationStream = Pin<Box<dyn Stream<Item = Result<v1::Operation, Status>> + Send>>;

    async fn list_operations(&self, request: Request<v1::ListOperationsRequest>) -> Answer<v1::ListOperationsResponse> {
        self.take("ListOperations", request.get_ref()).await?;
        Ok(Response::new(self.answers.operations.clone()))
    }

    async fn get_operation(&self, request: Request<v1::GetOperationRequest>) -> Answer<v1::Operation> {
        self.take("GetOperation", request.get_ref()).await?;
        Ok(Response::new(self.answers.operation.clone()))
    }

    async fn watch_operation(&self, request: Request<v1::GetOperationRequest>) -> Answer<Self::WatchOperationStream> {
        self.take("WatchOperation", request.get_ref()).await?;
        let steps = tokio_stream::iter(self.answers.watch.clone());
        let stream = steps.then(|step| async {
            match step {
                Step::Tell(operation) => Ok(*operation),
                Step::Fail(status) => Err(status),
                Step::Silence => std::future::pending().await,
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
