//! Names that operators give. One alphabet for all of them, one type for each kind, so that a slice's name can't be
//! passed where a segment's is wanted.

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not {what}; expected 1 to {NAME_OCTETS_MAX} of a-z, 0-9 and `-`, starting and ending with a letter or digit"
)]
pub struct InvalidName {
    /// What was named, with its article.
    pub what: &'static str,
    /// The text, cut to a length that is fit to print.
    pub found: String,
}

fn check(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let bytes = text.as_bytes();
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let legal = bytes.len() <= NAME_OCTETS_MAX
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if legal { Ok(()) } else { Err(InvalidName { what, found: text.chars().take(NAME_OCTETS_MAX).collect() }) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the alphabet and the length.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check($what, text).map(|()| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" })
            }
        }
    };
}

name_type! {
    /// Names a topology.
    TopologyName, "the name of a topology"
}
name_type! {
    /// Names a slice; unique in a manager.
    SliceName, "the name of a slice"
}
name_type! {
    /// Names a micro-segment; unique in its slice.
    SegmentName, "the name of a micro-segment"
}
name_type! {
    /// Names a node (an edge or a core node); unique in a topology.
    NodeName, "the name of a node"
}
name_type! {
    /// Names a port; unique on its node.
    PortName, "the name of a port"
}
name_type! {
    /// Names a link; unique in a topology. The usual form is `a--b`.
    LinkName, "the name of a link"
}
name_type! {
    /// Names a service demarcation point; unique in its slice.
    SdpName, "the name of an SDP"
}
name_type! {
    /// Names a template, a segment profile or an AAA profile.
    ProfileName, "the name of a profile"
}
name_type! {
    /// Names a RADIUS client (an authenticator: access switch, access point, SMF); unique in its realm.
    ClientName, "the name of a client"
}

name_type! {
    /// Names a risk that links share, such as a duct or a power feed (a shared risk link group, RFC 4202).
    RiskName, "the name of a shared risk"
}
name_type! {
    /// Names a property of links that paths may ask for or avoid (RFC 3630, section 2.5.9).
    AffinityName, "the name of an affinity"
}

/// As long as a DNS label (RFC 1035, section 2.3.4), so that every name can be one.
const NAME_OCTETS_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_that_of_a_dns_label() {
        for good in ["a", "edge-a", "core-1--edge-a", "0", &"x".repeat(63)] {
            assert!(SliceName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "ä", &"x".repeat(64)] {
            assert!(SliceName::new(bad).is_err(), "{bad}");
        }
    }
}
