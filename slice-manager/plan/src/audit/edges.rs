//! What edges are told to run, against what is declared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::profile::SegmentProfileSpec;
use model::program::{
    Flavours, ProgramContent, RealmProgram, SegmentProgram, SliceProgram, TransitBehaviour, TransitSid,
};
use model::resource::{
    Client, Control, NodeRole, Probes, RealmSpec, Sdp, SdpVlan, SegmentId, Service, SliceSpec, Transport,
};
use model::{NodeName, PortName, Prefix, Rate, SdpName, SliceName, Snssai, Vlan};

use super::numbers::{POOLS, number};
use super::{Audit, Finding, NumberFinding};
use crate::refusal::Pool;

impl<'a> Audit<'a> {
    pub(super) fn slices(&mut self) {
        let mut snssais: HashMap<Snssai, &SliceName> = HashMap::new();
        for (name, spec) in &self.intents.slices {
            if let Some(one) = snssais.insert(spec.snssai, name) {
                let (one, other) = (one.clone(), name.clone());
                self.error(Finding::SnssaiTwice { snssai: spec.snssai, one, other });
            }
            for edge in Self::sdps(spec).into_keys() {
                match self.slices.get(&(name, edge)).copied() {
                    Some(program) => self.slice(name, spec, edge, program),
                    None => self.error(Finding::SliceMissing { slice: name.clone(), edge: edge.clone() }),
                }
            }
        }
        let unwanted: Vec<_> = self
            .slices
            .keys()
            .filter(|(slice, edge)| {
                let spec = self.intents.slices.get(*slice);
                !spec.is_some_and(|spec| spec.sdps.iter().any(|sdp| sdp.edge == **edge))
            })
            .map(|(slice, edge)| Finding::SliceUnwanted { slice: (*slice).clone(), edge: (*edge).clone() })
            .collect();
        self.errors(unwanted);
        for (edge, program) in &self.plan.programs {
            self.program(edge, &program.content);
        }
    }

    fn slice(&mut self, name: &SliceName, spec: &SliceSpec, edge: &NodeName, program: &SliceProgram) {
        let template = self.template(spec);
        let attribute = template.and_then(|t| t.spec.attributes.whole("Maximum supported packet size"));
        let class = template.and_then(|t| self.catalog.classes().get(t.spec.default_five_qi));
        let limits = (program.limits.guaranteed(), program.limits.ceiling());
        let differs = [
            ("S-NSSAI", program.snssai != spec.snssai),
            ("rate", self.rates(spec) != Some(limits)),
            ("packet size", u64::from(program.packet_octets_max) != attribute.unwrap_or(1500)),
            ("DSCP", Some(program.dscp) != class.map(|row| row.dscp)),
            ("traffic class", Some(program.traffic_class) != class.map(|row| row.traffic_class)),
            ("queue", Some(program.queue) != class.map(|row| row.queue)),
            ("weight", program.weight != spec.weight),
            (
                "set of session rates",
                template.map(|template| Self::session_rates(spec, template)) != Some(program.session_rates),
            ),
            ("set of markings", template.map(|template| self.markings(template)).as_ref() != Some(&program.markings)),
            ("service", program.service != spec.service),
        ];
        for (what, _) in differs.into_iter().filter(|(_, differs)| *differs) {
            self.error(Finding::SliceDiffers { slice: name.clone(), edge: edge.clone(), what });
        }
        let asked: BTreeSet<_> = spec
            .sdps
            .iter()
            .filter(|sdp| sdp.edge == *edge)
            .map(|sdp| (&sdp.name, &sdp.port, self.vlan(name, sdp), sdp.leaf, &sdp.addresses))
            .collect();
        let found: BTreeSet<_> =
            program.circuits.iter().map(|c| (&c.sdp, &c.port, c.vlan, c.leaf, &c.gateways)).collect();
        if asked != found || program.circuits.len() != found.len() {
            self.error(Finding::CircuitsDiffer { slice: name.clone(), edge: edge.clone() });
        }
        if !self.routes_are_right(name, spec, edge, program) {
            self.error(Finding::SliceDiffers { slice: name.clone(), edge: edge.clone(), what: "set of routes" });
        }
        let segments: u128 = program.segments.iter().map(|s| u128::from(s.limits.guaranteed().bits_per_second())).sum();
        if segments > u128::from(limits.0.bits_per_second()) {
            let segments = Rate::from_bits_per_second(u64::try_from(segments).unwrap_or(u64::MAX));
            let (slice, edge, guaranteed) = (name.clone(), edge.clone(), limits.0);
            self.error(Finding::SharesAboveWhole { slice, edge, segments, guaranteed });
        }
    }

