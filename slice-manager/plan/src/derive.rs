//! What a template and a slice come to: rates, a bound on delay, a packet size, limits and classes; and, line by line,
//! which attribute became which of them by which rule.
//!
//! It decides nothing that depends on the network. The parts of a template that concern the radio, the 5G core or the
//! business are not the transport's; each still has its line, which says so.

use std::collections::BTreeMap;
use std::fmt;

use model::profile::{Attributes, Catalog, ClassRow, FiveQi, GstValue, QueueClass, Template};
use model::program::{InnerMark, Marking, SessionRates};
use model::resource::{LatencyObjective, ResourceId, SliceSpec};
use model::{Dscp, InvalidLimits, Latency, Rate, RateLimits, SliceName, TrafficClass};

use crate::refusal::{PACKET_OCTETS_MAX, Refusal, RefusalReason};

/// What a slice comes to before the network is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceDerivation {
    /// What each SDP is guaranteed and what it may not exceed, each way.
    pub limits: RateLimits,
    /// How long the underlay may take from one SDP to another.
    pub latency: Option<Latency>,
    /// The longest layer-3 packet of a device, in octets.
    pub packet_octets_max: u16,
    /// How many endpoints a segment of the slice may have on one edge, if the template bounds it.
    pub sessions_max: Option<u32>,
    /// How each of the slice's 5QIs is treated.
    pub classes: BTreeMap<FiveQi, ClassRow>,
    /// Written into the outer header of traffic that no rule classifies.
    pub default_dscp: Dscp,
    /// Written into the label stack of the same traffic.
    pub default_traffic_class: TrafficClass,
    /// What becomes of the marks that its devices may use.
    pub markings: Vec<Marking>,
    /// The class in which its guarantee is booked, and the queue of the same traffic.
    pub default_class: QueueClass,
    /// What each session may send and receive.
    pub session_rates: SessionRates,
    /// Must every segment have a realm?
    pub aaa_required: bool,
    /// Line by line, where all of this comes from.
    pub lines: Vec<Derivation>,
}

/// One line of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// A GST attribute by its name, or the field of the slice that stands in its place; empty if there is none.
    pub source: String,
    /// Its value.
    pub value: String,
    /// What it became, such as `ceiling`; empty if it became nothing.
    pub field: &'static str,
    /// Its value there.
    pub result: String,
    /// By which rule.
    pub rule: String,
}

/// What a slice comes to. All that is wrong is told at once.
pub fn derive(catalog: &Catalog, name: &SliceName, spec: &SliceSpec) -> Result<SliceDerivation, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut refuse = |path: &str, reason| {
        refusals.push(Refusal { resource: ResourceId::Slice(name.clone()), path: path.to_owned(), reason });
    };
    let Some(template) = catalog.template(&spec.template) else {
        let known = catalog.templates().map(|t| t.name.clone()).collect();
        refuse("spec.template", RefusalReason::UnknownTemplate { name: spec.template.clone(), known });
        return Err(refusals);
    };
    if spec.snssai.sst != template.spec.sst {
        let (template, expected) = (template.name.clone(), template.spec.sst);
        refuse("spec.snssai.sst", RefusalReason::SstMismatch { found: spec.snssai.sst, template, expected });
    }
    let parts = Parts::of(catalog, template, spec.rate, spec.session_rates, spec.latency);
    let limits = match (spec.rate, parts.guaranteed, parts.ceiling) {
        (Some(limits), ..) => Some(limits),
        (None, guaranteed, Some(ceiling)) => RateLimits::new(guaranteed.unwrap_or(Rate::ZERO), ceiling)
            .map_err(|error| refuse("spec.template", RefusalReason::Limits(error)))
            .ok(),
        (None, ..) => {
            refuse("spec.rate", RefusalReason::NoRate { template: template.name.clone() });
            None
        }
    };
    let packet_octets_max = u16::try_from(parts.packet_octets).ok().filter(|octets| *octets > 0);
    if packet_octets_max.is_none() {
        refuse("spec.template", RefusalReason::PacketSize { found: parts.packet_octets });
    }
    // A ceiling of nothing, whose ever it is, forwards nothing.
    let own = spec.session_rates;
    for (own, rate) in
        [(own.from_access, parts.session_rates.from_access), (own.to_access, parts.session_rates.to_access)]
    {
        if rate.is_some_and(Rate::is_zero) {
            let path = if own.is_some() { "spec.sessionRates" } else { "spec.template" };
            refuse(path, RefusalReason::Limits(InvalidLimits::NoCeiling));
        }
    }
    let default = parts.classes.get(&template.spec.default_five_qi);
    match (limits, packet_octets_max) {
        (Some(limits), Some(packet_octets_max)) if refusals.is_empty() => Ok(SliceDerivation {
            limits,
            latency: parts.latency,
            packet_octets_max,
            sessions_max: parts.sessions_max,
            default_dscp: default.map_or(Dscp::MIN, |class| class.dscp),
            default_traffic_class: default.map_or(TrafficClass::MIN, |class| class.traffic_class),
            default_class: default.map_or(QueueClass::BestEffort, |class| class.queue),
            markings: parts.markings,
            session_rates: parts.session_rates,
            classes: parts.classes,
            aaa_required: parts.aaa_required,
            lines: parts.lines,
        }),
        _ => Err(refusals),
    }
}

