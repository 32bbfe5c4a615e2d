//! The paths of an edge: when each is probed, whether it works, what was measured, and which of two is taken.
//!
//! ```text
//!   due ──▶ probe ──▶ path there ──▶ reflect ──▶ path back ──▶ heard ──▶ up, delay, jitter
//!    └─ as many unanswered in a row as may be ──▶ down ──▶ choose takes the backup
//! ```
//!
//! Probes are STAMP's (RFC 8762). They take the way of the packets that they speak for, so what they find is true of
//! those. All of it is decided here, without asking anybody: a path is known to be down at most `losses_max + 1` intervals
//! after it broke, and the next packet takes the other one.
//!
//! The probes of a round are spread over the interval. A path keeps its place in the round as others come and go, so
//! tables can be exchanged at any moment without a probe being early, late, or sent twice.

mod delay;
mod prober;
mod reflect;

use std::net::IpAddr;

use model::program::{PathProgram, ProbeProgram};
use transport_wire::stamp::{Probe, Reply};

use crate::meter::Nanos;
use prober::Timing;

pub use delay::{Delays, Jitter};
pub use prober::{Measures, PathState, Prober};
use reflect::Gate;
pub use reflect::StampClock;
pub(crate) use reflect::reflect;

/// The place of a path in its program; other programs have it elsewhere.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathIndex(u16);

/// The paths of a program; by default, of one without paths.
#[derive(Debug, Default, Clone)]
pub(crate) struct Paths {
    timing: Option<Timing>,
    /// By place.
    programs: Vec<PathProgram>,
    /// By place.
    probers: Vec<Prober>,
    /// Places by far end and id, sorted.
    by_end: Vec<(IpAddr, u16, PathIndex)>,
    /// By place: how many more probes of the far end are answered.
    gates: Vec<Gate>,
    /// By place: one bit for each path that is not down. All that is read for a packet.
    usable: Vec<u64>,
    /// Was one of those bits changed since that was asked last?
    is_changed: bool,
    round: Round,
    /// The number of the next path that is new.
    next_number: u32,
}

/// Who is probed when: each path once in a round, at its phase.
#[derive(Debug, Default, Clone)]
struct Round {
    began: Nanos,
    /// When it was last asked who is due.
    seen: Nanos,
    /// The place of the turn that comes next.
    next: usize,
    /// In order of phase.
    turns: Vec<Turn>,
}

/// When a path has its turn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Time from the beginning of the round.
    phase: u64,
    /// The path's number, which it keeps; no two have the same.
    number: u32,
    path: PathIndex,
}

/// A program whose paths can't be probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// A number that makes no sense.
    #[error("probes: {found} {what}; expected {min} to {max}")]
    OutOfRange {
        /// Of what.
        what: &'static str,
        /// What the program says.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Two paths to one end have the same id, so that their answers could not be told apart.
    #[error("two paths to {remote} have the id {id}")]
    Twice {
        /// The far end.
        remote: IpAddr,
        /// The id.
        id: u16,
    },
}

impl PathIndex {
    pub(crate) const fn new(place: u16) -> Self {
        Self(place)
    }

    /// As an index.
    #[inline]
    pub(crate) const fn place(self) -> usize {
        self.0 as usize
    }
}

impl Paths {
    /// The paths of a program, about which nothing is known yet. Each is probed first within an interval from now.
    pub(crate) fn new(paths: &[PathProgram], probes: Option<&ProbeProgram>, now: Nanos) -> Result<Self, ProbeError> {
        between("paths", paths.len() as u64, 0, PATHS_MAX as u64)?;
        let timing = probes.map(Timing::new).transpose()?;
        let mut by_end: Vec<_> =
            (0..).zip(paths).map(|(at, path)| (path.remote, path.id.get(), PathIndex(at))).collect();
        by_end.sort_unstable();
        if let Some(pair) = by_end.windows(2).find(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
            return Err(ProbeError::Twice { remote: pair[0].0, id: pair[0].1 });
        }
        let probers: Vec<_> = (0..).zip(paths).map(|(number, _)| Prober::new(number, now)).collect();
        let mut round = Round { began: now, seen: now, next: 0, turns: vec![Turn::default(); paths.len()] };
        round.order(&probers, timing);
        let words = paths.len().div_ceil(WORD_BITS);
        Ok(Self {
            timing,
            programs: paths.to_vec(),
            gates: vec![Gate::default(); paths.len()],
            next_number: u32::from(index(probers.len()).0),
            probers,
            by_end,
            usable: vec![u64::MAX; words],
            is_changed: false,
            round,
        })
    }

