//! Frames and octets.

/// Frames, and the octets of their layer-2 frames without tags.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Octets.
    pub octets: u64,
}

impl Traffic {
    /// One more frame.
    #[inline]
    pub const fn count(&mut self, octets: usize) {
        self.frames += 1;
        self.octets += octets as u64;
    }
}
