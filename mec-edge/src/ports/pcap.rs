//! A port on capture files: frames are read from one, once, and written to another.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use model::Mac;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError};
use transport_dataplane::{Burst, FRAME_OCTETS_MAX, Frame, FramePool, Port};

use super::{EdgePort, Loss, Losses, mac_of};

/// A port on capture files.
pub struct PcapPort {
    mac: Mac,
    input: Option<PcapReader<BufReader<File>>>,
    output: PcapWriter<BufWriter<File>>,
    name: PathBuf,
    losses: Losses,
}

/// A capture file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PcapPortError {
    /// It can't be read or written, or is no capture file.
    #[error("the capture file {} can't be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PcapError,
    },
    /// It holds no Ethernet frames.
    #[error("the capture file {} holds {found:?}; expected Ethernet", path.display())]
    LinkType {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: DataLink,
    },
}

impl PcapPort {
    /// Opens the input, if there is one, and makes the output.
    pub fn open(input: Option<&Path>, output: &Path, number: u8) -> Result<Self, PcapPortError> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| PcapPortError::File { path, source }
        };
        let reader = match input {
            None => None,
            Some(path) => {
                let file = File::open(path).map_err(PcapError::IoError).map_err(error(path))?;
                let reader = PcapReader::new(BufReader::new(file)).map_err(error(path))?;
                let found = reader.header().datalink;
                if found != DataLink::ETHERNET {
                    return Err(PcapPortError::LinkType { path: path.to_owned(), found });
                }
                Some(reader)
            }
        };
        let file = File::create(output).map_err(PcapError::IoError).map_err(error(output))?;
        let header = PcapHeader { datalink: DataLink::ETHERNET, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(BufWriter::new(file), header).map_err(error(output))?;
        Ok(Self {
            mac: mac_of(number),
            input: reader,
            output: writer,
            name: output.to_owned(),
            losses: Losses::default(),
        })
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), PcapError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        self.output.write_packet(&PcapPacket::new(now, length, octets)).map(drop)
    }
}

impl Port for PcapPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        while let Some(reader) = &mut self.input
            && !burst.is_full()
            && let Some(mut frame) = pool.take()
        {
            match reader.next_packet() {
                Some(Ok(packet)) if packet.data.len() <= FRAME_OCTETS_MAX => {
                    frame.copy_from(&packet.data);
                    burst.push(frame);
                    continue;
                }
                Some(Ok(_)) => self.losses.count(Loss::TooLong, 1),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the capture file ends in the middle of a frame");
                    self.input = None;
                }
                None => self.input = None,
            }
            pool.give(frame);
        }
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let mut sent = 0;
        for frame in frames.drain(..) {
            match self.write(frame.octets()) {
                Ok(()) => sent += 1,
                Err(error) => {
                    if self.losses.of(Loss::NotSent) == 0 {
                        tracing::warn!(%error, file = %self.name.display(), "a frame could not be written; told once");
                    }
                    self.losses.count(Loss::NotSent, 1);
                }
            }
            pool.give(frame);
        }
        sent
    }
}

impl EdgePort for PcapPort {
    fn driver(&self) -> Cow<'static, str> {
        "pcap".into()
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn is_replay(&self) -> bool {
        true
    }

    fn losses(&mut self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture file, octet by octet (libpcap's savefile format, version 2.4, little-endian).
    fn capture(link_type: u32, frames: &[&[u8]]) -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
        file.extend(link_type.to_le_bytes());
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
            file.extend([0; 8]);
            file.extend(length);
            file.extend(length);
            file.extend(*frame);
        }
        file
    }

    fn port(input: &[u8]) -> (tempfile::TempDir, Result<PcapPort, PcapPortError>) {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
        std::fs::write(&from, input).unwrap();
        let port = PcapPort::open(Some(&from), &to, 3);
        (folder, port)
    }

    #[test]
    fn frames_are_read_once_in_their_order_and_written_as_they_were() {
        let long = vec![7; FRAME_OCTETS_MAX + 1];
        let input = capture(1, &[b"first frame", &long, b"second frame"]);
        let (folder, port) = port(&input);
        let mut port = port.unwrap();
        let mut pool = FramePool::new(4);
        let mut burst = Burst::new();
        port.receive(&mut pool, &mut burst);
        let octets: Vec<_> = burst.iter().map(Frame::octets).collect();
        assert_eq!(octets, [&b"first frame"[..], b"second frame"]);
        assert_eq!(port.losses().of(Loss::TooLong), 1);
        let mut frames: Vec<Frame> = burst.drain(..).collect();
        assert_eq!(port.transmit(&mut frames, &mut pool), 2);
        port.receive(&mut pool, &mut burst);
        assert!(burst.is_empty());
        assert_eq!(pool.left(), 4);
        drop(port);
        let written = std::fs::read(folder.path().join("out.pcap")).unwrap();
        // Header, then 16 octets before each frame.
        assert_eq!(written.len(), 24 + 16 + 11 + 16 + 12);
        assert!(written[40..].starts_with(b"first frame") && written.ends_with(b"second frame"));
    }

    #[test]
    fn a_capture_that_is_cut_at_any_octet_ends_there() {
        let input = capture(1, &[b"first frame", b"second frame"]);
        for length in 0..input.len() {
            let (_folder, port) = port(&input[..length]);
            let Ok(mut port) = port else {
                assert!(length < 24, "{length}");
                continue;
            };
            let mut pool = FramePool::new(4);
            let mut burst = Burst::new();
            port.receive(&mut pool, &mut burst);
            assert_eq!(burst.len(), usize::from(length >= 24 + 16 + 11), "{length}");
            assert_eq!(pool.left() + burst.len(), 4);
        }
    }

    #[test]
    fn a_capture_of_something_else_is_refused() {
        let (_folder, refused) = port(&capture(101, &[]));
        let error = refused.err().unwrap().to_string();
        assert!(error.ends_with("in.pcap holds RAW; expected Ethernet"), "{error}");
        let (_folder, refused) = port(b"not a capture file at all");
        assert!(refused.is_err());
    }

    #[test]
    fn without_a_buffer_nothing_is_lost() {
        let (_folder, port) = port(&capture(1, &[b"one", b"two", b"three"]));
        let mut port = port.unwrap();
        let mut pool = FramePool::new(1);
        for expected in [&b"one"[..], b"two", b"three"] {
            let mut burst = Burst::new();
            port.receive(&mut pool, &mut burst);
            let frame = burst.pop().unwrap();
            assert_eq!((frame.octets(), burst.len()), (expected, 0));
            pool.give(frame);
        }
    }
}
