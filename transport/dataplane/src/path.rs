//! Paths to other edges as tables have them, and which of two a packet takes.

use std::net::IpAddr;
use std::sync::Arc;

use model::program::PathProgram;

use crate::encap::{Encap, Link};
use crate::port::PortIndex;

/// A path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) port: PortIndex,
    /// The place of the next hop in `neighbours`.
    pub(crate) neighbour: u16,
    /// It has been found to lead nowhere. Until then it is believed to lead where it should.
    pub(crate) is_down: bool,
    pub(crate) link: Link,
    pub(crate) program: Arc<PathProgram>,
}

/// A tunnel over one path.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// The place of the path.
    pub(crate) path: u16,
    /// The longest that a segment may send, for all of it to fit the path.
    pub(crate) octets_max: u16,
    /// For one endpoint.
    pub(crate) encap: Encap,
    /// For all endpoints, where that is sent differently.
    pub(crate) flood: Option<Box<Encap>>,
}

/// Another edge of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// The source of its packets, where they have one.
    pub(crate) address: IpAddr,
    pub(crate) carries: Carries,
    pub(crate) working: Lane,
    pub(crate) backup: Option<Lane>,
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
    /// The tunnel that packets take: the backup while the working path is down and the backup is not. While both are
    /// down they stay on the working one, as whatever is sent is lost, and one order of paths is not better than another.
    #[inline]
    pub(crate) fn lane<'a>(&'a self, paths: &[Path]) -> &'a Lane {
        let is_down = |lane: &Lane| paths[usize::from(lane.path)].is_down;
        match &self.backup {
            Some(backup) if is_down(&self.working) && !is_down(backup) => backup,
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
