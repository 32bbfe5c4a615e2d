//! The ring by which the kernel hands over frames that a packet socket has received: slots in memory that both see (packet(7),
//! `PACKET_RX_RING`), so that frames are fetched without a call.
//!
//! It is of version 2. Version 3 packs frames closer, and hands over a block when it is full or a millisecond old: too late
//! for what is urgent. A frame that does not fit its slot waits in the socket's queue, in the same order.
#![allow(unsafe_code, reason = "memory that is shared with the kernel; each block says why it holds")]

use std::io;
use std::mem::size_of;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::ports::mend::{OFFLOAD_OCTETS, Offload, Tag};
use crate::ports::system::{Area, set};

/// The slots, and which is next.
#[derive(Debug)]
pub(super) struct RxRing {
    area: Area,
    slot_octets: usize,
    slots_per_block: usize,
    slots: usize,
    next: usize,
}

/// A frame in its slot.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    /// As far as it fits.
    pub(super) octets: &'a [u8],
    /// Is there more of it than fits?
    pub(super) is_cut: bool,
    /// Is all of it in the socket's queue?
    pub(super) is_queued: bool,
    pub(super) offload: Offload,
    pub(super) tag: Option<Tag>,
}

impl RxRing {
    /// Makes a ring with slots for frames of this MTU.
    pub(super) fn new(socket: &OwnedFd, mtu: usize) -> io::Result<Self> {
        let slot_octets = (mtu + SLOT_OVERHEAD_OCTETS).clamp(SLOT_OCTETS_MIN, SLOT_OCTETS_MAX).next_multiple_of(16);
        let slots_per_block = BLOCK_OCTETS / slot_octets;
        let slots = slots_per_block * BLOCKS;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        set(socket, (libc::SOL_PACKET, libc::PACKET_VERSION), &TPACKET_V2)?;
        set(socket, (libc::SOL_PACKET, PACKET_COPY_THRESH), &1_i32)?;
        let request = libc::tpacket_req {
            tp_block_size: number(BLOCK_OCTETS),
            tp_block_nr: number(BLOCKS),
            tp_frame_size: number(slot_octets),
            tp_frame_nr: number(slots),
        };
        set(socket, (libc::SOL_PACKET, libc::PACKET_RX_RING), &request)?;
        let area = Area::map(BLOCKS * BLOCK_OCTETS, libc::MAP_SHARED | libc::MAP_POPULATE, Some((socket, 0)))?;
        Ok(Self { area, slot_octets, slots_per_block, slots, next: 0 })
    }

    /// Looks at the next frame, and gives its slot back; `None` if there is none.
    pub(super) fn receive<R>(&mut self, look: impl FnOnce(Slot<'_>) -> R) -> Option<R> {
        let (block, place) = (self.next / self.slots_per_block, self.next % self.slots_per_block);
        // SAFETY: a slot inside of the mapping: there are so many blocks, each with room for so many slots.
        let start = unsafe { self.area.start().add(block * BLOCK_OCTETS + place * self.slot_octets) };
        // SAFETY: a slot begins with its status, which both sides touch by atomic operations only; slots are aligned to 16.
        let status: &AtomicU32 = unsafe { start.cast().as_ref() };
        let is_ready = status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0;
        if !is_ready {
            return None;
        }
        // SAFETY: the slot is ours until its status says that it is the kernel's; any octets make a header.
        let header = unsafe { start.cast::<libc::tpacket2_hdr>().read() };
        // SAFETY: as above; the slot is inside of the mapping, whole.
        let slot = unsafe { std::slice::from_raw_parts(start.as_ptr(), self.slot_octets) };
        let result = look(Slot::read(slot, &header));
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.slots;
        Some(result)
    }
}

impl<'a> Slot<'a> {
    fn read(slot: &'a [u8], header: &libc::tpacket2_hdr) -> Self {
        let start = usize::from(header.tp_mac);
        let octets = slot.get(start..).unwrap_or_default();
        let octets = octets.get(..header.tp_snaplen as usize).unwrap_or(octets);
        let offload = start.checked_sub(OFFLOAD_OCTETS).and_then(|at| slot.get(at..)?.first_chunk());
        let is_tagged = header.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
        let tpid =
            if header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { header.tp_vlan_tpid } else { CUSTOMER_TAG };
        Self {
            octets,
            is_cut: header.tp_snaplen < header.tp_len,
            is_queued: header.tp_status & libc::TP_STATUS_COPY != 0,
            offload: offload.copied().map(Offload::read).unwrap_or_default(),
            tag: is_tagged.then_some((tpid, header.tp_vlan_tci)),
        }
    }
}

/// `enum tpacket_versions`
const TPACKET_V2: i32 = 1;
const PACKET_COPY_THRESH: i32 = 7;
const CUSTOMER_TAG: u16 = 0x8100;
/// What the kernel puts before a frame in its slot: its header, the sender's address, the offload header; and a tag.
const SLOT_OVERHEAD_OCTETS: usize = 128;
const SLOT_OCTETS_MIN: usize = 2_048;
const SLOT_OCTETS_MAX: usize = 16_384;
const BLOCK_OCTETS: usize = 1 << 18;
/// 8 MiB in all: 4,096 frames of the usual MTU.
const BLOCKS: usize = 32;

const _: () = assert!(size_of::<libc::tpacket2_hdr>() <= SLOT_OVERHEAD_OCTETS);
