//! What a kernel leaves undone because it takes the receiver for hardware, or for itself, and what a frame on a wire must
//! have: a whole checksum, its VLAN tag, one packet.
//!
//! A sender in the same kernel (a veth peer, a TAP) leaves the checksum to the "hardware", and hands over up to 64 kB of TCP
//! or UDP as one frame (GSO); so does a network card that merges what it receives (GRO, LRO). The kernel says so beside the
//! frame, in the header of virtio (VIRTIO 1.2, section 5.1.6), which packet sockets and TAP devices have, too.

mod layers;
#[cfg(test)]
mod tests;

use arrayvec::ArrayVec;
use transport_dataplane::{FRAME_OCTETS_MAX, Frame};
use transport_wire::checksum::Sum;

use layers::{Layer, Layers};

/// What the kernel puts before each frame (linux/virtio_net.h, `struct virtio_net_hdr`).
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offload {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    pub(super) hdr_len: u16,
    pub(super) gso_size: u16,
    pub(super) csum_start: u16,
    pub(super) csum_offset: u16,
}

impl Offload {
    /// Reads it, in the order of this machine's octets.
    pub(super) fn read(octets: [u8; OFFLOAD_OCTETS]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([octets[at], octets[at + 1]]);
        Self {
            flags: octets[0],
            gso_type: octets[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// Are there several packets in the frame?
    pub(super) const fn is_merged(self) -> bool {
        self.gso_type & !GSO_ECN != GSO_NONE
    }

    const fn needs_checksum(self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }
}

/// Headers that were found.
type Found = ArrayVec<Layer, { layers::LAYERS_MAX }>;

/// A tag that is beside the frame: TPID and TCI.
pub(super) type Tag = (u16, u16);

/// A frame of one packet becomes what it is on a wire; false if what the kernel says of it contradicts the frame.
pub(super) fn mend(frame: &mut Frame, offload: Offload, tag: Option<Tag>) -> bool {
    let summed = !offload.needs_checksum() || complete_checksum(frame.octets_mut(), offload);
    summed && tag.is_none_or(|(tpid, tci)| put_back_tag(frame, tpid, tci))
}

/// Sums what was left to be summed; the pseudo header is in the field already. False if the field is not in the frame.
fn complete_checksum(octets: &mut [u8], offload: Offload) -> bool {
    let start = usize::from(offload.csum_start);
    let field = start + usize::from(offload.csum_offset);
    if field + 2 > octets.len() {
        return false;
    }
    if offload.csum_offset == SCTP_CHECKSUM {
        // Not a sum, and of four octets: SCTP is the only one (RFC 9260, section 6.8).
        let Some(room) = octets.get_mut(field..field + 4) else { return false };
        room.fill(0);
        let checksum = crc32c(&octets[start..]);
        octets[field..field + 4].copy_from_slice(&checksum.to_le_bytes());
        return true;
    }
    let checksum = Sum::new().add(&octets[start..]).udp_checksum();
    octets[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}

/// CRC-32C, bit by bit: it is rare (RFC 9260, appendix A).
fn crc32c(octets: &[u8]) -> u32 {
    !octets
        .iter()
        .fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| crc >> 1 ^ (CASTAGNOLI * (crc & 1))))
}

/// Puts the tag back that the kernel took off; false if the frame has no room for it.
fn put_back_tag(frame: &mut Frame, tpid: u16, tci: u16) -> bool {
    if frame.len() < ETHERNET_OCTETS || frame.push_front(TAG_OCTETS).is_none() {
        return false;
    }
    let octets = frame.octets_mut();
    octets.copy_within(TAG_OCTETS..TAG_OCTETS + 12, 0);
    octets[12..14].copy_from_slice(&tpid.to_be_bytes());
    octets[14..16].copy_from_slice(&tci.to_be_bytes());
    true
}

/// Completes the checksum of a frame of a sender in the same kernel where nothing is said beside the frame (AF_XDP): one
/// that is wrong, and is exactly the sum of the pseudo header, which is what the kernel writes for the hardware to add to; or,
/// with SCTP, one that is zero.
pub(super) fn complete_unsaid_checksum(octets: &mut [u8]) {
    let mut undone = None;
    for layer in Layers::of(octets) {
        let (at, csum_offset) = match layer {
            Layer::Tcp { at, .. } => (at, TCP_CHECKSUM),
            Layer::Udp { at, .. } => (at, UDP_CHECKSUM),
            Layer::Sctp { at } => (at, SCTP_CHECKSUM),
            Layer::Ipv4 { .. } | Layer::Ipv6 { .. } => continue,
        };
        let field = at + usize::from(csum_offset);
        let is_undone = if csum_offset == SCTP_CHECKSUM {
            octets.get(field..field + 4) == Some(&[0; 4])
        } else if let Some(pseudo) = layers::pseudo_sum(octets, layer) {
            octets.get(field..field + 2) == Some(&pseudo.folded().to_be_bytes())
                && pseudo.add(&octets[at..]).folded() != u16::MAX
        } else {
            false
        };
        if is_undone && let Ok(csum_start) = u16::try_from(at) {
            undone = Some(Offload { csum_start, csum_offset, ..Offload::default() });
        }
    }
    if let Some(offload) = undone {
        complete_checksum(octets, offload);
    }
}

/// A merged frame, and its packets one after the other (what the kernel calls segmentation): each has the headers of the whole
/// and a part of its payload.
#[derive(Debug)]
pub(super) struct Merged {
    /// The whole frame, at the start of it.
    buffer: Vec<u8>,
    /// How it is taken apart; `None` if there is nothing.
    apart: Option<Apart>,
}

#[derive(Debug)]
struct Apart {
    length: usize,
    layers: Found,
    tag: Option<Tag>,
    headers: usize,
    part: usize,
    /// The payload before it has left.
    at: usize,
}

impl Merged {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; MERGED_OCTETS_MAX], apart: None }
    }

    /// Where the next one is received; what is there is lost.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.apart = None;
        &mut self.buffer
    }

    /// What was received there.
    pub(super) fn octets(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or(&self.buffer)
    }

    /// Takes apart a frame of so many octets in the room; false if it is of a kind that this does not know, or is not what it
    /// is said to be.
    pub(super) fn take_apart(&mut self, length: usize, offload: Offload, tag: Option<Tag>) -> bool {
        let understood = self.buffer.get(..length).and_then(|octets| understand(octets, offload));
        self.apart = understood.map(|(layers, headers)| {
            let part = usize::from(offload.gso_size);
            Apart { length, layers, tag, headers, part, at: 0 }
        });
        self.apart.is_some()
    }

    /// The next packet; false if there is no more.
    pub(super) fn next(&mut self, frame: &mut Frame) -> bool {
        let Some(apart) = &mut self.apart else { return false };
        let payload = apart.length - apart.headers;
        if apart.at >= payload {
            self.apart = None;
            return false;
        }
        let length = apart.part.min(payload - apart.at);
        let from = apart.headers + apart.at;
        let room = frame.room();
        room[..apart.headers].copy_from_slice(&self.buffer[..apart.headers]);
        room[apart.headers..apart.headers + length].copy_from_slice(&self.buffer[from..from + length]);
        frame.set_len(apart.headers + length);
        let number = u16::try_from(apart.at / apart.part).unwrap_or(u16::MAX);
        let is_last = apart.at + length == payload;
        // From the inside out: an outer checksum covers the inner headers.
        for layer in apart.layers.iter().rev() {
            layers::fit(frame.octets_mut(), *layer, number, apart.at, is_last);
        }
        apart.at += length;
        apart.tag.is_none_or(|(tpid, tci)| put_back_tag(frame, tpid, tci))
    }
}

