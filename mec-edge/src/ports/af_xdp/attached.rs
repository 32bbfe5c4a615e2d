//! An interface with the program on it, and the sockets that it hands frames to.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use transport_dataplane::{Burst, Frame, FramePool};

use super::program::{KernelAddresses, Program, TagQuestion};
use super::rings::{Bound, CallFailed, Queue, RING_ENTRIES, Umem};
use super::{AfXdpError, Loss, Losses, Polling};
use crate::ports::mend;
use crate::ports::system::{Interface, index_of};

/// Where a program may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// In the driver.
    Native,
    /// In the driver, or above it.
    Generic,
}

/// An interface in use; the program is off it again when this is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    /// The program is taken off first, then the sockets are closed, then their memory goes.
    _link: OwnedFd,
    queues: Vec<Queue>,
    umem: Umem,
    /// Chunks for frames that are sent.
    spare: Vec<u64>,
    /// The longest frame that the interface sends.
    frame_octets_max: usize,
    /// Does a sender in the same kernel leave checksums to the hardware?
    has_peer_in_kernel: bool,
    is_native: bool,
    index: i32,
    /// The queue that is looked at first.
    first: usize,
}

impl Attached {
    /// Puts the program on an interface and opens the sockets.
    pub(super) fn open(
        link: &Interface,
        name: &str,
        polling: Polling,
        allowed: Allowed,
    ) -> Result<(Self, KernelAddresses), AfXdpError> {
        let interface = || name.to_owned();
        let call = |call| move |source| AfXdpError::Call { interface: name.to_owned(), call, source };
        let index = index_of(link.name()).ok_or_else(|| AfXdpError::NoInterface(interface()))?;
        if !link.is_up().map_err(call("SIOCGIFFLAGS"))? {
            return Err(AfXdpError::Down(interface()));
        }
        let mtu = link.mtu().map_err(call("SIOCGIFMTU"))?;
        let chunk_octets = if mtu <= mtu_of(CHUNK_OCTETS_SMALL) { CHUNK_OCTETS_SMALL } else { CHUNK_OCTETS_LARGE };
        if mtu > mtu_of(chunk_octets) {
            return Err(AfXdpError::Mtu { interface: interface(), mtu, most: mtu_of(chunk_octets) });
        }
        let count = link.receive_queues();
        if count > QUEUES_MAX {
            return Err(AfXdpError::Queues { interface: interface(), queues: count });
        }
        let driver = link.driver().unwrap_or_default();
        if allowed == Allowed::Native && driver == VETH {
            return Err(AfXdpError::NotBest(interface()));
        }
        let has_peer_in_kernel = matches!(driver.as_str(), VETH | "tun");
        let (program, program_link, is_native) = put_on(link, name, index, &driver, count, allowed)?;
        let (umem, queues, spare) = sockets(index, count, chunk_octets).map_err(|(name, source)| call(name)(source))?;
        for (number, queue) in (0..).zip(&queues) {
            if polling == Polling::Busy {
                queue.prefer_busy_poll();
            }
            program.give(number, queue.as_fd().as_raw_fd()).map_err(call("an update of the sockets' map"))?;
        }
        let attached = Self {
            _link: program_link,
            queues,
            umem,
            spare,
            frame_octets_max: mtu + LINK_OCTETS,
            has_peer_in_kernel,
            is_native,
            index,
            first: 0,
        };
        Ok((attached, program.into_addresses()))
    }

    /// How it works, for listings.
    pub(super) fn mode(&self) -> String {
        let place = if self.is_native { "native" } else { "generic" };
        let copy = if self.queues.iter().all(Queue::is_zero_copy) { "zero-copy" } else { "copy" };
        match self.queues.len() {
            1 => format!("af-xdp, {place}, {copy}"),
            queues => format!("af-xdp, {place}, {copy}, {queues} queues"),
        }
    }

    /// The number of the interface.
    pub(super) const fn index(&self) -> i32 {
        self.index
    }

    /// The sockets, to be waited for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.queues.iter().map(AsFd::as_fd)
    }

    /// Fills a burst from the queues.
    pub(super) fn receive(&mut self, pool: &mut FramePool, burst: &mut Burst, losses: &mut Losses) {
        let Self { queues, umem, has_peer_in_kernel, first, .. } = self;
        // Each queue in its turn is the first, so that one that is always full does not starve the others.
        *first = (*first + 1) % queues.len();
        let (later, sooner) = queues.split_at_mut(*first);
        for queue in sooner.iter_mut().chain(later) {
            let mut any = false;
            while !burst.is_full()
                && let Some(mut frame) = pool.take()
            {
                let mut fits = false;
                let found = queue.receive(umem, |octets| {
                    if *has_peer_in_kernel {
                        mend::complete_unsaid_checksum(octets);
                    }
                    fits = frame.copy_from(octets);
                });
                if found && fits {
                    burst.push(frame);
                } else {
                    pool.give(frame);
                    losses.count(Loss::TooLong, u64::from(found));
                }
                if !found {
                    break;
                }
                any = true;
            }
            if any {
                queue.received();
            }
        }
    }

    /// Sends frames by the first queue; answers how many were put on their way.
    pub(super) fn transmit(&mut self, frames: &[Frame]) -> Result<usize, (usize, io::Error)> {
        let Self { queues, umem, spare, .. } = self;
        let queue = &mut queues[0];
        let mut sent = 0;
        for frame in frames {
            if spare.is_empty() {
                while let Some(chunk) = queue.take_back() {
                    spare.push(chunk);
                }
            }
            let Some(chunk) = spare.pop() else { break };
            if frame.len() <= self.frame_octets_max && queue.send(umem, chunk, frame.octets()) {
                sent += 1;
            } else {
                spare.push(chunk);
            }
        }
        queue.sent().map(|()| sent).map_err(|error| (sent, error))
    }

    /// Frames that the kernel did not take at once are offered again.
    pub(super) fn offer_again(&mut self) {
        if self.waiting() > 0 {
            // What is wrong with it is told when the next frame is sent.
            let _ = self.queues[0].sent();
        }
    }

    /// Frames that the kernel has not taken yet.
    pub(super) fn waiting(&mut self) -> usize {
        self.queues[0].waiting()
    }

    /// Has the kernel look for frames now.
    pub(super) fn poll(&self) {
        self.queues.iter().for_each(Queue::poll);
    }

    /// Frames that the kernel threw away.
    pub(super) fn overruns(&self) -> u64 {
        self.queues.iter().map(Queue::overruns).sum()
    }
}

