//! Parts of a run as processes of their own: the daemons and `slicectl` by their library entries, an authenticator, and
//! devices that send and receive by kernel sockets.
//!
//! One binary plays every part, so that `cargo demo` builds one thing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::world::device::PORT;
use crate::world::nas::{Answer, Method, Nas};

/// Runs a part. The first argument names it.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match arguments.first().and_then(|name| name.to_str()) {
        Some("slice-manager") => slice_manager::run(arguments),
        Some("mec-edge") => mec_edge::run(arguments),
        Some("slicectl") => slicectl::run(arguments),
        Some("nas") => answer(nas(&NasArguments::parse_from(arguments))),
        Some("send") => answer(send(&SendArguments::parse_from(arguments)).map_err(|e| e.to_string())),
        Some("receive") => answer(receive(&ReceiveArguments::parse_from(arguments)).map_err(|e| e.to_string())),
        Some("capture") => answer(capture(&CaptureArguments::parse_from(arguments)).map_err(|e| e.to_string())),
        _ => {
            eprintln!(
                "there is no such part; expected slice-manager, mec-edge, slicectl, nas, send, receive or capture"
            );
            ExitCode::from(2)
        }
    }
}

/// Prints a result as JSON.
fn answer<T: Serialize>(result: Result<T, String>) -> ExitCode {
    match result.and_then(|value| serde_json::to_string(&value).map_err(|e| e.to_string())) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// An authenticator's one exchange.
#[derive(Debug, Parser)]
struct NasArguments {
    /// The AAA.
    #[arg(long)]
    server: SocketAddr,
    /// The source address.
    #[arg(long)]
    from: std::net::IpAddr,
    #[arg(long)]
    secret: String,
    #[arg(long)]
    user: String,
    #[arg(long, default_value = "")]
    password: String,
    /// The device's MAC address.
    #[arg(long)]
    mac: model::Mac,
    #[arg(long)]
    address: Option<Ipv4Addr>,
    #[arg(long, value_enum, default_value = "pap")]
    method: MethodName,
    /// Account instead: 1 start, 2 stop, 3 interim.
    #[arg(long)]
    account: Option<u32>,
    /// The Class attribute, in hexadecimal digits.
    #[arg(long)]
    class: Option<String>,
    /// Makes request authenticators.
    #[arg(long)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodName {
    Pap,
    Chap,
}

/// An answer as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct AnswerText {
    /// Its code.
    pub code: u8,
    /// Type and value of each attribute.
    pub attributes: Vec<(u8, Vec<u8>)>,
}

impl From<Answer> for AnswerText {
    fn from(answer: Answer) -> Self {
        Self { code: answer.code, attributes: answer.attributes }
    }
}

impl From<AnswerText> for Answer {
    fn from(answer: AnswerText) -> Self {
        Self { code: answer.code, attributes: answer.attributes }
    }
}

fn nas(arguments: &NasArguments) -> Result<AnswerText, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let class = arguments.class.as_deref().map(unhex).transpose()?;
    let method = match arguments.method {
        MethodName::Pap => Method::Pap,
        MethodName::Chap => Method::Chap,
    };
    let answer = runtime.block_on(async {
        let mut nas = Nas::new(arguments.from, &arguments.secret, arguments.seed).await?;
        match arguments.account {
            None => {
                let device = (arguments.mac.0, arguments.address);
                nas.authenticate(arguments.server, method, &arguments.user, &arguments.password, device).await
            }
            Some(status) => {
                let session = format!("{}-1", arguments.user);
                nas.account(arguments.server, status, &arguments.user, &session, arguments.mac.0, class.as_deref())
                    .await
            }
        }
    });
    answer.map(AnswerText::from).map_err(|e| e.to_string())
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| format!("`{text}` is not hexadecimal"))).collect()
}

