//! What a path puts in front of everything that takes it: the Ethernet header, and the labels that pin its way.

use model::{Label, Mac};
use transport_wire::ethernet::{self, EtherType};
use transport_wire::mpls;

use super::{CLASS, HOP_LIMIT, Mark, put};
use crate::frame::Frame;

/// The header of a path's first link, written but for the next hop's MAC address.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    octets: [u8; LINK_OCTETS_MAX],
    len: u8,
}

impl Link {
    /// Towards a path that needs these labels, at most [`PATH_LABELS_MAX`]; `None` if they are more. Without labels, the
    /// Ethernet type is for [`Link::push`] to say.
    pub(crate) fn new(source: Mac, labels: &[Label]) -> Option<Self> {
        let mut octets = [0; LINK_OCTETS_MAX];
        octets.get(ethernet::HEADER_OCTETS..)?.get(..labels.len() * mpls::ENTRY_OCTETS)?;
        let header = ethernet::Header { destination: Mac([0; 6]), source, ethertype: EtherType::MPLS };
        header.emit(octets.first_chunk_mut()?);
        let mut len = ethernet::HEADER_OCTETS;
        for label in labels {
            // What is below says where the stack ends.
            put(&mut octets, len, mpls::Entry::new(label.get(), 0, false, HOP_LIMIT).octets());
            len += mpls::ENTRY_OCTETS;
        }
        Some(Self { octets, len: u8::try_from(len).ok()? })
    }

    /// How much longer a packet becomes by its labels.
    pub(crate) const fn label_octets(&self) -> usize {
        self.len as usize - ethernet::HEADER_OCTETS
    }

    /// Puts the header in front of a packet of this type.
    #[inline]
    pub(crate) fn push(&self, frame: &mut Frame, next_hop: Mac, ethertype: EtherType, mark: Mark) {
        if usize::from(self.len) == ethernet::HEADER_OCTETS {
            let Some(out) = frame.push_array::<{ ethernet::HEADER_OCTETS }>() else { return };
            out.copy_from_slice(&self.octets[..ethernet::HEADER_OCTETS]);
            put(out, 0, next_hop.0);
            put(out, ETHERTYPE, ethertype.0.to_be_bytes());
        } else {
            self.push_labels(frame, next_hop, ethertype, mark);
        }
    }

    fn push_labels(&self, frame: &mut Frame, next_hop: Mac, ethertype: EtherType, mark: Mark) {
        let len = usize::from(self.len);
        let Some(out) = frame.push_front(len) else { return };
        out.copy_from_slice(&self.octets[..len]);
        put(out, 0, next_hop.0);
        for entry in out[ethernet::HEADER_OCTETS..].as_chunks_mut::<{ mpls::ENTRY_OCTETS }>().0 {
            entry[CLASS] |= mark.label;
        }
        if ethertype != EtherType::MPLS {
            // An IP packet follows: the stack ends here.
            out[len - 2] |= BOTTOM;
        }
    }
}

/// The most labels that a path needs.
pub(crate) const PATH_LABELS_MAX: usize = 10;
pub(super) const LINK_OCTETS_MAX: usize = ethernet::HEADER_OCTETS + PATH_LABELS_MAX * mpls::ENTRY_OCTETS;
const ETHERTYPE: usize = 12;
/// The bottom-of-stack bit, in the third octet of an entry.
const BOTTOM: u8 = 1;
