//! The stream of one edge: its reports in, programs and questions out.
//!
//! A program is sent when the edge has said what it runs and that is not the target; always the newest target, so an
//! edge that lags skips those in between. An edge that says that it runs something that was never decided here is sent
//! nothing: it would refuse what is older, and the operator must know of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use api::v1;
use model::{Generation, NodeName, Principal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use super::reading::{Gathered, ReadError, ReadRequest};
use super::{EdgeRequest, Entry, READS_WAITING_MAX, report};
use crate::core::Core;
use crate::decided::Decided;
use crate::observed::{Report, SessionId, Standing, differs, now, standing};

/// Where the commands of a session go.
pub(crate) type Outgoing = mpsc::Sender<Result<v1::EdgeCommand, Status>>;

/// Serves a stream until one of its ends has enough; what went wrong is the last thing that is sent.
pub(crate) async fn serve(
    core: Arc<Core>,
    principal: Principal,
    mut incoming: Streaming<v1::EdgeReport>,
    outgoing: Outgoing,
) {
    let ended = match greet(&core, &principal, &mut incoming).await {
        Ok((edge, version, ports, entry)) => {
            core.observed.attached(&edge, entry.id, version, ports);
            tracing::info!(%edge, session = entry.id.0, "attached");
            let ended = Session::new(&core, edge.clone(), entry.id, &outgoing).run(incoming, entry).await;
            core.sessions.leave(&edge, ended.1);
            core.observed.detached(&edge, ended.1);
            look(&core, &edge);
            tracing::info!(%edge, session = ended.1.0, reason = ended.0.message(), "detached");
            ended.0
        }
        Err(status) => {
            tracing::warn!(edge = principal.name, reason = status.message(), "not attached");
            status
        }
    };
    let _ = timeout(Duration::from_secs(GOODBYE_SECONDS), outgoing.send(Err(ended))).await;
}

/// The first report: who speaks. It must be who the certificate says.
async fn greet(
    core: &Core,
    principal: &Principal,
    incoming: &mut Streaming<v1::EdgeReport>,
) -> Result<(NodeName, String, Vec<v1::PortStatus>, Entry), Status> {
    let first = timeout(Duration::from_secs(HELLO_SECONDS), incoming.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded(format!("no Hello within {HELLO_SECONDS} s")))??;
    let Some(v1::edge_report::Report::Hello(hello)) = first.and_then(|first| first.report) else {
        return Err(Status::invalid_argument("the first report is no Hello"));
    };
    if hello.edge != principal.name {
        let said: String = hello.edge.chars().take(64).collect();
        return Err(Status::permission_denied(format!("`{said}` is not the edge that the certificate names")));
    }
    let edge: NodeName =
        report::name(&hello.edge, "hello.edge").map_err(|e| Status::invalid_argument(e.to_string()))?;
    let intents = core.decided().intents.clone();
    let node = intents.topology().and_then(|(_, topology)| topology.nodes.get(edge.as_str()));
    if node.is_some_and(|node| !node.control().is_told()) {
        let why = format!("`{edge}` has no agent by the topology; expected `control: agent` or `control: linux`");
        return Err(Status::permission_denied(why));
    }
    let entry = core.sessions.enter(&edge).map_err(|error| Status::resource_exhausted(error.to_string()))?;
    let (version, ports) = report::hello(hello);
    Ok((edge, version, ports, entry))
}

struct Session<'a> {
    core: &'a Core,
    edge: NodeName,
    id: SessionId,
    outgoing: &'a Outgoing,
    decided: watch::Receiver<Arc<Decided>>,
    /// What the edge runs, once it has said so.
    report: Option<Report>,
    /// The program that was sent last.
    sent: Option<Generation>,
    /// When a program that was refused is sent once more.
    retry: Option<Instant>,
    /// The program is to be sent, whatever the edge runs.
    repair: bool,
    /// Questions that are not sent yet.
    questions: VecDeque<v1::Read>,
    /// Questions that are not answered yet, by their id.
    waiting: BTreeMap<u64, (Gathered, oneshot::Sender<Result<Gathered, ReadError>>)>,
    last_read: u64,
}

impl<'a> Session<'a> {
    fn new(core: &'a Core, edge: NodeName, id: SessionId, outgoing: &'a Outgoing) -> Self {
        Self {
            core,
            edge,
            id,
            outgoing,
            decided: core.watch(),
            report: None,
            sent: None,
            retry: None,
            repair: false,
            questions: VecDeque::new(),
            waiting: BTreeMap::new(),
            last_read: 0,
        }
    }

