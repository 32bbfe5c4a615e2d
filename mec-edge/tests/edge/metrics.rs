//! What an edge shows Prometheus, read as strictly as the format is written, and held against what its readings say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use api::v1::ReadKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::forwarding::{Network, message};
use crate::queues::shaped;
use crate::world::{HEAD_END, METER};

/// A sample's name and labels, as they are written, and its value.
type Samples = BTreeMap<String, f64>;

/// A network in which edge-a has more to send than it may, and its page.
async fn page() -> (Network, String) {
    let mut network = Network::raise().await;
    network.streams[0].run(&shaped()).await;
    network.admit_all().await;
    for _ in 0..100 {
        assert!(network.access[0].send(&message(METER, HEAD_END, &[0; 958])));
    }
    network.settle().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    network.edges[0].serve_metrics(listener);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge-a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    (network, page.to_owned())
}

/// Reads the text format (version 0.0.4): each family once, with help and type before its samples; each sample once, with a
/// name that is the family's and labels that are; histograms that grow up to their count.
fn parse(page: &str) -> Samples {
    assert!(page.ends_with('\n'));
    let known: BTreeMap<&str, &metrics::Metric> =
        mec_edge::METRICS.iter().copied().chain([metrics::Metric::left_out()]).map(|m| (m.name, m)).collect();
    let (mut samples, mut families) = (Samples::new(), BTreeSet::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        let metric = known.get(name).unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(help, metric.help);
        assert!(families.insert(name), "{name} comes twice");
        assert_eq!(lines.next(), Some(format!("# TYPE {name} {}", metric.kind.as_str()).as_str()));
        assert!(lines.peek().is_some_and(|line| !line.starts_with('#')), "{name} has no sample");
        let mut before: Option<(String, f64, f64)> = None;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let (written, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let labels: Vec<(&str, &str)> = labels
                .trim_end_matches('}')
                .split_terminator(',')
                .map(|label| label.split_once('=').unwrap())
                .map(|(label, value)| (label, value.strip_prefix('"').unwrap().strip_suffix('"').unwrap()))
                .collect();
            let bound = labels.iter().find(|(label, _)| *label == "le").map(|(_, bound)| *bound);
            let named: Vec<&str> = labels.iter().map(|(label, _)| *label).filter(|label| *label != "le").collect();
            assert_eq!(named, metric.labels, "{line}");
            let expected = match (metric.kind, bound) {
                (metrics::Kind::Histogram, Some(_)) => format!("{name}_bucket"),
                (metrics::Kind::Histogram, None) => format!("{name}_count"),
                _ => name.to_owned(),
            };
            assert_eq!(written, expected, "{line}");
            let of = labels
                .iter()
                .filter(|(label, _)| *label != "le")
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
                .join(",");
            if let Some(bound) = bound {
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                let grows = before
                    .as_ref()
                    .is_none_or(|(whose, last, count)| *whose != of || (*last < bound && *count <= value));
                assert!(grows, "{line}");
                before = Some((of, bound, value));
            } else if metric.kind == metrics::Kind::Histogram {
                assert_eq!(before, Some((of, f64::INFINITY, value)), "{line}");
            }
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line} comes twice");
        }
    }
    samples
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_what_runs_in_the_format_to_the_letter() {
    let (mut network, page) = page().await;
    let samples = parse(&page);
    let value = |sample: &str| *samples.get(sample).unwrap_or_else(|| panic!("no {sample} in\n{page}"));
    // What the program says.
    assert!((value("microslice_generation{edge=\"edge-a\"}") - 2.0).abs() < f64::EPSILON);
    let rate = value("microslice_port_rate_bytes_per_second{edge=\"edge-a\",port=\"core0\"}");
    let guaranteed = value("microslice_port_guaranteed_bytes_per_second{edge=\"edge-a\",port=\"core0\"}");
    assert_eq!((rate.to_string(), guaranteed.to_string()), ("125000".to_owned(), "625".to_owned()));
    assert!(!samples.contains_key("microslice_port_rate_bytes_per_second{edge=\"edge-a\",port=\"access0\"}"));
    let of = "edge=\"edge-a\",slice=\"iot\",segment=\"metering\"";
    let meter = format!("{{{of},sdp=\"\",direction=\"from-access\"}}");
    assert!((value(&format!("microslice_meter_ceiling_bytes_per_second{meter}")) - 1_250.0).abs() < f64::EPSILON);
    // The trees hold the ceilings: no meter drops, and none claims that it dropped nothing.
    assert!(!page.contains("microslice_meter_dropped_frames_total"));
    // What was sent in: 100 frames of 1,000 octets, all of them counted, each once.
    assert!((value(&format!("microslice_meter_passed_bytes_total{meter}")) - 100_000.0).abs() < f64::EPSILON);
    let queue = "edge=\"edge-a\",port=\"core0\",slice=\"iot\",segment=\"metering\",class=\"best-effort\"";
    let [sent, waiting] =
        ["sent_frames_total", "waiting_frames"].map(|n| value(&format!("microslice_queue_{n}{{{queue}}}")));
    let dropped = value(&format!("microslice_queue_dropped_frames_total{{{queue},reason=\"queue-octets\"}}"));
    assert!((sent + waiting + dropped - 100.0).abs() < f64::EPSILON, "{sent} {waiting} {dropped}");
    assert!(waiting > 0.0);
    let class = "edge=\"edge-a\",port=\"core0\",slice=\"iot\",class=\"best-effort\"";
    assert!((value(&format!("microslice_slice_stay_seconds_count{{{class}}}")) - sent).abs() < f64::EPSILON);
    assert!((value(&format!("microslice_sessions{{{of}}}")) - 1.0).abs() < f64::EPSILON);
    assert!((value(&format!("microslice_aaa_ready{{{of}}}")) - 1.0).abs() < f64::EPSILON);
    assert!((value("microslice_worker_up{edge=\"edge-a\"}") - 1.0).abs() < f64::EPSILON);
    let arrived = "edge=\"edge-a\",port=\"access0\"";
    let by_reason = format!(
        "microslice_dropped_frames_total{{{arrived},slice=\"iot\",segment=\"metering\",reason=\"queue-octets\"}}"
    );
    assert!((value(&by_reason) - dropped).abs() < f64::EPSILON);
    let drops = network.streams[0].read(ReadKind::Drops).await.drops;
    assert!(drops.iter().any(|drop| drop.reason == "queue-octets" && drop.packets as f64 >= dropped));
    for edge in network.edges {
        edge.shutdown().await;
    }
}

/// The checker of those who made the format.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs promtool"]
async fn promtool_finds_nothing_wrong() {
    let (_network, page) = page().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &page).unwrap();
    let checked = Command::new("promtool").args(["check", "metrics"]).stdin(file.reopen().unwrap()).output().unwrap();
    let said = [checked.stdout, checked.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(checked.status.success() && said.is_empty(), "{said}\n{page}");
}
