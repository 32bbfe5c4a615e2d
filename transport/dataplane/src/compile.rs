//! Compiles a program into tables. All or nothing: an error leaves what runs as it is.

mod error;
mod slots;
mod trees;
mod tunnels;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use model::program::{Adjacency, CorePort, Program, ProgramContent, SegmentProgram, SliceProgram, Tunnel};
use model::resource::{SegmentId, Service};
use model::{NodeName, PathId, PortName, Rate, SdpName, SliceName, Vlan, Vni};
use transport_wire::ethernet;

use crate::counters::Traffic;
use crate::drops::Drops;
use crate::encap::{Mark, Marks};
use crate::frame::FRAME_OCTETS_MAX;
use crate::l3::GATEWAYS_MAX;
use crate::meter::{Meter, Nanos};
use crate::neighbour::Neighbour;
use crate::port::{PortIndex, PortSet, PortSpec};
use crate::probe::{PATHS_MAX, Paths};
use crate::session::{FLOOD_COPIES_MAX, Members};
use crate::sids::Sids;
use crate::table::Table;
use crate::tables::{
    Circuit, CircuitIndex, Hop, MeteredTraffic, PortRole, SdpUid, Segment, SegmentUid, Slice, SliceSlot, Tables,
};
use crate::transit::TransitClasses;
use crate::trees::shape::QueueNumber;
use crate::underlay::{REMOTE_MACS_MAX, REMOTE_MACS_PER_SEGMENT_MAX};

pub use error::CompileError;

use slots::Slots;
pub(crate) use trees::number as class_number;

/// Compiles programs for one edge, and keeps which number belongs to which name.
#[derive(Debug, Clone)]
pub struct Compiler {
    ports: Vec<PortSpec>,
    numbers: Numbers,
}

/// Which number belongs to which name. A name that stays keeps its number; a number is not given to another name, but for
/// slots, which rest for as long as possible.
#[derive(Debug, Clone)]
struct Numbers {
    slots: Slots<SliceName>,
    /// Of segments in trees.
    queues: Slots<SegmentId>,
    uids: BTreeMap<SegmentId, SegmentUid>,
    sdps: BTreeMap<(SliceName, SdpName), SdpUid>,
    last_uid: u32,
    last_sdp: u32,
}

impl Compiler {
    /// For these ports; their order is that of the pipeline.
    pub fn new(ports: Vec<PortSpec>) -> Result<Self, CompileError> {
        at_most("ports", ports.len(), PORTS_MAX)?;
        let numbers = Numbers {
            slots: Slots::new(SLOTS),
            queues: Slots::new(QUEUE_SLOTS),
            uids: BTreeMap::new(),
            sdps: BTreeMap::new(),
            last_uid: 0,
            last_sdp: 0,
        };
        Ok(Self { ports, numbers })
    }

    /// The uid of a segment in the tables that were compiled last.
    pub fn uid(&self, segment: &SegmentId) -> Option<SegmentUid> {
        self.numbers.uids.get(segment).copied()
    }

    /// Compiles. Segments, slices and SDPs that were in the program before keep their numbers; others get new ones. After
    /// an error everything keeps the number that it had.
    pub fn compile(&mut self, program: &Program, now: Nanos) -> Result<Box<Tables>, CompileError> {
        Self::check(&program.content)?;
        let mut numbers = self.numbers.clone();
        numbers.assign(&program.content);
        let paths = program.content.paths.iter().zip(0..).map(|(path, at)| ((&path.to, path.id), at)).collect();
        let content = &program.content;
        let tables = Build { ports: &self.ports, numbers: &numbers, content, paths, now }.tables(program)?;
        self.numbers = numbers;
        Ok(tables)
    }

