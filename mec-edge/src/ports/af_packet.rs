//! A port on a kernel interface, by a packet socket (packet(7)); needs CAP_NET_RAW.
//!
//! Frames come and go in bursts, one system call each. What the kernel leaves undone for packet sockets is done here: a
//! VLAN tag that was taken off is put back, and a checksum that was left to the hardware is completed. Frames that a peer
//! in the same kernel has merged beyond the MTU (GSO) can't be forwarded as one frame and are counted; whoever shares a
//! kernel with an edge turns segmentation offload off.
//!
//! An interface may go down, come back, or be made anew under the same name: the port goes on by itself.
#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and ancillary data have no safe interface; each block says why it holds"
)]

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use model::Mac;
use transport_dataplane::{BURST_FRAMES_MAX, Burst, Frame, FramePool, Port};
use transport_southbound::{LinkName, NeighbourEvents, Neighbours};
use transport_wire::checksum::Sum;

use super::{EdgePort, Loss, Losses};

/// A port on a kernel interface.
#[derive(Debug)]
pub struct AfPacketPort {
    socket: OwnedFd,
    mac: Mac,
    interface: CString,
    index: i32,
    losses: Losses,
    /// What is wrong, so that it is told once and not for each burst.
    failing: Option<Failing>,
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

/// What the kernel puts before each frame (linux/virtio_net.h, `struct virtio_net_hdr`).
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Offload {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

/// Room for the one control message that is asked for, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

impl AfPacketPort {
    /// Opens an interface, all its frames included (promiscuous), and reads its MAC address.
    pub fn open(interface: &str) -> Result<Self, AfPacketError> {
        let call =
            |call: &'static str| move |source| AfPacketError::Call { interface: interface.to_owned(), call, source };
        let name = CString::new(interface).map_err(|_| AfPacketError::NoInterface(interface.to_owned()))?;
        let index = index_of(&name).ok_or_else(|| AfPacketError::NoInterface(interface.to_owned()))?;
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // Protocol 0: nothing arrives before the socket is bound to its one interface.
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(call("socket")(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        set(&socket, (libc::SOL_PACKET, libc::PACKET_AUXDATA), &1_i32).map_err(call("PACKET_AUXDATA"))?;
        set(&socket, (libc::SOL_PACKET, PACKET_IGNORE_OUTGOING), &1_i32).map_err(call("PACKET_IGNORE_OUTGOING"))?;
        set(&socket, (libc::SOL_PACKET, libc::PACKET_VNET_HDR), &1_i32).map_err(call("PACKET_VNET_HDR"))?;
        // More than the default of 200 kB, if the kernel allows; 25 ms of 1 Gbit/s.
        let _ = set(&socket, (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE), &SOCKET_OCTETS);
        let _ = set(&socket, (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE), &SOCKET_OCTETS);
        let mac = attach(&socket, index).map_err(|(name, source)| call(name)(source))?;
        Ok(Self { socket, mac, interface: name, index, losses: Losses::default(), failing: None })
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

    /// A frame as the kernel hands it over becomes the frame that was on the wire; false if it can't.
    fn mend(&mut self, frame: &mut Frame, truncated: bool, offload: Offload, tag: Option<(u16, u16)>) -> bool {
        // A merged one is truncated, too, if it is long; that it was merged says more.
        if offload.gso_type != GSO_NONE {
            self.losses.count(Loss::Merged, 1);
            return false;
        }
        if truncated {
            self.losses.count(Loss::TooLong, 1);
            return false;
        }
        let summed = offload.flags & NEEDS_CSUM == 0 || complete_checksum(frame.octets_mut(), offload);
        let tagged = tag.is_none_or(|(tpid, tci)| put_back_tag(frame, tpid, tci));
        self.losses.count(Loss::Mangled, u64::from(!(summed && tagged)));
        summed && tagged
    }
}

impl Port for AfPacketPort {
    fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst) {
        let mut frames: arrayvec::ArrayVec<Frame, BURST_FRAMES_MAX> = arrayvec::ArrayVec::new();
        let room = BURST_FRAMES_MAX - burst.len();
        while frames.len() < room
            && let Some(frame) = pool.take()
        {
            frames.push(frame);
        }
        let mut offloads = [Offload::default(); BURST_FRAMES_MAX];
        let mut controls = [Control([0; 64]); BURST_FRAMES_MAX];
        // SAFETY: plain structures of integers and pointers, for which zero is a value.
        let mut vectors: [[libc::iovec; 2]; BURST_FRAMES_MAX] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BURST_FRAMES_MAX] = unsafe { zeroed() };
        for (at, frame) in frames.iter_mut().enumerate() {
            let buffer = frame.room();
            vectors[at] = [
                libc::iovec { iov_base: (&raw mut offloads[at]).cast(), iov_len: size_of::<Offload>() },
                libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() },
            ];
            let header = &mut messages[at].msg_hdr;
            header.msg_iov = vectors[at].as_mut_ptr();
            header.msg_iovlen = 2;
            header.msg_control = controls[at].0.as_mut_ptr().cast();
            header.msg_controllen = 64;
        }
        let count = u32::try_from(frames.len()).unwrap_or(0);
        // SAFETY: every pointer in the messages leads to a buffer above that outlives the call and is as long as its
        // length says; the frames' buffers are owned by `frames`, which is not touched before the call returns.
        let received = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).unwrap_or_else(|_| {
            let error = io::Error::last_os_error();
            if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                self.fails(&error);
            } else if let Some(Failing { kind, .. }) = self.failing {
                // A socket without interface has nothing to say; look whether there is one again.
                self.fails(&kind.into());
            }
            0
        });
        if received > 0 {
            self.works();
        }
        for (at, mut frame) in frames.drain(..).enumerate() {
            if at >= received {
                pool.give(frame);
                continue;
            }
            let message = &messages[at];
            let octets = (message.msg_len as usize).saturating_sub(size_of::<Offload>());
            frame.set_len(octets);
            let truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            if self.mend(&mut frame, truncated, offloads[at], tag_of(&message.msg_hdr)) {
                burst.push(frame);
            } else {
                pool.give(frame);
            }
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
    fn driver(&self) -> &'static str {
        "af-packet"
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

/// The number of an interface.
fn index_of(name: &CString) -> Option<i32> {
    // SAFETY: the name is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    i32::try_from(index).ok().filter(|index| *index > 0)
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
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = u32::try_from(size_of::<libc::tpacket_stats>()).unwrap_or(0);
    // SAFETY: the pointers lead to the structure that this option fills and to its length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    (result == 0).then(|| statistics.tp_drops.into())
}

/// Sets an option of a socket: its level and its number.
fn set<T>(socket: &OwnedFd, (level, option): (i32, i32), value: &T) -> io::Result<()> {
    let length = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the pointer leads to a value of the length that is said, and the kernel only reads it.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

/// TPID and TCI of the tag that the kernel took off, if it took one.
fn tag_of(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the header's control pointer and length are those that the kernel has written for a buffer that lives.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR answer null or a whole header inside the buffer.
        let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        if level == libc::SOL_PACKET && kind == libc::PACKET_AUXDATA {
            // SAFETY: the kernel puts a whole tpacket_auxdata there; it may be unaligned.
            let data = unsafe { libc::CMSG_DATA(message).cast::<libc::tpacket_auxdata>().read_unaligned() };
            if data.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                let has_tpid = data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                return Some((if has_tpid { data.tp_vlan_tpid } else { 0x8100 }, data.tp_vlan_tci));
            }
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// Sums what was left to be summed; the pseudo header is in the field already. False if the field is not in the frame.
fn complete_checksum(octets: &mut [u8], offload: Offload) -> bool {
    let start = usize::from(offload.csum_start);
    let field = start + usize::from(offload.csum_offset);
    let inside = field + 2 <= octets.len();
    if inside {
        let checksum = Sum::new().add(&octets[start..]).udp_checksum();
        octets[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    inside
}

/// Puts the tag back that the kernel took off; false if the frame has no room for it.
fn put_back_tag(frame: &mut Frame, tpid: u16, tci: u16) -> bool {
    if frame.len() < ETHERNET_OCTETS || frame.push_front(TAG_OCTETS).is_none() {
        return false;
    }
    let octets = frame.octets_mut();
    octets.copy_within(TAG_OCTETS..TAG_OCTETS + 12, 0);
    octets[12..14].copy_from_slice(&tpid.to_be_bytes());
    octets[14..16].copy_from_slice(&tci.to_be_bytes());
    true
}

const PACKET_IGNORE_OUTGOING: i32 = 23;
const MR_PROMISC: u16 = 1;
const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const ETHERNET_OCTETS: usize = 14;
const TAG_OCTETS: usize = 4;
/// What the kernel may hold for a socket, each way.
const SOCKET_OCTETS: i32 = 4 << 20;
/// How often a lost interface is looked for.
const RETRY: Duration = Duration::from_secs(1);

const _: () = assert!(size_of::<Offload>() == 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_that_was_left_undone_is_completed() {
        // UDP 7 to 9, "hi!", between 192.0.2.1 and 192.0.2.2: the pseudo header sums to 840f before it is complemented;
        // the whole checksum is f25a.
        let pseudo: u32 = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 17 + 11;
        let pseudo = u16::try_from((pseudo & 0xffff) + (pseudo >> 16)).unwrap();
        let mut octets = vec![0xee; 34];
        octets.extend([0, 7, 0, 9, 0, 11]);
        octets.extend(pseudo.to_be_bytes());
        octets.extend(b"hi!");
        assert!(complete_checksum(&mut octets, Offload { csum_start: 34, csum_offset: 6, ..Offload::default() }));
        assert_eq!(octets[40..42], [0xf2, 0x5a]);
        // Places outside of the frame are left alone.
        assert!(!complete_checksum(&mut octets, Offload { csum_start: 60_000, csum_offset: 6, ..Offload::default() }));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = AfPacketPort::open("no-such-if").unwrap_err();
        assert_eq!(error.to_string(), "there is no interface `no-such-if` in this network namespace");
    }
}
