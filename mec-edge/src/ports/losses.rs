//! Frames that were lost between a port's driver and the pipeline, by reason. The pipeline's own drops are its own.

use std::fmt;

/// Why a driver lost a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// On its way out: the ring is full, the interface is gone or down, or the kernel or the disk did not take it.
    NotSent,
    /// It has no end within a frame buffer (or, where a driver has a smaller limit, within that).
    TooLong,
    /// Several packets that were merged into one frame (GSO, GRO) in a way that the driver can't take apart.
    Merged,
    /// The kernel had to throw it away, because the edge did not fetch it in time.
    Overrun,
    /// What the kernel says of it (checksum, VLAN tag) contradicts the frame.
    Mangled,
}

impl Loss {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::NotSent, Self::TooLong, Self::Merged, Self::Overrun, Self::Mangled];

    /// As it is written in listings, beside the drop reasons of the dataplane.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "port-not-sent",
            Self::TooLong => "port-too-long",
            Self::Merged => "port-merged",
            Self::Overrun => "port-overrun",
            Self::Mangled => "port-mangled",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Frames lost, by reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Losses([u64; Loss::ALL.len()]);

impl Losses {
    /// So many more.
    #[inline]
    pub const fn count(&mut self, reason: Loss, frames: u64) {
        let counter = &mut self.0[reason as usize];
        *counter = counter.saturating_add(frames);
    }

    /// How many for a reason.
    pub const fn of(&self, reason: Loss) -> u64 {
        self.0[reason as usize]
    }

    /// Those that were counted, each with how many.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().map(|reason| (reason, self.of(reason))).filter(|(_, frames)| *frames > 0)
    }
}
