//! What SDPs are promised: a guarantee and a ceiling, each way.
//!
//! A guarantee is met if all that was let in was sent, or if at least the guarantee was. It is not met if less was, though
//! frames waited at both readings, and not because a micro-segment is at its own ceiling. Otherwise nobody can tell.
//! A ceiling is met if no more passed than it allows in the time, with what may be sent at once after a silence.

use api::v1;
use api::v1::{Excess, Verdict};
use model::program::{Circuit, Program, SliceProgram};
use model::{NodeName, PortName, Rate, SliceName};

use super::{Looks, Queued, more, octets, rate};
use crate::decided::Decided;

pub(super) fn of_slice(decided: &Decided, slice: &SliceName, looks: &Looks) -> Vec<v1::RateObjective> {
    let mut rates = Vec::new();
    for (edge, program) in &decided.plan.programs {
        let Some(promised) = program.content.slice(slice) else { continue };
        for circuit in &promised.circuits {
            for direction in [Direction::FromAccess, Direction::ToAccess] {
                rates.push(At { edge, program, promised, circuit, direction }.objective(looks));
            }
        }
    }
    rates
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    FromAccess,
    ToAccess,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::FromAccess => "from-access",
            Self::ToAccess => "to-access",
        }
    }
}

/// An SDP in a direction.
#[derive(Clone, Copy)]
struct At<'a> {
    edge: &'a NodeName,
    program: &'a Program,
    promised: &'a SliceProgram,
    circuit: &'a Circuit,
    direction: Direction,
}

/// What came to the limit of an SDP between two readings.
struct Metered {
    nanoseconds: u64,
    octets: u64,
    dropped: u64,
    is_policed: bool,
}

