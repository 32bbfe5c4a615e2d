//! The reference network with a clock that only the simulation moves: packet paths of the product, cabled by queues, run
//! by programs of the planner. No threads, no sockets; one seed says everything that is left to chance.
//!
//! ```text
//!   devices ── access0 [edge-a] core0 ──── [core-1] ──── core0 [edge-c] access0 ── devices
//!                               core1 ──── [core-2] ──── core1
//! ```

mod cable;
mod declared;
pub mod net;
mod node;
pub mod plans;
pub mod scenes;

/// A sequence of numbers that a seed decides: SplitMix64.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below a bound; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }
}
