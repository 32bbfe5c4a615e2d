//! An authenticator.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use aaa_wire::authenticator::verify_response;
use aaa_wire::{Authenticator, Code, Identifier, Packet, Password, Request, SharedSecret, Type};
use model::Mac;

pub(crate) const SECRET: &str = "a shared secret of the test";

/// An answer: its code, and the session's name where it has one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    pub(crate) class: Option<Vec<u8>>,
}

/// Asks for access; the authenticator's number must not be used twice.
pub(crate) fn access(server: (IpAddr, u16), number: u8, user: &str, password: &str, mac: Mac) -> Answer {
    let secret = SharedSecret::new(SECRET.as_bytes()).unwrap();
    let mut authenticator = [number; 16];
    authenticator[1..7].copy_from_slice(&mac.0);
    let authenticator = Authenticator(authenticator);
    let mut request = Request::access(Identifier(number), authenticator);
    request.attribute(Type::USER_NAME, user.as_bytes()).unwrap();
    request.user_password(&Password::new(password.as_bytes()).unwrap(), &secret).unwrap();
    request.attribute(Type::CALLING_STATION_ID, mac.to_string().as_bytes()).unwrap();
    exchange(server, authenticator, &request.seal(&secret), &secret)
}

/// Accounts: 1 starts, 2 stops.
pub(crate) fn account(server: (IpAddr, u16), number: u8, status: u32, user: &str, class: &[u8]) -> Answer {
    let secret = SharedSecret::new(SECRET.as_bytes()).unwrap();
    let mut request = Request::accounting(Identifier(number));
    request.attribute(Type::ACCT_STATUS_TYPE, &status.to_be_bytes()).unwrap();
    request.attribute(Type::ACCT_SESSION_ID, format!("{user}-1").as_bytes()).unwrap();
    request.attribute(Type::USER_NAME, user.as_bytes()).unwrap();
    request.attribute(Type::CLASS, class).unwrap();
    let request = request.seal(&secret);
    let authenticator = Packet::parse(&request).unwrap().authenticator();
    exchange((server.0, server.1 + 1), authenticator, &request, &secret)
}

fn exchange(server: (IpAddr, u16), authenticator: Authenticator, request: &[u8], secret: &SharedSecret) -> Answer {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(RETRY)).unwrap();
    let mut buffer = [0; 4096];
    let mut received = Err(std::io::ErrorKind::TimedOut.into());
    for _ in 0..TRIES {
        // The same request again, as an authenticator does (RFC 2865, section 2.5).
        socket.send_to(request, SocketAddr::from(server)).unwrap();
        received = socket.recv_from(&mut buffer);
        if received.is_ok() {
            break;
        }
    }
    let (octets, _) = received.expect("the AAA does not answer");
    let packet = Packet::parse(&buffer[..octets]).unwrap();
    verify_response(&packet, (Identifier(request[1]), authenticator), secret).unwrap();
    Answer { code: packet.code(), class: packet.get(Type::CLASS).map(|class| class.value.to_vec()) }
}

const RETRY: Duration = Duration::from_secs(2);
const TRIES: usize = 10;
