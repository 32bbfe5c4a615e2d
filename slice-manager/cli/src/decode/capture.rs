//! Capture files: pcap and pcapng, in either byte order, read as a stream.
//!
//! Packets that the capture has cut are whole records here, and every error names the octet of the file: that is why it
//! is not left to a library. Nothing is allocated by a length that was not checked.
//!
//! Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

use std::fmt;
use std::io::{self, Read};

/// A packet, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// LINKTYPE_ value.
    pub(super) link_type: u16,
    /// When it was seen; a simple packet block does not say.
    pub(super) time: Option<Time>,
    /// How long it was before it was cut.
    pub(super) original_octets: u32,
    pub(super) octets: Vec<u8>,
}

/// Time since 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.seconds, self.nanoseconds)
    }
}

/// The packets of a file, in order; ends after the first error.
pub(super) struct Capture<R> {
    source: Source<R>,
    format: Format,
}

impl<R: Read> Capture<R> {
    /// Reads the file's header.
    pub(super) fn new(reader: R) -> Result<Self, CaptureError> {
        let mut source = Source { reader, offset: 0, big_endian: false };
        let magic: [u8; 4] = source.array()?;
        let (big_endian, format) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, Pcap { link_type: 0, nanoseconds: false, extra_octets: 0 }),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, Pcap { link_type: 0, nanoseconds: false, extra_octets: 0 }),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, Pcap { link_type: 0, nanoseconds: true, extra_octets: 0 }),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, Pcap { link_type: 0, nanoseconds: true, extra_octets: 0 }),
            // Kuznetzov's patch: eight octets more in each record's header.
            [0xa1, 0xb2, 0xcd, 0x34] => (true, Pcap { link_type: 0, nanoseconds: false, extra_octets: 8 }),
            [0x34, 0xcd, 0xb2, 0xa1] => (false, Pcap { link_type: 0, nanoseconds: false, extra_octets: 8 }),
            BLOCK_SECTION => {
                source.section()?;
                return Ok(Self { source, format: Format::PcapNg(Vec::new()) });
            }
            _ => return Err(CaptureError { offset: 0, problem: Problem::NotACapture { magic } }),
        };
        source.big_endian = big_endian;
        // Version, two fields that nobody uses, snap length.
        source.skip(16)?;
        // The upper bits say whether a frame check sequence follows each frame.
        let link_type = low16(source.u32()?);
        Ok(Self { source, format: Format::Pcap(Pcap { link_type, ..format }) })
    }

    fn read(&mut self) -> Result<Option<Record>, CaptureError> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.record(&mut self.source),
            Format::PcapNg(interfaces) => loop {
                match self.source.block(interfaces)? {
                    Block::End => return Ok(None),
                    Block::Packet(record) => return Ok(Some(record)),
                    Block::Other => {}
                }
            },
            Format::Ended => Ok(None),
        }
    }
}

impl<R: Read> Iterator for Capture<R> {
    type Item = Result<Record, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.format = Format::Ended;
        }
        read
    }
}

enum Format {
    Pcap(Pcap),
    /// The interfaces of the section so far.
    PcapNg(Vec<Interface>),
    Ended,
}

struct Pcap {
    link_type: u16,
    nanoseconds: bool,
    extra_octets: u64,
}

impl Pcap {
    /// ```text
    /// | seconds 4 | micro- or nanoseconds 4 | octets here 4 | octets before 4 | packet
    /// ```
    fn record<R: Read>(&self, source: &mut Source<R>) -> Result<Option<Record>, CaptureError> {
        let Some(seconds) = source.u32_or_end()? else { return Ok(None) };
        let fraction = source.u32()?;
        let nanoseconds = if self.nanoseconds { fraction } else { fraction.saturating_mul(1000) };
        let time = Some(Time { seconds: u64::from(seconds), nanoseconds });
        let length = source.u32()?;
        let original_octets = source.u32()?;
        source.skip(self.extra_octets)?;
        let octets = source.packet(length)?;
        Ok(Some(Record { link_type: self.link_type, time, original_octets, octets }))
    }
}

