//! Beside an oracle that follows the text of each RFC in fractions.

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// Octets as a fraction in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Octets {
    above: i128,
    below: i128,
}

impl Octets {
    fn new(above: i128, below: i128) -> Self {
        let (mut a, mut b) = (above.abs(), below);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let common = a.max(1);
        Self { above: above / common, below: below / common }
    }

    fn whole(octets: u32) -> Self {
        Self::new(i128::from(octets), 1)
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.above * other.below + other.above * self.below, self.below * other.below)
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self { above: -other.above, ..other })
    }

    fn at_least(self, other: Self) -> bool {
        self.above * other.below >= other.above * self.below
    }

    fn least(self, other: Self) -> Self {
        if self.at_least(other) { other } else { self }
    }
}

/// Token counts and time, as in the RFCs.
struct Oracle {
    shape: MarkerShape,
    first: Octets,
    second: Octets,
    at: u64,
}

impl Oracle {
    fn new(shape: MarkerShape) -> Self {
        let (first, second) = bursts(&shape);
        Self { shape, first: Octets::whole(first), second: Octets::whole(second), at: 0 }
    }

    fn mark(&mut self, now: u64, octets: u16, colour: Colour) -> Colour {
        let gained = |rate: Rate| {
            let nanos = i128::from(now - self.at);
            Octets::new(i128::from(rate.bits_per_second()) * nanos, 8 * i128::from(SECOND))
        };
        let (first_full, second_full) = bursts(&self.shape);
        let (first_full, second_full) = (Octets::whole(first_full), Octets::whole(second_full));
        match self.shape.scheme {
            Scheme::SingleRate { committed, .. } => {
                // First the one, then the other.
                let all = self.first.plus(gained(committed));
                self.first = all.least(first_full);
                self.second = self.second.plus(all.minus(self.first)).least(second_full);
            }
            Scheme::TwoRate { committed, peak: second, .. }
            | Scheme::Differentiated { committed, excess: second, .. } => {
                self.first = self.first.plus(gained(committed)).least(first_full);
                self.second = self.second.plus(gained(second)).least(second_full);
            }
        }
        self.at = now;
        let size = Octets::whole(u32::from(octets));
        let colour = if self.shape.colour_aware { colour } else { Colour::Green };
        let (fits_first, fits_second) = (self.first.at_least(size), self.second.at_least(size));
        let (colour, from_first, from_second) = match (self.shape.scheme, colour) {
            (_, Colour::Red) => (Colour::Red, false, false),
            (Scheme::TwoRate { .. }, _) if !fits_second => (Colour::Red, false, false),
            (Scheme::TwoRate { .. }, Colour::Green) if fits_first => (Colour::Green, true, true),
            (Scheme::TwoRate { .. }, _) => (Colour::Yellow, false, true),
            (_, Colour::Green) if fits_first => (Colour::Green, true, false),
            (_, _) if fits_second => (Colour::Yellow, false, true),
            _ => (Colour::Red, false, false),
        };
        if from_first {
            self.first = self.first.minus(size);
        }
        if from_second {
            self.second = self.second.minus(size);
        }
        colour
    }
}

fn bursts(shape: &MarkerShape) -> (u32, u32) {
    match shape.scheme {
        Scheme::SingleRate { committed_burst, excess_burst: second, .. }
        | Scheme::TwoRate { committed_burst, peak_burst: second, .. }
        | Scheme::Differentiated { committed_burst, excess_burst: second, .. } => (committed_burst, second),
    }
}

fn rate(bits: u64) -> Rate {
    Rate::from_bits_per_second(bits)
}

fn one(shape: MarkerShape, now: u64) -> Markers {
    let mut markers = Markers::new(1);
    markers.set_profile(0, &shape).unwrap();
    markers.set(0, 0, Nanos(now)).unwrap();
    markers
}

