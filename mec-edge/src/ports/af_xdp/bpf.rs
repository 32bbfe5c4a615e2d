//! Instructions of the kernel's virtual machine (RFC 9669), and the calls that load and attach a program (bpf(2)).
#![allow(unsafe_code, reason = "bpf(2) has no safe interface; each block says why it holds")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An instruction.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Insn {
    opcode: u8,
    /// Destination and source register, as bit-fields of C.
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Insn {
    const fn new(opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Self {
        let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
        Self { opcode, registers, offset, immediate }
    }

    pub(super) const fn mov(to: u8, from: u8) -> Self {
        Self::new(0xbf, to, from, 0, 0)
    }

    pub(super) const fn mov_imm(to: u8, value: i32) -> Self {
        Self::new(0xb7, to, 0, 0, value)
    }

    pub(super) const fn add_imm(to: u8, value: i32) -> Self {
        Self::new(0x07, to, 0, 0, value)
    }

    pub(super) const fn load8(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x71, to, from, offset, 0)
    }

    pub(super) const fn load16(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x69, to, from, offset, 0)
    }

    pub(super) const fn load32(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x61, to, from, offset, 0)
    }

    pub(super) const fn store32(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x63, to, from, offset, 0)
    }

    pub(super) const fn store_imm32(to: u8, offset: i16, value: i32) -> Self {
        Self::new(0x62, to, 0, offset, value)
    }

    pub(super) const fn store_imm64(to: u8, offset: i16, value: i32) -> Self {
        Self::new(0x7a, to, 0, offset, value)
    }

    /// The address of a map; two instructions long.
    pub(super) fn load_map(to: u8, map: &OwnedFd) -> [Self; 2] {
        [Self::new(0x18, to, 1, 0, map.as_raw_fd()), Self::new(0, 0, 0, 0, 0)]
    }

    pub(super) const fn jump() -> Self {
        Self::new(0x05, 0, 0, 0, 0)
    }

    pub(super) const fn jump_equal(register: u8, value: i32) -> Self {
        Self::new(0x15, register, 0, 0, value)
    }

    pub(super) const fn jump_not_equal(register: u8, value: i32) -> Self {
        Self::new(0x55, register, 0, 0, value)
    }

    /// If one of these bits is set.
    pub(super) const fn jump_bits(register: u8, bits: i32) -> Self {
        Self::new(0x45, register, 0, 0, bits)
    }

    /// If the first, without sign, is greater than the second.
    pub(super) const fn jump_greater(register: u8, than: u8) -> Self {
        Self::new(0x2d, register, than, 0, 0)
    }

    pub(super) const fn jump_less(register: u8, than: i32) -> Self {
        Self::new(0xa5, register, 0, 0, than)
    }

    pub(super) const fn call(helper: i32) -> Self {
        Self::new(0x85, 0, 0, 0, helper)
    }

    /// Calls a function of the kernel by its type's number.
    pub(super) const fn call_kernel(function: i32) -> Self {
        Self::new(0x85, 0, 2, 0, function)
    }

    pub(super) const fn exit() -> Self {
        Self::new(0x95, 0, 0, 0, 0)
    }

    /// How many instructions a jump goes beyond the next one.
    pub(super) const fn set_distance(&mut self, distance: i16) {
        self.offset = distance;
    }
}

#[cfg(test)]
impl Insn {
    /// How many instructions a jump goes; `None` if it is another instruction. Classes 5 and 6 are jumps, of which 8 is a call
    /// and 9 the exit.
    pub(super) fn distance(self) -> Option<usize> {
        let is_jump = matches!(self.opcode & 7, 5 | 6) && !matches!(self.opcode >> 4, 8 | 9);
        is_jump.then(|| usize::try_from(self.offset).unwrap())
    }
}

/// Kinds of map that are used here (`enum bpf_map_type`).
#[derive(Debug, Clone, Copy)]
pub(super) enum MapKind {
    Hash = 1,
    Sockets = 17,
}