struct Interface {
    link_type: u16,
    snap_octets: u32,
    resolution: Resolution,
}

/// How many units of time are in a second: a power of 10, or of 2 where the upper bit is set (if_tsresol).
#[derive(Clone, Copy)]
struct Resolution(u8);

impl Resolution {
    const MICROSECONDS: Self = Self(6);

    /// None where the exponent is absurd.
    fn time(self, units: u64) -> Option<Time> {
        let exponent = u32::from(self.0 & 0x7f);
        let a_second = if self.0 & 0x80 == 0 { 10_u128.checked_pow(exponent) } else { 2_u128.checked_pow(exponent) }?;
        let units = u128::from(units);
        let nanoseconds = (units % a_second).checked_mul(1_000_000_000)? / a_second;
        Some(Time { seconds: u64::try_from(units / a_second).ok()?, nanoseconds: u32::try_from(nanoseconds).ok()? })
    }
}

enum Block {
    Packet(Record),
    Other,
    End,
}

/// The octets of the file, and where we are in it.
struct Source<R> {
    reader: R,
    offset: u64,
    big_endian: bool,
}

impl<R: Read> Source<R> {
    /// ```text
    /// | type 4 | total length 4 | body … | total length 4 |
    /// ```
    fn block(&mut self, interfaces: &mut Vec<Interface>) -> Result<Block, CaptureError> {
        let begin = self.offset;
        let Some(kind) = self.u32_or_end()? else { return Ok(Block::End) };
        if kind.to_be_bytes() == BLOCK_SECTION {
            interfaces.clear();
            self.section()?;
            return Ok(Block::Other);
        }
        let length = self.block_length(begin)?;
        let mut body = u64::from(length) - BLOCK_OVERHEAD_OCTETS;
        let block = match kind {
            BLOCK_INTERFACE => {
                if interfaces.len() == INTERFACES_MAX {
                    return Err(CaptureError { offset: begin, problem: Problem::TooManyInterfaces });
                }
                interfaces.push(self.interface(&mut body)?);
                Block::Other
            }
            BLOCK_ENHANCED_PACKET | BLOCK_PACKET => Block::Packet(self.timed_packet(kind, &mut body, interfaces)?),
            BLOCK_SIMPLE_PACKET => Block::Packet(self.simple_packet(&mut body, interfaces)?),
            _ => Block::Other,
        };
        self.skip(body)?;
        let offset = self.offset;
        let trailer = self.u32()?;
        if trailer != length {
            return Err(CaptureError { offset, problem: Problem::BlockLength { length: trailer } });
        }
        Ok(block)
    }

    fn block_length(&mut self, begin: u64) -> Result<u32, CaptureError> {
        let length = self.u32()?;
        if !length.is_multiple_of(4) || u64::from(length) < BLOCK_OVERHEAD_OCTETS {
            return Err(CaptureError { offset: begin + 4, problem: Problem::BlockLength { length } });
        }
        Ok(length)
    }

    /// A section header block behind its type: it tells the byte order of what follows.
    fn section(&mut self) -> Result<(), CaptureError> {
        let begin = self.offset - 4;
        let length: [u8; 4] = self.array()?;
        self.big_endian = match self.array()? {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            magic => return Err(CaptureError { offset: begin + 8, problem: Problem::ByteOrder { magic } }),
        };
        let length = self.number(length);
        if !length.is_multiple_of(4) || length < SECTION_OCTETS_MIN {
            return Err(CaptureError { offset: begin + 4, problem: Problem::BlockLength { length } });
        }
        self.skip(u64::from(length) - BLOCK_OVERHEAD_OCTETS)
    }

