//! The SIDs and labels that follow from numbers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use model::plan::NodeNumbers;
use model::{Label, LinkName, Locator, NodeName, Sid};

use crate::underlay::Underlay;

/// The SIDs and labels of nodes and links.
#[derive(Clone, Copy)]
pub(crate) struct NodeSids<'p> {
    pub(crate) underlay: &'p Underlay<'p>,
    pub(crate) nodes: &'p BTreeMap<NodeName, NodeNumbers>,
}

impl NodeSids<'_> {
    /// End of a node.
    pub(crate) fn node_sid(&self, node: &NodeName) -> Option<Sid> {
        sid(self.underlay.node(node)?.node.locator?, FUNCTION_OF_NODE)
    }

    /// End.X of a node for one of its links.
    pub(crate) fn link_sid(&self, node: &NodeName, link: &LinkName) -> Option<Sid> {
        sid(self.underlay.node(node)?.node.locator?, self.nodes.get(node)?.links.get(link)?.function?)
    }

    /// The label by which a node forwards to another (RFC 8660, section 2.3).
    pub(crate) fn node_label(&self, at: &NodeName, to: &NodeName) -> Option<Label> {
        let index = self.nodes.get(to)?.index?;
        let block = self.underlay.node(at)?.node.labels?;
        let label = Label::try_from(block.first.get().checked_add(index)?).ok()?;
        (label <= block.last).then_some(label)
    }

    /// The label by which a node forwards over one of its links.
    pub(crate) fn link_label(&self, node: &NodeName, link: &LinkName) -> Option<Label> {
        self.nodes.get(node)?.links.get(link)?.label
    }
}

/// The SID that leads into a segment on the node of this locator.
pub(crate) fn service_sid(locator: Locator, function: u16) -> Option<Sid> {
    sid(locator, function)
}

/// Locator, function of 16 bits, and zeros (RFC 8986, section 3.1).
fn sid(locator: Locator, function: u16) -> Option<Sid> {
    let prefix = locator.prefix();
    let IpAddr::V6(address) = prefix.address() else { return None };
    let shift = FUNCTION_END.checked_sub(u32::from(prefix.length()))?;
    Sid::new(Ipv6Addr::from_bits(address.to_bits() | (u128::from(function) << shift))).ok()
}

/// End.
pub(super) const FUNCTION_OF_NODE: u16 = 1;
/// Where the function would end if the locator had no bits.
const FUNCTION_END: u32 = 128 - 16;
