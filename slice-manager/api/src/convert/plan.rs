//! Plans, both ways.

use std::collections::BTreeMap;

use model::plan::{Allocation, LinkDirection, Path, Plan, Quarantined};
use model::program::Program;
use model::resource::SegmentId;
use model::{Generation, Latency, NodeName, Rate, Vni};

use super::resource::segment_id;
use super::{At, ConvertError, Within, list, narrow16, required, texts};
use crate::v1;

impl TryFrom<v1::Plan> for Plan {
    type Error = ConvertError;

    fn try_from(message: v1::Plan) -> Result<Self, ConvertError> {
        let mut bookings: BTreeMap<LinkDirection, BTreeMap<_, _>> = BTreeMap::new();
        for (index, booking) in message.bookings.into_iter().enumerate() {
            let (direction, slice, rate) = read_booking(&booking).within_index("bookings", index)?;
            bookings.entry(direction).or_default().insert(slice, rate);
        }
        let programs = list(message.programs, "programs", Program::try_from)?;
        Ok(Self {
            generation: Generation::new(message.generation),
            allocations: list(message.allocations, "allocations", |m| allocation(&m))?.into_iter().collect(),
            quarantine: list(message.quarantine, "quarantine", quarantined)?,
            paths: list(message.paths, "paths", |m| path(&m))?.into_iter().collect(),
            bookings,
            programs: programs.into_iter().map(|p| (p.content.edge.clone(), p)).collect(),
        })
    }
}

impl From<&Plan> for v1::Plan {
    fn from(plan: &Plan) -> Self {
        let paths = plan.paths.iter().map(|((from, to), path)| v1::Path {
            from: from.to_string(),
            to: to.to_string(),
            links: path.links.iter().map(ToString::to_string).collect(),
            delay_nanoseconds: path.delay.as_nanos(),
        });
        let bookings = plan.bookings.iter().flat_map(|(direction, slices)| {
            slices.iter().map(|(slice, rate)| v1::Booking {
                link: direction.link.to_string(),
                from: direction.from.to_string(),
                slice: slice.to_string(),
                bits_per_second: rate.bits_per_second(),
            })
        });
        let quarantine = plan.quarantine.iter().map(|q| v1::Quarantine {
            allocation: Some(allocation_message(&q.segment, q.allocation)),
            awaiting: q.awaiting.iter().map(|(edge, generation)| awaiting_message(edge, *generation)).collect(),
        });
        Self {
            generation: plan.generation.get(),
            allocations: plan.allocations.iter().map(|(id, a)| allocation_message(id, *a)).collect(),
            quarantine: quarantine.collect(),
            paths: paths.collect(),
            bookings: bookings.collect(),
            programs: plan.programs.values().map(Into::into).collect(),
        }
    }
}

fn allocation(message: &v1::Allocation) -> Result<(SegmentId, Allocation), ConvertError> {
    let id = segment_id(&message.slice, &message.segment, "segment")?;
    let vni = Vni::try_from(message.vni).at("vni")?;
    let access_port = narrow16("a UDP port", 1, message.access_port).at("accessPort")?;
    Ok((id, Allocation { vni, access_port }))
}

fn allocation_message(id: &SegmentId, allocation: Allocation) -> v1::Allocation {
    v1::Allocation {
        slice: id.slice.to_string(),
        segment: id.segment.to_string(),
        vni: allocation.vni.get(),
        access_port: allocation.access_port.into(),
    }
}

fn quarantined(message: v1::Quarantine) -> Result<Quarantined, ConvertError> {
    let (segment, allocation) =
        allocation(&required(message.allocation, "the allocation", "allocation")?).within("allocation")?;
    let awaiting = list(message.awaiting, "awaiting", |m| awaiting(&m))?.into_iter().collect();
    Ok(Quarantined { segment, allocation, awaiting })
}

pub(super) fn awaiting(message: &v1::Awaiting) -> Result<(NodeName, Generation), ConvertError> {
    Ok((message.edge.parse().at("edge")?, Generation::new(message.generation)))
}

pub(super) fn awaiting_message(edge: &NodeName, generation: Generation) -> v1::Awaiting {
    v1::Awaiting { edge: edge.to_string(), generation: generation.get() }
}

fn path(message: &v1::Path) -> Result<((NodeName, NodeName), Path), ConvertError> {
    let ends = (message.from.parse().at("from")?, message.to.parse().at("to")?);
    let links = texts(&message.links, "links")?;
    Ok((ends, Path { links, delay: Latency::from_nanos(message.delay_nanoseconds) }))
}

fn read_booking(message: &v1::Booking) -> Result<(LinkDirection, model::SliceName, Rate), ConvertError> {
    let direction = LinkDirection { link: message.link.parse().at("link")?, from: message.from.parse().at("from")? };
    Ok((direction, message.slice.parse().at("slice")?, Rate::from_bits_per_second(message.bits_per_second)))
}
