//! The writer: the one thread that decides and stores. Changes come to it one after another, so that two never plan
//! from the same parent; a call that is given up by its client is still carried through; and the blocking calls of the
//! store never stand in the way of the runtime.
//!
//! After each message it also takes in what edges have reported since: operations get on, quarantine ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::operation::{Operation, OperationId, OperationKind, OperationState, Timestamp};
use model::plan::Plan;
use model::profile::Catalog;
use model::{Generation, NodeName};
use tokio::sync::{oneshot, watch};

use crate::decided::{self, ChangeError, Decided, Decision, Issued, OPERATIONS_UNFINISHED_MAX, Wish};
use crate::observed::{Observed, Standing, confirmed, now, standing};
use crate::operations;
use crate::records::{self, RecordError, Records};
use crate::settled::Settled;
use crate::store::{Revision, Store, StoreError, Transaction};
use crate::transport::{Lookout, Suspects};

/// How the rest of the manager speaks to the writer.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    messages: mpsc::SyncSender<Message>,
    reported: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Message {
    Change { wish: Wish, requested_by: String, reply: oneshot::Sender<ChangeResult> },
    Reported,
    Stop,
}

/// The operation that a change led to; none if there was nothing to change.
type ChangeResult = Result<Option<Arc<Operation>>, ChangeError>;

impl WriterHandle {
    /// Makes a change. When it answers, the decision is durable and published.
    pub(crate) async fn change(&self, wish: Wish, requested_by: String) -> ChangeResult {
        let (reply, answer) = oneshot::channel();
        self.messages.try_send(Message::Change { wish, requested_by, reply }).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => ChangeError::Busy,
            mpsc::TrySendError::Disconnected(_) => ChangeError::Stopping,
        })?;
        answer.await.unwrap_or(Err(ChangeError::Stopping))
    }

    /// Says that an edge has reported something. Any number of reports wake the writer once; if the queue is full, it
    /// is awake and looks after its next message.
    pub(crate) fn reported(&self) {
        if !self.reported.swap(true, Ordering::AcqRel) {
            let _ = self.messages.try_send(Message::Reported);
        }
    }

    /// Ends the writer after the changes that wait already.
    pub(crate) async fn stop(&self) {
        let messages = self.messages.clone();
        let _ = tokio::task::spawn_blocking(move || messages.send(Message::Stop)).await;
    }
}

/// Starts the writer on a store that was read and found sound.
pub(crate) fn start(
    store: Box<dyn Store>,
    records: Records,
    catalog: Arc<Catalog>,
    observed: Arc<Observed>,
) -> std::io::Result<(WriterHandle, watch::Receiver<Arc<Decided>>, JoinHandle<()>)> {
    let (messages, inbox) = mpsc::sync_channel(CHANGES_WAITING_MAX);
    let reported = Arc::new(AtomicBool::new(false));
    let (target, decided) = taken_over(records, &Issued::default(), Arc::default());
    let (published, decided) = watch::channel(Arc::new(decided));
    let writer = Writer {
        store,
        catalog,
        observed,
        target,
        blind: false,
        lookout: Lookout::default(),
        avoided: Timestamp::default(),
        look: None,
        unavoidable: Arc::default(),
        settled: Settled::default(),
        gathering: None,
        published,
        reported: reported.clone(),
    };
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || writer.run(&inbox))?;
    Ok((WriterHandle { messages, reported }, decided, thread))
}

fn taken_over(records: Records, issued: &Issued, suspects: Arc<Suspects>) -> (Option<Revision>, Decided) {
    let decided = Decided {
        suspects,
        issued: Arc::new(issued.with(&records.plan)),
        intents: Arc::new(records.intents),
        plan: Arc::new(records.plan),
        operations: Arc::new(records.operations),
    };
    (records.target, decided)
}

