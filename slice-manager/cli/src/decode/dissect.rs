//! The walk from layer to layer.
//!
//! Each layer says what comes next and where; nothing calls itself, so that a packet can't nest deeper than
//! [`LAYERS_MAX`].

use std::fmt::Display;
use std::net::IpAddr;

use serde_json::{Value, json};
use transport_wire::{EtherType, Protocol, WireError};

use super::Decoder;
use super::fields::Fields;

/// The protocols that were found, joined by colons as tshark does, and the layers with their fields.
pub(super) fn dissect(decoder: &Decoder, link_type: u16, octets: &[u8], original_octets: u32) -> (String, Vec<Value>) {
    let original = usize::try_from(original_octets).unwrap_or(usize::MAX);
    let span = Span { octets, missing: original.saturating_sub(octets.len()) };
    let mut dissection = Dissection { decoder, protocols: Vec::new(), layers: Vec::new() };
    dissection.walk(Next::Link(link_type), span);
    (dissection.protocols.join(":"), dissection.layers)
}

pub(super) struct Dissection<'d> {
    pub(super) decoder: &'d Decoder,
    protocols: Vec<&'static str>,
    layers: Vec<Value>,
}

impl Dissection<'_> {
    fn walk(&mut self, mut next: Next, mut span: Span<'_>) {
        loop {
            let step = if self.layers.len() < LAYERS_MAX {
                self.step(next, span)
            } else {
                let problem = format_args!("more than {LAYERS_MAX} layers");
                Err(Fault::new("frame", 0, problem, span.octets.len()))
            };
            match step {
                Ok((Next::Data, rest)) => return self.data(rest.octets.len()),
                Ok((then, rest)) => (next, span) = (then, rest),
                Err(fault) => {
                    self.layers.push(json!({ "error": fault.error }));
                    return self.data(fault.unread);
                }
            }
        }
    }

    fn step<'a>(&mut self, next: Next, span: Span<'a>) -> Step<'a> {
        match next {
            Next::Link(link_type) => self.link(link_type, span),
            Next::Ethernet => self.ethernet(span),
            Next::EtherType(ethertype) => self.ethertype(ethertype, span),
            Next::Ip => self.ip(span),
            Next::Ipv4 => self.ipv4(span),
            Next::Ipv6 => self.ipv6(span),
            Next::Upper(protocol, ends) => self.upper(protocol, ends, span),
            Next::Mpls => self.mpls(span),
            Next::Pseudowire => self.pseudowire(span),
            Next::BarePseudowire => {
                self.protocol("pwethnocw");
                Ok((Next::Ethernet, span))
            }
            Next::Channel => self.channel(span),
            Next::Vxlan => self.vxlan(span),
            Next::Gtpu => self.gtpu(span),
            Next::Radius => self.radius(span),
            Next::Data => Ok((Next::Data, span)),
        }
    }

    /// A protocol that has been found, without fields of its own.
    pub(super) fn protocol(&mut self, name: &'static str) {
        self.protocols.push(name);
    }

    /// A layer that has been read.
    pub(super) fn layer(&mut self, name: &'static str, fields: Fields) {
        self.protocol(name);
        self.same_protocol(name, fields);
    }

    /// A layer of a protocol that has been named.
    pub(super) fn same_protocol(&mut self, name: &'static str, fields: Fields) {
        self.layers.push(json!({ name: fields.into_value() }));
    }

    fn data(&mut self, octets: usize) {
        if octets > 0 {
            self.layer("data", Fields::new().number("data.len", octets as u64));
        }
    }
}

/// The octets of a layer that are at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) octets: &'a [u8],
    /// How many more there were: the capture has cut them off, or they are in other fragments.
    pub(super) missing: usize,
}

impl<'a> Span<'a> {
    /// What a header of this span leads to, by the length that the header declares.
    ///
    /// If the header promises more than there was, the sender has lied: that is `lie`.
    pub(super) fn payload(self, payload: &'a [u8], declared: usize, lie: Result<(), WireError>) -> Result<Self, Fault> {
        let missing = declared.saturating_sub(payload.len());
        match lie {
            Err(error) if missing > self.missing => Err(Fault::wire(error, payload.len())),
            _ => Ok(Self { octets: payload, missing }),
        }
    }

    /// The same end, a later begin.
    pub(super) const fn rest(self, octets: &'a [u8]) -> Self {
        Self { octets, missing: self.missing }
    }

    pub(super) const fn is_whole(self) -> bool {
        self.missing == 0
    }

    /// What is wrong with the octets of this span, none of which could be read.
    pub(super) fn fault(self, error: WireError) -> Fault {
        Fault::wire(error, self.octets.len())
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Link(u16),
    Ethernet,
    EtherType(EtherType),
    /// IPv4 or IPv6: the version says.
    Ip,
    Ipv4,
    Ipv6,
    Upper(Protocol, Ends),
    Mpls,
    /// With a control word.
    Pseudowire,
    /// Without one.
    BarePseudowire,
    /// A pseudowire's associated channel.
    Channel,
    Vxlan,
    Gtpu,
    Radius,
    /// Nothing that we know.
    Data,
}

/// Between whom an upper layer runs, for its checksum. The destination is the last one, where there are several.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

/// What comes next and where, or what is wrong.
pub(super) type Step<'a> = Result<(Next, Span<'a>), Fault>;

/// A layer that is malformed.
#[derive(Debug)]
pub(super) struct Fault {
    error: Value,
    /// How many octets were left unread.
    unread: usize,
}

impl Fault {
    pub(super) fn new(layer: &str, offset: usize, problem: impl Display, unread: usize) -> Self {
        Self { error: json!({ "layer": layer, "offset": offset, "problem": problem.to_string() }), unread }
    }

    pub(super) fn wire(error: WireError, unread: usize) -> Self {
        Self::new(error.layer.as_str(), error.offset, error.problem, unread)
    }
}

/// How many layers of a packet are read.
const LAYERS_MAX: usize = 64;
