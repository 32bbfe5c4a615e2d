//! Paths to other edges as tables have them, and which of two a packet takes.

use std::mem::offset_of;
use std::net::IpAddr;
use std::sync::Arc;

use model::program::PathProgram;

use crate::encap::{Encap, Group, Link, Outer, Shim};
use crate::port::PortIndex;
use crate::probe::{PathIndex, Paths};

/// A path.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) port: PortIndex,
    /// The place of the next hop in `neighbours`.
    pub(crate) neighbour: u16,
    pub(crate) link: Link,
    /// Over IPv6, what is put in front of packets for the far edge itself.
    pub(crate) probe: Option<Outer>,
    pub(crate) program: Arc<PathProgram>,
}

/// A tunnel over one path.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) path: PathIndex,
    /// The longest that a segment may send, for all of it to fit the path.
    pub(crate) octets_max: u16,
    /// For one endpoint.
    pub(crate) encap: Encap,
    /// For all endpoints, where that is sent differently.
    pub(crate) flood: Option<Box<Encap>>,
}

/// Another edge of a segment. What a packet to there needs stands in front, in two cache lines.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(crate) struct Remote {
    pub(crate) working: Lane,
    /// The tunnel over another path, which is told beside it, for it is asked for each packet whether that one is taken.
    pub(crate) backup: Option<(PathIndex, Box<Lane>)>,
    pub(crate) carries: Carries,
    /// Does the sender's group travel with a packet, in both directions?
    pub(crate) has_groups: bool,
    /// The source of its packets, where they have one.
    pub(crate) address: IpAddr,
}

/// What is in a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Ethernet frames.
    Frames,
    /// IP packets alone.
    Packets,
}

impl Remote {
    /// Reads what a packet to there will need, so that it is in the cache by then.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        let Encap { shim, outer } = &self.working.encap;
        let ends = u64::from(self.working.octets_max) ^ u64::from(self.backup.is_some());
        ends ^ u64::from(matches!(shim, Shim::None)) ^ outer.touch()
    }

    /// The group of a sender behind that edge, by the number in its packet. `None`: one that nobody has. Where groups don't
    /// travel, all are roots.
    #[inline]
    pub(crate) fn group(&self, said: u16) -> Option<Group> {
        match Group(said) {
            _ if !self.has_groups => Some(Group::ROOT),
            group @ (Group::ROOT | Group::LEAF) => Some(group),
            _ => None,
        }
    }

    /// The tunnel that packets take now.
    #[inline]
    pub(crate) fn lane<'a>(&'a self, probes: &Paths) -> &'a Lane {
        match &self.backup {
            Some((path, backup)) if probes.choose(self.working.path, Some(*path)) == *path => backup,
            _ => &self.working,
        }
    }
}

impl Lane {
    /// What is put in front of a packet.
    #[inline]
    pub(crate) fn encap(&self, is_flood: bool) -> &Encap {
        match &self.flood {
            Some(flood) if is_flood => flood,
            _ => &self.encap,
        }
    }
}

const _: () = assert!(offset_of!(Remote, has_groups) < 128);
