//! AF_XDP sockets and what they share with the kernel: the memory of the frames and four rings for each queue.
//!
//! ```text
//!            fill ▶ kernel ▶ rx            chunks of received frames go round between these two
//!              tx ▶ kernel ▶ completion    chunks of sent frames between those
//! ```
//!
//! A chunk belongs to whoever took it from a ring last, until it is put into the next one; that is what makes reading and
//! writing it sound. Chunks of one queue's received frames stay that queue's, so its fill ring is always full.
#![allow(unsafe_code, reason = "memory that is shared with the kernel; each block says why it holds")]

use std::io;
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{SOL_XDP, xdp_desc};

use crate::ports::system::{Area, get, prefer_busy_poll, set, socket};

/// The memory of the frames of one port.
#[derive(Debug)]
pub(super) struct Umem {
    area: Area,
    chunk_octets: usize,
}

/// A socket on one receive queue of an interface.
#[derive(Debug)]
pub(super) struct Queue {
    // The rings go before their socket.
    fill: Producer<u64>,
    completion: Consumer<u64>,
    rx: Consumer<xdp_desc>,
    tx: Producer<xdp_desc>,
    socket: OwnedFd,
}

/// A call that failed, and why.
pub(super) type CallFailed = (&'static str, io::Error);

/// How a socket is bound.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound<'a> {
    /// The first one of a port; it registers the memory. The kernel takes zero copy if the driver has it.
    First,
    /// Another one that shares the memory of the first.
    With(&'a Queue),
}

impl Umem {
    /// Memory for so many chunks.
    pub(super) fn new(chunks: usize, chunk_octets: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Ok(Self { area: Area::map(chunks * chunk_octets, flags, None)?, chunk_octets })
    }

    /// The octets at an address that came out of a ring; `None` if they are not inside.
    fn octets(&mut self, address: u64, length: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(address).ok()?;
        start.checked_add(length).filter(|end| *end <= self.area.length())?;
        // SAFETY: inside of the mapping; the chunk is ours, because its address came out of a ring and was not put into the
        // next one yet, and the borrow of the whole memory keeps anybody else here from it.
        Some(unsafe { std::slice::from_raw_parts_mut(self.area.start().as_ptr().add(start), length) })
    }
}

impl Queue {
    /// Opens a socket with its rings, and binds it to a queue. `chunks` are those of its received frames, as many as
    /// [`RING_ENTRIES`].
    pub(super) fn open(
        umem: &Umem,
        interface: i32,
        queue: u32,
        bound: Bound<'_>,
        chunks: std::ops::Range<u64>,
    ) -> Result<Self, CallFailed> {
        let call = |name: &'static str| move |error| (name, error);
        let socket = socket(libc::AF_XDP, libc::SOCK_RAW, 0).map_err(call("socket(AF_XDP)"))?;
        if matches!(bound, Bound::First) {
            let region = libc::xdp_umem_reg {
                addr: umem.area.start().as_ptr() as u64,
                len: umem.area.length() as u64,
                chunk_size: u32::try_from(umem.chunk_octets).unwrap_or(0),
                headroom: 0,
                flags: 0,
                tx_metadata_len: 0,
            };
            set(&socket, (SOL_XDP, libc::XDP_UMEM_REG), &region).map_err(call("XDP_UMEM_REG"))?;
        }
        for (option, name) in [
            (libc::XDP_UMEM_FILL_RING, "XDP_UMEM_FILL_RING"),
            (libc::XDP_UMEM_COMPLETION_RING, "XDP_UMEM_COMPLETION_RING"),
            (libc::XDP_RX_RING, "XDP_RX_RING"),
            (libc::XDP_TX_RING, "XDP_TX_RING"),
        ] {
            set(&socket, (SOL_XDP, option), &RING_ENTRIES).map_err(call(name))?;
        }
        // A burst in one call, where the kernel (6.17) lets us; and room for it in the socket.
        let _ = set(&socket, (SOL_XDP, XDP_MAX_TX_SKB_BUDGET), &RING_ENTRIES);
        let _ = set(&socket, (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE), &SOCKET_OCTETS);
        let at: libc::xdp_mmap_offsets =
            get(&socket, (SOL_XDP, libc::XDP_MMAP_OFFSETS)).map_err(call("XDP_MMAP_OFFSETS"))?;
        let map = call("mmap of a ring");
        let mut this = Self {
            fill: Ring::map(&socket, &at.fr, FILL_PAGE).map(Producer::new).map_err(map)?,
            completion: Ring::map(&socket, &at.cr, COMPLETION_PAGE).map(Consumer::new).map_err(map)?,
            rx: Ring::map(&socket, &at.rx, libc::XDP_PGOFF_RX_RING).map(Consumer::new).map_err(map)?,
            tx: Ring::map(&socket, &at.tx, libc::XDP_PGOFF_TX_RING).map(Producer::new).map_err(map)?,
            socket,
        };
        for chunk in chunks {
            this.fill.put(chunk * umem.chunk_octets as u64);
        }
        this.fill.publish();
        this.bind(interface, queue, bound).map_err(call("bind"))?;
        Ok(this)
    }

    fn bind(&self, interface: i32, queue: u32, bound: Bound<'_>) -> io::Result<()> {
        let (flags, with) = match bound {
            Bound::First => (libc::XDP_USE_NEED_WAKEUP, 0),
            Bound::With(first) => (libc::XDP_SHARED_UMEM, first.socket.as_raw_fd().cast_unsigned()),
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: u16::try_from(libc::AF_XDP).unwrap_or(0),
            sxdp_flags: flags,
            sxdp_ifindex: interface.cast_unsigned(),
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: with,
        };
        let length = u32::try_from(size_of::<libc::sockaddr_xdp>()).unwrap_or(0);
        // SAFETY: the pointer leads to an address of the length that is said; the kernel only reads it.
        let result = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Looks at the next frame that was received, and gives its chunk back; false if there is none.
    pub(super) fn receive(&mut self, umem: &mut Umem, look: impl FnOnce(&mut [u8])) -> bool {
        let Some(found) = self.rx.take() else { return false };
        if let Some(octets) = umem.octets(found.addr, found.len as usize) {
            look(octets);
        }
        self.fill.put(found.addr & !(umem.chunk_octets as u64 - 1));
        true
    }

    /// Tells the kernel what was received and given back since; wakes a driver that waits for chunks.
    pub(super) fn received(&mut self) {
        self.rx.publish();
        self.fill.publish();
        if self.fill.needs_wakeup() {
            self.poll();
        }
    }

    /// Has the kernel look for frames: a call that does not wait.
    pub(super) fn poll(&self) {
        // SAFETY: no buffer is given; the kernel only looks whether the driver has something to do.
        unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
        }
    }

    /// Puts a frame on its way in a chunk; false if the ring is full, or the frame longer than a chunk.
    pub(super) fn send(&mut self, umem: &mut Umem, chunk: u64, octets: &[u8]) -> bool {
        let length = octets.len().min(umem.chunk_octets);
        let Some(room) = umem.octets(chunk, length).filter(|_| length == octets.len() && self.tx.has_room()) else {
            return false;
        };
        room.copy_from_slice(octets);
        let len = u32::try_from(length).unwrap_or(0);
        self.tx.put(xdp_desc { addr: chunk, len, options: 0 });
        true
    }

    /// Tells the kernel what was put on its way. It may take several calls; what is left is taken by a later one.
    pub(super) fn sent(&mut self) -> io::Result<()> {
        self.tx.publish();
        for _ in 0..KICKS_MAX {
            if self.tx.waiting() == 0 || !self.tx.needs_wakeup() {
                break;
            }
            // SAFETY: no buffer is given; the kernel takes what is in the ring.
            let result = unsafe {
                libc::sendto(self.socket.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
            };
            if result >= 0 {
                continue;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                // It took a part.
                Some(libc::EAGAIN | libc::EINTR) => {}
                // It can't take more now.
                Some(libc::ENOBUFS | libc::EBUSY) => break,
                _ => return Err(error),
            }
        }
        Ok(())
    }

    /// Frames that the kernel has not taken yet.
    pub(super) fn waiting(&mut self) -> usize {
        self.tx.waiting() as usize
    }

    /// Takes back the chunk of a frame that was sent.
    pub(super) fn take_back(&mut self) -> Option<u64> {
        let chunk = self.completion.take();
        if chunk.is_none() {
            self.completion.publish();
        }
        chunk
    }

    /// Frames that the kernel threw away, because nobody fetched them in time or because they had no room.
    pub(super) fn overruns(&self) -> u64 {
        let found: io::Result<libc::xdp_statistics> = get(&self.socket, (SOL_XDP, libc::XDP_STATISTICS));
        // The first counts those without a chunk and those too long for one, the second those that found the ring full.
        found.map_or(0, |counts| counts.rx_dropped.saturating_add(counts.rx_ring_full))
    }

    /// Does the driver put frames into our memory, and take them from there?
    pub(super) fn is_zero_copy(&self) -> bool {
        let found: io::Result<libc::xdp_options> = get(&self.socket, (SOL_XDP, libc::XDP_OPTIONS));
        found.is_ok_and(|options| options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// Has us look for frames, instead of interrupts, where the kernel knows how.
    pub(super) fn prefer_busy_poll(&self) {
        prefer_busy_poll(&self.socket);
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A ring that we put into.
#[derive(Debug)]
struct Producer<T> {
    ring: Ring<T>,
    /// How many we have put, modulo 2^32; published or not.
    put: u32,
    /// How many the kernel had taken when we looked last.
    taken: u32,
}

impl<T: Copy> Producer<T> {
    const fn new(ring: Ring<T>) -> Self {
        Self { ring, put: 0, taken: 0 }
    }

    fn has_room(&mut self) -> bool {
        if self.put.wrapping_sub(self.taken) >= RING_ENTRIES {
            self.taken = self.ring.consumer().load(Ordering::Acquire);
        }
        self.put.wrapping_sub(self.taken) < RING_ENTRIES
    }

    /// The caller knows that there is room.
    fn put(&mut self, entry: T) {
        self.ring.write(self.put, entry);
        self.put = self.put.wrapping_add(1);
    }

    fn publish(&self) {
        self.ring.producer().store(self.put, Ordering::Release);
    }

    /// How many the kernel has not taken.
    fn waiting(&mut self) -> u32 {
        self.taken = self.ring.consumer().load(Ordering::Acquire);
        self.put.wrapping_sub(self.taken)
    }

    /// Does the kernel wait for a call before it looks into the ring?
    fn needs_wakeup(&self) -> bool {
        self.ring.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// A ring that we take from.
#[derive(Debug)]
struct Consumer<T> {
    ring: Ring<T>,
    /// How many we have taken, modulo 2^32; published or not.
    taken: u32,
    /// How many the kernel had put when we looked last.
    put: u32,
}

impl<T: Copy> Consumer<T> {
    const fn new(ring: Ring<T>) -> Self {
        Self { ring, taken: 0, put: 0 }
    }

    fn take(&mut self) -> Option<T> {
        if self.taken == self.put {
            self.put = self.ring.producer().load(Ordering::Acquire);
            if self.taken == self.put {
                return None;
            }
        }
        let entry = self.ring.read(self.taken);
        self.taken = self.taken.wrapping_add(1);
        Some(entry)
    }

    fn publish(&self) {
        self.ring.consumer().store(self.taken, Ordering::Release);
    }
}

/// A ring's memory, shared with the kernel. Entries before the producer's counter are the consumer's to read, until its own
/// counter has passed them.
#[derive(Debug)]
struct Ring<T> {
    area: Area,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: usize,
    kind: PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    fn map(socket: &OwnedFd, at: &libc::xdp_ring_offset, page: libc::off_t) -> io::Result<Self> {
        let place = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        let (producer, consumer) = (place(at.producer)?, place(at.consumer)?);
        let (flags, entries) = (place(at.flags)?, place(at.desc)?);
        let length = entries + RING_ENTRIES as usize * size_of::<T>();
        let inside = [producer, consumer, flags].iter().all(|counter| counter + size_of::<AtomicU32>() <= length);
        if !inside || entries % align_of::<T>() != 0 {
            return Err(io::Error::other("the kernel has laid the ring out in a way that can't be"));
        }
        let area = Area::map(length, libc::MAP_SHARED | libc::MAP_POPULATE, Some((socket, page)))?;
        Ok(Self { area, producer, consumer, flags, entries, kind: PhantomData })
    }

    fn producer(&self) -> &AtomicU32 {
        self.counter(self.producer)
    }

    fn consumer(&self) -> &AtomicU32 {
        self.counter(self.consumer)
    }

    fn flags(&self) -> &AtomicU32 {
        self.counter(self.flags)
    }

    fn counter(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: inside of the mapping (checked when it was made), aligned by the kernel's layout, and touched by atomic
        // operations only, on both sides.
        unsafe { self.area.start().add(offset).cast().as_ref() }
    }

    fn entry(&self, number: u32) -> NonNull<T> {
        let at = (number & (RING_ENTRIES - 1)) as usize;
        // SAFETY: the mask keeps it inside of the entries, for which the mapping has room; aligned (checked when it was made).
        unsafe { self.area.start().add(self.entries).cast::<T>().add(at) }
    }

    fn read(&self, number: u32) -> T {
        // SAFETY: a place of the ring that the kernel has written and published, and leaves alone until we have taken it; any
        // octets make an entry.
        unsafe { self.entry(number).read() }
    }

    fn write(&mut self, number: u32, entry: T) {
        // SAFETY: a place of the ring that the kernel does not read before it is published.
        unsafe { self.entry(number).write(entry) };
    }
}

/// Entries of each ring.
pub(super) const RING_ENTRIES: u32 = 2_048;
/// Calls after which a burst is left to the next call.
const KICKS_MAX: usize = 32;
const FILL_PAGE: libc::off_t = libc::XDP_UMEM_PGOFF_FILL_RING.cast_signed();
const COMPLETION_PAGE: libc::off_t = libc::XDP_UMEM_PGOFF_COMPLETION_RING.cast_signed();
/// linux/if_xdp.h
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;
/// What the kernel may hold for a socket on its way out.
const SOCKET_OCTETS: i32 = 16 << 20;

const _: () = assert!(RING_ENTRIES.is_power_of_two());
