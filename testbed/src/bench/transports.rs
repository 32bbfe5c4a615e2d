//! Nanoseconds for a packet into a tunnel, on the way and out of it, for each service and transport, in memory, one core;
//! beside a frame that stays on its edge, interleaved with it, since the speed of a shared machine drifts.

use std::time::{Duration, Instant};

use model::resource::Service;
use transport_dataplane::BURST_FRAMES_MAX;

use super::chain::{Chain, Node, Over};
use super::{Row, median};

/// A node, what it is given, and where that arrives.
struct Case<'a> {
    node: &'a mut Node,
    frames: &'a [Vec<u8>],
    port: u8,
}

/// All rows; each after the first of a service has its ratio to that, which is plain forwarding.
pub(super) fn rows(mut say: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows = Vec::new();
    for (service, name) in [(Service::L2Multipoint, "l2-multipoint"), (Service::L3, "l3")] {
        for (over, transport) in Over::ALL {
            let mut chain = Chain::new(over, service, OCTETS);
            let Chain { here, core, there, sent, on_the_way, arrived, staying } = &mut chain;
            let mut plain_node = Chain::new(over, service, OCTETS).here;
            let cases = [
                ("encapsulate", Case { node: here, frames: sent, port: 0 }),
                ("pass on", Case { node: core, frames: on_the_way, port: 0 }),
                ("decapsulate", Case { node: there, frames: arrived, port: 1 }),
            ];
            for (what, mut case) in cases {
                let mut plain = Case { node: &mut plain_node, frames: staying, port: 0 };
                let (nanos, forward) = beside(&mut case, &mut plain);
                let row = Row {
                    figure: format!("{name}, {transport}: {what}"),
                    value: nanos,
                    unit: "ns/packet",
                    peer: Some("plain forwarding on one edge"),
                    peer_value: Some(forward),
                    ratio: Some(nanos / forward),
                    aim: None,
                    met: None,
                };
                say(&row);
                rows.push(row);
            }
        }
    }
    rows
}

/// The medians of both, burst by burst in turn.
fn beside(one: &mut Case<'_>, other: &mut Case<'_>) -> (f64, f64) {
    let mut samples = (Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES));
    for sample in 0..=SAMPLES {
        let mut spent = (Duration::ZERO, Duration::ZERO);
        for _ in 0..BURSTS {
            spent.0 += one.turn();
            spent.1 += other.turn();
        }
        // The first one warms up.
        if sample > 0 {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let nanos = |spent: Duration| spent.as_nanos() as f64 / (BURSTS * BURST_FRAMES_MAX) as f64;
            samples.0.push(nanos(spent.0));
            samples.1.push(nanos(spent.1));
        }
    }
    (median(samples.0), median(samples.1))
}

impl Case<'_> {
    fn turn(&mut self) -> Duration {
        self.node.load(self.frames);
        let start = Instant::now();
        self.node.process(self.port);
        let spent = start.elapsed();
        self.node.drain();
        spent
    }
}

/// The shortest frame, with its tag.
const OCTETS: usize = 68;
const SAMPLES: usize = 21;
const BURSTS: usize = 300;
