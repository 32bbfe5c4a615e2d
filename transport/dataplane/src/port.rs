//! Ports: where bursts come from and go to.

use crate::frame::{Burst, Frame, FramePool};
use model::{Mac, PortName};

/// The place of a port in its edge's list of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIndex(pub u8);

impl PortIndex {
    /// As an index.
    #[inline]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Some of the ports of an edge.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortSet(u8);

impl PortSet {
    pub(crate) const fn insert(&mut self, port: PortIndex) {
        self.0 |= 1 << (port.0 % 8);
    }

    #[inline]
    pub(crate) const fn contains(self, port: PortIndex) -> bool {
        self.0 & 1 << (port.0 % 8) != 0
    }

    /// The others, if a port is one of them; else nothing.
    #[inline]
    pub(crate) const fn beside(self, port: PortIndex) -> Self {
        let own = 1 << (port.0 % 8);
        Self(if self.0 & own == 0 { 0 } else { self.0 & !own })
    }

    /// Each of them.
    #[inline]
    pub(crate) fn ports(self) -> impl Iterator<Item = PortIndex> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            #[allow(clippy::cast_possible_truncation, reason = "at most 8")]
            let at = left.trailing_zeros() as u8;
            left &= left.wrapping_sub(1);
            (at < 8).then_some(PortIndex(at))
        })
    }
}

/// What the pipeline knows of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name, as programs have it.
    pub name: PortName,
    /// Its own MAC address, for the underlay.
    pub mac: Mac,
}

/// A way for frames in and out. The host of the pipeline has the ports and moves the bursts.
pub trait Port {
    /// Fills the burst with frames that have arrived, taking their buffers from the pool. Does not wait.
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst);

    /// Sends frames, as many as can be sent now, and gives all buffers back. Answers how many were sent; the others
    /// were dropped and are counted by the port.
    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize;
}

/// Frames on their way out, by port.
#[derive(Debug)]
pub struct Outputs {
    ports: Vec<Vec<Frame>>,
}

impl Outputs {
    /// For so many ports; each queue has its memory at once.
    pub fn new(ports: usize) -> Self {
        Self { ports: (0..ports).map(|_| Vec::with_capacity(OUTPUT_FRAMES_MAX)).collect() }
    }

    /// The queue of a port, for the host to send and empty.
    pub fn queue(&mut self, port: PortIndex) -> &mut Vec<Frame> {
        &mut self.ports[port.get()]
    }

    /// How many more frames the queue of a port takes.
    #[inline]
    pub(crate) fn room(&self, port: PortIndex) -> usize {
        self.ports.get(port.get()).map_or(0, |queue| OUTPUT_FRAMES_MAX - queue.len().min(OUTPUT_FRAMES_MAX))
    }

    /// Adds a frame; gives it back if the queue is full.
    #[inline]
    pub(crate) fn push(&mut self, port: PortIndex, frame: Frame) -> Result<(), Frame> {
        match self.ports.get_mut(port.get()) {
            Some(queue) if queue.len() < OUTPUT_FRAMES_MAX => {
                queue.push(frame);
                Ok(())
            }
            _ => Err(frame),
        }
    }
}

/// The most frames that wait for one port between two bursts: a whole burst of broadcasts, each with eight copies.
pub const OUTPUT_FRAMES_MAX: usize = 512;
