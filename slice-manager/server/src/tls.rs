//! Mutual TLS: the manager's certificate, and the one authority whose clients are let in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

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

    /// Needs a process-wide provider of cryptography.
    pub(crate) fn load(&self) -> Result<ServerConfig, TlsError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            authorities.add(certificate).map_err(|source| TlsError::Unusable { path: self.ca.clone(), source })?;
        }
        let clients = WebPkiClientVerifier::builder(Arc::new(authorities)).build();
        let clients = clients.map_err(|source| TlsError::Authority { path: self.ca.clone(), source })?;
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|source| TlsError::Pem { path: self.key.clone(), source })?;
        let config = ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(chain, key);
        let unusable = |source| TlsError::Unusable { path: self.certificate.clone(), source };
        let mut config = config.map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem { path: path.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// The certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read; `slicectl init` makes the certificates", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no certificate, or no key, in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: pem::Error,
    },
    /// A certificate is none, or not that of the key.
    #[error("{} can't be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        source: rustls::Error,
    },
    /// The authority is none.
    #[error("{} can't be used as the authority of clients", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        source: VerifierBuilderError,
    },
}
