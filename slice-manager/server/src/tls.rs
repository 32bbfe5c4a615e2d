//! Mutual TLS: the manager's certificate, and the one authority whose clients are let in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// Where the certificates lie, in PEM.
#[derive(Debug, Clone)]
pub struct TlsPaths {
    /// The authority that signs every client's certificate.
    pub ca: PathBuf,
    /// The manager's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsPaths {
    /// The usual names in a folder: `ca.pem`, `certificate.pem`, `key.pem`.
    pub fn in_dir(dir: &Path) -> Self {
        Self { ca: dir.join("ca.pem"), certificate: dir.join("certificate.pem"), key: dir.join("key.pem") }
    }

    pub(crate) fn load(&self) -> Result<ServerTlsConfig, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError { path: path.to_owned(), source });
        let identity = Identity::from_pem(read(&self.certificate)?, read(&self.key)?);
        let authority = Certificate::from_pem(read(&self.ca)?);
        Ok(ServerTlsConfig::new()
            .identity(identity)
            .client_ca_root(authority)
            .client_auth_optional(false)
            .timeout(Duration::from_secs(HANDSHAKE_SECONDS)))
    }
}

/// A file of the certificates can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be read; `slicectl init` makes the certificates", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// A client that takes longer than this for its handshake is not waited for.
const HANDSHAKE_SECONDS: u64 = 10;
