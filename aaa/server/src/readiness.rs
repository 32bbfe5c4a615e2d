//! Can a realm do its work, and if not, why.

use std::net::SocketAddr;

use model::ClientName;

use crate::credentials::SecretsError;
use crate::journal::JournalError;

/// Is everything that the program asks for there?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No; what is there is served.
    NotReady(Vec<NotReady>),
}

impl Readiness {
    pub(crate) fn of(reasons: Vec<NotReady>) -> Self {
        if reasons.is_empty() { Self::Ready } else { Self::NotReady(reasons) }
    }

    /// The reasons in one line; empty if it is ready.
    pub fn reason(&self) -> String {
        match self {
            Self::Ready => String::new(),
            Self::NotReady(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                reasons.join("; ")
            }
        }
    }
}

/// What keeps a realm from its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It has no secrets at all.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The secrets file has no secret for a client of the program.
    #[error("client `{0}` has no secret on this edge")]
    ClientWithoutSecret(ClientName),
    /// A socket could not be opened.
    #[error("UDP {address} can't be opened: {kind}")]
    Socket {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// Accounting can't be recorded, so that it is not confirmed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
