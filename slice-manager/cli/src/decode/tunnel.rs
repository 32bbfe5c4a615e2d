//! What carries other packets: MPLS, Ethernet pseudowires, VXLAN, GTP-U.

use serde_json::Value;
use transport_wire::gtpu::{self, MessageType, SessionView};
use transport_wire::{Layer, Problem, WireError, mpls, pseudowire, vxlan};

use super::dissect::{Dissection, Fault, Next, Span, Step};
use super::fields::Fields;

impl Dissection<'_> {
    /// A label stack: a layer for each entry, as tshark has it. Of one without bottom, as much as is read.
    pub(super) fn mpls<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        self.protocol("mpls");
        let mut is_alert = false;
        for octets in span.octets.as_chunks().0.iter().take(mpls::LABELS_MAX) {
            let entry = mpls::Entry::from_octets(*octets);
            let fields = Fields::new()
                .number("mpls.label", entry.label())
                .number("mpls.exp", entry.traffic_class())
                .flag("mpls.bottom", entry.is_bottom())
                .number("mpls.ttl", entry.ttl());
            self.same_protocol("mpls", fields);
            is_alert |= entry.label() == mpls::OAM_ALERT;
            if entry.is_bottom() {
                break;
            }
        }
        let packet = mpls::Packet::new(span.octets)
            .map_err(|error| Fault::wire(error, span.octets.len().saturating_sub(error.offset)))?;
        let payload = span.rest(packet.payload());
        let next = if is_alert || payload.octets.is_empty() { Next::Data } else { behind_labels(payload.octets) };
        Ok((next, payload))
    }

    pub(super) fn pseudowire<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = pseudowire::Packet::new(span.octets).map_err(|error| span.fault(error))?;
        let sequence = packet.control_word().map_or(0, |word| word.sequence);
        self.layer("pwethcw", Fields::new().number("pweth.cw.sequence_number", sequence));
        Ok((Next::Ethernet, span.rest(packet.frame())))
    }

    /// RFC 4385, section 5: what carries no frames but OAM.
    ///
    /// ```text
    /// | 1 (4 bits) version (4 bits) | reserved 1 | channel type 2 |
    /// ```
    pub(super) fn channel<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let [first, _, type_1, type_0, rest @ ..] = span.octets else {
            let have = span.octets.len();
            let problem = Problem::Truncated { need: pseudowire::CONTROL_WORD_OCTETS, have };
            return Err(span.fault(WireError { layer: Layer::Pseudowire, offset: have, problem }));
        };
        let kind = u16::from_be_bytes([*type_1, *type_0]);
        self.layer("pwach", Fields::new().number("pwach.ver", first & 0x0f).hex("pwach.channel_type", kind, 4));
        let next = match kind {
            CHANNEL_IPV4 => Next::Ipv4,
            CHANNEL_IPV6 => Next::Ipv6,
            _ => Next::Data,
        };
        Ok((next, span.rest(rest)))
    }

    pub(super) fn vxlan<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = vxlan::Packet::new(span.octets).map_err(|error| span.fault(error))?;
        let fields = Fields::new().hex("vxlan.flags", packet.flags(), 4).number("vxlan.vni", packet.vni());
        let fields = match packet.group() {
            None => fields,
            Some(group) => fields
                .number("vxlan.gbp", group.id)
                .flag("vxlan.flag_a", group.is_applied)
                .flag("vxlan.flag_d", group.is_not_learned),
        };
        self.layer("vxlan", fields);
        Ok((Next::Ethernet, span.rest(packet.payload())))
    }

    pub(super) fn gtpu<'a>(&mut self, span: Span<'a>) -> Step<'a> {
        let packet = match gtpu::Packet::new_cut(span.octets) {
            Ok(packet) => packet,
            // Another version, or something else that happens to use the port.
            Err(WireError { offset: 0, problem: Problem::Value { .. }, .. }) => return Ok((Next::Data, span)),
            Err(error) => return Err(span.fault(error)),
        };
        let fields = Fields::new()
            .hex("gtp.flags", packet.flags(), 2)
            .hex("gtp.message", packet.message_type().0, 2)
            .number("gtp.length", packet.length())
            .hex("gtp.teid", packet.teid(), 8);
        let fields = packet.sequence().into_iter().fold(fields, |f, number| f.hex("gtp.seq_number", number, 4));
        let fields = packet.n_pdu().into_iter().fold(fields, |f, number| f.hex("gtp.npdu_number", number, 2));
        let extensions: Vec<Value> =
            packet.extensions().map(|extension| extension_fields(&extension).into_value()).collect();
        let fields = if extensions.is_empty() { fields } else { fields.value("gtp.ext_hdr", extensions.into()) };
        self.layer("gtp", fields);
        let declared = gtpu::FIXED_OCTETS + usize::from(packet.length()) - packet.header_octets();
        let payload = span.payload(packet.payload(), declared, gtpu::Packet::new(span.octets).map(|_| ()))?;
        let next = match (packet.message_type(), payload.octets.first().map(|octet| octet >> 4)) {
            (MessageType::G_PDU, Some(4)) => Next::Ipv4,
            (MessageType::G_PDU, Some(6)) => Next::Ipv6,
            _ => Next::Data,
        };
        Ok((next, payload))
    }
}

/// Nothing says what follows the bottom of a label stack; the first four bits are told apart as RFC 4385, section 3, and
/// RFC 4928 have arranged it. Where they are 0, there is a control word if its reserved bits are 0, too: else it is the
/// address of a pseudowire's frame.
fn behind_labels(octets: &[u8]) -> Next {
    match (octets.first().map(|octet| octet >> 4), octets) {
        (Some(4), _) => Next::Ipv4,
        (Some(6), _) => Next::Ipv6,
        (Some(1), _) => Next::Channel,
        (_, [0, 0, ..]) => Next::Pseudowire,
        _ => Next::BarePseudowire,
    }
}

fn extension_fields(extension: &gtpu::Extension<'_>) -> Fields {
    let units = (extension.content.len() + 2) / 4;
    let fields = Fields::new().hex("gtp.ext_hdr.next", extension.kind, 2).number("gtp.ext_hdr.length", units as u64);
    match SessionView::of(extension) {
        Some(view) => session_fields(fields, &view),
        None => fields.octets("gtp.ext_hdr.content", extension.content),
    }
}

fn session_fields(fields: Fields, view: &SessionView<'_>) -> Fields {
    let fields = fields.number("gtp.ext_hdr.pdu_ses_con.pdu_type", view.pdu_type());
    match view.session() {
        None => fields,
        Some(gtpu::Session::Uplink { qfi }) => fields.number("gtp.ext_hdr.pdu_ses_con.qos_flow_id", qfi),
        Some(gtpu::Session::Downlink { qfi, is_reflective, paging_policy }) => {
            let fields = fields
                .number("gtp.ext_hdr.pdu_ses_con.qos_flow_id", qfi)
                .flag("gtp.ext_hdr.pdu_ses_cont.ppp", paging_policy.is_some())
                .flag("gtp.ext_hdr.pdu_ses_cont.rqi", is_reflective);
            paging_policy.into_iter().fold(fields, |f, policy| f.number("gtp.ext_hdr.pdu_ses_cont.ppi", policy))
        }
    }
}

/// What a channel carries that runs by IP (RFC 4385, section 6).
const CHANNEL_IPV4: u16 = 0x0021;
const CHANNEL_IPV6: u16 = 0x0057;
