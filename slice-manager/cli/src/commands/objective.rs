//! What slices were promised, beside what was measured of it.

use api::v1;
use api::v1::objective_service_client::ObjectiveServiceClient;

use super::Context;
use super::readings::{away, narrow};
use crate::args::SloArgs;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn slo(context: Context<'_>, args: &SloArgs) -> Result<(), Error> {
    let mut client =
        ObjectiveServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let request = v1::MeasureObjectivesRequest {
        slice: narrow(args.name.as_ref()),
        interval_nanoseconds: u64::try_from(args.over.as_nanos()).unwrap_or(u64::MAX),
    };
    let answer = client.measure_objectives(request).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, text)?;
    away(context.err, &answer.unreachable)?;
    let missed = answer.slices.iter().filter(|slice| slice.verdict() == v1::Verdict::NotMet).count();
    match missed {
        0 => Ok(()),
        1 => Err(Error::NotSo("an objective of one slice is not met".to_owned())),
        missed => Err(Error::NotSo(format!("objectives of {missed} slices are not met"))),
    }
}

fn text(answer: &v1::MeasureObjectivesResponse) -> String {
    let slices = answer.slices.iter().map(|slice| [slice.slice.clone(), verdict(slice.verdict())]);
    let mut text = table::table(&["slice", "objectives"], slices);
    for slice in &answer.slices {
        text += &table::part(&format!("{}: rates", table::visible(&slice.slice)), &rates(&slice.rates));
        text +=
            &table::part(&format!("{}: delays, 99th percentile", table::visible(&slice.slice)), &delays(&slice.delays));
    }
    text
}

fn rates(rates: &[v1::RateObjective]) -> String {
    let rows = rates.iter().map(|rate| {
        let (guaranteed, ceiling) = table::limits(rate.promised.as_ref());
        let measured = |rate: Option<u64>| rate.map(table::measured_rate).unwrap_or_default();
        // What was not read is not nothing.
        let counted = |frames: u64| rate.sent_bits_per_second.map(|_| frames.to_string()).unwrap_or_default();
        [
            rate.edge.clone(),
            rate.sdp.clone(),
            rate.direction.clone(),
            guaranteed,
            ceiling,
            measured(rate.offered_bits_per_second),
            measured(rate.sent_bits_per_second),
            counted(rate.dropped_frames),
            counted(rate.waiting_frames),
            verdict(rate.guarantee()),
            verdict(rate.ceiling()),
            rate.reason.clone(),
        ]
    });
    let header = [
        "edge",
        "sdp",
        "direction",
        "guaranteed",
        "ceiling",
        "let in",
        "sent",
        "dropped",
        "waiting",
        "guarantee",
        "ceiling held",
        "why",
    ];
    table::table(&header, rows)
}

fn delays(delays: &[v1::DelayObjective]) -> String {
    let rows = delays.iter().map(|delay| {
        [
            format!("{} to {}, path {}", delay.from, delay.to, delay.path),
            if delay.backup { "backup" } else { "working" }.to_owned(),
            delay.promised_nanoseconds.map_or_else(|| "nothing".to_owned(), table::latency),
            delay.path_nanoseconds.map(table::measured).unwrap_or_default(),
            queueing(delay.sending_nanoseconds),
            queueing(delay.receiving_nanoseconds),
            loss(delay),
            verdict(delay.verdict()),
            delay.reason.clone(),
        ]
    });
    let header = ["path", "is its", "promised", "on the path", "sending", "receiving", "probes lost", "bound", "why"];
    table::table(&header, rows)
}

/// How long frames stayed in queues; the histogram tells nothing beyond its last bucket.
fn queueing(nanoseconds: Option<u64>) -> String {
    match nanoseconds {
        None => "not measured".to_owned(),
        Some(u64::MAX) => "beyond measure".to_owned(),
        Some(nanoseconds) => format!("< {}", table::measured(nanoseconds)),
    }
}

fn loss(delay: &v1::DelayObjective) -> String {
    match delay.probes_answered.saturating_add(delay.probes_lost) {
        0 => "not measured".to_owned(),
        all => format!("{} of {all}", delay.probes_lost),
    }
}

fn verdict(verdict: v1::Verdict) -> String {
    match verdict {
        v1::Verdict::Unspecified => "not promised",
        v1::Verdict::Met => "met",
        v1::Verdict::NotMet => "not met",
        v1::Verdict::NotMeasurable => "not measurable",
    }
    .to_owned()
}
