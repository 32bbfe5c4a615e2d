//! The edge's side: a stream for each edge, served by its session.

use api::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Services;
use crate::auth;
use crate::edges;

#[tonic::async_trait]
impl v1::edge_service_server::EdgeService for Services {
    type AttachStream = ReceiverStream<Result<v1::EdgeCommand, Status>>;

    /// Answers at once: an edge may wait for our headers before it sends its Hello.
    async fn attach(
        &self,
        request: Request<Streaming<v1::EdgeReport>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let principal = auth::caller(&request)?;
        let (outgoing, commands) = mpsc::channel(COMMANDS_WAITING_MAX);
        tokio::spawn(edges::serve(self.0.clone(), principal, request.into_inner(), outgoing));
        Ok(Response::new(ReceiverStream::new(commands)))
    }
}

/// How many commands may wait in the stream of an edge. One program at a time: a newer one takes the place of those
/// that were not sent yet.
const COMMANDS_WAITING_MAX: usize = 1;
