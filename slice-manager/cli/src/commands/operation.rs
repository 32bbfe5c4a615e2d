//! Operations: listing, showing, waiting.

use std::collections::BTreeSet;
use std::io::Write;

use api::v1;
use api::v1::operation_service_client::OperationServiceClient;
use model::operation::OperationId;
use tonic::transport::Channel;

use super::Context;
use super::settle::Waiting;
use crate::args::Form;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(context: Context<'_>, limit: u32) -> Result<(), Error> {
    let mut client =
        OperationServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.list_operations(v1::ListOperationsRequest { page_size: limit }).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer.operations.iter().map(|op| {
            let changes: Vec<String> =
                op.resource_changes.iter().map(|c| format!("{} {}", sign(c.kind()), c.resource)).collect();
            [
                op.id.clone(),
                op.state().as_str_name().to_owned(),
                op.generation.to_string(),
                table::moment(op.start_time.as_ref()),
                op.requested_by.clone(),
                changes.join(", "),
            ]
        });
        table::table(&["id", "state", "generation", "started", "by", "changes"], rows)
    })
}

pub(super) async fn show(context: Context<'_>, id: OperationId) -> Result<(), Error> {
    let mut client =
        OperationServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_operation(v1::GetOperationRequest { id: id.to_string() }).await;
    let operation = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &operation, one)
}

pub(super) async fn watch(context: Context<'_>, id: OperationId) -> Result<(), Error> {
    let mut client =
        OperationServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.watch_operation(v1::GetOperationRequest { id: id.to_string() }).await;
    let mut stream = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    let mut told = Progress::default();
    while let Some(operation) = stream.message().await.map_err(|status| context.manager.failed(&status))? {
        match context.form {
            Form::Table => told.tell(&operation, context.out)?,
            Form::Json => output::write(context.out, context.form, &operation, one)?,
            Form::Yaml => {
                writeln!(context.out, "---")?;
                output::write(context.out, context.form, &operation, one)?;
            }
        }
        if is_final(&operation) {
            return verdict(&operation);
        }
    }
    Err(Error::WatchEnded(id.to_string()))
}

/// Waits until the operation has ended well, and answers it. What happens meanwhile is told on the error output; an operation
/// that has ended otherwise, on the output.
pub(super) async fn wait(
    context: &mut Context<'_>,
    channel: Channel,
    operation: v1::Operation,
    wait: &Waiting,
) -> Result<v1::Operation, Error> {
    let mut last = operation;
    let timeout = wait.timeout;
    let Ok(ended) = tokio::time::timeout(wait.left(), follow(context, channel, &mut last)).await else {
        let awaiting: Vec<String> =
            last.awaiting.iter().map(|w| format!("{} (generation {})", w.edge, w.generation)).collect();
        let (state, awaiting) = (last.state().as_str_name(), awaiting.join(", "));
        return Err(Error::TimedOut { id: last.id, state, after: timeout, awaiting });
    };
    ended?;
    if let Err(error) = verdict(&last) {
        output::write(context.out, context.form, &last, one)?;
        return Err(error);
    }
    Ok(last)
}

async fn follow(context: &mut Context<'_>, channel: Channel, last: &mut v1::Operation) -> Result<(), Error> {
    let request = v1::GetOperationRequest { id: last.id.clone() };
    let answer = OperationServiceClient::new(channel)
        .max_decoding_message_size(ANSWER_OCTETS_MAX)
        .watch_operation(request)
        .await;
    let mut stream = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    let mut told = Progress::default();
    told.tell(last, context.err)?;
    while let Some(operation) = stream.message().await.map_err(|status| context.manager.failed(&status))? {
        told.tell(&operation, context.err)?;
        *last = operation;
        if is_final(last) {
            return Ok(());
        }
    }
    Err(Error::WatchEnded(last.id.clone()))
}

/// What was told already.
#[derive(Default)]
struct Progress {
    awaiting: Option<BTreeSet<String>>,
    problem: Option<String>,
}

impl Progress {
    /// One line for each edge that has come to run it, and for each new problem.
    fn tell(&mut self, operation: &v1::Operation, out: &mut dyn Write) -> Result<(), Error> {
        let awaiting: BTreeSet<String> = operation.awaiting.iter().map(|w| w.edge.clone()).collect();
        match &self.awaiting {
            None if awaiting.is_empty() => {
                writeln!(out, "{}: generation {}, no edge changes", operation.id, operation.generation)?;
            }
            None => {
                let edges = awaiting.iter().cloned().collect::<Vec<_>>().join(", ");
                writeln!(
                    out,
                    "{}: generation {}, decided and stored; awaiting {edges}",
                    operation.id, operation.generation
                )?;
            }
            Some(before) => {
                for edge in before.difference(&awaiting) {
                    writeln!(out, "{edge} runs generation {}", operation.generation)?;
                }
            }
        }
        self.awaiting = Some(awaiting);
        let problem = operation
            .problem
            .as_ref()
            .map(|p| format!("{} can't run generation {}: {}", p.edge, p.generation, p.reason));
        if problem != self.problem {
            if let Some(problem) = &problem {
                writeln!(out, "{}", table::visible(problem))?;
            }
            self.problem = problem;
        }
        out.flush()?;
        Ok(())
    }
}

fn is_final(operation: &v1::Operation) -> bool {
    use v1::OperationState::{Completed, Failed, FailedTemp, RolledBack};
    // An edge that can't run it tries again, but whoever waits should hear of it.
    matches!(operation.state(), Completed | Failed | RolledBack | FailedTemp)
}

fn verdict(operation: &v1::Operation) -> Result<(), Error> {
    if operation.state() == v1::OperationState::Completed {
        return Ok(());
    }
    let reason = operation.problem.as_ref().map(|p| table::visible(&format!("{}: {}", p.edge, p.reason)));
    Err(Error::Operation { id: operation.id.clone(), state: operation.state().as_str_name(), reason })
}

/// One operation for people.
pub(super) fn one(operation: &v1::Operation) -> String {
    let awaiting =
        operation.awaiting.iter().map(|w| format!("{} (generation {})", w.edge, w.generation)).collect::<Vec<_>>();
    let problem =
        operation.problem.as_ref().map(|p| format!("{} can't run generation {}: {}", p.edge, p.generation, p.reason));
    let head = table::pairs(&[
        ("operation", operation.id.clone()),
        ("state", operation.state().as_str_name().to_owned()),
        ("generation", operation.generation.to_string()),
        ("started", table::moment(operation.start_time.as_ref())),
        ("state since", table::moment(operation.state_entered_time.as_ref())),
        ("by", operation.requested_by.clone()),
        ("awaiting", awaiting.join(", ")),
        ("problem", problem.unwrap_or_default()),
    ]);
    head + &changes(&operation.resource_changes)
}

/// Changes, one a line.
pub(super) fn changes(changes: &[v1::ResourceChange]) -> String {
    changes
        .iter()
        .fold(String::new(), |text, change| text + &format!("  {} {}\n", sign(change.kind()), change.resource))
}

/// `+`, `~` or `-`.
pub(super) const fn sign(kind: v1::ChangeKind) -> char {
    match kind {
        v1::ChangeKind::Add => '+',
        v1::ChangeKind::Remove => '-',
        v1::ChangeKind::Modify | v1::ChangeKind::Unspecified => '~',
    }
}