    /// Runs until the stream ends; says why.
    async fn run(mut self, mut incoming: Streaming<v1::EdgeReport>, mut entry: Entry) -> (Status, SessionId) {
        let mut stopping = self.core.stopping();
        let ended = loop {
            let due = self.program_due();
            let retry = self.retry;
            tokio::select! {
                permit = self.outgoing.reserve(), if due.is_some() || !self.questions.is_empty() => {
                    let Ok(permit) = permit else { break Status::cancelled("the edge has closed the stream") };
                    if let Some(command) = self.command(due) {
                        permit.send(Ok(command));
                    }
                }
                report = incoming.message() => match report {
                    Ok(Some(report)) => if let Err(status) = self.take(report) { break status },
                    Ok(None) => break Status::cancelled("the edge has ended the stream"),
                    Err(status) => break status,
                },
                changed = self.decided.changed() => {
                    if changed.is_err() {
                        break Status::unavailable("the manager is stopping");
                    }
                    look(self.core, &self.edge);
                }
                Some(request) = entry.requests.recv() => match request {
                    EdgeRequest::Read(request) => self.ask(request),
                    EdgeRequest::Repair => self.repair = self.takes_programs(),
                },
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    self.retry = None;
                    self.sent = None;
                }
                _ = &mut entry.replaced => break Status::aborted("a later stream of this edge takes its place"),
                () = self.outgoing.closed() => break Status::cancelled("the edge has closed the stream"),
                _ = stopping.wait_for(|stopping| *stopping) => break Status::unavailable("the manager is stopping"),
            }
        };
        (ended, self.id)
    }

    /// Would the edge run a program that it is sent, if there is one?
    fn takes_programs(&self) -> bool {
        let decided = self.decided.borrow();
        decided.plan.programs.contains_key(&self.edge)
            && matches!(
                standing(&decided, &self.edge, self.report.as_ref()),
                Standing::InStep | Standing::Behind | Standing::Drifted
            )
    }

    /// The generation of the program that the edge should be sent now.
    fn program_due(&self) -> Option<Generation> {
        let decided = self.decided.borrow();
        let target = decided.plan.programs.get(&self.edge)?.generation;
        let is_due = match standing(&decided, &self.edge, self.report.as_ref()) {
            Standing::Behind => self.repair || self.sent.is_none_or(|sent| sent < target),
            Standing::InStep | Standing::Drifted => self.repair,
            Standing::Unknown | Standing::Foreign => false,
        };
        is_due.then_some(target)
    }

    fn command(&mut self, due: Option<Generation>) -> Option<v1::EdgeCommand> {
        use v1::edge_command::Command;
        let command = if due.is_some() {
            let decided = self.decided.borrow().clone();
            let program = decided.plan.programs.get(&self.edge)?;
            self.sent = Some(program.generation);
            self.repair = false;
            tracing::info!(edge = %self.edge, generation = %program.generation, "program sent");
            Command::Program(program.into())
        } else {
            Command::Read(self.questions.pop_front()?)
        };
        Some(v1::EdgeCommand { command: Some(command) })
    }

    fn take(&mut self, report: v1::EdgeReport) -> Result<(), Status> {
        match report.report {
            Some(v1::edge_report::Report::Realised(realised)) => self.realised(realised),
            Some(v1::edge_report::Report::Reading(part)) => {
                self.answered(part);
                Ok(())
            }
            Some(v1::edge_report::Report::Hello(_)) => Err(Status::invalid_argument("a second Hello")),
            // A kind of report that this build does not know: the edge is newer, which is no reason to part.
            None => Ok(()),
        }
    }

    fn realised(&mut self, realised: v1::Realised) -> Result<(), Status> {
        let report = report::read(&self.edge, realised, now()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        let standing = standing(&self.decided.borrow(), &self.edge, Some(&report));
        let generation = report.generation;
        match &report.refusal {
            _ if standing == Standing::Foreign => {
                tracing::error!(edge = %self.edge, %generation, "the edge reports what was never decided here");
            }
            Some(refused) => {
                let (refused, reason) = (refused.generation, refused.reason.as_str());
                tracing::warn!(edge = %self.edge, %generation, %refused, reason, "the edge refuses a program");
            }
            None if standing == Standing::Drifted => {
                let differs = differs(&report.drift);
                tracing::warn!(edge = %self.edge, %generation, differs, "the edge reports differences");
            }
            None => tracing::info!(edge = %self.edge, %generation, ?standing, "the edge reports"),
        }
        let refuses = standing == Standing::Behind && report.refusal.is_some();
        self.retry = refuses.then(|| Instant::now() + Duration::from_secs(REFUSED_RETRY_SECONDS));
        self.repair &= standing != Standing::Foreign;
        self.report = Some(report.clone());
        if self.core.observed.reported(&self.edge, self.id, report) {
            look(self.core, &self.edge);
            self.core.writer.reported();
        }
        Ok(())
    }

    fn ask(&mut self, request: ReadRequest) {
        self.waiting.retain(|_, (_, reply)| !reply.is_closed());
        self.questions.retain(|read| self.waiting.contains_key(&read.id));
        if self.waiting.len() >= READS_WAITING_MAX {
            let _ = request.reply.send(Err(ReadError::Busy));
            return;
        }
        self.last_read += 1;
        self.questions.push_back(request.question.read(self.last_read));
        self.waiting.insert(self.last_read, (Gathered::default(), request.reply));
    }

    fn answered(&mut self, part: v1::Reading) {
        let (id, last) = (part.id, part.last);
        // An answer that nobody waits for any more.
        let Some((mut gathered, reply)) = self.waiting.remove(&id) else { return };
        let result = if part.problem.is_empty() {
            gathered.add(&self.edge, part)
        } else {
            Err(ReadError::Problem(part.problem.chars().filter(|c| !c.is_control()).take(PROBLEM_CHARS_MAX).collect()))
        };
        match result {
            Ok(()) if !last => drop(self.waiting.insert(id, (gathered, reply))),
            Ok(()) => drop(reply.send(Ok(gathered))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }
}

/// Notes what differs on an edge from now on, and what no more.
fn look(core: &Core, edge: &NodeName) {
    let observed = core.observed.of(edge);
    core.drift.look(&core.decided(), edge, observed.as_deref(), now());
}

/// How long an edge has for its first word.
const HELLO_SECONDS: u64 = 10;
/// How long the last word to an edge may take.
const GOODBYE_SECONDS: u64 = 1;
/// After what time a program that an edge has refused is sent to it once more.
const REFUSED_RETRY_SECONDS: u64 = 30;
const PROBLEM_CHARS_MAX: usize = 1_024;
