//! Declaring: apply, plan, diff, delete.

use std::fmt::Write as _;

use api::v1;
use api::v1::intent_service_client::IntentServiceClient;
use model::resource::ResourceId;

use super::{Context, operation};
use crate::args::{ApplyArgs, DeleteArgs, FilesArgs, WaitArgs};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::files::Files;
use crate::{output, table};

pub(super) async fn apply(context: Context<'_>, args: &ApplyArgs) -> Result<(), Error> {
    let files = Files::read(&args.files.files)?;
    let channel = context.manager.connect().await?;
    let request = v1::ApplyRequest { resources: files.resources() };
    let answer =
        IntentServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_OCTETS_MAX).apply(request).await;
    let answer = answer.map_err(|status| context.refused(&files, &status))?.into_inner();
    changed(context, channel, answer.operation, &args.wait).await
}

pub(super) async fn delete(context: Context<'_>, args: &DeleteArgs) -> Result<(), Error> {
    let files = if args.files.is_empty() { None } else { Some(Files::read(&args.files)?) };
    let ids: Vec<ResourceId> = args.resources.iter().cloned().chain(files.iter().flat_map(Files::ids)).collect();
    let channel = context.manager.connect().await?;
    let resources = ids.iter().map(|id| v1::ResourceRef { id: id.to_string() }).collect();
    let answer = IntentServiceClient::new(channel.clone())
        .max_decoding_message_size(ANSWER_OCTETS_MAX)
        .delete(v1::DeleteRequest { resources })
        .await;
    let answer = answer.map_err(|status| match &files {
        Some(files) => context.refused(files, &status),
        None => context.manager.failed(&status),
    });
    changed(context, channel, answer?.into_inner().operation, &args.wait).await
}

/// Tells of the operation, and waits for it if that was asked.
async fn changed(
    mut context: Context<'_>,
    channel: tonic::transport::Channel,
    operation: Option<v1::Operation>,
    wait: &WaitArgs,
) -> Result<(), Error> {
    match operation {
        None => {
            writeln!(context.err, "nothing changes")?;
            Ok(())
        }
        Some(operation) if wait.wait => operation::wait(&mut context, channel, operation, wait.timeout).await,
        Some(operation) => output::write(context.out, context.form, &operation, operation::one),
    }
}

pub(super) async fn plan(context: Context<'_>, args: &FilesArgs) -> Result<(), Error> {
    let files = Files::read(&args.files)?;
    let request = v1::PlanRequest { resources: files.resources() };
    let answer = IntentServiceClient::new(context.manager.connect().await?)
        .max_decoding_message_size(ANSWER_OCTETS_MAX)
        .plan(request)
        .await;
    let answer = answer.map_err(|status| context.refused(&files, &status))?.into_inner();
    output::write(context.out, context.form, &answer, plan_text)
}

fn plan_text(answer: &v1::PlanResponse) -> String {
    let Some(plan) = &answer.plan else { return "nothing is planned\n".to_owned() };
    let mut text = if answer.changes.is_empty() {
        format!("nothing changes; generation {}\n", plan.generation)
    } else {
        format!("generation {} would change {}\n", plan.generation, list_or_none(&answer.edges))
    };
    text += &table::part("changes", &operation::changes(&answer.changes));
    let rows = plan.allocations.iter().map(|a| {
        [
            a.slice.clone(),
            a.segment.clone(),
            a.vni.to_string(),
            a.access_port.to_string(),
            (u64::from(a.access_port) + 1).to_string(),
        ]
    });
    text +=
        &table::part("numbers", &table::table(&["slice", "segment", "vni", "access port", "accounting port"], rows));
    if !plan.quarantine.is_empty() {
        let rows = plan.quarantine.iter().map(|q| {
            let a = q.allocation.clone().unwrap_or_default();
            let awaiting = q.awaiting.iter().map(|w| format!("{} ({})", w.edge, w.generation)).collect::<Vec<_>>();
            [format!("{}/{}", a.slice, a.segment), a.vni.to_string(), a.access_port.to_string(), awaiting.join(", ")]
        });
        text +=
            &table::part("in quarantine", &table::table(&["was", "vni", "access port", "until confirmed by"], rows));
    }
    let rows = plan
        .paths
        .iter()
        .map(|p| [p.from.clone(), p.to.clone(), p.links.join(", "), table::latency(p.delay_nanoseconds)]);
    text += &table::part("paths", &table::table(&["from", "to", "links", "delay"], rows));
    let rows = answer.headroom.iter().filter(|h| h.booked_bits_per_second > 0).map(|h| {
        let left = h.capacity_bits_per_second.saturating_sub(h.booked_bits_per_second);
        [
            h.link.clone(),
            h.from.clone(),
            table::rate(h.capacity_bits_per_second),
            table::rate(h.booked_bits_per_second),
            table::rate(left),
        ]
    });
    text + &table::part("links", &table::table(&["link", "from", "capacity", "booked", "left"], rows))
}

fn list_or_none(items: &[String]) -> String {
    if items.is_empty() { "no edge".to_owned() } else { items.join(", ") }
}

pub(super) async fn diff(context: Context<'_>, args: &FilesArgs) -> Result<(), Error> {
    let files = Files::read(&args.files)?;
    let request = v1::DiffRequest { resources: files.resources() };
    let answer = IntentServiceClient::new(context.manager.connect().await?)
        .max_decoding_message_size(ANSWER_OCTETS_MAX)
        .diff(request)
        .await;
    let answer = answer.map_err(|status| context.refused(&files, &status))?.into_inner();
    output::write(context.out, context.form, &answer, diff_text)
}

fn diff_text(answer: &v1::DiffResponse) -> String {
    if answer.resources.is_empty() {
        return "nothing differs\n".to_owned();
    }
    let mut text = String::new();
    for resource in &answer.resources {
        let change = resource.change.clone().unwrap_or_default();
        let _ = writeln!(text, "{} {}", operation::sign(change.kind()), change.resource);
        for field in &resource.fields {
            let shown = |value: &str| if value.is_empty() { "-".to_owned() } else { value.to_owned() };
            let _ = writeln!(text, "    {}: {} -> {}", field.path, shown(&field.declared), shown(&field.wanted));
        }
    }
    text
}

impl Context<'_> {
    /// A refusal, with lines of the files where they are known.
    fn refused(&self, files: &Files, status: &tonic::Status) -> Error {
        self.manager.lost(status).unwrap_or_else(|| files.explain(status))
    }
}
