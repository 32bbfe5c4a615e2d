//! The agent: the node's end of the stream to the manager. It reconnects by itself; the node works without it.

use std::time::Duration;

use api::v1;
use api::v1::edge_command::Command;
use api::v1::edge_report::Report;
use api::v1::edge_service_client::EdgeServiceClient;
use model::Generation;
use model::program::Program;
use model::resource::SegmentId;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use crate::config::TlsMaterial;
use crate::node::Node;
use crate::told::in_full;

/// Where the manager is, and how the edge shows who it is.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    pub(crate) uri: Uri,
    pub(crate) tls: TlsMaterial,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("can't connect")]
    Connect(#[from] tonic::transport::Error),
    #[error("the manager refused or ended the stream: {}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    #[error("the manager ended the stream")]
    Closed,
}

impl From<tonic::Status> for Ended {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// Speaks to the manager until it is told to stop; then ends what the node does for it.
pub(crate) async fn run(mut node: impl Node, manager: Option<Manager>, mut stop: watch::Receiver<bool>) {
    match manager {
        None => drop(stop.wait_for(|stop| *stop).await),
        Some(manager) => {
            let mut patience = Backoff::default();
            loop {
                let started = tokio::time::Instant::now();
                let ended = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    ended = attach(&mut node, &manager) => ended,
                };
                if started.elapsed() > STEADY {
                    patience = Backoff::default();
                }
                let wait = patience.next();
                if let Err(error) = ended {
                    let reason = in_full(&error);
                    tracing::warn!(reason, ?wait, "not attached to the manager; the node goes on");
                }
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
    node.stop().await;
}

/// One stream, from its hello to its end.
async fn attach(node: &mut impl Node, manager: &Manager) -> Result<(), Ended> {
    let channel = connect(manager).await?;
    let (reports, outgoing) = mpsc::channel(REPORTS_MAX);
    // The manager waits for the hello before it answers, so it is on its way first.
    send(&reports, Report::Hello(node.hello())).await?;
    let mut pulse = node.pulse().await;
    let mut last = node.realised().await;
    send(&reports, Report::Realised(last.clone())).await?;
    let mut client = EdgeServiceClient::new(channel).max_decoding_message_size(MESSAGE_OCTETS_MAX);
    let mut commands: Streaming<v1::EdgeCommand> = client.attach(ReceiverStream::new(outgoing)).await?.into_inner();
    tracing::info!(manager = %manager.uri, "attached to the manager");
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            command = commands.message() => match command?.ok_or(Ended::Closed)?.command {
                Some(Command::Program(program)) => {
                    take(node, program).await;
                    pulse = node.pulse().await;
                    last = node.realised().await;
                    send(&reports, Report::Realised(last.clone())).await?;
                }
                Some(Command::Read(read)) => answer(node, &reports, read).await?,
                None => tracing::warn!("the manager sent a command that this build does not know"),
            },
            _ = look.tick() => {
                let beat = node.pulse().await;
                if beat != pulse {
                    pulse = beat;
                    let now = node.realised().await;
                    if now != last {
                        last = now;
                        send(&reports, Report::Realised(last.clone())).await?;
                    }
                }
            }
        }
    }
}

async fn connect(manager: &Manager) -> Result<Channel, Ended> {
    let TlsMaterial { ca, certificate, key } = &manager.tls;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .identity(Identity::from_pem(certificate, key.as_bytes()));
    let endpoint = Endpoint::from(manager.uri.clone())
        .tls_config(tls)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect().await?)
}

async fn send(reports: &mpsc::Sender<v1::EdgeReport>, report: Report) -> Result<(), Ended> {
    reports.send(v1::EdgeReport { report: Some(report) }).await.map_err(|_| Ended::Closed)
}

/// A program is read, its digest checked, and run.
async fn take(node: &mut impl Node, message: v1::Program) {
    let generation = Generation::new(message.generation);
    match Program::try_from(message) {
        Ok(program) => node.apply(program).await,
        Err(error) => node.refuse_unread(generation, error).await,
    }
}