    /// What an SDP says, or what was chosen for it, from the pool.
    fn vlan(&self, slice: &SliceName, sdp: &Sdp) -> Option<Vlan> {
        match sdp.vlan? {
            SdpVlan::Id(vlan) => Some(vlan),
            SdpVlan::Auto => {
                let pool = self.topology?.pools.vlans;
                let chosen = self.plan.slices.get(slice)?.vlans.get(&sdp.name).copied()?;
                // A VLAN outside is none, so that it differs from whatever the program says.
                (pool.first <= chosen && chosen <= pool.last).then_some(chosen)
            }
        }
    }

    /// Each subnet behind another edge with which the edge shares a segment, and no other.
    fn routes_are_right(&self, name: &SliceName, spec: &SliceSpec, edge: &NodeName, program: &SliceProgram) -> bool {
        let segments = self.declared.get(name).into_iter().flatten().filter(|segment| segment.at.contains(edge));
        let near: BTreeSet<&NodeName> = segments.flat_map(|segment| segment.at.iter()).collect();
        let there = spec.sdps.iter().filter(|sdp| sdp.edge != *edge && near.contains(&sdp.edge));
        let expected: BTreeSet<_> = there
            .flat_map(|sdp| sdp.addresses.iter().map(move |address| (address, &sdp.edge)))
            .filter_map(|(address, edge)| Some((Prefix::new(address.address(), address.length())?, edge)))
            .collect();
        let found: BTreeSet<_> = program.routes.iter().map(|route| (route.prefix, &route.edge)).collect();
        found == expected && found.len() == program.routes.len()
    }

    /// The parts of a program that are the edge's own.
    fn program(&mut self, edge: &NodeName, content: &ProgramContent) {
        if content.edge != *edge {
            self.error(Finding::OtherEdge { edge: edge.clone(), found: content.edge.clone() });
        }
        let node = self
            .nodes
            .get(edge)
            .copied()
            .filter(|node| node.role == NodeRole::Edge || !matches!(node.control, None | Some(Control::Static)));
        // A kernel takes the SRH off by End only.
        let is_kernel = node.is_some_and(|node| node.control == Some(Control::Linux));
        let is_right = |sid: &TransitSid| {
            let psp = !(is_kernel && matches!(sid.behaviour, TransitBehaviour::EndX(_)));
            sid.flavours == Flavours { psp, usp: false, usd: false }
        };
        if !content.transit.sids.iter().all(is_right) {
            self.error(Finding::OtherTransit(edge.clone()));
        }
        let loopback: BTreeSet<_> = node.into_iter().flat_map(|node| node.loopback.addresses()).collect();
        let mut ports = BTreeMap::new();
        for end in self.links.values().flat_map(|link| [&link.a, &link.b]).filter(|end| end.node == *edge) {
            let mtu = node.and_then(|node| node.ports.get(end.port.as_str())).map_or(0, |port| port.mtu);
            ports.extend(node.map(|_| (&end.port, (mtu, end.addresses.iter().collect::<BTreeSet<_>>()))));
        }
        let is_gone = node.is_none();
        let found_loopback: BTreeSet<_> = content.loopback.iter().copied().collect();
        let found_ports: BTreeMap<_, _> =
            content.core_ports.iter().map(|port| (&port.port, (port.mtu, port.addresses.iter().collect()))).collect();
        let probes = match self.topology.map(|topology| topology.probes) {
            Some(Probes::Stamp(spec)) if node.is_some_and(|node| node.role == NodeRole::Edge) => {
                Some((spec.interval.as_nanos(), spec.losses, spec.answers))
            }
            _ => None,
        };
        let found_probes = content.probes.map(|probes| (probes.interval_nanos, probes.losses_max, probes.answers_min));
        if found_probes != probes {
            self.error(Finding::OtherProbes(edge.clone()));
        }
        // While a change is under way, ports stay that are still sent to, and core nodes that have left go on.
        let is_under_way = self.is_under_way();
        let is_more = ports.iter().all(|(port, view)| found_ports.get(*port) == Some(view));
        let is_right = if is_under_way { is_more } else { found_ports == ports };
        let is_twice = content.core_ports.len() != found_ports.len();
        let access_differs = self.access_ports_differ(edge, content, &ports);
        if ((found_loopback != loopback || access_differs) && !(is_under_way && is_gone)) || !is_right || is_twice {
            self.error(Finding::OtherUnderlay(edge.clone()));
        }
    }

    /// Has an edge, and nobody else, other ports towards devices than those that no link is at?
    fn access_ports_differ<V>(
        &self,
        edge: &NodeName,
        content: &ProgramContent,
        linked: &BTreeMap<&PortName, V>,
    ) -> bool {
        let node = self.nodes.get(edge).filter(|node| node.role == NodeRole::Edge);
        let ports = node.into_iter().flat_map(|node| node.ports.iter());
        let expected: BTreeMap<_, _> =
            ports.filter(|port| !linked.contains_key(&port.name)).map(|port| (&port.name, port.rate)).collect();
        let found: BTreeMap<_, _> = content.access_ports.iter().map(|port| (&port.port, port.rate)).collect();
        content.access_ports.len() != found.len() || found != expected
    }

