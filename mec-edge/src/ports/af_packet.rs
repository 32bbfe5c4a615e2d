//! A port on a kernel interface, by a packet socket (packet(7)); needs CAP_NET_RAW.
//!
//! Frames come by a [ring](ring) in memory that the kernel fills, and go in bursts, one system call each: a ring for sending
//! was measured, and is no faster. What the kernel leaves undone for packet sockets is [done here](super::mend): a VLAN tag
//! that was taken off is put back, a checksum that was left to the hardware is completed, and what a sender in the same
//! kernel or a network card has merged beyond the MTU (GSO, GRO) leaves as the packets that it is made of.
//!
//! An interface may go down, come back, or be made anew under the same name: the port goes on by itself.
#![allow(unsafe_code, reason = "sendmmsg and bind have no safe interface; each block says why it holds")]

mod ring;

use std::borrow::Cow;
use std::ffi::CString;
use std::io::{self, IoSliceMut};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use model::Mac;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags};
use transport_dataplane::{BURST_FRAMES_MAX, Burst, Frame, FramePool, Port};
use transport_southbound::{LinkName, NeighbourEvents, Neighbours};

use super::mend::{self, Merged, OFFLOAD_OCTETS, Offload, Tag};
use super::system::{self, Interface, index_of, set};
use super::{EdgePort, Loss, Losses, Polling};
use ring::RxRing;

/// A port on a kernel interface.
#[derive(Debug)]
pub struct AfPacketPort {
    // Before its socket.
    ring: RxRing,
    socket: OwnedFd,
    mac: Mac,
    interface: CString,
    index: i32,
    losses: Losses,
    /// What is wrong, so that it is told once and not for each burst.
    failing: Option<Failing>,
    /// Looks into an empty ring since it was asked whether something is wrong.
    looks: u32,
    /// Where frames that are merged, or too long for the ring, are received.
    merged: Merged,
    polling: Polling,
    /// Why it is not another driver, if somebody wanted that.
    instead: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    kind: io::ErrorKind,
    /// When the interface is looked for next.
    retry: Instant,
}

/// An interface that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AfPacketError {
    /// There is none of that name here.
    #[error("there is no interface `{0}` in this network namespace")]
    NoInterface(String),
    /// The system refused a call.
    #[error("interface `{interface}`: {call} failed{}", hint(.source))]
    Call {
        /// The interface.
        interface: String,
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { " (packet sockets need root or CAP_NET_RAW)" } else { "" }
}

