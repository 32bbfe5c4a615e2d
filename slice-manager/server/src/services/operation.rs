//! Operations: the list, one of them, and one as it gets on.

use std::sync::Arc;

use api::v1;
use model::operation::{Operation, OperationId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Services, name, refuse};
use crate::core::Core;

#[tonic::async_trait]
impl v1::operation_service_server::OperationService for Services {
    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let count = match request.into_inner().page_size {
            0 => PAGE_DEFAULT,
            count if count <= PAGE_MAX => count,
            count => {
                let problem = format!("{count}; expected at most {PAGE_MAX}");
                return Err(refuse::invalid(vec![("pageSize".to_owned(), problem)]));
            }
        };
        let decided = self.0.decided();
        let newest = decided.operations.values().rev().take(usize::try_from(count).unwrap_or(usize::MAX));
        let operations = newest.map(|operation| operation.as_ref().into()).collect();
        Ok(Response::new(v1::ListOperationsResponse { operations }))
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let id = name("id", &request.into_inner().id)?;
        Ok(Response::new(operation(&self.0, id)?.as_ref().into()))
    }

    type WatchOperationStream = ReceiverStream<Result<v1::Operation, Status>>;

    async fn watch_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let id = name("id", &request.into_inner().id)?;
        operation(&self.0, id)?;
        let (states, stream) = mpsc::channel(1);
        tokio::spawn(watch(self.0.clone(), id, states));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn operation(core: &Core, id: OperationId) -> Result<Arc<Operation>, Status> {
    let operation = core.decided().operations.get(&id).cloned();
    operation.ok_or_else(|| Status::not_found(format!("there is no operation `{id}`")))
}

/// Sends the operation now and at each change. One who reads slowly misses states in between, never the last.
async fn watch(core: Arc<Core>, id: OperationId, states: mpsc::Sender<Result<v1::Operation, Status>>) {
    let (mut decided, mut stopping) = (core.watch(), core.stopping());
    let mut last: Option<Arc<Operation>> = None;
    loop {
        let current = decided.borrow_and_update().operations.get(&id).cloned();
        let Some(current) = current else {
            let _ = states.send(Err(Status::not_found(format!("operation `{id}` is forgotten")))).await;
            return;
        };
        if last.as_deref() != Some(&current) {
            if states.send(Ok(current.as_ref().into())).await.is_err() || current.state.is_final() {
                return;
            }
            last = Some(current);
        }
        let ended = tokio::select! {
            changed = decided.changed() => changed.is_err(),
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = states.closed() => return,
        };
        if ended {
            let _ = states.send(Err(Status::unavailable("the manager is stopping"))).await;
            return;
        }
    }
}

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;
