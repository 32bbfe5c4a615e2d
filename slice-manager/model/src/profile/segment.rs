//! Segment profiles: what a kind of micro-segment gets where its resource does not say.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{ProfileName, Share};

/// A segment profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentProfile {
    /// Its name.
    pub name: ProfileName,
    /// What it says.
    pub spec: SegmentProfileSpec,
}

/// What a segment profile says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentProfileSpec {
    /// For people.
    pub description: String,
    /// The AAA profile.
    pub aaa: ProfileName,
    /// The part of the slice's guaranteed rate that is kept for the segment.
    pub share: Share,
    /// The part of the slice's ceiling that it may use.
    pub ceiling: Share,
    /// How many endpoints may be authenticated on one edge at once.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 0xFFFF_FFFF>")]
    #[schemars(range(min = 1))]
    pub sessions_max: u32,
}
