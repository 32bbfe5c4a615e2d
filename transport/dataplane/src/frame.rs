//! Frames: buffers of fixed size with room in front, and the pool that they come from.

use arrayvec::ArrayVec;

/// A frame in a buffer that has room for outer headers in front of it.
#[derive(Debug)]
pub struct Frame {
    buffer: Box<[u8]>,
    start: u16,
    end: u16,
}

/// Frames that are worked on together.
pub type Burst = ArrayVec<Frame, BURST_FRAMES_MAX>;

impl Frame {
    fn new() -> Self {
        Self { buffer: vec![0; HEADROOM_OCTETS + FRAME_OCTETS_MAX].into(), start: HEADROOM, end: HEADROOM }
    }

    /// Its octets.
    #[inline]
    pub fn octets(&self) -> &[u8] {
        &self.buffer[usize::from(self.start)..usize::from(self.end)]
    }

    /// Its octets, to be changed.
    #[inline]
    pub fn octets_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[usize::from(self.start)..usize::from(self.end)]
    }

    /// How many octets.
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Has it none?
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The room that a frame can be received into, all of it; [`Frame::set_len`] then says how much was.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        (self.start, self.end) = (HEADROOM, HEADROOM);
        &mut self.buffer[HEADROOM_OCTETS..]
    }

    /// Says how many octets were received into the [room](Frame::room), at most [`FRAME_OCTETS_MAX`].
    #[inline]
    pub fn set_len(&mut self, octets: usize) {
        (self.start, self.end) = (HEADROOM, HEADROOM + short(octets.min(FRAME_OCTETS_MAX)));
    }

    /// Becomes a copy of these octets; false, and empty, if they are more than [`FRAME_OCTETS_MAX`].
    #[inline]
    pub fn copy_from(&mut self, octets: &[u8]) -> bool {
        self.set_len(0);
        match self.buffer[HEADROOM_OCTETS..].get_mut(..octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                self.end = HEADROOM + short(octets.len());
                true
            }
            None => false,
        }
    }

    /// Makes room for a header in front and answers it; `None` if there is not so much.
    #[inline]
    pub fn push_front(&mut self, octets: usize) -> Option<&mut [u8]> {
        let start = usize::from(self.start).checked_sub(octets)?;
        self.start = short(start);
        Some(&mut self.buffer[start..start + octets])
    }

    /// Makes room for a header of a known length in front and answers it; `None` if there is not so much.
    #[inline]
    pub fn push_array<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        let start = usize::from(self.start).checked_sub(N)?;
        self.start = short(start);
        self.buffer[start..].first_chunk_mut()
    }

    /// Takes octets off the front, at most all of them.
    #[inline]
    pub fn pull_front(&mut self, octets: usize) {
        self.start = short((usize::from(self.start) + octets).min(usize::from(self.end)));
    }

    /// Keeps so many octets at most.
    #[inline]
    pub fn truncate(&mut self, octets: usize) {
        self.end = short(usize::from(self.end).min(usize::from(self.start).saturating_add(octets)));
    }
}

/// Frames that are not in use. All of them are made at the start; their number is the bound on memory.
#[derive(Debug)]
pub struct FramePool {
    free: Vec<Frame>,
}

impl FramePool {
    /// Makes so many frames.
    pub fn new(frames: usize) -> Self {
        Self::with_room(frames, frames)
    }

    /// Makes so many frames, with room for as many as all workers of an edge have together.
    pub fn with_room(frames: usize, room: usize) -> Self {
        let mut free = Vec::with_capacity(room.max(frames));
        free.extend((0..frames).map(|_| Frame::new()));
        Self { free }
    }

    /// An empty frame, if one is left.
    #[inline]
    pub fn take(&mut self) -> Option<Frame> {
        let mut frame = self.free.pop()?;
        frame.set_len(0);
        Some(frame)
    }

    /// Gives a frame back.
    #[inline]
    pub fn give(&mut self, frame: Frame) {
        // There is room for every frame that there is, so it never grows.
        self.free.push(frame);
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.free.len()
    }
}

/// A place in a buffer.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "at most the length of a buffer, see the assertion below")]
const fn short(place: usize) -> u16 {
    place as u16
}

/// How many frames are worked on together.
pub const BURST_FRAMES_MAX: usize = 64;
/// The longest frame: a payload of 9,198 octets, the usual jumbo frame, with header and tag.
pub const FRAME_OCTETS_MAX: usize = 9_216;
/// Room in front of a received frame, for the longest path of any transport.
pub const HEADROOM_OCTETS: usize = 256;
const HEADROOM: u16 = short(HEADROOM_OCTETS);

const _: () = assert!(HEADROOM_OCTETS + FRAME_OCTETS_MAX <= u16::MAX as usize);
