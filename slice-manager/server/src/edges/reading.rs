//! Readings: a question to every attached edge that is concerned, and what came back within the time that it has.

use std::collections::BTreeMap;
use std::time::Duration;

use api::v1;
use model::NodeName;
use model::resource::SegmentId;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{EdgeRequest, READS_WAITING_MAX, Registry};

/// A reading that is asked of one edge.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub(crate) question: Question,
    pub(crate) reply: oneshot::Sender<Result<Gathered, ReadError>>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) kind: v1::ReadKind,
    /// Whose queues are told apart from now on.
    pub(crate) watch: Option<SegmentId>,
}

impl From<v1::ReadKind> for Question {
    fn from(kind: v1::ReadKind) -> Self {
        Self { kind, watch: None }
    }
}

impl Question {
    /// As a message.
    pub(super) fn read(self, id: u64) -> v1::Read {
        let name = |name: Option<String>| name.unwrap_or_default();
        v1::Read {
            id,
            kind: self.kind.into(),
            watch_slice: name(self.watch.as_ref().map(|id| id.slice.to_string())),
            watch_segment: name(self.watch.as_ref().map(|id| id.segment.to_string())),
        }
    }
}

/// What a reading has brought.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// How long its parts were.
    pub(crate) octets: usize,
    pub(crate) drops: Vec<v1::DropCounter>,
    pub(crate) meters: Vec<v1::MeterCounter>,
    pub(crate) sessions: Vec<v1::Session>,
    pub(crate) aaa_counters: Vec<v1::AaaCounter>,
    pub(crate) paths: Vec<v1::PathReading>,
    pub(crate) program: Option<v1::RunningProgram>,
    pub(crate) sids: Vec<v1::RunningSid>,
    pub(crate) labels: Vec<v1::RunningLabel>,
    pub(crate) segments: Vec<v1::RealisedSegment>,
    pub(crate) slices: Vec<v1::RunningSlice>,
    pub(crate) routes: Vec<v1::UnderlayRoute>,
    pub(crate) shaping: Vec<v1::PortShaping>,
    pub(crate) queues: Vec<v1::QueueCounter>,
    pub(crate) ports: Vec<v1::PortCounter>,
    pub(crate) shares: Vec<v1::SegmentShare>,
}

impl Gathered {
    fn len(&self) -> usize {
        let counted = self.drops.len() + self.meters.len() + self.sessions.len() + self.aaa_counters.len();
        let numbers = self.sids.len() + self.labels.len() + self.routes.len() + classes(&self.shaping);
        let queues = self.queues.len() + self.ports.len() + self.shares.len();
        counted + self.paths.len() + numbers + self.segments.len() + self.slices.len() + queues
    }

    /// Adds a part of an answer. Whatever the edge calls itself in it, the counters are its own.
    pub(crate) fn add(&mut self, edge: &NodeName, part: v1::Reading) -> Result<(), ReadError> {
        // An entry may hold as many others as a message has room for.
        self.octets += part.encoded_len();
        let counted = part.drops.len() + part.meters.len() + part.sessions.len() + part.aaa_counters.len();
        let numbers = part.sids.len() + part.labels.len() + part.routes.len() + classes(&part.shaping);
        let queues = part.queues.len() + part.ports.len() + part.shares.len();
        let more = counted + part.paths.len() + numbers + part.segments.len() + part.slices.len() + queues;
        if self.len() + more > ENTRIES_OF_EDGE_MAX || self.octets > OCTETS_OF_EDGE_MAX {
            return Err(ReadError::TooMany);
        }
        let name = edge.to_string();
        self.drops.extend(part.drops.into_iter().map(|drop| v1::DropCounter { edge: name.clone(), ..drop }));
        self.meters.extend(part.meters.into_iter().map(|meter| v1::MeterCounter { edge: name.clone(), ..meter }));
        self.sessions.extend(part.sessions.into_iter().map(|session| v1::Session { edge: name.clone(), ..session }));
        let counters = part.aaa_counters.into_iter();
        self.aaa_counters.extend(counters.map(|counter| v1::AaaCounter { edge: name.clone(), ..counter }));
        self.paths.extend(part.paths.into_iter().map(|path| v1::PathReading { edge: name.clone(), ..path }));
        let segments = part.segments.into_iter();
        self.segments.extend(segments.map(|segment| v1::RealisedSegment { edge: name.clone(), ..segment }));
        self.queues.extend(part.queues.into_iter().map(|queue| v1::QueueCounter { edge: name.clone(), ..queue }));
        self.ports.extend(part.ports.into_iter().map(|port| v1::PortCounter { edge: name.clone(), ..port }));
        self.program = part.program.or(self.program.take());
        self.sids.extend(part.sids);
        self.labels.extend(part.labels);
        self.slices.extend(part.slices);
        self.routes.extend(part.routes);
        self.shaping.extend(part.shaping);
        self.shares.extend(part.shares);
        Ok(())
    }

