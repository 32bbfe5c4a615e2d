//! A realm: who may ask the AAA of a micro-segment.
//!
//! It holds no secret. The secrets of its clients and the credentials of its users stay on the edges that need them,
//! in files that only the edge can read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SegmentId;
use crate::{ClientName, Named, NodeName, Prefix, UniqueList};

/// The AAA configuration of a micro-segment; named as the segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The segment.
    pub id: SegmentId,
    /// What it is.
    pub spec: RealmSpec,
}

/// What a realm is, beside what the AAA profile of its segment says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RealmSpec {
    /// The authenticators that may ask.
    pub clients: UniqueList<Client>,
}

/// A RADIUS client (RFC 2865): an access switch, an access point, an SMF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name; each edge keeps its shared secret under this name.
    pub name: ClientName,
    /// The source addresses that it may ask from.
    #[schemars(length(min = 1))]
    pub addresses: Vec<Prefix>,
    /// The edge that it asks; only that one knows it and needs its secret. Every edge of the segment if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<NodeName>,
}

impl Client {
    /// Does it ask this edge?
    pub fn asks(&self, edge: &NodeName) -> bool {
        self.edge.as_ref().is_none_or(|only| only == edge)
    }
}

impl Named for Client {
    const PLURAL: &'static str = "clients";
    fn name(&self) -> &str {
        self.name.as_str()
    }
}