    /// What can be said of a program before its tables are built.
    fn check(content: &ProgramContent) -> Result<(), CompileError> {
        at_most("loopback addresses", content.loopback.len(), LOOPBACKS_MAX)?;
        at_most("slices", content.slices.len(), SLICES_MAX)?;
        at_most("micro-segments", content.slices.iter().map(|s| s.segments.len()).sum(), SEGMENTS_MAX)?;
        at_most("attachment circuits", content.slices.iter().map(|s| s.circuits.len()).sum(), CIRCUITS_MAX)?;
        at_most("paths", content.paths.len(), PATHS_MAX)?;
        at_most("SIDs and labels of the way", content.transit.sids.len() + content.transit.labels.len(), TRANSIT_MAX)?;
        trees::check(content)?;
        let mut core = BTreeSet::new();
        for port in &content.core_ports {
            if !core.insert(&port.port) {
                return Err(CompileError::PortTwice(port.port.clone()));
            }
        }
        let mut circuits = BTreeSet::new();
        for circuit in content.slices.iter().flat_map(|slice| &slice.circuits) {
            if core.contains(&circuit.port) {
                return Err(CompileError::PortConflict(circuit.port.clone()));
            }
            if !circuits.insert((&circuit.port, circuit.vlan)) {
                return Err(CompileError::CircuitTwice { port: circuit.port.clone(), vlan: circuit.vlan });
            }
        }
        let mut names = BTreeSet::new();
        let mut segments = BTreeSet::new();
        let mut vnis: BTreeMap<Vni, &SegmentId> = BTreeMap::new();
        for segment in content.slices.iter().flat_map(|slice| &slice.segments) {
            if let Some(first) = vnis.insert(segment.vni, &segment.id).filter(|first| **first != segment.id) {
                let (first, second) = (first.clone(), segment.id.clone());
                return Err(CompileError::VniTwice { vni: segment.vni, first, second });
            }
        }
        for slice in &content.slices {
            if !names.insert(&slice.slice) {
                return Err(CompileError::SliceTwice(slice.slice.clone()));
            }
            let mut sdps = BTreeSet::new();
            if let Some(twice) = slice.circuits.iter().find(|circuit| !sdps.insert(&circuit.sdp)) {
                return Err(CompileError::SdpTwice { slice: slice.slice.clone(), sdp: twice.sdp.clone() });
            }
            if let Some(twice) = slice.segments.iter().find(|segment| !segments.insert(&segment.id)) {
                return Err(CompileError::SegmentTwice(twice.id.clone()));
            }
            for circuit in &slice.circuits {
                at_most("gateway addresses of a circuit", circuit.gateways.len(), GATEWAYS_MAX)?;
            }
            let mut inner = BTreeSet::new();
            if let Some(twice) = slice.markings.iter().find(|marking| !inner.insert(marking.inner)) {
                return Err(CompileError::MarkingTwice { slice: slice.slice.clone(), inner: twice.inner });
            }
            let (octets, max) = (slice.packet_octets_max, FRAME_OCTETS_MAX - HEADERS_OCTETS);
            if usize::from(octets) > max {
                return Err(CompileError::PacketTooLong { slice: slice.slice.clone(), octets, max });
            }
        }
        Ok(())
    }
}

impl Numbers {
    /// Gives numbers to what is new and forgets those of what is gone.
    fn assign(&mut self, content: &ProgramContent) {
        let slices: BTreeSet<_> = content.slices.iter().map(|slice| &slice.slice).collect();
        let segments: BTreeSet<_> = content.slices.iter().flat_map(|s| &s.segments).map(|s| &s.id).collect();
        let sdps: BTreeSet<_> = content
            .slices
            .iter()
            .flat_map(|slice| slice.circuits.iter().map(|circuit| (slice.slice.clone(), circuit.sdp.clone())))
            .collect();
        self.slots.assign(&slices);
        self.queues.assign(&segments);
        self.uids.retain(|id, _| segments.contains(id));
        self.sdps.retain(|sdp, _| sdps.contains(sdp));
        for segment in segments {
            if !self.uids.contains_key(segment) {
                self.last_uid += 1;
                self.uids.insert(segment.clone(), SegmentUid(self.last_uid));
            }
        }
        for sdp in sdps {
            self.sdps.entry(sdp).or_insert_with(|| {
                self.last_sdp += 1;
                SdpUid(self.last_sdp)
            });
        }
    }
}

/// Tables in the making.
struct Build<'a> {
    ports: &'a [PortSpec],
    numbers: &'a Numbers,
    content: &'a ProgramContent,
    /// The places of paths, by where they lead and their id; of two that are the same, the last one's.
    paths: BTreeMap<(&'a NodeName, PathId), u16>,
    now: Nanos,
}