fn mark(markers: &mut Markers, now: u64, octets: u16, colour: Colour) -> Colour {
    let mut packets = [Marks { meter: 0, octets, colour }];
    markers.mark(Nanos(now), &mut packets);
    packets[0].colour
}

fn colours(shape: MarkerShape, arrivals: &[(u64, u16, Colour)]) -> String {
    let mut markers = one(shape, 0);
    let letter = |(now, octets, colour): &(u64, u16, Colour)| match mark(&mut markers, *now, *octets, *colour) {
        Colour::Green => 'g',
        Colour::Yellow => 'y',
        Colour::Red => 'r',
    };
    arrivals.iter().map(letter).collect()
}

use Colour::{Green, Red, Yellow};

/// 1,000 octets a second, 2,000 at once, 1,000 more.
#[test]
fn rfc_2697_by_hand() {
    let scheme = Scheme::SingleRate { committed: rate(8_000), committed_burst: 2_000, excess_burst: 1_000 };
    let blind = MarkerShape { scheme, colour_aware: false };
    let burst = [(0, 1_000, Green); 4];
    assert_eq!(colours(blind, &burst), "ggyr");
    // After 2.5 s the first is full and the second half full.
    let later = [burst.as_slice(), &[(5 * SECOND / 2, 1_000, Green); 3], &[(5 * SECOND / 2, 500, Green)]].concat();
    assert_eq!(colours(blind, &later), "ggyrggry");
    let aware = MarkerShape { scheme, colour_aware: true };
    assert_eq!(colours(aware, &[(0, 1_000, Yellow), (0, 1_000, Yellow), (0, 1_000, Green), (0, 1, Red)]), "yrgr");
    assert_eq!(colours(blind, &[(0, 1_000, Red), (0, 1_000, Yellow), (0, 1_000, Red), (0, 1_000, Red)]), "ggyr");
}

/// 1,000 octets a second and 1,000 at once; in all, 2,000 a second and 3,000 at once.
#[test]
fn rfc_2698_by_hand() {
    let scheme =
        Scheme::TwoRate { committed: rate(8_000), committed_burst: 1_000, peak: rate(16_000), peak_burst: 3_000 };
    let blind = MarkerShape { scheme, colour_aware: false };
    assert_eq!(colours(blind, &[(0, 1_000, Green); 4]), "gyyr");
    let later = [[(0, 1_000, Green); 4].as_slice(), &[(SECOND, 1_000, Green); 3]].concat();
    assert_eq!(colours(blind, &later), "gyyrgyr");
    let aware = MarkerShape { scheme, colour_aware: true };
    assert_eq!(colours(aware, &[(0, 1_000, Yellow), (0, 1_000, Red), (0, 1_000, Green), (0, 1_000, Green)]), "yrgy");
}

/// 1,000 octets a second and 1,000 at once; beside it 500 a second and 2,000 at once.
#[test]
fn rfc_4115_by_hand() {
    let scheme = Scheme::Differentiated {
        committed: rate(8_000),
        committed_burst: 1_000,
        excess: rate(4_000),
        excess_burst: 2_000,
    };
    let aware = MarkerShape { scheme, colour_aware: true };
    assert_eq!(colours(aware, &[(0, 1_000, Green); 4]), "gyyr");
    // Yellow takes nothing from the committed bucket (RFC 4115, section 4).
    assert_eq!(
        colours(aware, &[(0, 1_000, Yellow), (0, 1_000, Yellow), (0, 1_000, Yellow), (0, 1_000, Green)]),
        "yyrg"
    );
    // A packet as large as the bucket holds passes: section 3's chart says "B <= Tc".
    assert_eq!(colours(aware, &[(0, 1_001, Green), (0, 999, Green), (0, 1, Green), (0, 0, Red)]), "yggr");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let two = |committed, peak, burst| MarkerShape {
        scheme: Scheme::TwoRate {
            committed: rate(committed),
            committed_burst: burst,
            peak: rate(peak),
            peak_burst: burst,
        },
        colour_aware: false,
    };
    let mut markers = Markers::new(2);
    let refused = markers.set_profile(0, &two(2, 1, 100)).unwrap_err();
    assert_eq!(refused.to_string(), "peak 1 bit/s is less than committed 2 bit/s");
    assert_eq!(markers.set_profile(0, &two(1, 1, 0)), Err(MarkerError::NoBurst));
    let many = MarkerError::NoRoomForProfile { profile: PROFILES_MAX };
    assert_eq!(markers.set_profile(PROFILES_MAX, &two(1, 1, 1)), Err(many));
    assert_eq!(markers.set(0, 1, Nanos(0)), Err(MarkerError::UnknownProfile { profile: 1 }));
    assert_eq!(markers.set(2, 0, Nanos(0)), Err(MarkerError::UnknownMeter { meter: 2, count: 2 }));
    // Neither a meter that is none nor one that was never set lets anything pass.
    let mut packets = [0, 1, 2, u32::MAX].map(|meter| Marks { meter, octets: 1, colour: Green });
    markers.mark(Nanos(SECOND), &mut packets);
    assert!(packets.iter().all(|packet| packet.colour == Red));
}