    pub(super) fn segments(&mut self) {
        let (intents, none) = (self.intents, BTreeMap::new());
        for (id, spec) in &intents.segments {
            let running = self.segments.get(id).unwrap_or(&none).clone();
            let asked: BTreeSet<&NodeName> = spec.at.iter().collect();
            for edge in asked.iter().filter(|edge| !running.contains_key(*edge)) {
                self.error(Finding::SegmentMissing { segment: id.clone(), edge: (*edge).clone() });
            }
            for (edge, program) in running {
                if !asked.contains(edge) {
                    self.error(Finding::SegmentUnwanted { segment: id.clone(), edge: edge.clone() });
                }
                self.segment(id, edge, program);
            }
        }
        let stray = self.segments.iter().filter(|(id, _)| !intents.segments.contains_key(*id));
        let stray: Vec<_> = stray
            .flat_map(|(id, edges)| edges.keys().map(|edge| (*id, *edge)))
            .map(|(id, edge)| Finding::SegmentUnwanted { segment: id.clone(), edge: edge.clone() })
            .collect();
        self.errors(stray);
    }

    fn segment(&mut self, id: &SegmentId, edge: &NodeName, program: &SegmentProgram) {
        let allocation = self.plan.allocations.get(id);
        let realm_port = program.realm.as_ref().map(|realm| u64::from(realm.access_port));
        for pool in POOLS {
            let found = match pool {
                Pool::Vni => Some(u64::from(program.vni.get())),
                Pool::RadiusPort => realm_port,
                _ => None,
            };
            if let (Some(found), Some(expected)) = (found, allocation.and_then(|a| number(pool, a)))
                && found != expected
            {
                let (edge, segment) = (edge.clone(), id.clone());
                self.error(NumberFinding::OtherNumber { edge, segment, pool, found, expected });
            }
        }
        for what in self.segment_differs(id, edge, program).unwrap_or_default() {
            self.error(Finding::SegmentDiffers { segment: id.clone(), edge: edge.clone(), what });
        }
    }

