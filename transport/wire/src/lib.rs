//! The wire formats of the packet path: Ethernet, 802.1Q, ARP, IPv4, IPv6, segment routing, UDP, TCP, ICMP, neighbour
//! discovery, and what carries slices: VXLAN, MPLS, pseudowires, and the probes that
//! measure paths.
//!
//! Each protocol has two forms. A *view* lies over octets that someone else owns: its constructor checks once that the
//! header is there and whole, and from then on every field is read without failing. A *value* holds a header's fields
//! and can be written with `emit`. The dataplane and the decoder read by the same views.
//!
//! ```text
//!   frame ─ ethernet::Frame ─┬─ arp::Packet
//!                            ├─ ipv4::Packet ─┬─ udp::Datagram ─ vxlan::Packet ─ ethernet::Frame …
//!                            └─ ipv6::Packet ─┼─ tcp::Segment
//!                                             └─ icmp::Message
//! ```
//!
//! [`flow::Flow`] reads all of it in one pass, without failing on what an L2 service carries unread. Input is hostile:
//! nothing here panics, loops without bound, or allocates.
#![forbid(unsafe_code)]

pub mod arp;
pub mod checksum;
mod error;
pub mod ethernet;
pub mod flow;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod mpls;
pub mod nd;
mod octets;
pub mod pseudowire;
pub mod srh;
pub mod stamp;
pub mod tcp;
pub mod udp;
pub mod vxlan;

pub use error::{Layer, Problem, WireError};
pub use ethernet::EtherType;
pub use ipv4::Protocol;
