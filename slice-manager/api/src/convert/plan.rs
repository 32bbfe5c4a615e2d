//! Plans, both ways.

use std::collections::BTreeMap;

use model::plan::{
    Allocation, Booking, LinkDirection, LinkNumbers, NodeNumbers, Path, PathForm, PathKey, Plan, Quarantined,
    SlicePlan, Way,
};
use model::program::Program;
use model::resource::SegmentId;
use model::{Generation, Label, Latency, NodeName, PathId, Rate, SliceName, Vlan, Vni};

use super::program::digest;
use super::resource::{queue_class, segment_id};
use super::{At, ConvertError, Within, enumeration, list, narrow16, required, texts};
use crate::v1;

impl TryFrom<v1::Plan> for Plan {
    type Error = ConvertError;

    fn try_from(message: v1::Plan) -> Result<Self, ConvertError> {
        let mut bookings: BTreeMap<LinkDirection, BTreeMap<_, _>> = BTreeMap::new();
        for (index, booking) in message.bookings.into_iter().enumerate() {
            let (direction, slice, booking) = read_booking(&booking).within_index("bookings", index)?;
            bookings.entry(direction).or_default().insert(slice, booking);
        }
        let programs = list(message.programs, "programs", Program::try_from)?;
        let topology = Some(message.topology_digest).filter(|octets| !octets.is_empty());
        Ok(Self {
            generation: Generation::new(message.generation),
            topology: topology.map(|octets| digest(&octets)).transpose().at("topologyDigest")?,
            nodes: list(message.nodes, "nodes", node)?.into_iter().collect(),
            slices: list(message.slices, "slices", slice)?.into_iter().collect(),
            allocations: list(message.allocations, "allocations", |m| allocation(&m))?.into_iter().collect(),
            quarantine: list(message.quarantine, "quarantine", quarantined)?,
            paths: list(message.paths, "paths", |m| path(&m))?.into_iter().collect(),
            leaving: list(message.leaving, "leaving", |m| path(&m))?.into_iter().collect(),
            awaiting: list(message.awaiting, "awaiting", |m| awaiting(&m))?.into_iter().collect(),
            bookings,
            programs: programs.into_iter().map(|p| (p.content.edge.clone(), p)).collect(),
        })
    }
}

impl From<&Plan> for v1::Plan {
    fn from(plan: &Plan) -> Self {
        let bookings = plan.bookings.iter().flat_map(|(direction, slices)| {
            slices.iter().map(|(slice, booking)| v1::Booking {
                link: direction.link.to_string(),
                from: direction.from.to_string(),
                slice: slice.to_string(),
                bits_per_second: booking.working.bits_per_second(),
                backup_bits_per_second: booking.backup.bits_per_second(),
                class: booking.class.to_string(),
            })
        });
        let quarantine = plan.quarantine.iter().map(|q| v1::Quarantine {
            allocation: Some(allocation_message(&q.segment, &q.allocation)),
            awaiting: awaiting_messages(&q.awaiting),
        });
        Self {
            generation: plan.generation.get(),
            allocations: plan.allocations.iter().map(|(id, a)| allocation_message(id, a)).collect(),
            quarantine: quarantine.collect(),
            paths: plan.paths.iter().map(|(key, path)| path_message(key, path)).collect(),
            leaving: plan.leaving.iter().map(|(key, path)| path_message(key, path)).collect(),
            awaiting: awaiting_messages(&plan.awaiting),
            bookings: bookings.collect(),
            programs: plan.programs.values().map(Into::into).collect(),
            topology_digest: plan.topology.map_or_else(Vec::new, |digest| digest.as_bytes().to_vec()),
            nodes: plan.nodes.iter().map(|(name, node)| node_message(name, node)).collect(),
            slices: plan.slices.iter().map(|(name, slice)| slice_message(name, slice)).collect(),
        }
    }
}

fn node(message: v1::NodeNumbers) -> Result<(NodeName, NodeNumbers), ConvertError> {
    let link = |message: v1::LinkNumbers| {
        let function = message.function.map(|f| narrow16("a SID's function", 1, f)).transpose().at("function")?;
        let label = message.label.map(Label::try_from).transpose().at("label")?;
        Ok((message.link.parse().at("link")?, LinkNumbers { function, label }))
    };
    let numbers = NodeNumbers {
        index: message.index,
        links: list(message.links, "links", link)?.into_iter().collect(),
        awaiting: list(message.awaiting, "awaiting", |m| awaiting(&m))?.into_iter().collect(),
    };
    Ok((message.node.parse().at("node")?, numbers))
}

fn node_message(name: &NodeName, node: &NodeNumbers) -> v1::NodeNumbers {
    let links = node.links.iter().map(|(link, numbers)| v1::LinkNumbers {
        link: link.to_string(),
        function: numbers.function.map(Into::into),
        label: numbers.label.map(Label::get),
    });
    v1::NodeNumbers {
        node: name.to_string(),
        index: node.index,
        links: links.collect(),
        awaiting: awaiting_messages(&node.awaiting),
    }
}

