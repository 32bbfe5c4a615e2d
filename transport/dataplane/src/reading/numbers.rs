//! The numbers that a node answers to: its SIDs and its labels, and what each leads to; and its routes. Read on demand, for whoever
//! compares them with a program.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use model::program::{Flavours, ServiceBehaviour};
use model::resource::SegmentId;
use model::{PortName, Prefix};

use crate::labels::LabelEntry;
use crate::pipeline::Pipeline;
use crate::sids::SidAction;
use crate::tables::Hop;

/// The SIDs, labels and routes of a node as they run, each in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Its SIDs.
    pub sids: Vec<(Ipv6Addr, SidReading)>,
    /// Its labels.
    pub labels: Vec<(u32, LabelReading)>,
    /// Its routes to loopbacks and locators: by which port to which neighbour.
    pub routes: Vec<(Prefix, PortName, IpAddr)>,
}

/// What is done with a packet to a SID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SidReading {
    /// It leads into a segment.
    Segment(Arc<SegmentId>, ServiceBehaviour),
    /// End.
    End(Flavours),
    /// End.X, to this neighbour on this port.
    EndX(Flavours, PortName, IpAddr),
}

/// What is done with a packet by its top label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelReading {
    /// It leads into a segment; the edge with this address sends it.
    Segment(Arc<SegmentId>, IpAddr),
    /// It is switched to this neighbour on this port.
    Switch {
        /// The label that takes its place; none: it is popped.
        swap: Option<u32>,
        /// The port.
        port: PortName,
        /// The neighbour.
        next_hop: IpAddr,
    },
}

impl Pipeline {
    /// Reads the numbers that the node answers to, and its routes. Allocates, so it is for between bursts.
    pub fn read_numbers(&self) -> Numbers {
        let mut sids: Vec<_> = self.tables.sids.iter().map(|(sid, action)| (sid, self.sid(action))).collect();
        let labels = self.tables.by_label.iter();
        let mut labels: Vec<_> = labels.filter_map(|(label, entry)| self.label(label, *entry)).collect();
        sids.sort_unstable_by_key(|(sid, _)| *sid);
        labels.sort_unstable_by_key(|(label, _)| *label);
        let routes = self.tables.routes.iter().flat_map(|routes| routes.answers(&self.tables.route_prefixes));
        let routes = routes.map(|(prefix, out)| {
            let (port, next_hop) = self.neighbour(out);
            (prefix, port, next_hop)
        });
        Numbers { sids, labels, routes: routes.collect() }
    }

    fn sid(&self, action: SidAction) -> SidReading {
        match action {
            SidAction::Segment(at, behaviour) => {
                SidReading::Segment(self.tables.segments[usize::from(at)].id.clone(), behaviour)
            }
            SidAction::End(flavours) => SidReading::End(flavours),
            SidAction::EndX(flavours, out) => {
                let (port, next_hop) = self.neighbour(out);
                SidReading::EndX(flavours, port, next_hop)
            }
        }
    }

    fn label(&self, label: u64, entry: LabelEntry) -> Option<(u32, LabelReading)> {
        let reading = match entry {
            LabelEntry::Unknown => return None,
            LabelEntry::Segment(wire) => {
                let segment = &self.tables.segments[usize::from(wire.segment)];
                LabelReading::Segment(segment.id.clone(), segment.remotes[usize::from(wire.remote)].address)
            }
            LabelEntry::Switch { swap, out } => {
                let (port, next_hop) = self.neighbour(out);
                LabelReading::Switch { swap, port, next_hop }
            }
        };
        Some((u32::try_from(label).ok()?, reading))
    }

    fn neighbour(&self, out: Hop) -> (PortName, IpAddr) {
        let port = self.ports[out.port.get()].name.clone();
        (port, self.tables.neighbours[usize::from(out.neighbour)].address)
    }
}
