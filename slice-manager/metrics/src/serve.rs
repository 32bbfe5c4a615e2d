//! The page over HTTP: `GET /metrics`, and nothing else.
//!
//! There is no authentication, as Prometheus is used to, so what a stranger can cost is bounded: few connections at once,
//! each with one small request and a few seconds for all of it; and a page is made once a second at most, whoever asks how
//! often.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, timeout};

/// Hands the page to whoever asks, until it turns true. `make` makes a page.
pub async fn serve<M, F>(listener: TcpListener, make: M, mut stopping: watch::Receiver<bool>)
where
    M: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = String> + Send,
{
    let desk = Arc::new(Desk { make, last: Mutex::default() });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            // One too many is closed at once.
            Ok((stream, _)) => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let desk = desk.clone();
                tokio::spawn(async move {
                    // Whoever takes longer is not waited for.
                    let _ = timeout(CONNECTION_TIME, desk.attend(stream)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Makes pages, and keeps the last one for a while.
struct Desk<M> {
    make: M,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl<M, F> Desk<M>
where
    M: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = String> + Send,
{
    async fn attend(&self, stream: TcpStream) {
        let answer = service_fn(async |request: Request<hyper::body::Incoming>| {
            Ok::<_, Infallible>(self.answer(request.method(), request.uri().path()).await)
        });
        let mut connection = http1::Builder::new();
        connection
            .timer(TokioTimer::new())
            .header_read_timeout(CONNECTION_TIME)
            .max_buf_size(REQUEST_OCTETS_MAX)
            .max_headers(HEADERS_MAX)
            .keep_alive(false);
        // What goes wrong with a connection is the client's.
        let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if path != "/metrics" {
            return said(StatusCode::NOT_FOUND, "there is /metrics, and nothing else\n");
        }
        if *method != Method::GET && *method != Method::HEAD {
            let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, "expected GET\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let mut answer = Response::new(Full::new(self.page().await));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(FORMAT));
        answer
    }

    async fn page(&self) -> Bytes {
        // Who comes while a page is made waits for it, and takes the same.
        let mut last = self.last.lock().await;
        match &*last {
            Some((made, page)) if made.elapsed() < PAGE_AGE => page.clone(),
            _ => {
                let page = Bytes::from((self.make)().await);
                *last = Some((Instant::now(), page.clone()));
                page
            }
        }
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// The text format of Prometheus.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Connections at once; one more is closed.
pub const CONNECTIONS_MAX: usize = 16;
/// A connection, from its beginning to its end.
pub const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// A request with its headers: the least that hyper allows.
pub const REQUEST_OCTETS_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 32;
/// For so long a page is as good as a new one.
pub const PAGE_AGE: Duration = Duration::from_secs(1);
/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);
