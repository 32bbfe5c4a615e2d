//! The program that an interface runs for each frame that it receives, and the maps that it reads. It decides who gets the
//! frame:
//!
//! ```text
//!   a tag that is not in the frame (where the driver can say) ──▶ kernel
//!   to a group of stations; ARP; neighbour discovery          ──▶ kernel
//!   to an IP address that the kernel has                      ──▶ kernel
//!   everything else                                           ──▶ the edge's socket on that queue, else kernel
//! ```
//!
//! What goes to the kernel is seen by the edge, too, through a packet socket. It is assembled here, instruction by
//! instruction (RFC 9669), so that what is loaded is what is read. The kernel takes it off the interface when the edge ends,
//! however it ends.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use super::bpf::{self, Insn, MapKind};

/// A program with its maps, loaded.
#[derive(Debug)]
pub(super) struct Program {
    loaded: OwnedFd,
    /// Sockets by queue.
    sockets: OwnedFd,
    addresses: KernelAddresses,
}

/// The addresses that the kernel has, as the program knows them.
#[derive(Debug)]
pub(super) struct KernelAddresses {
    map: OwnedFd,
    known: BTreeSet<Ipv6Addr>,
}

/// Where frames go, for assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Ipv4,
    Ipv6,
    Ipv6Address,
    LookUp,
    Socket,
    Kernel,
}

impl Program {
    /// Loads it for an interface; with the question for tags, if the driver answers it and the mode allows it.
    pub(super) fn load(queues: u32, tags: Option<TagQuestion>) -> io::Result<Self> {
        let sockets = bpf::create_map(MapKind::Sockets, 4, 4, queues)?;
        let addresses = bpf::create_map(MapKind::Hash, 16, 4, ADDRESSES_MAX)?;
        let code = assemble(&sockets, &addresses, tags, XDP_PASS);
        let loaded = bpf::load(&code, tags.map(|tags| tags.interface))?;
        Ok(Self { loaded, sockets, addresses: KernelAddresses { map: addresses, known: BTreeSet::new() } })
    }

    /// Sends what a queue receives to a socket.
    pub(super) fn give(&self, queue: u32, socket: i32) -> io::Result<()> {
        bpf::update(&self.sockets, &queue.to_ne_bytes(), &socket.to_ne_bytes())
    }

    /// Attaches it to an interface; it is off when what this answers is dropped.
    pub(super) fn attach(&self, interface: i32, native: bool) -> io::Result<OwnedFd> {
        bpf::attach(&self.loaded, interface, native)
    }

    /// What is to be kept in step with the kernel.
    pub(super) fn into_addresses(self) -> KernelAddresses {
        self.addresses
    }
}

impl KernelAddresses {
    /// Knows these and no others from now on; IPv4 as IPv4-mapped.
    pub(super) fn follow(&mut self, addresses: BTreeSet<Ipv6Addr>) -> io::Result<()> {
        for gone in self.known.difference(&addresses) {
            bpf::delete(&self.map, &gone.octets())?;
        }
        for new in addresses.difference(&self.known) {
            bpf::update(&self.map, &new.octets(), &1_u32.to_ne_bytes())?;
        }
        self.known = addresses;
        Ok(())
    }
}

/// How a program asks for a tag that is not in the frame: a function of this kernel, for one interface (Linux 6.8).
#[derive(Debug, Clone, Copy)]
pub(super) struct TagQuestion {
    pub(super) interface: i32,
    /// Its number in the kernel's own type information.
    pub(super) function: i32,
}

impl TagQuestion {
    /// `None` if this kernel has no such function.
    pub(super) fn of(interface: i32) -> Option<Self> {
        let types = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
        Some(Self { interface, function: function_number(&types, b"bpf_xdp_metadata_rx_vlan_tag")? })
    }
}

