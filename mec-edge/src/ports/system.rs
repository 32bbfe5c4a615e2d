//! What drivers ask of the system: socket options, and what it says of a network interface.
#![allow(
    unsafe_code,
    reason = "socket options, ioctl and getifaddrs have no safe interface; each block says why it holds"
)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// Makes a socket; its domain, kind and protocol are those of socket(2).
pub(super) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option of a socket: its level and its number. The value is an integer or a C structure.
pub(super) fn set<T: Copy>(socket: &OwnedFd, (level, option): (i32, i32), value: &T) -> io::Result<()> {
    let length = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the pointer leads to a value of the length that is said, and the kernel only reads it.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gets an option of a socket into a C structure of integers, which the kernel may fill in part.
pub(super) fn get<T: Integers>(socket: &OwnedFd, (level, option): (i32, i32)) -> io::Result<T> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut value: T = unsafe { zeroed() };
    let mut length = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the pointers lead to the structure and to its length; the kernel writes no more than that.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length) };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel look for frames when it is asked, instead of by interrupt, where it knows how (5.11).
pub(super) fn prefer_busy_poll(socket: &OwnedFd) {
    for (option, value) in [(SO_PREFER_BUSY_POLL, 1), (SO_BUSY_POLL, BUSY_POLL_MICROS), (SO_BUSY_POLL_BUDGET, 64)] {
        // One that is refused leaves things as they were.
        let _ = set(socket, (libc::SOL_SOCKET, option), &value);
    }
}

/// C structures that any octets make a value of.
///
/// # Safety
///
/// Nothing but integers may be in them.
pub(super) unsafe trait Integers: Copy {}

// SAFETY: integers only.
unsafe impl Integers for libc::tpacket_stats {}
// SAFETY: integers only.
unsafe impl Integers for libc::xdp_mmap_offsets {}
// SAFETY: integers only.
unsafe impl Integers for libc::xdp_statistics {}
// SAFETY: integers only.
unsafe impl Integers for libc::xdp_options {}

/// Opens a TAP device, or makes it; each frame has an offload header before it.
pub(super) fn open_tap(name: &CStr) -> Result<OwnedFd, (&'static str, io::Error)> {
    let options = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", options, rustix::fs::Mode::empty())
        .map_err(|error| ("open(/dev/net/tun)", error.into()))?;
    let mut request = request_for(name);
    request.ifr_ifru.ifru_flags = TAP_FLAGS;
    // SAFETY: the request lives through the call, and has the form that this question asks for.
    if unsafe { libc::ioctl(device.as_raw_fd(), TUNSETIFF, &raw mut request) } < 0 {
        return Err(("TUNSETIFF", io::Error::last_os_error()));
    }
    // Without the first, the kernel does that work itself; so it does without the second, which came with Linux 6.2.
    for offload in [TUN_OFFLOADS | TUN_UDP_OFFLOADS, TUN_OFFLOADS] {
        // SAFETY: the argument is a number.
        if unsafe { libc::ioctl(device.as_raw_fd(), TUNSETOFFLOAD, offload) } == 0 {
            break;
        }
    }
    Ok(device)
}

/// Mapped memory, all of it readable and writable.
#[derive(Debug)]
pub(super) struct Area {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, and this is its only owner.
unsafe impl Send for Area {}

impl Area {
    /// Maps memory of a file, or such that belongs to none.
    pub(super) fn map(length: usize, flags: i32, file: Option<(&OwnedFd, libc::off_t)>) -> io::Result<Self> {
        let (fd, offset) = file.map_or((-1, 0), |(fd, offset)| (fd.as_raw_fd(), offset));
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, where the kernel likes it; the result is checked.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, length })
    }

    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: this mapping, whole; nothing that was borrowed of it outlives it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// The number of an interface.
pub(super) fn index_of(name: &CStr) -> Option<i32> {
    // SAFETY: the name is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    i32::try_from(index).ok().filter(|index| *index > 0)
}

/// An interface that questions are put to.
#[derive(Debug)]
pub(super) struct Interface {
    name: CString,
    socket: OwnedFd,
}

impl Interface {
    /// `None` if a name is too long or has an octet that no name has.
    pub(super) fn new(name: &str) -> Option<Self> {
        let name = CString::new(name).ok().filter(|name| name.as_bytes().len() < libc::IFNAMSIZ)?;
        Some(Self { name, socket: socket(libc::AF_INET, libc::SOCK_DGRAM, 0).ok()? })
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// The longest packet that it carries.
    pub(super) fn mtu(&self) -> io::Result<usize> {
        let request = self.ask(libc::SIOCGIFMTU, self.request())?;
        // SAFETY: the kernel has filled this member.
        Ok(usize::try_from(unsafe { request.ifr_ifru.ifru_mtu }).unwrap_or(0))
    }

    /// Is it up?
    pub(super) fn is_up(&self) -> io::Result<bool> {
        Ok(self.flags()? & libc::IFF_UP != 0)
    }

    /// Sets it up.
    pub(super) fn set_up(&self) -> io::Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_flags = i16::try_from((self.flags()? | libc::IFF_UP) & 0x7fff).unwrap_or(0);
        self.ask(libc::SIOCSIFFLAGS, request).map(drop)
    }