/// Puts the program on an interface, in its driver if that can be; answers it, what takes it off, and whether it is in the
/// driver.
fn put_on(
    link: &Interface,
    name: &str,
    index: i32,
    driver: &str,
    queues: u32,
    allowed: Allowed,
) -> Result<(Program, OwnedFd, bool), AfXdpError> {
    let call = |call| move |source| AfXdpError::Call { interface: name.to_owned(), call, source };
    let tags = if driver == VETH {
        // Its peer's tags are beside the frame whatever is set here; frames that have one are left to the kernel.
        let needs = "for a veth, that takes Linux 6.8";
        Some(TagQuestion::of(index).ok_or_else(|| AfXdpError::Tags(name.to_owned(), needs))?)
    } else if STACKED.contains(&driver) {
        return Err(AfXdpError::Stacked { interface: name.to_owned(), driver: driver.to_owned() });
    } else {
        keep_tags(link, name)?;
        None
    };
    let program = Program::load(queues, tags).map_err(call("bpf(2), loading the program,"))?;
    let refused = match program.attach(index, true) {
        Ok(link) => return Ok((program, link, true)),
        Err(error) => error,
    };
    if is_taken(&refused) {
        return Err(AfXdpError::Taken(name.to_owned()));
    }
    // Above the driver nobody can ask for tags.
    if allowed == Allowed::Native || tags.is_some() {
        return Err(AfXdpError::NotNative { interface: name.to_owned(), source: refused });
    }
    match program.attach(index, false) {
        Ok(link) => Ok((program, link, false)),
        Err(error) if is_taken(&error) => Err(AfXdpError::Taken(name.to_owned())),
        Err(error) => Err(call("bpf(2), attaching the program,")(error)),
    }
}

fn keep_tags(link: &Interface, name: &str) -> Result<(), AfXdpError> {
    match link.keep_tags_in_frames() {
        Ok(true) => tracing::info!(interface = name, "VLAN tags are left in frames from now on (rxvlan off)"),
        Ok(false) => {}
        // A driver without such switches has no such offload.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(_) => return Err(AfXdpError::Tags(name.to_owned(), "`ethtool -K INTERFACE rxvlan off` would change that")),
    }
    Ok(())
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

/// A socket for each queue, in memory that they share; and the chunks that are left for sending.
fn sockets(index: i32, queues: u32, chunk_octets: usize) -> Result<(Umem, Vec<Queue>, Vec<u64>), CallFailed> {
    let each = u64::from(RING_ENTRIES);
    let chunks = each * u64::from(queues + 1);
    let umem = Umem::new(usize::try_from(chunks).unwrap_or(0), chunk_octets).map_err(|error| ("mmap", error))?;
    let mut sockets: Vec<Queue> = Vec::new();
    for queue in 0..queues {
        let bound = sockets.first().map_or(Bound::First, Bound::With);
        let chunks = each * u64::from(queue)..each * u64::from(queue + 1);
        sockets.push(Queue::open(&umem, index, queue, bound, chunks)?);
    }
    let spare = (each * u64::from(queues)..chunks).map(|chunk| chunk * chunk_octets as u64).collect();
    Ok((umem, sockets, spare))
}

/// The largest MTU for a chunk, of which the kernel keeps the first octets for itself (`XDP_PACKET_HEADROOM`).
const fn mtu_of(chunk_octets: usize) -> usize {
    chunk_octets - 256 - LINK_OCTETS
}

const VETH: &str = "veth";
/// Drivers of interfaces that are made of others.
const STACKED: [&str; 5] = ["bonding", "team", "bridge", "macvlan", "ipvlan"];
/// A chunk is at most a page; a frame is in one chunk.
const CHUNK_OCTETS_SMALL: usize = 2_048;
const CHUNK_OCTETS_LARGE: usize = 4_096;
/// Ethernet with two tags.
const LINK_OCTETS: usize = 22;
/// Sockets of a port; with the largest chunks, 136 MiB.
pub(super) const QUEUES_MAX: u32 = 16;
