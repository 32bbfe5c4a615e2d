//! Meters that colour: srTCM (RFC 2697), trTCM (RFC 2698) and the trTCM of RFC 4115, colour-blind and colour-aware.
//!
//! ```text
//!            committed bucket   second bucket
//!   2697     CIR, CBS           what the first spills, EBS     green from the first, yellow from the second
//!   2698     CIR, CBS           PIR, PBS                       green from both, yellow from the second alone
//!   4115     CIR, CBS           EIR, EBS                       green from the first, yellow from the second
//! ```
//!
//! Tokens are those of the [`Meter`](crate::Meter): billionths of a bit, so that nothing is ever rounded. Packets count
//! in the octets that the caller gives; the RFCs count those of the IP packet, this data plane those of the frame.
//!
//! A meter is 32 octets; what many have in common is a profile. Packets are coloured in bursts, whose meters are fetched
//! together.

use std::hint::black_box;

use model::Rate;

use crate::meter::{METER_RATE_MAX, Nanos, STEP_BACK_MAX, cost};

/// The colour of a packet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Colour {
    /// Within the committed rate.
    #[default]
    Green,
    /// Above it, within what is tolerated.
    Yellow,
    /// Above that.
    Red,
}

/// What a meter allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerShape {
    /// Rates and bursts.
    pub scheme: Scheme,
    /// Is a colour that the packet has already taken into account?
    pub colour_aware: bool,
}

/// Rates, and bursts in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 2697, section 3.
    SingleRate {
        /// CIR.
        committed: Rate,
        /// CBS.
        committed_burst: u32,
        /// EBS.
        excess_burst: u32,
    },
    /// RFC 2698, section 3.
    TwoRate {
        /// CIR.
        committed: Rate,
        /// CBS.
        committed_burst: u32,
        /// PIR, at least CIR.
        peak: Rate,
        /// PBS.
        peak_burst: u32,
    },
    /// RFC 4115, section 3.
    Differentiated {
        /// CIR.
        committed: Rate,
        /// CBS.
        committed_burst: u32,
        /// EIR.
        excess: Rate,
        /// EBS.
        excess_burst: u32,
    },
}

/// A packet to be coloured.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// The number of its meter; a packet of a meter that does not exist becomes red.
    pub meter: u32,
    /// Its length.
    pub octets: u16,
    /// Before, its colour so far; afterwards, its colour.
    pub colour: Colour,
}

/// Why a meter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// RFC 2698, section 3: PIR must be at least CIR.
    #[error("peak {peak} is less than committed {committed}")]
    PeakBelowCommitted {
        /// PIR.
        peak: Rate,
        /// CIR.
        committed: Rate,
    },
    /// RFC 2697, section 3: one of the bursts must be more than 0; and no packet ever fits into 0.
    #[error("both bursts are 0 octets, into which no packet fits")]
    NoBurst,
    /// There may be fewer profiles.
    #[error("profile {profile}: there may be {PROFILES_MAX}")]
    NoRoomForProfile {
        /// Asked for.
        profile: u16,
    },
    /// There is no such profile.
    #[error("profile {profile}: there is none")]
    UnknownProfile {
        /// Asked for.
        profile: u16,
    },
    /// There are fewer meters.
    #[error("meter {meter}: there are {count}")]
    UnknownMeter {
        /// Asked for.
        meter: u32,
        /// How many there are.
        count: u32,
    },
}

/// A table of meters.
#[derive(Debug)]
pub struct Markers {
    profiles: Vec<Profile>,
    states: Box<[State]>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// When the tokens were counted.
    at: u64,
    committed: u64,
    second: u64,
    profile: u32,
}

#[derive(Debug, Clone, Copy)]
struct Profile {
    kind: Kind,
    aware: bool,
    committed: Bucket,
    second: Bucket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SingleRate,
    TwoRate,
    Differentiated,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Tokens a nanosecond.
    rate: u64,
    /// Tokens when full.
    depth: u64,
    /// After so long it is full, however empty it was.
    fills_in: u64,
}

impl Markers {
    /// So many meters, all of profile 0, which lets nothing pass until it is set.
    pub fn new(count: u32) -> Self {
        let state = State { at: 0, committed: 0, second: 0, profile: 0 };
        Self { profiles: vec![Profile::NOTHING], states: vec![state; count as usize].into() }
    }

    /// Makes or changes a profile. Meters that have it keep their tokens, as far as they fit.
    pub fn set_profile(&mut self, profile: u16, shape: &MarkerShape) -> Result<(), MarkerError> {
        if profile >= PROFILES_MAX {
            return Err(MarkerError::NoRoomForProfile { profile });
        }
        let new = Profile::of(shape)?;
        let at = usize::from(profile);
        if self.profiles.len() <= at {
            self.profiles.resize(at + 1, Profile::NOTHING);
        }
        self.profiles[at] = new;
        Ok(())
    }

    /// Gives a meter a profile, and full buckets.
    pub fn set(&mut self, meter: u32, profile: u16, now: Nanos) -> Result<(), MarkerError> {
        let unknown = MarkerError::UnknownProfile { profile };
        let shape = self.profiles.get(usize::from(profile)).ok_or(unknown)?;
        #[allow(clippy::cast_possible_truncation, reason = "made from a u32")]
        let count = self.states.len() as u32;
        let state = self.states.get_mut(meter as usize).ok_or(MarkerError::UnknownMeter { meter, count })?;
        let (committed, second) = (shape.committed.depth, shape.second.depth);
        *state = State { at: now.0, committed, second, profile: u32::from(profile) };
        Ok(())
    }

