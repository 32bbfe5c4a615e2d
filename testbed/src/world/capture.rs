//! Capture files: what crossed the core.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError};

/// A capture file that is being written: Ethernet frames with the time at which they were seen.
#[derive(Debug)]
pub struct Capture {
    writer: PcapWriter<SharedFile>,
    file: SharedFile,
    frames: u64,
}

impl Capture {
    /// Makes the file.
    pub fn create(file: &Path) -> Result<Self, PcapError> {
        let header = pcap_file::pcap::PcapHeader { datalink: DataLink::ETHERNET, ..Default::default() };
        let file = BufWriter::new(File::create(file).map_err(PcapError::IoError)?);
        let file = SharedFile(Arc::new(Mutex::new(file)));
        Ok(Self { writer: PcapWriter::with_header(file.clone(), header)?, file, frames: 0 })
    }

    /// Adds a frame, seen now.
    pub fn add(&mut self, frame: &[u8]) -> Result<(), PcapError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.add_at(now, frame)
    }

    fn add_at(&mut self, at: Duration, frame: &[u8]) -> Result<(), PcapError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.writer.write_packet(&PcapPacket::new(at, length, frame))?;
        self.frames += 1;
        Ok(())
    }

    /// Writes what is still held back.
    pub fn flush(&mut self) -> Result<(), PcapError> {
        self.file.flush().map_err(PcapError::IoError)
    }

    /// Writes what is still held back; answers how many frames are in the file.
    pub fn finish(mut self) -> Result<u64, PcapError> {
        self.flush()?;
        Ok(self.frames)
    }
}

/// The file, also in the hands of the writer, which does not flush.
#[derive(Debug, Clone)]
struct SharedFile(Arc<Mutex<BufWriter<File>>>);

impl Write for SharedFile {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// Merges capture files by time. A file that was cut in the middle gives what was whole.
pub fn merge(files: &[PathBuf], into: &Path) -> Result<u64, PcapError> {
    let mut frames = Vec::new();
    for file in files {
        let mut reader = PcapReader::new(File::open(file).map_err(PcapError::IoError)?)?;
        while let Some(Ok(packet)) = reader.next_packet() {
            frames.push((packet.timestamp, packet.data.into_owned()));
        }
    }
    frames.sort_by_key(|(at, _)| *at);
    let mut capture = Capture::create(into)?;
    for (at, frame) in &frames {
        capture.add_at(*at, frame)?;
    }
    capture.finish()
}
