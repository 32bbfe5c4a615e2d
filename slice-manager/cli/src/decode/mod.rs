//! `slicectl decode`: the packets of a capture file, a JSON line each.
//!
//! It reads with the codecs of the packet path and of the AAA, so that what it shows is what the product understands.
//! Fields have the names that tshark gives them, and its way of writing: addresses and fields that it shows in
//! hexadecimal are strings, other numbers and flags (0 or 1) are numbers. A layer that is malformed becomes an `error`
//! that names the layer, the octet in it, and what is wrong; what lies behind it is counted as `data`.
//!
//! What it does not do: it puts no fragments and no streams together, decrypts nothing, and shows no secrets: of
//! passwords only the length.

mod capture;
mod dissect;
mod fields;
mod link;
mod network;
mod radius;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};
use transport_wire::{gtpu, mpls, vxlan};

pub use capture::{CaptureError, Problem};

/// Prints every packet of a pcap or pcapng file. A file that was cut gives what was whole, then the error.
pub fn run(file: &Path, rules: &[DecodeAs], out: &mut dyn Write) -> Result<(), DecodeError> {
    let opened = File::open(file).map_err(|source| DecodeError::Open { file: file.to_owned(), source })?;
    let capture_error = |source| DecodeError::Capture { file: file.to_owned(), source };
    let capture = capture::Capture::new(BufReader::new(opened)).map_err(capture_error)?;
    let decoder = Decoder::new(rules);
    let mut out = BufWriter::new(out);
    for (index, record) in capture.enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                out.flush()?;
                return Err(capture_error(error));
            }
        };
        let mut line = decoder.decode(index as u64 + 1, record.link_type, &record.octets, record.original_octets);
        if let (Some(time), Value::Object(line)) = (record.time, &mut line) {
            line.insert("frame.time_epoch".into(), json!(time.to_string()));
        }
        serde_json::to_writer(&mut out, &line).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// One packet, with the ports that the protocols have by themselves. See [`Decoder::decode`].
pub fn decode_packet(number: u64, link_type: u16, octets: &[u8], original_octets: u32) -> Value {
    Decoder::new(&[]).decode(number, link_type, octets, original_octets)
}

/// Reads packets, knowing which UDP port speaks what.
#[derive(Debug, Clone)]
pub struct Decoder {
    ports: BTreeMap<u16, UdpProtocol>,
}

impl Decoder {
    /// The usual ports, and those of the rules; a rule wins.
    pub fn new(rules: &[DecodeAs]) -> Self {
        let radius = RADIUS_PORTS.map(|port| (port, UdpProtocol::Radius));
        let tunnels =
            [(vxlan::PORT, UdpProtocol::Vxlan), (mpls::UDP_PORT, UdpProtocol::Mpls), (gtpu::PORT, UdpProtocol::Gtpu)];
        let usual = radius.into_iter().chain(tunnels);
        Self { ports: usual.chain(rules.iter().map(|rule| (rule.port, rule.protocol))).collect() }
    }

    /// One packet as an object: `frame.number`, `frame.len`, `frame.protocols`, and `layers`, the outermost first.
    ///
    /// `link_type` is the number that the file gives (LINKTYPE_ values of tcpdump.org); `original_octets` is how long
    /// the packet was before the capture cut it.
    pub fn decode(&self, number: u64, link_type: u16, octets: &[u8], original_octets: u32) -> Value {
        let (protocols, layers) = dissect::dissect(self, link_type, octets, original_octets);
        json!({
            "frame.number": number,
            "frame.len": original_octets,
            "frame.cap_len": octets.len(),
            "frame.protocols": protocols,
            "layers": layers,
        })
    }

    /// What runs between two UDP ports; the lower port is asked first, as tshark does.
    fn udp(&self, a: u16, b: u16) -> Option<UdpProtocol> {
        self.ports.get(&a.min(b)).or_else(|| self.ports.get(&a.max(b))).copied()
    }
}

/// What can run over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpProtocol {
    /// RADIUS.
    Radius,
    /// VXLAN.
    Vxlan,
    /// MPLS over UDP.
    Mpls,
    /// GTP-U.
    Gtpu,
}

/// A rule: read this UDP port as that protocol. Written as `udp.port==1812,radius`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeAs {
    /// The port, source or destination.
    pub port: u16,
    /// What runs there.
    pub protocol: UdpProtocol,
}

impl FromStr for DecodeAs {
    type Err = InvalidDecodeAs;

    fn from_str(text: &str) -> Result<Self, InvalidDecodeAs> {
        let invalid = || InvalidDecodeAs { found: text.chars().take(60).collect() };
        let (port, protocol) =
            text.strip_prefix("udp.port==").and_then(|rest| rest.split_once(',')).ok_or_else(invalid)?;
        let protocol = match protocol {
            "radius" => UdpProtocol::Radius,
            "vxlan" => UdpProtocol::Vxlan,
            "mpls" => UdpProtocol::Mpls,
            "gtp" => UdpProtocol::Gtpu,
            _ => return Err(invalid()),
        };
        Ok(Self { port: port.parse().map_err(|_| invalid())?, protocol })
    }
}

/// A rule that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a rule; expected udp.port==PORT,PROTOCOL with one of radius, vxlan, mpls, gtp")]
pub struct InvalidDecodeAs {
    found: String,
}

/// Why a file was not decoded to its end.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file can't be opened.
    #[error("{}: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no capture, or it ends or breaks in the middle.
    #[error("{}: {source}", file.display())]
    Capture {
        /// The file.
        file: PathBuf,
        /// Where, and what.
        source: CaptureError,
    },
    /// What was printed went nowhere.
    #[error("can't write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// RADIUS: the registered ports, those from before (RFC 2865, section 3), and the dynamic authorisation ports of
/// RFC 5176 and of Cisco.
const RADIUS_PORTS: [u16; 6] = [1812, 1813, 1645, 1646, 3799, 1700];