    /// The next probe that is due, and the path that it takes. It counts as sent, so that a path whose probes can't be
    /// sent goes down. To be asked until there is none; a host that asks seldom sends fewer probes, not several at once.
    pub(crate) fn due(&mut self, now: Nanos, clock: &StampClock) -> Option<(PathIndex, Probe)> {
        let timing = self.timing?;
        let path = self.round.due(now, timing.interval)?;
        let at = usize::from(path.0);
        let timestamp = clock.stamp(now);
        let prober = self.probers.get_mut(at)?;
        let sequence = prober.send(now, timestamp, &timing);
        let (state, session) = (prober.state(), self.programs.get(at)?.id.get());
        self.mark(path, state);
        Some((path, Probe { sequence, timestamp, error: clock.error(), session }))
    }

    /// When the next probe is due, if there will be one.
    pub(crate) fn next_due(&self) -> Option<Nanos> {
        self.timing.and(self.round.next_due())
    }

    /// An answer to a probe of a path arrived. Whatever it says, nothing worse comes of it than that a path is thought to
    /// work and that a figure is wrong.
    pub(crate) fn heard(&mut self, path: PathIndex, reply: &Reply, now: Nanos, clock: &StampClock) {
        let Some((timing, prober)) = self.timing.zip(self.probers.get_mut(usize::from(path.0))) else { return };
        prober.heard(now, reply, &timing, clock);
        let state = prober.state();
        self.mark(path, state);
    }

    /// The path to a far end that has an id; a probe from there is answered over it, and its probes are answered from
    /// there.
    pub(crate) fn find(&self, remote: IpAddr, session: u16) -> Option<PathIndex> {
        let at = self.by_end.binary_search_by(|(end, id, _)| (*end, *id).cmp(&(remote, session))).ok()?;
        Some(self.by_end[at].2)
    }

    /// Is a probe of the far end of a path answered? Not if there are more than anybody has reason to send.
    pub(crate) fn admits(&mut self, path: PathIndex, sequence: u32, now: Nanos) -> bool {
        // The edges of a network probe alike.
        let interval = self.timing.map_or(INTERVAL_UNKNOWN, |timing| timing.interval);
        self.gates.get_mut(path.place()).is_some_and(|gate| gate.admits(sequence, now, interval))
    }

    /// Which path a packet takes: the working one unless it is down and its backup is not. If both are down, probes alone
    /// may be what is lost, and the working path is the one that was planned to carry the traffic; nothing is gained by
    /// changing. As soon as the working path is up it is taken again; `answers_min` keeps that from being too soon.
    #[inline]
    pub(crate) fn choose(&self, working: PathIndex, backup: Option<PathIndex>) -> PathIndex {
        match backup {
            Some(backup) if !self.is_usable(working) && self.is_usable(backup) => backup,
            _ => working,
        }
    }

    /// Is a path not down?
    #[inline]
    pub(crate) fn is_usable(&self, path: PathIndex) -> bool {
        let (word, bit) = split(path);
        self.usable.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Each path with what is known of it, in the order of the program.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PathProgram, &Prober)> {
        self.programs.iter().zip(&self.probers)
    }

    /// Takes over from the paths that were probed before what is known of those that go the same way, and their places in
    /// the round. Allocates nothing.
    pub(crate) fn carry_over(&mut self, old: &mut Self) {
        let Some((timing, before)) = self.timing.zip(old.timing) else { return };
        self.next_number = old.next_number;
        for at in 0..self.probers.len() {
            let (program, prober) = (&self.programs[at], &mut self.probers[at]);
            let same = old.find(program.remote, program.id.get()).map(|path| usize::from(path.0));
            let mut is_usable = true;
            if let Some(from) = same {
                // Whoever floods it does so after an exchange, too.
                self.gates[at] = old.gates[from];
            }
            if let Some(from) = same.filter(|from| goes_the_same_way(program, &old.programs[*from])) {
                // Which whoever only hears of its state knows, too.
                is_usable = old.is_usable(index(from));
                std::mem::swap(prober, &mut old.probers[from]);
                if timing != before {
                    prober.restart();
                }
            } else {
                prober.number = self.next_number;
                self.next_number = self.next_number.wrapping_add(1);
            }
            self.set_usable(index(at), is_usable);
        }
        self.round.order(&self.probers, self.timing);
        if timing.interval == before.interval {
            self.round.carry_over(&old.round, timing.interval);
        }
    }

    /// A bit for each path that is not down, 64 paths a word.
    pub(crate) fn words(&self) -> &[u64] {
        &self.usable
    }

    /// Takes over such a word from whoever probes.
    pub(crate) fn believe(&mut self, word: usize, usable: u64) {
        if let Some(known) = self.usable.get_mut(word) {
            *known = usable;
        }
    }

    /// Has another path come to work, or ceased to, since this was asked last?
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    fn mark(&mut self, path: PathIndex, state: PathState) {
        self.set_usable(path, state != PathState::Down);
    }