/// The lines of a template by itself: what a slice gets that says nothing but its name and its SDPs.
pub fn explain(catalog: &Catalog, template: &Template) -> Vec<Derivation> {
    Parts::of(catalog, template, None, SessionRates::default(), None).lines
}

/// What is found on the way through the attributes.
#[derive(Default)]
struct Parts {
    guaranteed: Option<Rate>,
    ceiling: Option<Rate>,
    latency: Option<Latency>,
    packet_octets: u64,
    sessions_max: Option<u32>,
    classes: BTreeMap<FiveQi, ClassRow>,
    markings: Vec<Marking>,
    session_rates: SessionRates,
    aaa_required: bool,
    lines: Vec<Derivation>,
}

/// An attribute that may give a field its value, and what is said if it does and if another does.
struct Candidate<T> {
    source: &'static str,
    value: String,
    result: T,
    counts: &'static str,
    otherwise: &'static str,
}

impl Parts {
    fn of(
        catalog: &Catalog,
        template: &Template,
        rate: Option<RateLimits>,
        sessions: SessionRates,
        latency: Option<LatencyObjective>,
    ) -> Self {
        let attributes = &template.spec.attributes;
        let mut parts = Self::default();
        let given = rate.map(|rate| ("spec.rate.guaranteed", rate.guaranteed()));
        parts.guaranteed = parts.rate("guaranteed", given, attributes, GUARANTEED);
        let given = rate.map(|rate| ("spec.rate.ceiling", rate.ceiling()));
        parts.ceiling = parts.rate("ceiling", given, attributes, MAXIMUM);
        if let (Some(guaranteed), None) = (parts.guaranteed, parts.ceiling) {
            parts.ceiling = Some(guaranteed);
            parts.line(SILENT, "", "ceiling", &guaranteed, "no maximum is named: the guarantee is the ceiling, too");
        }
        parts.classes(catalog, template);
        parts.latency(catalog, attributes, latency);
        parts.packets(attributes);
        parts.sessions(attributes);
        parts.session_rates = parts.session_rates(sessions, attributes);
        parts.access(attributes);
        for (attribute, value) in attributes.iter().filter(|(attribute, _)| !DERIVED.contains(&attribute.name)) {
            parts.line(attribute.name, &value.to_string(), "", &"", not_transport(attribute.name));
        }
        parts
    }

