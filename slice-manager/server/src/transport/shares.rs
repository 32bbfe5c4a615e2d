//! Who may send how much by each port of an edge: what its program makes of its schedulers, and what they run, in the same words.
//!
//! Rates are compared to the bit: a scheduler keeps what it was told, and says so only while that is what runs.

use std::fmt::Display;

use api::v1;
use model::program::{PortTree, ProgramContent, SegmentShare, SliceShare};
use model::{Rate, RateLimits};

/// What the schedulers of an edge should run.
pub(super) fn wanted(content: &ProgramContent) -> impl Iterator<Item = (String, String)> {
    content.trees().into_iter().flat_map(|tree| {
        let PortTree { port, rate, slices } = tree;
        let limits = |limits: RateLimits| (limits.guaranteed(), limits.ceiling());
        let mut things = vec![(port_name(port), rate.to_string())];
        // What belongs to no slice shares what they leave.
        let rest = held((Rate::ZERO, rate), 1, Rate::ZERO, false);
        things.extend([(class_name("", 0, port), rest.clone()), (share_name(("", ""), 0, port), rest)]);
        for SliceShare { slice, limits: of_slice, weight, segments } in slices {
            let text = held(limits(of_slice), weight.get().into(), Rate::ZERO, false);
            things.push((class_name(slice.slice.as_str(), 0, port), text));
            things.extend(segments.into_iter().map(|SegmentShare { segment, limits: own, low_latency }| {
                let id = (segment.id.slice.as_str(), segment.id.segment.as_str());
                (share_name(id, 0, port), held(limits(own), segment.weight.get().into(), low_latency, false))
            }));
        }
        things
    })
}

/// A port and its slices as an edge has them.
pub(super) fn found_port(shaping: &v1::PortShaping) -> Vec<(String, String)> {
    let port = &shaping.port;
    let whole = (port_name(port), rate(shaping.rate_bits_per_second).to_string());
    let classes = shaping.classes.iter().map(|class| {
        let text = held(limits(class.limits), class.weight.unwrap_or_default(), Rate::ZERO, false);
        (class_name(&class.slice, class.number, port), text)
    });
    std::iter::once(whole).chain(classes).collect()
}

/// A segment at a port as an edge has it.
pub(super) fn found(share: &v1::SegmentShare) -> (String, String) {
    let text = held(limits(share.limits), share.weight, rate(share.low_latency_bits_per_second), share.leaving);
    (share_name((&share.slice, &share.segment), share.number, &share.port), text)
}

fn port_name(port: &impl Display) -> String {
    format!("shaping of {port}")
}

/// By its name, if it has one: a slice that goes has only the number that it had.
fn class_name(slice: &str, number: u32, port: &impl Display) -> String {
    match (slice, number) {
        ("", 0) => format!("rest on {port}"),
        ("", number) => format!("slice number {number} on {port}"),
        (slice, _) => format!("class of {slice} on {port}"),
    }
}

fn share_name((slice, segment): (&str, &str), number: u32, port: &impl Display) -> String {
    match (segment, number) {
        ("", 0) => format!("segment of the rest on {port}"),
        ("", number) => format!("segment number {number} on {port}"),
        (segment, _) => format!("segment {slice}/{segment} on {port}"),
    }
}

fn held((guaranteed, ceiling): (Rate, Rate), weight: u32, low_latency: Rate, leaves: bool) -> String {
    let low = if low_latency.is_zero() { String::new() } else { format!(", low latency {low_latency}") };
    let leaves = if leaves { ", goes when nothing of it waits" } else { "" };
    format!("guaranteed {guaranteed}, ceiling {ceiling}, weight {weight}{low}{leaves}")
}

fn limits(limits: Option<v1::RateLimits>) -> (Rate, Rate) {
    let limits = limits.unwrap_or_default();
    (rate(limits.guaranteed_bits_per_second), rate(limits.ceiling_bits_per_second))
}

const fn rate(bits: u64) -> Rate {
    Rate::from_bits_per_second(bits)
}