    fn segment_differs(&self, id: &SegmentId, edge: &NodeName, program: &SegmentProgram) -> Option<Vec<&'static str>> {
        let slice = self.intents.slices.get(&id.slice)?;
        let spec = self.intents.segments.get(id)?;
        let profile: &SegmentProfileSpec = self.profile(spec)?;
        let (guaranteed, ceiling) = self.rates(slice)?;
        // A share, in hundredths of a percent, rounded down.
        let part = |rate: Rate, points: u16| u128::from(rate.bits_per_second()) * u128::from(points) / 10_000;
        let share = spec.share.unwrap_or(profile.share).basis_points();
        let guaranteed = part(guaranteed, share);
        let ceiling = part(ceiling, spec.ceiling.unwrap_or(profile.ceiling).basis_points());
        let bits = |rate: Rate| u128::from(rate.bits_per_second());
        let realm = self.intents.realms.get(id);
        let features = self.catalog.aaa(&profile.aaa).map(|aaa| &aaa.features);
        let runs = program.realm.as_ref();
        let template = self.template(slice);
        let nssaa = "Network Slice Specific Authentication and Authorization (NSSAA) Required";
        let is_required = template
            .and_then(|t| t.spec.attributes.get(nssaa))
            .is_some_and(|value| *value == model::profile::GstValue::Choice(1));
        let counts = ["Maximum number of PDU sessions", "Maximum number of UEs", UES_WITH_SESSION];
        let counts = counts.into_iter().filter_map(|name| template?.spec.attributes.whole(name));
        let sessions = counts.chain([u64::from(profile.sessions_max)]).min().unwrap_or_default();
        let differs = [
            ("guarantee", bits(program.limits.guaranteed()) != guaranteed),
            ("ceiling", bits(program.limits.ceiling()) != ceiling),
            ("weight", u16::from(program.weight.get()) != (share / 100).max(1)),
            ("limit of sessions", u64::from(program.sessions_max) != sessions),
            ("realm", runs.is_some() != realm.is_some() || (is_required && runs.is_none())),
            ("set of SIDs", !self.sids_are_right(slice, id, edge, program)),
            ("set of AAA features", runs.is_some_and(|runs| Some(&runs.features) != features)),
            ("set of clients", runs.zip(realm).is_some_and(|(runs, realm)| Self::clients_differ(realm, edge, runs))),
        ];
        Some(differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect())
    }

    /// Over SRv6: locator, function and behaviour of the service, written out; else none.
    fn sids_are_right(&self, slice: &SliceSpec, id: &SegmentId, edge: &NodeName, program: &SegmentProgram) -> bool {
        use model::program::ServiceBehaviour::{Dt2m, Dt2u, Dt46, Dx2};
        let is_alone = self.intents.segments.get(id).is_some_and(|segment| segment.at.len() < 2);
        let behaviours: &[_] = match slice.service {
            _ if slice.transport != Transport::Srv6 || is_alone => &[],
            Service::L2PointToPoint => &[Dx2],
            Service::L2Multipoint => &[Dt2u, Dt2m],
            Service::L3 => &[Dt46],
        };
        let sid = |offset: u16| super::steering::sid_of(self.nodes.get(edge)?, self.function(id)?.checked_add(offset)?);
        let expected = behaviours.iter().zip(0_u16..).map(|(behaviour, offset)| (sid(offset), *behaviour));
        let count = behaviours.len();
        let (own, more) = program.sids.split_at_checked(count).unwrap_or((&program.sids, &[]));
        let mut seen = BTreeSet::new();
        expected.eq(own.iter().map(|sid| (Some(sid.sid.get()), sid.behaviour)))
            && (more.is_empty() || self.is_under_way())
            && program.sids.iter().all(|sid| seen.insert(sid.sid))
    }

    pub(super) fn function(&self, id: &SegmentId) -> Option<u16> {
        self.plan.allocations.get(id)?.function
    }

    /// Every client that has no edge, or has this one, and no other.
    fn clients_differ(realm: &RealmSpec, edge: &NodeName, runs: &RealmProgram) -> bool {
        let mut expected: BTreeMap<&str, &Client> = realm.clients.iter().map(|c| (c.name.as_str(), c)).collect();
        expected.retain(|_, client| match &client.edge {
            Some(only) => only == edge,
            None => true,
        });
        let found: BTreeMap<&str, &Client> = runs.clients.iter().map(|c| (c.name.as_str(), c)).collect();
        found.len() != runs.clients.len() || found != expected
    }

    /// Each circuit feeds one SDP, and access ports carry what is guaranteed on them.
    pub(super) fn circuits(&mut self) {
        type Owner<'a> = (&'a SliceName, &'a SdpName);
        for (edge, program) in &self.plan.programs {
            let mut circuits: HashMap<(&PortName, Option<Vlan>), Owner<'a>> = HashMap::new();
            let mut guaranteed: BTreeMap<&PortName, u128> = BTreeMap::new();
            for slice in &program.content.slices {
                for circuit in &slice.circuits {
                    let owner = (&slice.slice, &circuit.sdp);
                    if let Some(one) = circuits.insert((&circuit.port, circuit.vlan), owner) {
                        let own = |(slice, sdp): Owner<'_>| (slice.clone(), sdp.clone());
                        let (edge, port) = (edge.clone(), circuit.port.clone());
                        self.error(Finding::CircuitTwice { edge, port, one: own(one), other: own(owner) });
                    }
                    let bits = u128::from(slice.limits.guaranteed().bits_per_second());
                    *guaranteed.entry(&circuit.port).or_default() += bits;
                }
            }
            for (port, bits) in guaranteed {
                let rate = self.nodes.get(edge).and_then(|node| node.ports.get(port.as_str())).map(|port| port.rate);
                let rate = rate.unwrap_or_default();
                if bits > u128::from(rate.bits_per_second()) {
                    let guaranteed = Rate::from_bits_per_second(u64::try_from(bits).unwrap_or(u64::MAX));
                    let (edge, port) = (edge.clone(), port.clone());
                    self.error(Finding::PortOverbooked { edge, port, rate, guaranteed });
                }
            }
        }
    }

    /// What is legal and rarely meant.
    pub(super) fn worth_a_look(&mut self) {
        let mut with_segment: BTreeSet<(&SliceName, &NodeName)> = BTreeSet::new();
        for (id, edges) in &self.segments {
            with_segment.extend(edges.keys().map(|edge| (&id.slice, *edge)));
        }
        for (name, spec) in &self.intents.slices {
            let sdps = Self::sdps(spec);
            let without: Vec<_> = sdps.keys().filter(|edge| !with_segment.contains(&(name, *edge))).collect();
            if without.len() == sdps.len() {
                self.warning(Finding::SliceWithoutSegment(name.clone()));
                continue;
            }
            for edge in without {
                self.warning(Finding::EdgeWithoutSegment { slice: name.clone(), edge: (*edge).clone() });
            }
        }
        for id in self.intents.segments.keys() {
            match self.intents.realms.get(id) {
                None => self.warning(Finding::SegmentWithoutRealm(id.clone())),
                Some(realm) if realm.clients.is_empty() => self.warning(Finding::RealmWithoutClient(id.clone())),
                Some(_) => {}
            }
        }
    }
}

const UES_WITH_SESSION: &str = "Maximum number of UEs with at least one PDU session/PDN connection";
