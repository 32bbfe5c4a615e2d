//! AAA profiles: which features the AAA of a micro-segment includes. What is not named is not there.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ProfileName;

/// An AAA profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AaaProfile {
    /// Its name.
    pub name: ProfileName,
    /// For people.
    pub description: String,
    /// What it includes, and its limits.
    pub features: AaaFeatures,
}

/// One feature of an AAA. A request that needs another is refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AaaFeature {
    /// Passwords in User-Password (RFC 2865, section 5.2).
    Pap,
    /// Passwords by CHAP (RFC 2865, section 5.3).
    Chap,
    /// Accounting requests (RFC 2866).
    Accounting,
    /// A Framed-IP-Address in the request is taken where the credential names none (RFC 2865, section 5.8).
    FramedAddressHint,
    /// Status-Server (RFC 5997).
    StatusServer,
}

impl AaaFeature {
    /// Every feature that this build has.
    pub const ALL: [Self; 5] = [Self::Pap, Self::Chap, Self::Accounting, Self::FramedAddressHint, Self::StatusServer];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pap => "pap",
            Self::Chap => "chap",
            Self::Accounting => "accounting",
            Self::FramedAddressHint => "framed-address-hint",
            Self::StatusServer => "status-server",
        }
    }
}

impl fmt::Display for AaaFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an AAA includes, and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AaaFeatures {
    /// What it includes.
    pub include: BTreeSet<AaaFeature>,
    /// How long a session lasts without a new authentication, in seconds (Session-Timeout, RFC 2865 section 5.27).
    #[serde(deserialize_with = "crate::number::within::<_, _, 60, 0xFFFF_FFFF>")]
    #[schemars(range(min = 60))]
    pub session_seconds: u32,
    /// How often a client should send interim accounting, in seconds (Acct-Interim-Interval, RFC 2869 section 5.16).
    #[serde(deserialize_with = "crate::number::within::<_, _, 60, 0xFFFF_FFFF>")]
    #[schemars(range(min = 60))]
    pub interim_seconds: u32,
    /// How many requests a second are served to one client; more are dropped.
    #[serde(deserialize_with = "crate::number::within::<_, _, 1, 0xFFFF_FFFF>")]
    #[schemars(range(min = 1))]
    pub requests_per_second_max: u32,
}

impl AaaFeatures {
    /// Is the feature included?
    pub fn has(&self, feature: AaaFeature) -> bool {
        self.include.contains(&feature)
    }
}

/// An AAA profile as its file has it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AaaProfileSpec {
    /// For people.
    pub(super) description: String,
    /// What it includes, and its limits.
    pub(super) features: AaaFeatures,
}