struct Writer {
    store: Box<dyn Store>,
    catalog: Arc<Catalog>,
    observed: Arc<Observed>,
    /// The version of the stored target, by which the next is compared and set.
    target: Option<Revision>,
    /// A commit has failed, and the store could not be read since: what is in it is not known.
    blind: bool,
    lookout: Lookout,
    /// When links that lead nowhere last were a reason to plan.
    avoided: Timestamp,
    /// When links that lead nowhere are looked at again, whether anything is heard until then or not.
    look: Option<Timestamp>,
    /// The last links that could not be planned around; it is told once and tried again.
    unavoidable: Arc<Suspects>,
    /// What nodes have confirmed for long enough to be planned with.
    settled: Settled,
    /// Since when the next step waits for those who are about to be ready.
    gathering: Option<Instant>,
    published: watch::Sender<Arc<Decided>>,
    reported: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, inbox: &mpsc::Receiver<Message>) {
        while let Some(message) = self.next(inbox) {
            let outcome = match message {
                Message::Stop => return,
                Message::Reported => Ok(()),
                Message::Change { wish, requested_by, reply } => {
                    // What is in the store must be known before anything is decided from it.
                    let known = if self.blind { self.reread() } else { Ok(()) };
                    let result = known.map_err(ChangeError::from).and_then(|()| self.change(wish, requested_by));
                    let failed = matches!(result, Err(ChangeError::Store(_) | ChangeError::Records(_)));
                    let outcome = if failed { self.reread() } else { Ok(()) };
                    // A caller that is gone has its change all the same.
                    let _ = reply.send(result);
                    outcome
                }
            };
            // What is published was stored and goes on to hold; edges and readers need no more than that.
            self.blind = match outcome.and_then(|()| self.progress()) {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "the store can't be read; nothing is changed until it can");
                    true
                }
            };
        }
    }

    /// The next message; that something was reported, when what was is to count; `None` if nobody is left to send one.
    fn next(&self, inbox: &mpsc::Receiver<Message>) -> Option<Message> {
        // As long as the store can't be read, nothing settles.
        let due = self.settled.due().filter(|_| !self.blind);
        let settles = due.map(|due| due.checked_duration_since(Instant::now()).unwrap_or(PAUSE));
        let look = self.look.filter(|_| !self.blind);
        let looks = look.map(|due| Duration::from_millis(due.0.saturating_sub(now().0)).max(PAUSE));
        let Some(wait) = settles.into_iter().chain(looks).min() else { return inbox.recv().ok() };
        match inbox.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(mpsc::RecvTimeoutError::Timeout) => Some(Message::Reported),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
        }
    }

    /// What nodes have confirmed, and have run for a moment.
    fn confirmed(&mut self, decided: &Decided) -> BTreeMap<NodeName, Generation> {
        self.settled.look(&confirmed(decided, &self.observed.snapshot()), Instant::now())
    }

    fn decided(&self) -> Arc<Decided> {
        self.published.borrow().clone()
    }

    fn change(&mut self, wish: Wish, requested_by: String) -> ChangeResult {
        let decided = self.decided();
        let kind = match wish {
            Wish::Apply(_) => OperationKind::Apply,
            Wish::Delete(_) => OperationKind::Delete,
        };
        let confirmed = self.confirmed(&decided);
        let Some(decision) = decided::decide(&decided, wish, &self.catalog, &confirmed)? else { return Ok(None) };
        let operation = new_operation(&decided, kind, requested_by, &decision);
        let forgotten = surplus(&decided.operations);
        let given_up =
            unfinished_surplus(&decided.operations).map(|old| operations::given_up(old, &decided.plan, now()));
        let mut transaction = Transaction::new();
        for change in &decision.changes {
            let resource = decision.intents.get(&change.resource);
            transaction = records::put_intent(transaction, &change.resource, resource.as_ref());
        }
        transaction = records::put_target(transaction, &decision.plan, self.target);
        transaction = records::add_operation(transaction, &operation);
        transaction = given_up.iter().fold(transaction, records::put_operation);
        let stepped = stepped(&decided, &decision.plan, given_up.as_ref().map(|old| old.id));
        transaction = stepped.iter().fold(transaction, records::put_operation);
        transaction = forgotten.iter().fold(transaction, |t, id| records::delete_operation(t, *id));
        self.target = Some(self.store.commit(&transaction)?);
        let operation = Arc::new(operation);
        let mut operations = BTreeMap::clone(&decided.operations);
        operations.retain(|id, _| !forgotten.contains(id));
        operations.extend(given_up.into_iter().chain(stepped).map(|old| (old.id, Arc::new(old))));
        operations.insert(operation.id, operation.clone());
        self.publish(&decided, Some(decision.intents), (decision.plan, decision.suspects), operations);
        tracing::info!(operation = %operation.id, generation = %operation.generation, "decided");
        Ok(Some(operation))
    }

    /// Takes in what edges have reported.
    fn progress(&mut self) -> Result<(), RecordError> {
        self.reported.swap(false, Ordering::AcqRel);
        if self.blind {
            self.reread()?;
        }
        let stored = self.overtake().and_then(|()| self.advance()).and_then(|()| self.release());
        let stored = stored.and_then(|()| self.suspect());
        match stored {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(error = %chain(&error), "progress could not be stored; it is tried again");
                self.reread()
            }
        }
    }

    /// Edges that run what was never decided here are told anew what they must do.
    fn overtake(&mut self) -> Result<(), StoreError> {
        let decided = self.decided();
        let observations = self.observed.snapshot();
        let mut plan = None;
        for (edge, observed) in &observations {
            let report = observed.report.as_ref();
            if standing(&decided, edge, report) != Standing::Foreign {
                continue;
            }
            let Some(reported) = report.map(|report| report.generation) else { continue };
            let before = plan.as_ref().unwrap_or(&*decided.plan);
            if let Some(next) = decided::overtaken(before, edge, reported) {
                let generation = next.generation;
                tracing::error!(%edge, %reported, %generation, "the edge runs what is not in the store: changes were lost, or it has another manager; it is told anew");
                plan = Some(next);
            }
        }
        let Some(plan) = plan else { return Ok(()) };
        self.follow(&decided, (plan, decided.suspects.clone()))
    }

    /// Stores and publishes a plan that follows from no change of what is declared.
    fn follow(&mut self, decided: &Decided, (plan, suspects): (Plan, Arc<Suspects>)) -> Result<(), StoreError> {
        let stepped = stepped(decided, &plan, None);
        let transaction = records::put_target(Transaction::new(), &plan, self.target);
        self.target = Some(self.store.commit(&stepped.iter().fold(transaction, records::put_operation))?);
        let mut operations = BTreeMap::clone(&decided.operations);
        operations.extend(stepped.into_iter().map(|operation| (operation.id, Arc::new(operation))));
        self.publish(decided, None, (plan, suspects), operations);
        Ok(())
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        let decided = self.decided();
        let observations = self.observed.snapshot();
        let confirmed = confirmed(&decided, &observations);
        let (plan, at) = (&decided.plan, now());
        let advance = |operation: &Arc<Operation>| operations::advance(operation, plan, &confirmed, &observations, at);
        let advanced: Vec<Operation> = decided.operations.values().filter_map(advance).collect();
        if advanced.is_empty() {
            return Ok(());
        }
        self.store.commit(&advanced.iter().fold(Transaction::new(), records::put_operation))?;
        let mut operations = BTreeMap::clone(&decided.operations);
        for operation in advanced {
            let (id, state) = (operation.id, operation.state.as_str());
            tracing::info!(operation = %id, state, awaiting = operation.awaiting.len(), "the operation got on");
            operations.insert(id, Arc::new(operation));
        }
        self.published.send_replace(Arc::new(Decided { operations: Arc::new(operations), ..Decided::clone(&decided) }));
        Ok(())
    }

    /// Plans again if edges have confirmed that they have let go of what they had, or that they are ready for the next step
    /// of a change.
    fn release(&mut self) -> Result<(), StoreError> {
        let decided = self.decided();
        let confirmed = self.confirmed(&decided);
        if !decided::may_release(&decided, &confirmed) || self.gathers(&decided, &confirmed) {
            return Ok(());
        }
        let (plan, suspects) = match decided::sound_plan(&decided.intents, &decided, &self.catalog, &confirmed) {
            Ok((plan, _)) if plan == *decided.plan => return Ok(()),
            Ok(planned) => planned,
            Err(error) => {
                tracing::error!(%error, "what is declared can't be planned again; numbers stay in quarantine");
                return Ok(());
            }
        };
        let (generation, quarantine, awaiting) = (plan.generation, plan.quarantine.len(), plan.awaiting.len());
        self.follow(&decided, (plan, suspects))?;
        tracing::info!(%generation, quarantine, awaiting, "edges have let go, or are ready");
        Ok(())
    }

    /// Those who take the same step confirm it one after another: the next one is for all who have, if that is soon.
    fn gathers(&mut self, decided: &Decided, settled: &BTreeMap<NodeName, Generation>) -> bool {
        let confirmed = confirmed(decided, &self.observed.snapshot());
        let ready = |known| decided::ready(&decided.plan, known).len();
        let since = *self.gathering.get_or_insert_with(Instant::now);
        let gathers = ready(&confirmed) > ready(settled) && since.elapsed() < GATHER_MAX;
        if !gathers {
            self.gathering = None;
        }
        gathers
    }

    /// Plans again if other links are found to lead nowhere than those that the plan was made around. Suspects count only
    /// together with a plan that was made around them; until there is one, all stays as it was.
    fn suspect(&mut self) -> Result<(), StoreError> {
        let decided = self.decided();
        let (observations, at) = (self.observed.snapshot(), now());
        let suspects = Arc::new(self.lookout.look(&decided, &observations, at));
        self.look = self.lookout.due();
        if suspects == decided.suspects {
            self.unavoidable = Arc::default();
            return Ok(());
        }
        if at.0.abs_diff(self.avoided.0) < AVOID_INTERVAL_MILLIS {
            let again = Timestamp(self.avoided.0.saturating_add(AVOID_INTERVAL_MILLIS));
            self.look = Some(self.look.map_or(again, |due| due.min(again)));
            return Ok(());
        }
        self.avoided = at;
        let links = suspects.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let confirmed = self.confirmed(&decided);
        let plan = decided::next_plan(&decided.intents, &decided.plan, &self.catalog, &confirmed, &suspects);
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                if suspects != self.unavoidable {
                    tracing::error!(%error, links, "what is declared can't be planned around links that lead nowhere");
                    self.unavoidable = suspects;
                }
                return Ok(());
            }
        };
        self.unavoidable = Arc::default();
        if plan == *decided.plan {
            self.publish(&decided, None, (plan, suspects), BTreeMap::clone(&decided.operations));
            return Ok(());
        }
        tracing::warn!(generation = %plan.generation, links, "planned again, for these links lead nowhere");
        self.follow(&decided, (plan, suspects))
    }

    fn publish(
        &self,
        before: &Decided,
        intents: Option<plan::Intents>,
        (plan, suspects): (Plan, Arc<Suspects>),
        operations: BTreeMap<OperationId, Arc<Operation>>,
    ) {
        self.published.send_replace(Arc::new(Decided {
            intents: intents.map_or_else(|| before.intents.clone(), Arc::new),
            issued: Arc::new(before.issued.with(&plan)),
            plan: Arc::new(plan),
            operations: Arc::new(operations),
            suspects,
        }));
    }

    /// After a commit that failed, what is in the store is what counts, be it ours or another's.
    fn reread(&mut self) -> Result<(), RecordError> {
        let records = Records::load(self.store.as_ref())?;
        let before = self.decided();
        let (target, decided) = taken_over(records, &before.issued, before.suspects.clone());
        self.target = target;
        self.published.send_replace(Arc::new(decided));
        Ok(())
    }
}