    /// ```text
    /// | link type 2 | reserved 2 | snap length 4 | options
    /// ```
    fn interface(&mut self, body: &mut u64) -> Result<Interface, CaptureError> {
        self.claim(body, 8)?;
        let first: [u8; 2] = self.array()?;
        let link_type = self.short(first);
        self.skip(2)?;
        let snap_octets = self.u32()?;
        let mut resolution = Resolution::MICROSECONDS;
        while *body >= 4 {
            self.claim(body, 4)?;
            let (code, length) = (self.array()?, self.array()?);
            let (code, length) = (self.short(code), u64::from(self.short(length)));
            self.claim(body, length.next_multiple_of(4))?;
            match (code, length) {
                (OPTION_RESOLUTION, 1) => {
                    let [value, ..]: [u8; 4] = self.array()?;
                    resolution = Resolution(value);
                }
                _ => self.skip(length.next_multiple_of(4))?,
            }
        }
        Ok(Interface { link_type, snap_octets, resolution })
    }

    /// ```text
    /// enhanced: | interface 4         | time 8 | octets here 4 | octets before 4 | packet …
    /// obsolete: | interface 2 drops 2 | time 8 | octets here 4 | octets before 4 | packet …
    /// ```
    fn timed_packet(&mut self, kind: u32, body: &mut u64, interfaces: &[Interface]) -> Result<Record, CaptureError> {
        let begin = self.offset;
        self.claim(body, 20)?;
        let id: [u8; 4] = self.array()?;
        let id = if kind == BLOCK_PACKET { u32::from(self.short([id[0], id[1]])) } else { self.number(id) };
        let units = u64::from(self.u32()?) << 32 | u64::from(self.u32()?);
        let length = self.u32()?;
        let original_octets = self.u32()?;
        let interface = usize::try_from(id).ok().and_then(|id| interfaces.get(id));
        let Some(interface) = interface else {
            return Err(CaptureError { offset: begin, problem: Problem::UnknownInterface { id } });
        };
        self.claim(body, u64::from(length))?;
        let octets = self.packet(length)?;
        Ok(Record { link_type: interface.link_type, time: interface.resolution.time(units), original_octets, octets })
    }

    /// The packet is as long as it was, or as the block has room, or as the first interface's snap length.
    fn simple_packet(&mut self, body: &mut u64, interfaces: &[Interface]) -> Result<Record, CaptureError> {
        let begin = self.offset;
        self.claim(body, 4)?;
        let original_octets = self.u32()?;
        let Some(interface) = interfaces.first() else {
            return Err(CaptureError { offset: begin, problem: Problem::UnknownInterface { id: 0 } });
        };
        let snap = if interface.snap_octets == 0 { u32::MAX } else { interface.snap_octets };
        let room = u32::try_from(*body).unwrap_or(u32::MAX);
        let length = original_octets.min(snap).min(room);
        self.claim(body, u64::from(length))?;
        let octets = self.packet(length)?;
        Ok(Record { link_type: interface.link_type, time: None, original_octets, octets })
    }

    /// Takes octets from what is left of a block.
    fn claim(&self, body: &mut u64, octets: u64) -> Result<(), CaptureError> {
        match body.checked_sub(octets) {
            Some(left) => {
                *body = left;
                Ok(())
            }
            None => {
                Err(CaptureError { offset: self.offset, problem: Problem::PastBlock { need: octets, have: *body } })
            }
        }
    }

    fn packet(&mut self, length: u32) -> Result<Vec<u8>, CaptureError> {
        if length > PACKET_OCTETS_MAX {
            return Err(CaptureError { offset: self.offset, problem: Problem::PacketTooLong { octets: length } });
        }
        let mut octets = vec![0; length as usize];
        self.fill(&mut octets)?;
        Ok(octets)
    }

    fn skip(&mut self, octets: u64) -> Result<(), CaptureError> {
        let begin = self.offset;
        let skipped = io::copy(&mut self.reader.by_ref().take(octets), &mut io::sink());
        let have = skipped.map_err(|source| CaptureError { offset: begin, problem: Problem::Io(source) })?;
        self.offset += have;
        if have < octets { Err(cut(begin, octets, have)) } else { Ok(()) }
    }

    fn u32(&mut self) -> Result<u32, CaptureError> {
        let octets = self.array()?;
        Ok(self.number(octets))
    }

