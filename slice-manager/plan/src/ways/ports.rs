//! Access ports: what is guaranteed on them must fit, and ceilings must be within reach.

use std::collections::BTreeMap;

use model::{NodeName, PortName, Rate};

use crate::refusal::{Refusal, RefusalReason};
use crate::underlay::Underlay;
use crate::wish::SliceWish;

/// What is booked on each access port.
pub(crate) struct Ports<'b, 'a> {
    underlay: &'b Underlay<'a>,
    booked: BTreeMap<(&'b NodeName, &'b PortName), Rate>,
}

impl<'b, 'a> Ports<'b, 'a> {
    pub(crate) const fn new(underlay: &'b Underlay<'a>) -> Self {
        Self { underlay, booked: BTreeMap::new() }
    }

    pub(crate) fn book(&mut self, slice: &'b SliceWish<'a>) {
        for sdp in &slice.spec.sdps {
            let booked = self.booked.entry((&sdp.edge, &sdp.port)).or_default();
            *booked = booked.saturating_add(slice.derived.limits.guaranteed());
        }
    }

    /// Why the slice does not fit.
    pub(crate) fn check(&self, slice: &SliceWish<'_>) -> Vec<Refusal> {
        let limits = slice.derived.limits;
        let (guaranteed, ceiling) = (limits.guaranteed(), limits.ceiling());
        let mut sdps: BTreeMap<_, u64> = BTreeMap::new();
        for sdp in &slice.spec.sdps {
            *sdps.entry((&sdp.edge, &sdp.port)).or_default() += 1;
        }
        let mut refusals = Vec::new();
        for ((edge, port), times) in sdps {
            let Some(view) = self.underlay.port(edge, port) else { continue };
            let (rate, mtu) = (view.port.rate, view.port.mtu);
            let left = rate.saturating_sub(self.booked.get(&(edge, port)).copied().unwrap_or_default());
            let fits = Rate::from_bits_per_second(left.bits_per_second() / times.max(1));
            let (edge, port) = (edge.clone(), port.clone());
            if guaranteed > fits {
                let (edge, port) = (edge.clone(), port.clone());
                let reason = RefusalReason::PortFull { asked: guaranteed, times, edge, port, left, fits };
                refusals.push(slice.refusal(slice.rate_path("guaranteed"), reason));
            }
            if ceiling > rate {
                let (edge, port) = (edge.clone(), port.clone());
                let reason = RefusalReason::CeilingAbovePort { ceiling, edge, port, rate };
                refusals.push(slice.refusal(slice.rate_path("ceiling"), reason));
            }
            // Towards devices there is no tunnel.
            let packet_octets = slice.derived.packet_octets_max;
            if packet_octets > mtu {
                let (needed_octets, fits_octets) = (packet_octets.into(), mtu);
                let reason =
                    RefusalReason::PacketTooLong { packet_octets, needed_octets, node: edge, port, mtu, fits_octets };
                refusals.push(slice.refusal("spec.template", reason));
            }
        }
        refusals
    }
}
