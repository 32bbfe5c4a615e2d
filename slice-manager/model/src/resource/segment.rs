//! A micro-segment: an isolated group of endpoints inside one slice, with its own AAA, its share and its policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SegmentId;
use crate::{Named, NodeName, ProfileName, Share, UniqueList};

/// A micro-segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroSegment {
    /// Its slice and its name.
    pub id: SegmentId,
    /// What it is.
    pub spec: SegmentSpec,
}

/// What a micro-segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// The segment profile that says what is not said here.
    pub profile: ProfileName,
    /// The edges where it is spawned, each with an SDP of the slice.
    pub at: UniqueList<NodeName>,
    /// The part of the slice's guaranteed rate that is kept for it; instead of the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The part of the slice's ceiling that it may use; instead of the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Share>,
}

impl Named for NodeName {
    const PLURAL: &'static str = "edges";
    fn name(&self) -> &str {
        self.as_str()
    }
}
