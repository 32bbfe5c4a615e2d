//! Clients of every kind, over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{CONNECTIONS_MAX, REQUEST_OCTETS_MAX, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A desk that counts the pages that it makes.
struct Served {
    address: SocketAddr,
    made: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let (stop, stopping) = watch::channel(false);
    let counts = made.clone();
    let make = move || {
        let number = counts.fetch_add(1, Ordering::Relaxed) + 1;
        async move { format!("page {number}\n") }
    };
    let task = tokio::spawn(serve(listener, make, stopping));
    Served { address, made, stop, task }
}

/// Says that, and hears all of the answer.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await;
    heard(&mut stream).await
}

async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // Whoever is closed in the middle of what it says may hear a reset.
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.expect("no end");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_page_is_given_to_who_asks_for_it_and_nothing_else_is() {
    let served = served().await;
    let page = ask(served.address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{page}");
    assert!(page.ends_with("\r\n\r\npage 1\n"), "{page}");
    let head = ask(served.address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("GET /metrics/../secret HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"),
    ] {
        let answer = ask(served.address, request).await;
        assert!(answer.starts_with(expected), "{request:?}: {answer:?}");
    }
    // Whoever asked was given the same page, for it is not a second old; or a second one, on a slow machine.
    assert!(served.made.load(Ordering::Relaxed) <= 2);
    served.stop.send(true).unwrap();
    served.task.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_that_is_too_long_or_has_too_many_headers_is_refused_and_costs_no_page() {
    let served = served().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(2 * REQUEST_OCTETS_MAX));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    for request in [long, many] {
        let answer = ask(served.address, &request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(served.made.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn those_who_say_nothing_hold_a_few_places_and_not_for_long() {
    let served = served().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    // One more is closed without a word. The others were accepted before it, in their order.
    let answer = ask(served.address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer, "");
    // A place is free as soon as one of them goes.
    drop(silent.pop());
    let mut page = String::new();
    while page.is_empty() {
        page = ask(served.address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    assert!(page.ends_with("page 1\n"), "{page}");
    // And the rest are sent away in time, with or without a word.
    for mut stream in silent {
        let answer = heard(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}
