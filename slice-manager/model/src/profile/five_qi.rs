//! 5G QoS identifiers and their standardised characteristics (TS 23.501, table 5.7.4-1).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::number::checked_number;
use crate::rate::text_type;

checked_number! {
    /// 5G QoS identifier (TS 23.501, section 5.7.2.1): 1 to 127 standardised or pre-configured, 128 to 254 the
    /// operator's.
    FiveQi(u8), 1..=254, "a 5QI"
}

/// The table of standardised 5QIs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FiveQiTable {
    /// Where the rows come from.
    pub source: String,
    /// One row for each 5QI, in the order of the standard.
    pub rows: Vec<FiveQiRow>,
}

impl FiveQiTable {
    /// The row of a 5QI.
    pub fn get(&self, five_qi: FiveQi) -> Option<&FiveQiRow> {
        self.rows.iter().find(|row| row.five_qi == five_qi)
    }
}

/// The characteristics of a 5QI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiveQiRow {
    /// The 5QI.
    #[serde(rename = "fiveQI")]
    pub five_qi: FiveQi,
    /// What is guaranteed.
    pub resource_type: ResourceType,
    /// The default priority level; smaller is more urgent.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 127>")]
    #[schemars(range(min = 1, max = 127))]
    pub priority: u8,
    /// The packet delay budget between UE and the N6 end of the UPF, in milliseconds.
    pub delay_budget_ms: u16,
    /// The part of it that is the core network's, between the 5G-AN and the N6 end of the UPF, in milliseconds: the
    /// static CN PDB (TS 23.501, section 5.7.3.4 and notes 4 to 7 and 13 of the table).
    pub core_delay_budget_ms: u16,
    /// The packet error rate.
    pub packet_error_rate: PacketErrorRate,
    /// The maximum data burst volume, in octets; delay-critical GBR only.
    #[serde(default)]
    pub burst_octets: Option<u32>,
    /// The averaging window, in milliseconds; GBR and delay-critical GBR only.
    #[serde(default)]
    pub averaging_window_ms: Option<u16>,
    /// Example services.
    pub example: String,
}

/// What a 5QI guarantees (TS 23.501, section 5.7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ResourceType {
    /// A guaranteed bit rate.
    #[serde(rename = "GBR")]
    Gbr,
    /// None.
    #[serde(rename = "non-GBR")]
    NonGbr,
    /// A guaranteed bit rate and a burst within the delay budget.
    #[serde(rename = "delay-critical GBR")]
    DelayCriticalGbr,
}

/// A packet error rate: ten to the power of minus this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketErrorRate(u8);

impl PacketErrorRate {
    /// The negative exponent: 6 for 1e-6.
    pub const fn negative_exponent(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PacketErrorRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1e-{}", self.0)
    }
}

impl std::str::FromStr for PacketErrorRate {
    type Err = InvalidPacketErrorRate;

    fn from_str(text: &str) -> Result<Self, InvalidPacketErrorRate> {
        let exponent = text.strip_prefix("1e-").and_then(|n| n.parse().ok()).filter(|n| (1..=9).contains(n));
        exponent.map(Self).ok_or_else(|| InvalidPacketErrorRate { found: text.chars().take(16).collect() })
    }
}

/// A text that is no packet error rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a packet error rate; expected 1e-1 to 1e-9")]
pub struct InvalidPacketErrorRate {
    /// The text.
    pub found: String,
}

text_type!(PacketErrorRate, "^1e-[1-9]$", "1e-6");
