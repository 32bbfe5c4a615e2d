//! What templates come to: each value by hand from the template's file and the standard's table.

use crate::world::{CATALOG, REFERENCE, read, small};
use model::profile::{Catalog, FiveQi};
use model::program::{InnerMark, SessionRates};
use model::resource::Resource;
use model::{Latency, Rate, SliceName};
use plan::{Derivation, SliceDerivation, derive, explain};

fn slice(text: &str) -> Result<SliceDerivation, Vec<String>> {
    of(&CATALOG, text)
}

fn of(catalog: &Catalog, text: &str) -> Result<SliceDerivation, Vec<String>> {
    let Some(Resource::Slice(slice)) = read("slice.yaml", text).into_iter().next() else { panic!("a slice") };
    derive(catalog, &slice.name, &slice.spec).map_err(|refusals| refusals.iter().map(ToString::to_string).collect())
}

/// A slice that says nothing but its template.
fn bare(template: &str, sst: u8) -> String {
    format!(
        "apiVersion: microslice/v1\nkind: Slice\nmetadata: {{ name: x }}\nspec: {{ template: {template}, snssai: {{ sst: \
         {sst} }}, sdps: [] }}\n"
    )
}

fn line<'a>(lines: &'a [Derivation], source: &str) -> Vec<(&'a str, &'a str)> {
    lines.iter().filter(|line| line.source == source).map(|line| (line.field, line.result.as_str())).collect()
}

const UP_GUARANTEE: &str = "Uplink throughput per network slice: Guaranteed uplink throughput quota";
const DOWN_GUARANTEE: &str = "Downlink throughput per network slice: Guaranteed downlink throughput quota";
const FIVE_QI: &str = "Slice quality of service: 3GPP 5QI";

#[test]
fn templates_come_to_what_their_files_say() {
    for (template, sst, guaranteed, ceiling, latency_ms, octets, sessions, dscp, aaa) in [
        // 5QIs 1, 5, 6, 8, 9: 20 ms each; default 9.
        ("embb", 1, 50, 500, 20, 1500, 10_000, 0, false),
        // 5QI 82: 1 ms.
        ("urllc", 2, 10, 10, 1, 256, 200, 46, false),
        // 5QIs 8 and 9: 20 ms; 70: 10 ms, which counts. 50,000 PDU sessions are fewer than 100,000 UEs.
        ("miot", 3, 5, 20, 10, 1500, 50_000, 0, true),
        // 5QIs 3 and 79: 20 ms; 84: 5 ms, which counts. Default 79: CS4.
        ("v2x", 4, 20, 100, 5, 1400, 5_000, 32, false),
    ] {
        let found = slice(&bare(template, sst)).unwrap();
        let mbit = |rate: u64| Rate::from_bits_per_second(rate * 1_000_000);
        assert_eq!(
            (found.limits.guaranteed(), found.limits.ceiling()),
            (mbit(guaranteed), mbit(ceiling)),
            "{template}"
        );
        assert_eq!(found.latency, Some(Latency::from_nanos(latency_ms * 1_000_000)), "{template}");
        assert_eq!((found.packet_octets_max, found.sessions_max), (octets, Some(sessions)), "{template}");
        assert_eq!((found.default_dscp.get(), found.aaa_required), (dscp, aaa), "{template}");
    }
}

#[test]
fn classes_are_those_of_the_5qis() {
    let found = slice(&bare("v2x", 4)).unwrap();
    let classes: Vec<(u8, u8, u8, &str)> = found
        .classes
        .iter()
        .map(|(five_qi, class)| (five_qi.get(), class.dscp.get(), class.traffic_class.get(), class.queue.as_str()))
        .collect();
    // RFC 4594: CS4 is 32, EF is 46.
    assert_eq!(classes, [(3, 32, 4, "real-time"), (79, 32, 4, "real-time"), (84, 46, 5, "low-latency")]);
    assert!(found.classes.contains_key(&FiveQi::new(84).unwrap()));
}

