use super::*;

const MS: u64 = 1_000_000;
const INTERVAL: Nanos = Nanos(10 * MS);

/// A far end that sends a probe every 10 ms, and a forger that sends 20 in every millisecond.
struct World {
    gate: Gate,
    now: u64,
    random: u32,
    forged: u64,
}

impl World {
    fn new() -> Self {
        Self { gate: Gate::default(), now: 5_000 * MS, random: 1, forged: 0 }
    }

    /// For so many milliseconds; the numbers of the far end's own that were answered.
    fn run(&mut self, millis: u64, own: Option<u32>, forge: bool) -> Vec<u32> {
        let mut answered = Vec::new();
        let mut own = own;
        for millisecond in 0..millis {
            // One of ours in ten milliseconds, at any place among the forged.
            let own_slot = own.filter(|_| millisecond % 10 == 0).map_or(20, |number| number % 20);
            for slot in 0..20 {
                self.now += MS / 40;
                if forge {
                    // xorshift (Marsaglia 2003).
                    self.random ^= self.random << 13;
                    self.random ^= self.random >> 17;
                    self.random ^= self.random << 5;
                    self.forged += u64::from(self.gate.admits(self.random, Nanos(self.now), INTERVAL));
                }
                self.now += MS / 40;
                if let Some(number) = own.filter(|_| slot == own_slot) {
                    answered.extend(self.gate.admits(number, Nanos(self.now), INTERVAL).then_some(number));
                    own = Some(number.wrapping_add(1));
                }
            }
        }
        answered
    }
}

#[test]
fn probes_of_the_far_end_are_answered_in_the_midst_of_a_flood() {
    for first in [0, 7_000_000, u32::MAX - 100] {
        let numbers = |from: u32, count: u32| (0..count).map(|n| first.wrapping_add(from + n)).collect::<Vec<_>>();
        let mut world = World::new();
        assert_eq!(world.run(100, Some(first), false), numbers(0, 10));
        assert_eq!(world.run(10_000, Some(first.wrapping_add(10)), true), numbers(10, 1_000));
        // Some are lost on the way, and it goes on.
        world.run(300, None, true);
        assert_eq!(world.run(1_000, Some(first.wrapping_add(1_040)), true), numbers(1_040, 100));
        // A forger gets no more than was said, and what one lucky guess brings.
        assert!(world.forged <= 2 * 11_300 + 32 + 1, "{}", world.forged);
    }
}

#[test]
fn a_far_end_that_begins_anew_in_a_flood_is_found() {
    let mut world = World::new();
    world.run(1_000, Some(5_000_000), true);
    world.run(60_000, Some(0), true);
    assert_eq!(world.run(1_000, Some(6_000), true).len(), 100);
}

#[test]
fn numbers_that_are_near_have_an_end_too() {
    let mut gate = Gate::default();
    let admitted = (1..=1_000).filter(|number| gate.admits(*number, Nanos(5_000 * MS), INTERVAL)).count();
    // 32 of the one and 32 of the other.
    assert_eq!(admitted, 64);
    // One that is repeated is not the next.
    let mut gate = Gate::default();
    assert_eq!((0..1_000).filter(|_| gate.admits(9, Nanos(5_000 * MS), INTERVAL)).count(), 32 + 1);
}
