//! Queues and marks: does what nodes are told of them follow from the class map?

use std::collections::BTreeSet;

use model::profile::{ClassRow, FiveQi, GstValue, QueueClass, Template};
use model::program::{InnerMark, Marking, OuterMark, ProgramContent, QueueProgram, SessionRates, TransitQueue};
use model::resource::{Control, Node, NodeRole, SliceSpec};
use model::{Dscp, NodeName, Pcp, Qfi, Rate, TrafficClass};

use super::{Audit, Finding};

impl Audit<'_> {
    /// Every node that is told something, and is no kernel, has each queue; and a core node knows who waits in which.
    pub(super) fn queues(&mut self) {
        let mut wrong: BTreeSet<&NodeName> = BTreeSet::new();
        for (name, program) in &self.plan.programs {
            let node = self.nodes.get(name).copied();
            let is_right = match node.map(|node| (node, sharing(node))) {
                // It has left, and goes on or does nothing.
                None => self.is_under_way() || has_none(&program.content),
                Some((_, None)) => has_none(&program.content),
                Some((node, Some(_))) => self.has_queues(node, &program.content),
            };
            if !is_right {
                wrong.insert(name);
            }
        }
        self.errors(wrong.into_iter().map(|node| Finding::OtherQueues(node.clone())));
    }

    fn has_queues(&self, node: &Node, content: &ProgramContent) -> bool {
        let map = self.catalog.classes();
        let is_row = |told: &QueueProgram| {
            let row = map.queues.iter().find(|row| row.queue == told.queue);
            row.is_some_and(|row| {
                let codel = row.codel.map(|codel| (codel.target.as_nanos(), codel.interval.as_nanos()));
                let told_codel = told.codel.map(|codel| (codel.target_nanos, codel.interval_nanos));
                (told.weight, told.octets_max, told.time_max_nanos, told_codel)
                    == (row.weight, row.octets, row.time.as_nanos(), codel)
            })
        };
        let is_each = content.queues.iter().map(|told| told.queue).eq(QueueClass::ALL);
        let transit = if node.role == NodeRole::Core { self.transit_queues() } else { Vec::new() };
        is_each && content.queues.iter().all(is_row) && content.transit.queues == transit
    }

    /// Value by value: the most urgent queue of all that edges write so.
    fn transit_queues(&self) -> Vec<TransitQueue> {
        let map = self.catalog.classes();
        let of_class = |class: Dscp| map.rows.iter().filter(move |row| row.dscp == class).map(|row| row.queue).min();
        let written: Vec<(Dscp, TrafficClass, Option<QueueClass>)> = map
            .rows
            .iter()
            .map(|row| (row.dscp, row.traffic_class, Some(row.queue)))
            .chain(map.markings.iter().map(|row| (row.dscp, row.traffic_class, of_class(row.class))))
            .chain(map.priorities.iter().map(|row| (row.dscp, row.traffic_class, of_class(row.class))))
            .collect();
        let queue = |outer: OuterMark| {
            let alike = written.iter().filter(|(dscp, traffic_class, _)| match outer {
                OuterMark::Dscp(outer) => outer == *dscp,
                OuterMark::TrafficClass(outer) => outer == *traffic_class,
            });
            let queue = alike.filter_map(|(.., queue)| *queue).min()?;
            (queue != QueueClass::BestEffort).then_some(TransitQueue { outer, queue })
        };
        let code_points = (0..64_u64).filter_map(|value| Dscp::new(value).ok()).map(OuterMark::Dscp);
        let traffic_classes = (0..8_u64).filter_map(|value| TrafficClass::new(value).ok()).map(OuterMark::TrafficClass);
        code_points.chain(traffic_classes).filter_map(queue).collect()
    }

    /// What devices may ask for: mark by mark, what the class map makes of it in one of the template's 5QIs.
    pub(super) fn markings(&self, template: &Template) -> Vec<Marking> {
        let map = self.catalog.classes();
        let Some(GstValue::Choices(listed)) = template.spec.attributes.get("Slice quality of service: 3GPP 5QI") else {
            return Vec::new();
        };
        let rows: Vec<&ClassRow> = listed.iter().filter_map(|value| map.get(FiveQi::new(*value).ok()?)).collect();
        let of_class = |class: Dscp| rows.iter().filter(|row| row.dscp == class).map(|row| row.queue).min();
        let flows = (1..64_u64).filter_map(|value| Qfi::new(value).ok()).filter_map(|qfi| {
            let row = rows.iter().find(|row| row.qfi == Some(qfi))?;
            Some(Marking {
                inner: InnerMark::Qfi(qfi),
                dscp: row.dscp,
                traffic_class: row.traffic_class,
                queue: row.queue,
            })
        });
        let code_points = (0..64_u64).filter_map(|value| Dscp::new(value).ok()).filter_map(|inner| {
            let row = map.markings.iter().find(|row| row.inner == inner)?;
            let queue = of_class(row.class)?;
            Some(Marking { inner: InnerMark::Dscp(inner), dscp: row.dscp, traffic_class: row.traffic_class, queue })
        });
        let priorities = (0..8_u64).filter_map(|value| Pcp::new(value).ok()).filter_map(|priority| {
            let row = map.priorities.iter().find(|row| row.priority == priority)?;
            let queue = of_class(row.class)?;
            let inner = InnerMark::Priority(priority);
            Some(Marking { inner, dscp: row.dscp, traffic_class: row.traffic_class, queue })
        });
        flows.chain(code_points).chain(priorities).collect()
    }

    /// A UE is on the access side: its uplink comes from there.
    pub(super) fn session_rates(spec: &SliceSpec, template: &Template) -> SessionRates {
        let own = spec.session_rates;
        let rate = |name: &str| {
            let kbps = template.spec.attributes.whole(name)?;
            Some(Rate::from_bits_per_second(kbps.saturating_mul(1000)))
        };
        SessionRates {
            from_access: own
                .from_access
                .or_else(|| rate("Uplink maximum throughput per UE: Maximum Uplink Throughput per UE value")),
            to_access: own
                .to_access
                .or_else(|| rate("Downlink maximum throughput per UE: Maximum downlink throughput per UE value")),
        }
    }
}

/// Does a node run our dataplane, and for whom does it share its ports: for the slices that it sends, or for nobody?
pub(super) fn sharing(node: &Node) -> Option<bool> {
    match (node.role, node.control) {
        (NodeRole::Edge, _) => Some(true),
        (NodeRole::Core, Some(Control::Agent)) => Some(false),
        (NodeRole::Core, _) => None,
    }
}

fn has_none(content: &ProgramContent) -> bool {
    content.queues.is_empty() && content.transit.queues.is_empty()
}
