//! What an edge tells of the schedulers of its ports: what slices and segments are held to, from the trees that hold them.

use api::v1;
use model::{PortName, Rate};
use transport_dataplane::{PortIndex, TreeReading, TreeSegment, TreeSlice};

use crate::control::Site;
use crate::worker::WorkerGone;

/// The ports by which anything may leave, and the segments at each.
pub(super) async fn trees(site: &Site) -> Result<(Vec<v1::PortShaping>, Vec<v1::SegmentShare>), WorkerGone> {
    let (mut shaping, mut shares) = (Vec::new(), Vec::new());
    for (at, (port, _)) in (0..).zip(&site.ports) {
        let parts = site.workers.tree(PortIndex(at)).await?;
        let Some(TreeReading { rate, .. }) = parts.last() else { continue };
        let rate_bits_per_second = rate.bits_per_second();
        let classes: Vec<_> = parts.iter().flat_map(|part| &part.slices).map(class).collect();
        shares.extend(parts.iter().flat_map(|part| &part.segments).map(|segment| share(port, segment)));
        if !classes.is_empty() {
            shaping.push(v1::PortShaping { port: port.to_string(), rate_bits_per_second, classes });
        }
    }
    Ok((shaping, shares))
}

fn class(slice: &TreeSlice) -> v1::SliceClass {
    v1::SliceClass {
        number: slice.number.into(),
        slice: slice.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        limits: Some(limits(slice.runs.guaranteed, slice.runs.ceiling)),
        vnis: Vec::new(),
        weight: Some(slice.runs.weight.into()),
    }
}

fn share(port: &PortName, segment: &TreeSegment) -> v1::SegmentShare {
    let (id, runs) = (segment.id.as_deref(), &segment.runs);
    v1::SegmentShare {
        port: port.to_string(),
        number: segment.number,
        slice: id.map(|id| id.slice.to_string()).unwrap_or_default(),
        segment: id.map(|id| id.segment.to_string()).unwrap_or_default(),
        limits: Some(limits(runs.runs.guaranteed, runs.runs.ceiling)),
        weight: runs.runs.weight.into(),
        low_latency_bits_per_second: runs.low_latency.bits_per_second(),
        leaving: runs.is_leaving,
    }
}

const fn limits(guaranteed: Rate, ceiling: Rate) -> v1::RateLimits {
    v1::RateLimits {
        guaranteed_bits_per_second: guaranteed.bits_per_second(),
        ceiling_bits_per_second: ceiling.bits_per_second(),
    }
}
