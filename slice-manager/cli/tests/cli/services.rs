//! The services of the canned manager: each notes what it was asked and answers what it was told to.

use std::pin::Pin;

use api::v1;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use v1::aaa_service_server::AaaService;
use v1::dataplane_service_server::DataplaneService;
use v1::intent_service_server::IntentService;
use v1::node_service_server::NodeService;
use v1::operation_service_server::OperationService;
use v1::segment_service_server::SegmentService;
use v1::slice_service_server::SliceService;
use v1::template_service_server::TemplateService;

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

service! { IntentService:
    apply "Apply" (ApplyRequest) -> ApplyResponse = apply;
    plan "Plan" (PlanRequest) -> PlanResponse = plan;
    diff "Diff" (DiffRequest) -> DiffResponse = diff;
    delete "Delete" (DeleteRequest) -> DeleteResponse = delete;
}

service! { SliceService:
    list_slices "ListSlices" (ListSlicesRequest) -> ListSlicesResponse = slices;
    get_slice "GetSlice" (GetSliceRequest) -> SliceStatus = slice;
}

service! { SegmentService:
    list_segments "ListSegments" (ListSegmentsRequest) -> ListSegmentsResponse = segments;
    get_segment "GetSegment" (GetSegmentRequest) -> SegmentStatus = segment;
}

service! { NodeService:
    list_nodes "ListNodes" (ListNodesRequest) -> ListNodesResponse = nodes;
    get_node "GetNode" (GetNodeRequest) -> NodeStatus = node;
}

service! { DataplaneService:
    get_drops "GetDrops" (DataplaneRequest) -> DropsResponse = drops;
    get_meters "GetMeters" (DataplaneRequest) -> MetersResponse = meters;
}

service! { AaaService:
    list_sessions "ListSessions" (ListSessionsRequest) -> ListSessionsResponse = sessions;
    list_counters "ListCounters" (ListCountersRequest) -> ListCountersResponse = aaa_counters;
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
