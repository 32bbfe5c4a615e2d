//! Traffic between the devices: echo, numbered datagrams, a transfer. Everything sent is told apart and compared.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use sha2::{Digest as _, Sha256};
use testbed::netns::Namespace;

use crate::program::{Service, Side};
use crate::world::{PATIENCE, World, inside, until};

/// What was sent and what arrived.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// Echo requests and datagrams.
    pub(crate) sent: u64,
    /// Echo replies, and datagrams that are whole and came once.
    pub(crate) received: u64,
    /// Octets of transfers.
    pub(crate) octets_sent: u64,
    /// Octets whose digest was the sender's.
    pub(crate) octets_received: u64,
    /// What was not equal.
    pub(crate) losses: Vec<String>,
}

impl Tally {
    pub(crate) fn is_equal(&self) -> bool {
        self.sent > 0 && self.sent == self.received && self.octets_sent == self.octets_received
    }

    fn add(&mut self, (sent, received): (u64, u64), what: impl Fn() -> String) {
        self.sent += sent;
        self.received += received;
        if sent != received {
            self.losses.push(format!("{}: {received} of {sent}", what()));
        }
    }
}

/// Which of the two families a far end can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Families {
    Both,
    Ipv4,
    Ipv6,
}

/// All of it, both ways. An error says what failed first.
pub(crate) fn exchange(world: &World, service: Service, families: Families) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let ends = |side: Side| {
        let (v4, v6) = side.device_addresses(service);
        match families {
            Families::Both => vec![IpAddr::V4(v4), IpAddr::V6(v6)],
            Families::Ipv4 => vec![IpAddr::V4(v4)],
            Families::Ipv6 => vec![IpAddr::V6(v6)],
        }
    };
    // A device is found at its circuit only once it has spoken, and next hops are asked for before the first packet.
    for side in Side::BOTH {
        let from = world.space(side.device());
        // Each looks for the other by itself, so that questions to all cross the core both ways.
        from.run(&["ip", "neigh", "flush", "dev", "eth0"]).map_err(|error| error.to_string())?;
        for to in ends(side.other()) {
            if !until(PATIENCE, || ping(from, to, 1, 56).is_ok_and(|(_, received)| received == 1)) {
                return Err(format!("no ping from {} to {to}", side.device()));
            }
        }
    }
    for side in Side::BOTH {
        let (from, to) = (world.space(side.device()), world.space(side.other().device()));
        for (near, far) in ends(side).into_iter().zip(ends(side.other())) {
            // Small, and as long as a packet of the slice may be.
            let header = if far.is_ipv4() { 28 } else { 48 };
            for octets in [56, 1_500 - header] {
                let counts = ping(from, far, PINGS, octets)?;
                tally.add(counts, || format!("ping of {octets} octets to {far}"));
            }
            tally.add(datagrams((from, near), (to, far)), || format!("datagrams to {far}"));
            let arrived = transfer(from, (to, far)).map_err(|error| format!("transfer to {far}: {error}"))?;
            tally.octets_sent += TRANSFER_OCTETS as u64;
            tally.octets_received += arrived;
        }
    }
    Ok(tally)
}

/// Echo requests sent, and replies received.
pub(crate) fn ping(from: &Namespace, to: IpAddr, count: u64, octets: usize) -> Result<(u64, u64), String> {
    let (count, octets, to) = (count.to_string(), octets.to_string(), to.to_string());
    let command = ["ping", "-q", "-M", "do", "-i", "0.01", "-c", &count, "-s", &octets, "-W", "3", &to];
    let output = from.output(&command).map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |before: &str| {
        let at = said.find(before)?;
        said[..at].split_whitespace().last()?.parse().ok()
    };
    let counts = number(" packets transmitted").zip(number(" received"));
    counts.ok_or_else(|| format!("{}: {said}{}", command.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// Datagrams of all sizes up to the longest, each with its number and what follows from it.
fn datagrams(from: (&Namespace, IpAddr), to: (&Namespace, IpAddr)) -> (u64, u64) {
    let receiver = inside(to.0, || socket(to.1));
    let sender = inside(from.0, || socket(from.1));
    sender.connect((to.1, PORT)).unwrap();
    let max = if to.1.is_ipv4() { 1_472 } else { 1_452 };
    let received = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            let mut buffer = [0; 2_048];
            let mut quiet_since = Instant::now();
            while (seen.len() as u64) < DATAGRAMS && quiet_since.elapsed() < Duration::from_secs(2) {
                let Ok((octets, sender)) = receiver.recv_from(&mut buffer) else { continue };
                let Some(number) = buffer[..octets].first_chunk().map(|octets| u64::from_be_bytes(*octets)) else {
                    continue;
                };
                if sender == SocketAddr::from((from.1, PORT)) && buffer[..octets] == datagram(number, max) {
                    seen.insert(number);
                    quiet_since = Instant::now();
                }
            }
            seen.len() as u64
        });
        for number in 0..DATAGRAMS {
            sender.send(&datagram(number, max)).unwrap();
            if number % 4 == 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        receiving.join().unwrap()
    });
    (DATAGRAMS, received)
}

/// Its number, then octets that no other has; the lengths go over all there are.
fn datagram(number: u64, max: usize) -> Vec<u8> {
    let octets = 8 + usize::try_from(number * 7_919).unwrap() % (max - 7);
    let mut datagram = number.to_be_bytes().to_vec();
    datagram.extend((8..octets as u64).map(|at| (at.wrapping_mul(31) ^ number).to_le_bytes()[0]));
    datagram
}

pub(crate) fn socket(address: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((address, PORT)).unwrap();
    let _ = set_socket_recv_buffer_size_force(&socket, 8 << 20);
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// Sends octets over TCP; answers how many arrived as they were sent.
fn transfer(from: &Namespace, (to, address): (&Namespace, IpAddr)) -> std::io::Result<u64> {
    let octets: Vec<u8> = (0..TRANSFER_OCTETS as u64).map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[5]).collect();
    let listener = inside(to, || TcpListener::bind((address, PORT)))?;
    let (told, tell) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let answer = || -> std::io::Result<()> {
                let (mut stream, _) = listener.accept()?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let mut got = Vec::new();
                stream.read_to_end(&mut got)?;
                stream.write_all(&Sha256::digest(&got))
            };
            let _ = told.send(answer());
        });
        let mut stream =
            inside(from, || TcpStream::connect_timeout(&(address, PORT).into(), PATIENCE)).inspect_err(|_| {
                // So that nobody waits for it.
                let _ = inside(to, || TcpStream::connect((address, PORT)));
            })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&octets)?;
        stream.shutdown(Shutdown::Write)?;
        let mut digest = Vec::new();
        stream.read_to_end(&mut digest)?;
        tell.recv().unwrap_or(Ok(()))?;
        Ok(if digest == Sha256::digest(&octets)[..] { octets.len() as u64 } else { 0 })
    })
}

/// Where devices listen.
pub(crate) const PORT: u16 = 7_777;
const PINGS: u64 = 10;
const DATAGRAMS: u64 = 300;
const TRANSFER_OCTETS: usize = 1 << 20;
