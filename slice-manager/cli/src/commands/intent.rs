//! Declaring: apply, plan, diff, delete.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use api::v1;
use api::v1::intent_service_client::IntentServiceClient;
use model::SliceName;
use model::resource::ResourceId;
use prost::{Message, Name};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::settle::{self, Waiting};
use super::{Context, operation};
use crate::args::{ApplyArgs, DeleteArgs, FilesArgs, Form};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::files::Files;
use crate::{output, table};

pub(super) async fn apply(mut context: Context<'_>, args: &ApplyArgs) -> Result<(), Error> {
    let files = Files::read(&args.files.files)?;
    let channel = context.manager.connect().await?;
    let resources = files.resources();
    let mut client = client(&channel);
    let answer = loop_while_busy(&mut client, async |client| {
        client.apply(v1::ApplyRequest { resources: resources.clone() }).await
    });
    let answer = answer.await.map_err(|status| context.refused(&files, &status))?.into_inner();
    let wait = Waiting::new(&args.wait);
    match answer.operation {
        None => {
            writeln!(context.err, "nothing changes")?;
            if let Some(wait) = &wait {
                settle::active(&mut context, &channel, &slices(files.ids()), wait).await?;
            }
            nothing(&mut context, &v1::ApplyResponse::default())
        }
        Some(operation) => match &wait {
            None => output::write(context.out, context.form, &operation, operation::one),
            Some(wait) => {
                let ended = operation::wait(&mut context, channel.clone(), operation, wait).await?;
                settle::active(&mut context, &channel, &slices(files.ids()), wait).await?;
                output::write(context.out, context.form, &ended, operation::one)
            }
        },
    }
}

pub(super) async fn delete(mut context: Context<'_>, args: &DeleteArgs) -> Result<(), Error> {
    let files = if args.files.is_empty() { None } else { Some(Files::read(&args.files)?) };
    let ids: Vec<ResourceId> = args.resources.iter().cloned().chain(files.iter().flat_map(Files::ids)).collect();
    let gone: BTreeSet<SliceName> =
        ids.iter().filter_map(|id| if let ResourceId::Slice(name) = id { Some(name.clone()) } else { None }).collect();
    let channel = context.manager.connect().await?;
    let resources: Vec<_> = ids.iter().map(|id| v1::ResourceRef { id: id.to_string() }).collect();
    let wait = Waiting::new(&args.wait);
    let mut client = client(&channel);
    let answer = loop_while_busy(&mut client, async |client| {
        client.delete(v1::DeleteRequest { resources: resources.clone() }).await
    });
    let operation = match (answer.await, &wait) {
        (Ok(answer), _) => answer.into_inner().operation,
        // Deleted already, and perhaps not gone yet: that is what is waited for.
        (Err(status), Some(wait)) if status.code() == Code::NotFound && settle::is_leaving(&channel, &gone).await => {
            writeln!(context.err, "deleted already")?;
            return settle::gone(&mut context, &channel, &gone, wait).await;
        }
        (Err(status), _) => {
            return Err(match &files {
                Some(files) => context.refused(files, &status),
                None => context.manager.failed(&status),
            });
        }
    };
    match (operation, &wait) {
        (None, _) => {
            writeln!(context.err, "nothing changes")?;
            nothing(&mut context, &v1::DeleteResponse::default())
        }
        (Some(operation), None) => output::write(context.out, context.form, &operation, operation::one),
        (Some(operation), Some(wait)) => {
            let ended = operation::wait(&mut context, channel.clone(), operation, wait).await?;
            settle::gone(&mut context, &channel, &gone, wait).await?;
            output::write(context.out, context.form, &ended, operation::one)
        }
    }
}

/// An answer that says that nothing was done: whoever reads JSON gets some, and people have been told.
fn nothing<M: Message + Name>(context: &mut Context<'_>, answer: &M) -> Result<(), Error> {
    if context.form == Form::Table {
        Ok(())
    } else {
        output::write(context.out, context.form, answer, |_| String::new())
    }
}

/// The slices that resources belong to.
fn slices(ids: impl Iterator<Item = ResourceId>) -> BTreeSet<SliceName> {
    ids.filter_map(|id| match id {
        ResourceId::Slice(slice) => Some(slice),
        ResourceId::MicroSegment(id) | ResourceId::Realm(id) => Some(id.slice),
        ResourceId::Topology(_) => None,
    })
    .collect()
}

fn client(channel: &Channel) -> IntentServiceClient<Channel> {
    IntentServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_OCTETS_MAX)
}

/// Asks again, for a while, as long as the manager has too many changes before it or another one came first.
async fn loop_while_busy<T>(
    client: &mut IntentServiceClient<Channel>,
    ask: impl AsyncFn(&mut IntentServiceClient<Channel>) -> Result<T, Status>,
) -> Result<T, Status> {
    let until = Instant::now() + BUSY;
    let mut pause = BUSY_PAUSE_MIN;
    loop {
        match ask(client).await {
            Err(status)
                if matches!(status.code(), Code::ResourceExhausted | Code::Aborted)
                    && Instant::now() + pause < until =>
            {
                // Those who were turned away together do not come back together.
                let mut random = [0; 1];
                let _ = getrandom::fill(&mut random);
                tokio::time::sleep(pause + pause * u32::from(random[0]) / 255).await;
                pause = (pause * 2).min(BUSY_PAUSE_MAX);
            }
            answer => return answer,
        }
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
    text += &table::part("links", &table::table(&["link", "from", "capacity", "booked", "left"], rows));
    let rows: Vec<_> = plan.programs.iter().flat_map(shares).collect();
    if !rows.is_empty() {
        let header = ["node", "port", "slice", "guaranteed", "ceiling", "weight"];
        text += &table::part("shares", &table::table(&header, rows));
    }
    text
}

/// How slices share the ports of a node.
fn shares(program: &v1::Program) -> impl Iterator<Item = [String; 6]> {
    let classes = program.shaping.iter().flat_map(|port| port.classes.iter().map(move |class| (port, class)));
    classes.map(|(port, class)| {
        let (guaranteed, ceiling) = table::limits(class.limits.as_ref());
        let weight = class.weight.unwrap_or(1).to_string();
        [program.edge.clone(), port.port.clone(), class.slice.clone(), guaranteed, ceiling, weight]
    })
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

/// How long a change is tried again while the manager is busy.
const BUSY: Duration = Duration::from_secs(30);
const BUSY_PAUSE_MIN: Duration = Duration::from_millis(100);
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(2);