    fn flags(&self) -> io::Result<i32> {
        let request = self.ask(libc::SIOCGIFFLAGS, self.request())?;
        // SAFETY: the kernel has filled this member.
        Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }))
    }

    /// The name of its kernel driver, such as `veth`.
    pub(super) fn driver(&self) -> io::Result<String> {
        // struct ethtool_drvinfo: the command, the driver's name, and more.
        let mut info = [0_u8; 196];
        info[..4].copy_from_slice(&ETHTOOL_GDRVINFO.to_ne_bytes());
        self.ethtool(&mut info)?;
        let name = info[4..36].split(|octet| *octet == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    /// How many queues it receives by; one if its driver does not say.
    pub(super) fn receive_queues(&self) -> u32 {
        // struct ethtool_channels: the command, four largest counts, then how many rx, tx, other and combined.
        let mut channels = [0_u32; 9];
        channels[0] = ETHTOOL_GCHANNELS;
        match self.ethtool(&mut channels) {
            Ok(()) => channels[5].saturating_add(channels[8]).max(1),
            Err(_) => 1,
        }
    }

    /// Has the driver put VLAN tags beside the frame; answers whether it did before.
    pub(super) fn keep_tags_in_frames(&self) -> io::Result<bool> {
        let mut flags = [ETHTOOL_GFLAGS, 0];
        self.ethtool(&mut flags)?;
        if flags[1] & ETH_FLAG_RXVLAN == 0 {
            return Ok(false);
        }
        self.ethtool(&mut [ETHTOOL_SFLAGS, flags[1] & !ETH_FLAG_RXVLAN])?;
        Ok(true)
    }

    fn ethtool<T>(&self, data: &mut T) -> io::Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_data = std::ptr::from_mut(data).cast::<c_char>();
        self.ask(SIOCETHTOOL, request).map(drop)
    }

    fn request(&self) -> libc::ifreq {
        request_for(&self.name)
    }

    fn ask(&self, question: libc::Ioctl, mut request: libc::ifreq) -> io::Result<libc::ifreq> {
        // SAFETY: the request lives through the call; if it holds a pointer, `ethtool` has made that of a reference to as
        // many octets as its command reads and writes.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), question, &raw mut request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(request) }
    }
}

fn request_for(name: &CStr) -> libc::ifreq {
    // SAFETY: a structure of integers and a union of such and a pointer, for which zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The caller has seen to it that the name fits.
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
    request
}

/// Every IP address that the kernel has in this network namespace, IPv4 as IPv4-mapped.
pub(super) fn kernel_addresses() -> io::Result<BTreeSet<Ipv6Addr>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer leads to a place for the list.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut addresses = BTreeSet::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: an entry of the list, which lives until it is freed below.
        let entry = unsafe { &*at };
        at = entry.ifa_next;
        if entry.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: an address begins with its family.
        match i32::from(unsafe { (*entry.ifa_addr).sa_family }) {
            libc::AF_INET => {
                // SAFETY: an address of this family is of this form.
                let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
                addresses.insert(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).to_ipv6_mapped());
            }
            libc::AF_INET6 => {
                // SAFETY: an address of this family is of this form.
                let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
                addresses.insert(Ipv6Addr::from(address.sin6_addr.s6_addr));
            }
            _ => {}
        }
    }
    // SAFETY: the list is getifaddrs', and nothing of it is held any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(addresses)
}

/// For how long the kernel looks at a driver.
const BUSY_POLL_MICROS: i32 = 20;
/// asm-generic/socket.h
const SO_BUSY_POLL: i32 = 46;
const SO_PREFER_BUSY_POLL: i32 = 69;
const SO_BUSY_POLL_BUDGET: i32 = 70;
/// linux/if_tun.h: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR.
const TAP_FLAGS: i16 = 0x0002 | 0x1000 | 0x4000;
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
/// Checksums, TCP over IPv4 and IPv6, with ECN.
const TUN_OFFLOADS: libc::c_ulong = 0x0f;
/// UDP over IPv4 and IPv6.
const TUN_UDP_OFFLOADS: libc::c_ulong = 0x60;
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
const ETH_FLAG_RXVLAN: u32 = 1 << 8;
