//! A port inside the process: two rings of frames, one each way. The testbed holds the other end.
//!
//! Buffers go round: a frame crosses in a buffer that the receiver gives back, so nothing is allocated once the rings are
//! filled.

use std::borrow::Cow;

use model::Mac;
use rtrb::{Consumer, Producer, RingBuffer};
use transport_dataplane::{Burst, Frame, FramePool, Port};

use super::{EdgePort, Loss, Losses};

/// The edge's end.
#[derive(Debug)]
pub struct RingPort {
    mac: Mac,
    end: End,
}

/// The other end.
#[derive(Debug)]
pub struct RingPeer {
    end: End,
}

/// One end of a pair of rings.
#[derive(Debug)]
struct End {
    outgoing: Producer<Vec<u8>>,
    /// Empty buffers for what goes out, given back by the other end.
    spare: Consumer<Vec<u8>>,
    incoming: Consumer<Vec<u8>>,
    /// Where buffers that came in are given back.
    used: Producer<Vec<u8>>,
    losses: Losses,
}

/// Makes the two ends of a port with this MAC address. Each way holds [`RING_FRAMES_MAX`] frames.
pub fn ring_pair(mac: Mac) -> (RingPort, RingPeer) {
    let (there, from_here) = RingBuffer::new(RING_FRAMES_MAX);
    let (here, from_there) = RingBuffer::new(RING_FRAMES_MAX);
    let (used_there, spare_here) = buffers();
    let (used_here, spare_there) = buffers();
    let port =
        End { outgoing: there, spare: spare_here, incoming: from_there, used: used_here, losses: Losses::default() };
    let peer =
        End { outgoing: here, spare: spare_there, incoming: from_here, used: used_there, losses: Losses::default() };
    (RingPort { mac, end: port }, RingPeer { end: peer })
}

/// A ring full of empty buffers.
fn buffers() -> (Producer<Vec<u8>>, Consumer<Vec<u8>>) {
    let (mut producer, consumer) = RingBuffer::new(RING_FRAMES_MAX);
    while producer.push(Vec::with_capacity(RING_FRAME_OCTETS_MAX)).is_ok() {}
    (producer, consumer)
}

impl End {
    fn send(&mut self, octets: &[u8]) -> bool {
        if octets.len() > RING_FRAME_OCTETS_MAX {
            self.losses.count(Loss::TooLong, 1);
            return false;
        }
        // As many buffers as places: a spare buffer means a free place.
        let sent = self.spare.pop().is_ok_and(|mut buffer| {
            buffer.clear();
            buffer.extend_from_slice(octets);
            self.outgoing.push(buffer).is_ok()
        });
        self.losses.count(Loss::NotSent, u64::from(!sent));
        sent
    }

    fn receive(&mut self, take: impl FnOnce(&[u8])) -> bool {
        let Ok(buffer) = self.incoming.pop() else { return false };
        take(&buffer);
        let _ = self.used.push(buffer);
        true
    }
}

impl Port for RingPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        while !burst.is_full() && !self.end.incoming.is_empty() {
            let Some(mut frame) = pool.take() else { return };
            self.end.receive(|octets| {
                frame.copy_from(octets);
            });
            burst.push(frame);
        }
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let mut sent = 0;
        for frame in frames.drain(..) {
            sent += usize::from(self.end.send(frame.octets()));
            pool.give(frame);
        }
        sent
    }
}

impl EdgePort for RingPort {
    fn driver(&self) -> Cow<'static, str> {
        "ring".into()
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn losses(&mut self) -> Losses {
        self.end.losses
    }
}

impl RingPeer {
    /// Hands the edge a frame; false if the ring is full or the frame too long.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.end.send(frame)
    }

    /// Takes the next frame that the edge sent and adds it to a buffer; false if there is none.
    pub fn receive(&mut self, frame: &mut Vec<u8>) -> bool {
        self.end.receive(|octets| frame.extend_from_slice(octets))
    }

    /// Is the other end gone?
    pub fn is_abandoned(&self) -> bool {
        self.end.incoming.is_abandoned()
    }
}

/// How many frames a ring holds.
pub const RING_FRAMES_MAX: usize = 1_024;
/// The longest frame that crosses a ring.
pub const RING_FRAME_OCTETS_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cross_in_order_and_buffers_come_back() {
        let (mut port, mut peer) = ring_pair(Mac([2, 0, 0, 0, 0, 1]));
        let mut pool = FramePool::new(64);
        for round in 0..10 * RING_FRAMES_MAX {
            let number = round.to_be_bytes();
            assert!(peer.send(&number));
            let mut burst = Burst::new();
            port.receive(&mut pool, &mut burst);
            assert_eq!(burst[0].octets(), number);
            let mut frames: Vec<Frame> = burst.drain(..).collect();
            assert_eq!(port.transmit(&mut frames, &mut pool), 1);
            let mut back = Vec::new();
            assert!(peer.receive(&mut back));
            assert_eq!(back, number);
        }
        assert_eq!(pool.left(), 64);
    }

    #[test]
    fn a_full_ring_takes_no_more_and_loses_nothing_that_it_took() {
        let (mut port, mut peer) = ring_pair(Mac([2, 0, 0, 0, 0, 1]));
        let taken = (0..RING_FRAMES_MAX + 10).filter(|_| peer.send(b"frame")).count();
        assert_eq!(taken, RING_FRAMES_MAX);
        assert!(!peer.send(&[0; RING_FRAME_OCTETS_MAX + 1]));
        let mut pool = FramePool::new(2 * RING_FRAMES_MAX);
        let mut received = 0;
        loop {
            let mut burst = Burst::new();
            port.receive(&mut pool, &mut burst);
            if burst.is_empty() {
                break;
            }
            received += burst.len();
        }
        assert_eq!(received, taken);
    }
}
