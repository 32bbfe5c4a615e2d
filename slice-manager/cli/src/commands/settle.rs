//! Waiting until slices are as was asked: not decided, not sent, but observed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::v1;
use api::v1::slice_service_client::SliceServiceClient;
use model::SliceName;
use tonic::Code;
use tonic::transport::Channel;

use super::Context;
use crate::args::WaitArgs;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::table;

/// How long somebody waits, for all parts of it together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    until: Instant,
    pub(super) timeout: Duration,
}

impl Waiting {
    /// From now on, if it was asked.
    pub(super) fn new(args: &WaitArgs) -> Option<Self> {
        args.wait.then(|| Self { until: Instant::now() + args.timeout, timeout: args.timeout })
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Until every slice is active.
pub(super) async fn active(
    context: &mut Context<'_>,
    channel: &Channel,
    slices: &BTreeSet<SliceName>,
    wait: &Waiting,
) -> Result<(), Error> {
    for slice in slices {
        until(context, channel, slice, wait, |status| {
            status.is_some_and(|status| status.state() == v1::SliceState::Active)
        })
        .await?;
    }
    Ok(())
}

/// Until no slice is there any more.
pub(super) async fn gone(
    context: &mut Context<'_>,
    channel: &Channel,
    slices: &BTreeSet<SliceName>,
    wait: &Waiting,
) -> Result<(), Error> {
    for slice in slices {
        until(context, channel, slice, wait, |status| status.is_none()).await?;
    }
    Ok(())
}

/// Is one of them removed, and not gone yet?
pub(super) async fn is_leaving(channel: &Channel, slices: &BTreeSet<SliceName>) -> bool {
    for slice in slices {
        let request = v1::GetSliceRequest { name: slice.to_string() };
        let status = client(channel).get_slice(request).await;
        if status.is_ok_and(|status| status.get_ref().state() == v1::SliceState::Terminating) {
            return true;
        }
    }
    false
}

/// Looks again and again, and tells each new reason once.
async fn until(
    context: &mut Context<'_>,
    channel: &Channel,
    slice: &SliceName,
    wait: &Waiting,
    wanted: impl Fn(Option<&v1::SliceStatus>) -> bool,
) -> Result<(), Error> {
    let mut told = String::new();
    loop {
        let request = v1::GetSliceRequest { name: slice.to_string() };
        let status = match client(channel).get_slice(request).await {
            Ok(status) => Some(status.into_inner()),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(context.manager.failed(&status)),
        };
        if wanted(status.as_ref()) {
            return Ok(());
        }
        let state = status.as_ref().map_or_else(|| "gone".to_owned(), state);
        let reason = status.map(|status| table::visible(&status.reason)).unwrap_or_default();
        if wait.left().is_zero() {
            return Err(Error::NotSettled { slice: slice.to_string(), state, after: wait.timeout, reason });
        }
        if reason != told {
            writeln!(context.err, "{slice} is {state}: {reason}")?;
            context.err.flush()?;
            told = reason;
        }
        tokio::time::sleep(LOOK.min(wait.left())).await;
    }
}

fn state(status: &v1::SliceStatus) -> String {
    table::short(status.state().as_str_name(), "SLICE_STATE_").to_lowercase()
}

fn client(channel: &Channel) -> SliceServiceClient<Channel> {
    SliceServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_OCTETS_MAX)
}

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(300);
