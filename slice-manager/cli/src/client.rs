//! The way to the manager.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Code, Status};

use crate::args::Global;
use crate::error::Error;
use crate::pki;

/// Where the manager is, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    uri: Uri,
    tls_dir: PathBuf,
}

impl Manager {
    pub(crate) fn new(global: &Global) -> Self {
        let tls_dir = global.tls_dir.clone().unwrap_or_else(|| pki::default_folder().join("operator"));
        Self { uri: global.manager.clone(), tls_dir }
    }

    /// Connects, with mutual TLS.
    pub(crate) async fn connect(&self) -> Result<Channel, Error> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.read("ca.pem")?))
            .identity(Identity::from_pem(self.read("certificate.pem")?, self.read("key.pem")?));
        let endpoint = Endpoint::from(self.uri.clone()).connect_timeout(CONNECT).timeout(ANSWER);
        let endpoint = endpoint.tls_config(tls).map_err(|error| self.unreachable(&error))?;
        endpoint.connect().await.map_err(|error| self.unreachable(&error))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let file = Path::new(&self.tls_dir).join(name);
        std::fs::read(&file).map_err(|source| Error::Certificates { file, source })
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> Error {
        Error::Unreachable { manager: self.uri.to_string(), tls_dir: self.tls_dir.clone(), cause: deepest(error) }
    }

    /// A status that is no refusal of a field.
    pub(crate) fn failed(&self, status: &Status) -> Error {
        match status.code() {
            Code::Unavailable => Error::Unreachable {
                manager: self.uri.to_string(),
                tls_dir: self.tls_dir.clone(),
                cause: std::error::Error::source(status).map_or_else(|| status.message().to_owned(), deepest),
            },
            _ => crate::files::explain(status, |_, _| None),
        }
    }
}

/// The error at the end of a chain, which says most.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

const CONNECT: Duration = Duration::from_secs(5);
/// The manager itself waits three seconds for an edge.
const ANSWER: Duration = Duration::from_secs(30);
