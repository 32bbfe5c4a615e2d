//! Connections, let in one by one: TLS first, by the authority's certificates, and only then HTTP/2. Who is not let in is
//! named in the log with address and reason. Strangers can hold few places, for a short time, and none that others need.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo, TlsConnectInfo};

/// A connection whose peer has shown a certificate of the authority.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    /// Its place; free when it ends.
    _place: OwnedSemaphorePermit,
}

/// Why a connection is not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{HANDSHAKES_OF_ADDRESS_MAX} connections of this address have shown no certificate yet")]
    AddressBusy,
    #[error("{HANDSHAKES_MAX} connections have shown no certificate yet")]
    Busy,
    #[error("{CONNECTIONS_MAX} connections are open, the most that may be")]
    Full,
    #[error("no certificate within {HANDSHAKE_SECONDS} s")]
    Late,
    #[error("{0}")]
    Tls(io::Error),
}

/// Takes connections until the manager stops.
pub(crate) fn take(
    listener: TcpListener,
    tls: ServerConfig,
    mut stopping: watch::Receiver<bool>,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
    let door = Arc::new(Door {
        acceptor: TlsAcceptor::from(Arc::new(tls)),
        places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        strangers: Mutex::default(),
        accepted,
    });
    tokio::spawn(async move {
        loop {
            tokio::select! {
                connection = listener.accept() => match connection {
                    Ok((stream, from)) => door.clone().meet(stream, from),
                    // No descriptor left, or the peer has gone already: others may do better.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                () = stops(&mut stopping) => return,
            }
        }
    });
    ReceiverStream::new(incoming)
}

async fn stops(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

struct Door {
    acceptor: TlsAcceptor,
    places: Arc<Semaphore>,
    strangers: Mutex<Strangers>,
    accepted: mpsc::Sender<io::Result<Connection>>,
}

/// Connections that have shown no certificate yet.
#[derive(Default)]
struct Strangers {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of them, until it has.
struct Stranger {
    door: Arc<Door>,
    address: IpAddr,
}

impl Door {
    fn meet(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let stranger = match self.enter(from.ip()) {
            Ok(stranger) => stranger,
            Err(why) => return told(from, &why),
        };
        tokio::spawn(async move {
            match self.shake(stream).await {
                Ok(connection) => {
                    drop(stranger);
                    // Nobody takes it any more: the manager stops.
                    let _ = self.accepted.send(Ok(connection)).await;
                }
                Err(why) => told(from, &why),
            }
        });
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Stranger, Refused> {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.all >= HANDSHAKES_MAX {
            return Err(Refused::Busy);
        }
        let of_address = strangers.by_address.entry(address).or_default();
        if *of_address >= HANDSHAKES_OF_ADDRESS_MAX {
            return Err(Refused::AddressBusy);
        }
        *of_address += 1;
        strangers.all += 1;
        Ok(Stranger { door: self.clone(), address })
    }

    async fn shake(&self, stream: TcpStream) -> Result<Connection, Refused> {
        // Small messages, each of which somebody waits for.
        let _ = stream.set_nodelay(true);
        let shaken = tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECONDS), self.acceptor.accept(stream));
        let stream = shaken.await.map_err(|_| Refused::Late)?.map_err(Refused::Tls)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| Refused::Full)?;
        Ok(Connection { stream, _place: place })
    }
}

fn told(from: SocketAddr, why: &Refused) {
    tracing::warn!(%from, %why, "a connection is refused");
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.door.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.all -= 1;
        if let Some(count) = strangers.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                strangers.by_address.remove(&self.address);
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TlsConnectInfo<TcpConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A client that takes longer than this for its handshake is not waited for.
const HANDSHAKE_SECONDS: u64 = 10;
/// How many connections may be without a certificate at once, and how many of them from one address.
const HANDSHAKES_MAX: usize = 256;
const HANDSHAKES_OF_ADDRESS_MAX: usize = 32;
/// How many connections may be open: one of each edge, and those of operators.
const CONNECTIONS_MAX: usize = crate::edges::EDGES_ATTACHED_MAX + 512;
/// Connections that wait to be served.
const ACCEPTED_MAX: usize = 16;
/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);
