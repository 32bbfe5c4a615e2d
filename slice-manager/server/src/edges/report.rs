//! From the message of an edge to what the manager keeps of it. An edge is let in by its certificate, but what it says
//! is checked like anything else that comes from outside.

use std::fmt::Display;
use std::str::FromStr;

use api::{ConvertError, ConvertProblem, v1};
use model::operation::Timestamp;
use model::{Digest, Generation, NodeName, SegmentName, SliceName, Vni};

use crate::observed::{Refused, Report};

/// What is wrong with a report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReportError {
    /// A field is ill-formed.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A generation and a digest come together or not at all.
    #[error("realised.digest: a digest of generation 0; expected none, for nothing was ever applied")]
    DigestOfNothing,
    /// A node that runs a whole program has a digest, and one that doesn't says what differs.
    #[error("realised.drift: {0} differences beside a digest; expected the one or the other")]
    DriftAndDigest(usize),
    /// Too many differences.
    #[error("realised.drift: {0} differences; expected at most {DRIFT_REPORTED_MAX}")]
    TooMuchDrift(usize),
    /// Too many segments.
    #[error("realised.segments: {0} segments; expected at most {SEGMENTS_REPORTED_MAX}")]
    TooManySegments(usize),
    /// Too many paths.
    #[error("realised.paths: {0} paths; expected at most {PATHS_REPORTED_MAX}")]
    TooManyPaths(usize),
}

/// Checks what an edge says that it runs.
pub(crate) fn read(edge: &NodeName, realised: v1::Realised, at: Timestamp) -> Result<Report, ReportError> {
    let generation = Generation::new(realised.generation);
    let digest = match (realised.generation, realised.digest.as_slice()) {
        (0, []) => None,
        (0, _) => return Err(ReportError::DigestOfNothing),
        (_, []) if !realised.drift.is_empty() => None,
        _ if !realised.drift.is_empty() => return Err(ReportError::DriftAndDigest(realised.drift.len())),
        (_, octets) => {
            let octets = <[u8; 32]>::try_from(octets).map_err(|_| ConvertProblem::Digest(octets.len()));
            Some(Digest::from_bytes(octets.map_err(|problem| at_field("realised.digest", problem))?))
        }
    };
    if realised.segments.len() > SEGMENTS_REPORTED_MAX {
        return Err(ReportError::TooManySegments(realised.segments.len()));
    }
    if realised.paths.len() > PATHS_REPORTED_MAX {
        return Err(ReportError::TooManyPaths(realised.paths.len()));
    }
    if realised.drift.len() > DRIFT_REPORTED_MAX {
        return Err(ReportError::TooMuchDrift(realised.drift.len()));
    }
    for (index, path) in realised.paths.iter().enumerate() {
        name::<NodeName, _>(&path.to, &format!("realised.paths[{index}].to"))?;
    }
    let segments = realised.segments.into_iter().enumerate().map(|(index, segment)| check(edge, index, segment));
    let refusal = realised.refusal.map(|refusal| Refused {
        generation: Generation::new(refusal.generation),
        reason: cut(&refusal.reason, REASON_CHARS_MAX),
    });
    let segments = segments.collect::<Result<_, _>>()?;
    let drift = realised.drift.into_iter().map(|drift| differs(edge, drift)).collect();
    Ok(Report { at, generation, digest, segments, paths: realised.paths, refusal, drift })
}

/// A difference, whatever node it names that of the one that reports it.
fn differs(edge: &NodeName, drift: v1::Drift) -> v1::Drift {
    let difference = drift.difference.unwrap_or_default();
    let [what, wanted, found] =
        [difference.what, difference.wanted, difference.found].map(|text| cut(&text, REASON_CHARS_MAX));
    v1::Drift { node: edge.to_string(), difference: Some(v1::Difference { what, wanted, found }), since: drift.since }
}

fn check(edge: &NodeName, index: usize, mut segment: v1::RealisedSegment) -> Result<v1::RealisedSegment, ConvertError> {
    let field = |name: &str| format!("realised.segments[{index}].{name}");
    let name = |result: Result<(), model::InvalidName>, field: String| result.map_err(|error| at_field(&field, error));
    name(segment.slice.parse::<SliceName>().map(drop), field("slice"))?;
    name(segment.segment.parse::<SegmentName>().map(drop), field("segment"))?;
    Vni::try_from(segment.vni).map_err(|error| at_field(&field("vni"), error))?;
    segment.edge = edge.to_string();
    segment.aaa_reason = cut(&segment.aaa_reason, REASON_CHARS_MAX);
    for (at, tunnel) in segment.tunnels.iter().enumerate() {
        let is_address = tunnel.remote.parse::<std::net::IpAddr>().is_ok();
        let wrong = || ConvertProblem::Text { what: "an IP address", found: cut(&tunnel.remote, 64) };
        is_address.then_some(()).ok_or_else(|| at_field(&field(&format!("tunnels[{at}].remote")), wrong()))?;
    }
    Ok(segment)
}

/// The ports and the version of a Hello, cut to what is fit to keep.
pub(crate) fn hello(hello: v1::Hello) -> (String, Vec<v1::PortStatus>) {
    let ports = hello.ports.into_iter().take(PORTS_REPORTED_MAX);
    let port = |port: v1::PortStatus| v1::PortStatus {
        port: cut(&port.port, 64),
        driver: cut(&port.driver, REASON_CHARS_MAX),
    };
    (cut(&hello.version, 64), ports.map(port).collect())
}

/// A name that came with a message.
pub(crate) fn name<T: FromStr<Err = E>, E: Into<ConvertProblem> + Display>(
    text: &str,
    field: &str,
) -> Result<T, ConvertError> {
    text.parse().map_err(|problem: E| at_field(field, problem))
}