fn new_operation(decided: &Decided, kind: OperationKind, requested_by: String, decision: &Decision) -> Operation {
    let awaiting = decided::changed(&decided.plan, &decision.plan);
    let is_done =
        awaiting.is_empty() && !decided::is_under_way(&decision.plan, decision.plan.generation, &decision.changes);
    let state = if is_done { OperationState::Completed } else { OperationState::Processing };
    let at = now();
    Operation {
        id: OperationId(decided.operations.last_key_value().map_or(0, |(id, _)| id.0).saturating_add(1)),
        kind,
        state,
        started: at,
        state_entered: at,
        requested_by,
        generation: decision.plan.generation,
        changes: decision.changes.clone(),
        awaiting,
        problem: None,
    }
}

/// Operations that await more with a plan that takes a step of their change.
fn stepped(decided: &Decided, plan: &Plan, but: Option<OperationId>) -> Vec<Operation> {
    let others = decided.operations.values().filter(|operation| Some(operation.id) != but);
    others.filter_map(|operation| operations::step(operation, &decided.plan, plan)).collect()
}

/// The oldest operation that waits for edges, if there is no room for one more.
fn unfinished_surplus(operations: &BTreeMap<OperationId, Arc<Operation>>) -> Option<&Operation> {
    let mut unfinished = operations.values().filter(|operation| !operation.state.is_final());
    let oldest = unfinished.next()?;
    (unfinished.count() + 1 >= OPERATIONS_UNFINISHED_MAX).then_some(oldest.as_ref())
}

