//! Who speaks to the manager: a role and a name, taken from a client certificate.

use std::fmt;

/// A role. What each may call is decided where the calls are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Declares and removes; reads everything.
    Operator,
    /// As an operator, on behalf of an NFV MANO stack.
    Mano,
    /// Runs one edge.
    Edge,
    /// Reads.
    Viewer,
    /// The manager itself.
    Manager,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Operator, Self::Mano, Self::Edge, Self::Viewer, Self::Manager];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Mano => "mano",
            Self::Edge => "edge",
            Self::Viewer => "viewer",
            Self::Manager => "manager",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role and a name. In a certificate it is the one URI of the subject alternative name (RFC 5280, section 4.2.1.6)
/// that starts with `urn:microslice:`, such as `urn:microslice:edge:edge-a`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The role.
    pub role: Role,
    /// The name: of an edge, its node's.
    pub name: String,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URN}{}:{}", self.role, self.name)
    }
}

impl std::str::FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        let invalid = || InvalidPrincipal { found: text.chars().take(120).collect() };
        let (role, name) = text.strip_prefix(URN).and_then(|rest| rest.split_once(':')).ok_or_else(invalid)?;
        let role = Role::ALL.into_iter().find(|r| r.as_str() == role).ok_or_else(invalid)?;
        // The alphabet of every other name, so that a principal can't smuggle a second one.
        crate::NodeName::new(name).map(|name| Self { role, name: name.to_string() }).map_err(|_| invalid())
    }
}

/// A text that names no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` names no principal; expected urn:microslice:ROLE:NAME with a role of operator, mano, edge, viewer, manager"
)]
pub struct InvalidPrincipal {
    /// The text.
    pub found: String,
}

const URN: &str = "urn:microslice:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_a_role_and_a_name() {
        let edge: Principal = "urn:microslice:edge:edge-a".parse().unwrap();
        assert_eq!((edge.role, edge.name.as_str()), (Role::Edge, "edge-a"));
        assert_eq!(edge.to_string(), "urn:microslice:edge:edge-a");
        for bad in ["", "urn:microslice:edge", "urn:microslice:root:x", "urn:microslice:edge:a:b", "spiffe://x/edge/a"]
        {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
    }
}
