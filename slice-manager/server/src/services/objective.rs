//! What slices were promised, and what is measured of it: edges are read twice, an interval apart.

use std::time::Duration;

use api::v1;
use model::{NodeName, SliceName};
use tonic::{Request, Response, Status};

use super::{Services, narrowing, refuse};
use crate::edges::Gathered;
use crate::objective::{self, Looks};

#[tonic::async_trait]
impl v1::objective_service_server::ObjectiveService for Services {
    async fn measure_objectives(
        &self,
        request: Request<v1::MeasureObjectivesRequest>,
    ) -> Result<Response<v1::MeasureObjectivesResponse>, Status> {
        let request = request.into_inner();
        let only: Option<SliceName> = narrowing("slice", &request.slice)?;
        let interval = interval(request.interval_nanoseconds)?;
        let decided = self.0.decided();
        if let Some(slice) = only.as_ref().filter(|slice| !decided.intents.slices.contains_key(*slice)) {
            return Err(Status::not_found(format!("there is no slice `{slice}`")));
        }
        let edges = objective::edges(&decided, only.as_ref());
        let (before, _) = self.look(&edges).await;
        let mut stopping = self.0.stopping();
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return Err(Status::unavailable("the manager is stopping")),
        }
        let (after, unreachable) = self.look(&edges).await;
        let looks = Looks { before, after };
        let slices = objective::objectives(&decided, &self.0.catalog, only.as_ref(), &looks);
        Ok(Response::new(v1::MeasureObjectivesResponse { slices, unreachable }))
    }
}

impl Services {
    /// Meters, queues and paths of some edges.
    async fn look(&self, edges: &[NodeName]) -> (Gathered, Vec<v1::Unreachable>) {
        let read = |kind| self.gather(kind, edges.to_vec());
        let kinds = (v1::ReadKind::Meters, v1::ReadKind::Queues, v1::ReadKind::Paths);
        let ((meters, mut unreachable), (queues, of_queues), (paths, of_paths)) =
            tokio::join!(read(kinds.0), read(kinds.1), read(kinds.2));
        for more in of_queues.into_iter().chain(of_paths) {
            if !unreachable.iter().any(|known| known.edge == more.edge) {
                unreachable.push(more);
            }
        }
        let all = Gathered {
            meters: meters.meters,
            queues: queues.queues,
            ports: queues.ports,
            paths: paths.paths,
            ..Gathered::default()
        };
        (all, unreachable)
    }
}

fn interval(nanoseconds: u64) -> Result<Duration, Status> {
    match Duration::from_nanos(nanoseconds) {
        Duration::ZERO => Ok(INTERVAL_DEFAULT),
        interval if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) => Ok(interval),
        other => {
            let problem = format!("{other:?} is not within {INTERVAL_MIN:?} to {INTERVAL_MAX:?}");
            Err(refuse::invalid(vec![("intervalNanoseconds".to_owned(), problem)]))
        }
    }
}

const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// Edges have more to do than to answer.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Somebody waits for the answer.
const INTERVAL_MAX: Duration = Duration::from_secs(10);