/// The number of a function in BTF type information (Linux, Documentation/bpf/btf.rst); `None` if it is not there, or the
/// information is no such.
fn function_number(types: &[u8], name: &[u8]) -> Option<i32> {
    let word = |at: usize| Some(u32::from_ne_bytes(*types.get(at..)?.first_chunk()?));
    let length = |at: usize| word(at).and_then(|word| usize::try_from(word).ok());
    if u16::from_ne_bytes(*types.first_chunk()?) != BTF_MAGIC {
        return None;
    }
    let header = length(4)?;
    let mut at = header.checked_add(length(8)?)?;
    let end = at.checked_add(length(12)?)?;
    let strings = types.get(header.checked_add(length(16)?)?..)?;
    let mut number = 0_i32;
    while at < end {
        number = number.checked_add(1)?;
        let (name_at, info) = (length(at)?, word(at + 4)?);
        let (kind, members) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        if kind == BTF_FUNCTION && strings.get(name_at..)?.split(|octet| *octet == 0).next() == Some(name) {
            return Some(number);
        }
        at += 12
            + match kind {
                // Integer, variable, declaration tag; array.
                1 | 14 | 17 => 4,
                3 => 12,
                // Structure, union, section, wide enumeration; enumeration, prototype.
                4 | 5 | 15 | 19 => 12 * members,
                6 | 13 => 8 * members,
                _ => 0,
            };
    }
    None
}

/// The instructions. `without` is what becomes of a frame whose queue has no socket.
fn assemble(sockets: &OwnedFd, addresses: &OwnedFd, tags: Option<TagQuestion>, without: i32) -> Vec<Insn> {
    let mut code = Assembler::default();
    code.add(Insn::mov(R6, R1));
    if let Some(tags) = tags {
        code.add(Insn::store_imm64(R10, -24, 0));
        code.add(Insn::mov(R2, R10)).add(Insn::add_imm(R2, -24));
        code.add(Insn::mov(R3, R10)).add(Insn::add_imm(R3, -22));
        code.add(Insn::call_kernel(tags.function));
        code.jump(Insn::jump_equal(R0, 0), Label::Kernel);
    }
    code.add(Insn::load32(R2, R6, DATA)).add(Insn::load32(R3, R6, DATA_END));
    // A frame that is too short for a header is the edge's, which counts it.
    code.needs(14);
    code.add(Insn::load8(R5, R2, 0));
    code.jump(Insn::jump_bits(R5, 1), Label::Kernel);
    code.add(Insn::load16(R5, R2, 12));
    for (ethertype, label) in [(0x0806, Label::Kernel), (0x0800, Label::Ipv4), (0x86dd, Label::Ipv6)] {
        code.jump(Insn::jump_equal(R5, i32::from(u16::to_be(ethertype))), label);
    }
    code.jump(Insn::jump(), Label::Socket);

    code.here(Label::Ipv4);
    code.needs(14 + 20);
    code.add(Insn::load32(R5, R2, 14 + 16));
    code.add(Insn::store_imm64(R10, -16, 0)).add(Insn::store_imm32(R10, -8, i32::from_ne_bytes([0, 0, 0xff, 0xff])));
    code.add(Insn::store32(R10, R5, -4));
    code.jump(Insn::jump(), Label::LookUp);

    code.here(Label::Ipv6);
    code.needs(14 + 40 + 1);
    code.add(Insn::load8(R5, R2, 14 + 6));
    code.jump(Insn::jump_not_equal(R5, ICMPV6), Label::Ipv6Address);
    // Router and neighbour solicitation and advertisement, redirect (RFC 4861).
    code.add(Insn::load8(R5, R2, 14 + 40));
    code.jump(Insn::jump_less(R5, 133), Label::Ipv6Address);
    code.jump(Insn::jump_less(R5, 138), Label::Kernel);
    code.here(Label::Ipv6Address);
    for at in 0..4_i16 {
        code.add(Insn::load32(R5, R2, 14 + 24 + 4 * at)).add(Insn::store32(R10, R5, -16 + 4 * at));
    }

    code.here(Label::LookUp);
    code.map(R1, addresses).add(Insn::mov(R2, R10)).add(Insn::add_imm(R2, -16));
    code.add(Insn::call(MAP_LOOKUP));
    code.jump(Insn::jump_not_equal(R0, 0), Label::Kernel);

    code.here(Label::Socket);
    code.add(Insn::load32(R2, R6, RX_QUEUE));
    code.map(R1, sockets).add(Insn::mov_imm(R3, without));
    code.add(Insn::call(REDIRECT_MAP)).add(Insn::exit());

    code.here(Label::Kernel);
    code.add(Insn::mov_imm(R0, XDP_PASS)).add(Insn::exit());
    code.finish()
}