#[test]
fn devices_may_use_the_marks_of_their_slice() {
    for (template, sst, flows, code_points, priorities) in [
        // 5, 6, 8 and 9 have no guaranteed bit rate. EF with admitted voice, CS5, AF1x. Voice is priority 5.
        ("embb", 1, &[5, 6, 8, 9][..], &[10, 12, 14, 40, 44, 46][..], &[5][..]),
        ("urllc", 2, &[], &[44, 46], &[5]),
        // AF1x, AF2x: nothing more urgent in a slice of meters. Excellent effort is AF21's.
        ("miot", 3, &[8, 9], &[10, 12, 14, 18, 20, 22], &[2]),
        // 79 is too large for a QFI, and 3 has a guaranteed bit rate.
        ("v2x", 4, &[], &[32, 44, 46], &[5]),
    ] {
        let found = slice(&bare(template, sst)).unwrap();
        let texts = flows.iter().map(|qfi| format!("QFI {qfi}"));
        let texts = texts.chain(code_points.iter().map(|dscp| format!("DSCP {dscp}")));
        let texts: Vec<String> =
            texts.chain(priorities.iter().map(|priority| format!("priority {priority}"))).collect();
        assert_eq!(line(&found.lines, "").last(), Some(&("markings", texts.join(", ").as_str())), "{template}");
        assert_eq!(found.markings.len(), texts.len());
        for marking in &found.markings {
            match marking.inner {
                // A flow is treated as its 5QI, which has the same number here.
                InnerMark::Qfi(qfi) => {
                    let class = &found.classes[&FiveQi::new(qfi.get().into()).unwrap()];
                    assert_eq!((marking.dscp, marking.queue), (class.dscp, class.queue));
                }
                InnerMark::Dscp(inner) => assert_eq!(marking.dscp, inner, "{template}"),
                InnerMark::Priority(priority) => assert_eq!(marking.dscp.get() >> 3, priority.get(), "{template}"),
            }
            assert!(found.classes.values().any(|class| class.queue == marking.queue), "{template}: {marking:?}");
        }
    }
}

#[test]
fn what_a_ue_may_send_and_receive_bounds_each_session() {
    let up = "Uplink maximum throughput per UE: Maximum Uplink Throughput per UE value";
    let down = "Downlink maximum throughput per UE: Maximum downlink throughput per UE value";
    // As their files say: 64 kbps up for meters, 100,000 kbps down for handsets; nothing for the others.
    let meters = slice(&bare("miot", 3)).unwrap();
    let rates = SessionRates { from_access: Some(Rate::from_bits_per_second(64_000)), to_access: None };
    assert_eq!(meters.session_rates, rates);
    assert_eq!(line(&meters.lines, up), [("sessionRateFromAccess", "64 kbit/s")]);
    let handsets = slice(&bare("embb", 1)).unwrap();
    let rates = SessionRates { from_access: None, to_access: Some(Rate::from_bits_per_second(100_000_000)) };
    assert_eq!(handsets.session_rates, rates);
    assert_eq!(line(&handsets.lines, down), [("sessionRateToAccess", "100 Mbit/s")]);
    assert_eq!(slice(&bare("urllc", 2)).unwrap().session_rates, SessionRates::default());
    // What the slice says itself counts, one way at a time.
    let own =
        |rates: &str| bare("miot", 3).replace("template: miot", &format!("template: miot, sessionRates: {rates}"));
    let found = slice(&own("{ fromAccess: 1 bit/s }")).unwrap();
    assert_eq!(found.session_rates.from_access, Some(Rate::from_bits_per_second(1)));
    assert_eq!(line(&found.lines, "spec.sessionRates.fromAccess"), [("sessionRateFromAccess", "1 bit/s")]);
    assert_eq!(line(&found.lines, up), [("", "")]);
    assert_eq!(
        slice(&own("{ toAccess: 0 bit/s }")).unwrap_err(),
        ["slice/x: spec.sessionRates: ceiling: 0 bit/s forwards nothing; expected more than 0 bit/s"]
    );
    // A session that may send nothing is none.
    let none = with_template(&format!("    \"{UP_GUARANTEE}\": 1 kbps\n    \"{up}\": 0 kbps\n"));
    assert_eq!(
        of(&none, &bare("own", 200)).unwrap_err(),
        ["slice/x: spec.template: ceiling: 0 bit/s forwards nothing; expected more than 0 bit/s"]
    );
}

#[test]
fn every_attribute_of_every_template_has_its_line() {
    for template in CATALOG.templates() {
        let lines = explain(&CATALOG, template);
        for (attribute, _) in template.spec.attributes.iter() {
            assert!(lines.iter().any(|line| line.source == attribute.name), "{}: {}", template.name, attribute.name);
        }
        for line in &lines {
            assert_eq!(line.field.is_empty(), line.result.is_empty(), "{line:?}");
            assert!(!line.rule.is_empty());
        }
    }
}