impl AfPacketPort {
    /// Opens an interface, all its frames included (promiscuous), and reads its MAC address.
    pub fn open(interface: &str, polling: Polling) -> Result<Self, AfPacketError> {
        let call =
            |call: &'static str| move |source| AfPacketError::Call { interface: interface.to_owned(), call, source };
        let nowhere = || AfPacketError::NoInterface(interface.to_owned());
        let link = Interface::new(interface).ok_or_else(nowhere)?;
        let index = index_of(link.name()).ok_or_else(nowhere)?;
        // Protocol 0: nothing arrives before the socket is bound to its one interface.
        let socket =
            system::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0).map_err(call("socket"))?;
        set(&socket, (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING), &1_i32).map_err(call("PACKET_IGNORE_OUTGOING"))?;
        set(&socket, (libc::SOL_PACKET, libc::PACKET_VNET_HDR), &1_i32).map_err(call("PACKET_VNET_HDR"))?;
        // More than the default of 200 kB, if the kernel allows; 25 ms of 1 Gbit/s.
        let _ = set(&socket, (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE), &SOCKET_OCTETS);
        let _ = set(&socket, (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE), &SOCKET_OCTETS);
        if polling == Polling::Busy {
            system::prefer_busy_poll(&socket);
        }
        let mtu = link.mtu().map_err(call("SIOCGIFMTU"))?;
        let ring = RxRing::new(&socket, mtu).map_err(call("PACKET_RX_RING"))?;
        let mac = attach(&socket, index).map_err(|(name, source)| call(name)(source))?;
        Ok(Self {
            ring,
            socket,
            mac,
            interface: link.name().to_owned(),
            index,
            losses: Losses::default(),
            failing: None,
            looks: 0,
            merged: Merged::new(),
            polling,
            instead: None,
        })
    }

    /// Says why it is not another driver.
    pub(super) fn instead(mut self, why: String) -> Self {
        self.instead = Some(why);
        self
    }

    /// An interface that is down or gone is told of once; when it works again, that is told, too.
    fn fails(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.failing.is_none_or(|failing| failing.kind != error.kind()) {
            tracing::warn!(interface = ?self.interface, %error, "the interface fails; it is tried again");
        }
        let retry = self.failing.map_or(now + RETRY, |failing| failing.retry);
        self.failing = Some(Failing { kind: error.kind(), retry });
        // The same name may belong to another interface by now.
        if now >= retry {
            self.failing = Some(Failing { kind: error.kind(), retry: now + RETRY });
            self.find_again();
        }
    }

    fn find_again(&mut self) {
        if let Some(index) = index_of(&self.interface)
            && index != self.index
            && attach(&self.socket, index).is_ok()
        {
            self.index = index;
            // The MAC address stays the one that neighbours know; the interface is promiscuous.
            tracing::info!(interface = ?self.interface, index, "the interface was made anew");
        }
    }

    fn works(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!(interface = ?self.interface, "the interface works again");
        }
    }

    /// Takes the next frame from the ring.
    fn take(&mut self, frame: &mut Frame) -> Taken {
        let Self { ring, losses, merged, .. } = self;
        let taken = ring.receive(|slot| {
            if slot.is_queued {
                return Taken::Queued(slot.tag);
            }
            if slot.is_cut {
                // It has no room in the queue either.
                losses.count(Loss::Overrun, 1);
                return Taken::Lost;
            }
            if slot.offload.is_merged() {
                let room = merged.room();
                let length = slot.octets.len().min(room.len());
                room[..length].copy_from_slice(&slot.octets[..length]);
                return Taken::Merged(length, slot.offload, slot.tag);
            }
            if !frame.copy_from(slot.octets) {
                losses.count(Loss::TooLong, 1);
                return Taken::Lost;
            }
            if mend::mend(frame, slot.offload, slot.tag) {
                return Taken::Frame;
            }
            losses.count(Loss::Mangled, 1);
            Taken::Lost
        });
        taken.unwrap_or(Taken::Nothing)
    }

    /// Fetches a frame that did not fit its slot.
    fn fetch(&mut self, frame: &mut Frame, tag: Option<Tag>) -> Taken {
        let mut offload = [0; OFFLOAD_OCTETS];
        let mut parts = [IoSliceMut::new(&mut offload), IoSliceMut::new(self.merged.room())];
        let mut no_control = RecvAncillaryBuffer::default();
        let mut receive = || rustix::net::recvmsg(&self.socket, &mut parts, &mut no_control, RecvFlags::DONTWAIT);
        // An error that waits at the socket, as when the interface went down, comes before the frame that is meant here, and is
        // gone when it was told. Without its own frame this slot would take that of the next.
        let found = receive().or_else(|first| if first == Errno::AGAIN { Err(first) } else { receive() });
        let message = match found {
            Ok(message) => message,
            Err(error) => {
                self.losses.count(Loss::Overrun, 1);
                self.fails(&error.into());
                return Taken::Lost;
            }
        };
        let length = message.bytes.saturating_sub(OFFLOAD_OCTETS);
        let offload = Offload::read(offload);
        if message.flags.contains(ReturnFlags::TRUNC) {
            self.losses.count(Loss::TooLong, 1);
            return Taken::Lost;
        }
        if offload.is_merged() {
            return Taken::Merged(length, offload, tag);
        }
        if !frame.copy_from(self.merged.octets(length)) {
            self.losses.count(Loss::TooLong, 1);
            return Taken::Lost;
        }
        if mend::mend(frame, offload, tag) {
            return Taken::Frame;
        }
        self.losses.count(Loss::Mangled, 1);
        Taken::Lost
    }

    /// Nothing is in the ring. Now and then it is asked whether that is because something is wrong.
    fn is_quiet(&mut self) {
        if let Some(Failing { kind, .. }) = self.failing {
            // A socket without interface has nothing to say; look whether there is one again.
            self.fails(&kind.into());
        }
        self.looks += 1;
        if self.looks >= LOOKS {
            self.looks = 0;
            if let Ok(Err(error)) = rustix::net::sockopt::socket_error(&self.socket) {
                self.fails(&error.into());
            }
        }
    }
}

/// What was in the ring.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Nothing,
    /// A whole frame.
    Frame,
    /// One that could not be had, and is counted.
    Lost,
    /// Several packets, so many octets where those are received.
    Merged(usize, Offload, Option<Tag>),
    /// One that waits in the socket's queue.
    Queued(Option<Tag>),
}

impl Port for AfPacketPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let (before, mut lost) = (burst.len(), 0);
        // What is lost comes to an end, too, however much there is of it.
        while !burst.is_full()
            && lost < BURST_FRAMES_MAX
            && let Some(mut frame) = pool.take()
        {
            if self.merged.next(&mut frame) {
                burst.push(frame);
                continue;
            }
            let mut taken = self.take(&mut frame);
            if let Taken::Queued(tag) = taken {
                taken = self.fetch(&mut frame, tag);
            }
            match taken {
                Taken::Frame => {
                    burst.push(frame);
                    continue;
                }
                Taken::Merged(length, offload, tag) => {
                    let is_known = self.merged.take_apart(length, offload, tag);
                    self.losses.count(Loss::Merged, u64::from(!is_known));
                }
                Taken::Lost | Taken::Queued(_) => lost += 1,
                Taken::Nothing => {
                    pool.give(frame);
                    break;
                }
            }
            pool.give(frame);
        }
        if burst.len() == before {
            self.is_quiet();
        } else {
            self.works();
        }
    }

    fn transmit(&mut self, frames: &mut Vec<Frame>, pool: &mut FramePool) -> usize {
        let mut sent = 0;
        let mut at = 0;
        while at < frames.len() {
            match self.send_some(&mut frames[at..]) {
                Ok(some) => {
                    self.works();
                    sent += some;
                    at += some;
                }
                // The first frame of the rest is the one that was refused: longer than the interface carries, or no frame.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL)) => at += 1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        self.fails(&error);
                    }
                    break;
                }
            }
        }
        self.losses.count(Loss::NotSent, (frames.len() - sent) as u64);
        frames.drain(..).for_each(|frame| pool.give(frame));
        sent
    }
}