/// Makes a map.
pub(super) fn create_map(kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> io::Result<OwnedFd> {
    made(MAP_CREATE, &CreateMap { map_type: kind as u32, key_size, value_size, max_entries })
}

/// Sets an entry of a map; key and value are as long as the map's.
pub(super) fn update(map: &OwnedFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    call(MAP_UPDATE, &entry(map, key, Some(value))).map(drop)
}

/// Deletes an entry of a map; the key is as long as the map's.
pub(super) fn delete(map: &OwnedFd, key: &[u8]) -> io::Result<()> {
    call(MAP_DELETE, &entry(map, key, None)).map(drop)
}

/// What a command does not read must be zero.
fn entry(map: &OwnedFd, key: &[u8], value: Option<&[u8]>) -> Entry {
    let value = value.map_or(0, |value| value.as_ptr() as u64);
    Entry { map: map.as_raw_fd().cast_unsigned(), pad: 0, key: key.as_ptr() as u64, value, flags: 0 }
}

/// Loads a program for interfaces, or for a certain one.
pub(super) fn load(code: &[Insn], interface: Option<i32>) -> io::Result<OwnedFd> {
    let mut prog_name = [0; 16];
    prog_name[..NAME.len()].copy_from_slice(NAME);
    // Functions of the kernel are open to programs that may be had under the GPL; these instructions may.
    let license = c"Dual MIT/GPL";
    made(
        PROG_LOAD,
        &Load {
            prog_type: PROG_TYPE_XDP,
            insn_cnt: u32::try_from(code.len()).unwrap_or(u32::MAX),
            insns: code.as_ptr() as u64,
            license: license.as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: if interface.is_some() { XDP_DEV_BOUND_ONLY } else { 0 },
            prog_name,
            prog_ifindex: interface.unwrap_or(0).cast_unsigned(),
            expected_attach_type: ATTACH_XDP,
        },
    )
}

/// Attaches a program to an interface, in its driver or in the stack above it, as long as what this answers lives.
pub(super) fn attach(program: &OwnedFd, interface: i32, native: bool) -> io::Result<OwnedFd> {
    made(
        LINK_CREATE,
        &Link {
            prog_fd: program.as_raw_fd().cast_unsigned(),
            target_ifindex: interface.cast_unsigned(),
            attach_type: ATTACH_XDP,
            flags: if native { XDP_FLAGS_DRV_MODE } else { XDP_FLAGS_SKB_MODE },
        },
    )
}

fn made<T>(command: i64, attributes: &T) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the command answers a new descriptor, which is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: i64, attributes: &T) -> io::Result<i32> {
    // SAFETY: the pointer leads to attributes of the length that is said, padded nowhere; the pointers in them lead to memory
    // that the caller holds through the call and that is as long as the command reads.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(io::Error::other) }
}

#[repr(C)]
struct CreateMap {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct Entry {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct Link {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// By which listings of the kernel show the program.
const NAME: &[u8] = b"mec_edge";
const MAP_CREATE: i64 = 0;
const MAP_UPDATE: i64 = 2;
const MAP_DELETE: i64 = 3;
const PROG_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_encoded_as_the_standard_says() {
        // RFC 9669, section 3.1: opcode, registers (source in the high bits), offset, immediate, here little-endian.
        let encoded = |insn: Insn| {
            let Insn { opcode, registers, offset, immediate } = insn;
            [&[opcode, registers][..], &offset.to_le_bytes(), &immediate.to_le_bytes()].concat()
        };
        if cfg!(target_endian = "little") {
            // r6 = r1 (MOV, X, ALU64); r0 = 2 (MOV, K, ALU64); r3 = *(u32 *)(r6 + 4) (MEM, W, LDX);
            // *(u32 *)(r10 - 4) = r5 (MEM, W, STX); call 51; exit
            assert_eq!(encoded(Insn::mov(6, 1)), [0xbf, 0x16, 0, 0, 0, 0, 0, 0]);
            assert_eq!(encoded(Insn::mov_imm(0, 2)), [0xb7, 0, 0, 0, 2, 0, 0, 0]);
            assert_eq!(encoded(Insn::load32(3, 6, 4)), [0x61, 0x63, 4, 0, 0, 0, 0, 0]);
            assert_eq!(encoded(Insn::store32(10, 5, -4)), [0x63, 0x5a, 0xfc, 0xff, 0, 0, 0, 0]);
            assert_eq!(encoded(Insn::call(51)), [0x85, 0, 0, 0, 51, 0, 0, 0]);
            assert_eq!(encoded(Insn::exit()), [0x95, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}