#[test]
fn the_larger_direction_counts_and_the_other_says_so() {
    let lines = explain(&CATALOG, CATALOG.template(&"miot".parse().unwrap()).unwrap());
    assert_eq!(line(&lines, UP_GUARANTEE), [("guaranteed", "5 Mbit/s")]);
    assert_eq!(line(&lines, DOWN_GUARANTEE), [("", "")]);
    assert_eq!(line(&lines, "NB-IoT support"), [("", "")]);
    let qi = line(&lines, FIVE_QI);
    assert_eq!(qi[3], ("latency", "10 ms"), "after a class for each of the three");
    let rule = |source: &str| lines.iter().find(|line| line.source == source).map(|line| line.rule.as_str());
    assert_eq!(rule("NB-IoT support"), Some("not a transport attribute"));
}

#[test]
fn what_the_slice_says_itself_counts() {
    let Some(Resource::Slice(iot)) = read("iot.yaml", REFERENCE[1].1).into_iter().next() else { panic!("a slice") };
    let found = derive(&CATALOG, &iot.name, &iot.spec).unwrap();
    assert_eq!(found.limits, iot.spec.rate.unwrap());
    assert_eq!(found.latency, iot.spec.latency.map(|latency| latency.max));
    assert_eq!(line(&found.lines, "spec.rate.guaranteed"), [("guaranteed", "20 Mbit/s")]);
    assert_eq!(line(&found.lines, "spec.latency.max"), [("latency", "10 ms")]);
    let overridden = found.lines.iter().find(|line| line.source == UP_GUARANTEE).unwrap();
    assert_eq!((overridden.field, overridden.rule.as_str()), ("", "overridden by spec.rate.guaranteed"));
    assert!(small().slices.contains_key(&"iot".parse::<SliceName>().unwrap()));
}

/// The built-in tables with one template of one's own.
fn with_template(attributes: &str) -> Catalog {
    let template = format!(
        "apiVersion: microslice/v1\nkind: Template\nmetadata: {{ name: own }}\nspec:\n  description: test\n  sst: 200\n  \
         defaultFiveQI: 9\n  attributes:\n    \"{FIVE_QI}\": [9]\n{attributes}"
    );
    let tables = [
        ("5qi.yaml", include_str!("../../../../profiles/5qi.yaml")),
        ("classes.yaml", include_str!("../../../../profiles/classes.yaml")),
        ("own.yaml", template.as_str()),
    ];
    Catalog::from_files(tables).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_silent_template_gets_what_ng_116_gives() {
    let catalog = with_template(&format!("    \"{UP_GUARANTEE}\": 1000 kbps\n"));
    let found = of(&catalog, &bare("own", 200)).unwrap();
    // No maximum: the guarantee is the ceiling, too. No packet size: 1500 bytes.
    assert_eq!(
        (found.limits.guaranteed(), found.limits.ceiling()),
        (found.limits.ceiling(), found.limits.guaranteed())
    );
    assert_eq!(found.limits.ceiling(), Rate::from_bits_per_second(1_000_000));
    assert_eq!((found.packet_octets_max, found.sessions_max, found.aaa_required), (1500, None, false));
}

#[test]
fn the_way_behind_the_upf_counts_if_it_must_be_shorter() {
    let attributes = |ms: u32| {
        format!("    \"{UP_GUARANTEE}\": 1 kbps\n    \"Latency from (last) UPF to Application Server\": {ms} ms\n")
    };
    let latency = |ms| of(&with_template(&attributes(ms)), &bare("own", 200)).unwrap().latency.unwrap().as_nanos();
    // 5QI 9 leaves the core network 20 ms.
    assert_eq!((latency(4), latency(40)), (4_000_000, 20_000_000));
}

#[test]
fn a_template_that_can_not_be_kept_is_refused() {
    let refused = |attributes: &str| of(&with_template(attributes), &bare("own", 200)).unwrap_err();
    assert_eq!(
        refused(""),
        [
            "slice/x: spec.rate: template `own` names no throughput per network slice; expected `rate` with guaranteed and \
          ceiling"
        ]
    );
    assert_eq!(
        refused(&format!(
            "    \"{UP_GUARANTEE}\": 2 kbps\n    \"Uplink throughput per network slice: Maximum uplink throughput\": 1 kbps\n"
        )),
        [
            "slice/x: spec.template: guaranteed: 2 kbit/s is more than the ceiling of 1 kbit/s; expected at most 1 kbit/s"
        ]
    );
    let size = |octets: u32| {
        format!("    \"{UP_GUARANTEE}\": 2 kbps\n    \"Maximum supported packet size\": {octets} bytes\n")
    };
    for octets in [0, 65_536] {
        assert_eq!(
            refused(&size(octets)),
            [format!("slice/x: spec.template: a packet of {octets} octets can't be; expected 1 to 65535")]
        );
    }
    assert!(of(&with_template(&size(65_535)), &bare("own", 200)).is_ok());
}