    fn line(&mut self, source: &str, value: &str, field: &'static str, result: &dyn fmt::Display, rule: &str) {
        let (source, value) = (source.to_owned(), value.to_owned());
        self.lines.push(Derivation { source, value, field, result: result.to_string(), rule: rule.to_owned() });
    }

    /// The value of a field: what the slice gives, else the best candidate; each with its line.
    fn choose<T: PartialEq + fmt::Display>(
        &mut self,
        field: &'static str,
        given: Option<(&str, T)>,
        candidates: Vec<Candidate<T>>,
        best: Option<T>,
    ) -> Option<T> {
        for candidate in candidates {
            let (source, value) = (candidate.source, &candidate.value);
            match &given {
                Some((path, _)) => self.line(source, value, "", &"", &format!("overridden by {path}")),
                None if Some(&candidate.result) == best.as_ref() => {
                    self.line(source, value, field, &candidate.result, candidate.counts);
                }
                None => self.line(source, value, "", &"", candidate.otherwise),
            }
        }
        if let Some((path, value)) = &given {
            self.line(path, &value.to_string(), field, value, "the slice says so itself");
        }
        given.map(|(_, value)| value).or(best)
    }

    /// A rate is the larger of downlink and uplink: an SDP carries both, and is as wide one way as the other.
    fn rate(
        &mut self,
        field: &'static str,
        given: Option<(&str, Rate)>,
        attributes: &Attributes,
        names: [&'static str; 2],
    ) -> Option<Rate> {
        let candidates: Vec<_> = names
            .into_iter()
            .filter_map(|source| {
                let kbps = attributes.whole(source)?;
                Some(Candidate {
                    source,
                    value: format!("{kbps} kbps"),
                    result: Rate::from_bits_per_second(kbps.saturating_mul(1000)),
                    counts: "the larger of downlink and uplink, for each SDP, each way",
                    otherwise: "the other direction's is larger and counts for both",
                })
            })
            .collect();
        let largest = candidates.iter().map(|candidate| candidate.result).max();
        self.choose(field, given, candidates, largest)
    }

    fn classes(&mut self, catalog: &Catalog, template: &Template) {
        for five_qi in five_qis(&template.spec.attributes) {
            let Some(class) = catalog.classes().get(five_qi).copied() else { continue };
            let result = format!("DSCP {}, traffic class {}, queue {}", class.dscp, class.traffic_class, class.queue);
            self.line(FIVE_QI, &five_qi.to_string(), "class", &result, "the class map's row of the 5QI");
            self.classes.insert(five_qi, class);
        }
        let default = template.spec.default_five_qi;
        if let Some(dscp) = self.classes.get(&default).map(|class| class.dscp) {
            let rule = "that of the 5QI whose traffic no rule classifies; written into the outer header";
            self.line("defaultFiveQI", &default.to_string(), "dscp", &dscp, rule);
        }
        if let Some(queue) = self.classes.get(&default).map(|class| class.queue) {
            let rule = "that of the same 5QI; there the same traffic waits";
            self.line("defaultFiveQI", &default.to_string(), "queue", &queue, rule);
        }
        self.markings = catalog.classes().markings(self.classes.values());
        let heeded = self.markings.iter().map(|marking| match marking.inner {
            InnerMark::Qfi(qfi) => format!("QFI {qfi}"),
            InnerMark::Dscp(dscp) => format!("DSCP {dscp}"),
            InnerMark::Priority(priority) => format!("priority {priority}"),
        });
        let heeded: Vec<String> = heeded.collect();
        let heeded = if heeded.is_empty() { "none".to_owned() } else { heeded.join(", ") };
        let rule = "marks of devices that the class map knows in one of these classes; all others get the default's";
        self.line(SILENT, "", "markings", &heeded, rule);
    }

    /// The underlay stands between the 5G-AN and the N6 end of the UPF, so its bound is the core network's part of the
    /// packet delay budget (TS 23.501, section 5.7.3.4), and the tightest 5QI decides.
    fn latency(&mut self, catalog: &Catalog, attributes: &Attributes, given: Option<LatencyObjective>) {
        let milliseconds = |ms: u64| Latency::from_nanos(ms.saturating_mul(1_000_000));
        let rows = five_qis(attributes).filter_map(|five_qi| catalog.five_qi().get(five_qi));
        let tightest = rows.min_by_key(|row| (row.core_delay_budget_ms, row.five_qi)).map(|row| Candidate {
            source: FIVE_QI,
            value: row.five_qi.to_string(),
            result: milliseconds(row.core_delay_budget_ms.into()),
            counts: "the core network's part of the packet delay budget, of the tightest 5QI (TS 23.501, 5.7.3.4)",
            otherwise: "the way behind the UPF must be shorter still and counts",
        });
        let to_server = attributes.whole(TO_SERVER).map(|ms| Candidate {
            source: TO_SERVER,
            value: format!("{ms} ms"),
            result: milliseconds(ms),
            counts: "the way behind the UPF is the underlay's, too",
            otherwise: "the core network's part of the packet delay budget is shorter and counts",
        });
        let candidates: Vec<_> = tightest.into_iter().chain(to_server).collect();
        let shortest = candidates.iter().map(|candidate| candidate.result).min();
        self.latency = self.choose("latency", given.map(|given| ("spec.latency.max", given.max)), candidates, shortest);
    }

    fn packets(&mut self, attributes: &Attributes) {
        if let Some(octets) = attributes.whole(PACKET_SIZE) {
            self.packet_octets = octets;
            let rule = "every port on the way must carry it, with its tunnel headers";
            self.line(PACKET_SIZE, &format!("{octets} bytes"), "packetOctetsMax", &octets, rule);
        } else {
            self.packet_octets = PACKET_OCTETS_DEFAULT;
            let rule = "NG.116's value where a template is silent";
            self.line(SILENT, "", "packetOctetsMax", &PACKET_OCTETS_DEFAULT, rule);
        }
    }

    /// The smallest count that the template names bounds each segment on each edge. The count over the whole slice is
    /// kept by the NSACF (TS 23.501, section 5.15.11), which sees every access.
    fn sessions(&mut self, attributes: &Attributes) {
        let candidates: Vec<_> = SESSION_COUNTS
            .into_iter()
            .filter_map(|source| {
                let count = attributes.whole(source)?;
                Some(Candidate {
                    source,
                    value: count.to_string(),
                    // More than 32 bits bound nothing that an edge could hold.
                    result: u32::try_from(count).unwrap_or(u32::MAX),
                    counts: "no segment has more on one edge, whatever its profile says",
                    otherwise: "a smaller count of the template bounds it already",
                })
            })
            .collect();
        let smallest = candidates.iter().map(|candidate| candidate.result).min();
        self.sessions_max = self.choose("sessionsMax", None, candidates, smallest);
    }

    /// The devices are on the access side, so that their uplink comes from there and their downlink goes there.
    fn session_rates(&mut self, given: SessionRates, attributes: &Attributes) -> SessionRates {
        let mut rate =
            |source: &'static str, field: &'static str, given: Option<(&str, Rate)>, counts: &'static str| {
                let candidate = attributes.whole(source).map(|kbps| Candidate {
                    source,
                    value: format!("{kbps} kbps"),
                    result: Rate::from_bits_per_second(kbps.saturating_mul(1000)),
                    counts,
                    otherwise: "",
                });
                let own = candidate.as_ref().map(|candidate| candidate.result);
                self.choose(field, given, candidate.into_iter().collect(), own)
            };
        let sends =
            "the most that each session sends: devices are on the access side, so their uplink comes from there";
        let receives =
            "the most that each session receives: devices are on the access side, so their downlink goes there";
        let [from, to] = [
            given.from_access.map(|rate| ("spec.sessionRates.fromAccess", rate)),
            given.to_access.map(|rate| ("spec.sessionRates.toAccess", rate)),
        ];
        SessionRates {
            from_access: rate(UE_RATES[0], "sessionRateFromAccess", from, sends),
            to_access: rate(UE_RATES[1], "sessionRateToAccess", to, receives),
        }
    }