fn at_field(path: &str, problem: impl Into<ConvertProblem>) -> ConvertError {
    ConvertError { path: path.to_owned(), problem: problem.into() }
}

/// Text for people, without control characters and not longer than is fit to show.
fn cut(text: &str, chars_max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(chars_max).collect()
}

const SEGMENTS_REPORTED_MAX: usize = 65_536;
const PATHS_REPORTED_MAX: usize = 65_536;
const PORTS_REPORTED_MAX: usize = 256;
const DRIFT_REPORTED_MAX: usize = 1_024;
const REASON_CHARS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> NodeName {
        "edge-a".parse().unwrap()
    }

    fn segment() -> v1::RealisedSegment {
        v1::RealisedSegment {
            edge: "edge-z".into(),
            slice: "iot".into(),
            segment: "smart-metering".into(),
            vni: 10_000,
            ..v1::RealisedSegment::default()
        }
    }

    fn refused(realised: v1::Realised) -> String {
        read(&edge(), realised, Timestamp(1)).unwrap_err().to_string()
    }

    #[test]
    fn a_segment_is_that_of_the_edge_that_reports_whatever_it_says() {
        let realised = v1::Realised {
            generation: 3,
            digest: vec![7; 32],
            segments: vec![segment()],
            refusal: Some(v1::Refusal { generation: 4, reason: "no\nport\u{7} access0".into() }),
            paths: vec![v1::RealisedPath { to: "edge-c".into(), id: 1, ..v1::RealisedPath::default() }],
            drift: Vec::new(),
        };
        let report = read(&edge(), realised, Timestamp(5)).unwrap();
        assert_eq!(report.generation, Generation::new(3));
        assert_eq!(report.digest, Some(Digest::from_bytes([7; 32])));
        assert_eq!(report.segments[0].edge, "edge-a");
        assert_eq!(report.refusal.unwrap().reason, "noport access0", "no control characters reach a terminal or a log");
    }

    #[test]
    fn an_edge_that_runs_nothing_has_no_digest() {
        let report = read(&edge(), v1::Realised::default(), Timestamp(5)).unwrap();
        assert_eq!((report.generation.get(), report.digest), (0, None));
        let digest = v1::Realised { digest: vec![0; 32], ..v1::Realised::default() };
        assert!(refused(digest).starts_with("realised.digest: a digest of generation 0"));
    }

    #[test]
    fn a_node_says_what_differs_or_that_nothing_does_and_not_both() {
        let difference = v1::Difference { what: "route\u{7}".into(), wanted: "x".repeat(2_000), found: String::new() };
        let drift = v1::Drift { node: "edge-z".into(), difference: Some(difference), since: None };
        let with = |digest: Vec<u8>, drift| v1::Realised { generation: 3, digest, drift, ..v1::Realised::default() };
        let report = read(&edge(), with(Vec::new(), vec![drift.clone()]), Timestamp(5)).unwrap();
        assert_eq!((report.generation.get(), report.digest), (3, None));
        let told = report.drift[0].difference.as_ref().unwrap();
        assert_eq!((report.drift[0].node.as_str(), told.what.as_str(), told.wanted.len()), ("edge-a", "route", 1_024));
        let both = refused(with(vec![7; 32], vec![drift.clone()]));
        assert_eq!(both, "realised.drift: 1 differences beside a digest; expected the one or the other");
        let many = refused(with(Vec::new(), vec![drift; DRIFT_REPORTED_MAX + 1]));
        assert_eq!(many, "realised.drift: 1025 differences; expected at most 1024");
    }

    #[test]
    fn an_ill_formed_report_is_refused_with_its_field() {
        let short = v1::Realised { generation: 1, digest: vec![0; 31], ..v1::Realised::default() };
        assert_eq!(refused(short), "realised.digest: 31 octets; expected the 32 of a SHA-256 digest");
        let none = v1::Realised { generation: 1, ..v1::Realised::default() };
        assert_eq!(refused(none), "realised.digest: 0 octets; expected the 32 of a SHA-256 digest");
        let with = |change: fn(&mut v1::RealisedSegment)| {
            let mut wrong = segment();
            change(&mut wrong);
            refused(v1::Realised { segments: vec![segment(), wrong], ..v1::Realised::default() })
        };
        assert!(with(|s| s.vni = 1 << 24).starts_with("realised.segments[1].vni: 16777216 is not a VNI"));
        assert!(with(|s| s.slice = "I/O".into()).starts_with("realised.segments[1].slice: `I/O` is not"));
        assert!(with(|s| s.segment = String::new()).starts_with("realised.segments[1].segment: `` is not"));
        let tunnel = with(|s| {
            s.tunnels.push(v1::RealisedTunnel { remote: "edge-c".into(), ..v1::RealisedTunnel::default() });
        });
        assert_eq!(tunnel, "realised.segments[1].tunnels[0].remote: `edge-c` is not an IP address");
        let path = v1::RealisedPath { to: "Edge C".into(), ..v1::RealisedPath::default() };
        let paths = refused(v1::Realised { paths: vec![path.clone()], ..v1::Realised::default() });
        assert!(paths.starts_with("realised.paths[0].to: `Edge C` is not"), "{paths}");
        let many = v1::Realised { paths: vec![path; PATHS_REPORTED_MAX + 1], ..v1::Realised::default() };
        assert!(refused(many).starts_with("realised.paths: 65537 paths; expected at most 65536"));
        let many = v1::Realised { segments: vec![segment(); SEGMENTS_REPORTED_MAX + 1], ..v1::Realised::default() };
        assert!(refused(many).starts_with("realised.segments: 65537 segments; expected at most 65536"));
    }
}