    /// Colours packets, in their order.
    pub fn mark(&mut self, now: Nanos, packets: &mut [Marks]) {
        for packets in packets.chunks_mut(AHEAD) {
            // All at once, so that the cache miss of one does not wait for that of another.
            let touched = packets.iter().map(|packet| self.states.get(packet.meter as usize).map_or(0, |s| s.profile));
            black_box(touched.fold(0, |seen, profile| seen ^ profile));
            for packet in packets {
                packet.colour = match self.states.get_mut(packet.meter as usize) {
                    Some(state) => {
                        let profile = &self.profiles[state.profile as usize];
                        state.fill(profile, now.0);
                        state.take(profile, cost(usize::from(packet.octets)), packet.colour)
                    }
                    None => Colour::Red,
                };
            }
        }
    }
}

impl State {
    /// Adds the tokens of the time that went by.
    #[inline]
    fn fill(&mut self, profile: &Profile, now: u64) {
        let Some(elapsed) = now.checked_sub(self.at) else {
            return self.step_back(now);
        };
        self.at = now;
        let (committed, second) = (&profile.committed, &profile.second);
        if profile.kind == Kind::SingleRate {
            // What does not fit into the first goes into the second (RFC 2697, section 3).
            let missing = committed.depth.saturating_sub(self.committed);
            let gained = if elapsed >= second.fills_in { u64::MAX } else { elapsed * committed.rate };
            self.committed = committed.depth.min(self.committed.saturating_add(gained));
            self.second = second.depth.min(self.second.saturating_add(gained.saturating_sub(missing)));
        } else {
            self.committed = committed.filled(self.committed, elapsed);
            self.second = second.filled(self.second, elapsed);
        }
    }

    /// A small step back is jitter between clocks, a large one is a clock that was set; see [`crate::Meter`].
    #[cold]
    const fn step_back(&mut self, now: u64) {
        if self.at - now > STEP_BACK_MAX.0 {
            self.at = now;
        }
    }

    /// The colour of a packet, for which the tokens are taken.
    #[inline]
    fn take(&mut self, profile: &Profile, cost: u64, colour: Colour) -> Colour {
        let colour = if profile.aware { colour } else { Colour::Green };
        let (committed, second) = (self.committed >= cost, self.second >= cost);
        match profile.kind {
            // RFC 2698, section 3.
            Kind::TwoRate => {
                if colour == Colour::Red || !second {
                    return Colour::Red;
                }
                self.second -= cost;
                if colour == Colour::Yellow || !committed {
                    return Colour::Yellow;
                }
                self.committed -= cost;
                Colour::Green
            }
            // RFC 2697, section 3, and RFC 4115, section 3: they differ in how the second one fills.
            Kind::SingleRate | Kind::Differentiated => {
                if colour == Colour::Green && committed {
                    self.committed -= cost;
                    Colour::Green
                } else if colour != Colour::Red && second {
                    self.second -= cost;
                    Colour::Yellow
                } else {
                    Colour::Red
                }
            }
        }
    }
}

impl Profile {
    /// Lets nothing pass.
    const NOTHING: Self =
        Self { kind: Kind::TwoRate, aware: false, committed: Bucket::NOTHING, second: Bucket::NOTHING };

    fn of(shape: &MarkerShape) -> Result<Self, MarkerError> {
        let (kind, committed, second) = match shape.scheme {
            Scheme::SingleRate { committed, committed_burst, excess_burst } => {
                let committed = Bucket::of(committed, committed_burst);
                let mut second = Bucket::of(Rate::ZERO, excess_burst);
                second.fills_in = fill_time(committed.depth + second.depth, committed.rate);
                (Kind::SingleRate, committed, second)
            }
            Scheme::TwoRate { committed, committed_burst, peak, peak_burst } => {
                if peak < committed {
                    return Err(MarkerError::PeakBelowCommitted { peak, committed });
                }
                (Kind::TwoRate, Bucket::of(committed, committed_burst), Bucket::of(peak, peak_burst))
            }
            Scheme::Differentiated { committed, committed_burst, excess, excess_burst } => {
                (Kind::Differentiated, Bucket::of(committed, committed_burst), Bucket::of(excess, excess_burst))
            }
        };
        if committed.depth == 0 && second.depth == 0 {
            return Err(MarkerError::NoBurst);
        }
        Ok(Self { kind, aware: shape.colour_aware, committed, second })
    }
}

impl Bucket {
    const NOTHING: Self = Self { rate: 0, depth: 0, fills_in: 0 };

    fn of(rate: Rate, burst: u32) -> Self {
        let rate = rate.bits_per_second().min(METER_RATE_MAX);
        let depth = cost(burst.min(BURST_OCTETS_MAX) as usize);
        Self { rate, depth, fills_in: fill_time(depth, rate) }
    }

    #[inline]
    fn filled(&self, tokens: u64, elapsed: u64) -> u64 {
        if elapsed >= self.fills_in {
            return self.depth;
        }
        // Less than the depth is gained, so nothing overflows.
        (tokens + elapsed * self.rate).min(self.depth)
    }
}

/// How long it takes to fill so much; for ever at no rate.
const fn fill_time(depth: u64, rate: u64) -> u64 {
    if rate == 0 { u64::MAX } else { depth.div_ceil(rate) }
}

/// The most profiles.
pub const PROFILES_MAX: u16 = 4_096;
/// So many meters are read ahead of their turn.
const AHEAD: usize = 32;
/// The deepest bucket: 1 Goctet.
const BURST_OCTETS_MAX: u32 = 1 << 30;

const _: () = assert!(size_of::<State>() == 32);
// Both buckets of one meter together fit a word.
const _: () = assert!((BURST_OCTETS_MAX as u64) < u64::MAX / 2 / cost(1));

#[cfg(test)]
mod tests;
