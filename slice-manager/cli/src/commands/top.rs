//! What queues do now, again and again: on a terminal in its place, elsewhere one after the other.

use std::fmt::Write as _;

use api::v1;
use api::v1::dataplane_service_client::DataplaneServiceClient;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tonic::transport::Channel;

use super::queues::{Stay, of};
use super::readings::{away, narrow};
use super::{Context, rates};
use crate::args::{By, Form, TopArgs};
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn run(mut context: Context<'_>, args: &TopArgs) -> Result<(), Error> {
    let is_live = context.is_terminal && context.form == Form::Table;
    let mut stop = Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let channel = context.manager.connect().await?;
    if is_live {
        context.out.write_all(ENTER.as_bytes())?;
        context.out.flush()?;
    }
    let ended = watch(&mut context, args, channel, &mut stop, is_live).await;
    if is_live {
        // Whatever went wrong, the terminal is as it was.
        context.out.write_all(LEAVE.as_bytes())?;
        context.out.flush()?;
    }
    ended
}

/// Somebody has had enough.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn watch(
    context: &mut Context<'_>,
    args: &TopArgs,
    channel: Channel,
    stop: &mut Stop,
    is_live: bool,
) -> Result<(), Error> {
    let mut client = DataplaneServiceClient::new(channel).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let mut look = tokio::time::interval(args.every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<v1::ListQueuesResponse> = None;
    let mut shown = 0;
    while args.count.is_none_or(|count| shown < count) {
        let request = v1::ListQueuesRequest {
            edge: narrow(args.edge.as_ref()),
            slice: narrow(args.slice.as_ref()),
            segment: String::new(),
        };
        let read = async {
            look.tick().await;
            client.list_queues(request).await
        };
        let answer = tokio::select! {
            () = stop.told() => return Ok(()),
            answer = read => answer.map_err(|status| context.manager.failed(&status))?.into_inner(),
        };
        if let Some(before) = &before {
            show(context, args, &rates::between(before, &answer), is_live, shown > 0)?;
            shown += 1;
        }
        before = Some(answer);
    }
    Ok(())
}

fn show(
    context: &mut Context<'_>,
    args: &TopArgs,
    rates: &v1::DataplaneRates,
    is_live: bool,
    is_next: bool,
) -> Result<(), Error> {
    if is_live {
        let mut screen = HOME.to_owned();
        let unreachable = rates.unreachable.iter();
        let unreachable =
            unreachable.map(|edge| table::visible(&format!("{} is not in this: {}", edge.edge, edge.reason)));
        let text = text(rates, args.by, args.rows);
        for line in text.lines().map(str::to_owned).chain(unreachable) {
            let _ = write!(screen, "{line}{LINE_END}");
        }
        screen.push_str(REST);
        context.out.write_all(screen.as_bytes())?;
        context.out.flush()?;
        return Ok(());
    }
    match context.form {
        Form::Table if is_next => writeln!(context.out)?,
        Form::Yaml => writeln!(context.out, "---")?,
        _ => {}
    }
    output::write(context.out, context.form, rates, |rates| text(rates, args.by, args.rows))?;
    away(context.err, &rates.unreachable)
}

fn text(rates: &v1::DataplaneRates, by: By, rows: usize) -> String {
    let ports = rates.ports.iter().take(PORTS_SHOWN_MAX).map(|port| {
        [
            port.edge.clone(),
            port.port.clone(),
            port.rate_bits_per_second.map_or_else(|| "not known".to_owned(), table::rate),
            table::measured_rate(port.received_bits_per_second),
            table::measured_rate(port.sent_bits_per_second),
            format!("{:.0}", port.sent_frames_per_second),
            port.waiting_frames.to_string(),
        ]
    });
    let mut text = table::table(&["edge", "port", "rate", "received", "sent", "frames/s", "waiting"], ports);
    let is_idle = |queue: &v1::QueueRate| {
        let rates = [queue.sent_frames_per_second, queue.marked_frames_per_second, queue.dropped_frames_per_second];
        queue.waiting_frames == 0 && rates.iter().all(|rate| *rate == 0.0)
    };
    let is_wanted = |queue: &&v1::QueueRate| match by {
        By::Slice => queue.segment.is_empty(),
        By::Segment => !queue.segment.is_empty() || queue.slice.is_empty(),
    };
    let busy: Vec<_> = rates.queues.iter().filter(is_wanted).filter(|queue| !is_idle(queue)).collect();
    let shown = busy.iter().take(rows).map(|queue| queue_row(queue));
    let header = ["edge", "port", "of", "class", "sent", "frames/s", "waiting", "marked/s", "dropped/s", "99th stay"];
    text += &table::part("queues", &table::table(&header, shown));
    if busy.len() > rows {
        let _ = writeln!(text, "{} more; --rows says how many are shown", busy.len() - rows);
    }
    text
}

fn queue_row(queue: &v1::QueueRate) -> [String; 10] {
    let whose =
        v1::QueueCounter { slice: queue.slice.clone(), segment: queue.segment.clone(), ..v1::QueueCounter::default() };
    [
        queue.edge.clone(),
        queue.port.clone(),
        of(&whose),
        queue.class.clone(),
        table::measured_rate(queue.sent_bits_per_second),
        format!("{:.0}", queue.sent_frames_per_second),
        format!("{} ({} B)", queue.waiting_frames, queue.waiting_octets),
        format!("{:.1}", queue.marked_frames_per_second),
        format!("{:.1}", queue.dropped_frames_per_second),
        queue.p99.as_ref().map(|bucket| Stay::of(bucket).text()).unwrap_or_default(),
    ]
}

/// A screen of its own, without cursor, where long lines are cut (xterm's private modes 1049, 25 and 7).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the upper left corner; to the end of the line, and to the next one; to the end of the screen (ECMA-48).
const HOME: &str = "\x1b[H";
const LINE_END: &str = "\x1b[K\r\n";
const REST: &str = "\x1b[J";
/// The busiest ports: a terminal has 24 lines.
const PORTS_SHOWN_MAX: usize = 4;
