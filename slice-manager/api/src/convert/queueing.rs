//! How packets are told apart, queued and shared, both ways.

use model::profile::QueueClass;
use model::program::{
    CodelProgram, InnerMark, Marking, OuterMark, PortShaping, QueueProgram, SessionRates, SliceClass, TransitQueue,
};
use model::{ClassNumber, Dscp, Pcp, Qfi, Rate, TrafficClass, Vni, Weight};

use super::resource::{queue_class, weight};
use super::{At, ConvertError, ConvertProblem, Within, list, required};
use crate::v1;

impl TryFrom<v1::QueueProgram> for QueueProgram {
    type Error = ConvertError;

    fn try_from(message: v1::QueueProgram) -> Result<Self, ConvertError> {
        let codel = message.codel.map(|codel| CodelProgram {
            target_nanos: codel.target_nanoseconds,
            interval_nanos: codel.interval_nanoseconds,
        });
        Ok(Self {
            queue: queue_class(&message.queue).at("queue")?,
            weight: Weight::try_from(message.weight).at("weight")?,
            octets_max: message.octets_max,
            time_max_nanos: message.time_max_nanoseconds,
            codel,
        })
    }
}

impl From<QueueProgram> for v1::QueueProgram {
    fn from(queue: QueueProgram) -> Self {
        let codel = queue.codel.map(|codel| v1::CodelProgram {
            target_nanoseconds: codel.target_nanos,
            interval_nanoseconds: codel.interval_nanos,
        });
        Self {
            queue: queue.queue.to_string(),
            weight: queue.weight.get().into(),
            octets_max: queue.octets_max,
            time_max_nanoseconds: queue.time_max_nanos,
            codel,
        }
    }
}

impl TryFrom<v1::PortShaping> for PortShaping {
    type Error = ConvertError;

    fn try_from(message: v1::PortShaping) -> Result<Self, ConvertError> {
        Ok(Self {
            port: message.port.parse().at("port")?,
            rate: Rate::from_bits_per_second(message.rate_bits_per_second),
            classes: list(message.classes, "classes", SliceClass::try_from)?,
        })
    }
}

impl From<&PortShaping> for v1::PortShaping {
    fn from(shaping: &PortShaping) -> Self {
        Self {
            port: shaping.port.to_string(),
            rate_bits_per_second: shaping.rate.bits_per_second(),
            classes: shaping.classes.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::SliceClass> for SliceClass {
    type Error = ConvertError;

    fn try_from(message: v1::SliceClass) -> Result<Self, ConvertError> {
        let vnis = message.vnis.into_iter().enumerate();
        Ok(Self {
            number: ClassNumber::try_from(message.number).at("number")?,
            slice: message.slice.parse().at("slice")?,
            limits: required(message.limits, "the limits", "limits")?.try_into().within("limits")?,
            weight: weight(message.weight).at("weight")?,
            vnis: vnis.map(|(i, vni)| Vni::try_from(vni).at_index("vnis", i)).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&SliceClass> for v1::SliceClass {
    fn from(class: &SliceClass) -> Self {
        Self {
            number: class.number.get().into(),
            slice: class.slice.to_string(),
            limits: Some(class.limits.into()),
            weight: Some(class.weight.get().into()),
            vnis: class.vnis.iter().map(|vni| vni.get()).collect(),
        }
    }
}

impl TryFrom<v1::Marking> for Marking {
    type Error = ConvertError;

    fn try_from(message: v1::Marking) -> Result<Self, ConvertError> {
        use v1::marking::Inner;
        // Those of before there were several kinds had a code point, and 0 was not written.
        let inner = match message.inner.unwrap_or(Inner::InnerDscp(0)) {
            Inner::InnerDscp(dscp) => InnerMark::Dscp(Dscp::try_from(dscp).at("innerDscp")?),
            Inner::InnerQfi(qfi) => InnerMark::Qfi(Qfi::try_from(qfi).at("innerQfi")?),
            Inner::InnerPriority(priority) => InnerMark::Priority(Pcp::try_from(priority).at("innerPriority")?),
        };
        Ok(Self {
            inner,
            dscp: Dscp::try_from(message.dscp).at("dscp")?,
            traffic_class: TrafficClass::try_from(message.traffic_class).at("trafficClass")?,
            queue: queue(&message.queue).at("queue")?,
        })
    }
}

impl From<Marking> for v1::Marking {
    fn from(marking: Marking) -> Self {
        use v1::marking::Inner;
        let Marking { inner, dscp, traffic_class, queue } = marking;
        let inner = match inner {
            InnerMark::Dscp(dscp) => Inner::InnerDscp(dscp.get().into()),
            InnerMark::Qfi(qfi) => Inner::InnerQfi(qfi.get().into()),
            InnerMark::Priority(priority) => Inner::InnerPriority(priority.get().into()),
        };
        Self {
            inner: Some(inner),
            dscp: dscp.get().into(),
            traffic_class: traffic_class.get().into(),
            queue: queue.to_string(),
        }
    }
}

impl TryFrom<v1::TransitQueue> for TransitQueue {
    type Error = ConvertError;

    fn try_from(message: v1::TransitQueue) -> Result<Self, ConvertError> {
        use v1::transit_queue::Outer;
        let outer = match required(message.outer, "dscp or trafficClass", "outer")? {
            Outer::Dscp(dscp) => OuterMark::Dscp(Dscp::try_from(dscp).at("dscp")?),
            Outer::TrafficClass(class) => OuterMark::TrafficClass(TrafficClass::try_from(class).at("trafficClass")?),
        };
        Ok(Self { outer, queue: queue_class(&message.queue).at("queue")? })
    }
}

impl From<TransitQueue> for v1::TransitQueue {
    fn from(queue: TransitQueue) -> Self {
        use v1::transit_queue::Outer;
        let outer = match queue.outer {
            OuterMark::Dscp(dscp) => Outer::Dscp(dscp.get().into()),
            OuterMark::TrafficClass(class) => Outer::TrafficClass(class.get().into()),
        };
        Self { outer: Some(outer), queue: queue.queue.to_string() }
    }
}

impl From<v1::SessionRates> for SessionRates {
    fn from(rates: v1::SessionRates) -> Self {
        Self {
            from_access: rates.from_access_bits_per_second.map(Rate::from_bits_per_second),
            to_access: rates.to_access_bits_per_second.map(Rate::from_bits_per_second),
        }
    }
}

impl From<SessionRates> for v1::SessionRates {
    fn from(rates: SessionRates) -> Self {
        Self {
            from_access_bits_per_second: rates.from_access.map(Rate::bits_per_second),
            to_access_bits_per_second: rates.to_access.map(Rate::bits_per_second),
        }
    }
}

/// The queue of a program; those of before there were any said none, and all was best effort.
pub(super) fn queue(found: &str) -> Result<QueueClass, ConvertProblem> {
    if found.is_empty() { Ok(QueueClass::BestEffort) } else { queue_class(found) }
}