/// The headers of a merged frame, and where its payload begins.
fn understand(octets: &[u8], offload: Offload) -> Option<(Found, usize)> {
    let start = usize::from(offload.csum_start);
    let mut found = Found::new();
    for layer in Layers::of(octets) {
        found.try_push(layer).ok()?;
        let (is_tcp, at) = match layer {
            Layer::Tcp { at, .. } => (true, at),
            Layer::Udp { at, .. } => (false, at),
            _ => continue,
        };
        if at != start {
            continue;
        }
        let header = match (is_tcp, offload.gso_type & !GSO_ECN) {
            (true, GSO_TCPV4 | GSO_TCPV6) => usize::from(octets.get(at + 12)? >> 4) * 4,
            (false, GSO_UDP_L4) => 8,
            _ => return None,
        };
        let headers = at + header;
        let longest = headers + usize::from(offload.gso_size) + TAG_OCTETS;
        let whole = header >= if is_tcp { 20 } else { 8 } && headers < octets.len();
        return (whole && offload.gso_size > 0 && longest <= FRAME_OCTETS_MAX).then_some((found, headers));
    }
    None
}

/// A merged frame: 64 kB of an IP packet and its link header.
const MERGED_OCTETS_MAX: usize = (1 << 16) + 64;
pub(super) const OFFLOAD_OCTETS: usize = 10;
pub(super) const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
pub(super) const GSO_TCPV4: u8 = 1;
pub(super) const GSO_TCPV6: u8 = 4;
pub(super) const GSO_UDP_L4: u8 = 5;
/// Beside the type: the first packet alone has CWR (RFC 3168).
const GSO_ECN: u8 = 0x80;
const TCP_CHECKSUM: u16 = 16;
const UDP_CHECKSUM: u16 = 6;
const SCTP_CHECKSUM: u16 = 8;
const CASTAGNOLI: u32 = 0x82f6_3b78;
const ETHERNET_OCTETS: usize = 14;
const TAG_OCTETS: usize = 4;

const _: () = assert!(size_of::<Offload>() == OFFLOAD_OCTETS);