    /// None where the file ends just here.
    fn u32_or_end(&mut self) -> Result<Option<u32>, CaptureError> {
        let begin = self.offset;
        match self.u32() {
            Err(CaptureError { offset, problem: Problem::Cut { have: 0, .. } }) if offset == begin => Ok(None),
            other => other.map(Some),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CaptureError> {
        let mut octets = [0; N];
        self.fill(&mut octets)?;
        Ok(octets)
    }

    fn fill(&mut self, octets: &mut [u8]) -> Result<(), CaptureError> {
        let begin = self.offset;
        let mut have = 0;
        while let Some(rest) = octets.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => return Err(cut(begin, octets.len() as u64, have as u64)),
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CaptureError { offset: self.offset, problem: Problem::Io(error) }),
            }
        }
        self.offset += octets.len() as u64;
        Ok(())
    }

    const fn number(&self, octets: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }

    const fn short(&self, octets: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) }
    }
}

/// What is wrong with a capture file, and at which octet of it.
#[derive(Debug, thiserror::Error)]
#[error("octet {offset}: {problem}")]
pub struct CaptureError {
    /// Where, counted from the start of the file.
    pub offset: u64,
    /// What.
    pub problem: Problem,
}

/// What can be wrong with a capture file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It begins with none of the known numbers.
    #[error("begins with {:02x} {:02x} {:02x} {:02x}; expected pcap or pcapng{}", magic[0], magic[1], magic[2], magic[3], hint(*magic))]
    NotACapture {
        /// The first four octets.
        magic: [u8; 4],
    },
    /// It ends in the middle of something.
    #[error("the file is cut: {need} octets needed, {have} are there")]
    Cut {
        /// How many are needed.
        need: u64,
        /// How many are there.
        have: u64,
    },
    /// A packet that no capture tool writes.
    #[error("a packet of {octets} octets; at most {PACKET_OCTETS_MAX} are read")]
    PacketTooLong {
        /// How long the record says it is.
        octets: u32,
    },
    /// A section does not tell its byte order.
    #[error("byte order {:02x}{:02x}{:02x}{:02x}; expected 1a2b3c4d in either order", magic[0], magic[1], magic[2], magic[3])]
    ByteOrder {
        /// What stands there.
        magic: [u8; 4],
    },
    /// A block's length is no multiple of four, is too short for its kind, or differs at its end.
    #[error("a block length of {length}")]
    BlockLength {
        /// What the field says.
        length: u32,
    },
    /// A part of a block is longer than the block.
    #[error("{need} octets needed, {have} are left in the block")]
    PastBlock {
        /// How many are needed.
        need: u64,
        /// How many are left.
        have: u64,
    },
    /// A packet of an interface that was not described.
    #[error("interface {id} was not described")]
    UnknownInterface {
        /// Its number.
        id: u32,
    },
    /// More interfaces than are kept.
    #[error("more than {INTERFACES_MAX} interfaces")]
    TooManyInterfaces,
    /// The file can't be read.
    #[error("{0}")]
    Io(#[source] io::Error),
}

const fn cut(offset: u64, need: u64, have: u64) -> CaptureError {
    CaptureError { offset, problem: Problem::Cut { need, have } }
}

const fn hint(magic: [u8; 4]) -> &'static str {
    match magic {
        [0x1f, 0x8b, _, _] => "; this is gzip, unpack it first",
        _ => "",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
const fn low16(number: u32) -> u16 {
    number as u16
}

/// The longest packet that is read: the longest snap length of libpcap.
const PACKET_OCTETS_MAX: u32 = 262_144;
/// How many interfaces of a section are kept.
const INTERFACES_MAX: usize = 4096;

const BLOCK_SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const BLOCK_INTERFACE: u32 = 1;
const BLOCK_PACKET: u32 = 2;
const BLOCK_SIMPLE_PACKET: u32 = 3;
const BLOCK_ENHANCED_PACKET: u32 = 6;
/// Type and both lengths.
const BLOCK_OVERHEAD_OCTETS: u64 = 12;
const SECTION_OCTETS_MIN: u32 = 28;
/// The option if_tsresol.
const OPTION_RESOLUTION: u16 = 9;