/// A device that sends.
#[derive(Debug, Parser)]
struct SendArguments {
    #[arg(long)]
    to: Ipv4Addr,
    /// Octets of a layer-2 frame.
    #[arg(long)]
    frame_octets: usize,
    /// Offered, in bit/s.
    #[arg(long)]
    offered: u64,
    #[arg(long)]
    milliseconds: u64,
}

/// What a sender did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// For how long, in milliseconds.
    pub milliseconds: u64,
}

fn send(arguments: &SendArguments) -> std::io::Result<Sent> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((arguments.to, PORT))?;
    let mut payload = vec![0_u8; arguments.frame_octets.saturating_sub(14 + 20 + 8).max(8)];
    let started = Instant::now();
    let duration = Duration::from_millis(arguments.milliseconds);
    let mut datagrams = 0;
    while started.elapsed() < duration {
        let due = due(started.elapsed(), arguments.offered, arguments.frame_octets);
        while datagrams < due {
            let number = datagrams + 1;
            payload[..8].copy_from_slice(&number.to_be_bytes());
            // A full queue or an unanswered ARP request loses a datagram, as it would lose a device's.
            let _ = socket.send(&payload);
            datagrams = number;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(Sent { datagrams, milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) })
}

/// How many frames should have been sent by now to offer a rate.
pub fn due(elapsed: Duration, offered: u64, frame_octets: usize) -> u64 {
    let bits = u128::from(offered) * elapsed.as_nanos() / 1_000_000_000;
    u64::try_from(bits / (frame_octets.max(1) as u128 * 8)).unwrap_or(u64::MAX)
}

/// A device that receives.
#[derive(Debug, Parser)]
struct ReceiveArguments {
    #[arg(long)]
    milliseconds: u64,
}

/// What a receiver got, by sender.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Got {
    /// Datagrams, octets of their layer-2 frames, and microseconds from the first to the last.
    pub from: BTreeMap<Ipv4Addr, (u64, u64, u64)>,
}

fn receive(arguments: &ReceiveArguments) -> std::io::Result<Got> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let deadline = Instant::now() + Duration::from_millis(arguments.milliseconds);
    let mut got = Got::default();
    let mut firsts = BTreeMap::new();
    let mut buffer = vec![0_u8; 65_536];
    while Instant::now() < deadline {
        match socket.recv_from(&mut buffer) {
            Ok((length, SocketAddr::V4(sender))) => {
                let entry = got.from.entry(*sender.ip()).or_default();
                let first: &mut Instant = firsts.entry(*sender.ip()).or_insert_with(Instant::now);
                let micros = u64::try_from(first.elapsed().as_micros()).unwrap_or(u64::MAX);
                *entry = (entry.0 + 1, entry.1 + (length + 14 + 20 + 8) as u64, micros);
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Captures what arrives at interfaces, until it is ended.
#[derive(Debug, Parser)]
struct CaptureArguments {
    #[arg(long, required = true)]
    interface: Vec<String>,
    #[arg(long)]
    file: std::path::PathBuf,
}

fn capture(arguments: &CaptureArguments) -> Result<(), Box<dyn std::error::Error>> {
    use mec_edge::ports::{AfPacketPort, Polling};
    use transport_dataplane::{Burst, FramePool, Port};
    let mut ports = Vec::new();
    for interface in &arguments.interface {
        ports.push(AfPacketPort::open(interface, Polling::Interrupt)?);
    }
    let mut pool = FramePool::new(CAPTURE_FRAMES);
    let mut capture = crate::world::capture::Capture::create(&arguments.file)?;
    loop {
        let mut quiet = true;
        for port in &mut ports {
            let mut burst = Burst::new();
            port.receive(&mut pool, &mut burst);
            for frame in burst.drain(..) {
                quiet = false;
                capture.add(frame.octets())?;
                pool.give(frame);
            }
        }
        if quiet {
            // Whoever ends this process does not ask first: nothing may be held back.
            capture.flush()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Buffers of a capture.
const CAPTURE_FRAMES: usize = 256;