/// The oldest finished operations, as many as are too many when one more comes.
fn surplus(operations: &BTreeMap<OperationId, Arc<Operation>>) -> Vec<OperationId> {
    let finished = operations.values().filter(|o| o.state.is_final()).map(|o| o.id);
    finished.take((operations.len() + 1).saturating_sub(OPERATIONS_KEPT_MAX)).collect()
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// How many changes may wait for their turn.
pub(crate) const CHANGES_WAITING_MAX: usize = 256;
/// How long links that lead nowhere are no reason to plan again after they were one, in milliseconds: a path that comes and
/// goes changes programs no more often than edges can follow. Tests do not wait so long.
const AVOID_INTERVAL_MILLIS: u64 = if cfg!(test) { 50 } else { 5_000 };
/// How long the next step of a change waits for others to be ready for it, too.
const GATHER_MAX: Duration = Duration::from_secs(1);
/// When what has settled is looked at again, if that is overdue: planning took long, or the store can't be written.
const PAUSE: Duration = Duration::from_millis(250);
/// How many operations are remembered; the oldest finished ones are forgotten first.
const OPERATIONS_KEPT_MAX: usize = 2_000;

const _: () = assert!(OPERATIONS_KEPT_MAX > OPERATIONS_UNFINISHED_MAX);

#[cfg(test)]
mod tests;
