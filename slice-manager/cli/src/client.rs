//! The way to the manager.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Code, Status, TimeoutExpired};

use crate::args::Global;
use crate::error::Error;
use crate::pki;
use crate::table::visible;

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
        // A watch may be silent for long; pings tell whether the manager is still there.
        let endpoint = Endpoint::from(self.uri.clone())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let endpoint = endpoint.tls_config(tls).map_err(|error| self.no_way(&error))?;
        // The endpoint's own timeout ends with TCP; a handshake may take for ever, too.
        match tokio::time::timeout(CONNECT, endpoint.connect()).await {
            Ok(channel) => channel.map_err(|error| self.no_way(&error)),
            Err(_) => Err(self.unreachable(no_answer(CONNECT))),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let file = Path::new(&self.tls_dir).join(name);
        std::fs::read(&file).map_err(|source| Error::Certificates { file, source })
    }

    fn unreachable(&self, cause: String) -> Error {
        Error::Unreachable { manager: self.uri.to_string(), tls_dir: self.tls_dir.clone(), cause }
    }

    /// Why there is no way to the manager: nobody there, or no trust.
    fn no_way(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let chain = || std::iter::successors(Some(error), |error| error.source());
        if let Some(error) = chain().find_map(of_tls) {
            let cause = match error {
                rustls::Error::AlertReceived(alert) => format!("it refuses our certificate: {alert:?}"),
                error => error.to_string(),
            };
            return Error::Tls { manager: self.uri.to_string(), tls_dir: self.tls_dir.clone(), cause };
        }
        // One that refuses a certificate may close the connection before its alert is read.
        let is_closed = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
        };
        let hint = if chain().filter_map(|error| error.downcast_ref()).any(is_closed) {
            " (if it refuses our certificate, its log says why)"
        } else {
            ""
        };
        self.unreachable(format!("{}{hint}", deepest(error)))
    }

    /// A status that is no refusal of a field.
    pub(crate) fn failed(&self, status: &Status) -> Error {
        self.lost(status).unwrap_or_else(|| crate::files::explain(status, |_, _| None))
    }

    /// A status that says that the manager can't be reached, or no longer. What did not come from the manager but from
    /// the way to it has a source.
    pub(crate) fn lost(&self, status: &Status) -> Option<Error> {
        match std::error::Error::source(status) {
            Some(source) if deepest(source).is::<TimeoutExpired>() => Some(self.unreachable(no_answer(ANSWER))),
            Some(source) => Some(self.no_way(source)),
            None => (status.code() == Code::Unavailable).then(|| self.unreachable(visible(status.message()))),
        }
    }
}

/// An error of TLS, which may be inside one of input and output.
fn of_tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let inside = || error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref();
    error.downcast_ref().or_else(inside)
}

fn no_answer(time: Duration) -> String {
    format!("no answer in {} s", time.as_secs())
}

/// The error at the end of a chain, which says most.
fn deepest<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

/// The longest answer that is taken. The manager is trusted, but its answers grow with its network.
pub(crate) const ANSWER_OCTETS_MAX: usize = 256 << 20;

/// For TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// The manager itself waits three seconds for an edge.
const ANSWER: Duration = Duration::from_secs(30);
/// Between pings, and for the answer to one.
const PING: Duration = Duration::from_secs(10);
