//! Real captures, put into an access port and into a core port: no panic, nothing lost, nothing leaves.

use std::fs::File;
use std::path::{Path, PathBuf};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use transport_dataplane::{BURST_FRAMES_MAX, FRAME_OCTETS_MAX};

use crate::rig::*;

#[test]
#[ignore = "needs MICROSLICE_CORPORA"]
fn captures_are_taken_apart_and_stopped() {
    let folder = std::env::var_os("MICROSLICE_CORPORA").expect("MICROSLICE_CORPORA names the folder");
    let mut files = Vec::new();
    find(Path::new(&folder), &mut files);
    assert!(!files.is_empty());
    let mut total = 0;
    for file in files {
        let frames = read(&file);
        total += frames.len();
        for port in [ACCESS0, ACCESS1, CORE0] {
            let mut rig = Rig::new();
            rig.admit_open("iot", "metering", device(1));
            for burst in frames.chunks(BURST_FRAMES_MAX) {
                let left = rig.put(port, burst);
                assert_eq!(left, [], "{}", file.display());
            }
            let reading = &rig.reading().ports[port.get()];
            assert!(reading.received.frames >= frames.len() as u64);
        }
    }
    assert!(total > 1_000, "{total} frames");
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|end| end == "pcap" || end == "pcapng" || end == "cap") {
            files.push(path);
        }
    }
}

/// The frames of a capture, as far as it is whole.
fn read(file: &Path) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    if let Ok(mut reader) = PcapReader::new(File::open(file).unwrap()) {
        while let Some(Ok(packet)) = reader.next_raw_packet() {
            frames.push(packet.data.into_owned());
        }
    } else if let Ok(mut reader) = PcapNgReader::new(File::open(file).unwrap()) {
        while let Some(Ok(block)) = reader.next_block() {
            match block {
                Block::EnhancedPacket(packet) => frames.push(packet.data.into_owned()),
                Block::SimplePacket(packet) => frames.push(packet.data.into_owned()),
                _ => {}
            }
        }
    }
    frames.retain(|frame| frame.len() <= FRAME_OCTETS_MAX);
    frames
}