#[cfg(test)]
mod tests {
    use model::profile::QueueClass;
    use model::program::{AccessPort, CorePort, PortShaping, QueueProgram, SliceClass};
    use model::{ClassNumber, Weight};

    use super::*;
    use crate::edges::Gathered;
    use crate::transport::forwarding;

    fn content() -> ProgramContent {
        let slice = "iot".parse().unwrap();
        let limits = RateLimits::new(rate(499_999), rate(2_000_003)).unwrap();
        let class = SliceClass { number: ClassNumber::MIN, slice, limits, weight: Weight::MAX, vnis: Vec::new() };
        let queue = QueueProgram {
            queue: QueueClass::BestEffort,
            weight: Weight::MIN,
            octets_max: 1,
            time_max_nanos: 1,
            codel: None,
        };
        ProgramContent {
            core_ports: vec![CorePort { port: "core0".parse().unwrap(), addresses: Vec::new(), mtu: 1_600 }],
            access_ports: vec![AccessPort { port: "access0".parse().unwrap(), rate: rate(5_000_000) }],
            shaping: vec![PortShaping { port: "core0".parse().unwrap(), rate: rate(10_000_001), classes: vec![class] }],
            queues: vec![queue],
            ..ProgramContent::empty("edge-a".parse().unwrap())
        }
    }

    fn class(number: u32, slice: &str, (guaranteed, ceiling): (u64, u64), weight: u32) -> v1::SliceClass {
        let limits = v1::RateLimits { guaranteed_bits_per_second: guaranteed, ceiling_bits_per_second: ceiling };
        v1::SliceClass { number, slice: slice.to_owned(), limits: Some(limits), weight: Some(weight), vnis: Vec::new() }
    }

    #[test]
    fn an_edge_is_compared_to_the_bit_and_what_has_no_name_is_told_by_its_number() {
        // A slice without SDPs here has no share: the program only speaks of the link.
        let wanted: Vec<_> = forwarding::wanted(&content()).collect();
        let rest = "guaranteed 0 bit/s, ceiling 10000001 bit/s, weight 1".to_owned();
        let expected = [
            ("shaping of core0".to_owned(), "10000001 bit/s".to_owned()),
            ("rest on core0".to_owned(), rest.clone()),
            ("segment of the rest on core0".to_owned(), rest.clone()),
        ];
        assert_eq!(wanted, expected);
        let share = |number, slice: &str, segment: &str, leaving| v1::SegmentShare {
            port: "core0".into(),
            number,
            slice: slice.into(),
            segment: segment.into(),
            limits: Some(v1::RateLimits { guaranteed_bits_per_second: 7, ceiling_bits_per_second: 9 }),
            weight: 3,
            low_latency_bits_per_second: if number == 5 { 7 } else { 0 },
            leaving,
        };
        let found = Gathered {
            shaping: vec![v1::PortShaping {
                port: "core0".into(),
                rate_bits_per_second: 10_000_001,
                classes: vec![
                    class(0, "", (0, 10_000_001), 1),
                    class(1, "iot", (499_999, 2_000_003), 100),
                    class(2, "", (1, 2), 3),
                ],
            }],
            shares: vec![share(4, "iot", "metering", false), share(5, "", "", true)],
            ..Gathered::default()
        };
        let found: Vec<_> = forwarding::found(&found, Some(&content())).collect();
        let text = |what: &str, text: &str| (what.to_owned(), text.to_owned());
        assert_eq!(found[..2], expected[..2]);
        assert_eq!(
            found[2..],
            [
                text("class of iot on core0", "guaranteed 499999 bit/s, ceiling 2000003 bit/s, weight 100"),
                text("slice number 2 on core0", "guaranteed 1 bit/s, ceiling 2 bit/s, weight 3"),
                text("segment iot/metering on core0", "guaranteed 7 bit/s, ceiling 9 bit/s, weight 3"),
                text(
                    "segment number 5 on core0",
                    "guaranteed 7 bit/s, ceiling 9 bit/s, weight 3, low latency 7 bit/s, goes when nothing of it waits"
                ),
            ]
        );
    }
}