    fn access(&mut self, attributes: &Attributes) {
        if let Some(GstValue::Choice(required)) = attributes.get(NSSAA) {
            self.aaa_required = *required == 1;
            let (result, rule) = if self.aaa_required {
                ("required", "every segment must have a realm")
            } else {
                ("optional", "a segment may be without a realm; then nobody can authenticate there")
            };
            self.line(NSSAA, &required.to_string(), "aaa", &result, rule);
        }
        if let Some(GstValue::Choice(velocity)) = attributes.get(VELOCITY) {
            let (result, rule) = if *velocity == 0 {
                ("not needed", "stationary: a session stays on the edge where it began")
            } else {
                ("not built yet", "an endpoint that moves to another edge authenticates there anew")
            };
            self.line(VELOCITY, &velocity.to_string(), "handover", &result, rule);
        }
    }
}

fn five_qis(attributes: &Attributes) -> impl Iterator<Item = FiveQi> {
    let listed = match attributes.get(FIVE_QI) {
        Some(GstValue::Choices(listed)) => listed.as_slice(),
        _ => &[],
    };
    listed.iter().filter_map(|value| FiveQi::new(*value).ok())
}

fn not_transport(name: &str) -> &'static str {
    if name.contains("Flow Bit Rate") {
        "kept by the RAN and the UPF for each flow, not by the transport"
    } else if name.starts_with("Slice quality of service") {
        "of operator-specific 5QIs; those of the template are standardised and their table counts"
    } else {
        "not a transport attribute"
    }
}