/// Answers a reading in parts, so that none is larger than a message may be.
async fn answer(node: &impl Node, reports: &mpsc::Sender<v1::EdgeReport>, read: v1::Read) -> Result<(), Ended> {
    let part = || v1::Reading { id: read.id, ..v1::Reading::default() };
    let mut parts: Vec<v1::Reading> = Vec::new();
    let problem = match ask(node, &read).await {
        Ok(all) => {
            parts.extend(all.drops.chunks(ROWS_MAX).map(|rows| v1::Reading { drops: rows.to_vec(), ..part() }));
            parts.extend(all.meters.chunks(ROWS_MAX).map(|rows| v1::Reading { meters: rows.to_vec(), ..part() }));
            parts.extend(all.sessions.chunks(ROWS_MAX).map(|rows| v1::Reading { sessions: rows.to_vec(), ..part() }));
            let counters = all.aaa_counters.chunks(ROWS_MAX);
            parts.extend(counters.map(|rows| v1::Reading { aaa_counters: rows.to_vec(), ..part() }));
            parts.extend(all.program.map(|program| v1::Reading { program: Some(program), ..part() }));
            parts.extend(all.paths.chunks(ROWS_MAX).map(|rows| v1::Reading { paths: rows.to_vec(), ..part() }));
            parts.extend(all.sids.chunks(ROWS_MAX).map(|rows| v1::Reading { sids: rows.to_vec(), ..part() }));
            parts.extend(all.labels.chunks(ROWS_MAX).map(|rows| v1::Reading { labels: rows.to_vec(), ..part() }));
            parts.extend(
                all.segments.chunks(SEGMENTS_MAX).map(|rows| v1::Reading { segments: rows.to_vec(), ..part() }),
            );
            parts.extend(all.slices.chunks(ROWS_MAX).map(|rows| v1::Reading { slices: rows.to_vec(), ..part() }));
            parts.extend(all.routes.chunks(ROWS_MAX).map(|rows| v1::Reading { routes: rows.to_vec(), ..part() }));
            parts.extend(all.ports.chunks(ROWS_MAX).map(|rows| v1::Reading { ports: rows.to_vec(), ..part() }));
            parts.extend(all.queues.chunks(ROWS_MAX).map(|rows| v1::Reading { queues: rows.to_vec(), ..part() }));
            parts.extend(all.shares.chunks(ROWS_MAX).map(|rows| v1::Reading { shares: rows.to_vec(), ..part() }));
            // A port has many classes.
            parts.extend(all.shaping.chunks(1).map(|rows| v1::Reading { shaping: rows.to_vec(), ..part() }));
            String::new()
        }
        Err(problem) => problem,
    };
    let end = v1::Reading { id: read.id, last: true, problem, ..v1::Reading::default() };
    for part in parts.into_iter().chain([end]) {
        send(reports, Report::Reading(part)).await?;
    }
    Ok(())
}

/// Has the segment watched that a reading asks for, and reads.
async fn ask(node: &impl Node, read: &v1::Read) -> Result<v1::Reading, String> {
    if !read.watch_segment.is_empty() {
        let slice = read.watch_slice.parse().map_err(|error| format!("watchSlice: {error}"))?;
        let segment = read.watch_segment.parse().map_err(|error| format!("watchSegment: {error}"))?;
        node.watch(SegmentId { slice, segment }).await;
    }
    node.read(read.kind()).await
}

/// Waits longer each time, and never the same for two edges.
#[derive(Debug, Default)]
struct Backoff {
    attempts: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = BACKOFF_MIN.saturating_mul(1 << self.attempts.min(6)).min(BACKOFF_MAX);
        self.attempts = self.attempts.saturating_add(1);
        // Up to half more. Without random numbers, edges that lost their manager together come back together, no more.
        let mut random = [0; 2];
        let _ = getrandom::fill(&mut random);
        let jitter = u32::from(u16::from_ne_bytes(random)) % 500;
        wait + wait * jitter / 1_000
    }
}

/// Reports that wait for the stream.
const REPORTS_MAX: usize = 16;
/// The largest program.
const MESSAGE_OCTETS_MAX: usize = 64 << 20;
/// Rows in one part of a reading.
const ROWS_MAX: usize = 1_000;
/// Segments in one part: each has tunnels to as many edges as there are, with the numbers that they send.
const SEGMENTS_MAX: usize = 100;
/// How often the edge looks whether it runs what it reported.
const LOOK: Duration = Duration::from_secs(1);
const CONNECT: Duration = Duration::from_secs(5);
/// A manager that does not answer for so long is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A stream that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_asks_again_soon_at_first_and_never_gives_up_nor_hurries() {
        let mut patience = Backoff::default();
        let waits: Vec<Duration> = (0..100).map(|_| patience.next()).collect();
        assert!(waits[0] < Duration::from_millis(150));
        for (at, wait) in waits.iter().enumerate() {
            let least = BACKOFF_MIN.saturating_mul(1 << at.min(6)).min(BACKOFF_MAX);
            assert!(*wait >= least && *wait <= least * 3 / 2, "{at}: {wait:?}");
        }
    }
}