#[test]
fn a_clock_that_steps_back_grants_nothing_and_stops_nothing() {
    let scheme =
        Scheme::TwoRate { committed: rate(8_000), committed_burst: 1_000, peak: rate(8_000), peak_burst: 1_000 };
    let mut markers = one(MarkerShape { scheme, colour_aware: false }, 7_200 * SECOND);
    assert_eq!(mark(&mut markers, 7_200 * SECOND, 1_000, Green), Green);
    // Jitter: no time has gone by until the clock has caught up.
    assert_eq!(mark(&mut markers, 7_200 * SECOND - 500_000_000, 1, Green), Red);
    assert_eq!(mark(&mut markers, 7_200 * SECOND, 1, Green), Red);
    // Set back by an hour: time goes on from there.
    assert_eq!(mark(&mut markers, 3_600 * SECOND, 1_000, Green), Red);
    assert_eq!(mark(&mut markers, 3_601 * SECOND, 1_000, Green), Green);
    assert_eq!(mark(&mut markers, u64::MAX, 1_000, Green), Green);
    assert_eq!(mark(&mut markers, u64::MAX, 1, Green), Red);
}

fn shapes() -> impl Strategy<Value = MarkerShape> {
    let rates = prop_oneof![Just(0_u64), Just(1), 1_u64..100_000_000, Just(400_000_000_000)];
    let bursts = prop_oneof![Just(0_u32), 1_u32..20_000];
    (0..3, rates.clone(), 1_u32..20_000, rates, bursts, any::<bool>()).prop_map(
        |(kind, first, committed_burst, second, burst, colour_aware)| {
            let committed = rate(first);
            let scheme = match kind {
                0 => Scheme::SingleRate { committed, committed_burst, excess_burst: burst },
                1 => Scheme::TwoRate { committed, committed_burst, peak: rate(first.max(second)), peak_burst: burst },
                _ => Scheme::Differentiated { committed, committed_burst, excess: rate(second), excess_burst: burst },
            };
            MarkerShape { scheme, colour_aware }
        },
    )
}

proptest! {
    /// Every colour is that of the oracle.
    #[test]
    fn every_colour_is_that_of_the_rfc(
        shape in shapes(),
        arrivals in prop::collection::vec(
            (prop_oneof![Just(0_u64), 0_u64..3_000_000, 0_u64..5 * SECOND], 0_u16..9_000, 0..3),
            1..200,
        ),
    ) {
        let (mut markers, mut oracle, mut now) = (one(shape, 0), Oracle::new(shape), 0);
        for (gap, octets, colour) in arrivals {
            now += gap;
            let colour = [Green, Yellow, Red][usize::try_from(colour).unwrap()];
            prop_assert_eq!(mark(&mut markers, now, octets, colour), oracle.mark(now, octets, colour));
        }
    }
}