const GUARANTEED: [&str; 2] = [
    "Downlink throughput per network slice: Guaranteed downlink throughput quota",
    "Uplink throughput per network slice: Guaranteed uplink throughput quota",
];
const MAXIMUM: [&str; 2] = [
    "Downlink throughput per network slice: Maximum downlink throughput",
    "Uplink throughput per network slice: Maximum uplink throughput",
];
const SESSION_COUNTS: [&str; 3] = [
    "Maximum number of PDU sessions",
    "Maximum number of UEs",
    "Maximum number of UEs with at least one PDU session/PDN connection",
];
/// What a UE sends, and what it receives.
const UE_RATES: [&str; 2] = [
    "Uplink maximum throughput per UE: Maximum Uplink Throughput per UE value",
    "Downlink maximum throughput per UE: Maximum downlink throughput per UE value",
];
const FIVE_QI: &str = "Slice quality of service: 3GPP 5QI";
const TO_SERVER: &str = "Latency from (last) UPF to Application Server";
const PACKET_SIZE: &str = "Maximum supported packet size";
const NSSAA: &str = "Network Slice Specific Authentication and Authorization (NSSAA) Required";
const VELOCITY: &str = "Supported device velocity";

/// The attributes that have a rule above.
const DERIVED: [&str; 14] = [
    GUARANTEED[0],
    GUARANTEED[1],
    MAXIMUM[0],
    MAXIMUM[1],
    SESSION_COUNTS[0],
    SESSION_COUNTS[1],
    SESSION_COUNTS[2],
    UE_RATES[0],
    UE_RATES[1],
    FIVE_QI,
    TO_SERVER,
    PACKET_SIZE,
    NSSAA,
    VELOCITY,
];

/// The source of a value that no attribute gives.
const SILENT: &str = "";

/// NG.116 gives 1500 bytes where a template is silent.
const PACKET_OCTETS_DEFAULT: u64 = 1500;

const _: () = assert!(PACKET_OCTETS_DEFAULT <= PACKET_OCTETS_MAX);
