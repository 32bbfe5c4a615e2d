//! What an edge is started with.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use model::NodeName;
use tonic::transport::Uri;
use zeroize::Zeroizing;

/// What an edge is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, as the topology and its certificate have it.
    pub name: NodeName,
    /// Where the manager is; without one, the edge runs the program that it has kept.
    pub manager: Option<Uri>,
    /// The folder with `ca.pem`, `certificate.pem` and `key.pem`; needed to reach a manager.
    pub tls: Option<PathBuf>,
    /// Where it keeps its program and its accounting records.
    pub state: PathBuf,
    /// Where its secrets are: `SLICE/SEGMENT.yaml`.
    pub secrets: PathBuf,
    /// The address that its AAA instances listen on.
    pub aaa_address: IpAddr,
    /// How many sessions it has room for.
    pub sessions_max: usize,
    /// How many workers share its ports and slices.
    pub workers: u8,
    /// The processor cores that work on packets, one for each worker; whichever are free if none is named.
    pub cores: Vec<usize>,
}

/// What the agent of a Linux kernel is started with.
#[derive(Debug, Clone)]
pub struct KernelConfig {
    /// The node's name, as the topology and its certificate have it.
    pub name: NodeName,
    /// Where the manager is; without one, the kernel does the program that was kept.
    pub manager: Option<Uri>,
    /// The folder with `ca.pem`, `certificate.pem` and `key.pem`; needed to reach a manager.
    pub tls: Option<PathBuf>,
    /// Where the program is kept.
    pub state: PathBuf,
}

/// Certificates and key, as PEM texts.
#[derive(Clone)]
pub(crate) struct TlsMaterial {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: Zeroizing<String>,
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsMaterial(..)")
    }
}

/// A file of the certificate folder that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read {}", path.display())]
pub struct TlsError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl TlsMaterial {
    pub(crate) fn read(folder: &Path) -> Result<Self, TlsError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|source| TlsError { path, source })
        };
        Ok(Self { ca: read("ca.pem")?, certificate: read("certificate.pem")?, key: Zeroizing::new(read("key.pem")?) })
    }
}

/// Room for sessions where nothing else is said: 10 MB.
pub const SESSIONS_DEFAULT: usize = 65_536;