    fn set_usable(&mut self, path: PathIndex, is_usable: bool) {
        let (word, bit) = split(path);
        if let Some(word) = self.usable.get_mut(word) {
            let known = if is_usable { *word | bit } else { *word & !bit };
            self.is_changed |= known != *word;
            *word = known;
        }
    }
}

impl Round {
    /// Gives every path its turn.
    fn order(&mut self, probers: &[Prober], timing: Option<Timing>) {
        let interval = timing.map_or(Nanos(0), |timing| timing.interval);
        for (at, (turn, prober)) in self.turns.iter_mut().zip(probers).enumerate() {
            *turn = Turn { phase: phase(prober.number, interval), number: prober.number, path: index(at) };
        }
        self.turns.sort_unstable();
    }

    /// Goes on where another round of the same length is: who has had a turn in that one is not asked again, and who is
    /// new is asked when its moment comes.
    fn carry_over(&mut self, old: &Self, interval: Nanos) {
        let Some(next) = old.turns.get(old.next) else { return };
        (self.began, self.seen) = (old.began, old.seen);
        self.next = self.turns.partition_point(|turn| (turn.phase, turn.number) < (next.phase, next.number));
        for _ in 0..self.turns.len() {
            let (began, before) = match self.next.checked_sub(1) {
                Some(before) => (self.began.0, before),
                // The last turn of the round before.
                None => match self.began.0.checked_sub(interval.0) {
                    Some(began) => (began, self.turns.len() - 1),
                    None => break,
                },
            };
            if began.saturating_add(self.turns[before].phase) <= self.seen.0 {
                break;
            }
            (self.began, self.next) = (Nanos(began), before);
        }
        self.wrap(interval);
    }

    /// The path whose turn it is, if it is time.
    #[inline]
    fn due(&mut self, now: Nanos, interval: Nanos) -> Option<PathIndex> {
        let turn = self.turns.get(self.next)?;
        self.seen = now;
        let due = self.began.0.saturating_add(turn.phase);
        // It can't be further ahead than a round, unless the clock was set back; and if it is long past, the host stood
        // still or the clock was set. The round goes on from now, everyone in turn, and what was missed is not made up.
        if due.saturating_sub(now.0) > interval.0 || now.0.saturating_sub(due) > interval.0 / 2 {
            self.began = Nanos(now.0.saturating_sub(turn.phase));
        } else if due > now.0 {
            return None;
        }
        let path = turn.path;
        self.next += 1;
        self.wrap(interval);
        Some(path)
    }

    fn next_due(&self) -> Option<Nanos> {
        self.turns.get(self.next).map(|turn| Nanos(self.began.0.saturating_add(turn.phase)))
    }

    fn wrap(&mut self, interval: Nanos) {
        if self.next >= self.turns.len() {
            self.next = 0;
            self.began = Nanos(self.began.0.saturating_add(interval.0));
        }
    }
}

/// Where the turn of a path is: steps of the golden ratio, which lie far from each other however many they are (Knuth,
/// The Art of Computer Programming, volume 3, section 6.4), and stay where they are when there are more.
#[allow(clippy::cast_possible_truncation, reason = "the upper half of the product is less than the interval")]
const fn phase(number: u32, interval: Nanos) -> u64 {
    (((number as u64).wrapping_mul(GOLDEN_RATIO) as u128 * interval.0 as u128) >> 64) as u64
}

/// Do packets take the same way?
fn goes_the_same_way(one: &PathProgram, other: &PathProgram) -> bool {
    let way = |path: &PathProgram| (path.id, path.local, path.remote, path.next_hop);
    way(one) == way(other) && one.to == other.to && one.port == other.port && one.steering == other.steering
}

/// The word and the bit of a path.
#[inline]
const fn split(path: PathIndex) -> (usize, u64) {
    (path.0 as usize / WORD_BITS, 1 << (path.0 as usize % WORD_BITS))
}

/// The place of one of at most [`PATHS_MAX`] paths.
#[allow(clippy::cast_possible_truncation, reason = "they are bounded, see the assertion below")]
const fn index(at: usize) -> PathIndex {
    PathIndex(at as u16)
}

const fn between(what: &'static str, found: u64, min: u64, max: u64) -> Result<(), ProbeError> {
    if min <= found && found <= max { Ok(()) } else { Err(ProbeError::OutOfRange { what, found, min, max }) }
}

/// The most paths of an edge.
pub const PATHS_MAX: usize = 4_096;
/// Between the probes of a far end, where we send none.
const INTERVAL_UNKNOWN: Nanos = Nanos(100_000_000);
const WORD_BITS: usize = u64::BITS as usize;
/// 2^64 divided by the golden ratio, and odd.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(PATHS_MAX <= u16::MAX as usize);

#[cfg(test)]
mod tests;