impl AfPacketPort {
    /// Sends a burst; answers how many the kernel took, at least one.
    fn send_some(&self, frames: &mut [Frame]) -> io::Result<usize> {
        let mut offload = Offload::default();
        // SAFETY: plain structures of integers and pointers, for which zero is a value.
        let mut vectors: [[libc::iovec; 2]; BURST_FRAMES_MAX] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BURST_FRAMES_MAX] = unsafe { zeroed() };
        let count = frames.len().min(BURST_FRAMES_MAX);
        for (at, frame) in frames.iter_mut().take(count).enumerate() {
            let octets = frame.octets_mut();
            vectors[at] = [
                libc::iovec { iov_base: (&raw mut offload).cast(), iov_len: size_of::<Offload>() },
                libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() },
            ];
            messages[at].msg_hdr.msg_iov = vectors[at].as_mut_ptr();
            messages[at].msg_hdr.msg_iovlen = 2;
        }
        // SAFETY: every pointer in the messages leads to memory above that outlives the call; the kernel only reads it.
        let sent = unsafe {
            let count = u32::try_from(count).unwrap_or(0);
            libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT)
        };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => Ok(sent),
            Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

impl EdgePort for AfPacketPort {
    fn driver(&self) -> Cow<'static, str> {
        match &self.instead {
            None => "af-packet, ring".into(),
            Some(why) => format!("af-packet, ring (not af-xdp: {why})").into(),
        }
    }

    fn is_busy_polled(&self) -> bool {
        self.polling == Polling::Busy
    }

    fn mac(&self) -> Mac {
        self.mac
    }

    fn losses(&mut self) -> Losses {
        // Reading sets the kernel's count back to zero.
        self.losses.count(Loss::Overrun, overruns(&self.socket).unwrap_or(0));
        self.losses
    }

    fn kernel(&self) -> Option<io::Result<(Neighbours, NeighbourEvents)>> {
        let link = self.interface.to_str().ok().and_then(|name| LinkName::new(name).ok())?;
        Some(Neighbours::open(&link))
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }
}

/// Attaches to an interface, all its frames included; answers its MAC address, or which call failed.
fn attach(socket: &OwnedFd, index: i32) -> Result<Mac, (&'static str, io::Error)> {
    let promiscuous = libc::packet_mreq { mr_ifindex: index, mr_type: MR_PROMISC, mr_alen: 0, mr_address: [0; 8] };
    set(socket, (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP), &promiscuous)
        .map_err(|error| ("PACKET_ADD_MEMBERSHIP", error))?;
    bind(socket, index).map_err(|error| ("bind", error))
}

/// How many frames the kernel threw away since it was asked last.
fn overruns(socket: &OwnedFd) -> Option<u64> {
    let counts: libc::tpacket_stats = system::get(socket, (libc::SOL_PACKET, libc::PACKET_STATISTICS)).ok()?;
    Some(counts.tp_drops.into())
}

/// Binds to an interface and reads its MAC address.
fn bind(socket: &OwnedFd, index: i32) -> io::Result<Mac> {
    // SAFETY: a plain structure of integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be();
    address.sll_ifindex = index;
    let mut length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
    // SAFETY: the pointer leads to an address of the length that is said; the kernel only reads it.
    if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the pointers lead to an address and its length; the kernel writes no more than that length.
    if unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut mac = [0; 6];
    mac.copy_from_slice(&address.sll_addr[..6]);
    Ok(Mac(mac))
}

const PACKET_IGNORE_OUTGOING: i32 = 23;
const MR_PROMISC: u16 = 1;
/// What the kernel may hold for a socket, each way.
const SOCKET_OCTETS: i32 = 4 << 20;
/// How often a lost interface is looked for.
const RETRY: Duration = Duration::from_secs(1);

/// Looks into an empty ring between two questions whether something is wrong.
const LOOKS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        for name in ["no-such-if", "a-name-that-no-interface-can-have"] {
            let error = AfPacketPort::open(name, Polling::Interrupt).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no interface `{name}` in this network namespace"));
        }
    }
}
