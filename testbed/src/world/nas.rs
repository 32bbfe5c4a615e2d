//! An authenticator: a RADIUS client that asks a segment's AAA for a device, as an access switch does.
//!
//! It computes and checks every authenticator by itself (RFC 2865, RFC 2866, RFC 3579).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac as _};
use md5::{Digest, Md5};
use tokio::net::UdpSocket;

use super::bytes::Mac;

/// An authenticator.
#[derive(Debug)]
pub struct Nas {
    socket: UdpSocket,
    secret: String,
    identifier: u8,
    entropy: u64,
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// User-Password (RFC 2865, section 5.2).
    Pap,
    /// CHAP-Password with CHAP-Challenge (RFC 2865, section 5.3).
    Chap,
}

/// An answer whose authenticators hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 2 accept, 3 reject, 5 accounting response.
    pub code: u8,
    /// Type and value of each attribute, in order.
    pub attributes: Vec<(u8, Vec<u8>)>,
}

impl Answer {
    /// The value of the first attribute of a type.
    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        self.attributes.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.as_slice())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NasError {
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] std::io::Error),
    /// None came in time.
    #[error("no answer within {0:?}")]
    Silence(Duration),
    /// The answer is not what the standards ask for.
    #[error("the answer's {0} is wrong")]
    Wrong(&'static str),
}

impl Nas {
    /// An authenticator that speaks from this address; `seed` makes its request authenticators.
    pub async fn new(from: IpAddr, secret: &str, seed: u64) -> Result<Self, NasError> {
        let socket = UdpSocket::bind((from, 0)).await?;
        Ok(Self { socket, secret: secret.to_owned(), identifier: 0, entropy: seed })
    }

    /// Asks for access for a device.
    pub async fn authenticate(
        &mut self,
        server: SocketAddr,
        method: Method,
        user: &str,
        password: &str,
        device: (Mac, Option<Ipv4Addr>),
    ) -> Result<Answer, NasError> {
        let authenticator = self.random();
        let mut attributes = vec![attribute(80, &[0; 16]), attribute(1, user.as_bytes())];
        match method {
            Method::Pap => attributes.push(attribute(2, &hide(password, &self.secret, authenticator))),
            Method::Chap => {
                let challenge = self.random();
                let digest = Md5::new().chain_update([7]).chain_update(password).chain_update(challenge).finalize();
                attributes.push(attribute(3, &[&[7][..], &digest[..]].concat()));
                attributes.push(attribute(60, &challenge));
            }
        }
        attributes.push(attribute(31, mac_text(device.0).as_bytes()));
        attributes.extend(device.1.map(|address| attribute(8, &address.octets())));
        attributes.push(attribute(32, b"access-switch"));
        let mut request = self.packet(1, authenticator, &attributes.concat());
        let signature = message_authenticator(&self.secret, &request);
        request[22..38].copy_from_slice(&signature);
        self.exchange(server, &request).await
    }

    /// Accounts: status 1 start, 3 interim, 2 stop.
    pub async fn account(
        &mut self,
        server: SocketAddr,
        status: u32,
        user: &str,
        session: &str,
        device: Mac,
        class: Option<&[u8]>,
    ) -> Result<Answer, NasError> {
        let mut attributes = vec![
            attribute(40, &status.to_be_bytes()),
            attribute(44, session.as_bytes()),
            attribute(1, user.as_bytes()),
            attribute(31, mac_text(device).as_bytes()),
            attribute(32, b"access-switch"),
        ];
        attributes.extend(class.map(|class| attribute(25, class)));
        let mut request = self.packet(4, [0; 16], &attributes.concat());
        let authenticator = Md5::new().chain_update(&request).chain_update(&self.secret).finalize();
        request[4..20].copy_from_slice(&authenticator);
        self.exchange(server, &request).await
    }

    fn packet(&mut self, code: u8, authenticator: [u8; 16], attributes: &[u8]) -> Vec<u8> {
        self.identifier = self.identifier.wrapping_add(1);
        let length = u16::try_from(20 + attributes.len()).unwrap_or(u16::MAX);
        let mut packet = vec![code, self.identifier];
        packet.extend(length.to_be_bytes());
        packet.extend(authenticator);
        packet.extend(attributes);
        packet
    }

    async fn exchange(&self, server: SocketAddr, request: &[u8]) -> Result<Answer, NasError> {
        self.socket.send_to(request, server).await?;
        let mut buffer = [0; 4096];
        let (length, _) = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer))
            .await
            .map_err(|_| NasError::Silence(PATIENCE))??;
        check_answer(request, &buffer[..length], &self.secret)
    }

    /// Sixteen octets that differ each time: SplitMix64.
    fn random(&mut self) -> [u8; 16] {
        let mut octets = [0; 16];
        for half in octets.chunks_mut(8) {
            self.entropy = self.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.entropy;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            half.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
        }
        octets
    }
}

fn check_answer(request: &[u8], answer: &[u8], secret: &str) -> Result<Answer, NasError> {
    let wrong = NasError::Wrong;
    let header = answer.get(..20).ok_or(wrong("length"))?;
    if usize::from(header[2]) << 8 | usize::from(header[3]) != answer.len() {
        return Err(wrong("length"));
    }
    if header[1] != request[1] {
        return Err(wrong("identifier"));
    }
    let expected = Md5::new()
        .chain_update(&answer[..4])
        .chain_update(&request[4..20])
        .chain_update(&answer[20..])
        .chain_update(secret)
        .finalize();
    if expected[..] != answer[4..20] {
        return Err(wrong("response authenticator"));
    }
    let mut attributes = Vec::new();
    let mut rest = &answer[20..];
    while let [kind, length, ..] = *rest {
        let value = rest.get(2..usize::from(length)).ok_or(wrong("attributes"))?;
        attributes.push((kind, value.to_vec()));
        rest = &rest[usize::from(length)..];
    }
    // An answer to an access request must be signed, and the signature must come first (CVE-2024-3596).
    if request[0] == 1 {
        let signature = attributes.first().filter(|(kind, _)| *kind == 80).ok_or(wrong("Message-Authenticator"))?;
        let mut zeroed = answer.to_vec();
        zeroed[4..20].copy_from_slice(&request[4..20]);
        zeroed[22..38].fill(0);
        if message_authenticator(secret, &zeroed)[..] != signature.1[..] {
            return Err(wrong("Message-Authenticator"));
        }
    }
    Ok(Answer { code: header[0], attributes })
}

fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len() + 2).unwrap_or(u8::MAX);
    [&[kind, length], value].concat()
}

fn message_authenticator(secret: &str, packet: &[u8]) -> [u8; 16] {
    // A key of any length is good for HMAC (RFC 2104, section 2).
    Hmac::<Md5>::new_from_slice(secret.as_bytes())
        .map_or([0; 16], |mac| mac.chain_update(packet).finalize().into_bytes().into())
}

fn hide(password: &str, secret: &str, authenticator: [u8; 16]) -> Vec<u8> {
    let mut padded = password.as_bytes().to_vec();
    padded.resize(padded.len().div_ceil(16).max(1) * 16, 0);
    let mut previous = authenticator.to_vec();
    for block in padded.chunks_mut(16) {
        let pad = Md5::new().chain_update(secret).chain_update(&previous).finalize();
        block.iter_mut().zip(pad).for_each(|(octet, key)| *octet ^= key);
        previous = block.to_vec();
    }
    padded
}

fn mac_text(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02X}")).join("-")
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