impl Build<'_> {
    fn tables(&self, program: &Program) -> Result<Box<Tables>, CompileError> {
        let content = &program.content;
        let mut tables = Tables::empty(self.ports.len());
        tables.generation = program.generation;
        tables.digest = program.digest();
        tables.loopbacks = content.loopback.iter().copied().take(LOOPBACKS_MAX).collect();
        for port in &content.core_ports {
            self.core_port(&mut tables, port)?;
        }
        tables.slices.resize_with(self.numbers.slots.end(), || None);
        tables.by_queue.resize(self.numbers.queues.end(), None);
        Self::reserve(&mut tables, content);
        for path in &content.paths {
            self.path(&mut tables, path)?;
        }
        tables.probes = Paths::new(&content.paths, content.probes.as_ref(), self.now)?;
        self.transit(&mut tables, &content.transit)?;
        for slice in &content.slices {
            self.slice(&mut tables, slice)?;
        }
        self.trees(&mut tables)?;
        tables.transit_classes = TransitClasses::new(&content.transit.queues);
        tables.by_uid.sort_unstable();
        let learning = tables.segments.iter().filter(|segment| segment.service == Service::L2Multipoint).count();
        let share = REMOTE_MACS_MAX / 2 / learning.max(1);
        tables.remote_macs_share = u32::try_from(share).unwrap_or(u32::MAX).min(REMOTE_MACS_PER_SEGMENT_MAX);
        tables.by_sdp.sort_unstable();
        Ok(Box::new(tables))
    }

    /// Makes room for what is found by number.
    fn reserve(tables: &mut Tables, content: &ProgramContent) {
        let segments = || content.slices.iter().flat_map(|slice| &slice.segments);
        let remotes = || segments().flat_map(|segment| &segment.remotes);
        let sent = remotes().filter(|remote| matches!(remote.tunnel, Tunnel::Mpls { .. })).count();
        let labelled = sent + remotes().map(|remote| remote.inbound.len()).sum::<usize>();
        tables.by_vni = Table::new(segments().count());
        tables.by_label = Table::new(labelled + content.transit.labels.len());
        tables.sids = Sids::new(segments().map(|s| s.sids.len()).sum::<usize>() + content.transit.sids.len());
    }

    fn port(&self, name: &PortName) -> Result<PortIndex, CompileError> {
        let at = self.ports.iter().position(|port| port.name == *name).and_then(|at| u8::try_from(at).ok());
        at.map(PortIndex).ok_or_else(|| CompileError::UnknownPort {
            port: name.clone(),
            known: self.ports.iter().map(|port| port.name.clone()).collect(),
        })
    }

    fn core_port(&self, tables: &mut Tables, port: &CorePort) -> Result<(), CompileError> {
        at_most("addresses of a port", port.addresses.len(), ADDRESSES_MAX)?;
        let table = &mut tables.ports[self.port(&port.port)?.get()];
        table.role = PortRole::Core;
        table.mtu = port.mtu;
        table.addresses = port.addresses.iter().copied().collect();
        Ok(())
    }

    fn slice(&self, tables: &mut Tables, slice: &SliceProgram) -> Result<(), CompileError> {
        let slot = SliceSlot(self.numbers.slots.get(&slice.slice));
        let first = place(tables.circuits.len());
        let is_policed = trees::is_policed(slice);
        let session_meter = |rate: Option<Rate>| {
            rate.map(|rate| Meter::new(rate, usize::from(slice.packet_octets_max) + ethernet::HEADER_OCTETS, self.now))
        };
        for circuit in &slice.circuits {
            let port = self.port(&circuit.port)?;
            let vlan = circuit.vlan.map_or(0, Vlan::get);
            let at = place(tables.circuits.len());
            let key = (slice.slice.clone(), circuit.sdp.clone());
            let uid = self.numbers.sdps.get(&key).copied().unwrap_or_default();
            let metered = MeteredTraffic::new(slice.limits, slice.packet_octets_max, self.now).policed(is_policed);
            tables.circuits.push(Circuit {
                uid,
                sdp: Arc::new(circuit.sdp.clone()),
                port,
                vlan,
                slice: slot,
                leaf: circuit.leaf,
                gateways: circuit.gateways.iter().copied().take(GATEWAYS_MAX).collect(),
                packet_octets_max: slice.packet_octets_max,
                from_access: metered,
                to_access: metered,
                session_from: session_meter(slice.session_rates.from_access),
                session_to: session_meter(slice.session_rates.to_access),
            });
            tables.by_sdp.push((uid, at));
            let table = &mut tables.ports[port.get()];
            table.role = PortRole::Access;
            table.by_vlan.get_or_insert_with(|| Box::new([None; 4096]))[usize::from(vlan)] = Some(CircuitIndex(at));
        }
        let marks = Mark::new(slice.dscp, slice.traffic_class, slice.queue);
        let marks = Arc::new(Marks::new(marks, &slice.markings));
        let exits = self.exits(slice)?;
        for segment in &slice.segments {
            self.segment(tables, slice, segment, (slot, is_policed, exits), &marks)?;
        }
        let circuits = first..place(tables.circuits.len());
        let (name, routes) = (Arc::new(slice.slice.clone()), Self::subnets(slice, first)?);
        tables.slices[usize::from(slot.0)] = Some(Slice { name, limits: slice.limits, circuits, routes });
        Ok(())
    }

    fn segment(
        &self,
        tables: &mut Tables,
        slice: &SliceProgram,
        segment: &SegmentProgram,
        (slot, is_policed, exits): (SliceSlot, bool, PortSet),
        marks: &Arc<Marks>,
    ) -> Result<(), CompileError> {
        let uid = self.numbers.uids.get(&segment.id).copied().unwrap_or_default();
        let at = place(tables.segments.len());
        let (remotes, edges) = self.remotes(tables, slice, segment, at)?;
        if segment.takes_vxlan() {
            // That it is there once was checked.
            let _ = tables.by_vni.insert(u64::from(segment.vni.get()), at);
        }
        tables.by_uid.push((uid, at));
        let queue = self.numbers.queues.get(&segment.id);
        tables.by_queue[usize::from(queue)] = Some(at);
        let metered = MeteredTraffic::new(segment.limits, slice.packet_octets_max, self.now).policed(is_policed);
        tables.segments.push(Segment {
            uid,
            queue: QueueNumber::of(queue),
            exits,
            wire: 0,
            slice: slot,
            service: slice.service,
            vni: segment.vni.get(),
            marks: marks.clone(),
            learned: 0,
            epoch: 0,
            from_access: metered,
            to_access: metered,
            to_tunnels: Traffic::default(),
            from_tunnels: Traffic::default(),
            remotes,
            edges,
            members: Members::default(),
            sessions_max: segment.sessions_max,
            drops: Box::new([Drops::default(); PORTS_MAX]),
            id: Arc::new(segment.id.clone()),
            limits: segment.limits,
        });
        Ok(())
    }
}

