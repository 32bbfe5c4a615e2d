//! What names the segment to the far end: a VXLAN header, or labels with or without a control word. SRv6 needs none.

use model::{Label, Vni};
use transport_wire::{mpls, pseudowire, vxlan};

use super::{CLASS, HOP_LIMIT, Inner, Mark, put};
use crate::frame::Frame;

/// A header between the outer one and what the segment sends.
#[derive(Debug, Clone)]
pub(crate) enum Shim {
    /// The outer header says it all.
    None,
    /// VXLAN (RFC 7348, section 5), with the sender's group if the far end reads it.
    Vxlan { octets: [u8; vxlan::HEADER_OCTETS], group: bool },
    /// The service's label; below it the group's, the flow's (RFC 6391), and a control word (RFC 4448, section 4.6).
    Labels { octets: [u8; SHIM_OCTETS_MAX], len: u8, group_at: Option<u8>, flow_at: Option<u8> },
}

/// How a pseudowire or a layer-3 service is labelled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labelled {
    pub(crate) service: Label,
    pub(crate) group: bool,
    pub(crate) flow: bool,
    pub(crate) control_word: bool,
}

impl Shim {
    pub(crate) fn vxlan(vni: Vni, group: bool) -> Self {
        let mut octets = [0; vxlan::HEADER_OCTETS];
        // The receiver learns the source, and has policy of its own to apply.
        let extension = vxlan::Group { id: 0, is_applied: false, is_not_learned: false };
        vxlan::emit(vni.get(), group.then_some(extension), &mut octets);
        Self::Vxlan { octets, group }
    }

    pub(crate) fn labels(labelled: Labelled) -> Self {
        let Labelled { service, group, flow, control_word } = labelled;
        let mut octets = [0; SHIM_OCTETS_MAX];
        let (mut len, mut places) = (0_u8, [None; 3]);
        // Classes are written for each packet, and labels of group and flow, whose TTL is never looked at on the way.
        let entries = [Some(service.get()), group.then_some(0), flow.then_some(0)];
        let last = entries.iter().rposition(Option::is_some).unwrap_or(0);
        for (at, (label, place)) in entries.into_iter().zip(&mut places).enumerate() {
            let Some(label) = label else { continue };
            let ttl = if at == 0 { HOP_LIMIT } else { 1 };
            let entry = mpls::Entry::new(label, 0, at == last, ttl);
            put(&mut octets, usize::from(len), entry.octets());
            *place = Some(len);
            len += ENTRY;
        }
        if control_word {
            // All zeros: no sequence (RFC 4448, section 4.6).
            len += CONTROL_WORD;
        }
        Self::Labels { octets, len, group_at: places[1], flow_at: places[2] }
    }

    /// Its length.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Vxlan { .. } => vxlan::HEADER_OCTETS,
            Self::Labels { len, .. } => *len as usize,
        }
    }

    #[inline]
    pub(super) fn push(&self, frame: &mut Frame, inner: Inner) {
        match self {
            Self::None => {}
            Self::Vxlan { octets, group } => {
                let Some(out) = frame.push_array::<{ vxlan::HEADER_OCTETS }>() else { return };
                *out = *octets;
                if *group {
                    put(out, vxlan::GROUP, inner.group.0.to_be_bytes());
                }
            }
            Self::Labels { octets, len, group_at, flow_at } => {
                let Some(out) = frame.push_front(usize::from(*len)) else { return };
                out.copy_from_slice(&octets[..usize::from(*len)]);
                out[CLASS] |= inner.mark.label;
                if let Some(at) = group_at {
                    put_label(out, usize::from(*at), GROUP_LABELS | u32::from(inner.group.0), inner.mark);
                }
                if let Some(at) = flow_at {
                    put_label(out, usize::from(*at), mpls::flow_label(inner.hash), inner.mark);
                }
            }
        }
    }
}

/// Writes label and class into an entry and leaves the rest of it.
#[inline]
fn put_label(out: &mut [u8], at: usize, label: u32, mark: Mark) {
    if let Some(entry) = out[at..].first_chunk_mut() {
        *entry = mpls::Entry::from_octets(*entry).with_label(label).octets();
        entry[CLASS] |= mark.label;
    }
}

/// The labels that stand for groups: this one and the 65,535 after it, which no node gives out where groups travel so.
pub(crate) const GROUP_LABELS: u32 = 0x1_0000;
/// Three labels and a control word.
pub(super) const SHIM_OCTETS_MAX: usize = 3 * mpls::ENTRY_OCTETS + pseudowire::CONTROL_WORD_OCTETS;
#[allow(clippy::cast_possible_truncation, reason = "4")]
const ENTRY: u8 = mpls::ENTRY_OCTETS as u8;
#[allow(clippy::cast_possible_truncation, reason = "4")]
const CONTROL_WORD: u8 = pseudowire::CONTROL_WORD_OCTETS as u8;