fn slice(message: v1::SlicePlan) -> Result<(SliceName, SlicePlan), ConvertError> {
    let vlan = |m: v1::SdpVlan| Ok((m.sdp.parse().at("sdp")?, Vlan::try_from(m.vlan).at("vlan")?));
    let way = |m: v1::Way| {
        let working = PathId::try_from(m.working).at("working")?;
        let backup = m.backup.map(PathId::try_from).transpose().at("backup")?;
        Ok(((m.a.parse().at("a")?, m.b.parse().at("b")?), Way { working, backup }))
    };
    let plan = SlicePlan {
        number: narrow16("a number of a route target", 1, message.number).at("number")?,
        vlans: list(message.vlans, "vlans", vlan)?.into_iter().collect(),
        ways: list(message.ways, "ways", way)?.into_iter().collect(),
        moving: list(message.moving, "moving", |m| Ok((m.from.parse().at("from")?, m.to.parse().at("to")?)))?
            .into_iter()
            .collect(),
    };
    Ok((message.slice.parse().at("slice")?, plan))
}

fn slice_message(name: &SliceName, slice: &SlicePlan) -> v1::SlicePlan {
    let vlans = slice.vlans.iter().map(|(sdp, vlan)| v1::SdpVlan { sdp: sdp.to_string(), vlan: vlan.get().into() });
    let ways = slice.ways.iter().map(|((a, b), way)| v1::Way {
        a: a.to_string(),
        b: b.to_string(),
        working: way.working.get().into(),
        backup: way.backup.map(|id| id.get().into()),
    });
    let moving = slice.moving.iter().map(|(from, to)| v1::Moving { from: from.to_string(), to: to.to_string() });
    v1::SlicePlan {
        slice: name.to_string(),
        number: slice.number.into(),
        vlans: vlans.collect(),
        ways: ways.collect(),
        moving: moving.collect(),
    }
}

fn allocation(message: &v1::Allocation) -> Result<(SegmentId, Allocation), ConvertError> {
    let id = segment_id(&message.slice, &message.segment, "segment")?;
    let label = |m: &v1::SegmentLabel| {
        let ends = (m.receiver.parse().at("receiver")?, m.sender.parse().at("sender")?);
        Ok((ends, Label::try_from(m.label).at("label")?))
    };
    let labels = message.labels.iter().enumerate().map(|(index, m)| label(m).within_index("labels", index));
    let allocation = Allocation {
        vni: Vni::try_from(message.vni).at("vni")?,
        access_port: narrow16("a UDP port", 1, message.access_port).at("accessPort")?,
        function: message.function.map(|f| narrow16("a SID's function", 1, f)).transpose().at("function")?,
        labels: labels.collect::<Result<_, _>>()?,
    };
    Ok((id, allocation))
}

fn allocation_message(id: &SegmentId, allocation: &Allocation) -> v1::Allocation {
    let labels = allocation.labels.iter().map(|((receiver, sender), label)| v1::SegmentLabel {
        receiver: receiver.to_string(),
        sender: sender.to_string(),
        label: label.get(),
    });
    v1::Allocation {
        slice: id.slice.to_string(),
        segment: id.segment.to_string(),
        vni: allocation.vni.get(),
        access_port: allocation.access_port.into(),
        function: allocation.function.map(Into::into),
        labels: labels.collect(),
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

fn awaiting_messages(awaiting: &BTreeMap<NodeName, Generation>) -> Vec<v1::Awaiting> {
    awaiting.iter().map(|(edge, generation)| awaiting_message(edge, *generation)).collect()
}

fn path(message: &v1::Path) -> Result<(PathKey, Path), ConvertError> {
    let form = enumeration(message.form, "PathForm", |form| match form {
        v1::PathForm::Unspecified => None,
        v1::PathForm::Ip => Some(PathForm::Ip),
        v1::PathForm::Srv6 => Some(PathForm::Srv6),
        v1::PathForm::Mpls => Some(PathForm::Mpls),
    });
    let key = PathKey {
        a: message.from.parse().at("from")?,
        b: message.to.parse().at("to")?,
        id: PathId::try_from(message.id).at("id")?,
    };
    let path = Path {
        links: texts(&message.links, "links")?,
        delay: Latency::from_nanos(message.delay_nanoseconds),
        form: form.at("form")?,
    };
    Ok((key, path))
}

fn path_message(key: &PathKey, path: &Path) -> v1::Path {
    let form = match path.form {
        PathForm::Ip => v1::PathForm::Ip,
        PathForm::Srv6 => v1::PathForm::Srv6,
        PathForm::Mpls => v1::PathForm::Mpls,
    };
    v1::Path {
        from: key.a.to_string(),
        to: key.b.to_string(),
        links: path.links.iter().map(ToString::to_string).collect(),
        delay_nanoseconds: path.delay.as_nanos(),
        id: key.id.get().into(),
        form: form.into(),
    }
}

fn read_booking(message: &v1::Booking) -> Result<(LinkDirection, SliceName, Booking), ConvertError> {
    let direction = LinkDirection { link: message.link.parse().at("link")?, from: message.from.parse().at("from")? };
    let booking = Booking {
        class: queue_class(&message.class).at("class")?,
        working: Rate::from_bits_per_second(message.bits_per_second),
        backup: Rate::from_bits_per_second(message.backup_bits_per_second),
    };
    Ok((direction, message.slice.parse().at("slice")?, booking))
}