    /// Adds what another edge has answered, as far as it says whose it is.
    fn append(&mut self, mut other: Self) {
        self.drops.append(&mut other.drops);
        self.meters.append(&mut other.meters);
        self.sessions.append(&mut other.sessions);
        self.aaa_counters.append(&mut other.aaa_counters);
        self.paths.append(&mut other.paths);
        self.queues.append(&mut other.queues);
        self.ports.append(&mut other.ports);
    }
}

/// Ports, classes, and what finds their packets.
fn classes(shaping: &[v1::PortShaping]) -> usize {
    let classes = shaping.iter().flat_map(|port| &port.classes);
    shaping.len() + classes.map(|class| 1 + class.vnis.len()).sum::<usize>()
}

/// Why an edge has no part in an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not attached.
    #[error("it is away")]
    Away,
    /// It did not answer in time.
    #[error("it did not answer within {ANSWER_SECONDS} s")]
    Late,
    /// Too many others wait for it.
    #[error("{READS_WAITING_MAX} readings wait for it already")]
    Busy,
    /// It answered with more than is fit to pass on.
    #[error("it answers with more than {ENTRIES_OF_EDGE_MAX} entries or {OCTETS_OF_EDGE_MAX} octets")]
    TooMany,
    /// It answered that it can't.
    #[error("it says: {0}")]
    Problem(String),
}

impl ReadError {
    /// Why something could not be asked.
    pub(super) const fn not_sent(error: &mpsc::error::TrySendError<EdgeRequest>) -> Self {
        match error {
            mpsc::error::TrySendError::Full(_) => Self::Busy,
            mpsc::error::TrySendError::Closed(_) => Self::Away,
        }
    }
}

/// The edges that have no part in an answer.
pub(crate) type Unreached = BTreeMap<NodeName, ReadError>;

/// Asks every one of the edges at once; in the order of their names, whoever answers first.
pub(crate) async fn gather(registry: &Registry, question: Question, edges: Vec<NodeName>) -> (Gathered, Unreached) {
    let (mut gathered, mut unreached) = (Gathered::default(), Unreached::new());
    for (edge, answer) in read_each(registry, question, edges).await {
        match answer {
            Ok(part) => gathered.append(part),
            Err(error) => drop(unreached.insert(edge, error)),
        }
    }
    (gathered, unreached)
}

/// Asks every one of the edges at once.
pub(crate) async fn read_each(
    registry: &Registry,
    question: Question,
    edges: Vec<NodeName>,
) -> BTreeMap<NodeName, Result<Gathered, ReadError>> {
    let mut asked = JoinSet::new();
    for edge in edges {
        let (requests, question) = (registry.requests(&edge), question.clone());
        asked.spawn(async move {
            let answer = ask(requests, question).await;
            (edge, answer)
        });
    }
    asked.join_all().await.into_iter().collect()
}

async fn ask(requests: Option<mpsc::Sender<EdgeRequest>>, question: Question) -> Result<Gathered, ReadError> {
    let (reply, answer) = oneshot::channel();
    let request = EdgeRequest::Read(ReadRequest { question, reply });
    requests.ok_or(ReadError::Away)?.try_send(request).map_err(|error| ReadError::not_sent(&error))?;
    match timeout(Duration::from_secs(ANSWER_SECONDS), answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(ReadError::Away),
        Err(_) => Err(ReadError::Late),
    }
}

/// How long an edge has for its whole answer.
const ANSWER_SECONDS: u64 = 3;
/// How many entries of one edge are passed on.
const ENTRIES_OF_EDGE_MAX: usize = 65_536;
/// How long they may be together: 4,096 segments, each with tunnels to as many edges as there may be.
const OCTETS_OF_EDGE_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_those_of_the_edge_that_answers_and_not_too_many() {
        let edge: NodeName = "edge-a".parse().unwrap();
        let mut gathered = Gathered::default();
        let drop = v1::DropCounter { edge: "edge-z".into(), packets: 3, ..v1::DropCounter::default() };
        gathered.add(&edge, v1::Reading { drops: vec![drop.clone()], ..v1::Reading::default() }).unwrap();
        assert_eq!(gathered.drops[0].edge, "edge-a");
        let rest = vec![drop; ENTRIES_OF_EDGE_MAX];
        let error = gathered.add(&edge, v1::Reading { drops: rest, ..v1::Reading::default() }).unwrap_err();
        assert_eq!((error, gathered.len()), (ReadError::TooMany, 1));
    }

    #[test]
    fn an_entry_counts_by_its_length_too() {
        let edge: NodeName = "edge-a".parse().unwrap();
        let circuits = vec![v1::Circuit { sdp: "s".repeat(1 << 10), ..v1::Circuit::default() }; 1 << 10];
        let slices = vec![v1::RunningSlice { circuits, ..v1::RunningSlice::default() }];
        let part = v1::Reading { slices, ..v1::Reading::default() };
        let mut gathered = Gathered::default();
        let taken = (0..100).take_while(|_| gathered.add(&edge, part.clone()).is_ok()).count();
        assert!((60..64).contains(&taken), "{taken} parts of a mebioctet");
    }
}