/// Instructions, and jumps whose distance is not known yet.
#[derive(Default)]
struct Assembler {
    code: Vec<Insn>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Assembler {
    fn add(&mut self, insn: Insn) -> &mut Self {
        self.code.push(insn);
        self
    }

    fn map(&mut self, register: u8, map: &OwnedFd) -> &mut Self {
        self.code.extend(Insn::load_map(register, map));
        self
    }

    fn jump(&mut self, insn: Insn, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.code.push(insn);
    }

    fn here(&mut self, label: Label) {
        self.labels.push((label, self.code.len()));
    }

    /// A frame that has not so many octets goes to the socket.
    fn needs(&mut self, octets: i32) {
        self.add(Insn::mov(R4, R2)).add(Insn::add_imm(R4, octets));
        self.jump(Insn::jump_greater(R4, R3), Label::Socket);
    }

    fn finish(mut self) -> Vec<Insn> {
        for (at, label) in self.jumps {
            let to = self.labels.iter().find(|(known, _)| *known == label).map_or(at + 1, |(_, to)| *to);
            self.code[at].set_distance(i16::try_from(to - at - 1).unwrap_or(0));
        }
        self.code
    }
}

const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;
const R6: u8 = 6;
const R10: u8 = 10;
/// `struct xdp_md` (linux/bpf.h).
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const RX_QUEUE: i16 = 16;
const XDP_PASS: i32 = 2;
const MAP_LOOKUP: i32 = 1;
const REDIRECT_MAP: i32 = 51;
const ICMPV6: i32 = 58;
/// Addresses of the kernel that the program knows.
const ADDRESSES_MAX: u32 = 4_096;
const BTF_MAGIC: u16 = 0xeb9f;
const BTF_FUNCTION: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    /// Type information as the kernel writes it: a header, then an integer, a pointer, an array, a structure of two members, an
    /// enumeration, a prototype of one argument, and two functions.
    fn types() -> Vec<u8> {
        let mut strings = vec![0];
        let mut name = |text: &str| {
            let at = strings.len();
            strings.extend(text.bytes().chain([0]));
            u32::try_from(at).unwrap()
        };
        let mut words: Vec<u32> = vec![name("int"), 1 << 24, 4, 32];
        words.extend([0, 2 << 24, 1]);
        words.extend([0, 3 << 24, 0, 1, 1, 4]);
        words.extend([name("pair"), 4 << 24 | 2, 8, 1, 1, 0, 2, 1, 32]);
        words.extend([name("kind"), 6 << 24 | 1, 4, 3, 0]);
        words.extend([0, 13 << 24 | 1, 1, 0, 1]);
        words.extend([name("first_function"), 12 << 24, 6]);
        words.extend([name("second_function"), 12 << 24, 6]);
        let header = [24, 0, u32::try_from(words.len() * 4).unwrap(), u32::try_from(words.len() * 4).unwrap()];
        let mut types = [&BTF_MAGIC.to_ne_bytes()[..], &[1, 0]].concat();
        types.extend(header.into_iter().chain([u32::try_from(strings.len()).unwrap()]).flat_map(u32::to_ne_bytes));
        types.extend(words.into_iter().flat_map(u32::to_ne_bytes));
        types.extend(strings);
        types
    }

    #[test]
    fn a_function_is_found_by_its_name_in_the_kernels_type_information() {
        let types = types();
        assert_eq!(function_number(&types, b"first_function"), Some(7));
        assert_eq!(function_number(&types, b"second_function"), Some(8));
        assert_eq!(function_number(&types, b"second"), None);
        assert_eq!(function_number(&types, b"int"), None, "that is no function");
        for length in 0..types.len() {
            function_number(&types[..length], b"second_function");
        }
        assert_eq!(function_number(b"not type information", b"first_function"), None);
    }

    #[test]
    fn every_jump_ends_at_an_instruction() {
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for tags in [None, Some(TagQuestion { interface: 1, function: 1 })] {
            let code = assemble(&file(), &file(), tags, XDP_PASS);
            assert!(code.len() < 64);
            let jumps: Vec<usize> = code
                .iter()
                .enumerate()
                .filter_map(|(at, insn)| insn.distance().map(|distance| at + 1 + distance))
                .collect();
            assert!(jumps.len() >= 12 && jumps.iter().all(|to| *to < code.len()), "{jumps:?}");
        }
    }
}