impl At<'_> {
    fn objective(&self, looks: &Looks) -> v1::RateObjective {
        let unread = v1::RateObjective {
            edge: self.edge.to_string(),
            sdp: self.circuit.sdp.to_string(),
            direction: self.direction.as_str().to_owned(),
            promised: Some(self.promised.limits.into()),
            guarantee: Verdict::NotMeasurable.into(),
            ceiling: Verdict::NotMeasurable.into(),
            reason: UNREAD.to_owned(),
            ..v1::RateObjective::default()
        };
        let Some(metered) = self.metered(looks) else { return unread };
        let queued = Queued::of(looks, self.edge, &self.ports(), &self.promised.slice);
        if queued.nanoseconds == 0 {
            return v1::RateObjective { offered_bits_per_second: rate(metered.octets, metered.nanoseconds), ..unread };
        }
        let (guarantee, reason) = self.guarantee(looks, &metered, &queued);
        v1::RateObjective {
            offered_bits_per_second: rate(metered.octets, metered.nanoseconds),
            sent_bits_per_second: rate(queued.sent_octets, queued.nanoseconds),
            dropped_frames: metered.dropped.saturating_add(queued.dropped_frames),
            waiting_frames: queued.waiting_frames,
            guarantee: guarantee.into(),
            ceiling: self.ceiling(&metered, &queued).into(),
            reason,
            ..unread
        }
    }

    /// By which ports the slice leaves in this direction.
    fn ports(&self) -> Vec<&PortName> {
        match self.direction {
            Direction::FromAccess => self.program.content.core_ports.iter().map(|core| &core.port).collect(),
            Direction::ToAccess => vec![&self.circuit.port],
        }
    }

    /// SDPs whose frames leave there together.
    fn sharing(&self) -> u64 {
        let circuits = self.promised.circuits.iter();
        let shares = |circuit: &&Circuit| match self.direction {
            Direction::FromAccess => true,
            Direction::ToAccess => circuit.port == self.circuit.port,
        };
        circuits.filter(shares).count() as u64
    }

    fn metered(&self, looks: &Looks) -> Option<Metered> {
        let find = |meters: &[v1::MeterCounter]| {
            let mut meters = meters.iter();
            let found = meters.find(|meter| {
                meter.edge == self.edge.as_str()
                    && meter.slice == self.promised.slice.as_str()
                    && meter.sdp == self.circuit.sdp.as_str()
                    && meter.direction == self.direction.as_str()
            });
            found.cloned()
        };
        let (before, after) = (find(&looks.before.meters)?, find(&looks.after.meters)?);
        let nanoseconds = after.read_at_nanoseconds.checked_sub(before.read_at_nanoseconds).filter(|time| *time > 0)?;
        Some(Metered {
            nanoseconds,
            octets: more(before.passed_octets, after.passed_octets),
            dropped: more(before.dropped_packets, after.dropped_packets),
            is_policed: after.excess() != Excess::Waits,
        })
    }

    fn guarantee(&self, looks: &Looks, metered: &Metered, queued: &Queued<'_>) -> (Verdict, String) {
        let guaranteed = self.promised.limits.guaranteed();
        let is_pressed = queued.dropped_frames > 0 || queued.waiting_frames > 0;
        if metered.dropped == 0 && !is_pressed {
            return (Verdict::Met, String::new());
        }
        let wanted = octets(guaranteed.bits_per_second(), queued.nanoseconds).saturating_mul(self.sharing());
        if queued.sent_octets.saturating_add(self.frame_octets()) >= wanted {
            return (Verdict::Met, String::new());
        }
        if is_pressed && let Some(at) = self.at_their_own_ceiling(looks, queued) {
            return (Verdict::Met, format!("{at} sends all that its own ceiling allows"));
        }
        let Queued { dropped_frames, waited_frames, waiting_frames, .. } = queued;
        if *waited_frames > 0 && *waiting_frames > 0 {
            let reason = format!("less than the guarantee was sent, while {waiting_frames} frames wait");
            return (Verdict::NotMet, reason);
        }
        let reason = match (*waiting_frames, *dropped_frames) {
            (0, 0) => format!("{} frames came faster than the ceiling and were dropped", metered.dropped),
            (waiting, dropped) => format!("{waiting} frames wait and {dropped} were dropped, but not all the time"),
        };
        (Verdict::NotMeasurable, reason)
    }

    /// The micro-segments where frames wait or were dropped, if each has sent what its own ceiling allows.
    fn at_their_own_ceiling(&self, looks: &Looks, queued: &Queued<'_>) -> Option<String> {
        let mut names = queued.pressed.clone();
        names.sort_unstable();
        names.dedup();
        let is_at_ceiling = |name: &&str| {
            let segment = self.promised.segments.iter().find(|segment| segment.id.segment.as_str() == *name)?;
            let allowed = octets(segment.limits.ceiling().bits_per_second(), queued.nanoseconds);
            (self.sent_of_segment(looks, name).saturating_add(self.frame_octets()) >= allowed).then_some(())
        };
        (!names.is_empty() && names.iter().all(|name| is_at_ceiling(name).is_some())).then(|| names.join(" and "))
    }

    fn sent_of_segment(&self, looks: &Looks, segment: &str) -> u64 {
        let ports = self.ports();
        let sent = |queues: &[v1::QueueCounter]| {
            let here = queues.iter().filter(|queue| {
                queue.edge == self.edge.as_str()
                    && ports.iter().any(|port| port.as_str() == queue.port)
                    && queue.slice == self.promised.slice.as_str()
                    && queue.segment == segment
            });
            here.map(|queue| queue.sent_octets).fold(0, u64::saturating_add)
        };
        more(sent(&looks.before.queues), sent(&looks.after.queues))
    }

    /// Where frames wait the ceiling is held by what is sent; where they are dropped, by what is let pass.
    fn ceiling(&self, metered: &Metered, queued: &Queued<'_>) -> Verdict {
        let ceiling = self.promised.limits.ceiling();
        let (passed, nanoseconds, sdps, ports) = if metered.is_policed {
            (metered.octets, metered.nanoseconds, 1, 1)
        } else {
            (queued.sent_octets, queued.nanoseconds, self.sharing(), self.ports().len() as u64)
        };
        let at_once = self.at_once(ceiling).saturating_mul(ports);
        let allowed = octets(ceiling.bits_per_second(), nanoseconds).saturating_mul(sdps).saturating_add(at_once);
        if passed <= allowed { Verdict::Met } else { Verdict::NotMet }
    }

    /// What may be sent at once after a silence: 10 ms of the ceiling, or four of the longest frames.
    fn at_once(&self, ceiling: Rate) -> u64 {
        octets(ceiling.bits_per_second(), BURST_NANOSECONDS).max(4 * self.frame_octets())
    }

    fn frame_octets(&self) -> u64 {
        u64::from(self.promised.packet_octets_max) + ETHERNET_OCTETS
    }
}

const UNREAD: &str = "its edge was not read twice";
/// As docs/reference/dataplane.md has it.
const BURST_NANOSECONDS: u64 = 10_000_000;
/// Two addresses and a type.
const ETHERNET_OCTETS: u64 = 14;
