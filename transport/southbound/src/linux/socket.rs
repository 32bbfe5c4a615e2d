//! A netlink socket (netlink(7), rtnetlink(7)): one request at a time, each answered before the next.
//!
//! That needs neither a runtime nor a thread. A socket stays in the namespace that it was made in, so only its making
//! needs one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::object::Forwarding;

/// A conversation with the kernel of one network namespace.
#[derive(Debug)]
pub(super) struct Kernel {
    socket: Socket,
    sequence: u32,
    /// What says whether packets are forwarded; a file stays in the namespace that it was opened in, like the socket.
    forwarding: Vec<(Forwarding, File)>,
}

/// What the kernel answered instead of doing it.
#[derive(Debug)]
pub(super) struct Refusal {
    /// In words; empty when there are none.
    pub(super) said: String,
    /// As a number.
    pub(super) error: io::Error,
}

impl Refusal {
    pub(super) fn code(&self) -> i32 {
        self.error.raw_os_error().unwrap_or_default()
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { said: String::new(), error }
    }
}

/// What is known of a namespace from the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// Routing tables can be bound to VRF devices.
    pub(super) vrf: bool,
}

impl Kernel {
    /// Opens a socket in this thread's namespace, or in another.
    pub(super) fn open(namespace: Option<&Path>) -> io::Result<(Self, Features)> {
        let Some(path) = namespace else { return open_here() };
        let namespace = File::open(path)?;
        let enter = move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network))?;
            open_here()
        };
        // A thread of its own, since it can't be trusted with anything else afterwards.
        let thread = std::thread::Builder::new().name("netns".into()).spawn(enter)?;
        thread.join().map_err(|_| io::Error::other("the thread that enters the namespace panicked"))?
    }

    /// What is forwarded at all.
    pub(super) fn forwards(&self) -> Vec<Forwarding> {
        let is_on = |file: &File| {
            let mut said = [0; 1];
            file.read_exact_at(&mut said, 0).is_ok() && said != *b"0"
        };
        self.forwarding.iter().filter(|(_, file)| is_on(file)).map(|(family, _)| *family).collect()
    }

    /// All objects of a kind. One that can't be decoded is foreign, or will be found missing.
    pub(super) fn dump(&mut self, request: &RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut answer = Vec::new();
        for _ in 0..DUMPS_MAX {
            answer.clear();
            let whole = self.converse(request.clone(), NLM_F_DUMP, &mut answer).map_err(|refusal| refusal.error)?;
            if whole {
                return Ok(answer);
            }
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "the tables change faster than they can be read"))
    }

    /// One object.
    pub(super) fn get(&mut self, request: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        let mut answer = Vec::new();
        self.converse(request, NLM_F_ACK, &mut answer).map(|_| answer)
    }

    /// Changes something.
    pub(super) fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<(), Refusal> {
        self.converse(request, NLM_F_ACK | flags, &mut Vec::new()).map(|_| ())
    }

    /// Asks, and takes the answer to its end. Answers whether nothing changed while a dump was taken.
    fn converse(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        answer: &mut Vec<RouteNetlinkMessage>,
    ) -> Result<bool, Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.socket.send_to(&octets, &SocketAddr::new(0, 0), 0)?;
        let mut whole = true;
        loop {
            let (datagram, from) = self.socket.recv_from_full()?;
            // Only the kernel has port 0; anybody may send to our port.
            if from.port_number() != 0 {
                continue;
            }
            let mut rest = datagram.as_slice();
            while let Some((message, after)) = split(rest) {
                rest = after;
                if message.sequence != self.sequence {
                    continue;
                }
                whole &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => return verdict(&message).map(|()| whole),
                    _ => match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message.octets) {
                        Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(inner), .. }) => answer.push(inner),
                        Ok(_) => {}
                        Err(error) => tracing::debug!(kind = message.kind, %error, "a netlink message was passed over"),
                    },
                }
            }
        }
    }
}

/// One message of a datagram.
pub(super) struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    octets: &'a [u8],
}

/// What a message that ends an answer says (`struct nlmsgerr`, and a number alone at the end of a dump).
pub(super) fn verdict(message: &Message<'_>) -> Result<(), Refusal> {
    let body = message.octets.get(HEADER_OCTETS..).unwrap_or_default();
    let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
    if code >= 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(code.saturating_neg());
    Err(Refusal { said: words(message).unwrap_or_default(), error })
}

/// The words that go with an error (NLMSGERR_ATTR_MSG); they follow the request, or its header.
fn words(message: &Message<'_>) -> Option<String> {
    if message.kind != NLMSG_ERROR || message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = message.octets.get(HEADER_OCTETS + size_of::<i32>()..)?;
    let length = u32::from_ne_bytes(*request.first_chunk()?);
    let skipped = if message.flags & NLM_F_CAPPED == 0 { usize::try_from(length).ok()? } else { HEADER_OCTETS };
    let mut attributes = NlasIterator::new(request.get(skipped.checked_next_multiple_of(4)?..)?);
    let words = attributes.find_map(|a| a.ok().filter(|a| a.kind() == NLMSGERR_ATTR_MSG))?;
    let words = words.value().split(|octet| *octet == 0).next()?;
    Some(String::from_utf8_lossy(words).into_owned())
}

/// Cuts the first message off; none when there is no whole one.
pub(super) fn split(datagram: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let field = |at: usize| datagram.get(at..at + 2)?.first_chunk().map(|b| u16::from_ne_bytes(*b));
    let word = |at: usize| datagram.get(at..at + 4)?.first_chunk().map(|b| u32::from_ne_bytes(*b));
    let length = usize::try_from(word(0)?).ok()?;
    let octets = datagram.get(..length).filter(|octets| octets.len() >= HEADER_OCTETS)?;
    let message = Message { kind: field(4)?, flags: field(6)?, sequence: word(8)?, octets };
    Some((message, datagram.get(length.checked_next_multiple_of(4)?..).unwrap_or_default()))
}

fn open_here() -> io::Result<(Kernel, Features)> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.set_cap_ack(true)?;
    socket.set_ext_ack(true)?;
    // Kernels before 4.20 know no filtered dumps; then the filtering is only ours.
    let _ = socket.set_netlink_get_strict_chk(true);
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN))?;
    let vrf = std::fs::read_to_string("/proc/sys/net/vrf/strict_mode").is_ok_and(|mode| mode.trim() == "1");
    let switches = [
        (Forwarding::Ipv4, "/proc/sys/net/ipv4/ip_forward"),
        (Forwarding::Ipv6, "/proc/sys/net/ipv6/conf/all/forwarding"),
    ];
    // A kernel without the family forwards none of it.
    let forwarding = switches.into_iter().filter_map(|(family, path)| Some((family, File::open(path).ok()?))).collect();
    Ok((Kernel { socket, sequence: 0, forwarding }, Features { vrf }))
}

const HEADER_OCTETS: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The kernel answers while it is asked; this is for a kernel that never does.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often a dump is taken until nothing changes meanwhile.
const DUMPS_MAX: usize = 8;