impl Build<'_> {
    /// Where a packet of others leaves.
    fn hop(&self, tables: &mut Tables, to: &Adjacency) -> Result<Hop, CompileError> {
        let port = self.port(&to.port)?;
        if tables.ports[port.get()].role != PortRole::Core {
            return Err(CompileError::NotCore { port: to.port.clone() });
        }
        let neighbour = neighbour(tables, port, &to.port, to.next_hop)?;
        Ok(Hop { port, neighbour })
    }
}

/// The place of a next hop among the neighbours; it is added if it is new.
fn neighbour(tables: &mut Tables, port: PortIndex, name: &PortName, next_hop: IpAddr) -> Result<u16, CompileError> {
    if let Some(at) = tables.neighbours.iter().position(|n| n.port == port && n.address == next_hop) {
        return Ok(place(at));
    }
    // Asked from an address on the neighbour's own subnet, if there is one.
    let addresses = &tables.ports[port.get()].addresses;
    let same_family = || addresses.iter().filter(|address| address.address().is_ipv4() == next_hop.is_ipv4());
    let from = same_family().find(|address| address.is_on_link(next_hop)).or_else(|| same_family().next());
    let from = from.ok_or_else(|| CompileError::NoAddress { port: name.clone(), next_hop })?.address();
    let at = place(tables.neighbours.len());
    tables.neighbours.push(Neighbour::new(port, next_hop, from));
    at_most("next hops", tables.neighbours.len(), NEIGHBOURS_MAX)?;
    Ok(at)
}

const fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), CompileError> {
    if count > max { Err(CompileError::TooMany { what, count, max }) } else { Ok(()) }
}

/// An index into a table that [`at_most`] has bounded.
#[allow(clippy::cast_possible_truncation, reason = "all tables are bounded by far less, see the assertions below")]
const fn place(at: usize) -> u16 {
    at as u16
}

/// The most ports of an edge.
pub const PORTS_MAX: usize = 8;
/// The most micro-segments on an edge.
pub const SEGMENTS_MAX: usize = 4_096;
/// The most addresses of a core port.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// The most loopback addresses.
pub(crate) const LOOPBACKS_MAX: usize = 4;
const SLICES_MAX: usize = 1_024;
pub(crate) const SLOTS: u16 = 2_048;
/// Twice as many as segments, so that what waits of one that went has long gone when its number comes to another.
pub(crate) const QUEUE_SLOTS: u16 = 8_192;
const CIRCUITS_MAX: usize = 8_192;
/// As many as a flood reaches.
const REMOTES_MAX: usize = FLOOD_COPIES_MAX;
const NEIGHBOURS_MAX: usize = 256;
/// The most SIDs and labels that a node on the way has.
const TRANSIT_MAX: usize = 16_384;
/// Ethernet header and tag.
const HEADERS_OCTETS: usize = ethernet::HEADER_OCTETS + ethernet::TAG_OCTETS;

// A slice's slot is part of a 63-bit key, above a MAC address.
const _: () = assert!(SLICES_MAX < SLOTS as usize && SLOTS <= 1 << 15);
const _: () = assert!(2 * SEGMENTS_MAX <= QUEUE_SLOTS as usize && QUEUE_SLOTS < u16::MAX);
const _: () = assert!(CIRCUITS_MAX <= u16::MAX as usize);
const _: () = assert!(NEIGHBOURS_MAX <= u16::MAX as usize);
const _: () = assert!(PORTS_MAX <= u8::MAX as usize);
